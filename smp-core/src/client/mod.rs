//! The client: one session with one server.
//!
//! ```text
//!   caller ── Command, Cancel ──▶ Outbox ── blocks ──▶ Written ── bytes ──▶ socket
//!     ▲                             (lanes)    │       (what the socket took)
//!     │                                        ▼
//!     └── Answer, Event ◀────────────────── Flight ◀── blocks ─────────── socket
//!                                   (deadlines, late answers)
//! ```
//!
//! [`Client`] is a machine: its documentation tells how to drive it. [`ServerTest`] drives one through the life of a
//! queue to find out whether a server works.

mod answer;
mod error;
mod event;
mod flight;
mod keep_alive;
mod limits;
mod outbox;
mod received;
mod receiving;
mod relay;
mod request;
mod sending;
mod server_test;
mod written;

use std::collections::{BTreeMap, VecDeque};

pub use answer::Answer;
pub use error::{CloseReason, Rejection, RequestError};
pub use event::ClientEvent;
pub use limits::ClientLimits;
pub use received::{Notification, OpenError, QueueKeys, ReceivedMessage};
pub use relay::Relay;
pub use request::Request;
pub use server_test::{ServerTest, TestError, TestFailure, TestInput, TestOutput, TestStep};

use self::flight::Flight;
use self::keep_alive::{Due, KeepAlive};
use self::outbox::{Lane, Outbox};
use self::receiving::Kind;
use self::sending::Waiting;
use self::written::Written;
use crate::entropy::SeededEntropy;
use crate::time::{Now, Timestamp};
use crate::transport::{Parameters, Transport};
use crate::wire::{CorrelationId, Version};

/// Names a command of the caller. It may be used again when the command was answered or cancelled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub u64);

/// An input of a [`Client`].
#[expect(clippy::large_enum_variant, reason = "an input is handed over at once and never stored")]
pub enum ClientInput<'a> {
    /// Bytes from the socket.
    Received(&'a [u8]),
    /// The server closed its side.
    Eof,
    /// The socket took this many of the bytes of [`ClientOutput::Send`], in order.
    Sent(usize),
    /// The time of `poll_timeout` came.
    Timeout,
    /// A request. It is answered exactly once with the same id, unless it is cancelled.
    Command(CommandId, Request),
    /// The answer is no longer wanted; there will be none. A command that was not sent yet will not be.
    Cancel(CommandId),
    /// End the connection.
    Close,
}

/// An effect that the shell carries out, in order.
pub enum ClientOutput {
    /// Write these bytes to the socket: one block, or a step of the handshake. Tell with [`ClientInput::Sent`] when
    /// the socket took them: the time that an answer may take runs from then.
    Send(Vec<u8>),
    /// The handshake is done; the agreed version.
    Connected(Version),
    /// The result of a command.
    Answer(CommandId, Result<Answer, RequestError>),
    /// Something that happened on the connection.
    Event(ClientEvent),
    /// Write what was given out before, then close the socket. All commands are answered; nothing follows but the
    /// rejections of further ones.
    Close(CloseReason),
}

