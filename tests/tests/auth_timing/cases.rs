//! Commands that are all answered AUTH, each for another reason, and a server to ask them.

use std::sync::Arc;

use bytes::Bytes;
use smp_core::crypto::{
    AuthPrivateKey, DhSecret, Ed448PrivateKey, Ed25519PrivateKey, Nonce, X25519PrivateKey,
};
use smp_core::server::store::{MemoryStore, QueueKey, QueueOp, QueueRecord, QueueStatus, UnixDay};
use smp_core::server::{ServerConfig, Session, SessionInput, SessionOutput};
use smp_core::transport::block::BlockCodec;
use smp_core::transport::{PlainPeer, ServerOptions, ServerTransportConfig, Transport};
use smp_core::wire::signed_key::{SessionKey, SignedKey};
use smp_core::wire::transmission::authorized_bytes;
use smp_core::wire::{
    Authorization, BatchWriter, BrokerMessage, ClientHello, ClientTransmission, Command, CorrelationId,
    DhPublicKey, EntityId, MessageId, QueueMode, ServerHello, ServerTransmission, SessionId, Version,
    decode_batch, error::ErrorType,
};
use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};
use smp_tests::in_memory::{identity, send};

use super::Depth;

/// How a command is authorised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Ed25519,
    Ed448,
    X25519,
    None,
}

const KEYS: [Kind; 3] = [Kind::Ed25519, Kind::Ed448, Kind::X25519];

/// Commands that must cost the same.
pub(crate) struct Group {
    pub(crate) version: Version,
    pub(crate) command: &'static str,
    pub(crate) kind: Kind,
    pub(crate) depth: Depth,
    /// Why the answer is AUTH, and what the command is about.
    reasons: Reasons,
}

/// A server's store and settings, with a queue for each reason to refuse a command.
pub(crate) struct Server {
    store: MemoryStore,
    config: Arc<ServerConfig>,
    transport: ServerTransportConfig,
    key_hash: [u8; 32],
    entropy: SeededEntropy,
}

/// A command that waits in a session of its own.
pub(crate) struct Question<'a> {
    pub(crate) reason: &'static str,
    command: &'static str,
    server: &'a Server,
    session: Session,
    session_id: SessionId,
    version: Version,
    correlation_id: CorrelationId,
    entity: EntityId,
    block: Vec<u8>,
}

/// What a session did, in order: what anybody could see of it who looks at its output and its store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    LookUp(usize),
    Send(usize),
}

impl Server {
    pub(crate) fn new() -> Self {
        let mut entropy = SeededEntropy::new([3; 32]);
        let identity = identity(&mut entropy, NOW.unix);
        let key_hash = *identity.fingerprint();
        let mut server = Self {
            store: MemoryStore::new(),
            config: Arc::new(ServerConfig::default()),
            transport: ServerTransportConfig::new(identity, ServerOptions::default()).expect("an identity"),
            key_hash,
            entropy,
        };
        for (at, kind) in KEYS.into_iter().enumerate() {
            let other = KEYS[(at + 1) % KEYS.len()];
            server.add(kind, Queue::Secured, |_| ());
            server.add(kind, Queue::OtherKind, |record| {
                record.recipient_keys = vec![new_key(other, &mut SeededEntropy::new([4; 32])).public()];
                record.sender_key = record.recipient_keys.first().copied();
            });
            server.add(kind, Queue::Unsecured, |record| record.sender_key = None);
            server.add(kind, Queue::Suspended, |record| record.status = QueueStatus::Off);
            server.add(kind, Queue::SuspendedUnsecured, |record| {
                (record.status, record.sender_key) = (QueueStatus::Off, None);
            });
            server.add(kind, Queue::Contact, |record| record.mode = Some(QueueMode::Contact));
        }
        // Others, so that the queues are not all found at the root.
        (0..100).for_each(|_| server.insert(Kind::Ed25519, EntityIds::random, |_| ()));
        server
    }

    fn add(&mut self, kind: Kind, queue: Queue, change: impl FnOnce(&mut QueueRecord)) {
        self.insert(kind, |_| EntityIds::of(kind, queue), change);
    }

