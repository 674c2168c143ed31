//! What a caller asks of a server.

use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use super::answer::Expected;
use super::error::Rejection;
use super::relay::{Relay, Route};
use crate::crypto::AuthPrivateKey;
use crate::wire::command::{
    Command, LinkData, MessageFlags, NewQueue, NotifierKeys, QueueRequestData, RelayRequest, SubscriptionMode,
};
use crate::wire::{
    AuthPublicKey, CorrelationId, EntityId, FwdTransmission, MessageId, Name, Password, QueueSet,
    ServerAddress, Version,
};

/// A command, what it is about, and the key that authorises it.
///
/// The typed constructors say which [`Answer`](super::Answer) the command has; [`Self::raw`] takes any command and
/// gives its answer as it came.
#[derive(Clone)]
pub struct Request {
    pub(super) command: Command,
    pub(super) entity: EntityId,
    pub(super) key: Option<AuthPrivateKey>,
    pub(super) correlation: Option<CorrelationId>,
    pub(super) patience: Option<Duration>,
    pub(super) expected: Expected,
    pub(super) route: Route,
}

impl Request {
    /// Any command. Answered by [`Answer::Raw`](super::Answer::Raw), whatever the message, unless it is `ERR`.
    #[must_use]
    pub const fn raw(command: Command, entity: EntityId, key: Option<AuthPrivateKey>) -> Self {
        Self {
            command,
            entity,
            key,
            correlation: None,
            patience: None,
            expected: Expected::Raw,
            route: Route::Direct,
        }
    }

    /// The command, for who decides by it.
    #[must_use]
    pub const fn command(&self) -> &Command {
        &self.command
    }

    /// What it is about.
    #[must_use]
    pub const fn entity(&self) -> &EntityId {
        &self.entity
    }

    /// NEW: makes a queue, authorised by the private half of its recipient key. Answered by
    /// [`Answer::Created`](super::Answer::Created).
    #[must_use]
    pub fn create(queue: NewQueue, key: AuthPrivateKey) -> Self {
        Self::typed(Command::New(Box::new(queue)), EntityId::empty(), Some(key), Expected::Created)
    }

    /// SUB: subscribes to a queue. Answered by [`Answer::Subscribed`](super::Answer::Subscribed).
    ///
    /// For many queues give one request each; they share blocks and are answered one by one.
    #[must_use]
    pub fn subscribe(queue: EntityId, key: AuthPrivateKey) -> Self {
        Self::typed(Command::Sub, queue, Some(key), Expected::Subscribed)
    }

    /// SUBS: subscribes to all queues of the service that the connection is, from version 19. `service` is the id that the
    /// server gave it ([`ServiceParameters`](crate::transport::ServiceParameters)), `queues` what it is believed to have. The
    /// key of the service for this session authorises it. Answered by
    /// [`Answer::ServiceSubscribed`](super::Answer::ServiceSubscribed).
    #[must_use]
    pub const fn subscribe_service(service: EntityId, queues: QueueSet) -> Self {
        Self::typed(Command::Subs(queues), service, None, Expected::ServiceSubscribed)
    }

    /// GET: asks for one message without a subscription. Answered by [`Answer::Message`](super::Answer::Message).
    #[must_use]
    pub fn receive(queue: EntityId, key: AuthPrivateKey) -> Self {
        Self::typed(Command::Get, queue, Some(key), Expected::Message)
    }

    /// ACK: the message was received. Answered by [`Answer::Message`](super::Answer::Message) with the next one of a
    /// subscribed queue, if there is one.
    #[must_use]
    pub fn acknowledge(queue: EntityId, key: AuthPrivateKey, message: MessageId) -> Self {
        Self::typed(Command::Ack(message), queue, Some(key), Expected::Message)
    }

