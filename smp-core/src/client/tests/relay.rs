//! Sending through a proxy: the test plays the proxy and the relay behind it.

use bytes::Bytes;

use super::*;
use crate::crypto::ForwardLayer;
use crate::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use crate::wire::broker::RelaySession;
use crate::wire::command::{Command, ForwardRequest, MessageFlags};
use crate::wire::error::{CommandError, ErrorType, ProxyError};
use crate::wire::{
    CertChain, CertChainPubKey, ClientTransmission, FwdResponse, FwdTransmission, ServerAddress, SessionId,
    SessionKey, SignedKey, VersionRange, decode_batch, encode_single,
};

const SESSION: [u8; 24] = [5; 24];

/// A relay: who it is, and its key in the session with the proxy.
struct Destination {
    identity: ServerIdentity,
    key: X25519PrivateKey,
}

impl Destination {
    fn new() -> Self {
        let mut entropy = SeededEntropy::new([8; 32]);
        let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, START.unix).unwrap();
        let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
        let issued = authority.issue(subject, &mut entropy, START.unix).unwrap();
        let chain = vec![issued.certificate, authority.certificate().clone()];
        let identity = ServerIdentity::new(chain, issued.key, START.unix).unwrap();
        Self { identity, key: X25519PrivateKey::generate(&mut entropy) }
    }

    fn address(&self) -> ServerAddress {
        let host = "relay.example".parse().unwrap();
        ServerAddress::new(vec![host], None, *self.identity.fingerprint()).unwrap()
    }

    /// What the proxy says of it.
    fn offer(&self, max: u16) -> RelaySession {
        let key = SessionKey::X25519(self.key.public());
        let signature = self.identity.key().sign(&key.signed_bytes());
        RelaySession {
            session_id: SessionId::from(SESSION),
            versions: VersionRange::new(Version(8), Version(max)).unwrap(),
            key: CertChainPubKey {
                chain: CertChain::new(self.identity.chain().to_vec()).unwrap(),
                signed_key: SignedKey { key, signature }.to_der().into(),
            },
        }
    }

    fn layer(&self, command: &Incoming) -> (ForwardLayer, ForwardRequest) {
        let Command::Pfwd(request) = &command.command else { panic!("not PFWD") };
        let secret = self.key.diffie_hellman(&request.key).unwrap();
        (ForwardLayer::of_client(&secret, &command.correlation), request.clone())
    }

    /// The forwarded command.
    fn open(&self, command: &Incoming) -> ClientTransmission {
        let (layer, request) = self.layer(command);
        let batch = layer.open_command(&request.encrypted).unwrap();
        let [item] = &decode_batch(&batch.into()).unwrap()[..] else { panic!("not one") };
        ClientTransmission::decode(request.version, &SessionId::from(SESSION), item).unwrap()
    }

    /// PRES of an answer.
    fn answer(&self, command: &Incoming, transmission: &ServerTransmission) -> BrokerMessage {
        let (layer, request) = self.layer(command);
        let mut item = Vec::new();
        transmission.encode(request.version, &SessionId::from(SESSION), &mut item);
        BrokerMessage::PRes(layer.seal_answer(&encode_single(&item).unwrap()).unwrap().into())
    }
}

/// A client, and the relay that it got from its proxy.
fn with_relay(version: u16, relay_max: u16) -> (Pair, Destination, Relay) {
    let (mut pair, destination) = (Pair::connected(version), Destination::new());
    let (id, command) = pair.sent(Request::relay(destination.address(), None));
    let session = Box::new(destination.offer(relay_max));
    let Ok(Answer::Relay(relay)) = pair.answered(id, &command, BrokerMessage::PKey(session)) else {
        panic!("no relay")
    };
    (pair, destination, relay)
}

fn send(body: &'static [u8], key: Option<AuthPrivateKey>) -> Request {
    Request::send(queue(1), key, MessageFlags { notification: true }, body.into())
}

