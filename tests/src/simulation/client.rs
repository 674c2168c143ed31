//! A client: a transport, and what it knows of the queues that it receives from.

use std::collections::{BTreeMap, BTreeSet};

use smp_core::Timestamp;
use smp_core::crypto::{AuthPrivateKey, Ed448PrivateKey, Ed25519PrivateKey, Nonce, X25519PrivateKey};
use smp_core::server::ConnectionId;
use smp_core::transport::{Parameters, ServiceKey, Transport, TransportEvent};
use smp_core::wire::transmission::{ServiceSignature, authorized_bytes};
use smp_core::wire::{
    Authorization, BatchWriter, BrokerMessage, ClientTransmission, Command, CorrelationId, EntityId,
    MessageId, ServerTransmission, decode_batch,
};

use super::answers::Received;
use super::commands::Sent;
use super::dice::Options;
use super::routing::OnRelays;
use super::services::{Membership, OnService};
use super::shared::Shared;

/// A client, connected or not.
pub(super) struct Peer {
    pub(super) index: usize,
    /// Where its server is.
    pub(super) site: usize,
    pub(super) link: Option<Link>,
    /// The service that it is.
    pub(super) membership: Option<Membership>,
}

impl Peer {
    pub(super) fn new(index: usize, options: &Options) -> Self {
        let membership = Membership::of(index, options);
        Self { index, site: index % options.servers, link: None, membership }
    }
}

/// A connection, as its client sees it.
pub(super) struct Link {
    pub(super) id: ConnectionId,
    pub(super) transport: Transport,
    pub(super) parameters: Option<Parameters>,
    pub(super) opened_at: Timestamp,
    pub(super) heard_at: Timestamp,
    /// Commands that were not answered.
    pub(super) pending: BTreeMap<Vec<u8>, Pending>,
    pub(super) queues: BTreeMap<usize, OnLink>,
    /// Notifiers that it is subscribed to, by their index.
    pub(super) notifiers: BTreeSet<usize>,
    pub(super) on_service: OnService,
    pub(super) on_relays: OnRelays,
}

/// A command that was not answered.
pub(super) struct Pending {
    pub(super) sent: Sent,
    /// How many RKEY commands its queue had seen, if it was authorised by a key that the next may take away.
    pub(super) rkeys: Option<usize>,
}

impl From<Sent> for Pending {
    fn from(sent: Sent) -> Self {
        Self { sent, rkeys: None }
    }
}

/// What a client knows of a queue on its connection.
#[derive(Default)]
pub(super) struct OnLink {
    pub(super) is_subscribed: bool,
    /// A message that was received and not acknowledged.
    pub(super) in_flight: Option<MessageId>,
    /// Somebody on this connection asked to secure it.
    pub(super) is_secured_here: bool,
    /// Commands about it that were not answered, other than SEND.
    pub(super) under_way: usize,
    /// It was received by GET, so it cannot be subscribed to.
    pub(super) is_got: bool,
}

/// Where in the run a piece of output was made.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// How much of the store's log was durable.
    pub(super) durable: usize,
    /// How many outputs came before it.
    pub(super) output: u64,
}

impl Link {
    pub(super) fn new(id: ConnectionId, transport: Transport, now: Timestamp) -> Self {
        Self {
            id,
            transport,
            parameters: None,
            opened_at: now,
            heard_at: now,
            pending: BTreeMap::new(),
            queues: BTreeMap::new(),
            notifiers: BTreeSet::new(),
            on_service: OnService::default(),
            on_relays: OnRelays::default(),
        }
    }

