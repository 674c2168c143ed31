//! Records to test stores of agents with: all that can be kept, drawn at random from a seed. Names are few, so that
//! they meet.

use std::sync::Arc;

use bytes::Bytes;
use smp_core::agent::store::{
    Agreement, Confirmation, ConnectionState, Counters, Delivery, Incoming, Invitation, LinkCredentials,
    Origin, Outgoing, OutgoingContent, Progress, QueueNumber, QueueStage, ReceiptState, ReceiveQueue,
    ReceiveSwitch, SendQueue, SendSwitch, ServerCounters, ServerNotice, Statistics, SyncState, Task,
    TaskKind, User, UserService,
};
use smp_core::agent::{ConfirmationId, ConnectionId, InvitationId, LocalMessageId, UserId};
use smp_core::crypto::ratchet::{
    BodyKey, ChainKey, HeaderKey, KemOffer, MessageKey, Ratchet, RatchetParts, ReceivingChain, RootKey,
    SendingChain, SkippedChanges, SkippedKey, X3dhKeys,
};
use smp_core::crypto::{
    AuthPrivateKey, DhSecret, Ed448PrivateKey, Ed25519PrivateKey, KemPrivateKey, X448PrivateKey,
    X25519PrivateKey,
};
use smp_core::transport::identity::IdentityKey;
use smp_core::wire::agent::{MessageHash, MessageIntegrity};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::link::{ContactKind, LinkKey, LinkKind, ShortLink};
use smp_core::wire::{
    AuthPublicKey, ConnectionRequest, DhPublicKey, EntityId, IdsHash, MessageId, QueueAddress, QueueInfo,
    QueueMode, QueueSet, QueueUri, ServerAddress, Version, VersionRange, X448PublicKey,
};
use smp_core::{Entropy, SeededEntropy, UnixTime};

/// How many users there are.
pub const USERS: u64 = 3;
/// How many connections.
pub const CONNECTIONS: u64 = 4;
/// How many queues each may have of each kind. Their numbers begin with 1.
pub const QUEUES: u64 = 4;
/// How many messages each may have of each kind.
pub const MESSAGES: u64 = 12;
/// How many different confirmations, invitations, sender's numbers and header keys there are.
pub const NAMES: u64 = 4;

/// A user id.
#[must_use]
pub const fn user_id(number: u64) -> UserId {
    UserId(number.cast_signed())
}

/// A connection id.
#[must_use]
pub fn connection_id(number: u64) -> ConnectionId {
    ConnectionId::new(id(b'c', number))
}

/// A confirmation id.
#[must_use]
pub fn confirmation_id(number: u64) -> ConfirmationId {
    ConfirmationId::new(id(b'f', number))
}

/// An invitation id.
#[must_use]
pub fn invitation_id(number: u64) -> InvitationId {
    InvitationId::new(id(b'i', number))
}

/// A hash of what was seen.
#[must_use]
pub const fn seen(number: u64) -> [u8; 32] {
    [number.to_be_bytes()[7]; 32]
}

fn id(kind: u8, number: u64) -> [u8; 12] {
    let mut id = [kind; 12];
    id[4..].copy_from_slice(&number.to_be_bytes());
    id
}

/// A source of records that is a function of its seed.
pub struct Samples {
    entropy: SeededEntropy,
    kem: KemPrivateKey,
}

impl Samples {
    /// A source.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        // The same for all seeds, because it is slow to make.
        let kem = KemPrivateKey::generate(&mut SeededEntropy::new([0; 32]));
        Self { entropy: SeededEntropy::new(bytes), kem }
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        u64::from_be_bytes(self.bytes()) % limit
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// A connection.
    pub fn connection(&mut self) -> ConnectionId {
        connection_id(self.below(CONNECTIONS))
    }

    /// Statistics, also of users who are not there.
    pub fn statistics(&mut self) -> Statistics {
        let count = self.below(4);
        let servers = (0..count).map(|_| {
            let user = user_id(self.below(USERS + 1));
            let values: Vec<_> =
                (0..40).map(|_| if self.one_in(4) { u64::MAX } else { self.below(9) }).collect();
            ((user, self.server()), ServerCounters::of_values(values))
        });
        Statistics { servers: servers.collect(), since: self.time() }
    }