/// The client machine.
///
/// After each `handle`, or after several that give commands to be sent together, drain `poll_output` until it returns
/// `None`. Commands become blocks while the outputs are drained, as few blocks as possible, and only while the socket
/// keeps up.
///
/// The order of commands about one entity is kept, and no two of them share a block, because a server may carry out
/// the commands of a block in any order. A queue has several entity ids: a command that needs the effect of one about
/// another id (SEND after KEY) must wait for its answer.
///
/// ```
/// use smp_core::client::{Client, ClientInput, ClientOutput};
/// use smp_core::Now;
///
/// /// Carries out what is due: the whole of a shell, but for the socket, the clock and the caller.
/// fn drain(client: &mut Client, now: Now, mut write: impl FnMut(&[u8]) -> usize) {
///     while let Some(output) = client.poll_output() {
///         match output {
///             ClientOutput::Send(bytes) => {
///                 let taken = write(&bytes);
///                 client.handle(now, ClientInput::Sent(taken));
///             }
///             ClientOutput::Close(_) => { /* close the socket */ }
///             ClientOutput::Connected(_) | ClientOutput::Answer(..) | ClientOutput::Event(_) => { /* the caller's */ }
///         }
///     }
///     // Now wait for bytes while `client.wants_input()`, for commands, and until `client.poll_timeout()`.
/// }
/// ```
pub struct Client {
    limits: ClientLimits,
    entropy: SeededEntropy,
    transport: Transport,
    phase: Phase,
    outbox: Outbox<Waiting>,
    /// Bytes of large parameters in `outbox`.
    waiting_bytes: usize,
    /// A PING is due and was not put into a block yet.
    ping: bool,
    written: Written,
    flight: Flight<Kind>,
    /// The commands without an answer, and where they are.
    places: BTreeMap<CommandId, Place>,
    keep_alive: KeepAlive,
    counters: ClientCounters,
    outputs: VecDeque<ClientOutput>,
    now: Now,
}

/// How far the connection is.
enum Phase {
    Connecting,
    Ready(Box<Parameters>),
    Closed,
}

/// Where a command is that was not answered.
enum Place {
    Waiting(Lane),
    Flying(CorrelationId),
}

/// What came and was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ClientCounters {
    /// Answers to commands that timed out or were cancelled.
    pub late_answers: u64,
    /// Answers to nothing that is remembered.
    pub unknown_answers: u64,
}

impl Client {
    /// A client at the start of a connection. What `transport` says first is the first output.
    #[must_use]
    pub fn new(limits: ClientLimits, transport: Transport, seed: [u8; 32], now: Now) -> Self {
        let mut client = Self {
            limits,
            entropy: SeededEntropy::new(seed),
            transport,
            phase: Phase::Connecting,
            outbox: Outbox::new(),
            waiting_bytes: 0,
            ping: false,
            written: Written::new(),
            flight: Flight::new(limits.late_answers),
            places: BTreeMap::new(),
            keep_alive: KeepAlive::new(now.mono),
            counters: ClientCounters::default(),
            outputs: VecDeque::new(),
            now,
        };
        client.advance();
        client
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Now, input: ClientInput<'_>) {
        // Time that goes backwards is a fault of the shell's clock; deadlines must not move for it.
        self.now = Now { mono: self.now.mono.max(now.mono), unix: now.unix };
        match input {
            ClientInput::Command(id, request) => return self.accept(id, request),
            ClientInput::Cancel(id) => return self.cancel(id),
            _ if self.is_closed() => return,
            ClientInput::Received(bytes) => self.received(bytes),
            ClientInput::Eof => self.close(CloseReason::ServerClosed),
            ClientInput::Sent(bytes) => self.sent(bytes),
            ClientInput::Timeout => self.time_passed(),
            ClientInput::Close => self.close(CloseReason::Requested),
        }
        self.advance();
    }