    fn insert(
        &mut self,
        kind: Kind,
        ids: impl FnOnce(&mut SeededEntropy) -> EntityIds,
        change: impl FnOnce(&mut QueueRecord),
    ) {
        let ids = ids(&mut self.entropy);
        let mut record = QueueRecord {
            recipient: ids.recipient,
            sender: ids.sender,
            recipient_keys: vec![new_key(kind, &mut self.entropy).public()],
            secret: DhSecret::new([5; 32]),
            sender_key: Some(new_key(kind, &mut self.entropy).public()),
            mode: Some(QueueMode::Messaging),
            status: QueueStatus::Active,
            link: None,
            notifier: None,
            service: None,
            used_on: UnixDay(0),
        };
        change(&mut record);
        self.store.run(vec![QueueOp::Create { record: Box::new(record), link: None }]);
    }

    /// The question of a group for its reason of this number, in a new session.
    pub(crate) fn ask<'a>(&'a self, group: &Group, at: usize) -> Question<'a> {
        let (reason, entity) = group.reasons[at].clone();
        let (session, session_key) = self.session(group.version);
        let session_id = SessionId::new(&SESSION_ID).expect("32 bytes");
        let mut entropy = SeededEntropy::new([6; 32]);
        let correlation_id = CorrelationId::from(entropy.bytes::<24>());
        let key = new_key(group.kind, &mut entropy);
        let mut command = Vec::new();
        command_named(group.command, &key, &mut entropy).encode(group.version, &mut command);
        let authorized = authorized_bytes(&session_id, &correlation_id, &entity, &command);
        let nonce = Nonce::from_slice(correlation_id.as_bytes());
        let authorization = match group.kind {
            Kind::None => Vec::new(),
            // Before version 7 there is no key of the session, and nobody can make an authenticator.
            _ => key.authorize(session_key.as_ref(), &nonce, &authorized).unwrap_or_else(|_| vec![7; 80]),
        };
        let transmission = ClientTransmission {
            authorization: Authorization::from_bytes(&authorization).expect("a length of one"),
            service_signature: None,
            correlation_id: correlation_id.clone(),
            entity_id: entity.clone(),
            command: command.into(),
        };
        let mut item = Vec::new();
        transmission.encode(group.version, &session_id, &mut item);
        let mut writer = BatchWriter::new(BlockCodec::Plain.content_max());
        writer.push(&item).expect("it fits");
        let block = BlockCodec::Plain.write(&writer.finish().expect("an item")).expect("it fits");
        let (command, version) = (group.command, group.version);
        Question {
            reason,
            command,
            server: self,
            session,
            session_id,
            version,
            correlation_id,
            entity,
            block,
        }
    }

    /// A session after its handshake. Without a key of the client, so that blocks are not encrypted.
    fn session(&self, version: Version) -> (Session, Option<DhPublicKey>) {
        let peer =
            PlainPeer { session_id: SESSION_ID, has_alpn: version > Version::MIN, ..PlainPeer::default() };
        let transport = Transport::plain_server(self.transport.clone(), peer, [8; 32], NOW);
        let mut session = Session::new(self.config.clone(), transport, [9; 32], NOW);
        session.handle(NOW, SessionInput::Timeout);
        let Some(SessionOutput::Send(block)) = session.poll_output() else { panic!("no hello") };
        session.handle(NOW, SessionInput::Sent(block.len()));
        let hello = ServerHello::decode(&BlockCodec::Plain.read(block).expect("a block")).expect("a hello");
        let session_key =
            hello.auth.filter(|_| version > Version::MIN).map(|auth| {
                match SignedKey::from_der(&auth.signed_key).expect("a key").key {
                    SessionKey::X25519(key) => key,
                    SessionKey::Ed25519(_) => panic!("the key of a service"),
                }
            });
        let hello = ClientHello {
            version,
            key_hash: self.key_hash,
            session_key: None,
            proxy_server: false,
            service: None,
        };
        let mut content = Vec::new();
        hello.encode(&mut content);
        let block = BlockCodec::Plain.write(&content).expect("a short hello");
        session.handle(NOW, SessionInput::Received(&block));
        assert!(matches!(session.poll_output(), Some(SessionOutput::Event(_))), "the handshake is done");
        (session, session_key)
    }
}