    /// The number of a queue.
    pub fn queue(&mut self) -> QueueNumber {
        QueueNumber(u32::try_from(self.below(QUEUES)).unwrap_or(0) + 1)
    }

    /// The number of a message.
    pub fn message(&mut self) -> LocalMessageId {
        LocalMessageId(self.below(MESSAGES).cast_signed())
    }

    /// A time in the first quarter of an hour.
    pub fn time(&mut self) -> UnixTime {
        UnixTime::from_millis(self.below(900_000).cast_signed())
    }

    /// A user.
    pub fn user(&mut self) -> User {
        User { id: user_id(self.below(USERS)), is_deleted: self.one_in(3) }
    }

    /// What makes the sessions of a user, with one of few servers, those of a service.
    pub fn service(&mut self) -> UserService {
        let host = self.one_of(&["a.example", "b.example"]);
        let server = ServerAddress::new(vec![host.parse().expect("a host")], None, [7; 32]).expect("hosts");
        UserService {
            user: user_id(self.below(USERS)),
            server,
            certificate: self.body(),
            key: Arc::new(IdentityKey::Ed25519(Ed25519PrivateKey::from_bytes(&self.bytes()))),
            id: self.maybe(Self::entity_id),
            surplus: QueueSet { count: self.number(), hash: IdsHash(self.bytes()) },
        }
    }

    /// Some queues.
    pub fn names(&mut self) -> Vec<(ConnectionId, QueueNumber)> {
        (0..self.below(4)).map(|_| (self.connection(), self.queue())).collect()
    }

    /// The plain values of a connection.
    pub fn state(&mut self) -> ConnectionState {
        ConnectionState {
            user: user_id(self.below(USERS)),
            progress: self.one_of(&[
                Progress::Created,
                Progress::Confirmed,
                Progress::Allowed,
                Progress::Joining,
                Progress::Opened,
                Progress::Requested,
                Progress::Joined,
                Progress::Connected,
                Progress::Contact,
                Progress::Prepared,
            ]),
            version: self.version(),
            pq_support: self.one_in(2),
            counters: Counters {
                last: self.message(),
                sent: self.number(),
                sent_hash: self.hash(),
                received: self.number(),
                received_hash: self.hash(),
            },
            sync: self.one_of(&[
                SyncState::Ok,
                SyncState::Allowed,
                SyncState::Required,
                SyncState::Started,
                SyncState::Agreed,
            ]),
            deleted_at: self.maybe(Self::time).filter(|_| self.one_in(4)),
            delete_after_delivery: self.one_in(2),
            skipped: self.number_u32(),
            queues: self.number_u32(),
            receive_queues: self.number_u32(),
        }
    }

    /// What both sides have agreed on.
    pub fn agreement(&mut self) -> Agreement {
        match self.below(5) {
            0 => Agreement::None,
            1 => Agreement::Offered(Box::new(self.keys())),
            2 => Agreement::Renewing(Box::new(self.ratchet()), Box::new(self.keys())),
            _ => Agreement::Ratchet(Box::new(self.ratchet())),
        }
    }

    fn keys(&mut self) -> X3dhKeys {
        let kem = if self.one_in(8) { KemOffer::Propose } else { KemOffer::Nothing };
        X3dhKeys::generate(Version(3), kem, &mut self.entropy)
    }

    /// A ratchet that can send.
    pub fn ratchet(&mut self) -> Ratchet {
        let with_kem = self.one_in(4);
        Ratchet::from_parts(RatchetParts {
            version: Version(3),
            max_version: Version(3),
            associated_data: self.some_bytes(112),
            root: RootKey::new(self.bytes()),
            key: X448PrivateKey::from_bytes(&self.bytes()),
            kem: with_kem.then(|| self.kem.clone()),
            sending: Some(SendingChain {
                chain: ChainKey::new(self.bytes()),
                header: HeaderKey::new(self.bytes()),
                theirs: X448PublicKey(self.bytes()),
                ciphertext: None,
            }),
            receiving: self.maybe(|samples| ReceivingChain {
                chain: ChainKey::new(samples.bytes()),
                header: HeaderKey::new(samples.bytes()),
            }),
            next_sending_header: HeaderKey::new(self.bytes()),
            next_receiving_header: HeaderKey::new(self.bytes()),
            sent: self.number_u32() / 2,
            received: self.number_u32(),
            previous: self.number_u32(),
            pq_supported: with_kem,
            pq_enabled: self.one_in(2),
            pq_sending: self.one_in(2),
            pq_receiving: self.one_in(2),
        })
    }

