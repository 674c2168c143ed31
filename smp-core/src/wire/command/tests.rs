use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::super::password::Password;
use super::super::{CorrelationId, DhPublicKey, ServerAddress};
use super::*;

fn encode(command: &Command, version: u16) -> Bytes {
    let mut out = Vec::new();
    command.encode(Version(version), &mut out);
    out.into()
}

fn decode(version: u16, bytes: &[u8]) -> Result<Command, CommandError> {
    Command::decode(Version(version), &Bytes::copy_from_slice(bytes))
}

impl Arbitrary for Command {
    fn arbitrary(g: &mut Gen) -> Self {
        let bytes = |g: &mut Gen| Bytes::from(Vec::<u8>::arbitrary(g));
        let queues = |g: &mut Gen| {
            let hash = super::super::IdsHash(u128::arbitrary(g).to_be_bytes());
            QueueSet { count: i64::arbitrary(g), hash }
        };
        match u8::arbitrary(g) % 25 {
            0 => Self::New(Box::new(new_queue(g))),
            1 => Self::Sub,
            2 => Self::Subs(queues(g)),
            3 => Self::Key(auth_key(g)),
            4 => Self::RKey((0..=u8::arbitrary(g) % 4).map(|_| auth_key(g)).collect()),
            5 => Self::LSet { link_id: id(g), data: link_data(g) },
            6 => Self::LDel,
            7 => Self::NKey(NotifierKeys { auth_key: auth_key(g), dh_key: dh_key(g) }),
            8 => Self::NDel,
            9 => Self::Get,
            10 => Self::Ack(MessageId::new(id(g).as_bytes()).unwrap()),
            11 => Self::Off,
            12 => Self::Del,
            13 => Self::Que,
            14 => Self::SKey(auth_key(g)),
            15 => Self::Send { flags: MessageFlags { notification: bool::arbitrary(g) }, body: bytes(g) },
            16 => Self::Ping,
            17 => Self::LKey(auth_key(g)),
            18 => Self::LGet,
            19 => Self::NSub,
            20 => Self::NSubs(queues(g)),
            21 => Self::Prxy(RelayRequest { relay: relay(g), password: password(g) }),
            22 => Self::Pfwd(ForwardRequest {
                version: Version(u16::arbitrary(g)),
                key: dh_key(g),
                encrypted: bytes(g),
            }),
            23 => Self::Rfwd(bytes(g)),
            _ => Self::Rslv(format!("a{}.b.simplex", u8::arbitrary(g)).parse().unwrap()),
        }
    }
}

fn raw<const N: usize>(g: &mut Gen) -> [u8; N] {
    core::array::from_fn(|_| u8::arbitrary(g))
}

fn auth_key(g: &mut Gen) -> AuthPublicKey {
    match u8::arbitrary(g) % 3 {
        0 => AuthPublicKey::Ed25519(raw(g)),
        1 => AuthPublicKey::Ed448(raw(g)),
        _ => AuthPublicKey::X25519(raw(g)),
    }
}

fn dh_key(g: &mut Gen) -> DhPublicKey {
    DhPublicKey(raw(g))
}

fn id(g: &mut Gen) -> EntityId {
    let length = if bool::arbitrary(g) { 24 } else { usize::from(u8::arbitrary(g)) };
    EntityId::new(&(0..length).map(|_| u8::arbitrary(g)).collect::<Vec<_>>()).unwrap()
}

fn link_data(g: &mut Gen) -> LinkData {
    LinkData { fixed: Vec::<u8>::arbitrary(g).into(), user: Vec::<u8>::arbitrary(g).into() }
}

fn password(g: &mut Gen) -> Option<Password> {
    Option::<u32>::arbitrary(g).map(|number| Password::new(format!("A{number}").as_bytes()).unwrap())
}

fn relay(g: &mut Gen) -> ServerAddress {
    let hosts = vec![format!("h{}.example", u8::arbitrary(g)).parse().unwrap(), "192.0.2.1".parse().unwrap()];
    ServerAddress::new(hosts, Option::arbitrary(g), raw(g)).unwrap()
}

fn new_queue(g: &mut Gen) -> NewQueue {
    let queue_data = match u8::arbitrary(g) % 5 {
        0 => None,
        1 => Some(QueueRequestData::Messaging(None)),
        2 => Some(QueueRequestData::Contact(None)),
        3 => Some(QueueRequestData::Messaging(Some(MessagingLink { sender_id: id(g), data: link_data(g) }))),
        _ => {
            let link = ContactLink { link_id: id(g), sender_id: id(g), data: link_data(g) };
            Some(QueueRequestData::Contact(Some(link)))
        }
    };
    let keys = NotifierKeys { auth_key: auth_key(g), dh_key: dh_key(g) };
    NewQueue {
        recipient_key: auth_key(g),
        dh_key: dh_key(g),
        password: password(g),
        subscribe: if bool::arbitrary(g) {
            SubscriptionMode::Subscribe
        } else {
            SubscriptionMode::OnlyCreate
        },
        queue_data,
        notifier: bool::arbitrary(g).then_some(keys),
    }
}

#[test]
fn the_newest_version_has_everything() {
    fn property(command: Command) -> bool {
        Command::decode(Version::MAX, &encode(&command, 20)).as_ref() == Ok(&command)
    }
    QuickCheck::new().tests(1000).quickcheck(property as fn(Command) -> bool);
}