impl Question<'_> {
    /// From the block to the block that answers it, with the look-up in the store between: what is measured.
    #[inline(never)]
    pub(crate) fn answer(&mut self) -> (Vec<Effect>, Option<Vec<u8>>) {
        let mut effects = Vec::with_capacity(8);
        let mut answer = None;
        self.session.handle(NOW, SessionInput::Received(&self.block));
        while let Some(output) = self.session.poll_output() {
            match output {
                SessionOutput::LookUp(id, keys) => {
                    effects.push(Effect::LookUp(keys.len()));
                    let records = keys.iter().map(|key| Ok(self.server.store.look_up(key))).collect();
                    self.session.handle(NOW, SessionInput::LookedUp(id, Ok(records)));
                }
                SessionOutput::Send(bytes) => {
                    effects.push(Effect::Send(bytes.len()));
                    answer = Some(bytes);
                }
                SessionOutput::ToBroker(_)
                | SessionOutput::Resolve(..)
                | SessionOutput::ToProxy(_)
                | SessionOutput::Close(_)
                | SessionOutput::Event(_) => {
                    panic!("an effect that only a command with a right has")
                }
            }
        }
        (effects, answer)
    }

    /// What finding the record takes, and keeping it.
    pub(crate) fn find(&self) -> Option<Box<QueueRecord>> {
        let keys = [QueueKey::Recipient(self.entity.clone()), QueueKey::Sender(self.entity.clone())];
        let key = &keys[usize::from(["SEND", "SKEY"].contains(&self.command))];
        (self.command != "NSUB").then(|| self.server.store.look_up(key).map(Box::new)).flatten()
    }

    /// The answer must be AUTH, and nothing else in the block.
    pub(crate) fn check(&self, answer: Option<Vec<u8>>) {
        let content = BlockCodec::Plain.read(answer.expect("an answer")).expect("a block");
        let items = decode_batch(&content).expect("a batch");
        assert_eq!(items.len(), 1, "{}", self.reason);
        let item = ServerTransmission::decode(self.version, &self.session_id, &items[0]).expect("an answer");
        assert!(
            item.correlation_id == self.correlation_id && item.entity_id == self.entity,
            "{}",
            self.reason
        );
        let message = BrokerMessage::decode(self.version, &item.message).expect("a message");
        assert_eq!(message, BrokerMessage::Err(ErrorType::Auth), "{}", self.reason);
    }
}

impl Group {
    pub(crate) const fn len(&self) -> usize {
        self.reasons.len()
    }
}

/// All of them.
pub(crate) fn groups() -> Vec<Group> {
    let all = std::env::var(COUNT_ALL).is_ok_and(|value| value == "all");
    let mut groups = Vec::new();
    for version in [Version::MAX, Version::MIN] {
        // Most of the path is the same for all commands, kinds and versions: each part of it is stepped through once.
        let around = |is_stepped| match all || is_stepped && version == Version::MAX {
            true => Depth::Around,
            false => Depth::Calls,
        };
        for kind in KEYS {
            let mut add =
                |command, depth, reasons| groups.push(Group { version, command, kind, depth, reasons });
            for command in ["GET", "ACK", "KEY", "RKEY", "OFF", "DEL", "QUE", "NDEL"] {
                add(command, around(false), about_recipients(kind));
            }
            add("SUB", around(true), about_recipients(kind));
            add("SEND", around(kind == Kind::Ed25519), about_senders(kind));
            add("SKEY", around(kind == Kind::Ed25519), about_keys(kind));
            add("NSUB", around(false), about_notifiers(kind));
            if version == Version::MAX && (all || kind == Kind::Ed25519) {
                add("SUB", Depth::Everything, about_recipients(kind).into_iter().take(2).collect());
            }
        }
        let (command, kind, depth) = ("SEND", Kind::None, around(true));
        groups.push(Group { version, command, kind, depth, reasons: unsigned() });
    }
    groups
}

/// Set to `all` it has everything stepped through, which takes minutes.
const COUNT_ALL: &str = "SMP_AUTH_TIMING";