    /// Changes of a few skipped keys.
    pub fn skipped(&mut self) -> SkippedChanges {
        let removed = (0..self.below(3)).map(|_| (self.header_key(), self.few())).collect();
        let added = (0..self.below(6)).map(|_| SkippedKey {
            header: self.header_key(),
            number: self.few(),
            key: BodyKey { key: self.bytes(), iv: self.bytes() },
        });
        SkippedChanges { removed, added: added.collect() }
    }

    /// A receive queue.
    pub fn receive_queue(&mut self) -> ReceiveQueue {
        ReceiveQueue {
            number: self.queue(),
            server: self.server(),
            recipient_id: self.entity_id(),
            sender_id: self.entity_id(),
            key: self.private_key(),
            server_secret: DhSecret::new(self.bytes()),
            e2e_key: X25519PrivateKey::from_bytes(&self.bytes()),
            e2e_secret: self.maybe(|samples| DhSecret::new(samples.bytes())),
            stage: self.stage(),
            mode: self.mode(),
            version: self.version(),
            link: self.maybe(|samples| {
                Box::new(LinkCredentials {
                    link_id: samples.entity_id(),
                    key: LinkKey::new(samples.bytes()),
                    fixed: samples.body(),
                    root: Ed25519PrivateKey::from_bytes(&samples.bytes()),
                })
            }),
            replaces: self.maybe(Self::queue),
            switch: self.maybe(|samples| {
                samples.one_of(&[
                    ReceiveSwitch::Started,
                    ReceiveSwitch::Adding,
                    ReceiveSwitch::Using,
                    ReceiveSwitch::Received,
                ])
            }),
            last_told: self.maybe(|samples| (MessageId::from(samples.bytes::<24>()), samples.message())),
        }
    }

    /// A send queue.
    pub fn send_queue(&mut self) -> SendQueue {
        SendQueue {
            number: self.queue(),
            server: self.server(),
            sender_id: self.entity_id(),
            key: self.private_key(),
            e2e_key: DhPublicKey(self.bytes()),
            e2e_secret: DhSecret::new(self.bytes()),
            stage: self.stage(),
            mode: self.mode(),
            version: self.version(),
            replaces: self.maybe(Self::queue),
            switch: self.maybe(|samples| samples.one_of(&[SendSwitch::Keying, SendSwitch::Testing])),
        }
    }

    /// An order of queues that may name some which are not there, or one twice.
    pub fn order(&mut self) -> Vec<QueueNumber> {
        (0..self.below(3)).map(|_| self.queue()).collect()
    }

    /// Tasks, or none.
    pub fn tasks(&mut self) -> Vec<Task> {
        (0..self.below(4)).map(|_| self.task()).collect()
    }

    fn task(&mut self) -> Task {
        let kind = match self.below(11) {
            4 => TaskKind::SecureAdded(self.queue(), self.public_key()),
            9 => TaskKind::SecureSpare(self.queue()),
            5 => TaskKind::Retire { queue: self.queue(), attempts: self.number_u32() },
            0 => TaskKind::SecureSend(self.queue()),
            1 => TaskKind::CreateReply { info: self.body(), keys: self.body() },
            2 => TaskKind::SecureReceive(self.queue(), self.public_key()),
            6 => TaskKind::OpenLink {
                link: Box::new(self.short_link()),
                key: Box::new(self.private_key()),
                sender_id: self.entity_id(),
            },
            7 => TaskKind::Command(self.body()),
            8 => TaskKind::Tell,
            3 => TaskKind::Invite { queue: self.queue_info(), info: self.body() },
            _ => TaskKind::DeleteQueue {
                server: self.server(),
                recipient_id: self.entity_id(),
                key: Box::new(self.private_key()),
                attempts: self.number_u32(),
            },
        };
        let correlation = self.few().to_string();
        let origin = self.one_of(&[Origin::Call, Origin::Durable(correlation.into()), Origin::Agent]);
        Task { kind, origin }
    }

