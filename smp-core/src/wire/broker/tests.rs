use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::super::{CertChain, CertChainPubKey, DhPublicKey, IdsHash, QueueMode, SessionId, VersionRange};
use super::*;
use crate::time::UnixTime;

fn encode(message: &BrokerMessage, version: u16) -> Bytes {
    let mut out = Vec::new();
    message.encode(Version(version), &mut out);
    out.into()
}

fn decode(version: u16, bytes: &[u8]) -> Result<BrokerMessage, CommandError> {
    BrokerMessage::decode(Version(version), &Bytes::copy_from_slice(bytes))
}

impl Arbitrary for BrokerMessage {
    fn arbitrary(g: &mut Gen) -> Self {
        let bytes = |g: &mut Gen| Bytes::from(Vec::<u8>::arbitrary(g));
        let queues = |g: &mut Gen| QueueSet {
            count: i64::arbitrary(g),
            hash: IdsHash(u128::arbitrary(g).to_be_bytes()),
        };
        match u8::arbitrary(g) % 19 {
            0 => Self::Ids(Box::new(created_queue(g))),
            1 => Self::Lnk { sender_id: id(g), data: LinkData { fixed: bytes(g), user: bytes(g) } },
            2 => Self::Sok(optional_id(g)),
            3 => Self::Soks(queues(g)),
            4 => Self::Alls,
            5 => Self::Msg { id: MessageId::from(raw(g)), body: bytes(g) },
            6 => Self::Nid(notifier(g)),
            7 => Self::NMsg { nonce: raw(g), metadata: bytes(g) },
            8 => Self::PKey(Box::new(relay_session(g))),
            9 => Self::PRes(bytes(g)),
            10 => Self::RRes(bytes(g)),
            11 => Self::End,
            12 => Self::Ends(queues(g)),
            13 => Self::Deld,
            14 => Self::Info(Box::new(queue_status(g))),
            15 => Self::Ok,
            16 => Self::Pong,
            17 => Self::Err(ErrorType::Store(String::arbitrary(g))),
            _ => Self::RName(Box::new(record(g))),
        }
    }
}

fn raw<const N: usize>(g: &mut Gen) -> [u8; N] {
    core::array::from_fn(|_| u8::arbitrary(g))
}

fn id(g: &mut Gen) -> EntityId {
    EntityId::from(raw(g))
}

fn optional_id(g: &mut Gen) -> Option<EntityId> {
    bool::arbitrary(g).then(|| id(g))
}

fn notifier(g: &mut Gen) -> CreatedNotifier {
    CreatedNotifier { notifier_id: id(g), dh_key: DhPublicKey(raw(g)) }
}

fn created_queue(g: &mut Gen) -> CreatedQueue {
    CreatedQueue {
        recipient_id: id(g),
        sender_id: id(g),
        dh_key: DhPublicKey(raw(g)),
        mode: *g.choose(&[None, Some(QueueMode::Messaging), Some(QueueMode::Contact)]).unwrap(),
        link_id: optional_id(g),
        service_id: optional_id(g),
        notifier: bool::arbitrary(g).then(|| notifier(g)),
    }
}

fn relay_session(g: &mut Gen) -> RelaySession {
    let chain = CertChain::new(vec![Vec::<u8>::arbitrary(g).into(), Vec::<u8>::arbitrary(g).into()]).unwrap();
    RelaySession {
        session_id: SessionId::new(&raw::<32>(g)).unwrap(),
        versions: VersionRange::only(Version(u16::arbitrary(g))),
        key: CertChainPubKey { chain, signed_key: Vec::<u8>::arbitrary(g).into() },
    }
}

fn queue_status(g: &mut Gen) -> QueueStatus {
    let subscription = SubscriptionStatus {
        thread: *g.choose(&[SubscriptionThread::NoSub, SubscriptionThread::SubThread]).unwrap(),
        delivered: bool::arbitrary(g).then(|| MessageId::from(raw(g))),
    };
    let message = MessageStatus {
        id: MessageId::from(raw(g)),
        received_at: UnixTime::from_secs(i64::from(u32::arbitrary(g))),
        kind: *g.choose(&[MessageKind::Message, MessageKind::Quota]).unwrap(),
    };
    QueueStatus {
        sender_secured: bool::arbitrary(g),
        notifier: bool::arbitrary(g),
        subscription: bool::arbitrary(g).then_some(subscription),
        size: u64::arbitrary(g),
        message: bool::arbitrary(g).then_some(message),
    }
}

fn record(g: &mut Gen) -> NameRecord {
    NameRecord {
        name: String::arbitrary(g),
        nickname: String::arbitrary(g),
        website: String::arbitrary(g),
        location: String::arbitrary(g),
        simplex_contact: Vec::arbitrary(g),
        simplex_channel: Vec::arbitrary(g),
        eth: Option::arbitrary(g),
        btc: Option::arbitrary(g),
        xmr: Option::arbitrary(g),
        dot: Option::arbitrary(g),
        owner: String::arbitrary(g),
        resolver: String::arbitrary(g),
    }
}

