use quickcheck::{Arbitrary, Gen, QuickCheck};
use smp_core::UnixTime;
use smp_core::crypto::DhSecret;
use smp_core::server::store::{
    MessageContent, Notification, NotifierRecord, QueueRecord, QueueStatus, StoredMessage, UnixDay,
};
use smp_core::wire::error::{BlockingInfo, BlockingReason, Notice};
use smp_core::wire::{AuthPublicKey, EntityId, IdsHash, MessageId, QueueMode, QueueSet, ServiceRole};

use super::*;

/// A queue with every field of version 1, and its bytes written out by hand.
fn queue_of_version_1() -> (QueueRecord, Vec<u8>) {
    let record = QueueRecord {
        recipient: EntityId::from([1; 24]),
        sender: EntityId::from([2; 24]),
        recipient_keys: vec![AuthPublicKey::Ed25519([3; 32]), AuthPublicKey::Ed448([4; 57])],
        secret: DhSecret::new([5; 32]),
        sender_key: Some(AuthPublicKey::X25519([6; 32])),
        mode: Some(QueueMode::Messaging),
        status: QueueStatus::Off,
        link: None,
        notifier: None,
        service: None,
        used_on: UnixDay(20_779),
    };
    let bytes = [
        &[1, 24][..],
        &[2; 24],
        b"M",
        &[1],
        &[0, 0, 0x51, 0x2b],
        &[5; 32],
        &[3],
        &[6; 32],
        &[0, 0, 0, 2],
        &[1],
        &[3; 32],
        &[2],
        &[4; 57],
    ];
    (record, bytes.concat())
}

/// A queue with every field, and its bytes written out by hand.
fn full_queue() -> (QueueRecord, Vec<u8>) {
    let (record, bytes) = queue_of_version_1();
    let notifier = NotifierRecord {
        id: EntityId::from([8; 24]),
        key: AuthPublicKey::Ed25519([9; 32]),
        secret: DhSecret::new([10; 32]),
        service: Some(EntityId::from([11; 24])),
    };
    let notice = Some(Notice { ttl: Some(258) });
    let record = QueueRecord {
        status: QueueStatus::Blocked(BlockingInfo { reason: BlockingReason::Content, notice }),
        link: Some(EntityId::from([7; 24])),
        notifier: Some(notifier),
        service: Some(EntityId::from([12; 24])),
        ..record
    };
    let bytes = [
        &[2][..],
        &bytes[1..27],
        &[2, 2, 2, 0, 0, 0, 0, 0, 0, 1, 2],
        &bytes[28..],
        &[24],
        &[7; 24],
        &[1, 24],
        &[8; 24],
        &[1],
        &[9; 32],
        &[10; 32],
        &[24],
        &[11; 24],
        &[24],
        &[12; 24],
    ];
    (record, bytes.concat())
}

/// Everything of a record, for comparison.
fn parts(record: &QueueRecord) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        (record.recipient.as_bytes().to_vec(), record.sender.as_bytes().to_vec()),
        (record.recipient_keys.clone(), *record.secret.as_bytes(), record.sender_key),
        (record.mode, record.status, record.used_on, record.link.clone()),
        record.notifier.as_ref().map(|of| (of.id.clone(), of.key, *of.secret.as_bytes(), of.service.clone())),
        record.service.clone(),
    )
}

/// No prefix of a value, no longer value and no other version may be taken for it.
fn refuses_other_bytes<T>(bytes: &[u8], decode: impl Fn(&Bytes) -> Decoded<T>) {
    for length in 0..bytes.len() {
        assert!(decode(&Bytes::copy_from_slice(&bytes[..length])).is_err(), "{length} bytes were enough");
    }
    assert!(decode(&[bytes, &[0]].concat().into()).is_err(), "a surplus byte was taken");
    let mut other = bytes.to_vec();
    other[0] = 3;
    assert!(decode(&other.into()).is_err(), "an unknown version was taken");
}

#[test]
fn queue_has_its_documented_bytes() {
    let (record, bytes) = full_queue();
    assert_eq!(put_queue(&record), bytes);
    let decoded = queue(record.recipient.clone(), &bytes.clone().into()).expect("these bytes are a queue");
    assert_eq!(parts(&decoded), parts(&record));
    refuses_other_bytes(&bytes, |bytes| queue(EntityId::empty(), bytes));
}