#[test]
fn older_versions_keep_what_they_have() {
    fn property(command: Command, version: u16) -> bool {
        let version = 6 + version % 15;
        let bytes = encode(&command, version);
        let known = decode(version, &bytes).expect("we read what we write");
        known.tag() == command.tag() && encode(&known, version) == bytes
    }
    QuickCheck::new().tests(1000).quickcheck(property as fn(Command, u16) -> bool);
}

/// A command cut anywhere is refused, unless the cut is in a tail, where it cannot be noticed, or leaves a
/// shorter tag.
#[test]
fn cut_commands() {
    fn property(command: Command, version: u16) -> bool {
        let version = 6 + version % 15;
        let bytes = encode(&command, version);
        (0..bytes.len()).all(|cut| match (decode(version, &bytes[..cut]), &command) {
            (Err(_), _) => true,
            (Ok(Command::Send { .. }), Command::Send { .. }) => cut >= b"SEND T ".len(),
            (Ok(Command::Pfwd(_)), Command::Pfwd(_)) => cut >= b"PFWD ".len() + 2 + 45,
            (Ok(Command::Rfwd(_)), Command::Rfwd(_)) => cut >= b"RFWD ".len(),
            (Ok(Command::Rslv(_)), Command::Rslv(_)) => true,
            (Ok(short), _) => bytes.starts_with(short.tag().as_bytes()) && cut == short.tag().len(),
        })
    }
    QuickCheck::new().tests(100).quickcheck(property as fn(Command, u16) -> bool);
}

#[test]
fn surplus_bytes_and_other_tags() {
    use CommandError::{Syntax, Unknown};
    for (bytes, error) in [
        (&b""[..], Unknown),
        (b" ", Unknown),
        (b"FOO", Unknown),
        (b"sub", Unknown),
        (b"SUBx", Unknown),
        (b"\xff", Unknown),
        (b"OK", Unknown),
        (b"MSG x", Unknown),
        (b"SUB ", Syntax),
        (b"SUB x", Syntax),
        (b"PING x", Syntax),
        (b"ACK", Syntax),
        (b"ACK ", Syntax),
        (b"ACK \0x", Syntax),
        (b"RKEY \0", Syntax),
        (b"SEND", Syntax),
        (b"SEND x body", Syntax),
        (b"SEND T", Syntax),
        (b"RSLV", Syntax),
        (b"RSLV ", Syntax),
    ] {
        for version in 6..=20 {
            assert_eq!(decode(version, bytes), Err(error), "{bytes:?}");
        }
    }
}

#[test]
fn unknown_flags_are_ignored() {
    let send = |notification, body: &'static [u8]| {
        Ok(Command::Send { flags: MessageFlags { notification }, body: Bytes::from_static(body) })
    };
    assert_eq!(decode(20, b"SEND T body"), send(true, b"body"));
    assert_eq!(decode(20, b"SEND FTxyz12345 a b"), send(false, b"a b"));
    assert_eq!(decode(20, b"SEND F "), send(false, b""));
}

#[test]
fn subscriptions_of_services_before_version_19() {
    assert_eq!(decode(18, b"SUBS"), Ok(Command::Subs(QueueSet::UNKNOWN)));
    assert_eq!(decode(19, b"SUBS"), Err(CommandError::Syntax));
    assert_eq!(encode(&Command::NSubs(QueueSet { count: 7, ..QueueSet::EMPTY }), 18), &b"NSUBS"[..]);
}

#[test]
fn credentials() {
    use CommandError::{HasAuth, NoAuth, NoEntity};
    let none = EntityId::empty();
    let some = EntityId::from([1; 24]);
    let new = Command::New(Box::new(new_queue(&mut Gen::new(10))));
    let send = decode(20, b"SEND T x").unwrap();
    let resolve = decode(20, b"RSLV a.b").unwrap();
    // Without anything, with an entity, with an authorisation, with both.
    for (command, expected) in [
        (&new, [Err(NoAuth), Err(NoAuth), Ok(()), Err(HasAuth)]),
        (&send, [Err(NoEntity), Ok(()), Err(NoEntity), Ok(())]),
        (&Command::LGet, [Err(NoEntity), Ok(()), Err(NoEntity), Err(HasAuth)]),
        (&Command::Ping, [Ok(()), Err(HasAuth), Err(HasAuth), Err(HasAuth)]),
        (&resolve, [Ok(()), Err(HasAuth), Err(HasAuth), Err(HasAuth)]),
        (&Command::Sub, [Err(NoAuth), Err(NoAuth), Err(NoAuth), Ok(())]),
        (&Command::NSubs(QueueSet::EMPTY), [Err(NoAuth), Err(NoAuth), Err(NoAuth), Ok(())]),
    ] {
        let actual = [(false, &none), (false, &some), (true, &none), (true, &some)]
            .map(|(has_auth, entity)| command.check_credentials(has_auth, entity));
        assert_eq!(actual, expected, "{command:?}");
    }
}

#[test]
fn debug_shows_the_tag_alone() {
    assert_eq!(format!("{:?}", decode(20, b"SEND T secret").unwrap()), "SEND");
    let id = CorrelationId::from([7; 24]);
    assert_eq!(format!("{:?}", Command::Ack(MessageId::new(id.as_bytes()).unwrap())), "ACK");
}