#[test]
fn the_newest_version_has_everything() {
    fn property(message: BrokerMessage) -> bool {
        BrokerMessage::decode(Version::MAX, &encode(&message, 20)).as_ref() == Ok(&message)
    }
    QuickCheck::new().tests(1000).quickcheck(property as fn(BrokerMessage) -> bool);
}

#[test]
fn older_versions_keep_what_they_have() {
    fn property(message: BrokerMessage, version: u16) -> bool {
        let version = 6 + version % 15;
        let bytes = encode(&message, version);
        let known = decode(version, &bytes).expect("we read what we write");
        known.tag(Version(version)) == message.tag(Version(version)) && encode(&known, version) == bytes
    }
    QuickCheck::new().tests(1000).quickcheck(property as fn(BrokerMessage, u16) -> bool);
}

#[test]
fn cut_messages() {
    fn property(message: BrokerMessage) -> bool {
        let bytes = encode(&message, 20);
        (0..bytes.len()).all(|cut| match (decode(20, &bytes[..cut]), &message) {
            (Err(_), _) => true,
            (Ok(BrokerMessage::Msg { .. }), BrokerMessage::Msg { .. }) => cut >= b"MSG ".len() + 25,
            (Ok(BrokerMessage::PRes(_)), BrokerMessage::PRes(_))
            | (Ok(BrokerMessage::RRes(_)), BrokerMessage::RRes(_)) => cut >= b"PRES ".len(),
            (Ok(BrokerMessage::Err(_)), BrokerMessage::Err(_)) => cut >= b"ERR STORE ".len(),
            (Ok(short), _) => bytes[..cut] == *short.tag(Version::MAX).as_bytes(),
        })
    }
    QuickCheck::new().tests(40).quickcheck(property as fn(BrokerMessage) -> bool);
}

#[test]
fn what_older_versions_are_told_instead() {
    let service = BrokerMessage::Sok(Some(EntityId::from([1; 24])));
    assert_eq!(encode(&service, 15), &b"OK"[..]);
    assert_eq!(encode(&service, 16), [&b"SOK 1\x18"[..], &[1; 24]].concat());
    assert_eq!(encode(&BrokerMessage::Sok(None), 16), &b"SOK 0"[..]);
    assert_eq!(encode(&BrokerMessage::Deld, 9), &b"END"[..]);
    assert_eq!(encode(&BrokerMessage::Deld, 10), &b"DELD"[..]);
    let none = BrokerMessage::Ends(QueueSet::EMPTY);
    assert_eq!(encode(&none, 18), &b"ENDS \0\0\0\0\0\0\0\0"[..]);
    assert_eq!(encode(&none, 19), [&b"ENDS \0\0\0\0\0\0\0\0\x10"[..], &[0; 16]].concat());
}

#[test]
fn surplus_bytes_and_other_tags() {
    use CommandError::{Syntax, Unknown};
    for (bytes, error) in [
        (&b""[..], Unknown),
        (b"FOO", Unknown),
        (b"SUB", Unknown),
        (b"PONGx", Unknown),
        (b"PONG x", Syntax),
        (b"OK ", Syntax),
        (b"SOK", Syntax),
        (b"ERR", Syntax),
        (b"ERR ", Syntax),
        (b"INFO", Syntax),
        (b"INFO []", Syntax),
        (b"INFO {}", Syntax),
        (b"INFO {\"qiSnd\":true,\"qiNtf\":true,\"qiSize\":-1}", Syntax),
    ] {
        for version in 6..=20 {
            assert_eq!(decode(version, bytes), Err(error), "{bytes:?}");
        }
    }
}

#[test]
fn entities() {
    let none = EntityId::empty();
    let some = EntityId::from([1; 24]);
    let error = BrokerMessage::Err(ErrorType::Auth);
    for (message, without, with) in [
        (&error, Ok(()), Ok(())),
        (&BrokerMessage::Pong, Ok(()), Err(CommandError::HasAuth)),
        (&BrokerMessage::Alls, Ok(()), Err(CommandError::HasAuth)),
        (&BrokerMessage::RRes(Bytes::new()), Ok(()), Err(CommandError::HasAuth)),
        (&BrokerMessage::PRes(Bytes::new()), Err(CommandError::NoEntity), Ok(())),
        (&BrokerMessage::Ok, Err(CommandError::NoEntity), Ok(())),
        (&BrokerMessage::End, Err(CommandError::NoEntity), Ok(())),
    ] {
        assert_eq!(message.check_entity(&none), without, "{message:?}");
        assert_eq!(message.check_entity(&some), with, "{message:?}");
    }
}

#[test]
fn times_that_text_cannot_hold_are_the_nearest_that_it_can() {
    let written = |secs| {
        let message = MessageStatus {
            id: MessageId::empty(),
            received_at: UnixTime::from_secs(secs),
            kind: MessageKind::Message,
        };
        let mut out = Vec::new();
        json::encode(&message, &mut out);
        String::from_utf8(out).unwrap()
    };
    let text = |at| format!(r#"{{"msgId":"","msgTs":"{at}","msgType":"message"}}"#);
    assert_eq!(written(1_700_000_000), text("2023-11-14T22:13:20Z"));
    assert_eq!(written(i64::MAX), text("9999-12-31T23:59:59Z"));
    assert_eq!(written(i64::MIN), text("0000-01-01T00:00:00Z"));
}