    fn short_link(&mut self) -> ShortLink {
        let kind = match self.one_in(2) {
            true => LinkKind::Invitation(self.bytes::<24>().into()),
            false => LinkKind::Contact(ContactKind::Group),
        };
        ShortLink { kind, server: self.server().into(), key: LinkKey::new(self.bytes()) }
    }

    /// A confirmation.
    pub fn confirmation(&mut self) -> Confirmation {
        Confirmation {
            id: confirmation_id(self.below(NAMES)),
            connection: self.connection(),
            sender_key: self.maybe(Self::public_key),
            e2e_key: DhPublicKey(self.bytes()),
            ratchet: Box::new(self.ratchet()),
            hash: self.hash(),
            queues: (0..self.below(3)).map(|_| self.queue_info()).collect(),
            version: self.version(),
            info: self.body(),
        }
    }

    /// An invitation.
    pub fn invitation(&mut self) -> Invitation {
        let versions = VersionRange::new(Version(4), Version(5)).expect("a range");
        let address = QueueAddress { mode: Some(QueueMode::Messaging), ..self.queue_info().address };
        let queues = vec![QueueUri { versions, address }];
        let ratchet = self.maybe(|samples| samples.keys().for_link(versions));
        Invitation {
            id: invitation_id(self.below(NAMES)),
            connection: self.connection(),
            request: ConnectionRequest::new(versions, queues, ratchet).expect("one queue"),
            info: self.body(),
            received_at: self.time(),
        }
    }

    /// A message that came.
    pub fn incoming(&mut self) -> Incoming {
        Incoming {
            connection: self.connection(),
            id: self.message(),
            queue: self.queue(),
            server_id: MessageId::from(self.bytes::<24>()),
            server_time: self.time(),
            received_at: self.time(),
            sender_id: self.number(),
            hash: self.hash(),
            integrity: self.integrity(),
            pq: self.one_in(2),
            flags: self.flags(),
            body: self.maybe(Self::body),
            repeats: self.number_u32(),
        }
    }

    /// A message that goes out.
    pub fn outgoing(&mut self) -> Outgoing {
        Outgoing {
            connection: self.connection(),
            id: self.message(),
            sender_id: self.below(NAMES).cast_signed(),
            created_at: self.time(),
            flags: self.flags(),
            content: match self.below(3) {
                0 => OutgoingContent::Delivered,
                1 => OutgoingContent::Plain(self.body()),
                _ => OutgoingContent::Ratchet {
                    plaintext: self.body(),
                    key: Box::new(self.message_key()),
                    padded_len: usize::from(u16::from_be_bytes(self.bytes())),
                    version: self.version(),
                    confirmation: self.maybe(Self::body),
                },
            },
            hash: self.hash(),
            receipt: self.one_of(&[
                ReceiptState::None,
                ReceiptState::NotExpected,
                ReceiptState::Received,
                ReceiptState::BadHash,
            ]),
        }
    }

    /// A hash of what was seen, one of a few.
    pub fn seen(&mut self) -> [u8; 32] {
        seen(self.below(NAMES))
    }

    /// A notice, of one of a few servers about one of a few queues.
    pub fn notice(&mut self) -> ServerNotice {
        let (host, queue) = (["a.example", "bb.example"], self.below(NAMES).to_be_bytes()[7]);
        let host = self.one_of(&host).parse().expect("a host");
        let queue = vec![queue; usize::from(queue) + 1];
        ServerNotice {
            server: ServerAddress::new(vec![host], None, [7; 32]).expect("a host"),
            queue: EntityId::new(&queue).expect("it is short"),
            created_at: self.time(),
            ttl: self.maybe(Self::number),
        }
    }

