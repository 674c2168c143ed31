//! One connection of the web.

use std::task::{Context, Poll, ready};

use smp_core::Timestamp;
use smp_core::server::Limits;

use super::Handler;
use super::channel::{Broken, Channel};
use super::exchange::Exchange;
use crate::Runtime;
use crate::link::{Closing, Link};
use crate::timer::Timer;

/// A socket, its layer and its exchange. Output comes before input, so a peer that takes nothing is not read.
pub(crate) struct HttpConnection<R: Runtime> {
    link: Link<R::Stream>,
    channel: Channel,
    exchange: Exchange,
    runtime: R,
    timer: Timer<R>,
    limits: Limits,
    /// The peer has not ended its side.
    open: bool,
    /// When what is awaited now has to be there: a request, or room for a piece of a response.
    deadline: Timestamp,
    closing: Option<Closing>,
}

/// What one step of a connection did.
enum Step {
    /// Something; there may be more to do.
    Progress,
    /// Nothing: the task waits.
    Idle,
    /// The exchange is over, and its last words are in the link.
    Done,
    /// The socket failed or the time is over.
    Cut,
}

impl<R: Runtime> HttpConnection<R> {
    /// A connection whose first bytes, which may be none, were read already.
    pub(crate) fn new(
        link: Link<R::Stream>,
        channel: Channel,
        handler: Handler,
        runtime: R,
        limits: Limits,
        first: &[u8],
    ) -> Self {
        let mut connection = Self {
            link,
            channel,
            exchange: Exchange::new(handler, &limits),
            timer: Timer::new(runtime.clone()),
            deadline: runtime.now().mono + limits.http_timeout,
            runtime,
            limits,
            open: true,
            closing: None,
        };
        let Self { channel, exchange, .. } = &mut connection;
        let received = channel.receive(first, |plain| exchange.receive(plain));
        connection.received(received);
        connection
    }

    /// Serves the connection to its end. When the server stops, what is under way is finished.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, stopping: bool) -> Poll<()> {
        if stopping {
            self.exchange.finish();
        }
        for _ in 0..self.limits.rounds_in_turn {
            if self.closing.is_some() {
                return self.poll_close(cx);
            }
            match self.step(cx) {
                Step::Progress => {}
                Step::Idle => return Poll::Pending,
                Step::Done => self.close(),
                Step::Cut => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        if self.timer.poll(cx, Some(self.deadline)).is_ready() {
            return Step::Cut;
        }
        if self.link.queued() > 0 {
            return match self.link.poll_write(cx) {
                Poll::Ready(Ok(_)) => Step::Progress,
                Poll::Ready(Err(_)) => Step::Cut,
                Poll::Pending => Step::Idle,
            };
        }
        let now = self.runtime.now();
        if let Some(piece) = self.exchange.poll_output(now.unix) {
            self.channel.send(&piece);
            self.link.send(self.channel.transmit());
            self.deadline = now.mono + self.limits.http_timeout;
            return Step::Progress;
        }
        if self.exchange.is_done() || !self.open { Step::Done } else { self.read(cx) }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Step {
        let Self { link, channel, exchange, .. } = self;
        let mut received = Ok(true);
        let read =
            link.poll_read(cx, |bytes| received = channel.receive(bytes, |plain| exchange.receive(plain)));
        match read {
            Poll::Pending => return Step::Idle,
            Poll::Ready(Ok(true)) => self.received(received),
            Poll::Ready(Ok(false)) => self.open = false,
            Poll::Ready(Err(_)) => return Step::Cut,
        }
        Step::Progress
    }

    /// Sends what the layer has to say, and takes note of its end. What was asked before that is still answered.
    fn received(&mut self, received: Result<bool, Broken>) {
        self.link.send(self.channel.transmit());
        match received {
            Ok(open) => self.open = open,
            Err(_) => {
                self.open = false;
                self.exchange.finish();
            }
        }
    }

    fn close(&mut self) {
        self.channel.close();
        self.link.send(self.channel.transmit());
        self.deadline = self.runtime.now().mono + self.limits.closing_timeout;
        self.closing = Some(Closing::new(self.limits.closing_input));
    }

    /// Writes the last output and waits for the end of the peer, for as long as the limits allow.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(closing) = &mut self.closing else { return Poll::Ready(()) };
        if self.timer.poll(cx, Some(self.deadline)).is_pending() {
            // An error ends the connection, which is what was wanted.
            _ = ready!(self.link.poll_close(cx, closing));
        }
        Poll::Ready(())
    }
}
