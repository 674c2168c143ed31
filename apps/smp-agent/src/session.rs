//! One client.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use smp_core::wire::agent_text::{AgentCommand, TextCorrelation, TextLimits, TextReader, Transmission};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::watch;

use crate::desk::{ClientId, Desk};
use crate::dispatch::{Answer, begin};
use crate::outbox::Outbox;

/// Serves a client to its end, or until it has to stop; then the commands that it gave are answered.
pub(crate) async fn talk(stream: TcpStream, desk: Arc<Desk>, stops: watch::Receiver<bool>) {
    // Answers are short and go out at once; a system that cannot do that is slower.
    let _ = stream.set_nodelay(true);
    let Some((client, outbox)) = desk.enter() else { return turn_away(stream).await };
    let session = Session {
        client,
        outbox,
        reader: TextReader::new(TextLimits::default()),
        buffer: vec![0; READ_BYTES],
        filled: 0,
        taken: 0,
        answers: Vec::new(),
        desk,
    };
    // A guard, because the task may be cut at any time.
    let _left = Leaving { desk: Arc::clone(&session.desk), client };
    // Whoever went away needs no answer.
    let _ = session.run(stream, stops).await;
}

struct Leaving {
    desk: Arc<Desk>,
    client: ClientId,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.desk.leave(self.client);
    }
}

struct Session {
    desk: Arc<Desk>,
    client: ClientId,
    outbox: Arc<Outbox>,
    reader: TextReader<AgentCommand>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were read, and of these that were taken.
    filled: usize,
    taken: usize,
    /// Commands without an answer, in their order.
    answers: Vec<(TextCorrelation, Answer)>,
}

impl Session {
    async fn run(mut self, stream: TcpStream, mut stops: watch::Receiver<bool>) -> io::Result<()> {
        let (mut input, mut output) = stream.into_split();
        let mut has_ended = false;
        loop {
            self.take_commands();
            let is_done = self.taken == self.filled && self.answers.is_empty() && self.outbox.is_empty();
            if has_ended && is_done {
                return output.shutdown().await;
            }
            let outbox = Arc::clone(&self.outbox);
            let wants_input = !has_ended && self.taken == self.filled;
            tokio::select! {
                bytes = outbox.next() => {
                    let Some(bytes) = bytes else { return Ok(()) };
                    tokio::select! {
                        written = output.write_all(&bytes) => written?,
                        () = outbox.cut() => return Ok(()),
                    }
                }
                () = next_answers(&mut self.answers, &self.outbox), if !self.answers.is_empty() => {}
                count = read(&mut input, &mut self.buffer), if wants_input => {
                    (self.taken, self.filled) = (0, count?);
                    has_ended = self.filled == 0;
                }
                () = told(&mut stops), if !has_ended => has_ended = true,
            }
        }
    }

    /// Begins the commands that were read, as many as may be under way.
    fn take_commands(&mut self) {
        while self.taken < self.filled && self.answers.len() < ANSWERS_MAX && !self.outbox.is_full() {
            let mut input = self.buffer.get(self.taken..self.filled).unwrap_or_default();
            let read = self.reader.read(&mut input);
            self.taken = self.filled - input.len();
            match read {
                Some(Ok(Transmission { correlation, connection, content })) => {
                    let answer = begin(&self.desk, self.client, connection, content);
                    self.answers.push((correlation, answer));
                }
                Some(Err(refused)) => self.outbox.answer(&refused.answer()),
                None => {}
            }
        }
    }
}

async fn read(input: &mut OwnedReadHalf, buffer: &mut [u8]) -> io::Result<usize> {
    input.read(buffer).await
}

/// Gives out the answers that are there, in the order of their commands, when there is one.
async fn next_answers(answers: &mut Vec<(TextCorrelation, Answer)>, outbox: &Outbox) {
    poll_fn(|cx| {
        let before = answers.len();
        answers.retain_mut(|(correlation, answer)| match answer.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready((connection, content)) => {
                outbox.answer(&Transmission {
                    correlation: std::mem::take(correlation),
                    connection,
                    content,
                });
                false
            }
        });
        if answers.len() < before { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits until it is told to stop.
async fn told(stops: &mut watch::Receiver<bool>) {
    // Whoever would tell so may be gone, which means the same.
    let _ = stops.wait_for(|stop| *stop).await;
}

/// Says why, if the system takes it at once.
async fn turn_away(mut stream: TcpStream) {
    let _ = stream.write_all(b"\r\n\r\nERR INTERNAL too many clients\r\n").await;
}

/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;
/// Commands of a client that may wait for their answers; further ones wait in the socket.
const ANSWERS_MAX: usize = 128;
