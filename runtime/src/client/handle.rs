//! Commands.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use smp_core::client::{Answer, ReceivedMessage, Relay, Request, RequestError};
use smp_core::crypto::AuthPrivateKey;
use smp_core::wire::broker::{CreatedNotifier, CreatedQueue, QueueStatus};
use smp_core::wire::command::{LinkData, MessageFlags, NewQueue, NotifierKeys};
use smp_core::wire::{
    AuthPublicKey, EntityId, MessageId, Name, NameRecord, Password, ServerAddress, Version,
};

use super::Disconnect;
use super::shared::{Sent, Shared};

/// A connection to a server. Clones share it; when the last one is dropped the connection is closed.
///
/// Each method sends a command and waits for its answer. Many may wait at once, from one task or many;
/// commands that are given at about the same time share blocks. Dropping a future of a method cancels its
/// command: one that was not sent yet will not be, and the answer to one that was sent is not waited for.
///
/// The order of commands about one entity is kept. A command that needs the effect of one about another
/// entity, such as a SEND by the key that the recipient sets, must wait for its answer.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use smp_core::client::{ClientEvent, QueueKeys};
/// use smp_core::wire::command::{MessageFlags, SubscriptionMode};
/// use smp_core::wire::message::ReceivedBody;
/// use smp_runtime::client::Connector;
/// use smp_runtime::testing::TestRuntime; // or the adapter of a runtime
/// # use smp_core::server::ServerConfig;
/// # use smp_core::transport::{ServerOptions, ServerTransportConfig};
/// # use smp_core::wire::ServerAddress;
/// # use smp_runtime::server::Server;
/// # use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
/// # use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};
/// # use smp_runtime::Runtime;
///
/// let runtime = TestRuntime::default();
/// # runtime.set_now(Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) });
/// # let (now, mut entropy) = (runtime.now().unix, SeededEntropy::new([42; 32]));
/// # let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now).unwrap();
/// # let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
/// # let issued = authority.issue(subject, &mut entropy, now).unwrap();
/// # let chain = vec![issued.certificate, authority.certificate().clone()];
/// # let identity = ServerIdentity::new(chain, issued.key, now).unwrap();
/// # let key_hash = *identity.fingerprint();
/// # let transport = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
/// # let server = Server::new(runtime.clone(), smp_storage::Memory::new(), transport, ServerConfig::default());
/// runtime.clone().block_on(async move {
/// #   let server = server.serve(&["127.0.0.1:0".parse().unwrap()]).await.unwrap();
/// #   let port = server.addresses()[0].port();
/// #   let address = ServerAddress::new(vec!["127.0.0.1".parse().unwrap()], Some(port), key_hash).unwrap();
///     let (client, mut events) = Connector::new(runtime).connect(&address).await.unwrap();
///     let keys = QueueKeys::generate(&mut entropy);
///     let new = keys.new_queue(SubscriptionMode::Subscribe);
///     let queue = client.create_queue(new, keys.auth.clone()).await.unwrap();
///     client.send(queue.sender_id.clone(), None, MessageFlags::default(), "hello".into()).await.unwrap();
///
///     let ClientEvent::Message(_, message) = events.next().await.unwrap() else { panic!("another event") };
///     let opened = message.open(&keys.secret(&queue).unwrap()).unwrap();
///     assert!(matches!(opened, ReceivedBody::Message { body, .. } if body == "hello"));
///     client.acknowledge(queue.recipient_id, keys.auth, message.id).await.unwrap();
/// });
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Owner>);