    /// A delivery.
    pub fn delivery(&mut self) -> Delivery {
        Delivery { connection: self.connection(), queue: self.queue(), message: self.message() }
    }

    fn message_key(&mut self) -> MessageKey {
        self.ratchet().encrypt_header(None).expect("it can send")
    }

    fn integrity(&mut self) -> MessageIntegrity {
        let (from, to) = (self.number(), self.number());
        self.one_of(&[
            MessageIntegrity::Ok,
            MessageIntegrity::Skipped { from, to },
            MessageIntegrity::BadId { previous: from },
            MessageIntegrity::BadHash,
            MessageIntegrity::Duplicate,
        ])
    }

    fn queue_info(&mut self) -> QueueInfo {
        let address = QueueAddress {
            server: self.server(),
            sender_id: self.entity_id(),
            dh_key: DhPublicKey(self.bytes()),
            mode: self.mode(),
        };
        QueueInfo { version: self.version(), address }
    }

    fn server(&mut self) -> ServerAddress {
        let hosts = ["a.example", "b.example"].map(|host| host.parse().expect("a host"));
        let count = 1 + usize::from(self.one_in(2));
        let port = self.maybe(|samples| u16::from_be_bytes(samples.bytes()).max(1));
        ServerAddress::new(hosts.into_iter().take(count).collect(), port, self.bytes()).expect("hosts")
    }

    fn private_key(&mut self) -> AuthPrivateKey {
        match self.below(3) {
            0 => AuthPrivateKey::Ed25519(Ed25519PrivateKey::from_bytes(&self.bytes())),
            1 => AuthPrivateKey::Ed448(Ed448PrivateKey::from_bytes(&self.bytes())),
            _ => AuthPrivateKey::X25519(X25519PrivateKey::from_bytes(&self.bytes())),
        }
    }

    fn public_key(&mut self) -> AuthPublicKey {
        match self.below(3) {
            0 => AuthPublicKey::Ed25519(self.bytes()),
            1 => AuthPublicKey::Ed448(self.bytes()),
            _ => AuthPublicKey::X25519(self.bytes()),
        }
    }

    fn stage(&mut self) -> QueueStage {
        self.one_of(&[
            QueueStage::New,
            QueueStage::Confirmed,
            QueueStage::Secured,
            QueueStage::Active,
            QueueStage::Disabled,
        ])
    }

    fn mode(&mut self) -> Option<QueueMode> {
        self.one_of(&[None, Some(QueueMode::Messaging), Some(QueueMode::Contact)])
    }

    fn entity_id(&mut self) -> EntityId {
        if self.one_in(8) { EntityId::empty() } else { EntityId::from(self.bytes::<24>()) }
    }

    fn header_key(&mut self) -> HeaderKey {
        HeaderKey::new([self.below(NAMES).to_be_bytes()[7]; 32])
    }

    fn hash(&mut self) -> MessageHash {
        if self.one_in(4) { MessageHash::NONE } else { MessageHash::from(self.bytes::<32>()) }
    }

    fn flags(&mut self) -> MessageFlags {
        MessageFlags { notification: self.one_in(2) }
    }

    fn version(&mut self) -> Version {
        Version(1 + u16::from_be_bytes(self.bytes()) % 20)
    }

    fn body(&mut self) -> Bytes {
        let len = self.one_of(&[0, 1, 100, 2000]);
        self.some_bytes(len).into()
    }

    /// A number as the other side may send it.
    fn number(&mut self) -> i64 {
        if self.one_in(8) { i64::MAX } else { self.below(100).cast_signed() }
    }

    fn number_u32(&mut self) -> u32 {
        if self.one_in(8) { u32::MAX } else { self.few() }
    }

    fn few(&mut self) -> u32 {
        u32::from(self.bytes::<1>()[0] % 8)
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(2).then(|| value(self))
    }

    fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        let place = usize::from(u16::from_be_bytes(self.bytes())) % values.len();
        values[place].clone()
    }

    fn some_bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.entropy.fill(&mut bytes);
        bytes
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}
