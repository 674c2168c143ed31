//! The server's side: a real transport and no memory of queues.

use std::collections::VecDeque;

use super::*;
use crate::crypto::auth::{AuthorizationRef, verify};
use crate::crypto::{BoxKey, Nonce};
use crate::time::UnixTime;
use crate::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use crate::transport::{
    ClientOptions, ClientTransportConfig, Parameters, ServerOptions, ServerTransportConfig, Transport,
    TransportEvent,
};
use crate::wire::{AuthPublicKey, BatchWriter, ClientTransmission, Command, VersionRange, decode_batch};

/// A command that reached the server.
#[derive(Clone)]
pub(super) struct Incoming {
    pub(super) correlation: CorrelationId,
    pub(super) entity: EntityId,
    pub(super) command: Command,
    pub(super) transmission: ClientTransmission,
}

pub(super) struct Peer {
    transport: Transport,
    /// What the handshake agreed on.
    parameters: Option<Box<Parameters>>,
    /// The blocks that came and were not looked at.
    pub(super) blocks: VecDeque<Vec<Incoming>>,
    /// Whether the client broke the connection.
    pub(super) is_broken: bool,
}

impl Peer {
    /// The server's side of a connection of this version, and the client's transport.
    pub(super) fn new(version: Version, now: Now) -> (Self, Transport) {
        let identity = identity(now.unix);
        Self::expected_to_be(*identity.fingerprint(), identity, version, now)
    }

    /// Likewise, with a client that looks for another server.
    pub(super) fn impostor(now: Now) -> (Self, Transport) {
        Self::expected_to_be([0; 32], identity(now.unix), Version::MAX, now)
    }

    fn expected_to_be(
        key_hash: [u8; 32],
        identity: ServerIdentity,
        version: Version,
        now: Now,
    ) -> (Self, Transport) {
        let versions = VersionRange::new(Version::MIN, version).unwrap();
        let client = ClientTransportConfig::new(key_hash, ClientOptions::default()).unwrap();
        let options = ServerOptions { versions, ..ServerOptions::default() };
        let server = ServerTransportConfig::new(identity, options).unwrap();
        let transport = Transport::server(server, [2; 32], now);
        let peer = Self { transport, parameters: None, blocks: VecDeque::new(), is_broken: false };
        (peer, Transport::client(client, [3; 32], now))
    }

    pub(super) fn receive(&mut self, now: Now, bytes: &[u8]) {
        self.is_broken |= self.transport.receive(now, bytes).is_err();
        while let Some(event) = self.transport.poll_event() {
            match event {
                TransportEvent::Ready(parameters) => self.parameters = Some(parameters),
                TransportEvent::Block(content) => {
                    let items = decode_batch(&content).unwrap();
                    self.blocks.push_back(items.iter().map(|item| self.read(item)).collect());
                }
                TransportEvent::Closed => {}
                TransportEvent::BadBlock | TransportEvent::Service(_) => {
                    panic!("the client sends good blocks")
                }
            }
        }
    }

    /// Whether the handshake is done.
    pub(super) fn is_ready(&self) -> bool {
        self.parameters.is_some()
    }

    fn parameters(&self) -> &Parameters {
        self.parameters.as_ref().expect("the handshake is done")
    }

    /// The box of the session keys of both sides.
    pub(super) fn box_key(&self) -> BoxKey {
        let Parameters { session_key, peer_key, .. } = self.parameters();
        let (ours, theirs) = session_key.as_ref().zip(peer_key.as_ref()).expect("keys of both");
        ours.diffie_hellman(theirs).unwrap().box_key()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transport.poll_transmit()
    }

    /// The only command of the only block that came.
    pub(super) fn next(&mut self) -> Incoming {
        assert_eq!(self.blocks.len(), 1, "one block");
        let mut block = self.blocks.pop_front().unwrap();
        assert_eq!(block.len(), 1, "one command");
        block.remove(0)
    }

    /// How many commands each block had that came.
    pub(super) fn counts(&self) -> Vec<usize> {
        self.blocks.iter().map(Vec::len).collect()
    }

    /// Whether the command is authorised by this key in this session.
    pub(super) fn verifies(&self, incoming: &Incoming, key: &AuthPublicKey) -> bool {
        let authorized = incoming.transmission.authorized_bytes(&self.parameters().session_id);
        let nonce = Nonce::from_slice(incoming.correlation.as_bytes());
        AuthorizationRef::from_bytes(incoming.transmission.authorization.as_bytes()).is_some_and(
            |authorization| {
                verify(authorization, key, self.parameters().session_key.as_ref(), &nonce, &authorized)
            },
        )
    }

    pub(super) fn answer(&mut self, command: &Incoming, message: BrokerMessage) {
        self.answer_about(command, command.entity.clone(), message);
    }

    pub(super) fn answer_about(&mut self, command: &Incoming, entity: EntityId, message: BrokerMessage) {
        let mut bytes = Vec::new();
        message.encode(self.parameters().version, &mut bytes);
        self.answer_bytes(command, entity, &bytes);
    }

    pub(super) fn answer_bytes(&mut self, command: &Incoming, entity: EntityId, message: &[u8]) {
        self.send(&[ServerTransmission {
            correlation_id: command.correlation.clone(),
            entity_id: entity,
            message: message.to_vec().into(),
        }]);
    }

    /// Sends transmissions in as few blocks as they fit into.
    pub(super) fn send(&mut self, transmissions: &[ServerTransmission]) {
        let mut writer = BatchWriter::new(self.transport.content_max());
        for transmission in transmissions {
            let mut item = Vec::new();
            transmission.encode(self.parameters().version, &self.parameters().session_id, &mut item);
            if let Some(content) = writer.push(&item).unwrap() {
                self.transport.send_block(&content);
            }
        }
        if let Some(content) = writer.finish() {
            self.transport.send_block(&content);
        }
    }

    /// Sends a block of this content.
    pub(super) fn send_content(&mut self, content: &[u8]) {
        self.transport.send_block(content);
    }

    fn read(&self, item: &bytes::Bytes) -> Incoming {
        let Parameters { version, session_id, .. } = self.parameters();
        let transmission = ClientTransmission::decode(*version, session_id, item).unwrap();
        Incoming {
            correlation: transmission.correlation_id.clone(),
            entity: transmission.entity_id.clone(),
            command: Command::decode(*version, &transmission.command).unwrap(),
            transmission,
        }
    }
}

fn identity(now: UnixTime) -> ServerIdentity {
    let mut entropy = SeededEntropy::new([4; 32]);
    let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now).unwrap();
    let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
    let issued = authority.issue(subject, &mut entropy, now).unwrap();
    ServerIdentity::new(vec![issued.certificate, authority.certificate().clone()], issued.key, now).unwrap()
}