#[test]
fn queue_of_version_1_is_read() {
    let (record, bytes) = queue_of_version_1();
    let decoded = queue(record.recipient.clone(), &bytes.clone().into()).expect("these bytes are a queue");
    assert_eq!(parts(&decoded), parts(&record));
    refuses_other_bytes(&bytes, |bytes| queue(EntityId::empty(), bytes));
    let mut blocked = bytes;
    blocked.splice(27..28, [2, 1, 0]);
    assert!(queue(EntityId::empty(), &blocked.into()).is_err(), "version 1 knows no blocked queues");
}

#[test]
fn status_has_its_documented_bytes() {
    let blocked = |reason, notice| QueueStatus::Blocked(BlockingInfo { reason, notice });
    for (status, expected) in [
        (QueueStatus::Active, &[0][..]),
        (QueueStatus::Off, &[1]),
        (blocked(BlockingReason::Spam, None), &[2, 1, 0]),
        (blocked(BlockingReason::Content, Some(Notice { ttl: None })), &[2, 2, 1]),
    ] {
        let record = QueueRecord { status, ..full_queue().0 };
        let bytes = put_queue(&record);
        assert_eq!(&bytes[27..27 + expected.len()], expected);
        let decoded = queue(record.recipient.clone(), &bytes.into()).expect("what was written");
        assert_eq!(decoded.status, status);
    }
}

#[test]
fn queue_refuses_unknown_values() {
    let (_, bytes) = full_queue();
    let positions = [
        (26, "mode"),
        (27, "status"),
        (28, "reason"),
        (29, "notice"),
        (74, "sender key"),
        (111, "recipient key"),
        (227, "notifier"),
        (253, "key of the notifier"),
    ];
    for (position, what) in positions {
        let mut bytes = bytes.clone();
        bytes[position] = 9;
        assert!(queue(EntityId::empty(), &bytes.into()).is_err(), "{what}");
    }
}

#[test]
fn messages_have_their_documented_bytes() {
    let id = MessageId::from([7; 24]);
    let head = |kind| [&[1, kind][..], &[0, 0, 0, 0, 0, 0, 0x03, 0xe8], &[24], &[7; 24]].concat();
    let contents = [
        (0, MessageContent::Quota),
        (1, MessageContent::Message { notification: false, body: Bytes::from_static(b"body") }),
        (2, MessageContent::Message { notification: true, body: Bytes::from_static(b"body") }),
    ];
    for (kind, content) in contents {
        let value = StoredMessage { id: id.clone(), sent_at: UnixTime::from_secs(1), content };
        let body = if kind == 0 { &b""[..] } else { b"body" };
        let bytes = [&head(kind)[..], body].concat();
        assert_eq!(put_message(&value), bytes);
        assert!(message(&bytes.into()).as_ref() == Ok(&value), "kind {kind}");
    }
    refuses_other_bytes(&head(0), message);
    assert!(message(&head(3).into()).is_err(), "an unknown kind was taken");
}

#[test]
fn backlog_has_its_documented_bytes() {
    let value = Backlog { first: 258, count: 3, open: true, first_sent_at: UnixTime::from_millis(-1) };
    let bytes = [&[1, 1][..], &[0, 0, 0, 0, 0, 0, 1, 2], &[0, 0, 0, 3], &[0xff; 8]].concat();
    assert_eq!(value.encode(), bytes);
    assert_eq!(Backlog::decode(&bytes.clone().into()), Ok(value));
    refuses_other_bytes(&bytes, Backlog::decode);
    let empty = Backlog { count: 0, ..value };
    assert!(Backlog::decode(&empty.encode().into()).is_err(), "an empty backlog is not written");
    let overflow = Backlog { first: u64::MAX, ..value };
    assert!(Backlog::decode(&overflow.encode().into()).is_err(), "numbers that overflow");
}

