//! The proxy: the sessions with relays that all clients of the server share.
//!
//! ```text
//!   Session ── ProxyRequest ─▶ Proxy ── Connect, Forward, Disconnect ─▶ task of the relay ◀─ bytes ─▶ relay
//!   Session ◀── ProxyReply ─── Proxy ◀── Connected, Answered, Lost ────
//! ```
//!
//! It decides who waits for what, for how long, and how much; its steps are short and hold no cryptography, so that it can
//! be behind one lock. The layers of a forwarded command are the business of the relay's task: see
//! [`Request::forward`](crate::client::Request::forward).

mod event;
mod failures;
mod relay;
#[cfg(test)]
mod tests;

use core::fmt;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use event::{ProxyEvent, ProxyOutcome};
use failures::Failures;
use relay::{Flight, Ready, Relay, State};

use super::{ConnectionId, ServerConfig};
use crate::time::{Now, Timestamp};
use crate::wire::broker::{BrokerMessage, RelaySession};
use crate::wire::error::{BrokerErrorType, ErrorText, ErrorType, NetworkError, ProxyError, TransportError};
use crate::wire::{
    CertChainPubKey, EntityId, FwdResponse, FwdTransmission, ServerAddress, SessionId, Version, VersionRange,
};

/// Names a connection to a relay. Never used twice while the server runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RelayId(pub u64);

/// Names a command that is forwarded. Never used twice while the server runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ForwardId(pub u64);

/// What a session asks of the proxy; opaque to the shell.
pub struct ProxyRequest(pub(in crate::server) u64, pub(in crate::server) Wanted);

impl ProxyRequest {
    /// PRXY: a session with a relay. The reply repeats the number.
    #[must_use]
    pub const fn session(number: u64, relay: ServerAddress) -> Self {
        Self(number, Wanted::Session(relay))
    }

    /// PFWD: a command for the relay of the session that `session` names. The reply repeats the number.
    #[must_use]
    pub const fn forward(number: u64, session: EntityId, transmission: Box<FwdTransmission>) -> Self {
        Self(number, Wanted::Forward(session, transmission))
    }
}

/// What is asked of the proxy.
pub(in crate::server) enum Wanted {
    /// PRXY.
    Session(ServerAddress),
    /// PFWD: the entity, and the command as it is forwarded.
    Forward(EntityId, Box<FwdTransmission>),
}

/// What the proxy answers to a session; opaque to the shell. Each [`ProxyRequest`] is answered once.
pub struct ProxyReply(pub(in crate::server) u64, pub(in crate::server) BrokerMessage);

impl ProxyReply {
    /// The number of the request.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.0
    }

    /// The answer: PKEY, PRES or ERR.
    #[must_use]
    pub const fn message(&self) -> &BrokerMessage {
        &self.1
    }
}

/// A session with a relay, as its handshake left it.
#[derive(Clone)]
pub struct RelayParameters {
    /// The session id.
    pub session_id: SessionId,
    /// The versions that both sides speak.
    pub versions: VersionRange,
    /// The relay's certificates and signed key, if it has one.
    pub server_auth: Option<CertChainPubKey>,
}

/// An input of a [`Proxy`].
pub enum ProxyInput {
    /// A session asks for something.
    Request(ConnectionId, ProxyRequest),
    /// The connection of [`ProxyOutput::Connect`] stands.
    Connected(RelayId, RelayParameters),
    /// It cannot be made: what the client is told.
    ConnectFailed(RelayId, ErrorType),
    /// What came of a [`ProxyOutput::Forward`]; each has one, unless the relay is lost.
    Answered(RelayId, ForwardId, Result<FwdResponse, ErrorType>),
    /// The connection ended. Nothing about it follows.
    Lost(RelayId),
    /// The time of `poll_timeout` came.
    Timeout,
}

