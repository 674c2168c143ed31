//! A session: the server's side of one connection.
//!
//! Commands take effect in the order in which they came, and many are under way at once:
//!
//! ```text
//!   block ─▶ parse ─▶ look up ─▶ verify ─▶ broker, store ─▶ answers of the block ─▶ block
//!               └──────────────────┴─▶ errors, sent first
//! ```
//!
//! A command that is verified is given to the broker at once, behind those before it; the store checks the right again
//! when it is the command's turn. A command that is *not* verified may only be too early: the key that it needs may be set
//! by a command before it. So it is refused only when nothing before it is under way, after one more look.

mod answers;
mod counting;
mod create;
mod names;
mod output;
mod pipeline;
mod proxied;
mod relay;
mod service;
mod verify;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::ServerConfig;
use super::broker::{BrokerReply, BrokerRequest, Request, Tag};
use super::proxy::{ProxyReply, ProxyRequest};
use super::statistics::Counter;
use super::store::{Found, QueueKey, StoreFailure};
use crate::entropy::SeededEntropy;
use crate::time::{Now, Timestamp};
use crate::transport::block::BLOCK_LEN;
use crate::transport::{Parameters, Transport, TransportEvent};
use crate::wire::error::NameError;
use crate::wire::names::{Name, NameRecord};
use answers::{Group, GroupId, Pending};
use output::Outbox;
use pipeline::Entry;
use proxied::Proxied;
use relay::Forwarded;
use verify::Verifier;

/// Names a look-up of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LookUpId(pub u64);

/// Names a question to the resolver of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ResolveId(pub u64);

/// An input of a [`Session`].
pub enum SessionInput<'a> {
    /// Bytes from the socket.
    Received(&'a [u8]),
    /// The peer closed its side.
    Eof,
    /// The socket took this many of the bytes of [`SessionOutput::Send`], in order.
    Sent(usize),
    /// The records of a [`SessionOutput::LookUp`], in the order of its keys.
    LookedUp(LookUpId, Result<Vec<Found>, StoreFailure>),
    /// A reply of the broker.
    FromBroker(BrokerReply),
    /// What the resolver found for a [`SessionOutput::Resolve`].
    Resolved(ResolveId, Result<Box<NameRecord>, NameError>),
    /// A reply of the proxy.
    FromProxy(ProxyReply),
    /// The time of `poll_timeout` came.
    Timeout,
    /// The server stops: take no more commands, answer those that run, then close.
    Stop,
}

/// An effect that the shell carries out, in order.
pub enum SessionOutput {
    /// Write these bytes to the socket.
    Send(Vec<u8>),
    /// Look these queues up in the store.
    LookUp(LookUpId, Vec<QueueKey>),
    /// Have this name resolved, in bounded time. Only when [`ServerConfig::names`] is set.
    Resolve(ResolveId, Name),
    /// Hand this to the broker.
    ToBroker(BrokerRequest),
    /// Hand this to the proxy.
    ToProxy(ProxyRequest),
    /// Write what was given out before, then close the socket. Nothing follows.
    Close(CloseReason),
    /// Something that an operator may want to count.
    Event(SessionEvent),
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The peer closed the connection.
    PeerClosed,
    /// The handshake failed or took too long.
    Handshake,
    /// The peer broke TLS.
    Transport,
    /// The peer did not take its output for too long.
    Stalled,
    /// The peer began a block and did not finish it for too long.
    Unfinished,
    /// Nothing was heard of the peer for too long, and it is subscribed to nothing.
    Idle,
    /// The server stops.
    Stopped,
}

/// Something that happened in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The handshake is done; the agreed version.
    Ready(u16),
    /// Something happened so many times, of which there is a counter.
    Counted(Counter, u64),
}