#[test]
fn counters_have_their_documented_bytes() {
    let value = QueueCounts {
        queues: 1,
        messages: 2,
        notifiers: 3,
        notifications: 4,
        services: 5,
        messaging_services: 6,
        messaging_service_queues: 7,
        notifier_services: 8,
        notifier_service_queues: 9,
    };
    let number = |number: u8| [0, 0, 0, 0, 0, 0, 0, number];
    let numbers: Vec<_> = (1..=9).flat_map(number).collect();
    let bytes = [&[2][..], &numbers].concat();
    assert_eq!(bytes.len(), 73);
    assert_eq!(put_counters(value), bytes);
    assert_eq!(counters(&bytes.clone().into()), Ok(value));
    refuses_other_bytes(&bytes, counters);
    let bytes = [&[1][..], &number(1), &number(2)].concat();
    let value = QueueCounts { queues: 1, messages: 2, ..QueueCounts::default() };
    assert_eq!(counters(&bytes.clone().into()), Ok(value), "version 1");
    refuses_other_bytes(&bytes, counters);
}

#[test]
fn link_data_has_its_documented_bytes() {
    let value = LinkData { fixed: Bytes::from_static(b"fixed"), user: Bytes::from_static(b"user") };
    let bytes = [&[1, 0, 0, 0, 5][..], b"fixeduser"].concat();
    assert_eq!(put_link_data(&value), bytes);
    assert!(link_data(&bytes.clone().into()) == Ok(value));
    for length in 0..10 {
        assert!(link_data(&Bytes::copy_from_slice(&bytes[..length])).is_err(), "{length} bytes were enough");
    }
    assert!(link_data(&[&[2], &bytes[1..]].concat().into()).is_err(), "an unknown version was taken");
    let large = LinkData { fixed: vec![1; 70_000].into(), user: vec![2; 70_000].into() };
    assert!(link_data(&put_link_data(&large).into()) == Ok(large), "larger than the wire takes");
}

#[test]
fn notifications_have_their_documented_bytes() {
    let value = |id, millis| Notification {
        message: MessageId::new(id).expect("short"),
        sent_at: UnixTime::from_millis(millis),
    };
    let values = [value(&[7; 24], 1000), value(&[], -1)];
    let first = [&[0, 0, 0, 0, 0, 0, 0x03, 0xe8, 24][..], &[7; 24]].concat();
    let bytes = [&[1][..], &first, &[0xff; 8], &[0]].concat();
    assert_eq!(put_notifications(&values), bytes);
    assert!(notifications(&bytes.clone().into()).as_deref() == Ok(&values[..]));
    for length in (0..bytes.len()).filter(|length| *length != 1 + first.len()) {
        let cut = Bytes::copy_from_slice(&bytes[..length]);
        assert!(notifications(&cut).is_err(), "{length} bytes were enough");
    }
    assert!(notifications(&[&[2], &bytes[1..]].concat().into()).is_err(), "an unknown version was taken");
    assert!(notifications(&put_notifications(&[]).into()).is_err(), "an empty list is not written");
}

#[test]
fn services_have_their_documented_bytes() {
    let set = QueueSet { count: 258, hash: IdsHash([7; 16]) };
    for (letter, role) in
        [(b'M', ServiceRole::Messaging), (b'N', ServiceRole::Notifier), (b'P', ServiceRole::Proxy)]
    {
        let bytes = [&[1, letter][..], &[0, 0, 0, 0, 0, 0, 1, 2], &[7; 16]].concat();
        assert_eq!(bytes.len(), 26);
        assert_eq!(put_service(&Service { role, set }), bytes);
        assert_eq!(service(&bytes.clone().into()), Ok(Service { role, set }));
        refuses_other_bytes(&bytes, service);
    }
    let bytes = [&[1, b'X'][..], &[0; 24]].concat();
    assert!(service(&bytes.into()).is_err(), "an unknown role was taken");
    let bytes = [&[1, b'M'][..], &[0xff; 24]].concat();
    assert!(service(&bytes.into()).is_err(), "a negative count was taken");
}

