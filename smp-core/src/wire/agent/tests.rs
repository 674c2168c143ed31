//! Bytes of envelopes and messages, and the words of errors.

use bytes::Bytes;
use quickcheck::quickcheck;

use super::super::codec::{DecodeError, Decoded, Reader, decode_all};
use super::super::error::{
    BrokerErrorType, CommandError, ErrorText, ErrorType, HandshakeError, NameError, NetworkError, ProxyError,
    TransportError,
};
use super::super::link::{E2eParameters, KemParameters, KemPublicKey, RatchetKeys};
use super::super::{
    AuthPublicKey, ConnectionRequest, DhPublicKey, EntityId, QueueAddress, QueueInfo, QueueMode, QueueUri,
    ServerAddress, Version, X448PublicKey,
};
use super::*;

const SERVER: &[u8] = b"\x01\x04a.io\0\x20\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\
    \x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01";
const X25519: &[u8] = b"\x2c\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";
const X448: &[u8] = b"\x44\x30\x42\x30\x05\x06\x03\x2b\x65\x6f\x03\x39\x00";

fn server() -> ServerAddress {
    ServerAddress::new(vec!["a.io".parse().unwrap()], None, [1; 32]).unwrap()
}

fn address(mode: Option<QueueMode>) -> QueueAddress {
    let sender_id = EntityId::new(b"id").unwrap();
    QueueAddress { server: server(), sender_id, dh_key: DhPublicKey([2; 32]), mode }
}

fn info(version: u16, mode: Option<QueueMode>) -> QueueInfo {
    QueueInfo { version: Version(version), address: address(mode) }
}

fn sender_queue() -> SenderQueue {
    SenderQueue { server: server(), sender_id: EntityId::new(b"id").unwrap() }
}

/// Server, sender id and key of [`address`].
fn address_bytes() -> Vec<u8> {
    [SERVER, b"\x02id", X25519, &[2; 32]].concat()
}

