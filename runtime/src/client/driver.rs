//! The task of a connection to a server.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use smp_core::client::{Client as Machine, ClientInput, ClientOutput, CloseReason, RequestError};
use smp_core::server::proxy::RelayParameters;
use smp_core::wire::{EntityId, Version};

use super::Disconnect;
use super::shared::{Shared, Wish};
use crate::Runtime;
use crate::link::{Closing, Link};
use crate::timer::Timer;

/// A connection: the machine, its socket and what it shares with the caller.
///
/// In each round commands are taken first, then output is written, then the time is told, and then more is
/// read, while the machine wants it and the caller takes its events. It is used in a box, because the futures
/// of its methods would hold it several times over.
pub(super) struct Driver<R: Runtime> {
    machine: Machine,
    link: Link<R::Stream>,
    shared: Arc<Shared>,
    runtime: R,
    timer: Timer<R>,
    /// How long the last output may take.
    closing: Duration,
    wishes: Vec<Wish>,
    closing_told: bool,
    connected: Option<Version>,
    /// Why the socket failed.
    failure: Option<io::ErrorKind>,
    closed: Option<CloseReason>,
}

impl<R: Runtime> Driver<R> {
    pub(super) fn new(
        runtime: R,
        machine: Machine,
        stream: R::Stream,
        shared: Arc<Shared>,
        closing: Duration,
    ) -> Box<Self> {
        Box::new(Self {
            machine,
            link: Link::new(stream),
            shared,
            timer: Timer::new(runtime.clone()),
            runtime,
            closing,
            wishes: Vec::new(),
            closing_told: false,
            connected: None,
            failure: None,
            closed: None,
        })
    }

    /// Drives the connection until the handshake is done.
    pub(super) async fn connect(&mut self) -> Result<Version, Disconnect> {
        self.carry_out();
        poll_fn(|cx| {
            self.poll_rounds(cx, |driver| match (driver.connected, driver.end()) {
                (_, Some(how)) => Some(Err(how)),
                (Some(version), None) => Some(Ok(version)),
                (None, None) => None,
            })
        })
        .await
    }

    /// The id by which the server knows the service that the connection is.
    pub(super) fn service(&self) -> Option<EntityId> {
        Some(self.machine.session()?.service.as_ref()?.id.clone())
    }

    /// What the handshake agreed on, for the clients of a proxy.
    pub(super) fn session(&self) -> Option<RelayParameters> {
        let session = self.machine.session()?;
        Some(RelayParameters {
            session_id: session.session_id.clone(),
            versions: session.versions,
            server_auth: session.server_auth.clone(),
        })
    }

    /// Drives the connection to its end.
    pub(super) async fn run(mut self: Box<Self>) {
        let how = poll_fn(|cx| self.poll_rounds(cx, Self::end)).await;
        // Every command that the machine took has an answer. What is left came after its end.
        self.shared.end(how.clone(), &RequestError::NotSent);
        if how != Disconnect::Closed(CloseReason::Stalled) {
            self.close().await;
        }
    }

