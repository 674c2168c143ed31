//! Clients that send through the server of their own site to queues of another one, and what they make of its answers.

use bytes::Bytes;
use smp_core::Timestamp;
use smp_core::crypto::{AuthPrivateKey, ForwardLayer, Nonce, X25519PrivateKey};
use smp_core::server::ConnectionId;
use smp_core::transport::relay_key;
use smp_core::wire::broker::RelaySession;
use smp_core::wire::command::{ForwardRequest, MessageFlags, RelayRequest};
use smp_core::wire::error::{BrokerErrorType, ErrorType, NetworkError, ProxyError};
use smp_core::wire::transmission::authorized_bytes;
use smp_core::wire::{
    Authorization, BrokerMessage, ClientTransmission, Command, CorrelationId, DhPublicKey, EntityId,
    ServerTransmission, SessionId, Version, VersionRange, decode_batch, encode_single,
};

use super::answers::{Received, accepted, refused};
use super::client::{Link, Peer};
use super::commands::Sent;
use super::model::Attempt;
use super::relays::{NOWHERE, address_of};
use super::setup::{config, identity, password};
use super::shared::{Shared, SimQueue};
use super::site::Site;

/// A session with a relay, as a client of its proxy knows it.
#[derive(Clone)]
pub(super) struct KnownRelay {
    session: SessionId,
    version: Version,
    key: DhPublicKey,
}

/// What a connection knows of relays.
#[derive(Default)]
pub(super) struct OnRelays {
    /// By their sites.
    known: std::collections::BTreeMap<usize, KnownRelay>,
    /// As whom it sends: somebody else after an error, since what became of the command before is not certain then.
    sender: u64,
    /// When to try again, while there are no faults.
    tried_at: Timestamp,
    /// A relay answered since faults ended.
    pub(super) is_answered: bool,
}

/// A command that was sent through the proxy.
pub(super) struct Forwarded {
    /// The command in it.
    inner: Sent,
    /// The site of the relay.
    target: usize,
    relay: KnownRelay,
    layer: ForwardLayer,
    correlation: CorrelationId,
    entity: EntityId,
    sent_at: Timestamp,
}

impl Peer {
    /// A command through the proxy, or one that asks for a session with a relay.
    pub(super) fn route(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        if shared.dice.chance(200) {
            return self.ask_relay(shared, NOWHERE);
        }
        let is_far = |queue: &SimQueue| queue.site != self.site;
        let any = shared.dice.chance(500);
        let queues: Vec<_> =
            (0..shared.queues.len()).filter(|at| any || is_far(&shared.queues[*at])).collect();
        let queue = *queues.get(shared.dice.below(queues.len()))?;
        let secures = shared.dice.chance(1_000);
        self.forward(shared, queue, secures)
    }

    /// When there are no faults every client sends through its proxy until a relay answers, once a second.
    pub(super) fn tidy_up_routing(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        let queue = self.left_to_route(shared)?;
        let on_relays = &mut self.link.as_mut()?.on_relays;
        if shared.trace.now.mono < on_relays.tried_at + PAUSE {
            return None;
        }
        on_relays.tried_at = shared.trace.now.mono;
        self.forward(shared, queue, false)
    }

    /// The queue that is to be sent to through the proxy before everything has come to its end.
    pub(super) fn left_to_route(&self, shared: &Shared) -> Option<usize> {
        let link = self.link.as_ref().filter(|link| link.may_route(shared) && !link.on_relays.is_answered);
        link.filter(|_| !self.is_notifier())?;
        let takes = |queue: &SimQueue| {
            queue.site != self.site
                && !queue.delete_asked
                && !queue.off_asked
                && queue.blocks_asked.is_empty()
        };
        shared.queues.iter().position(takes)
    }

    /// SEND or SKEY through the proxy, one after another for a queue; PRXY if there is no session.
    fn forward(&mut self, shared: &mut Shared, index: usize, secures: bool) -> Option<Vec<u8>> {
        let target = shared.queues[index].site;
        let link = self.link.as_mut().filter(|link| link.may_route(shared))?;
        let is_about = |sent: &Sent| match sent {
            Sent::Forward(forwarded) => forwarded.inner.queue() == Some(index),
            Sent::Relay { target: asked, .. } => *asked == target,
            _ => false,
        };
        if link.pending.values().any(|pending| is_about(&pending.sent)) {
            return None;
        }
        let Some(relay) = link.on_relays.known.get(&target).cloned() else {
            return self.ask_relay(shared, target);
        };
        let (key, command, inner) = if secures && relay.version >= Version::SKEY {
            let key = self.new_sender_key(shared, index);
            let queue = shared.queues[index].recipient_id.clone();
            shared.asked.keys.insert((queue, key.public()));
            (Some(key.clone()), Command::SKey(key.public()), Sent::Key(index, key))
        } else {
            self.forwarded_send(shared, index)?
        };
        let entity = shared.queues[index].sender_id.clone();
        let name = if matches!(inner, Sent::Key(..)) { "SKEY" } else { "SEND" };
        shared.trace.note(&format!("client forwards {name}: queue"), &[self.index as u64, index as u64]);
        let link = self.link.as_mut()?;
        let (forwarded, pfwd) =
            Forwarded::seal(shared, (relay, target), key.as_ref(), (entity, &command), inner)?;
        let correlation = forwarded.correlation.clone();
        let about = EntityId::new(forwarded.relay.session.as_bytes()).ok()?;
        let sent = Sent::Forward(Box::new(forwarded));
        link.transmission_as(shared, correlation, None, &about, &pfwd, sent)
    }

