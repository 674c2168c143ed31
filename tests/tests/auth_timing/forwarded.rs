//! Commands that come through a proxy.

use bytes::Bytes;
use smp_core::SeededEntropy;
use smp_core::crypto::{ForwardLayer, X25519PrivateKey};
use smp_core::wire::codec::decode_all;
use smp_core::wire::command::ForwardRequest;
use smp_core::wire::{
    Authorization, BrokerMessage, ClientTransmission, Command, CorrelationId, DhPublicKey, EntityId,
    FwdResponse, FwdTransmission, ServerTransmission, SessionId, Version, decode_batch, encode_single,
};

/// The key of the proxy in its session with the server.
pub(crate) fn proxy_key() -> X25519PrivateKey {
    X25519PrivateKey::from_bytes(&[10; 32])
}

/// What is around a command of a proxy's client, and around its answer.
pub(crate) struct Layers {
    client: ForwardLayer,
    key: DhPublicKey,
    /// Of the client, and of the proxy.
    correlations: [CorrelationId; 2],
    proxy: ForwardLayer,
}

impl Layers {
    /// For the command with this correlation id.
    pub(crate) fn new(
        server: &DhPublicKey,
        correlation: &CorrelationId,
        entropy: &mut SeededEntropy,
    ) -> Self {
        let (ours, outer) = (X25519PrivateKey::generate(entropy), CorrelationId::from([11; 24]));
        let with = |key: &X25519PrivateKey| key.diffie_hellman(server).expect("a good key");
        Self {
            client: ForwardLayer::of_client(&with(&ours), correlation),
            key: ours.public(),
            proxy: ForwardLayer::of_proxy(&with(&proxy_key()).box_key(), &outer),
            correlations: [correlation.clone(), outer],
        }
    }

    /// RFWD of a transmission.
    pub(crate) fn wrap(&self, version: Version, session: &SessionId, item: &[u8]) -> Vec<u8> {
        let [inner, outer] = &self.correlations;
        let batch = encode_single(item).expect("it fits");
        let encrypted = self.client.seal_command(&batch).expect("it fits").into();
        let request = ForwardRequest { version, key: self.key, encrypted };
        let mut forwarded = Vec::new();
        FwdTransmission { correlation_id: inner.clone(), request }.encode(&mut forwarded);
        let sealed = self.proxy.seal_command(&forwarded).expect("it has no length of its own").into();
        let mut command = Vec::new();
        Command::Rfwd(sealed).encode(version, &mut command);
        let transmission = ClientTransmission {
            authorization: Authorization::None,
            service_signature: None,
            correlation_id: outer.clone(),
            entity_id: EntityId::empty(),
            command: command.into(),
        };
        let mut out = Vec::new();
        transmission.encode(version, session, &mut out);
        out
    }

    /// The transmission in an RRES.
    pub(crate) fn open(&self, version: Version, session: &SessionId, item: &Bytes) -> Bytes {
        let [inner, outer] = &self.correlations;
        let answer = ServerTransmission::decode(version, session, item).expect("an answer");
        assert!(answer.correlation_id == *outer && answer.entity_id.is_empty());
        let message = BrokerMessage::decode(version, &answer.message).expect("a message");
        let BrokerMessage::RRes(sealed) = message else { panic!("{message:?} is no RRES") };
        let response = self.proxy.open_answer(&sealed).expect("the layer of the proxy").into();
        let response = decode_all(&response, FwdResponse::decode).expect("a response");
        assert_eq!(response.correlation_id, *inner);
        let batch = self.client.open_answer(&response.encrypted).expect("the layer of the client").into();
        let items = decode_batch(&batch).expect("a batch");
        assert_eq!(items.len(), 1);
        items[0].clone()
    }
}
