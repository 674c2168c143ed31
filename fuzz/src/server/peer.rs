//! The client's side of a connection: what it writes and how it reads.

use smp_core::SeededEntropy;
use smp_core::crypto::{AuthPrivateKey, Nonce};
use smp_core::transport::block::BlockCodec;
use smp_core::wire::transmission::authorized_bytes;
use smp_core::wire::{
    Authorization, BatchWriter, BrokerMessage, ClientHello, ClientTransmission, CorrelationId, EntityId,
    ServerTransmission, SessionId, Version, decode_batch,
};

use super::world::KEY_HASH;

pub(super) struct Peer {
    pub(super) version: Version,
    /// True when bytes were sent that are no block.
    pub(super) is_garbled: bool,
}

impl Peer {
    pub(super) const SESSION_ID: [u8; 32] = [b's'; 32];

    pub(super) const fn new(version: Version) -> Self {
        Self { version, is_garbled: false }
    }

    /// The block that ends the handshake. Without a key, so that blocks are not encrypted.
    pub(super) fn hello(&self) -> Vec<u8> {
        let hello = ClientHello {
            version: self.version,
            key_hash: *KEY_HASH,
            session_key: None,
            proxy_server: false,
            service: None,
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
        let session = session();
        let correlation_id = CorrelationId::from(entropy.bytes::<24>());
        let authorized = authorized_bytes(&session, &correlation_id, entity, command);
        let nonce = Nonce::from_slice(correlation_id.as_bytes());
        let authorization = key.and_then(|key| key.authorize(None, &nonce, &authorized).ok());
        let transmission = ClientTransmission {
            authorization: Authorization::from_bytes(&authorization.unwrap_or_default())
                .expect("a signature or nothing"),
            service_signature: None,
            correlation_id: correlation_id.clone(),
            entity_id: entity.clone(),
            command: command.to_vec().into(),
        };
        let mut item = Vec::new();
        transmission.encode(self.version, &session, &mut item);
        (correlation_id, item)
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

fn session() -> SessionId {
    SessionId::new(&Peer::SESSION_ID).expect("32 bytes")
}
