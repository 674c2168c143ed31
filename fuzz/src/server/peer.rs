//! The client's side of a connection: what it writes and how it reads.

use std::sync::LazyLock;

use bytes::Bytes;
use smp_core::SeededEntropy;
use smp_core::crypto::{AuthPrivateKey, Ed25519PrivateKey, Nonce};
use smp_core::transport::block::BlockCodec;
use smp_core::transport::identity::{Algorithm, Issued, fingerprint, self_signed_client};
use smp_core::wire::transmission::{ServiceSignature, authorized_bytes};
use smp_core::wire::{
    Authorization, BatchWriter, BrokerMessage, CertChain, CertChainPubKey, ClientHello, ClientTransmission,
    CorrelationId, EntityId, ServerTransmission, ServiceHello, ServiceResponse, ServiceRole, SessionId,
    SessionKey, SignedKey, Version, decode_batch,
};

use super::world::KEY_HASH;
use crate::certificates::NOW;

pub(super) struct Peer {
    pub(super) version: Version,
    /// True when bytes were sent that are no block.
    pub(super) is_garbled: bool,
    pub(super) service: Option<Service>,
}

/// What a peer is that said that it is a service.
pub(super) struct Service {
    /// Empty until the server knows it.
    pub(super) id: EntityId,
    pub(super) role: ServiceRole,
    /// Of this session.
    key: Ed25519PrivateKey,
}

impl Service {
    /// The authorisation of SUBS and NSUBS.
    pub(super) fn key(&self) -> AuthPrivateKey {
        AuthPrivateKey::Ed25519(self.key.clone())
    }
}

impl Peer {
    pub(super) const SESSION_ID: [u8; 32] = [b's'; 32];

    pub(super) const fn new(version: Version) -> Self {
        Self { version, is_garbled: false, service: None }
    }

    /// One of two services, the one that receives messages or the one that is notified.
    pub(super) fn new_service(version: Version, role: ServiceRole, entropy: &mut SeededEntropy) -> Self {
        let key = Ed25519PrivateKey::generate(entropy);
        let service = Some(Service { id: EntityId::empty(), role, key });
        Self { version: version.max(Version::SERVICE_SUBS), is_garbled: false, service }
    }

    /// What TLS shows of it.
    pub(super) fn certificates(&self) -> Vec<Bytes> {
        self.service.iter().map(|service| issued(service.role).certificate.clone()).collect()
    }

    /// Reads what the server says to a service. False if it may not be one.
    pub(super) fn be_welcomed(&mut self, block: Option<Vec<u8>>) -> bool {
        let Some(service) = &mut self.service else { return true };
        let content = block.and_then(|block| BlockCodec::Plain.read(block).ok());
        match content.map(|content| ServiceResponse::decode(&content)) {
            Some(Ok(ServiceResponse::Accepted(id))) => service.id = id,
            _ => return false,
        }
        true
    }

    /// The block that ends the handshake. Without a key, so that blocks are not encrypted.
    pub(super) fn hello(&self) -> Vec<u8> {
        let hello = ClientHello {
            version: self.version,
            key_hash: *KEY_HASH,
            session_key: None,
            proxy_server: false,
            service: self.service.as_ref().map(hello_of),
        };
        let mut content = Vec::new();
        hello.encode(&mut content);
        Self::block(&content).expect("a short hello")
    }

    pub(super) fn block(content: &[u8]) -> Option<Vec<u8>> {
        BlockCodec::Plain.write(content).ok()
    }

    /// As few batches as hold the items; those that fit into none are left out.
    pub(super) fn batches(items: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut writer = BatchWriter::new(BlockCodec::Plain.content_max());
        let mut contents: Vec<_> = items.iter().filter_map(|item| writer.push(item).ok().flatten()).collect();
        contents.extend(writer.finish());
        contents
    }

    /// A transmission of any command, authorised with the key.
    pub(super) fn transmission(
        &self,
        entropy: &mut SeededEntropy,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &[u8],
    ) -> (CorrelationId, Vec<u8>) {
        let correlation_id = CorrelationId::from(entropy.bytes::<24>());
        let item = self.transmission_as(&correlation_id, key, entity, command);
        (correlation_id, item)
    }

    /// The same, with this correlation id.
    pub(super) fn transmission_as(
        &self,
        correlation_id: &CorrelationId,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &[u8],
    ) -> Vec<u8> {
        let session = session();
        let authorized = authorized_bytes(&session, correlation_id, entity, command);
        let nonce = Nonce::from_slice(correlation_id.as_bytes());
        let is_signed = command.starts_with(b"NEW ") || command == b"SUB" || command == b"NSUB";
        let service = self.service.as_ref().filter(|_| is_signed && key.is_some());
        let service_signature = service.map(|service| ServiceSignature(service.key.sign(&authorized)));
        let of_service =
            service.map_or_else(Vec::new, |service| fingerprint(&issued(service.role).certificate).to_vec());
        let authorized = [of_service, authorized].concat();
        let authorization = key.and_then(|key| key.authorize(None, &nonce, &authorized).ok());
        let transmission = ClientTransmission {
            authorization: Authorization::from_bytes(&authorization.unwrap_or_default())
                .expect("a signature or nothing"),
            service_signature,
            correlation_id: correlation_id.clone(),
            entity_id: entity.clone(),
            command: command.to_vec().into(),
        };
        let mut item = Vec::new();
        transmission.encode(self.version, &session, &mut item);
        item
    }

    /// What a block of the server says. A client must be able to read all of it.
    pub(super) fn read(&self, block: Vec<u8>) -> Vec<(ServerTransmission, BrokerMessage)> {
        let content = BlockCodec::Plain.read(block).expect("a block");
        let items = decode_batch(&content).expect("a batch");
        let read = |item| {
            let from = ServerTransmission::decode(self.version, &session(), item).expect("a transmission");
            let message = BrokerMessage::decode(self.version, &from.message).expect("a message");
            message.check_entity(&from.entity_id).expect("an entity where one belongs");
            (from, message)
        };
        items.iter().map(read).collect()
    }
}

fn hello_of(service: &Service) -> ServiceHello {
    let issued = issued(service.role);
    let key = SessionKey::Ed25519(service.key.public());
    let signature = issued.key.sign(&key.signed_bytes());
    let chain = CertChain::new(vec![issued.certificate.clone()]).expect("one certificate");
    let auth = CertChainPubKey { chain, signed_key: SignedKey { key, signature }.to_der().into() };
    ServiceHello { role: service.role, auth }
}

/// The certificate of a service.
fn issued(role: ServiceRole) -> &'static Issued {
    match role {
        ServiceRole::Notifier => &SERVICES[1],
        _ => &SERVICES[0],
    }
}

static SERVICES: LazyLock<[Issued; 2]> = LazyLock::new(|| {
    [8, 9].map(|seed| {
        let mut entropy = SeededEntropy::new([seed; 32]);
        self_signed_client("service", Algorithm::Ed25519, &mut entropy, NOW).expect("a certificate")
    })
});

fn session() -> SessionId {
    SessionId::new(&Peer::SESSION_ID).expect("32 bytes")
}