fn told(command: &Incoming, entity: EntityId, message: &BrokerMessage) -> ServerTransmission {
    let transmission = unasked(entity, message);
    ServerTransmission { correlation_id: command.correlation.clone(), ..transmission }
}

#[test]
fn the_relay_gets_the_command_and_the_client_its_answer() {
    for (version, relay_max) in [(8, 8), (11, 20), (18, 15), (20, 17)] {
        for key in keys() {
            let (mut pair, destination, relay) = with_relay(version, relay_max);
            assert_eq!(relay.version(), Version(relay_max));
            let (id, command) = pair.sent(send(b"hello", Some(key)).through(&relay));
            assert_eq!(command.entity.as_bytes(), SESSION);
            assert!(!command.transmission.authorization.is_some(), "what is outside is not authorised");
            let inside = destination.open(&command);
            assert!(inside.authorization.is_some());
            assert_eq!(inside.correlation_id, command.correlation);
            assert_eq!((inside.entity_id.clone(), &inside.command[..]), (queue(1), &b"SEND T hello"[..]));
            let answer = destination.answer(&command, &told(&command, queue(1), &BrokerMessage::Ok));
            assert_eq!(pair.answered(id, &command, answer), Ok(Answer::Done));
        }
    }
}

#[test]
fn errors_tell_who_refused() {
    let (mut pair, destination, relay) = with_relay(18, 17);
    let auth = BrokerMessage::Err(ErrorType::Auth);
    let (id, command) = pair.sent(send(b"hello", None).through(&relay));
    let answer = destination.answer(&command, &told(&command, queue(1), &auth));
    assert_eq!(pair.answered(id, &command, answer), Err(RequestError::Relay(ErrorType::Auth)));

    // A relay that could not read the command.
    let (id, command) = pair.sent(send(b"hello", None).through(&relay));
    let block = ErrorType::Block;
    let answer = unasked(EntityId::empty(), &BrokerMessage::Err(block.clone()));
    let answer = destination.answer(&command, &answer);
    assert_eq!(pair.answered(id, &command, answer), Err(RequestError::Relay(block)));

    let (id, command) = pair.sent(send(b"hello", None).through(&relay));
    let no_session = ErrorType::Proxy(Box::new(ProxyError::NoSession));
    let refused = pair.answered(id, &command, BrokerMessage::Err(no_session.clone()));
    assert_eq!(refused, Err(RequestError::Server(no_session)));
}

#[test]
fn an_answer_that_is_not_the_relays_is_not_believed() {
    let (mut pair, destination, relay) = with_relay(18, 17);
    let mut answered = |answer: &dyn Fn(&Incoming) -> BrokerMessage| {
        let (id, command) = pair.sent(send(b"hello", None).through(&relay));
        pair.answered(id, &command, answer(&command)).err().unwrap()
    };
    let ok = BrokerMessage::Ok;
    assert_eq!(answered(&|_| BrokerMessage::PRes(Bytes::from_static(&[7; 16242]))), RequestError::Sealed);
    assert_eq!(answered(&|_| BrokerMessage::PRes(Bytes::new())), RequestError::Sealed);
    assert_eq!(answered(&|_| BrokerMessage::Ok), RequestError::Unexpected);
    let other_queue = |command: &Incoming| destination.answer(command, &told(command, queue(2), &ok));
    assert_eq!(answered(&other_queue), RequestError::Unexpected);
    let other_command = |command: &Incoming| destination.answer(command, &unasked(queue(1), &ok));
    assert_eq!(answered(&other_command), RequestError::Unexpected);
    let two = |command: &Incoming| {
        let sealed = destination.layer(command).0.seal_answer(b"\x02\0\x01a\0\x01b").unwrap();
        BrokerMessage::PRes(sealed.into())
    };
    assert_eq!(answered(&two), RequestError::Malformed);
}