    /// Bytes for the server.
    pub(super) fn output(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.transport.poll_transmit()).collect()
    }

    /// A transmission, authorised by this key. None if that key cannot be used on this connection.
    pub(super) fn transmission(
        &mut self,
        shared: &mut Shared,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &Command,
        sent: impl Into<Pending>,
    ) -> Option<Vec<u8>> {
        self.parameters.as_ref()?;
        let correlation_id = CorrelationId::from(shared.dice.entropy().bytes::<24>());
        self.transmission_as(shared, correlation_id, key, entity, command, sent)
    }

    /// The same, with this correlation id.
    pub(super) fn transmission_as(
        &mut self,
        shared: &mut Shared,
        correlation_id: CorrelationId,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &Command,
        sent: impl Into<Pending>,
    ) -> Option<Vec<u8>> {
        let parameters = self.parameters.as_ref()?;
        let mut bytes = Vec::new();
        command.encode(parameters.version, &mut bytes);
        let authorized = authorized_bytes(&parameters.session_id, &correlation_id, entity, &bytes);
        let nonce = Nonce::from_slice(correlation_id.as_bytes());
        let is_signed = matches!(command, Command::New(_) | Command::Sub | Command::NSub) && key.is_some();
        let service = parameters.service.as_ref().filter(|_| is_signed);
        let service_signature = service.and_then(|service| match &service.key {
            ServiceKey::Private(key) => Some(ServiceSignature(key.sign(&authorized))),
            ServiceKey::Public(_) => None,
        });
        let fingerprint = service.map_or(&[][..], |service| &service.fingerprint[..]);
        let authorized = [fingerprint, &authorized].concat();
        let authorization = match key {
            Some(key) => key.authorize(parameters.peer_key.as_ref(), &nonce, &authorized).ok()?,
            None => Vec::new(),
        };
        let transmission = ClientTransmission {
            authorization: Authorization::from_bytes(&authorization).expect("an authorization"),
            service_signature,
            correlation_id: correlation_id.clone(),
            entity_id: entity.clone(),
            command: bytes.into(),
        };
        let mut out = Vec::new();
        transmission.encode(parameters.version, &parameters.session_id, &mut out);
        self.pending.insert(correlation_id.as_bytes().to_vec(), sent.into());
        shared.counts.commands += 1;
        Some(out)
    }

    /// Puts transmissions into as few blocks as hold them.
    pub(super) fn send(&mut self, items: &[Vec<u8>]) {
        let mut writer = BatchWriter::new(self.transport.content_max());
        let mut contents: Vec<_> =
            items.iter().filter_map(|item| writer.push(item).expect("it fits")).collect();
        contents.extend(writer.finish());
        contents.iter().for_each(|content| self.transport.send_block(content));
    }

    /// Takes bytes; gives what was in them.
    pub(super) fn receive(&mut self, shared: &mut Shared, bytes: &[u8]) -> Vec<Received> {
        self.heard_at = shared.trace.now.mono;
        let mut received = Vec::new();
        let result = self.transport.receive(shared.trace.now, bytes);
        let is_ready = self.parameters.is_some();
        shared.trace.expect(result.is_ok() || !is_ready, || "a client cannot read what it was sent".into());
        while let Some(event) = self.transport.poll_event() {
            match event {
                TransportEvent::Ready(parameters) => self.parameters = Some(*parameters),
                TransportEvent::Block(content) => {
                    let Some(parameters) = &self.parameters else { continue };
                    let items = decode_batch(&content).unwrap_or_default();
                    shared.trace.expect(!items.is_empty(), || "a block that is no batch".into());
                    for item in items {
                        let item =
                            ServerTransmission::decode(parameters.version, &parameters.session_id, &item);
                        let item = item.ok().and_then(|item| {
                            let message = BrokerMessage::decode(parameters.version, &item.message).ok()?;
                            Some(Received {
                                correlation: item.correlation_id,
                                entity: item.entity_id,
                                message,
                            })
                        });
                        shared.trace.expect(item.is_some(), || "a transmission that cannot be read".into());
                        received.extend(item);
                    }
                }
                TransportEvent::Closed => {}
                TransportEvent::BadBlock | TransportEvent::Service(_) => {
                    shared.trace.expect(false, || "a block that a client cannot open".into());
                }
            }
        }
        received
    }
}

/// A new key that authorises.
pub(super) fn new_key(shared: &mut Shared) -> AuthPrivateKey {
    let kind = if shared.options.all_keys { shared.dice.below(20) } else { usize::MAX };
    let entropy = shared.dice.entropy();
    match kind {
        0 => AuthPrivateKey::Ed448(Ed448PrivateKey::generate(entropy)),
        1..8 => AuthPrivateKey::X25519(X25519PrivateKey::generate(entropy)),
        _ => AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(entropy)),
    }
}

/// A new key of the encryption between server and recipient.
pub(super) fn new_dh_key(shared: &mut Shared) -> X25519PrivateKey {
    X25519PrivateKey::generate(shared.dice.entropy())
}