/// An effect that the shell carries out, in order.
pub enum ProxyOutput {
    /// Connect to this relay.
    Connect(RelayId, ServerAddress),
    /// Forward this, on a connection that stands.
    Forward(RelayId, ForwardId, Box<FwdTransmission>),
    /// End the connection, or the attempt. What is still said of it has no effect.
    Disconnect(RelayId),
    /// Hand this to the session of the connection, if there still is one.
    Reply(ConnectionId, ProxyReply),
    /// Something that an operator may want to count.
    Event(ProxyEvent),
}

/// The proxy machine; one for a server. After each `handle`, `poll_output` is called until it returns `None`.
///
/// ```
/// use std::sync::Arc;
///
/// use smp_core::Now;
/// use smp_core::server::proxy::{Proxy, ProxyInput, ProxyOutput, ProxyRequest};
/// use smp_core::server::{ConnectionId, ServerConfig};
/// use smp_core::wire::{ServerAddress, Version};
///
/// let now = Now::default();
/// let mut proxy = Proxy::new(Arc::new(ServerConfig::default()), Version::MAX, now);
/// // Two clients ask for a session with the same relay: one connection serves both.
/// let relay = ServerAddress::new(vec!["relay.example.com".parse()?], None, [7; 32])?;
/// for client in [ConnectionId(1), ConnectionId(2)] {
///     proxy.handle(now, ProxyInput::Request(client, ProxyRequest::session(1, relay.clone())));
/// }
/// let mut dialled = Vec::new();
/// while let Some(output) = proxy.poll_output() {
///     if let ProxyOutput::Connect(_, address) = output {
///         dialled.push(address);
///     }
/// }
/// assert_eq!(dialled, [relay]); // then `ProxyInput::Connected`, and both get their answers
/// # Ok::<(), smp_core::wire::DecodeError>(())
/// ```
pub struct Proxy {
    config: Arc<ServerConfig>,
    /// What clients may speak with relays.
    versions: VersionRange,
    now: Now,
    relays: BTreeMap<RelayId, Relay>,
    by_address: BTreeMap<ServerAddress, RelayId>,
    by_session: BTreeMap<EntityId, RelayId>,
    failures: Failures,
    deadlines: BTreeSet<(Timestamp, Due)>,
    last_id: u64,
    outputs: VecDeque<ProxyOutput>,
}

/// What is due at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Connecting(RelayId),
    Answer(RelayId, ForwardId),
    Idle(RelayId),
}

impl Proxy {
    /// A proxy without relays, for a server that speaks up to `max`.
    ///
    /// Up to version 18 clients may speak one version less with relays, so that what a client forwards does not tell that
    /// it has just been updated; newer proxies offer all, as names need.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, max: Version, now: Now) -> Self {
        let cap = if max <= Version::BLOCKED_NOTICE { Version::NEW_NOTIFIER } else { Version::NAMES };
        let versions = VersionRange::PROXIED.capped(cap).unwrap_or(VersionRange::PROXIED);
        let failures = Failures::new(config.limits.relay_failures);
        Self {
            config,
            versions,
            now,
            relays: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_session: BTreeMap::new(),
            failures,
            deadlines: BTreeSet::new(),
            last_id: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Now, input: ProxyInput) {
        self.now = Now { mono: self.now.mono.max(now.mono), unix: now.unix };
        match input {
            ProxyInput::Request(connection, ProxyRequest(tag, wanted)) => {
                let asker = Asker { connection, tag };
                match wanted {
                    Wanted::Session(address) => self.session(asker, address),
                    Wanted::Forward(session, forward) => self.forward(asker, &session, forward),
                }
            }
            ProxyInput::Connected(id, parameters) => self.connected(id, parameters),
            ProxyInput::ConnectFailed(id, error) => self.failed(id, &error),
            ProxyInput::Answered(id, forward, answer) => self.answered(id, forward, answer),
            ProxyInput::Lost(id) => self.drop_relay(id, &network()),
            ProxyInput::Timeout => {}
        }
        self.run_timers();
    }