/// The session machine: see the [module](super) for how it is driven. The documentation of the crate has one with its broker and store.
///
/// ```
/// # #[cfg(feature = "tls")] {
/// use std::sync::Arc;
///
/// use smp_core::server::{CloseReason, ServerConfig, Session, SessionInput, SessionOutput};
/// use smp_core::transport::{ServerOptions, ServerTransportConfig, Transport};
/// use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};
///
/// let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
/// # use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
/// # let mut entropy = SeededEntropy::new([42; 32]);
/// # let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now.unix).unwrap();
/// # let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
/// # let issued = authority.issue(subject, &mut entropy, now.unix).unwrap();
/// # let chain = vec![issued.certificate, authority.certificate().clone()];
/// # let identity = ServerIdentity::new(chain, issued.key, now.unix).unwrap();
/// let transport = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
/// let transport = Transport::server(transport, entropy.fork_seed(), now);
/// let mut session = Session::new(Arc::new(ServerConfig::default()), transport, entropy.fork_seed(), now);
///
/// // A peer that says nothing is not waited for.
/// let late = now.advanced_to(session.poll_timeout().unwrap());
/// session.handle(late, SessionInput::Timeout);
/// let mut reason = None;
/// while let Some(output) = session.poll_output() {
///     if let SessionOutput::Close(why) = output {
///         reason = Some(why);
///     }
/// }
/// assert_eq!(reason, Some(CloseReason::Handshake));
/// # }
/// ```
pub struct Session {
    config: Arc<ServerConfig>,
    now: Now,
    entropy: SeededEntropy,
    transport: Transport,
    /// What the handshake agreed on; `None` before.
    verifier: Option<Verifier>,
    /// Commands that were read and not decided on.
    pipeline: VecDeque<Entry>,
    /// Bytes of commands that were read and not answered.
    input_bytes: usize,
    look_up: Option<LookUpId>,
    last_look_up: u64,
    /// Commands that the broker has.
    pending: BTreeMap<Tag, Pending>,
    last_tag: Tag,
    /// Names that are being resolved.
    resolving: BTreeMap<ResolveId, Pending>,
    last_resolve: u64,
    groups: BTreeMap<GroupId, Group>,
    last_group: GroupId,
    requests: Vec<Request>,
    outbox: Outbox,
    outputs: VecDeque<SessionOutput>,
    last_heard: Timestamp,
    idle_check_due: Option<Timestamp>,
    /// Since when a part of a block is held while nothing else of the peer is worked on.
    part_since: Option<Timestamp>,
    /// When commands that had to wait for the processor go on.
    work_due: Option<Timestamp>,
    verifications: u64,
    /// Commands that the peer forwarded lately.
    forwarded: Forwarded,
    /// Commands that wait for relays.
    proxied: Proxied,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// No more commands are read; when all are answered it closes for this reason.
    Stopping(CloseReason),
    Closed,
}