/// Ends the connection with the last handle.
struct Owner {
    shared: Arc<Shared>,
    version: Version,
    service: Option<EntityId>,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>, version: Version, service: Option<EntityId>) -> Self {
        Self(Arc::new(Owner { shared, version, service }))
    }

    /// The id by which the server knows the service that the connection is. None if it is none, also when the server does not
    /// know services.
    #[must_use]
    pub fn service(&self) -> Option<&EntityId> {
        self.0.service.as_ref()
    }

    /// The version that both sides agreed on.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// Sends any command. It is on its way when this returns; the future waits for the answer.
    #[must_use = "dropping the future cancels the command"]
    pub fn request(&self, request: Request) -> PendingAnswer {
        PendingAnswer { sent: self.0.shared.send(request), _client: self.clone() }
    }

    /// Sends many commands, as few at a time as to stay within the limits, and gives their results in the
    /// same order.
    pub async fn request_all(
        &self,
        requests: impl IntoIterator<Item = Request, IntoIter: Send>,
    ) -> Vec<Result<Answer, RequestError>> {
        let mut requests = requests.into_iter();
        let mut outcomes = Vec::new();
        loop {
            let batch: Vec<_> = requests.by_ref().take(BATCH).map(|request| self.request(request)).collect();
            if batch.is_empty() {
                return outcomes;
            }
            for answer in batch {
                outcomes.push(answer.await);
            }
        }
    }

    /// NEW: makes a queue, authorised by the private half of its recipient key.
    ///
    /// # Errors
    /// `AUTH` when the server wants another password.
    pub async fn create_queue(
        &self,
        queue: NewQueue,
        key: AuthPrivateKey,
    ) -> Result<CreatedQueue, RequestError> {
        match self.request(Request::create(queue, key)).await? {
            Answer::Created(queue) => Ok(*queue),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// SUB: subscribes to a queue. Messages come as events; one that waits may come here.
    ///
    /// # Errors
    /// `AUTH` when there is no such queue, or the key is not its recipient's.
    pub async fn subscribe(
        &self,
        queue: EntityId,
        key: AuthPrivateKey,
    ) -> Result<Option<ReceivedMessage>, RequestError> {
        subscribed(self.request(Request::subscribe(queue, key)).await?)
    }

    /// SUB for many queues, whose results come in the same order.
    pub async fn subscribe_all(
        &self,
        queues: impl IntoIterator<Item = (EntityId, AuthPrivateKey), IntoIter: Send>,
    ) -> Vec<Result<Option<ReceivedMessage>, RequestError>> {
        let requests = queues.into_iter().map(|(queue, key)| Request::subscribe(queue, key));
        self.request_all(requests).await.into_iter().map(|outcome| outcome.and_then(subscribed)).collect()
    }

    /// GET: one message of a queue without a subscription.
    ///
    /// # Errors
    /// `CMD PROHIBITED` on a connection that is subscribed to the queue.
    pub async fn receive(
        &self,
        queue: EntityId,
        key: AuthPrivateKey,
    ) -> Result<Option<ReceivedMessage>, RequestError> {
        message(self.request(Request::receive(queue, key)).await?)
    }

    /// ACK: the message was received and may be deleted. The next one of a subscribed queue comes here.
    ///
    /// # Errors
    /// `NO_MSG` when it is not the message that was delivered last.
    pub async fn acknowledge(
        &self,
        queue: EntityId,
        key: AuthPrivateKey,
        id: MessageId,
    ) -> Result<Option<ReceivedMessage>, RequestError> {
        message(self.request(Request::acknowledge(queue, key, id)).await?)
    }

    /// OFF: the queue accepts no more messages. What is in it can still be received. There is no command that
    /// ends a subscription; the end of the connection does.
    ///
    /// # Errors
    /// `AUTH` when there is no such queue, or the key is not its recipient's.
    pub async fn suspend(&self, queue: EntityId, key: AuthPrivateKey) -> Result<(), RequestError> {
        done(self.request(Request::suspend(queue, key)).await?)
    }

    /// DEL: deletes a queue and its messages.
    ///
    /// # Errors
    /// `AUTH` when there is no such queue, or the key is not its recipient's.
    pub async fn delete(&self, queue: EntityId, key: AuthPrivateKey) -> Result<(), RequestError> {
        done(self.request(Request::delete(queue, key)).await?)
    }

    /// QUE: how full a queue is.
    ///
    /// # Errors
    /// `AUTH` when there is no such queue, or the key is not its recipient's.
    pub async fn queue_info(
        &self,
        queue: EntityId,
        key: AuthPrivateKey,
    ) -> Result<QueueStatus, RequestError> {
        match self.request(Request::queue_info(queue, key)).await? {
            Answer::Info(info) => Ok(*info),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// KEY: the recipient sets the key of the sender.
    ///
    /// # Errors
    /// `AUTH` when another key is set.
    pub async fn secure(
        &self,
        queue: EntityId,
        key: AuthPrivateKey,
        sender: AuthPublicKey,
    ) -> Result<(), RequestError> {
        done(self.request(Request::secure(queue, key, sender)).await?)
    }

    /// SKEY: the sender sets his key. `queue` is the sender id.
    ///
    /// # Errors
    /// `AUTH` when another key is set, or the queue is not for messaging.
    pub async fn secure_by_sender(&self, queue: EntityId, key: AuthPrivateKey) -> Result<(), RequestError> {
        done(self.request(Request::secure_by_sender(queue, key)).await?)
    }

    /// SEND: sends a message, without a key while the queue is not secured. `queue` is the sender id.
    ///
    /// # Errors
    /// `QUOTA` when the queue is full.
    pub async fn send(
        &self,
        queue: EntityId,
        key: Option<AuthPrivateKey>,
        flags: MessageFlags,
        body: Bytes,
    ) -> Result<(), RequestError> {
        done(self.request(Request::send(queue, key, flags, body)).await?)
    }

    /// LSET: sets the data of a queue's link. The id and the fixed data stay what they were set to first.
    ///
    /// # Errors
    /// `AUTH` when the queue has another link id or other fixed data, when the link id is another queue's, and for a messaging
    /// queue that is secured.
    pub async fn set_link(
        &self,
        queue: EntityId,
        key: AuthPrivateKey,
        link: EntityId,
        data: LinkData,
    ) -> Result<(), RequestError> {
        done(self.request(Request::set_link(queue, key, link, data)).await?)
    }

    /// LDEL: deletes the data of a queue's link, and the link id with it.
    ///
    /// # Errors
    /// `AUTH` when there is no such queue, or the key is not its recipient's.
    pub async fn remove_link(&self, queue: EntityId, key: AuthPrivateKey) -> Result<(), RequestError> {
        done(self.request(Request::remove_link(queue, key)).await?)
    }

    /// LGET: the sender id of a contact queue, and the data of its link.
    ///
    /// # Errors
    /// `AUTH` when the link leads nowhere, or to a messaging queue.
    pub async fn read_link(&self, link: EntityId) -> Result<(EntityId, LinkData), RequestError> {
        link_of(self.request(Request::read_link(link)).await?)
    }

    /// LKEY: the sender sets his key, and learns the sender id of a messaging queue and the data of its link.
    ///
    /// # Errors
    /// `AUTH` when the link leads nowhere, or another key is set.
    pub async fn secure_and_read_link(
        &self,
        link: EntityId,
        key: AuthPrivateKey,
    ) -> Result<(EntityId, LinkData), RequestError> {
        link_of(self.request(Request::secure_and_read_link(link, key)).await?)
    }

    /// RSLV: what is registered under a name.
    ///
    /// # Errors
    /// `NAME` when it is not registered, or the server does not resolve names.
    pub async fn resolve(&self, name: Name) -> Result<NameRecord, RequestError> {
        match self.request(Request::resolve(name)).await? {
            Answer::Name(record) => Ok(*record),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// NKEY: gives a queue a notifier in place of the former.
    ///
    /// # Errors
    /// `AUTH` when there is no such queue, or the key is not its recipient's.
    pub async fn set_notifier(
        &self,
        queue: EntityId,
        key: AuthPrivateKey,
        notifier: NotifierKeys,
    ) -> Result<CreatedNotifier, RequestError> {
        match self.request(Request::set_notifier(queue, key, notifier)).await? {
            Answer::Notifier(notifier) => Ok(notifier),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// NDEL: takes the notifier of a queue away.
    ///
    /// # Errors
    /// `AUTH` when there is no such queue, or the key is not its recipient's.
    pub async fn remove_notifier(&self, queue: EntityId, key: AuthPrivateKey) -> Result<(), RequestError> {
        done(self.request(Request::remove_notifier(queue, key)).await?)
    }

    /// NSUB: subscribes to the notifications of a queue, which come as events.
    ///
    /// # Errors
    /// `AUTH` when there is no such notifier, or the key is not its.
    pub async fn subscribe_notifier(
        &self,
        notifier: EntityId,
        key: AuthPrivateKey,
    ) -> Result<(), RequestError> {
        subscribed(self.request(Request::subscribe_notifier(notifier, key)).await?).map(|_| ())
    }

    /// PRXY: a session of this server, as a proxy, with a relay, whose identity is checked. Commands are sent through it by
    /// [`Client::request`] of [`Request::through`], or the methods of [`RelayClient`].
    ///
    /// # Errors
    /// `PROXY` with the reason, such as a missing password or a relay that cannot be reached;
    /// [`RequestError::BadRelay`] when the relay is not the one that was asked for.
    pub async fn relay(
        &self,
        relay: ServerAddress,
        password: Option<Password>,
    ) -> Result<RelayClient, RequestError> {
        match self.request(Request::relay(relay, password)).await? {
            Answer::Relay(relay) => Ok(RelayClient { proxy: self.clone(), relay }),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// PING: whether the server answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), RequestError> {
        done(self.request(Request::ping()).await?)
    }

    /// Ends the connection and waits for that. Commands that wait for answers are told that the connection
    /// ended.
    pub async fn close(&self) -> Disconnect {
        self.0.shared.close();
        self.closed().await
    }

    /// Waits for the end of the connection, and tells how it came.
    pub async fn closed(&self) -> Disconnect {
        poll_fn(|cx| self.0.shared.poll_end(cx)).await
    }
}

/// A relay behind a proxy, for senders. The proxy learns neither commands nor queues, the relay neither connection nor address.
///
/// Errors of the proxy are [`RequestError::Server`]; after `PROXY NO_SESSION` ask for the relay again. Errors of the relay
/// are [`RequestError::Relay`].
#[derive(Clone)]
pub struct RelayClient {
    proxy: Client,
    relay: Relay,
}

impl RelayClient {
    /// The version that is spoken with the relay.
    #[must_use]
    pub fn version(&self) -> Version {
        self.relay.version()
    }

    /// Sends a command that a relay takes. It is on its way when this returns; the future waits for the answer.
    #[must_use = "dropping the future cancels the command"]
    pub fn request(&self, request: Request) -> PendingAnswer {
        self.proxy.request(request.through(&self.relay))
    }

    /// SEND, as [`Client::send`].
    ///
    /// # Errors
    /// [`RequestError::Relay`] with `QUOTA` when the queue is full.
    pub async fn send(
        &self,
        queue: EntityId,
        key: Option<AuthPrivateKey>,
        flags: MessageFlags,
        body: Bytes,
    ) -> Result<(), RequestError> {
        done(self.request(Request::send(queue, key, flags, body)).await?)
    }

    /// SKEY, as [`Client::secure_by_sender`].
    ///
    /// # Errors
    /// [`RequestError::Relay`] with `AUTH` when another key is set, or the queue is not for messaging.
    pub async fn secure_by_sender(&self, queue: EntityId, key: AuthPrivateKey) -> Result<(), RequestError> {
        done(self.request(Request::secure_by_sender(queue, key)).await?)
    }

    /// LKEY, as [`Client::secure_and_read_link`].
    ///
    /// # Errors
    /// [`RequestError::Relay`] with `AUTH` when another key is set, or there is no such link.
    pub async fn secure_and_read_link(
        &self,
        link: EntityId,
        key: AuthPrivateKey,
    ) -> Result<(EntityId, LinkData), RequestError> {
        link_of(self.request(Request::secure_and_read_link(link, key)).await?)
    }

    /// LGET, as [`Client::read_link`].
    ///
    /// # Errors
    /// [`RequestError::Relay`] with `AUTH` when there is no such link.
    pub async fn read_link(&self, link: EntityId) -> Result<(EntityId, LinkData), RequestError> {
        link_of(self.request(Request::read_link(link)).await?)
    }

    /// RSLV, as [`Client::resolve`].
    ///
    /// # Errors
    /// [`RequestError::Relay`] with `NAME` when it is not registered, or the relay does not resolve names.
    pub async fn resolve(&self, name: Name) -> Result<NameRecord, RequestError> {
        match self.request(Request::resolve(name)).await? {
            Answer::Name(record) => Ok(*record),
            _ => Err(RequestError::Unexpected),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// The answer to a command that was sent. Dropping it cancels the command.
#[must_use = "dropping it cancels the command"]
pub struct PendingAnswer {
    sent: Sent,
    /// The connection stands at least until the answer.
    _client: Client,
}

impl Future for PendingAnswer {
    type Output = Result<Answer, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.sent).poll(cx)
    }
}

pub(super) fn subscribed(answer: Answer) -> Result<Option<ReceivedMessage>, RequestError> {
    match answer {
        Answer::Subscribed { message, .. } => Ok(message),
        _ => Err(RequestError::Unexpected),
    }
}

fn message(answer: Answer) -> Result<Option<ReceivedMessage>, RequestError> {
    match answer {
        Answer::Message(message) => Ok(message),
        _ => Err(RequestError::Unexpected),
    }
}

fn link_of(answer: Answer) -> Result<(EntityId, LinkData), RequestError> {
    match answer {
        Answer::Link { sender_id, data } => Ok((sender_id, data)),
        _ => Err(RequestError::Unexpected),
    }
}

fn done(answer: Answer) -> Result<(), RequestError> {
    match answer {
        Answer::Done => Ok(()),
        _ => Err(RequestError::Unexpected),
    }
}

/// How many commands of one caller are under way at once: the number of subscriptions that an app asks for
/// together.
pub(crate) const BATCH: usize = 1350;