    /// The next effect.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<ProxyOutput> {
        self.outputs.pop_front()
    }

    /// When to call `handle` with [`ProxyInput::Timeout`]; at once while there is output.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if !self.outputs.is_empty() {
            return Some(self.now.mono);
        }
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Relays that it is connected or connecting to.
    #[must_use]
    pub fn relays(&self) -> usize {
        self.relays.len()
    }

    /// Requests that have no answer, and forwards whose slot is still taken.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.relays.values().map(Relay::in_flight).sum()
    }

    /// PRXY: answers with the session that there is, or makes one.
    fn session(&mut self, asker: Asker, address: ServerAddress) {
        let own = self.config.is_own(&address);
        if let Some(error) = self.failures.find(self.now.mono, &address) {
            return self.reply_session(asker, own, Err(error));
        }
        if let Some(id) = self.by_address.get(&address).copied() {
            return self.join(asker, own, id);
        }
        if self.relays.len() >= self.config.limits.relays && !self.drop_idle() {
            return self.reply_session(asker, own, Err(network()));
        }
        self.last_id += 1;
        let id = RelayId(self.last_id);
        let due = self.now.mono + self.config.limits.relay_connecting;
        self.deadlines.insert((due, Due::Connecting(id)));
        let state = State::Connecting { waiting: vec![asker], due };
        self.relays.insert(id, Relay { address: address.clone(), own, state });
        self.by_address.insert(address.clone(), id);
        self.outputs.push_back(ProxyOutput::Connect(id, address));
    }

    /// Waits for a relay's session, or gets the one that stands.
    fn join(&mut self, asker: Asker, own: bool, id: RelayId) {
        let limit = self.config.limits.relay_forwards;
        let result = match self.relays.get_mut(&id).map(|relay| &mut relay.state) {
            Some(State::Connecting { waiting, .. }) if waiting.len() < limit => return waiting.push(asker),
            Some(State::Connecting { .. }) => Err(timeout()),
            Some(State::Ready(ready)) => {
                let session = ready.session.clone();
                self.used(id);
                Ok(session)
            }
            None => Err(no_session()),
        };
        self.reply_session(asker, own, result);
    }

    /// PFWD.
    fn forward(&mut self, asker: Asker, session: &EntityId, forward: Box<FwdTransmission>) {
        let known = self.by_session.get(session).copied();
        let found = known.and_then(|id| Some((id, self.relays.get_mut(&id)?)));
        let Some((id, Relay { own, state: State::Ready(ready), .. })) = found else {
            return self.reply_forward(asker, false, Err(no_session()));
        };
        let own = *own;
        if ready.flights.len() >= self.config.limits.relay_forwards {
            return self.reply_forward(asker, own, Err(timeout()));
        }
        self.last_id += 1;
        let forward_id = ForwardId(self.last_id);
        let deadline = self.now.mono + self.config.limits.relay_answer;
        // While it owes answers its silence goes on, also when nobody waits for them any more.
        if ready.flights.is_empty() && ready.missed == 0 {
            ready.silent_since = self.now.mono;
        }
        let correlation = forward.correlation_id.clone();
        ready.flights.insert(forward_id, Flight { asker: Some(asker), correlation, deadline });
        self.deadlines.insert((deadline, Due::Answer(id, forward_id)));
        self.used(id);
        self.outputs.push_back(ProxyOutput::Forward(id, forward_id, forward));
    }

    fn connected(&mut self, id: RelayId, parameters: RelayParameters) {
        let Some(Relay { own, state, .. }) = self.relays.get_mut(&id) else { return };
        let State::Connecting { waiting, due } = state else { return };
        let (own, due) = (*own, *due);
        let session = match offer(self.versions, parameters) {
            Ok(session) => session,
            Err(error) => {
                self.outputs.push_back(ProxyOutput::Disconnect(id));
                return self.failed(id, &error);
            }
        };
        let waiting = core::mem::take(waiting);
        let entity = EntityId::new(session.session_id.as_bytes()).unwrap_or_default();
        *state = State::Ready(Ready::new(session.clone(), entity.clone(), self.now.mono));
        self.deadlines.remove(&(due, Due::Connecting(id)));
        self.by_session.insert(entity, id);
        self.used(id);
        for asker in waiting {
            self.reply_session(asker, own, Ok(session.clone()));
        }
    }

    /// A connection that is being made fails. That is remembered.
    fn failed(&mut self, id: RelayId, error: &ErrorType) {
        let connecting = self.relays.get(&id).filter(|relay| matches!(relay.state, State::Connecting { .. }));
        let Some(address) = connecting.map(|relay| relay.address.clone()) else { return };
        let until = self.now.mono + self.config.limits.relay_failure_ttl;
        self.failures.remember(address, until, error.clone());
        self.drop_relay(id, error);
    }

    fn answered(&mut self, id: RelayId, forward: ForwardId, answer: Result<FwdResponse, ErrorType>) {
        let Some(Relay { own, state: State::Ready(ready), .. }) = self.relays.get_mut(&id) else { return };
        let own = *own;
        let Some(flight) = ready.flights.remove(&forward) else { return };
        let is_late = matches!(&answer, Err(error) if *error == timeout());
        match (is_late, &flight.asker) {
            (false, _) => (ready.missed, ready.silent_since) = (0, self.now.mono),
            (true, Some(_)) => ready.missed = ready.missed.saturating_add(1),
            // It was counted when who asked was told.
            (true, None) => {}
        }
        self.deadlines.remove(&(flight.deadline, Due::Answer(id, forward)));
        self.used(id);
        if let Some(asker) = flight.asker {
            let answer = answer.and_then(|response| {
                let is_for_it = response.correlation_id == flight.correlation;
                if is_for_it { Ok(response.encrypted) } else { Err(unexpected()) }
            });
            self.reply_forward(asker, own, answer.map(BrokerMessage::PRes));
        }
        self.check_silence(id);
    }

    /// The idle time of a relay begins, or is over.
    fn used(&mut self, id: RelayId) {
        let Some(Relay { state: State::Ready(ready), .. }) = self.relays.get_mut(&id) else { return };
        if let Some(due) = ready.idle_due.take() {
            self.deadlines.remove(&(due, Due::Idle(id)));
        }
        if ready.flights.is_empty() {
            let due = self.now.mono + self.config.limits.relay_idle;
            ready.idle_due = Some(due);
            self.deadlines.insert((due, Due::Idle(id)));
        }
    }

    fn run_timers(&mut self) {
        while let Some((at, due)) = self.deadlines.first().copied()
            && at <= self.now.mono
        {
            self.deadlines.pop_first();
            match due {
                Due::Connecting(id) => {
                    self.outputs.push_back(ProxyOutput::Disconnect(id));
                    self.failed(id, &network());
                }
                Due::Idle(id) => {
                    self.outputs.push_back(ProxyOutput::Disconnect(id));
                    self.drop_relay(id, &no_session());
                }
                Due::Answer(id, forward) => self.missed(id, forward),
            }
        }
    }

    /// An answer did not come in time: who asked is told, and the slot is kept until it is known what came of it.
    fn missed(&mut self, id: RelayId, forward: ForwardId) {
        let Some(Relay { own, state: State::Ready(ready), .. }) = self.relays.get_mut(&id) else { return };
        let (own, asker) = (*own, ready.flights.get_mut(&forward).and_then(|flight| flight.asker.take()));
        ready.missed = ready.missed.saturating_add(1);
        if let Some(asker) = asker {
            self.reply_forward(asker, own, Err(timeout()));
        }
        self.check_silence(id);
    }

    /// Gives up a relay that owes several answers and was silent for long.
    fn check_silence(&mut self, id: RelayId) {
        let Some(Relay { state: State::Ready(ready), .. }) = self.relays.get(&id) else { return };
        let silence = self.now.mono.since(ready.silent_since);
        if ready.missed >= MISSED_MAX && silence >= self.config.limits.relay_answer * 2 {
            self.outputs.push_back(ProxyOutput::Disconnect(id));
            self.drop_relay(id, &no_session());
        }
    }

    /// Makes room by ending the connection that has been idle for longest.
    fn drop_idle(&mut self) -> bool {
        let idle = self.deadlines.iter().find_map(|(_, due)| match due {
            Due::Idle(id) => Some(*id),
            Due::Connecting(_) | Due::Answer(..) => None,
        });
        let Some(id) = idle else { return false };
        self.outputs.push_back(ProxyOutput::Disconnect(id));
        self.drop_relay(id, &no_session());
        true
    }

    /// Forgets a relay, and answers all who wait for it.
    fn drop_relay(&mut self, id: RelayId, error: &ErrorType) {
        let Some(relay) = self.relays.remove(&id) else { return };
        self.by_address.remove(&relay.address);
        match relay.state {
            State::Connecting { waiting, due } => {
                self.deadlines.remove(&(due, Due::Connecting(id)));
                for asker in waiting {
                    self.reply_session(asker, relay.own, Err(error.clone()));
                }
            }
            State::Ready(ready) => {
                self.by_session.remove(&ready.entity);
                ready.idle_due.into_iter().for_each(|due| _ = self.deadlines.remove(&(due, Due::Idle(id))));
                for (forward, flight) in ready.flights {
                    self.deadlines.remove(&(flight.deadline, Due::Answer(id, forward)));
                    if let Some(asker) = flight.asker {
                        self.reply_forward(asker, relay.own, Err(error.clone()));
                    }
                }
            }
        }
    }

    fn reply_session(&mut self, asker: Asker, own: bool, result: Result<Arc<RelaySession>, ErrorType>) {
        self.outputs
            .push_back(ProxyOutput::Event(ProxyEvent::Relay { own, outcome: ProxyOutcome::of(&result) }));
        self.reply(asker, result.map(|session| BrokerMessage::PKey(Box::new((*session).clone()))));
    }

    fn reply_forward(&mut self, asker: Asker, own: bool, result: Result<BrokerMessage, ErrorType>) {
        self.outputs
            .push_back(ProxyOutput::Event(ProxyEvent::Forward { own, outcome: ProxyOutcome::of(&result) }));
        self.reply(asker, result);
    }

    fn reply(&mut self, asker: Asker, result: Result<BrokerMessage, ErrorType>) {
        let reply = ProxyReply(asker.tag, result.unwrap_or_else(BrokerMessage::Err));
        self.outputs.push_back(ProxyOutput::Reply(asker.connection, reply));
    }
}