#[test]
fn a_relay_must_be_the_one_that_was_asked_for() {
    let destination = Destination::new();
    let good = destination.offer(17);
    let changed = |change: &dyn Fn(&mut RelaySession)| {
        let mut offer = good.clone();
        change(&mut offer);
        offer
    };
    let other_key = SessionKey::X25519(X25519PrivateKey::from_bytes(&[3; 32]).public());
    let signature = SignedKey::from_der(&good.key.signed_key).unwrap().signature;
    for offer in [
        changed(&|offer| offer.key.signed_key = SignedKey { key: other_key, signature }.to_der().into()),
        changed(&|offer| {
            let leaf = offer.key.chain.certificates()[..1].to_vec();
            offer.key.chain = CertChain::new(leaf).unwrap();
        }),
        changed(&|offer| offer.key.signed_key = Bytes::new()),
    ] {
        let mut pair = Pair::connected(18);
        let (id, command) = pair.sent(Request::relay(destination.address(), None));
        let refused = pair.answered(id, &command, BrokerMessage::PKey(Box::new(offer)));
        assert!(matches!(refused, Err(RequestError::BadRelay(_))), "{refused:?}");
    }
    let mut pair = Pair::connected(18);
    let other = ServerAddress::new(destination.address().hosts().to_vec(), None, [1; 32]).unwrap();
    let (id, command) = pair.sent(Request::relay(other, None));
    let refused = pair.answered(id, &command, BrokerMessage::PKey(Box::new(good)));
    let Err(RequestError::BadRelay(fault)) = refused else { panic!("{refused:?}") };
    assert!(fault.is_identity());
}

#[test]
fn what_is_not_for_a_relay_is_not_sent() {
    let (mut pair, _, relay) = with_relay(18, 11);
    for (request, expected) in [
        (sub(1).through(&relay), Rejection::NotForProxy),
        (Request::ping().through(&relay), Rejection::NotForProxy),
        (Request::read_link(queue(1)).through(&relay), Rejection::NeedsVersion(Version::SHORT_LINKS)),
        (
            Request::read_link(EntityId::empty()).through(&relay),
            Rejection::Credentials(CommandError::NoEntity),
        ),
        (send(&[0; 16049], None).through(&relay), Rejection::LargeMessage { limit: 16048 }),
    ] {
        let id = pair.request(request);
        pair.run();
        assert_eq!(pair.take_answer(id), Err(expected.into()));
    }
    let [_, ed448, _] = keys();
    let (_, command) = pair.sent(send(&[0; 16048], Some(ed448)).through(&relay));
    assert_eq!(command.command.tag(), "PFWD");
    let mut old = Pair::connected(6);
    let id = old.request(send(b"hello", None).through(&relay));
    old.run();
    assert_eq!(old.take_answer(id), Err(Rejection::NeedsVersion(Version::PRIVATE_ROUTING).into()));
}

#[test]
fn a_proxy_forwards_in_a_layer_of_its_own() {
    let mut pair = Pair::connected(18);
    let request = ForwardRequest {
        version: Version(17),
        key: X25519PrivateKey::from_bytes(&[3; 32]).public(),
        encrypted: Bytes::from_static(b"sealed by a client"),
    };
    let transmission = FwdTransmission { correlation_id: [7; 24].into(), request };
    for is_changed in [false, true] {
        let (id, command) = pair.sent(Request::forward(&transmission));
        let Command::Rfwd(sealed) = &command.command else { panic!("not RFWD") };
        let layer = ForwardLayer::of_proxy(&pair.peer.box_key(), &command.correlation);
        let mut content = Vec::new();
        transmission.encode(&mut content);
        assert_eq!(layer.open_command(sealed).unwrap(), content);
        let answer = FwdResponse { correlation_id: [7; 24].into(), encrypted: Bytes::from_static(b"answer") };
        let mut content = Vec::new();
        answer.encode(&mut content);
        let mut sealed = layer.seal_answer(&content).unwrap();
        sealed[20] ^= u8::from(is_changed);
        let result = pair.answered(id, &command, BrokerMessage::RRes(sealed.into()));
        let expected = if is_changed { Err(RequestError::Sealed) } else { Ok(Answer::Forwarded(answer)) };
        assert_eq!(result, expected);
    }
}
