//! Queues as their recipient holds them.

use bytes::Bytes;
use smp_core::crypto::{AuthPrivateKey, DhSecret, Nonce, X25519PrivateKey, chosen_sender_id};
use smp_core::wire::broker::CreatedQueue;
use smp_core::wire::codec::decode_all;
use smp_core::wire::command::{
    ContactLink, LinkData, MessagingLink, NewQueue, NotifierKeys, QueueRequestData, SubscriptionMode,
};
use smp_core::wire::{
    BrokerMessage, Command, CorrelationId, EntityId, MessageId, Password, QueueMode, ReceivedBody, Version,
};

use super::keys::{self, Kind};
use super::received::Received;
use super::session::{Auth, Peer, Request};

/// How a queue is created.
#[derive(Clone)]
pub struct Creation {
    /// The kind of the recipient's key.
    pub kind: Kind,
    /// What the queue is for; told from version 9.
    pub mode: Option<QueueMode>,
    /// Whether to subscribe at once.
    pub subscribe: bool,
    /// The server's password.
    pub password: Option<&'static str>,
    /// The data of its link; told from version 15.
    pub link: Option<LinkData>,
    /// The link id of a contact queue with a link.
    pub link_id: EntityId,
    /// What the sender id of a queue with a link follows from, instead of random bytes.
    pub correlation_id: Option<CorrelationId>,
    /// Its notifier; told from version 17.
    pub notifier: Option<NotifierKeys>,
}

impl Default for Creation {
    fn default() -> Self {
        Self {
            kind: Kind::Ed25519,
            mode: Some(QueueMode::Messaging),
            subscribe: true,
            password: None,
            link: None,
            link_id: EntityId::from(keys::bytes::<24>()),
            correlation_id: None,
            notifier: None,
        }
    }
}

impl Creation {
    fn parameters(&self, key: &AuthPrivateKey, dh_key: &X25519PrivateKey, id: &CorrelationId) -> NewQueue {
        let (sender_id, data) = (chosen_sender_id(id), self.link.clone());
        NewQueue {
            recipient_key: key.public(),
            dh_key: dh_key.public(),
            password: self.password.map(|word| Password::new(word.as_bytes()).expect("a password")),
            subscribe: match self.subscribe {
                true => SubscriptionMode::Subscribe,
                false => SubscriptionMode::OnlyCreate,
            },
            queue_data: self.mode.map(|mode| match mode {
                QueueMode::Messaging => {
                    QueueRequestData::Messaging(data.map(|data| MessagingLink { sender_id, data }))
                }
                QueueMode::Contact => QueueRequestData::Contact(data.map(|data| ContactLink {
                    link_id: self.link_id.clone(),
                    sender_id,
                    data,
                })),
            }),
            notifier: self.notifier,
        }
    }
}

/// A queue, and what only its recipient knows.
pub struct Queue {
    /// The recipient's key.
    pub key: AuthPrivateKey,
    /// The recipient id.
    pub recipient: EntityId,
    /// The sender id.
    pub sender: EntityId,
    /// What the server said of it.
    pub created: CreatedQueue,
    secret: DhSecret,
}

/// A message as its recipient reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its body; `None` for the marker of a full queue.
    pub body: Option<Bytes>,
    /// The flag that asks for a notification.
    pub notification: bool,
}

impl Queue {
    /// A new messaging queue that the peer is subscribed to.
    #[track_caller]
    pub fn new(peer: &mut Peer) -> Self {
        Self::create(peer, &Creation::default())
    }

    /// A new queue.
    ///
    /// # Panics
    /// When the server does not create it.
    #[track_caller]
    pub fn create(peer: &mut Peer, creation: &Creation) -> Self {
        match Self::try_create(peer, creation) {
            Ok(queue) => queue,
            Err(refusal) => panic!("no queue: {refusal:?}"),
        }
    }

    /// A new queue.
    ///
    /// # Errors
    /// What the server answers instead.
    #[track_caller]
    pub fn try_create(peer: &mut Peer, creation: &Creation) -> Result<Self, Received> {
        let (key, dh_key) = (keys::key(creation.kind), keys::dh_key());
        let correlation_id =
            creation.correlation_id.clone().unwrap_or_else(|| CorrelationId::from(keys::bytes::<24>()));
        let new = creation.parameters(&key, &dh_key, &correlation_id);
        let mut command = Vec::new();
        Command::New(Box::new(new)).encode(peer.version, &mut command);
        let request =
            Request { correlation_id, ..Request::new(Auth::Key(&key), &EntityId::empty(), command) };
        peer.send(core::slice::from_ref(&request));
        let answer = peer.answer(&request);
        let BrokerMessage::Ids(created) = answer.decode() else { return Err(answer) };
        let secret = dh_key.diffie_hellman(&created.dh_key).expect("a good key of the server");
        let (recipient, sender) = (created.recipient_id.clone(), created.sender_id.clone());
        Ok(Self { key, recipient, sender, created: *created, secret })
    }

    /// A NEW whose sender id, if it chooses one, follows from a correlation id, and the key that authorises it.
    #[must_use]
    pub fn new_command(
        version: Version,
        creation: &Creation,
        id: &CorrelationId,
    ) -> (AuthPrivateKey, Vec<u8>) {
        let key = keys::key(creation.kind);
        let mut command = Vec::new();
        Command::New(Box::new(creation.parameters(&key, &keys::dh_key(), id))).encode(version, &mut command);
        (key, command)
    }

