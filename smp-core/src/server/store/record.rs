//! What a store keeps for a queue.

use core::fmt;

use bytes::Bytes;

use crate::crypto::DhSecret;
use crate::time::UnixTime;
use crate::wire::error::BlockingInfo;
use crate::wire::{AuthPublicKey, EntityId, MessageId, QueueMode};

/// Days since 1970-01-01 UTC: all that is remembered of when a queue was used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct UnixDay(pub u32);

impl From<UnixTime> for UnixDay {
    fn from(time: UnixTime) -> Self {
        Self(u32::try_from(time.as_days()).unwrap_or(0))
    }
}

/// Whether a queue accepts messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueStatus {
    /// It does.
    Active,
    /// Its recipient suspended it.
    Off,
    /// The operator blocked it.
    Blocked(BlockingInfo),
}

/// A queue, without its messages.
#[derive(Clone)]
pub struct QueueRecord {
    /// The id that the recipient uses; names the queue in the store.
    pub recipient: EntityId,
    /// The id that senders use.
    pub sender: EntityId,
    /// Keys of the recipient, at least one. A command is authorised by any of them.
    pub recipient_keys: Vec<AuthPublicKey>,
    /// The secret of the recipient's and the server's key, with which deliveries are encrypted.
    pub secret: DhSecret,
    /// The sender's key, once the queue is secured.
    pub sender_key: Option<AuthPublicKey>,
    /// What the queue is for; `None` for queues of clients that could not say.
    pub mode: Option<QueueMode>,
    /// Whether it accepts messages.
    pub status: QueueStatus,
    /// The id of its link data, if it has any.
    pub link: Option<EntityId>,
    /// Who is notified of messages.
    pub notifier: Option<NotifierRecord>,
    /// The service that the recipient is.
    pub service: Option<EntityId>,
    /// The day of its last use.
    pub used_on: UnixDay,
}

/// Who is notified of messages in a queue, without learning anything of them.
#[derive(Clone)]
pub struct NotifierRecord {
    /// The id that the notifier uses.
    pub id: EntityId,
    /// The notifier's key.
    pub key: AuthPublicKey,
    /// The secret of the recipient's and the server's key, with which notifications are encrypted for the recipient.
    pub secret: DhSecret,
    /// The service that the notifier is.
    pub service: Option<EntityId>,
}

impl fmt::Debug for NotifierRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifierRecord").finish_non_exhaustive()
    }
}

/// Nothing of a queue may reach a log.
impl fmt::Debug for QueueRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueRecord")
            .field("mode", &self.mode)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A message in a queue.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its id.
    pub id: MessageId,
    /// When the server accepted it.
    pub sent_at: UnixTime,
    /// What it is.
    pub content: MessageContent,
}

/// What a message in a queue is.
#[derive(Clone, PartialEq, Eq)]
pub enum MessageContent {
    /// A message of a sender.
    Message {
        /// Whether the recipient should be notified.
        notification: bool,
        /// The body, as the sender sent it.
        body: Bytes,
    },
    /// The marker that the queue was full at this time.
    Quota,
}

/// Neither ids nor bodies may reach a log.
impl fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMessage").finish_non_exhaustive()
    }
}

/// What a notification says, and to the recipient alone: a message came.
#[derive(Clone, PartialEq, Eq)]
pub struct Notification {
    /// The message.
    pub message: MessageId,
    /// When the server accepted it.
    pub sent_at: UnixTime,
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notification").finish_non_exhaustive()
    }
}

/// How much a store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueCounts {
    /// Queues.
    pub queues: u64,
    /// Messages in them, quota markers included.
    pub messages: u64,
    /// Queues with a notifier.
    pub notifiers: u64,
    /// Notifications that wait.
    pub notifications: u64,
    /// Services, of all roles.
    pub services: u64,
    /// Services that receive messages.
    pub messaging_services: u64,
    /// Queues of those.
    pub messaging_service_queues: u64,
    /// Services that are notified.
    pub notifier_services: u64,
    /// Notifiers of those.
    pub notifier_service_queues: u64,
}
