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
mod op;
mod record;
mod result;
mod rules;

pub use memory::MemoryStore;
pub use op::{Append, QueueChange, QueueOp};
pub use record::{
    MessageContent, Notification, NotifierRecord, QueueCounts, QueueRecord, QueueStatus, StoredMessage,
    UnixDay,
};
pub use result::{Appended, Inspected, NotifierRef, OpResult, PendingNotifications, Waiting};
pub use rules::Refusal;

use crate::crypto::hash::md5;
use crate::wire::{EntityId, IdsHash, QueueSet};

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
    /// By the id of its link data.
    Link(EntityId),
    /// By the id that its notifier uses.
    Notifier(EntityId),
}

/// The set of one queue or notifier, as services count theirs.
#[must_use]
pub fn set_of(id: &EntityId) -> QueueSet {
    QueueSet { count: 1, hash: IdsHash(md5(id.as_bytes())) }
}
