//! What the server asks of its store: a small vocabulary of atomic operations, each on one queue.
//!
//! The store is the authority on the state of queues. The broker sends it a [`Batch`] and gets one [`OpResult`] for each
//! operation, in the same order. Whoever carries out batches keeps four promises:
//!
//! 1. **Order.** Batches take effect in the order in which they were handed over, operations in their order in the batch.
//! 2. **Atomicity.** An operation takes effect whole or not at all, also when the process dies.
//! 3. **Durability.** A reply is given when everything that the batch wrote *or could have seen* is durable under the
//!    configured policy, so nothing that is told to a client can be lost.
//! 4. **Honesty.** When a batch could not be made durable the answer is [`StoreFailure`], for all of its operations. When a
//!    record cannot be read, what needs it fails, and nothing else.
//!
//! Before an operation the session looked the queue up and verified the command with a key of the record. The record may
//! have changed since, so an operation repeats in `by` the key that authorised it, and the store answers
//! [`OpResult::Unauthorized`] when that key (no longer) has the right. The check and the effect are one.
//!
//! [`MemoryStore`] carries the vocabulary out in memory. It is the reference for every other store, and they are
//! compared with it.

mod memory;
mod record;

pub use memory::MemoryStore;
pub use record::{MessageContent, QueueCounts, QueueRecord, QueueStatus, StoredMessage, UnixDay};

use bytes::Bytes;

use crate::crypto::DhSecret;
use crate::time::UnixTime;
use crate::wire::{AuthPublicKey, EntityId, MessageId};

/// Names a batch, so that its reply can be told from others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BatchId(pub u64);

/// Operations that are handed to the store together.
#[derive(Debug)]
pub struct Batch {
    /// Repeated in the reply.
    pub id: BatchId,
    /// Carried out in this order. Each is atomic alone.
    pub ops: Vec<QueueOp>,
}

/// The answer to a [`Batch`]: a result for each operation, in order, of which each may be [`OpResult::Failed`], or a failure
/// of them all.
pub type BatchReply = Result<Vec<OpResult>, StoreFailure>;

/// The store could not carry out a batch or a look-up, and says so to whoever asked. The cause is logged where it happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store failed")]
pub struct StoreFailure;

/// What a look-up gives for one key: the record, or nothing if there is no such queue.
///
/// # Errors
/// When that record cannot be read. Others are not touched by that.
pub type Found = Result<Option<QueueRecord>, StoreFailure>;

/// How a queue is found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum QueueKey {
    /// By the id that its recipient uses.
    Recipient(EntityId),
    /// By the id that its senders use.
    Sender(EntityId),
}

