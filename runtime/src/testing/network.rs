//! Connections in memory.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::{ByteStream, Listener};

/// One side of a connection.
pub(crate) struct TestStream {
    input: Arc<Pipe>,
    output: Arc<Pipe>,
}

impl TestStream {
    /// Both sides of a connection, each of which holds [`CAPACITY`] bytes that were not read.
    pub(crate) fn pair() -> (Self, Self) {
        let (there, back) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
        let ours = Self { input: Arc::clone(&back), output: Arc::clone(&there) };
        (ours, Self { input: there, output: back })
    }

    /// Makes the other side fail, at its next read or write: as a socket does, or worse.
    pub(crate) fn break_other_side(&self, fault: Fault) {
        self.output.change(|pipe| pipe.fault = Some(fault));
        self.input.change(|pipe| pipe.fault = Some(fault));
    }

    /// True when the other side ended its writing direction and all was read.
    pub(crate) fn is_at_end(&self) -> bool {
        let pipe = self.input.0.lock().unwrap();
        pipe.ended && pipe.bytes.is_empty()
    }

    /// What has arrived.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut taken = Vec::new();
        self.input.change(|pipe| taken.extend(pipe.bytes.drain(..)));
        taken
    }

    /// Sends as much of `bytes` as the other side has room for.
    pub(crate) fn give(&self, bytes: &[u8]) -> usize {
        let mut given = 0;
        self.output.change(|pipe| given = pipe.push(bytes));
        given
    }
}

/// How a stream fails.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// With an error.
    Error(io::ErrorKind),
    /// With a panic of its task.
    Panic,
}

impl ByteStream for TestStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.input.poll(cx, |pipe| {
            let count = buffer.len().min(pipe.bytes.len());
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
        self.output.change(|pipe| pipe.ended = true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for TestStream {
    fn drop(&mut self) {
        self.output.change(|pipe| pipe.ended = true);
        self.input.change(|pipe| pipe.fault = Some(Fault::Error(io::ErrorKind::ConnectionReset)));
    }
}

#[derive(Default)]
struct Pipe(Mutex<PipeState>);

#[derive(Default)]
struct PipeState {
    bytes: VecDeque<u8>,
    ended: bool,
    fault: Option<Fault>,
    wakers: Vec<Waker>,
}

impl PipeState {
    fn push(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(CAPACITY - self.bytes.len());
        self.bytes.extend(&bytes[..count]);
        count
    }
}

impl Pipe {
    fn change(&self, change: impl FnOnce(&mut PipeState)) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
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
        let mut state = self.0.lock().unwrap();
        match state.fault {
            Some(Fault::Panic) => {
                drop(state);
                panic!("the stream was told to");
            }
            Some(Fault::Error(kind)) => return Poll::Ready(Err(kind.into())),
            None => {}
        }
        let Some(count) = act(&mut state) else {
            state.wakers.push(cx.waker().clone());
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
pub(crate) struct Incoming(Mutex<IncomingState>);

type Accepted = io::Result<(TestStream, SocketAddr)>;

#[derive(Default)]
struct IncomingState {
    queue: VecDeque<Accepted>,
    closed: bool,
    waker: Option<Waker>,
}

impl Incoming {
    pub(crate) fn push(&self, accepted: Accepted) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.queue.push_back(accepted);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.0.lock().unwrap().closed
    }
}

/// A listening socket.
pub(crate) struct TestListener {
    incoming: Arc<Incoming>,
    address: SocketAddr,
}

impl TestListener {
    pub(crate) fn new(incoming: Arc<Incoming>, address: SocketAddr) -> Self {
        Self { incoming, address }
    }
}

impl Listener for TestListener {
    type Stream = TestStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Accepted> {
        let mut state = self.incoming.0.lock().unwrap();
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
        let mut state = self.incoming.0.lock().unwrap();
        state.closed = true;
        state.queue.clear();
    }
}

/// Bytes that a direction of a connection holds.
pub(crate) const CAPACITY: usize = 64 * 1024;