impl Session {
    /// A session that waits for the first bytes of its peer.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, mut transport: Transport, seed: [u8; 32], now: Now) -> Self {
        transport.finish_handshake_by(now.mono + config.limits.handshake_timeout);
        Self {
            forwarded: Forwarded::new(config.limits.forwarded_keys),
            proxied: Proxied::default(),
            config,
            now,
            entropy: SeededEntropy::new(seed),
            transport,
            verifier: None,
            pipeline: VecDeque::new(),
            input_bytes: 0,
            look_up: None,
            last_look_up: 0,
            pending: BTreeMap::new(),
            last_tag: 0,
            resolving: BTreeMap::new(),
            last_resolve: 0,
            groups: BTreeMap::new(),
            last_group: 0,
            requests: Vec::new(),
            outbox: Outbox::default(),
            outputs: VecDeque::new(),
            last_heard: now.mono,
            idle_check_due: None,
            part_since: None,
            work_due: None,
            verifications: 0,
            state: State::Running,
        }
    }

    /// Takes an input. After [`SessionOutput::Close`] inputs have no effect.
    pub fn handle(&mut self, now: Now, input: SessionInput<'_>) {
        if self.state == State::Closed {
            return;
        }
        self.now = Now { mono: self.now.mono.max(now.mono), unix: now.unix };
        match input {
            SessionInput::Received(bytes) => {
                self.last_heard = self.now.mono;
                if self.transport.receive(self.now, bytes).is_err() {
                    self.transport_failed();
                }
            }
            SessionInput::Eof => self.close(CloseReason::PeerClosed),
            SessionInput::Sent(count) => self.sent(count),
            SessionInput::LookedUp(id, records) => self.looked_up(id, records),
            SessionInput::FromBroker(BrokerReply(replies)) => {
                replies.into_iter().for_each(|reply| self.reply(reply));
                self.free_slots();
            }
            SessionInput::Resolved(id, found) => self.resolved(id, found),
            SessionInput::FromProxy(reply) => self.proxy_answered(reply),
            SessionInput::Timeout => self.work_due = None,
            SessionInput::Stop => self.stop(CloseReason::Stopped),
        }
        self.run_timers();
        self.advance();
    }

    /// The next effect.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// When to call `handle` with [`SessionInput::Timeout`]; at once while there is output.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if !self.outputs.is_empty() {
            return Some(self.now.mono);
        }
        if self.state == State::Closed {
            return None;
        }
        let stalled = self.outbox.waits_since().map(|since| since + self.config.limits.stalled_output);
        let part = self.part_since.map(|since| since + self.config.limits.stalled_input);
        let due = [self.transport.poll_timeout(), stalled, part, self.idle_check_due, self.work_due];
        due.into_iter().flatten().min()
    }

    /// Whether commands wait for the processor. The shell gives other connections their turn, then calls `handle` with
    /// [`SessionInput::Timeout`], which is due as soon as time has passed.
    #[must_use]
    pub const fn has_work(&self) -> bool {
        self.work_due.is_some()
    }

    /// Bytes of commands that wait for an answer, those with the proxy among them, and of output that waits for the socket.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.input_bytes + self.proxied.bytes() + self.outbox.len()
    }

    /// How many verifications of authorisations the peer has cost so far.
    #[must_use]
    pub const fn verifications(&self) -> u64 {
        self.verifications
    }

    /// Whether to read from the socket: not while the peer's commands or its output fill their limits.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        let limits = &self.config.limits;
        self.state == State::Running
            && self.work_due.is_none()
            && self.pipeline.len() + self.pending.len() + self.resolving.len() + self.proxied.len()
                < limits.commands_in_flight
            && self.input_bytes < limits.input_bytes
            // Each block that is not answered will be answered by one at least. Names that are being resolved are left out:
            // a few slow ones would stop the connection, which may be that of a proxy and many people's.
            && self.outbox.len() + self.groups.len() * BLOCK_LEN < limits.output_bytes
    }

    /// Does what has become possible, and gives out what came of it.
    fn advance(&mut self) {
        self.take_events();
        if self.state == State::Closed {
            // A timer may have come due after the end. Nothing follows `Close`: it would make the connection known again.
            self.requests.clear();
            return;
        }
        if self.work_due.is_none() {
            self.decide();
        }
        if !self.requests.is_empty() {
            let requests = core::mem::take(&mut self.requests);
            self.outputs.push_back(SessionOutput::ToBroker(BrokerRequest(requests)));
        }
        self.transmit();
        self.watch_part();
        if let State::Stopping(reason) = self.state
            && self.pipeline.is_empty()
            && self.pending.is_empty()
            // Whoever has gone does not wait for a relay or a resolver, which may take long.
            && (self.resolving.is_empty() && self.proxied.len() == 0 || reason == CloseReason::PeerClosed)
        {
            self.close(reason);
        }
    }

    fn take_events(&mut self) {
        while self.state != State::Closed
            && let Some(event) = self.transport.poll_event()
        {
            match event {
                TransportEvent::Ready(parameters) => self.ready(*parameters),
                TransportEvent::Block(content) => self.take_block(Some(&content)),
                TransportEvent::BadBlock => self.take_block(None),
                TransportEvent::Service(service) => self.find_service(&service),
                // What the peer said before it said that it ends still counts.
                TransportEvent::Closed => self.stop(CloseReason::PeerClosed),
            }
        }
    }

    fn ready(&mut self, parameters: Parameters) {
        self.outputs.push_back(SessionOutput::Event(SessionEvent::Ready(parameters.version.0)));
        self.verifier = Some(Verifier::new(parameters));
        self.set_idle_check();
    }

    /// Never at once: a timer that does not move would be due for ever.
    fn set_idle_check(&mut self) {
        let check_interval = self.config.idle_clients.map(|idle| idle.check_interval.max(CHECK_INTERVAL_MIN));
        self.idle_check_due = check_interval.map(|interval| self.now.mono + interval);
    }

    /// Remembers since when a part of a block is held for nothing.
    fn watch_part(&mut self) {
        let holds_part =
            self.state == State::Running && self.verifier.is_some() && self.transport.holds_part();
        let since = self.part_since.filter(|_| self.queued_bytes() == 0).unwrap_or(self.now.mono);
        self.part_since = holds_part.then_some(since);
    }

    /// The broker says that the peer is subscribed to nothing; it may have sent something since it was asked.
    fn close_if_idle(&mut self) {
        let ttl = self.config.idle_clients.map(|idle| idle.ttl);
        if ttl.is_some_and(|ttl| self.now.mono.since(self.last_heard) >= ttl) {
            self.close(CloseReason::Idle);
        }
    }

    fn run_timers(&mut self) {
        let now = self.now.mono;
        if self.transport.poll_timeout().is_some_and(|due| due <= now)
            && self.transport.handle_timeout(self.now).is_err()
        {
            self.transport_failed();
        }
        let stalled = self.config.limits.stalled_output;
        if self.outbox.waits_since().is_some_and(|since| since + stalled <= now) {
            self.close(CloseReason::Stalled);
        }
        let stalled = self.config.limits.stalled_input;
        if self.queued_bytes() == 0 && self.part_since.is_some_and(|since| since + stalled <= now) {
            self.close(CloseReason::Unfinished);
        }
        if let Some(idle) = self.config.idle_clients
            && self.idle_check_due.is_some_and(|due| due <= now)
        {
            self.set_idle_check();
            if now.since(self.last_heard) >= idle.ttl {
                self.requests.push(Request::CloseIfUnsubscribed);
            }
        }
    }

    /// Takes no more commands.
    fn stop(&mut self, reason: CloseReason) {
        if self.state == State::Running {
            self.state = State::Stopping(reason);
        }
    }

    /// The transport may still have an alert to send.
    fn transport_failed(&mut self) {
        self.transmit();
        let ready = self.verifier.is_some();
        self.close(if ready { CloseReason::Transport } else { CloseReason::Handshake });
    }

    fn close(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.transport.close();
        self.transmit();
        self.state = State::Closed;
        self.pipeline.clear();
        self.pending.clear();
        self.resolving.clear();
        self.groups.clear();
        self.proxied = Proxied::default();
        self.input_bytes = 0;
        self.work_due = None;
        self.outputs.push_back(SessionOutput::Close(reason));
    }
}

/// How often at most it is looked at whether a connection is idle.
const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// After how long commands that had to wait for the processor go on: so little that no clock waits for it, but not nothing,
/// because a timer that fired must move.
pub(super) const BREATH: Duration = Duration::from_micros(1);