/// An atomic operation on one queue, which is named by its recipient id.
#[derive(Clone, Debug)]
pub enum QueueOp {
    /// Creates a queue: [`OpResult::Done`], or [`OpResult::IdTaken`] when any of its ids is in use.
    Create(Box<QueueRecord>),
    /// Changes a queue: [`OpResult::Done`] or [`OpResult::Unauthorized`].
    Change {
        /// The queue.
        queue: EntityId,
        /// What changes, and by whose right.
        change: QueueChange,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Deletes a queue and its messages: [`OpResult::Done`] or [`OpResult::Unauthorized`].
    Delete {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
    },
    /// Appends a message: [`OpResult::Appended`], [`OpResult::QuotaExceeded`] or [`OpResult::Unauthorized`].
    ///
    /// A queue holds `capacity` messages. The message after those is replaced by a quota marker with its id and time and
    /// closes the queue for messages until the recipient has deleted all, the marker included.
    Append(Box<Append>),
    /// Reads the oldest message: [`OpResult::Message`] or [`OpResult::Unauthorized`].
    Peek {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it; `None` for a subscription that was authorised before.
        by: Option<AuthPublicKey>,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Tells whether there is a message: [`OpResult::Checked`] or [`OpResult::Unauthorized`].
    Check {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Deletes the oldest message if it has this id, then reads the oldest of the rest: [`OpResult::Acknowledged`] or
    /// [`OpResult::Unauthorized`]. Deleting a message that is not there any more is no error.
    Acknowledge {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// The message.
        message: MessageId,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Reads how full a queue is and its oldest message: [`OpResult::Inspected`] or [`OpResult::Unauthorized`].
    Inspect {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
    },
    /// Deletes the messages, quota markers included, that a queue's recipient left for too long: [`OpResult::Expired`].
    ///
    /// Visits at most `limit` queues that hold messages, in the order of their ids, starting after `after`. A store may end a
    /// visit sooner.
    Expire {
        /// Messages sent before this time go.
        before: UnixTime,
        /// Where the visit before this one ended.
        after: Option<EntityId>,
        /// How many queues to visit.
        limit: u32,
    },
    /// Deletes the old messages of one queue: [`OpResult::Expired`].
    ExpireQueue {
        /// The queue.
        queue: EntityId,
        /// Messages sent before this time go.
        before: UnixTime,
    },
    /// Reads the counters of the store, which are kept and never counted: [`OpResult::Counts`].
    Count,
}

/// A change of a queue's record, with the right to make it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueChange {
    /// KEY: the recipient `by` sets the sender's key. Setting the same key again succeeds; another is refused.
    SecureByRecipient {
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// The sender's key.
        key: AuthPublicKey,
    },
    /// SKEY: the sender sets the key, by which the command was signed. Refused unless the queue is a messaging queue that is
    /// not secured with another key.
    SecureBySender {
        /// The sender's key.
        key: AuthPublicKey,
    },
    /// RKEY: the recipient `by` replaces the recipient keys. Refused unless the queue is a contact queue.
    ReplaceRecipientKeys {
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// The new keys, at least one.
        keys: Vec<AuthPublicKey>,
    },
    /// OFF: no more messages are accepted. Succeeds again.
    Suspend {
        /// The recipient key that authorised it.
        by: AuthPublicKey,
    },
}

/// A message to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The queue.
    pub queue: EntityId,
    /// The sender key that authorised it; `None` for a command without authorisation, which only a queue without a sender key
    /// accepts.
    pub by: Option<AuthPublicKey>,
    /// A new id.
    pub id: MessageId,
    /// When the server accepted it.
    pub sent_at: UnixTime,
    /// Whether the recipient should be notified.
    pub notification: bool,
    /// The body, as the sender sent it.
    pub body: Bytes,
    /// How many messages a queue may hold.
    pub capacity: u32,
}

/// The result of a [`QueueOp`].
#[derive(Debug)]
pub enum OpResult {
    /// It took effect.
    Done,
    /// An id of the new queue is in use.
    IdTaken,
    /// There is no such queue, or the key has no right to this (any more).
    Unauthorized,
    /// The message was stored.
    Appended(Appended),
    /// The queue is full. The message was not stored.
    QuotaExceeded,
    /// The oldest message, if there is one.
    Message(Option<Waiting>),
    /// Whether there is a message.
    Checked {
        /// There is at least one, which may be a quota marker.
        has_messages: bool,
    },
    /// An acknowledgement.
    Acknowledged {
        /// The message was there and was deleted; `Some(true)` if it was a quota marker.
        deleted: Option<bool>,
        /// The message that is the oldest now.
        next: Option<Waiting>,
    },
    /// What QUE asks for.
    Inspected(Inspected),
    /// How far a visit of expiry came.
    Expired {
        /// How many messages it deleted.
        messages: u64,
        /// Where to go on; `None` at the end.
        next: Option<EntityId>,
    },
    /// How much the store holds.
    Counts(QueueCounts),
    /// A record that it needs cannot be read. It had no effect; other operations are not touched by that.
    Failed,
}

/// A message was stored.
#[derive(Debug)]
pub struct Appended {
    /// It is the only message of its queue now.
    pub was_empty: bool,
    /// The message as it was stored, with what its delivery needs.
    pub message: Waiting,
}

/// A message that waits for its recipient, with the secret that its delivery is encrypted with.
#[derive(Clone)]
pub struct Waiting {
    /// The message.
    pub message: StoredMessage,
    /// The secret between the recipient and the server.
    pub secret: DhSecret,
}

impl core::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

/// How full a queue is.
#[derive(Debug)]
pub struct Inspected {
    /// A sender key is set.
    pub secured: bool,
    /// Messages in the queue, a quota marker included.
    pub messages: u32,
    /// The oldest message.
    pub first: Option<StoredMessage>,
}