/// Who asked, and under which number.
#[derive(Clone, Copy)]
struct Asker {
    connection: ConnectionId,
    tag: u64,
}

/// What clients are told of a session.
fn offer(ours: VersionRange, relay: RelayParameters) -> Result<Arc<RelaySession>, ErrorType> {
    let transport = |error| broker(BrokerErrorType::Transport(error));
    let versions = relay.versions.intersect(ours).ok_or_else(|| transport(TransportError::Version))?;
    let key = relay.server_auth.ok_or_else(|| transport(TransportError::NoServerAuth))?;
    Ok(Arc::new(RelaySession { session_id: relay.session_id, versions, key }))
}

fn broker(error: BrokerErrorType) -> ErrorType {
    ErrorType::Proxy(Box::new(ProxyError::Broker(error)))
}

fn network() -> ErrorType {
    broker(BrokerErrorType::Network(NetworkError::Failed))
}

fn timeout() -> ErrorType {
    broker(BrokerErrorType::Timeout)
}

fn unexpected() -> ErrorType {
    broker(BrokerErrorType::Unexpected(ErrorText::new("another correlation id")))
}

fn no_session() -> ErrorType {
    ErrorType::Proxy(Box::new(ProxyError::NoSession))
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("relays", &self.relays.len()).finish_non_exhaustive()
    }
}

/// After how many missing answers in a row a relay is given up, if it was silent for long.
const MISSED_MAX: u32 = 3;
