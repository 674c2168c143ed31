//! A server, and questions to it that are all answered AUTH.

use std::sync::Arc;

use bytes::Bytes;
use smp_core::crypto::{
    AuthPrivateKey, DhSecret, Ed448PrivateKey, Ed25519PrivateKey, Nonce, X25519PrivateKey,
};
use smp_core::server::store::{
    MemoryStore, NotifierRecord, QueueKey, QueueOp, QueueRecord, QueueStatus, UnixDay,
};
use smp_core::server::{ServerConfig, Session, SessionEvent, SessionInput, SessionOutput};
use smp_core::transport::block::BlockCodec;
use smp_core::transport::{PlainPeer, ServerOptions, ServerTransportConfig, Transport};
use smp_core::wire::command::{LinkData, NewQueue, NotifierKeys, QueueRequestData, SubscriptionMode};
use smp_core::wire::signed_key::{SessionKey, SignedKey};
use smp_core::wire::transmission::authorized_bytes;
use smp_core::wire::{
    Authorization, BatchWriter, BrokerMessage, ClientHello, ClientTransmission, Command, CorrelationId,
    DhPublicKey, EntityId, MessageId, Password, QueueMode, ServerHello, ServerTransmission, SessionId,
    Version, decode_batch, error::ErrorType,
};
use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};
use smp_tests::in_memory::{identity, send};

use super::forwarded::{Layers, proxy_key};
use super::groups::{EntityIds, Group, KEYS, Kind, Queue, Reason, Way};

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
    /// What is around the command and its answer, if it came through a proxy.
    layers: Option<Layers>,
    block: Vec<u8>,
}

/// What a session did, in order: what anybody could see of it who looks at its output and its store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    LookUp(usize),
    Send(usize),
    Event(SessionEvent),
}

impl Server {
    pub(crate) fn new() -> Self {
        let mut entropy = SeededEntropy::new([3; 32]);
        let identity = identity(&mut entropy, NOW.unix);
        let key_hash = *identity.fingerprint();
        let mut config = ServerConfig::default();
        config.password = Some(Password::new(b"correct").expect("a password"));
        let mut server = Self {
            store: MemoryStore::new(),
            config: Arc::new(config),
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
                for (notifier, key) in record.notifier.iter_mut().zip(&record.recipient_keys) {
                    notifier.key = *key;
                }
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
            link: Some(ids.link),
            notifier: Some(NotifierRecord {
                id: ids.notifier,
                key: new_key(kind, &mut self.entropy).public(),
                secret: DhSecret::new([5; 32]),
                service: None,
            }),
            service: None,
            used_on: UnixDay(0),
        };
        change(&mut record);
        let link = Some(Box::new(link_data()));
        self.store.run(vec![QueueOp::Create { record: Box::new(record), link }]);
    }

