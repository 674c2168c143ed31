//! What a store keeps for a queue.

use core::fmt;

use bytes::Bytes;

use super::QueueChange;
use crate::crypto::DhSecret;
use crate::time::UnixTime;
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
    /// The day of its last use.
    pub used_on: UnixDay,
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

impl QueueRecord {
    /// True when `key` is one of the recipient's.
    #[must_use]
    pub fn is_recipient(&self, key: &AuthPublicKey) -> bool {
        self.recipient_keys.contains(key)
    }

    /// True when a sender may append with `key`, or without one.
    #[must_use]
    pub fn accepts_messages_by(&self, key: Option<&AuthPublicKey>) -> bool {
        self.status == QueueStatus::Active && self.sender_key.as_ref() == key
    }

    /// Makes a change if it is allowed, and says whether it was. The one place with the rules; every store uses it.
    pub fn apply(&mut self, change: QueueChange) -> bool {
        match change {
            QueueChange::SecureByRecipient { by, key } => self.is_recipient(&by) && self.secure(key),
            QueueChange::SecureBySender { key } => {
                self.mode == Some(QueueMode::Messaging) && self.secure(key)
            }
            QueueChange::ReplaceRecipientKeys { by, keys } => {
                let allowed =
                    self.is_recipient(&by) && self.mode == Some(QueueMode::Contact) && !keys.is_empty();
                if allowed {
                    self.recipient_keys = keys;
                }
                allowed
            }
            QueueChange::Suspend { by } => {
                let allowed = self.is_recipient(&by);
                if allowed {
                    self.status = QueueStatus::Off;
                }
                allowed
            }
        }
    }

    fn secure(&mut self, key: AuthPublicKey) -> bool {
        *self.sender_key.get_or_insert(key) == key
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

/// How much a store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueCounts {
    /// Queues.
    pub queues: u64,
    /// Messages in them, quota markers included.
    pub messages: u64,
}
