//! What a shell asks of an async runtime: a clock, timers, tasks and TCP. Nothing of the protocol, and no
//! policy.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use smp_core::{Now, Timestamp};

/// An async runtime.
///
/// An adapter implements it in a few hundred lines. Nothing here needs threads or a real clock, so a
/// single-threaded runtime with a virtual clock and a simulated network implements it as well.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use std::time::Duration;
///
/// use smp_runtime::Runtime;
/// use smp_runtime::testing::TestRuntime;
///
/// /// How long a pause of an hour takes.
/// async fn pause(runtime: impl Runtime) -> Duration {
///     let before = runtime.now().mono;
///     runtime.sleep_until(before + Duration::from_secs(3600)).await;
///     runtime.now().mono.since(before)
/// }
///
/// let runtime = TestRuntime::default(); // its hour takes no time
/// assert_eq!(runtime.block_on(pause(runtime.clone())), Duration::from_secs(3600));
/// # }
/// ```
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A TCP connection.
    type Stream: ByteStream;
    /// A listening TCP socket.
    type Listener: Listener<Stream = Self::Stream>;

    /// Both clocks. The monotonic one counts from an origin that all clones of this runtime share.
    fn now(&self) -> Now;

    /// Completes at `at` or soon after; at once when it has passed. Dropping the future cancels it.
    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + 'static;

    /// Runs a task to its end, also when nobody waits for it. When the runtime shuts down the task is
    /// dropped.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// The addresses of `host`, a name or a literal IP address without brackets.
    ///
    /// There is no time limit here, nor for [`Self::connect`]: the caller drops the future. Names may be chosen by strangers, so
    /// what look-ups hold is bounded by the adapter, also those that nobody waits for any more.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static;

    /// Connects to an address. Dropping the future leaves no connection behind.
    fn connect(&self, address: SocketAddr)
    -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static;

    /// Listens on `address`; port 0 lets the system choose one.
    fn listen(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;
}

/// A connection as the shells use it. One task owns it, so reading and writing need not be split.
///
/// `Poll::Pending` means that the task will be woken when a retry makes sense, as everywhere. Dropping it
/// closes the socket.
pub trait ByteStream: Send + Unpin + 'static {
    /// Reads what has arrived into the beginning of `buffer`; zero is the end of the stream.
    ///
    /// While it is pending it keeps no claim on `buffer`: the next call may bring another one.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes a beginning of `bytes` and tells its length. Written bytes need no flush.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends the writing direction, after what was written; reading stays possible.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A listening socket. Dropping it stops listening.
pub trait Listener: Send + Unpin + 'static {
    /// What it accepts.
    type Stream: ByteStream;

    /// The next connection and the address of its peer. An error does not end the listener.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, SocketAddr)>>;

    /// The address that it listens on, with the port that the system chose.
    ///
    /// # Errors
    /// When the system does not tell.
    fn local_address(&self) -> io::Result<SocketAddr>;
}