    /// The question of a group for its reason of this number, in a new session.
    pub(crate) fn ask<'a>(&'a self, group: &Group, at: usize) -> Question<'a> {
        let Reason { why, entity, password } = group.reasons[at].clone();
        let (session, session_key) = self.session(group.version, group.way);
        let session_id = SessionId::new(&SESSION_ID).expect("32 bytes");
        let mut entropy = SeededEntropy::new([6; 32]);
        let correlation_id = CorrelationId::from(entropy.bytes::<24>());
        let key = new_key(group.kind, &mut entropy);
        let mut command = Vec::new();
        command_named(group.command, &key, password, &mut entropy).encode(group.version, &mut command);
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
        let layers = session_key
            .filter(|_| group.way == Way::Proxy)
            .map(|key| Layers::new(&key, &correlation_id, &mut entropy));
        if let Some(layers) = &layers {
            item = layers.wrap(group.version, &session_id, &item);
        }
        let mut writer = BatchWriter::new(BlockCodec::Plain.content_max());
        writer.push(&item).expect("it fits");
        let block = BlockCodec::Plain.write(&writer.finish().expect("an item")).expect("it fits");
        let (command, version) = (group.command, group.version);
        Question {
            reason: why,
            layers,
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

    /// A session after its handshake: with a client without a key, or with a proxy, so that blocks are not encrypted.
    fn session(&self, version: Version, way: Way) -> (Session, Option<DhPublicKey>) {
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
            session_key: (way == Way::Proxy).then(|| proxy_key().public()),
            proxy_server: way == Way::Proxy,
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
                SessionOutput::Event(event) => effects.push(Effect::Event(event)),
                SessionOutput::ToBroker(_)
                | SessionOutput::Resolve(..)
                | SessionOutput::ToProxy(_)
                | SessionOutput::Close(_) => {
                    panic!("an effect that only a command with a right has")
                }
            }
        }
        (effects, answer)
    }

    /// What finding the record takes, and keeping it.
    pub(crate) fn find(&self) -> Option<Box<QueueRecord>> {
        let entity = self.entity.clone();
        let key = match self.command {
            "NEW" => return None,
            "SEND" | "SKEY" => QueueKey::Sender(entity),
            "LKEY" | "LGET" => QueueKey::Link(entity),
            "NSUB" => QueueKey::Notifier(entity),
            _ => QueueKey::Recipient(entity),
        };
        self.server.store.look_up(&key).map(Box::new)
    }

    /// The answer must be AUTH, and nothing else in the block.
    pub(crate) fn check(&self, answer: Option<Vec<u8>>) {
        let content = BlockCodec::Plain.read(answer.expect("an answer")).expect("a block");
        let items = decode_batch(&content).expect("a batch");
        assert_eq!(items.len(), 1, "{}", self.reason);
        let item = match &self.layers {
            Some(layers) => layers.open(self.version, &self.session_id, &items[0]),
            None => items[0].clone(),
        };
        let item = ServerTransmission::decode(self.version, &self.session_id, &item).expect("an answer");
        assert!(
            item.correlation_id == self.correlation_id && item.entity_id == self.entity,
            "{}",
            self.reason
        );
        let message = BrokerMessage::decode(self.version, &item.message).expect("a message");
        assert_eq!(message, BrokerMessage::Err(ErrorType::Auth), "{}", self.reason);
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

fn command_named(
    name: &str,
    key: &AuthPrivateKey,
    password: &'static str,
    entropy: &mut SeededEntropy,
) -> Command {
    match name {
        "NEW" => Command::New(Box::new(NewQueue {
            recipient_key: key.public(),
            dh_key: X25519PrivateKey::generate(entropy).public(),
            password: Some(Password::new(password.as_bytes()).expect("a password")),
            subscribe: SubscriptionMode::OnlyCreate,
            queue_data: Some(QueueRequestData::Messaging(None)),
            notifier: None,
        })),
        "SUB" => Command::Sub,
        "GET" => Command::Get,
        "ACK" => Command::Ack(MessageId::from(entropy.bytes::<24>())),
        "KEY" => Command::Key(key.public()),
        "RKEY" => Command::RKey(vec![key.public()]),
        "OFF" => Command::Off,
        "NKEY" => {
            let dh_key = X25519PrivateKey::generate(entropy).public();
            Command::NKey(NotifierKeys { auth_key: key.public(), dh_key })
        }
        "NDEL" => Command::NDel,
        "DEL" => Command::Del,
        "QUE" => Command::Que,
        "SEND" => send(&Bytes::from(vec![0; 1000])),
        "SKEY" => Command::SKey(key.public()),
        "LSET" => Command::LSet { link_id: EntityId::from(entropy.bytes::<24>()), data: link_data() },
        "LDEL" => Command::LDel,
        "LKEY" => Command::LKey(key.public()),
        "LGET" => Command::LGet,
        "NSUB" => Command::NSub,
        other => panic!("{other} is not asked"),
    }
}

fn link_data() -> LinkData {
    LinkData { fixed: Bytes::from_static(b"fixed"), user: Bytes::from_static(b"user") }
}

const SESSION_ID: [u8; 32] = [b's'; 32];
const NOW: Now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