    /// The next effect.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        while self.outputs.is_empty() && self.can_send() {
            self.send_block();
        }
        self.outputs.pop_front()
    }

    /// When to call `handle` with [`ClientInput::Timeout`]; at once while effects wait to be carried out.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if !self.outputs.is_empty() || self.can_send() {
            return Some(self.now.mono);
        }
        if self.is_closed() {
            return None;
        }
        let timeouts = [
            self.transport.poll_timeout(),
            self.flight.timeout(),
            self.written.timeout(self.limits.stalled_output),
            self.keep_alive.timeout(&self.limits),
        ];
        timeouts.into_iter().flatten().min()
    }

    /// Whether to read from the socket: no while outputs wait, so that a slow caller slows the server down.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.outputs.is_empty() && !self.is_closed()
    }

    /// Commands that were not answered yet.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.places.len()
    }

    /// What the handshake agreed on, while the connection is ready.
    #[must_use]
    pub fn session(&self) -> Option<&Parameters> {
        match &self.phase {
            Phase::Ready(parameters) => Some(parameters),
            Phase::Connecting | Phase::Closed => None,
        }
    }

    /// What came and was dropped.
    #[must_use]
    pub const fn counters(&self) -> ClientCounters {
        self.counters
    }

    /// Takes a request in, or answers why not.
    fn accept(&mut self, id: CommandId, request: Request) {
        if let Err(rejection) = self.admit(id, &request) {
            self.outputs.push_back(ClientOutput::Answer(id, Err(rejection.into())));
            return;
        }
        self.waiting_bytes += request.size();
        let entity = request.sent_about();
        let lane = self.outbox.push(&entity, id, Waiting::new(request));
        self.places.insert(id, Place::Waiting(lane));
    }

    fn admit(&self, id: CommandId, request: &Request) -> Result<(), Rejection> {
        if self.is_closed() {
            return Err(Rejection::Closed);
        }
        if self.places.contains_key(&id) {
            return Err(Rejection::IdInUse);
        }
        if self.places.len() >= self.limits.commands {
            return Err(Rejection::TooManyCommands);
        }
        if self.waiting_bytes.saturating_add(request.size()) > self.limits.waiting_bytes {
            return Err(Rejection::TooManyBytes);
        }
        request.check()
    }

    fn cancel(&mut self, id: CommandId) {
        match self.places.remove(&id) {
            Some(Place::Waiting(lane)) => {
                if let Some(waiting) = self.outbox.remove(&lane, id) {
                    self.waiting_bytes -= waiting.size();
                }
            }
            Some(Place::Flying(correlation)) => self.flight.cancel(correlation),
            None => {}
        }
    }

    /// The socket took bytes: the answers to what is in the blocks that are now written may be waited for.
    fn sent(&mut self, bytes: usize) {
        self.written.take(bytes, self.now.mono);
        while let Some(commands) = self.written.next_block() {
            for correlation in &commands {
                self.flight.written(correlation, self.now.mono);
            }
        }
    }

    fn time_passed(&mut self) {
        let now = self.now.mono;
        if self.transport.poll_timeout().is_some_and(|at| at <= now)
            && let Err(fault) = self.transport.handle_timeout(self.now)
        {
            return self.close(CloseReason::Transport(fault));
        }
        while let Some(id) = self.flight.expire(now) {
            self.keep_alive.missed();
            self.answer(id, Err(RequestError::Timeout));
        }
        let stalled = self.written.timeout(self.limits.stalled_output).is_some_and(|at| at <= now);
        match self.keep_alive.due(now, &self.limits) {
            _ if stalled => self.close(CloseReason::Stalled),
            Due::GiveUp => self.close(CloseReason::Unresponsive),
            Due::Ping => self.ping = true,
            Due::Nothing => {}
        }
    }

    /// Gives the result of a command, if it is one of the caller's, and forgets it.
    fn answer(&mut self, id: Option<CommandId>, result: Result<Answer, RequestError>) {
        if let Some(id) = id {
            self.places.remove(&id);
            self.outputs.push_back(ClientOutput::Answer(id, result));
        }
    }

    /// Ends the connection and answers every command.
    fn close(&mut self, reason: CloseReason) {
        if self.is_closed() {
            return;
        }
        // What the transport still has to say, such as why it failed, goes before the end.
        self.transport.close();
        self.give_out(Vec::new());
        self.phase = Phase::Closed;
        for (id, _) in self.outbox.drain() {
            self.answer(Some(id), Err(RequestError::NotSent));
        }
        for command in self.flight.drain() {
            self.answer(command.id, Err(RequestError::OutcomeUnknown));
        }
        self.waiting_bytes = 0;
        self.outputs.push_back(ClientOutput::Close(reason));
    }

    const fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }
}

// Its peer is a real server's side, TLS included.
#[cfg(test)]
#[cfg(feature = "tls")]
mod tests;