    fn forwarded_send(
        &mut self,
        shared: &mut Shared,
        index: usize,
    ) -> Option<(Option<AuthPrivateKey>, Command, Sent)> {
        let on_relays = &mut self.link.as_mut()?.on_relays;
        if on_relays.sender == 0 {
            shared.routing.senders += 1;
            on_relays.sender = shared.routing.senders;
        }
        let queue = &shared.queues[index];
        let number = shared.counts.commands;
        let is_signed = queue.is_secured || number.is_multiple_of(2);
        let key = queue.sender_key.clone().filter(|_| is_signed);
        let body = format!("forwarded {number}").into_bytes();
        let attempt = Attempt {
            key: key.as_ref().map(AuthPrivateKey::public),
            has_right: true,
            // No connection has this id: they are numbered from 1.
            connection: ConnectionId(u64::MAX - on_relays.sender),
            number,
        };
        shared.asked.sends.insert(body.clone(), attempt);
        let flags = MessageFlags { notification: shared.dice.chance(5_000) };
        let command = Command::Send { flags, body: Bytes::from(body.clone()) };
        Some((key, command, Sent::Send { queue: index, body, has_right: false }))
    }

    /// PRXY.
    fn ask_relay(&mut self, shared: &mut Shared, target: usize) -> Option<Vec<u8>> {
        let link = self.link.as_mut().filter(|link| link.may_route(shared))?;
        shared.trace.note("client sends PRXY: site", &[self.index as u64, target as u64]);
        let password = shared.options.password.then(password);
        let command = Command::Prxy(RelayRequest { relay: address_of(target), password });
        let sent = Sent::Relay { target, asked_at: shared.trace.now.mono };
        link.transmission(shared, None, &EntityId::empty(), &command, sent)
    }
}

impl Link {
    fn may_route(&self, shared: &Shared) -> bool {
        let version = self.parameters.as_ref().map(|parameters| parameters.version);
        shared.options.features.routing > 0 && version >= Some(Version::PRIVATE_ROUTING)
    }
}

impl Forwarded {
    /// A command in the client's layer, and PFWD of it. None if the key cannot be used with the relay.
    fn seal(
        shared: &mut Shared,
        (relay, target): (KnownRelay, usize),
        key: Option<&AuthPrivateKey>,
        (entity, command): (EntityId, &Command),
        inner: Sent,
    ) -> Option<(Self, Command)> {
        let correlation = CorrelationId::from(shared.dice.entropy().bytes::<24>());
        let mut bytes = Vec::new();
        command.encode(relay.version, &mut bytes);
        let authorized = authorized_bytes(&relay.session, &correlation, &entity, &bytes);
        let nonce = Nonce::from_slice(correlation.as_bytes());
        let authorization = match key {
            Some(key) => key.authorize(Some(&relay.key), &nonce, &authorized).ok()?,
            None => Vec::new(),
        };
        let transmission = ClientTransmission {
            authorization: Authorization::from_bytes(&authorization).expect("an authorization"),
            service_signature: None,
            correlation_id: correlation.clone(),
            entity_id: entity.clone(),
            command: bytes.into(),
        };
        let mut item = Vec::new();
        transmission.encode(relay.version, &relay.session, &mut item);
        let batch = encode_single(&item).expect("a short command");
        let ours = X25519PrivateKey::generate(shared.dice.entropy());
        let secret = ours.diffie_hellman(&relay.key).expect("a good key");
        let layer = ForwardLayer::of_client(&secret, &correlation);
        let encrypted = layer.seal_command(&batch).expect("a short command").into();
        let pfwd = Command::Pfwd(ForwardRequest { version: relay.version, key: ours.public(), encrypted });
        let sent_at = shared.trace.now.mono;
        Some((Self { inner, target, relay, layer, correlation, entity, sent_at }, pfwd))
    }

