//! Every runtime behind one type, so that a scenario runs on any of them.
//!
//! [`Engine::new`] takes what [`choose`] said for this thread; else what the environment says, `SMP_TEST_RUNTIME=smol`; else tokio.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_channel::oneshot;
use smol::Executor;
use smol::future::FutureExt;
use smp_core::{Now, Timestamp};
use smp_runtime::{ByteStream, Listener, Runtime};
use smp_runtime_async_std::AsyncStdRuntime;
use smp_runtime_smol::SmolRuntime;
use smp_runtime_tokio::TokioRuntime;

/// A runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A thread of its own.
    Tokio,
    /// That of the process.
    AsyncStd,
    /// An executor and a thread of its own.
    Smol,
}

impl Kind {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Tokio, Self::AsyncStd, Self::Smol];

    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::AsyncStd => "async-std",
            Self::Smol => "smol",
        }
    }

    /// What a new engine of this thread runs on.
    ///
    /// # Panics
    /// When the environment names a runtime that there is not.
    #[must_use]
    pub fn chosen() -> Self {
        let named = || {
            let name = std::env::var("SMP_TEST_RUNTIME").ok()?;
            let kind = Self::ALL.into_iter().find(|kind| kind.name() == name);
            Some(kind.unwrap_or_else(|| panic!("SMP_TEST_RUNTIME is tokio, async-std or smol, not {name}")))
        };
        CHOSEN.get().or_else(named).unwrap_or(Self::Tokio)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

thread_local! {
    static CHOSEN: Cell<Option<Kind>> = const { Cell::new(None) };
}

/// The engines that this thread makes from now on run on this.
pub fn choose(kind: Kind) {
    CHOSEN.set(Some(kind));
}

/// A runtime that runs. When it is dropped its tasks are, but for async-std, which is that of the process.
pub enum Engine {
    /// With threads of its own.
    Tokio(tokio::runtime::Runtime),
    /// That of the process.
    AsyncStd,
    /// With threads of its own.
    Smol(OwnSmol),
}

/// An executor of smol's and the threads that run it, each until its sender is dropped.
pub struct OwnSmol {
    executor: Arc<Executor<'static>>,
    threads: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Engine {
    /// One that runs, of the kind that was chosen, with one thread.
    ///
    /// # Panics
    /// When the system has no thread for it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_threads(Kind::chosen(), 1)
    }

    /// One that runs, with so many threads. That of async-std has as many as there are processors.
    ///
    /// # Panics
    /// When the system has no threads for it.
    #[must_use]
    pub fn with_threads(kind: Kind, threads: usize) -> Self {
        match kind {
            Kind::Tokio => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                Self::Tokio(builder.worker_threads(threads).enable_all().build().expect("a runtime"))
            }
            Kind::AsyncStd => Self::AsyncStd,
            Kind::Smol => {
                let executor = Arc::<Executor<'_>>::default();
                let run = || {
                    let (ends, end) = oneshot::channel();
                    let running = Arc::clone(&executor);
                    (ends, std::thread::spawn(move || _ = smol::block_on(running.run(end))))
                };
                let threads = (0..threads).map(|_| run()).collect();
                Self::Smol(OwnSmol { executor, threads })
            }
        }
    }

    /// What shells are given.
    #[must_use]
    pub fn runtime(&self) -> AnyRuntime {
        match self {
            Self::Tokio(tokio) => AnyRuntime::Tokio(TokioRuntime::new(tokio.handle().clone())),
            Self::AsyncStd => AnyRuntime::AsyncStd(AsyncStdRuntime::new()),
            Self::Smol(own) => AnyRuntime::Smol(SmolRuntime::new(&own.executor)),
        }
    }

    /// Runs a future to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        match self {
            Self::Tokio(tokio) => tokio.block_on(future),
            Self::AsyncStd | Self::Smol(_) => smol::block_on(future),
        }
    }

    /// Likewise, unless that takes too long.
    pub fn block_on_within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let runtime = self.runtime();
        let late = async {
            runtime.sleep_until(runtime.now().mono + time).await;
            None
        };
        self.block_on(async { Some(future.await) }.or(late))
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for OwnSmol {
    fn drop(&mut self) {
        for (ends, thread) in self.threads.drain(..) {
            drop(ends);
            // A task that panicked has been told of by its own thread.
            drop(thread.join());
        }
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub enum AnyRuntime {
    /// tokio.
    Tokio(TokioRuntime),
    /// async-std.
    AsyncStd(AsyncStdRuntime),
    /// smol.
    Smol(SmolRuntime),
}

/// A connection of one of them.
pub struct AnyStream(Box<dyn ByteStream>);

/// A listener of one of them.
pub struct AnyListener(Box<dyn Accepts>);

trait Accepts: Send {
    fn accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(AnyStream, SocketAddr)>>;
    fn address(&self) -> io::Result<SocketAddr>;
}

impl<L: Listener> Accepts for L {
    fn accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(AnyStream, SocketAddr)>> {
        self.poll_accept(cx).map_ok(|(stream, address)| (AnyStream(Box::new(stream)), address))
    }

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_address()
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The same for each of them.
macro_rules! each {
    ($any:expr, $runtime:ident => $value:expr) => {
        match $any {
            AnyRuntime::Tokio($runtime) => $value,
            AnyRuntime::AsyncStd($runtime) => $value,
            AnyRuntime::Smol($runtime) => $value,
        }
    };
}

impl Runtime for AnyRuntime {
    type Stream = AnyStream;
    type Listener = AnyListener;

    fn now(&self) -> Now {
        each!(self, runtime => runtime.now())
    }

    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        each!(self, runtime => Box::pin(runtime.sleep_until(at)) as Boxed<_>)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        each!(self, runtime => runtime.spawn(task));
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        each!(self, runtime => Box::pin(runtime.resolve(host, port)) as Boxed<_>)
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<AnyStream>> + Send + 'static {
        each!(self, runtime => {
            let connected = runtime.connect(address);
            Box::pin(async { Ok(AnyStream(Box::new(connected.await?))) }) as Boxed<_>
        })
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<AnyListener> {
        each!(self, runtime => Ok(AnyListener(Box::new(runtime.listen(address).await?))))
    }
}

impl ByteStream for AnyStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

impl Listener for AnyListener {
    type Stream = AnyStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(AnyStream, SocketAddr)>> {
        self.0.accept(cx)
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.address()
    }
}
