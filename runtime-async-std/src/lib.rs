//! The async-std adapter of `smp-runtime`: TCP, timers, tasks and the look-up of names, nothing else.
//!
//! async-std is not developed any more: its authors point to smol, for which there is `smp-runtime-smol`. This adapter is for
//! programs that still use it.
//!
//! A program that depends on this crate has the others in it: [`smp_core`], [`smp_runtime`] and [`smp_storage`]. What the shells ask of
//! a runtime; `smp-runtime` shows servers, clients and agents, which take it as they take any other:
//!
//! ```
//! use std::future::poll_fn;
//!
//! use smp_runtime_async_std::AsyncStdRuntime;
//! use smp_runtime_async_std::smp_runtime::{ByteStream, Listener, Runtime};
//!
//! let runtime = AsyncStdRuntime::new();
//! async_std::task::block_on(async {
//!     let mut listener = runtime.listen("127.0.0.1:0".parse()?).await?;
//!     let mut ours = runtime.connect(listener.local_address()?).await?;
//!     let (mut theirs, _) = poll_fn(|cx| listener.poll_accept(cx)).await?;
//!     poll_fn(|cx| ours.poll_write(cx, b"hello")).await?;
//!     let mut buffer = [0; 16];
//!     let read = poll_fn(|cx| theirs.poll_read(cx, &mut buffer)).await?;
//!     assert!(read > 0 && b"hello".starts_with(&buffer[..read]));
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod stream;

pub use smp_runtime::{self, smp_core, smp_storage};
pub use stream::{AsyncStdListener, AsyncStdStream};

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use smp_core::{Now, Timestamp};
use smp_runtime::Runtime;
use smp_runtime::adapter::{Names, SystemClock};

/// The async-std of the process.
///
/// The system looks up 64 names at a time for all clones together ([`Names`]), on async-std's threads for what blocks. What must
/// not wait for names that strangers choose gets an `AsyncStdRuntime` of its own.
#[derive(Clone, Debug)]
pub struct AsyncStdRuntime {
    clock: SystemClock,
    names: Names,
}

impl AsyncStdRuntime {
    /// An adapter whose monotonic clock starts now, and that has look-ups of its own.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self { clock: SystemClock::new(), names: Names::default() }
    }
}

impl Runtime for AsyncStdRuntime {
    type Stream = AsyncStdStream;
    type Listener = AsyncStdListener;

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        let clock = self.clock;
        async move {
            let left = clock.until(at);
            if !left.is_zero() {
                task::sleep(left).await;
            }
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(task::spawn(task));
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        self.names.resolve(host, port, |work| drop(task::spawn_blocking(work)))
    }

    fn connect(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<AsyncStdStream>> + Send + 'static {
        let connected = TcpStream::connect(address);
        async move { AsyncStdStream::new(connected.await?) }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<AsyncStdListener> {
        TcpListener::bind(address).await.map(AsyncStdListener::new)
    }
}