    /// What the relay answered.
    fn open(&self, sealed: &[u8]) -> Option<BrokerMessage> {
        let batch = Bytes::from(self.layer.open_answer(sealed).ok()?);
        let items = decode_batch(&batch).ok()?;
        let [item] = items.as_slice() else { return None };
        let answer = ServerTransmission::decode(self.relay.version, &self.relay.session, item).ok()?;
        let is_for_it = answer.correlation_id == self.correlation && answer.entity_id == self.entity;
        let message = BrokerMessage::decode(self.relay.version, &answer.message).ok()?;
        is_for_it.then_some(message)
    }
}

/// The answer to PRXY: a session that the relay has signed, or an error for which there is a reason.
pub(super) fn offered(
    shared: &mut Shared,
    site: usize,
    link: &mut Link,
    (target, asked_at): (usize, Timestamp),
    answer: &BrokerMessage,
) {
    match answer {
        BrokerMessage::PKey(session) => {
            shared.trace.note("client hears PKEY: site", &[target as u64]);
            let known = check_session(shared, (site, target), session);
            shared.trace.expect(known.is_some(), || "a session with a relay that is not with it".into());
            link.on_relays.known.extend(known.map(|known| (target, known)));
        }
        BrokerMessage::Err(error) => {
            shared.trace.note(&format!("client hears {error} to PRXY: site"), &[target as u64]);
            let failed_at = shared.routing.failures.get(&(site, target));
            let ttl = config(&shared.options).limits.relay_failure_ttl;
            let may = is_network(error) && failed_at.is_some_and(|at| *at + ttl >= asked_at);
            shared.trace.expect(may, || format!("a session with a relay was refused: {error}"));
        }
        _ => shared.trace.expect(false, || "PRXY was answered wrongly".into()),
    }
}

fn check_session(shared: &Shared, places: (usize, usize), session: &RelaySession) -> Option<KnownRelay> {
    let key = relay_key(&session.key, identity().fingerprint(), shared.trace.now.unix).ok()?;
    let version = session.versions.intersect(VersionRange::PROXIED)?.max();
    let leads = shared.routing.sessions.get(&session.session_id) == Some(&places);
    leads.then(|| KnownRelay { session: session.session_id.clone(), version, key })
}

/// The answer to PFWD: the relay's, which is judged as if it had come from there, or an error for which there is a reason.
pub(super) fn routed(
    shared: &mut Shared,
    sites: &[Site],
    peer: usize,
    link: &mut Link,
    forwarded: Forwarded,
    answer: &BrokerMessage,
) {
    let sealed = match answer {
        BrokerMessage::PRes(sealed) => sealed,
        BrokerMessage::Err(error) => return not_routed(shared, link, &forwarded, error),
        _ => return shared.trace.expect(false, || "PFWD was answered wrongly".into()),
    };
    let mark = shared.routing.marks.remove(forwarded.correlation.as_bytes());
    let message = forwarded.open(sealed);
    let Some((mark, message)) = mark.zip(message) else {
        return shared.trace.expect(false, || "an answer to PFWD that the relay did not give".into());
    };
    shared.trace.note("client hears of its relay: site", &[peer as u64, forwarded.target as u64]);
    shared.counts.forwards += 1;
    link.on_relays.is_answered = true;
    let Forwarded { inner, target, relay, correlation, entity, .. } = forwarded;
    let model = &sites[target].store.model;
    if let BrokerMessage::Err(error) = &message {
        return refused(shared, model, peer, link, (&inner, None, relay.version), error);
    }
    accepted(shared, model, (peer, target), link, inner, Received { correlation, entity, message }, mark);
}

/// The proxy could not forward, or does not know what became of it: because the session has ended or no answer came in time.
fn not_routed(shared: &mut Shared, link: &mut Link, forwarded: &Forwarded, error: &ErrorType) {
    shared.trace.note(&format!("client hears {error} to PFWD: site"), &[forwarded.target as u64]);
    let limits = config(&shared.options).limits;
    let has_ended = shared.routing.ended.contains(&forwarded.relay.session);
    let is_late = shared.trace.now.mono.since(forwarded.sent_at) >= limits.relay_answer;
    let may = match error {
        ErrorType::Proxy(error) => match &**error {
            ProxyError::NoSession | ProxyError::Broker(BrokerErrorType::Network(_)) => has_ended,
            ProxyError::Broker(BrokerErrorType::Timeout) => is_late,
            _ => false,
        },
        _ => false,
    };
    shared.trace.expect(may, || format!("a command was not forwarded: {error}"));
    link.on_relays.sender = 0;
    if has_ended {
        let is_same = |known: &KnownRelay| known.session == forwarded.relay.session;
        let target = forwarded.target;
        if link.on_relays.known.get(&target).is_some_and(is_same) {
            link.on_relays.known.remove(&target);
        }
    }
}

fn is_network(error: &ErrorType) -> bool {
    let ErrorType::Proxy(error) = error else { return false };
    matches!(**error, ProxyError::Broker(BrokerErrorType::Network(NetworkError::Failed)))
}

/// Between attempts to send while there are no faults.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