    /// OFF: no more messages are accepted. Answered by [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn suspend(queue: EntityId, key: AuthPrivateKey) -> Self {
        Self::typed(Command::Off, queue, Some(key), Expected::Done)
    }

    /// DEL: deletes the queue and its messages. Answered by [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn delete(queue: EntityId, key: AuthPrivateKey) -> Self {
        Self::typed(Command::Del, queue, Some(key), Expected::Done)
    }

    /// QUE: asks for the state of the queue. Answered by [`Answer::Info`](super::Answer::Info).
    #[must_use]
    pub fn queue_info(queue: EntityId, key: AuthPrivateKey) -> Self {
        Self::typed(Command::Que, queue, Some(key), Expected::Info)
    }

    /// KEY: the recipient sets the key of the sender. Answered by [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn secure(queue: EntityId, key: AuthPrivateKey, sender: AuthPublicKey) -> Self {
        Self::typed(Command::Key(sender), queue, Some(key), Expected::Done)
    }

    /// RKEY: replaces the recipient keys of a contact queue, from version 15. Answered by
    /// [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn set_recipient_keys(queue: EntityId, key: AuthPrivateKey, recipients: Vec<AuthPublicKey>) -> Self {
        Self::typed(Command::RKey(recipients), queue, Some(key), Expected::Done)
    }

    /// SKEY: the sender sets his key, authorised by its private half; from version 9. `queue` is the sender id.
    /// Answered by [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn secure_by_sender(queue: EntityId, key: AuthPrivateKey) -> Self {
        let public = key.public();
        Self::typed(Command::SKey(public), queue, Some(key), Expected::Done)
    }

    /// SEND: sends a message, without a key while the queue is not secured. `queue` is the sender id. Answered by
    /// [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn send(queue: EntityId, key: Option<AuthPrivateKey>, flags: MessageFlags, body: Bytes) -> Self {
        Self::typed(Command::Send { flags, body }, queue, key, Expected::Done)
    }

    /// LSET: sets the data of the queue's link. The id and the fixed data stay what they were set to first; the user data
    /// may change. From version 15. Answered by [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn set_link(queue: EntityId, key: AuthPrivateKey, link: EntityId, data: LinkData) -> Self {
        Self::typed(Command::LSet { link_id: link, data }, queue, Some(key), Expected::Done)
    }

    /// LDEL: deletes the data of the queue's link, and the link id with it; from version 15. Answered by
    /// [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn remove_link(queue: EntityId, key: AuthPrivateKey) -> Self {
        Self::typed(Command::LDel, queue, Some(key), Expected::Done)
    }

    /// LGET: reads the data of a link to a contact queue; from version 15. Answered by
    /// [`Answer::Link`](super::Answer::Link), which [`link::open`](crate::crypto::link::open) verifies.
    #[must_use]
    pub fn read_link(link: EntityId) -> Self {
        Self::typed(Command::LGet, link, None, Expected::Link)
    }

    /// LKEY: the sender sets his key, as [`Self::secure_by_sender`] does, and reads the data of a link to a messaging
    /// queue, which only he can from then on; from version 15. Answered by [`Answer::Link`](super::Answer::Link).
    #[must_use]
    pub fn secure_and_read_link(link: EntityId, key: AuthPrivateKey) -> Self {
        let public = key.public();
        Self::typed(Command::LKey(public), link, Some(key), Expected::Link)
    }

    /// NKEY: gives the queue a notifier in place of the former, who is told. Answered by
    /// [`Answer::Notifier`](super::Answer::Notifier).
    #[must_use]
    pub fn set_notifier(queue: EntityId, key: AuthPrivateKey, notifier: NotifierKeys) -> Self {
        Self::typed(Command::NKey(notifier), queue, Some(key), Expected::Notifier)
    }

    /// NDEL: takes the notifier of the queue away. Answered by [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn remove_notifier(queue: EntityId, key: AuthPrivateKey) -> Self {
        Self::typed(Command::NDel, queue, Some(key), Expected::Done)
    }

    /// NSUB: subscribes to the notifications of a queue; `notifier` is the notifier id. Answered by
    /// [`Answer::Subscribed`](super::Answer::Subscribed).
    #[must_use]
    pub fn subscribe_notifier(notifier: EntityId, key: AuthPrivateKey) -> Self {
        Self::typed(Command::NSub, notifier, Some(key), Expected::Subscribed)
    }

    /// RSLV: asks what is registered under a name, from version 20. Answered by [`Answer::Name`](super::Answer::Name).
    #[must_use]
    pub const fn resolve(name: Name) -> Self {
        Self::typed(Command::Rslv(name), EntityId::empty(), None, Expected::Name)
    }

    /// PRXY: asks the server for a session with a relay, with the server's password if it has one; from version 8.
    /// Answered by [`Answer::Relay`](super::Answer::Relay), when the session is proved to be with `relay`.
    #[must_use]
    pub fn relay(relay: ServerAddress, password: Option<Password>) -> Self {
        let expected = Expected::Relay(*relay.key_hash());
        let command = Command::Prxy(RelayRequest { relay, password });
        let request = Self::typed(command, EntityId::empty(), None, expected);
        request.with_timeout(RELAY_CONNECTING)
    }

    /// Sends this request through a relay instead of to the server: SEND, SKEY, LKEY, LGET or RSLV. The server learns
    /// neither command nor queue, the relay neither connection nor address. Each gets a key of its own.
    ///
    /// What the relay refuses is [`RequestError::Relay`](super::RequestError::Relay), what the proxy refuses
    /// [`RequestError::Server`](super::RequestError::Server).
    #[must_use]
    pub fn through(mut self, relay: &Relay) -> Self {
        self.route = Route::Relay(relay.clone());
        self.patience = self.patience.or(Some(RELAY_ANSWER));
        self
    }

    /// RFWD: a proxy forwards what its client sent to the server, which is a relay. Answered by
    /// [`Answer::Forwarded`](super::Answer::Forwarded).
    #[must_use]
    pub fn forward(transmission: &FwdTransmission) -> Self {
        let mut content = Vec::with_capacity(transmission.request.encrypted.len() + 128);
        transmission.encode(&mut content);
        let request = Self::raw(Command::Rfwd(Bytes::new()), EntityId::empty(), None);
        Self { route: Route::Forward(content.into()), ..request }
    }

    /// PING. Answered by [`Answer::Done`](super::Answer::Done).
    #[must_use]
    pub fn ping() -> Self {
        Self::typed(Command::Ping, EntityId::empty(), None, Expected::Pong)
    }

    /// With a correlation id of the caller's choice instead of random bytes; it must never be used again. The sender
    /// id of a new queue with a link follows from it: [`chosen_sender_id`](crate::crypto::chosen_sender_id).
    #[must_use]
    pub fn with_correlation_id(mut self, id: [u8; 24]) -> Self {
        self.correlation = Some(id.into());
        self
    }

    /// With another time for the answer than [`ClientLimits::answer`](super::ClientLimits::answer).
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.patience = Some(timeout);
        self
    }

    const fn typed(
        command: Command,
        entity: EntityId,
        key: Option<AuthPrivateKey>,
        expected: Expected,
    ) -> Self {
        Self { command, entity, key, correlation: None, patience: None, expected, route: Route::Direct }
    }

    /// The entity id that the command is sent with.
    pub(super) fn sent_about(&self) -> EntityId {
        match &self.route {
            Route::Relay(relay) => relay.entity(),
            Route::Direct | Route::Forward(_) => self.entity.clone(),
        }
    }

    /// Whether a success subscribes the connection to something.
    pub(super) fn subscribes(&self) -> bool {
        match &self.command {
            Command::New(queue) => queue.subscribe == SubscriptionMode::Subscribe,
            Command::Sub | Command::Subs(_) | Command::NSub | Command::NSubs(_) => true,
            _ => false,
        }
    }

    /// Bytes of the parameters that may be large, while the command waits.
    pub(super) fn size(&self) -> usize {
        if let Route::Forward(content) = &self.route {
            return content.len();
        }
        match &self.command {
            Command::Send { body, .. } => body.len(),
            Command::Rfwd(encrypted) => encrypted.len(),
            Command::Pfwd(forward) => forward.encrypted.len(),
            Command::LSet { data, .. } => data.fixed.len() + data.user.len(),
            Command::New(queue) => link_data(queue).map_or(0, |data| data.fixed.len() + data.user.len()),
            _ => 0,
        }
    }

    /// Whether it may go through a relay: SEND, SKEY, LKEY, LGET and RSLV do.
    #[must_use]
    pub const fn is_for_proxy(&self) -> bool {
        matches!(
            self.command,
            Command::Send { .. } | Command::SKey(_) | Command::LKey(_) | Command::LGet | Command::Rslv(_)
        )
    }

    /// Whether it goes [through](Self::through) a relay.
    #[must_use]
    pub const fn is_through_relay(&self) -> bool {
        matches!(self.route, Route::Relay(_))
    }

    /// Refuses what no server of any version could accept.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        if matches!(self.route, Route::Relay(_)) && !self.is_for_proxy() {
            return Err(Rejection::NotForProxy);
        }
        let has_key = self.key.is_some() || self.is_of_service();
        self.command.check_credentials(has_key, &self.entity).map_err(Rejection::Credentials)
    }

    /// Whether the key of the service for this session authorises it, if no other does.
    pub(super) const fn is_of_service(&self) -> bool {
        matches!(self.command, Command::Subs(_) | Command::NSubs(_))
    }

    /// Refuses what a server of `version` does not know.
    pub(super) fn check_version(&self, version: Version) -> Result<(), Rejection> {
        let version = match &self.route {
            Route::Relay(_) if version < Version::PRIVATE_ROUTING => {
                return Err(Rejection::NeedsVersion(Version::PRIVATE_ROUTING));
            }
            Route::Relay(relay) => relay.version(),
            Route::Direct | Route::Forward(_) => version,
        };
        let needed = self.version_needed();
        if version < needed {
            return Err(Rejection::NeedsVersion(needed));
        }
        match &self.command {
            Command::Send { body, .. } if body.len() > version.message_length_max() => {
                Err(Rejection::LargeMessage { limit: version.message_length_max() })
            }
            _ => Ok(()),
        }
    }

    /// The first version that has the command, its parameters and its authorisation.
    fn version_needed(&self) -> Version {
        let for_key = match &self.key {
            Some(AuthPrivateKey::X25519(_)) => Version::AUTH_COMMANDS,
            _ => Version::MIN,
        };
        let for_command = match &self.command {
            Command::New(queue) if queue.notifier.is_some() => Version::NEW_NOTIFIER,
            Command::New(queue) if link_data(queue).is_some() => Version::SHORT_LINKS,
            Command::SKey(_) => Version::SKEY,
            Command::RKey(_) | Command::LSet { .. } | Command::LDel | Command::LKey(_) | Command::LGet => {
                Version::SHORT_LINKS
            }
            Command::Prxy(_) | Command::Pfwd(_) | Command::Rfwd(_) => Version::PRIVATE_ROUTING,
            Command::NSubs(_) => Version::SERVICES,
            Command::Subs(_) => Version::SERVICE_SUBS,
            Command::Rslv(_) => Version::NAMES,
            _ => Version::MIN,
        };
        for_key.max(for_command)
    }
}

/// Only the command's tag.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({:?})", self.command)
    }
}

/// The data of the link that a new queue has.
fn link_data(queue: &NewQueue) -> Option<&LinkData> {
    match queue.queue_data.as_ref()? {
        QueueRequestData::Messaging(link) => link.as_ref().map(|link| &link.data),
        QueueRequestData::Contact(link) => link.as_ref().map(|link| &link.data),
    }
}

/// How long the answer to PRXY may take: proxies wait for their relays.
const RELAY_CONNECTING: Duration = Duration::from_secs(45);
/// How long the answer to a command through a proxy may take.
const RELAY_ANSWER: Duration = Duration::from_secs(30);