    /// A command of the recipient.
    #[track_caller]
    pub fn ask(&self, peer: &mut Peer, command: impl Into<Vec<u8>>) -> Received {
        peer.ask(Auth::Key(&self.key), &self.recipient, command)
    }

    /// Subscribes.
    ///
    /// # Panics
    /// When that is refused.
    #[track_caller]
    pub fn subscribe(&self, peer: &mut Peer) {
        let expected = peer.subscribed();
        assert_eq!(self.ask(peer, "SUB"), expected);
    }

    /// Acknowledges a message.
    #[track_caller]
    pub fn acknowledge(&self, peer: &mut Peer, id: &MessageId) -> Received {
        let mut command = b"ACK ".to_vec();
        id.encode(&mut command);
        self.ask(peer, command)
    }

    /// Acknowledges a message and expects the next one in the answer.
    #[track_caller]
    pub fn acknowledge_for_next(&self, peer: &mut Peer, id: &MessageId) -> Message {
        let answer = self.acknowledge(peer, id);
        self.open(&answer)
    }

    /// The message of the next event.
    #[track_caller]
    pub fn message(&self, peer: &mut Peer) -> Message {
        let event = peer.event();
        self.open(&event)
    }

    /// Receives a message, acknowledges it and expects none after it.
    #[track_caller]
    pub fn receive_last(&self, peer: &mut Peer) -> Message {
        let message = self.message(peer);
        assert_eq!(self.acknowledge(peer, &message.id), "OK");
        message
    }

    /// Opens a message of this queue.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    #[must_use]
    pub fn open(&self, received: &Received) -> Message {
        assert_eq!(received.entity_id, self.recipient);
        let BrokerMessage::Msg { id, body } = received.decode() else { panic!("{received:?} is no message") };
        let nonce = Nonce::from_slice(id.as_bytes());
        let plain = self.secret.box_key().open_padded(&nonce, &body).expect("a message for this recipient");
        match decode_all(&plain.into(), ReceivedBody::decode).expect("the body of a message") {
            ReceivedBody::Message { flags, body, .. } => {
                Message { id, body: Some(body), notification: flags.notification }
            }
            ReceivedBody::QuotaExceeded { .. } => Message { id, body: None, notification: false },
        }
    }

    /// Sends a message to the queue, as the owner of `key` or as anybody.
    #[track_caller]
    pub fn send(&self, peer: &mut Peer, key: Option<&AuthPrivateKey>, body: impl AsRef<[u8]>) -> Received {
        let auth = key.map_or(Auth::None, Auth::Key);
        peer.ask(auth, &self.sender, [b"SEND T ", body.as_ref()].concat())
    }

    /// Sets the sender's key as the recipient.
    #[track_caller]
    pub fn secure(&self, peer: &mut Peer, key: &AuthPrivateKey) -> Received {
        self.ask(peer, Self::with_key("KEY", key))
    }

    /// Sets the sender's key as the sender.
    #[track_caller]
    pub fn secure_by_sender(&self, peer: &mut Peer, key: &AuthPrivateKey) -> Received {
        peer.ask(Auth::Key(key), &self.sender, Self::with_key("SKEY", key))
    }

    /// Sets the data of its link.
    #[track_caller]
    pub fn set_link(&self, peer: &mut Peer, link_id: &EntityId, data: &LinkData) -> Received {
        let mut command = Vec::new();
        Command::LSet { link_id: link_id.clone(), data: data.clone() }.encode(peer.version, &mut command);
        self.ask(peer, command)
    }

    /// Gives it a notifier.
    #[track_caller]
    pub fn set_notifier(&self, peer: &mut Peer, keys: NotifierKeys) -> Received {
        let mut command = Vec::new();
        Command::NKey(keys).encode(peer.version, &mut command);
        self.ask(peer, command)
    }

    /// A command whose parameter is a key.
    #[must_use]
    pub fn with_key(word: &str, key: &AuthPrivateKey) -> Vec<u8> {
        let mut command = [word.as_bytes(), b" "].concat();
        key.public().encode(&mut command);
        command
    }

    /// A command whose parameter is a list of keys.
    #[must_use]
    pub fn with_keys(word: &str, keys: &[&AuthPrivateKey]) -> Vec<u8> {
        let mut command = [word.as_bytes(), b" "].concat();
        command.push(u8::try_from(keys.len()).expect("at most 255 keys"));
        keys.iter().for_each(|key| key.public().encode(&mut command));
        command
    }

    /// The mode that the server should know, of a queue created with `mode` at `version`.
    #[must_use]
    pub fn known_mode(version: Version, mode: Option<QueueMode>) -> Option<QueueMode> {
        match version.0 {
            ..9 => None,
            9..15 => Some(mode.unwrap_or(QueueMode::Contact)),
            15.. => mode,
        }
    }
}

impl Message {
    /// The body of a message that is no marker.
    ///
    /// # Panics
    /// For the marker of a full queue.
    #[track_caller]
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body.as_ref().expect("a message, not a marker")).into_owned()
    }
}