    /// Goes on until `done` has a result, but not for so long that other tasks must wait.
    fn poll_rounds<T>(&mut self, cx: &mut Context<'_>, done: impl Fn(&Self) -> Option<T>) -> Poll<T> {
        for _ in 0..ROUNDS {
            let progress = self.round(cx);
            if let Some(result) = done(self) {
                return Poll::Ready(result);
            }
            if !progress {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn round(&mut self, cx: &mut Context<'_>) -> bool {
        let told = self.take_wishes(cx);
        let wrote = self.write(cx);
        let fired = self.check_time(cx);
        let read = self.read(cx);
        told | wrote | fired | read
    }

    /// Gives the machine all commands before its output is taken, so that they share blocks.
    fn take_wishes(&mut self, cx: &Context<'_>) -> bool {
        let close = self.shared.take_wishes(cx, &mut self.wishes) && !self.closing_told;
        if self.wishes.is_empty() && !close {
            return false;
        }
        let now = self.runtime.now();
        for wish in self.wishes.drain(..) {
            let input = match wish {
                Wish::Command(id, request) => ClientInput::Command(id, *request),
                Wish::Cancel(id) => ClientInput::Cancel(id),
            };
            self.machine.handle(now, input);
        }
        self.carry_out();
        if close {
            self.closing_told = true;
            self.input(ClientInput::Close);
        }
        true
    }

    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while self.closed.is_none()
            && let Poll::Ready(written) = self.link.poll_write(cx)
        {
            progress = true;
            match written {
                Ok(written) => self.input(ClientInput::Sent(written)),
                Err(error) => self.fail(&error),
            }
        }
        progress
    }

    fn check_time(&mut self, cx: &mut Context<'_>) -> bool {
        if self.closed.is_some() || self.timer.poll(cx, self.machine.poll_timeout()).is_pending() {
            return false;
        }
        self.input(ClientInput::Timeout);
        true
    }

    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.closed.is_some() || !self.machine.wants_input() || !self.shared.has_room() {
            return false;
        }
        let Self { link, machine, runtime, .. } = self;
        let read = link.poll_read(cx, |bytes| {
            let input = if bytes.is_empty() { ClientInput::Eof } else { ClientInput::Received(bytes) };
            machine.handle(runtime.now(), input);
        });
        match read {
            Poll::Pending => return false,
            Poll::Ready(Ok(_)) => self.carry_out(),
            Poll::Ready(Err(error)) => self.fail(&error),
        }
        true
    }

    /// The socket failed: for the machine that is the end of the stream, and it answers all commands.
    fn fail(&mut self, error: &io::Error) {
        self.failure = self.failure.or_else(|| Some(error.kind()));
        self.input(ClientInput::Eof);
    }

    fn input(&mut self, input: ClientInput<'_>) {
        self.machine.handle(self.runtime.now(), input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let (mut outcomes, mut events) = (Vec::new(), Vec::new());
        while let Some(output) = self.machine.poll_output() {
            match output {
                ClientOutput::Send(bytes) => self.link.send(bytes),
                ClientOutput::Connected(version) => self.connected = Some(version),
                ClientOutput::Answer(id, outcome) => outcomes.push((id, outcome)),
                ClientOutput::Event(event) => events.push(event),
                ClientOutput::Close(reason) => _ = self.closed.get_or_insert(reason),
            }
        }
        if !outcomes.is_empty() || !events.is_empty() {
            self.shared.deliver(outcomes, events);
        }
    }

    fn end(&self) -> Option<Disconnect> {
        let reason = self.closed.clone()?;
        Some(self.failure.map_or(Disconnect::Closed(reason), Disconnect::Io))
    }

    /// Writes the last output and waits for the server to end its side, not for long.
    pub(super) async fn close(mut self: Box<Self>) {
        let deadline = self.runtime.now().mono + self.closing;
        let mut closing = Closing::new(CLOSING_INPUT);
        poll_fn(|cx| match self.timer.poll(cx, Some(deadline)) {
            Poll::Ready(()) => Poll::Ready(()),
            // An error ends the connection, which is what was wanted.
            Poll::Pending => self.link.poll_close(cx, &mut closing).map(|_| ()),
        })
        .await;
    }
}

/// A task that is dropped or panics leaves nobody waiting.
impl<R: Runtime> Drop for Driver<R> {
    fn drop(&mut self) {
        self.shared.end(self.end().unwrap_or(Disconnect::Cut), &RequestError::OutcomeUnknown);
    }
}

/// Bytes that the server may go on sending after the end, 1 MiB.
const CLOSING_INPUT: usize = 1024 * 1024;
/// How many rounds a connection may make before other tasks get their turn. A round reads two blocks at most.
const ROUNDS: usize = 16;
