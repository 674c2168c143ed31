//! The bytes of one connection: what waits to be written, and a buffer to read into that nobody keeps.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use crate::ByteStream;

/// A stream with the output that it has not taken yet.
pub(crate) struct Link<S> {
    stream: S,
    output: VecDeque<Vec<u8>>,
    /// How much of the first output is written.
    written: usize,
    queued: usize,
}

impl<S: ByteStream> Link<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, output: VecDeque::new(), written: 0, queued: 0 }
    }

    /// Puts `bytes` behind the output that waits. They are written from where they are, without a copy.
    pub(crate) fn send(&mut self, bytes: Vec<u8>) {
        self.queued += bytes.len();
        if !bytes.is_empty() {
            self.output.push_back(bytes);
        }
    }

    /// Bytes that wait to be written.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// One write of the first output; how much the stream took. Never ready while nothing waits.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(first) = self.output.front() else { return Poll::Pending };
        let rest = first.get(self.written..).unwrap_or_default();
        let taken = ready!(self.stream.poll_write(cx, rest))?.min(rest.len());
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.written += taken;
        self.queued -= taken;
        if taken == rest.len() {
            self.output.pop_front();
            self.written = 0;
        }
        if self.output.is_empty() {
            // A connection that was busy once must not hold room for it while it is idle.
            self.output = VecDeque::new();
        }
        Poll::Ready(Ok(taken))
    }

    /// One read, given to `take`; false at the end of the stream.
    ///
    /// The buffer belongs to the thread, so an idle connection holds none.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<bool>> {
        BUFFER.with(|buffer| {
            let mut buffer = buffer.borrow_mut();
            buffer.resize(READ_BYTES, 0);
            let read = ready!(self.stream.poll_read(cx, &mut buffer))?;
            take(buffer.get(..read).unwrap_or(&buffer));
            Poll::Ready(Ok(read > 0))
        })
    }

    /// Writes what waits, ends the writing direction, then waits for the peer to end its own.
    ///
    /// What arrives meanwhile is thrown away, up to a limit: closing a socket with unread bytes would reset the connection
    /// and could destroy the last output before the peer reads it.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>, closing: &mut Closing) -> Poll<io::Result<()>> {
        loop {
            match closing {
                Closing::Writing(_) if self.queued > 0 => _ = ready!(self.poll_write(cx))?,
                Closing::Writing(input) => *closing = Closing::Ending(*input),
                Closing::Ending(input) => {
                    ready!(self.stream.poll_shutdown(cx))?;
                    *closing = Closing::Lingering(*input);
                }
                Closing::Lingering(input) => {
                    let mut left = None;
                    let open = ready!(self.poll_read(cx, |bytes| left = input.checked_sub(bytes.len())))?;
                    match left.filter(|_| open) {
                        Some(left) => *input = left,
                        None => return Poll::Ready(Ok(())),
                    }
                }
            }
        }
    }
}

/// How far [`Link::poll_close`] came, and how many bytes it may still read.
pub(crate) enum Closing {
    /// Output waits.
    Writing(usize),
    /// All is written.
    Ending(usize),
    /// The writing direction ended.
    Lingering(usize),
}

impl Closing {
    /// At the beginning. A peer that then sends more than `input` bytes does not care for our last words.
    pub(crate) const fn new(input: usize) -> Self {
        Self::Writing(input)
    }
}

/// Two TLS records of a block each.
const READ_BYTES: usize = 2 * (16 * 1024 + 256);

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::testing::{CAPACITY, Fault, TestStream};

    fn link() -> (Link<TestStream>, TestStream, Context<'static>) {
        let (ours, theirs) = TestStream::pair();
        (Link::new(ours), theirs, Context::from_waker(Waker::noop()))
    }

    #[test]
    fn writes_output_in_order_as_far_as_the_peer_takes_it() {
        let (mut link, peer, mut cx) = link();
        let blocks: Vec<Vec<u8>> = (0..6).map(|block| vec![block; 16 * 1024]).collect();
        blocks.iter().for_each(|block| link.send(block.clone()));
        link.send(Vec::new());
        let (mut written, mut received) = (0, Vec::new());
        while link.queued() > 0 {
            while let Poll::Ready(count) = link.poll_write(&mut cx) {
                written += count.unwrap();
                assert_eq!(link.queued(), 6 * 16 * 1024 - written);
            }
            received.extend(peer.take());
            assert!(received.len() == written && written > 0);
        }
        assert_eq!(received, blocks.concat());
        assert!(link.poll_write(&mut cx).is_pending());
        assert_eq!(link.output.capacity(), 0);
    }

    #[test]
    fn keeps_its_place_in_an_output_that_was_written_in_part() {
        let (mut link, peer, mut cx) = link();
        peer.give(b"x");
        link.send(vec![1; CAPACITY - 1]);
        link.send(vec![2, 3, 4]);
        for expected in [CAPACITY - 1, 1] {
            assert!(matches!(link.poll_write(&mut cx), Poll::Ready(Ok(count)) if count == expected));
        }
        assert!(link.poll_write(&mut cx).is_pending());
        assert_eq!(peer.take().len(), CAPACITY);
        assert!(matches!(link.poll_write(&mut cx), Poll::Ready(Ok(2))));
        assert_eq!(peer.take(), [3, 4]);
    }

    #[test]
    fn tells_data_end_and_error_apart() {
        let (mut link, peer, mut cx) = link();
        let mut got: Vec<u8> = Vec::new();
        assert!(link.poll_read(&mut cx, |bytes| got.extend(bytes)).is_pending());
        peer.give(b"abc");
        assert!(matches!(link.poll_read(&mut cx, |bytes| got.extend(bytes)), Poll::Ready(Ok(true))));
        assert_eq!(got, b"abc");
        peer.break_other_side(Fault::Error(io::ErrorKind::TimedOut));
        let read = link.poll_read(&mut cx, |_| panic!("there is nothing to take"));
        assert!(matches!(read, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut));

        let (mut link, peer, mut cx) = self::link();
        drop(peer);
        assert!(matches!(link.poll_read(&mut cx, |bytes| assert!(bytes.is_empty())), Poll::Ready(Ok(false))));
    }

    #[test]
    fn closes_after_the_last_output_and_the_end_of_the_peer() {
        let (mut link, peer, mut cx) = link();
        let mut closing = Closing::new(READ_BYTES);
        link.send(vec![1; CAPACITY + 1]);
        peer.give(b"too late");
        assert!(link.poll_close(&mut cx, &mut closing).is_pending());
        assert!(!peer.is_at_end());
        assert_eq!(peer.take().len(), CAPACITY);
        assert!(link.poll_close(&mut cx, &mut closing).is_pending());
        assert_eq!(peer.take().len(), 1);
        assert!(peer.is_at_end());
        drop(peer);
        assert!(matches!(link.poll_close(&mut cx, &mut closing), Poll::Ready(Ok(()))));
    }

    #[test]
    fn does_not_listen_for_ever_to_a_peer_that_goes_on() {
        let (mut link, peer, mut cx) = link();
        let mut closing = Closing::new(10 * READ_BYTES);
        let rounds = (0..1000).take_while(|_| {
            peer.give(&[0; READ_BYTES]);
            link.poll_close(&mut cx, &mut closing).is_pending()
        });
        assert_eq!(rounds.count(), 10);
    }
}