#[test]
fn queues_of_a_service_are_in_order_and_apart_from_others() {
    let id = |bytes: &[u8]| EntityId::new(bytes).expect("short");
    let key = |service: &[u8], queue: &[u8]| service_key(&id(service), Some(&id(queue)));
    assert_eq!(key(&[5; 3], &[6; 2]), [3, 5, 5, 5, 6, 6]);
    assert_eq!(service_key(&id(&[5; 3]), None), [3, 5, 5, 5], "what all keys of the service begin with");
    assert_eq!(service_queue(&key(&[5; 3], &[6; 2]).into()), Ok(id(&[6; 2])));
    assert_ne!(key(&[5], &[5, 6]), key(&[5, 5], &[6]));
    assert!(!key(&[5, 5], &[6]).starts_with(&service_key(&id(&[5]), None)));
    assert!(key(&[5], &[6]) < key(&[5], &[6, 0]) && key(&[5], &[6, 0]) < key(&[5], &[7]), "as the ids are");
    for bad in [&[][..], &[4, 5, 5, 5], &[1, 5], &[&[0][..], &[6; 256]].concat()] {
        assert!(service_queue(&Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn messages_of_a_queue_are_in_order_and_apart_from_others() {
    let (short, long) = (EntityId::new(&[1]).expect("short"), EntityId::new(&[1, 0]).expect("short"));
    assert!(message_key(&short, 255) < message_key(&short, 256));
    assert_ne!(message_key(&short, 0), message_key(&long, 0));
}

#[derive(Clone, Debug)]
struct AnyQueue(QueueRecord);

impl Arbitrary for AnyQueue {
    fn arbitrary(g: &mut Gen) -> Self {
        let id = |g: &mut Gen| {
            let bytes: Vec<u8> = Arbitrary::arbitrary(g);
            EntityId::new(&bytes[..bytes.len().min(255)]).expect("at most 255 bytes")
        };
        let key = |g: &mut Gen| match u8::arbitrary(g) % 3 {
            0 => AuthPublicKey::Ed25519([u8::arbitrary(g); 32]),
            1 => AuthPublicKey::Ed448([u8::arbitrary(g); 57]),
            _ => AuthPublicKey::X25519([u8::arbitrary(g); 32]),
        };
        let notice = *g
            .choose(&[None, Some(Notice { ttl: None }), Some(Notice { ttl: Some(-1) })])
            .expect("not empty");
        let blocked = QueueStatus::Blocked(BlockingInfo { reason: BlockingReason::Spam, notice });
        let optional_id = |g: &mut Gen| Some(id(g)).filter(|id| !id.is_empty());
        let secret = DhSecret::new([u8::arbitrary(g); 32]);
        let notifier = NotifierRecord { id: id(g), key: key(g), secret, service: optional_id(g) };
        Self(QueueRecord {
            recipient: id(g),
            sender: id(g),
            recipient_keys: (0..usize::arbitrary(g) % 300).map(|_| key(g)).collect(),
            secret: DhSecret::new([u8::arbitrary(g); 32]),
            sender_key: bool::arbitrary(g).then(|| key(g)),
            mode: *g
                .choose(&[None, Some(QueueMode::Messaging), Some(QueueMode::Contact)])
                .expect("not empty"),
            status: *g.choose(&[QueueStatus::Active, QueueStatus::Off, blocked]).expect("not empty"),
            link: optional_id(g),
            notifier: Some(notifier).filter(|_| bool::arbitrary(g)),
            service: optional_id(g),
            used_on: UnixDay(u32::arbitrary(g)),
        })
    }
}

#[test]
fn every_queue_comes_back() {
    fn comes_back(AnyQueue(record): AnyQueue) -> bool {
        let decoded = queue(record.recipient.clone(), &put_queue(&record).into()).expect("what was written");
        parts(&decoded) == parts(&record)
    }
    QuickCheck::new().quickcheck(comes_back as fn(AnyQueue) -> bool);
}

#[test]
fn random_bytes_never_panic() {
    fn decodes(bytes: Vec<u8>) -> bool {
        let bytes = Bytes::from(bytes);
        let _ = (queue(EntityId::empty(), &bytes), message(&bytes), Backlog::decode(&bytes));
        let _ = (counters(&bytes), link_data(&bytes), notifications(&bytes));
        let _ = (service(&bytes), service_queue(&bytes));
        true
    }
    QuickCheck::new().tests(2000).quickcheck(decodes as fn(Vec<u8>) -> bool);
}
