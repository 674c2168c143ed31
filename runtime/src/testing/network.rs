//! Connections in memory.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::lock;
use crate::{ByteStream, Listener};

/// One side of a connection.
///
/// A task uses it as a [`ByteStream`]; what is documented here is for whoever plays the network at the other side.
pub struct TestStream {
    input: Arc<Pipe>,
    output: Arc<Pipe>,
}

/// What the buffers of the other side hold, and how it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamLimits {
    /// Bytes that it has written and that nobody took: its socket's send buffer.
    pub written: usize,
    /// Bytes that were given to it and that it has not read.
    pub unread: usize,
    /// Bytes that one of its reads brings at most.
    pub read: usize,
}

/// What a watcher sees of the other side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen<'a> {
    /// It wrote this.
    Written(&'a [u8]),
    /// It ended its writing direction.
    Ended,
    /// It dropped its side.
    Dropped,
}

/// How a stream fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// With an error.
    Error(io::ErrorKind),
    /// With a panic of its task.
    Panic,
}

impl TestStream {
    /// Both sides of a connection, each of which holds [`CAPACITY`] bytes that were not read.
    #[must_use]
    pub fn pair() -> (Self, Self) {
        let (there, back) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
        let ours = Self { input: Arc::clone(&back), output: Arc::clone(&there) };
        (ours, Self { input: there, output: back })
    }

    /// Other limits of the other side than [`CAPACITY`] each way.
    pub fn limit(&self, limits: StreamLimits) {
        self.input.change(|pipe| pipe.capacity = limits.written);
        self.output.change(|pipe| {
            pipe.capacity = limits.unread;
            pipe.read_max = limits.read.max(1);
        });
    }

    /// Shows the watcher what the other side does, at once. Bytes that it writes do not arrive here any more, but they
    /// stay in its send buffer until [`Self::taken`] makes room.
    ///
    /// The watcher must not use the connection.
    pub fn watch(&self, watcher: impl FnMut(Seen<'_>) + Send + 'static) {
        self.input.change(|pipe| pipe.watcher = Some(Box::new(watcher)));
    }

    /// The network took this many bytes out of the other side's send buffer.
    pub fn taken(&self, count: usize) {
        self.input.change(|pipe| pipe.held -= count.min(pipe.held));
    }

    /// What has arrived. It leaves the other side's send buffer.
    pub fn take(&self) -> Vec<u8> {
        let mut taken = Vec::new();
        self.input.change(|pipe| taken.extend(pipe.bytes.drain(..)));
        taken
    }

    /// Sends as much of `bytes` as the other side has room for, and tells how much that was.
    pub fn give(&self, bytes: &[u8]) -> usize {
        let mut given = 0;
        self.output.change(|pipe| given = pipe.push(bytes));
        given
    }

    /// Ends this side's writing direction: the other side reads the end after what was given.
    pub fn end(&self) {
        self.output.change(PipeState::end);
    }

    /// Makes the other side fail, at its next read or write: as a socket does, or worse.
    pub fn break_other_side(&self, fault: Fault) {
        self.output.change(|pipe| pipe.fault = Some(fault));
        self.input.change(|pipe| pipe.fault = Some(fault));
    }

    /// True when the other side ended its writing direction and all was read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        let pipe = lock(&self.input.0);
        pipe.ended && pipe.bytes.is_empty()
    }
}

impl ByteStream for TestStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.input.poll(cx, |pipe| {
            let count = buffer.len().min(pipe.bytes.len()).min(pipe.read_max);
            for (to, from) in buffer.iter_mut().zip(pipe.bytes.drain(..count)) {
                *to = from;
            }
            (count > 0 || pipe.ended).then_some(count)
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.output.poll(cx, |pipe| Some(pipe.push(bytes)).filter(|count| *count > 0))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for TestStream {
    fn drop(&mut self) {
        self.output.change(|pipe| {
            pipe.ended = true;
            pipe.show(Seen::Dropped);
        });
        self.input.change(|pipe| {
            pipe.fault = Some(Fault::Error(io::ErrorKind::ConnectionReset));
            pipe.watcher = None;
        });
    }
}

#[derive(Default)]
struct Pipe(Mutex<PipeState>);

struct PipeState {
    bytes: VecDeque<u8>,
    /// Bytes that the watcher saw and that still need room.
    held: usize,
    capacity: usize,
    read_max: usize,
    ended: bool,
    fault: Option<Fault>,
    watcher: Option<Watcher>,
    wakers: Vec<Waker>,
}

type Watcher = Box<dyn FnMut(Seen<'_>) + Send>;

impl PipeState {
    fn push(&mut self, bytes: &[u8]) -> usize {
        let room = self.capacity.saturating_sub(self.bytes.len() + self.held);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        if self.watcher.is_none() {
            self.bytes.extend(bytes);
        } else if !bytes.is_empty() {
            self.held += bytes.len();
            self.show(Seen::Written(bytes));
        }
        bytes.len()
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.show(Seen::Ended);
        }
    }

    fn show(&mut self, seen: Seen<'_>) {
        if let Some(watcher) = &mut self.watcher {
            watcher(seen);
        }
    }
}

impl Default for PipeState {
    fn default() -> Self {
        Self {
            bytes: VecDeque::new(),
            held: 0,
            capacity: CAPACITY,
            read_max: usize::MAX,
            ended: false,
            fault: None,
            watcher: None,
            wakers: Vec::new(),
        }
    }
}

impl Pipe {
    fn change(&self, change: impl FnOnce(&mut PipeState)) {
        let wakers = {
            let mut state = lock(&self.0);
            change(&mut state);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Does something with the pipe, now or when it has changed.
    fn poll(
        &self,
        cx: &Context<'_>,
        act: impl FnOnce(&mut PipeState) -> Option<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.0);
        match state.fault {
            Some(Fault::Panic) => {
                drop(state);
                panic!("the stream was told to");
            }
            Some(Fault::Error(kind)) => return Poll::Ready(Err(kind.into())),
            None => {}
        }
        let Some(count) = act(&mut state) else {
            if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.wakers.push(cx.waker().clone());
            }
            return Poll::Pending;
        };
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }
}

/// What a listener has not accepted yet.
#[derive(Default)]
pub(super) struct Incoming(Mutex<IncomingState>);

type Accepted = io::Result<(TestStream, SocketAddr)>;

#[derive(Default)]
struct IncomingState {
    queue: VecDeque<Accepted>,
    closed: bool,
    waker: Option<Waker>,
}

impl Incoming {
    pub(super) fn push(&self, accepted: Accepted) {
        let waker = {
            let mut state = lock(&self.0);
            state.queue.push_back(accepted);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_open(&self) -> bool {
        !lock(&self.0).closed
    }
}

/// A listening socket.
pub struct TestListener {
    incoming: Arc<Incoming>,
    address: SocketAddr,
}

impl TestListener {
    pub(super) fn new(incoming: Arc<Incoming>, address: SocketAddr) -> Self {
        Self { incoming, address }
    }
}

impl Listener for TestListener {
    type Stream = TestStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Accepted> {
        let mut state = lock(&self.incoming.0);
        match state.queue.pop_front() {
            Some(accepted) => Poll::Ready(accepted),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for TestListener {
    fn drop(&mut self) {
        let refused = {
            let mut state = lock(&self.incoming.0);
            state.closed = true;
            std::mem::take(&mut state.queue)
        };
        drop(refused);
    }
}

/// Bytes that a direction of a connection holds.
pub const CAPACITY: usize = 64 * 1024;