fn bytes_of<T>(value: &T, encode: impl FnOnce(&T, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

/// Checks both directions, and that bytes which end before the last field does are refused. `tail` is the length of a
/// last field that takes what there is.
#[track_caller]
fn check_both_ways<T: PartialEq + core::fmt::Debug + Clone>(
    value: &T,
    bytes: &[u8],
    tail: usize,
    encode: fn(&T, &mut Vec<u8>),
    decode: fn(&mut Reader<'_>) -> Decoded<T>,
) {
    assert_eq!(bytes_of(value, encode), bytes, "{value:?}");
    assert_eq!(decode_all(&bytes.to_vec().into(), decode), Ok(value.clone()));
    for end in 0..bytes.len() - tail {
        assert_eq!(
            decode_all(&bytes[..end].to_vec().into(), decode),
            Err(DecodeError),
            "{value:?}, {end} bytes"
        );
    }
    if tail == 0 {
        let longer = [bytes, b"x"].concat();
        assert_eq!(decode_all(&longer.into(), decode), Err(DecodeError), "{value:?}, and one byte");
    }
}

fn keys(kem: Option<KemParameters>) -> Box<E2eParameters> {
    let (first, second) = (X448PublicKey([5; 56]), X448PublicKey([6; 56]));
    Box::new(E2eParameters { version: Version(3), first, second, kem })
}

fn request() -> ConnectionRequest {
    let ratchet = RatchetKeys {
        versions: "2-3".parse().unwrap(),
        first: X448PublicKey([5; 56]),
        second: X448PublicKey([6; 56]),
        kem: None,
    };
    let queue = QueueUri { versions: "1-4".parse().unwrap(), address: address(Some(QueueMode::Messaging)) };
    ConnectionRequest::new("2-7".parse().unwrap(), vec![queue], Some(ratchet)).unwrap()
}

#[test]
fn envelopes_both_ways() {
    let ciphertext = Bytes::from_static(b"secret");
    let key_bytes = [&b"\0\x03"[..], X448, &[5; 56], X448, &[6; 56]].concat();
    let kem = || Some(KemParameters::Proposed(KemPublicKey::new(&[7; 1158]).unwrap()));
    let text = request().to_string();
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    for (body, bytes) in [
        (EnvelopeBody::Confirmation { keys: None, ciphertext: ciphertext.clone() }, b"C0".to_vec()),
        (
            EnvelopeBody::Confirmation { keys: Some(keys(None)), ciphertext: ciphertext.clone() },
            [b"C1", &key_bytes[..], b"0"].concat(),
        ),
        (
            EnvelopeBody::Confirmation { keys: Some(keys(kem())), ciphertext: ciphertext.clone() },
            [b"C1", &key_bytes[..], b"1P\x04\x86", &[7; 1158]].concat(),
        ),
        (EnvelopeBody::Message(ciphertext.clone()), b"M".to_vec()),
        (
            EnvelopeBody::Invitation { request: Box::new(request()), info: ciphertext.clone() },
            [b"I", &length[..], text.as_bytes()].concat(),
        ),
        (
            EnvelopeBody::RatchetKeys { keys: keys(None), info: ciphertext.clone() },
            [b"R", &key_bytes[..], b"0"].concat(),
        ),
    ] {
        let bytes = [&b"\0\x07"[..], &bytes, b"secret"].concat();
        let envelope = AgentEnvelope { version: Version(7), body };
        check_both_ways(&envelope, &bytes, 6, AgentEnvelope::encode, AgentEnvelope::decode);
    }
    for bytes in [&b"\0\x07X"[..], b"\0\x07C2", b"\0\x07I\0\x01x", b"\0\x07I\0\0"] {
        assert_eq!(decode_all(&bytes.to_vec().into(), AgentEnvelope::decode), Err(DecodeError));
    }
}

#[test]
fn invitations_that_are_refused() {
    let envelope = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        decode_all(&[b"\0\x07I", &length[..], text.as_bytes()].concat().into(), AgentEnvelope::decode)
    };
    let mut contact = request();
    contact.ratchet = None;
    assert_eq!(envelope(&contact.to_string()), Err(DecodeError), "a contact address");
    // What has no escapes here would have too many bytes with them.
    let text = format!("{}&data=", request());
    assert!(envelope(&format!("{text}{}", "+".repeat(20_000))).is_ok());
    assert_eq!(envelope(&format!("{text}{}", "+".repeat(22_000))), Err(DecodeError));
}

fn message(message: AMessage) -> AgentMessage {
    AgentMessage::Message { id: 0x0102, previous_hash: MessageHash::NONE, message }
}

#[test]
fn messages_of_the_handshake_both_ways() {
    let tail = Bytes::from_static(b"{info}");
    let reply = |queues| AgentMessage::ConnInfoReply { queues, info: tail.clone() };
    let address = address_bytes();
    let of_version = |version: u8, mode: &[u8]| [&[0, version], &address[..], mode].concat();
    let messaging = || info(4, Some(QueueMode::Messaging));
    let contact = || info(4, Some(QueueMode::Contact));
    for (message, bytes) in [
        (AgentMessage::ConnInfo(tail.clone()), b"I".to_vec()),
        (AgentMessage::RatchetInfo(tail.clone()), b"R".to_vec()),
        (reply(NonEmpty::one(messaging())), [b"D\x01", &of_version(4, b"M")[..]].concat()),
        (reply(NonEmpty::one(info(3, None))), [b"D\x01", &of_version(3, b"")[..]].concat()),
        (
            reply(NonEmpty::new(vec![contact(), info(3, Some(QueueMode::Messaging))]).unwrap()),
            [b"D\x02", &of_version(4, b"C")[..], &of_version(3, b"T")].concat(),
        ),
    ] {
        let bytes = [&bytes[..], b"{info}"].concat();
        // With the mode left out, an empty information still is one.
        let shortest = matches!(&message, AgentMessage::ConnInfoReply { queues, .. }
            if queues.last().is_some_and(|queue| queue.address.mode.is_some()));
        let tail = 6 + usize::from(shortest);
        check_both_ways(&message, &bytes, tail, AgentMessage::encode, AgentMessage::decode);
    }
    for bytes in [&b""[..], b"X", b"D\0info", b"N"] {
        assert_eq!(decode_all(&bytes.to_vec().into(), AgentMessage::decode), Err(DecodeError));
    }
}

#[test]
fn a_queue_without_a_mode_takes_the_first_letter_of_what_follows() {
    let read = |version, mode, text: &'static [u8]| {
        let queues = NonEmpty::one(info(version, mode));
        let message = AgentMessage::ConnInfoReply { queues, info: Bytes::from_static(text) };
        let bytes = bytes_of(&message, AgentMessage::encode);
        match decode_all(&bytes.into(), AgentMessage::decode) {
            Ok(AgentMessage::ConnInfoReply { queues, info }) => (queues[0].address.mode, info),
            other => panic!("{other:?}"),
        }
    };
    let (messaging, contact) = (Some(QueueMode::Messaging), Some(QueueMode::Contact));
    for text in [&b"Me"[..], b"Come", b"To", b"From", b"{}", b""] {
        assert_eq!(read(4, messaging, text), (messaging, text.into()));
        assert_eq!(read(4, contact, text), (contact, text.into()));
        assert_eq!(read(3, messaging, text), (messaging, text.into()));
    }
    for (text, mode) in [(&b"Me"[..], messaging), (b"Come", contact), (b"To", messaging), (b"From", contact)]
    {
        assert_eq!(read(3, None, text), (mode, text[1..].into()));
    }
    assert_eq!(read(3, None, b"{}"), (None, Bytes::from_static(b"{}")));
}

#[test]
fn numbered_messages_both_ways() {
    let (address, queue) = (address_bytes(), [SERVER, b"\x02id"].concat());
    let receipt =
        |info: &'static [u8]| Receipt { message_id: 5, hash: [3; 32].into(), info: Bytes::from_static(info) };
    let added = |replaced| AddedQueue {
        queue: QueueUri {
            versions: "4".parse().unwrap(),
            address: self::address(Some(QueueMode::Messaging)),
        },
        replaced,
    };
    let added_bytes = [&b"QA\x01\0\x04\0\x04"[..], &address, b"M"].concat();
    let keyed =
        KeyedQueue { queue: info(4, Some(QueueMode::Messaging)), sender_key: AuthPublicKey::X25519([4; 32]) };
    let ready = |primary| ReadyQueue { queue: sender_queue(), primary };
    let hash = [&b"\0\0\0\0\0\0\0\x05\x20"[..], &[3; 32]].concat();
    for (value, bytes) in [
        (AMessage::Hello, b"H".to_vec()),
        (AMessage::Body(Bytes::from_static(b"body")), b"Mbody".to_vec()),
        (AMessage::Receipts(NonEmpty::one(receipt(b""))), [b"V\x01", &hash[..], b"\0\0"].concat()),
        (
            AMessage::Receipts(NonEmpty::new(vec![receipt(b""), receipt(b"info")]).unwrap()),
            [b"V\x02", &hash[..], b"\0\0", &hash, b"\0\x04info"].concat(),
        ),
        (AMessage::QueueContinue(sender_queue()), [b"QC", &queue[..]].concat()),
        (AMessage::QueueAdd(NonEmpty::one(added(None))), [&added_bytes[..], b"0"].concat()),
        (
            AMessage::QueueAdd(NonEmpty::one(added(Some(sender_queue())))),
            [&added_bytes[..], b"1", &queue].concat(),
        ),
        (
            AMessage::QueueKey(NonEmpty::one(keyed)),
            [&b"QK\x01\0\x04"[..], &address, b"M", X25519, &[4; 32]].concat(),
        ),
        (
            AMessage::QueueUse(NonEmpty::new(vec![ready(true), ready(false)]).unwrap()),
            [b"QU\x02", &queue[..], b"T", &queue, b"F"].concat(),
        ),
        (AMessage::QueueTest(NonEmpty::one(sender_queue())), [b"QT\x01", &queue[..]].concat()),
        (AMessage::RatchetReady(7), b"E\0\0\0\0\0\0\0\x07".to_vec()),
    ] {
        let tail = if matches!(value, AMessage::Body(_)) { 4 } else { 0 };
        let bytes = [&b"M\0\0\0\0\0\0\x01\x02\0"[..], &bytes].concat();
        check_both_ways(&message(value), &bytes, tail, AgentMessage::encode, AgentMessage::decode);
    }
    for wrong in [&b"X"[..], b"QX", b"V\0", b"QA\0", b"QK\0", b"QU\0", b"QT\0"] {
        let bytes = [&b"M\0\0\0\0\0\0\0\x01\0"[..], wrong].concat();
        assert_eq!(decode_all(&bytes.into(), AgentMessage::decode), Err(DecodeError), "{wrong:?}");
    }
}

#[test]
fn hashes_of_any_length_and_negative_numbers_are_read() {
    for length in [0, 1, 32, 255] {
        let hash = vec![9; length];
        let length = &[u8::try_from(length).unwrap()][..];
        let bytes = [&b"M\xff\xff\xff\xff\xff\xff\xff\xff"[..], length, &hash[..], b"H"];
        let read = decode_all(&bytes.concat().into(), AgentMessage::decode).unwrap();
        let AgentMessage::Message { id: -1, previous_hash, message: AMessage::Hello } = &read else {
            panic!("{read:?}")
        };
        assert_eq!(previous_hash.as_bytes(), hash);
        assert_eq!(bytes_of(&read, AgentMessage::encode), bytes.concat());
    }
}

#[test]
fn lists_have_1_to_255_items() {
    assert_eq!(NonEmpty::<u8>::new(vec![]), Err(DecodeError));
    assert_eq!(NonEmpty::new(vec![0; 256]), Err(DecodeError));
    assert_eq!(NonEmpty::new(vec![0; 255]).map(|list| list.len()), Ok(255));
    assert_eq!(NonEmpty::one(1).into_vec(), [1]);
}

#[test]
fn nothing_secret_is_shown() {
    let secret = Bytes::from_static(b"secret");
    let message = message(AMessage::Body(secret.clone()));
    let body = EnvelopeBody::Invitation { request: Box::new(request()), info: secret };
    let envelope = AgentEnvelope { version: Version(7), body };
    assert_eq!(format!("{message:?}"), "Message(Body)");
    assert_eq!(format!("{envelope:?}"), "AgentEnvelope { version: Version(7), body: Invitation }");
    assert_eq!(format!("{:?}", NonEmpty::one(sender_queue())), "1 items");
}

fn errors() -> Vec<(AgentError, &'static str)> {
    let smp = |error| AgentError::Smp { server: server().into(), error };
    let broker = |error| AgentError::Broker { server: server().into(), error };
    let proxy = |error| AgentError::Proxy { proxy: server().into(), relay: server().into(), error };
    let text = ErrorText::new;
    let crypto = |error| AgentError::Peer(PeerError::Crypto(error));
    let nested = ErrorType::Proxy(Box::new(ProxyError::Broker(BrokerErrorType::Response(text("a b")))));
    let handshake = TransportError::Handshake(HandshakeError::BadAuth);
    let notice = |is_preset, millis: Option<i64>| {
        let expires_at = millis.map(crate::UnixTime::from_millis);
        AgentError::Notice { server: server().into(), is_preset, expires_at }
    };
    vec![
        (AgentError::Command(AgentCommandError::Syntax), "CMD SYNTAX"),
        (AgentError::Command(AgentCommandError::NoConnection), "CMD NO_CONN"),
        (AgentError::Connection(ConnectionError::NotFound), "CONN NOT_FOUND"),
        (AgentError::Connection(ConnectionError::NotAvailable), "CONN NOT_AVAILABLE"),
        (AgentError::NoUser, "NO_USER"),
        (AgentError::NoNameServers, "NO_NAME_SERVERS"),
        (smp(ErrorType::Auth), "SMP @ AUTH"),
        (smp(ErrorType::Command(CommandError::Syntax)), "SMP @ CMD SYNTAX"),
        (
            smp(ErrorType::Blocked("reason=spam,notice={\"ttl\":1}".parse().unwrap())),
            "SMP @ BLOCKED reason=spam,notice={\"ttl\":1}",
        ),
        (smp(ErrorType::Store("a b".into())), "SMP @ STORE a b"),
        (smp(ErrorType::Name(NameError::Resolver("a b".into()))), "SMP @ NAME RESOLVER a b"),
        (smp(nested), "SMP @ PROXY BROKER RESPONSE a b"),
        (broker(BrokerErrorType::Timeout), "BROKER @ TIMEOUT"),
        (broker(BrokerErrorType::Unexpected(text("a b"))), "BROKER @ UNEXPECTED a b"),
        (broker(BrokerErrorType::Transport(handshake)), "BROKER @ TRANSPORT HANDSHAKE BAD_AUTH"),
        (broker(BrokerErrorType::Network(NetworkError::Failed)), "BROKER @ NETWORK"),
        (broker(BrokerErrorType::Network(NetworkError::UnknownCa)), "BROKER @ NETWORK UNKNOWNCA"),
        (broker(BrokerErrorType::Network(NetworkError::Timeout)), "BROKER @ NETWORK TIMEOUT"),
        (
            broker(BrokerErrorType::Network(NetworkError::Connect(text("a b")))),
            "BROKER @ NETWORK CONNECT a b",
        ),
        (broker(BrokerErrorType::Network(NetworkError::Tls(text("")))), "BROKER @ NETWORK TLS "),
        (
            broker(BrokerErrorType::Network(NetworkError::Subscribe(text("a")))),
            "BROKER @ NETWORK SUBSCRIBE a",
        ),
        (proxy(ProxyError::NoSession), "PROXY @ @ NO_SESSION"),
        (proxy(ProxyError::Protocol(ErrorType::Quota)), "PROXY @ @ PROTOCOL QUOTA"),
        (proxy(ProxyError::Broker(BrokerErrorType::Host)), "PROXY @ @ BROKER HOST"),
        (AgentError::Peer(PeerError::Version), "AGENT A_VERSION"),
        (AgentError::Peer(PeerError::Message), "AGENT A_MESSAGE"),
        (AgentError::Peer(PeerError::Prohibited), "AGENT A_PROHIBITED"),
        (AgentError::Peer(PeerError::Link(LinkDataError::Owners)), "AGENT A_LINK OWNERS"),
        (AgentError::Peer(PeerError::Link(LinkDataError::Address)), "AGENT A_LINK ADDRESS"),
        (AgentError::Peer(PeerError::Duplicate), "AGENT A_DUPLICATE"),
        (AgentError::Peer(PeerError::Queue), "AGENT A_QUEUE"),
        (crypto(RatchetError::Body), "AGENT A_CRYPTO DECRYPT_AES"),
        (crypto(RatchetError::Queue), "AGENT A_CRYPTO DECRYPT_CB"),
        (crypto(RatchetError::Header), "AGENT A_CRYPTO RATCHET_HEADER"),
        (crypto(RatchetError::Earlier(3)), "AGENT A_CRYPTO RATCHET_EARLIER 3"),
        (crypto(RatchetError::Skipped(600)), "AGENT A_CRYPTO RATCHET_SKIPPED 600"),
        (crypto(RatchetError::Sync), "AGENT A_CRYPTO RATCHET_SYNC"),
        (notice(true, None), "NOTICE @ T"),
        (notice(false, Some(1_798_761_599_123)), "NOTICE @ F 2026-12-31T23:59:59.123Z"),
        (AgentError::Internal("what happened".into()), "INTERNAL what happened"),
        (AgentError::Critical { offer_restart: true, text: "a b".into() }, "CRITICAL T a b"),
        (AgentError::Inactive, "INACTIVE"),
    ]
}

#[test]
fn errors_as_text_both_ways() {
    let server = server().to_string();
    for (error, text) in errors() {
        let text = text.replace('@', &server);
        assert_eq!(error.to_string(), text);
        assert_eq!(text.parse(), Ok(error));
    }
    for text in [
        "",
        "X",
        "CMD",
        "CMD ",
        "CMD X",
        "CMD SYNTAX x",
        "CONN",
        "NO_USER x",
        "SMP",
        "SMP AUTH",
        "SMP x AUTH",
        "SMP @",
        "SMP @ ",
        "SMP @ X",
        "SMP @ AUTH x",
        "BROKER @",
        "BROKER @ X",
        "BROKER @ NETWORK X",
        "BROKER @ RESPONSE",
        "PROXY @ NO_SESSION",
        "NOTICE @",
        "NOTICE @ X",
        "NOTICE @ T ",
        "NOTICE @ T soon",
        "PROXY @ @ X",
        "AGENT",
        "AGENT X",
        "AGENT A_LINK",
        "AGENT A_LINK X",
        "AGENT A_CRYPTO",
        "AGENT A_CRYPTO RATCHET_EARLIER",
        "AGENT A_CRYPTO RATCHET_EARLIER +1",
        "AGENT A_CRYPTO RATCHET_SKIPPED -1",
        "CRITICAL",
        "CRITICAL X y",
        "INACTIVE x",
    ] {
        let text = text.replace('@', &server);
        assert_eq!(text.parse::<AgentError>(), Err(DecodeError), "{text}");
    }
}

#[test]
fn errors_are_one_line_and_not_nested_for_ever() {
    let broken = "a\r\nOK\u{1b}[2J\u{85}";
    for error in [
        AgentError::Internal(broken.into()),
        AgentError::Smp { server: server().into(), error: ErrorType::Store(broken.into()) },
        AgentError::Broker {
            server: server().into(),
            error: BrokerErrorType::Unexpected(ErrorText::new(broken)),
        },
    ] {
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
        assert_eq!(text.parse::<AgentError>().unwrap().to_string(), text);
    }
    let nested = |depth: usize| format!("SMP {} {}AUTH", server(), "PROXY PROTOCOL ".repeat(depth));
    assert!(nested(3).parse::<AgentError>().is_ok());
    for depth in [4, 10_000] {
        assert_eq!(nested(depth).parse::<AgentError>(), Err(DecodeError));
    }
}

#[test]
fn integrity_of_messages() {
    let (hash, other) = (MessageHash::from([1; 32]), MessageHash::from([2; 32]));
    for (last, id, integrity) in [
        (4, 5, MessageIntegrity::Ok),
        (4, 6, MessageIntegrity::Skipped { from: 5, to: 5 }),
        (4, 9, MessageIntegrity::Skipped { from: 5, to: 8 }),
        (4, 4, MessageIntegrity::Duplicate),
        (4, 3, MessageIntegrity::BadId { previous: 4 }),
        (4, -3, MessageIntegrity::BadId { previous: 4 }),
        (i64::MAX, i64::MIN, MessageIntegrity::BadId { previous: i64::MAX }),
        (i64::MAX, i64::MAX, MessageIntegrity::Duplicate),
        (i64::MIN, i64::MAX, MessageIntegrity::Skipped { from: i64::MIN + 1, to: i64::MAX - 1 }),
    ] {
        assert_eq!(MessageIntegrity::check(last, &hash, id, &hash), integrity, "{last}, {id}");
        // The number counts for more than the hash.
        let in_order = integrity == MessageIntegrity::Ok;
        let integrity = if in_order { MessageIntegrity::BadHash } else { integrity };
        assert_eq!(MessageIntegrity::check(last, &hash, id, &other), integrity, "{last}, {id}");
    }
}

#[test]
fn integrity_as_text_both_ways() {
    for (integrity, text) in [
        (MessageIntegrity::Ok, "OK"),
        (MessageIntegrity::Skipped { from: 3, to: 5 }, "ERR NO_ID 3 5"),
        (MessageIntegrity::BadId { previous: -4 }, "ERR ID -4"),
        (MessageIntegrity::BadHash, "ERR HASH"),
        (MessageIntegrity::Duplicate, "ERR DUPLICATE"),
    ] {
        assert_eq!(integrity.to_string(), text);
        assert_eq!(text.parse(), Ok(integrity));
    }
    for text in [
        "",
        "ok",
        "OK x",
        "ERR",
        "ERR X",
        "ERR NO_ID 3",
        "ERR NO_ID 3 5 7",
        "ERR ID",
        "ERR ID +4",
        "ERR HASH x",
    ] {
        assert_eq!(text.parse::<MessageIntegrity>(), Err(DecodeError), "{text}");
    }
}

quickcheck! {
    fn any_bytes_are_read_as_what_they_are_or_refused(kind: usize, tail: Vec<u8>) -> bool {
        let heads = [
            &b""[..], b"I", b"D\x01\0\x04", b"R", b"M\0\0\0\0\0\0\0\x02\0", b"M\0\0\0\0\0\0\0\x02\0V\x01",
            b"M\0\0\0\0\0\0\0\x02\0QU\x01",
        ];
        let message: Bytes = [heads[kind % heads.len()], &tail].concat().into();
        let heads = [&b"\0\x07"[..], b"\0\x07C0", b"\0\x07M", b"\0\x07R\0\x03"];
        let envelope: Bytes = [heads[kind % heads.len()], &tail].concat().into();
        decode_all(&message, AgentMessage::decode)
            .map_or(true, |read| bytes_of(&read, AgentMessage::encode) == message)
            && decode_all(&envelope, AgentEnvelope::decode)
                .map_or(true, |read| bytes_of(&read, AgentEnvelope::encode) == envelope)
    }

    fn bodies_round_trip(id: i64, hash: Option<u8>, body: Vec<u8>) -> bool {
        let previous_hash = hash.map_or(MessageHash::NONE, |byte| [byte; 32].into());
        let message = AgentMessage::Message { id, previous_hash, message: AMessage::Body(body.into()) };
        let bytes = bytes_of(&message, AgentMessage::encode);
        decode_all(&bytes.into(), AgentMessage::decode) == Ok(message)
    }

    fn any_text_of_an_error_settles(choices: Vec<usize>, text: String) -> bool {
        let server = server().to_string();
        let words = [
            "CMD", "CONN", "SMP", "BROKER", "PROXY", "PROTOCOL", "AGENT", "AUTH", "STORE", "NETWORK", "CONNECT", "RESPONSE",
            "NAME", "RESOLVER", "NOT_FOUND", "SYNTAX", "INTERNAL", "CRITICAL", "T", &server,
        ];
        let mut line = choices.iter().map(|choice| words[choice % words.len()]).collect::<Vec<_>>().join(" ");
        line.push_str(&text);
        line.parse::<AgentError>().map_or(true, |error| {
            let written = error.to_string();
            written.parse::<AgentError>().is_ok_and(|again| again.to_string() == written)
        })
    }
}