type Reasons = Vec<(&'static str, EntityId)>;

fn about_recipients(kind: Kind) -> Reasons {
    let of = |queue| EntityIds::of(kind, queue);
    vec![
        ("unknown queue", of(Queue::Deleted).recipient),
        ("wrong key", of(Queue::Secured).recipient),
        ("wrong kind of key", of(Queue::OtherKind).recipient),
        ("suspended queue", of(Queue::Suspended).recipient),
        ("sender id", of(Queue::Secured).sender),
    ]
}

fn about_senders(kind: Kind) -> Reasons {
    let of = |queue| EntityIds::of(kind, queue);
    vec![
        ("unknown queue", of(Queue::Deleted).sender),
        ("wrong key", of(Queue::Secured).sender),
        ("wrong kind of key", of(Queue::OtherKind).sender),
        ("suspended queue", of(Queue::Suspended).sender),
        ("no key is set", of(Queue::Unsecured).sender),
        ("recipient id", of(Queue::Secured).recipient),
    ]
}

/// SKEY brings its key, so the right one signs.
fn about_keys(kind: Kind) -> Reasons {
    let of = |queue| EntityIds::of(kind, queue);
    vec![
        ("unknown queue", of(Queue::Deleted).sender),
        ("another key is set", of(Queue::Secured).sender),
        ("another kind is set", of(Queue::OtherKind).sender),
        ("contact queue", of(Queue::Contact).sender),
        ("recipient id", of(Queue::Secured).recipient),
    ]
}

/// This server has no notifiers.
fn about_notifiers(kind: Kind) -> Reasons {
    let of = |queue| EntityIds::of(kind, queue);
    vec![
        ("unknown notifier", of(Queue::Deleted).recipient),
        ("recipient id", of(Queue::Secured).recipient),
        ("sender id", of(Queue::Secured).sender),
    ]
}

fn unsigned() -> Reasons {
    let of = |queue| EntityIds::of(Kind::Ed25519, queue);
    vec![
        ("unknown queue", of(Queue::Deleted).sender),
        ("a key is set", of(Queue::Secured).sender),
        ("suspended queue", of(Queue::Suspended).sender),
        ("suspended, no key", of(Queue::SuspendedUnsecured).sender),
        ("recipient id", of(Queue::Unsecured).recipient),
    ]
}

/// The queues that there are for each kind of key; there is none of `Deleted`.
#[derive(Clone, Copy)]
enum Queue {
    Secured = 1,
    OtherKind,
    Unsecured,
    Suspended,
    SuspendedUnsecured,
    Contact,
    Deleted,
}

struct EntityIds {
    recipient: EntityId,
    sender: EntityId,
}

impl EntityIds {
    fn of(kind: Kind, queue: Queue) -> Self {
        Self::random(&mut SeededEntropy::new([10 * (kind as u8 + 1) + queue as u8; 32]))
    }

    fn random(entropy: &mut SeededEntropy) -> Self {
        Self { recipient: entropy.bytes::<24>().into(), sender: entropy.bytes::<24>().into() }
    }
}

/// A key of a stranger. Where no key is used it is of any kind.
fn new_key(kind: Kind, entropy: &mut SeededEntropy) -> AuthPrivateKey {
    match kind {
        Kind::Ed25519 | Kind::None => AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(entropy)),
        Kind::Ed448 => AuthPrivateKey::Ed448(Ed448PrivateKey::generate(entropy)),
        Kind::X25519 => AuthPrivateKey::X25519(X25519PrivateKey::generate(entropy)),
    }
}

fn command_named(name: &str, key: &AuthPrivateKey, entropy: &mut SeededEntropy) -> Command {
    match name {
        "SUB" => Command::Sub,
        "GET" => Command::Get,
        "ACK" => Command::Ack(MessageId::from(entropy.bytes::<24>())),
        "KEY" => Command::Key(key.public()),
        "RKEY" => Command::RKey(vec![key.public()]),
        "OFF" => Command::Off,
        "NDEL" => Command::NDel,
        "DEL" => Command::Del,
        "QUE" => Command::Que,
        "SEND" => send(&Bytes::from(vec![0; 1000])),
        "SKEY" => Command::SKey(key.public()),
        "NSUB" => Command::NSub,
        other => panic!("{other} is not asked"),
    }
}

const SESSION_ID: [u8; 32] = [b's'; 32];
const NOW: Now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
