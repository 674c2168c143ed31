//! The smol adapter of `smp-runtime`: TCP, timers, tasks and the look-up of names, nothing else.
//!
//! A program that depends on this crate has the others in it: [`smp_core`], [`smp_runtime`] and [`smp_storage`]. What the shells ask of
//! a runtime; `smp-runtime` shows servers, clients and agents, which take it as they take any other:
//!
//! ```
//! use std::future::poll_fn;
//! use std::sync::Arc;
//!
//! use smp_runtime_smol::SmolRuntime;
//! use smp_runtime_smol::smp_runtime::{ByteStream, Listener, Runtime};
//!
//! let executor = Arc::new(smol::Executor::new()); // or `SmolRuntime::global()`
//! let runtime = SmolRuntime::new(&executor);
//! smol::block_on(executor.run(async {
//!     let mut listener = runtime.listen("127.0.0.1:0".parse()?).await?;
//!     let mut ours = runtime.connect(listener.local_address()?).await?;
//!     let (mut theirs, _) = poll_fn(|cx| listener.poll_accept(cx)).await?;
//!     poll_fn(|cx| ours.poll_write(cx, b"hello")).await?;
//!     let mut buffer = [0; 16];
//!     let read = poll_fn(|cx| theirs.poll_read(cx, &mut buffer)).await?;
//!     assert!(read > 0 && b"hello".starts_with(&buffer[..read]));
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! }))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod stream;

pub use smp_runtime::{self, smp_core, smp_storage};
pub use stream::{SmolListener, SmolStream};

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use smol::net::{TcpListener, TcpStream};
use smol::{Executor, Timer};
use smp_core::{Now, Timestamp};
use smp_runtime::Runtime;
use smp_runtime::adapter::{Names, SystemClock};

/// Smol, with an executor of the embedder's or that of the process.
///
/// The system looks up 64 names at a time for all clones together ([`Names`]), on smol's threads for what blocks. What must
/// not wait for names that strangers choose gets a `SmolRuntime` of its own.
#[derive(Clone)]
pub struct SmolRuntime {
    /// Not held: what runs on it holds this.
    executor: Option<Weak<Executor<'static>>>,
    clock: SystemClock,
    names: Names,
}

impl SmolRuntime {
    /// Its tasks run on this executor, and are dropped with it: it is for the embedder to hold and to run.
    #[must_use]
    pub fn new(executor: &Arc<Executor<'static>>) -> Self {
        Self { executor: Some(Arc::downgrade(executor)), clock: SystemClock::new(), names: Names::default() }
    }

    /// Its tasks run on the threads of the process that [`smol::spawn`] uses: one, or as many as `SMOL_THREADS` says.
    #[must_use]
    pub fn global() -> Self {
        Self { executor: None, clock: SystemClock::new(), names: Names::default() }
    }
}

impl Runtime for SmolRuntime {
    type Stream = SmolStream;
    type Listener = SmolListener;

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        let timer = Timer::after(self.clock.until(at));
        async { _ = timer.await }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.executor {
            // Without an executor the task ends before it began.
            Some(executor) => drop(executor.upgrade().map(|executor| executor.spawn(task).detach())),
            None => smol::spawn(task).detach(),
        }
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        self.names.resolve(host, port, |work| smol::unblock(work).detach())
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<SmolStream>> + Send + 'static {
        let connected = TcpStream::connect(address);
        async move { SmolStream::new(connected.await?) }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<SmolListener> {
        TcpListener::bind(address).await.map(SmolListener::new)
    }
}

impl fmt::Debug for SmolRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmolRuntime").field("has_executor", &self.executor.is_some()).finish_non_exhaustive()
    }
}
