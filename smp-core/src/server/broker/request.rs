//! What sessions and the broker say to each other, and what the broker remembers of an operation until it is done.

use crate::server::ConnectionId;
use crate::server::store::{Append, Inspected, OpResult, QueueChange, QueueRecord, Waiting};
use crate::wire::{AuthPublicKey, EntityId, MessageId};

/// Names a command within its session.
pub(crate) type Tag = u64;

/// A verified command, or news of the socket.
pub(crate) enum Request {
    Create {
        tag: Tag,
        record: Box<QueueRecord>,
        subscribe: bool,
    },
    Change {
        tag: Tag,
        queue: EntityId,
        change: QueueChange,
    },
    Delete {
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
    },
    Append {
        tag: Tag,
        append: Box<Append>,
    },
    Subscribe {
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
    },
    Get {
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
    },
    Acknowledge {
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
        message: MessageId,
    },
    Inspect {
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
    },
    /// The socket took this many deliveries, or they came to nothing: as many slots are free again.
    SlotsFree(usize),
    /// The socket took the news of ended subscriptions.
    EndsTaken,
    /// Nothing was heard of the peer for a while: close the connection if it is subscribed to nothing.
    CloseIfUnsubscribed,
}

/// An answer to a request, or an event.
pub(crate) enum Reply {
    Answer(Tag, Answer),
    /// A message for a subscribed queue. Takes a slot.
    Message(EntityId, Waiting),
    /// Subscriptions that ended without the session's doing. No more of this until [`Request::EndsTaken`].
    Ended(Vec<(EntityId, Ending)>),
    /// The connection is subscribed to nothing: close it.
    Unsubscribed,
}

/// How a subscription ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// Another connection subscribed to the queue.
    TakenOver,
    /// Somebody deleted the queue.
    Deleted,
}

/// The answer to a request.
pub(crate) enum Answer {
    Done,
    IdTaken,
    Unauthorized,
    QuotaExceeded,
    /// The subscription is in force; a message takes a slot.
    Subscribed(Option<Waiting>),
    /// The message asked for by GET, or the one after an acknowledged one. Takes a slot.
    Message(Waiting),
    Inspected(Inspected, Option<SubscriptionInfo>),
    /// The command makes no sense in the state of this connection.
    Prohibited,
    NoMessage,
    /// A limit of this connection is reached.
    LimitReached,
    StoreFailed,
}

impl From<&OpResult> for Answer {
    fn from(result: &OpResult) -> Self {
        match result {
            OpResult::Unauthorized => Self::Unauthorized,
            OpResult::IdTaken => Self::IdTaken,
            OpResult::QuotaExceeded => Self::QuotaExceeded,
            OpResult::Done
            | OpResult::Appended(_)
            | OpResult::Message(_)
            | OpResult::Checked { .. }
            | OpResult::Acknowledged { .. }
            | OpResult::Inspected(_)
            | OpResult::Expired { .. }
            | OpResult::Counts(_) => Self::Done,
        }
    }
}

/// What QUE tells of the subscription of the asking connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SubscriptionInfo {
    /// The queue is received by GET, so it cannot be subscribed to.
    pub(crate) prohibited: bool,
    /// The message that waits for its acknowledgement.
    pub(crate) delivered: Option<MessageId>,
}

/// What an operation was for.
pub(super) enum Context {
    Create { connection: ConnectionId, tag: Tag, queue: EntityId, subscribe: bool },
    Change { connection: ConnectionId, tag: Tag },
    Delete { connection: ConnectionId, tag: Tag, queue: EntityId },
    Append { connection: ConnectionId, tag: Tag, queue: EntityId },
    Subscribe { connection: ConnectionId, tag: Tag, queue: EntityId, slot: bool },
    Get { connection: ConnectionId, tag: Tag, queue: EntityId },
    Acknowledge { connection: ConnectionId, tag: Tag, queue: EntityId, read: ReadId, message: MessageId },
    AcknowledgeGot { connection: ConnectionId, tag: Tag },
    Read { queue: EntityId, read: ReadId, connection: ConnectionId },
    Inspect { connection: ConnectionId, tag: Tag, queue: EntityId },
    Expire,
    ExpireQueue,
}

/// Names a read of a subscribed queue, so that a late result is not taken for that of a newer read. The batch and the
/// place in it would do; a count is shorter.
pub(super) type ReadId = u64;
