//! What sessions and the broker say to each other, and what the broker remembers of an operation until it is done.

use super::moderation::{Moderation, ModerationId};
use super::subscription::Delivered;
use crate::crypto::DhSecret;
use crate::server::ConnectionId;
use crate::server::store::{
    Append, Inspected, Notification, NotifierRecord, OpResult, QueueOp, QueueRecord, Waiting,
};
use crate::wire::command::LinkData;
use crate::wire::error::BlockingInfo;
use crate::wire::{AuthPublicKey, EntityId, MessageId, QueueSet, ServiceRole};

/// Names a command within its session.
pub(crate) type Tag = u64;

/// A verified command, or news of the socket.
pub(crate) enum Request {
    Create {
        tag: Tag,
        record: Box<QueueRecord>,
        link: Option<Box<LinkData>>,
        subscribe: bool,
    },
    /// An operation that touches no subscription.
    Store {
        tag: Tag,
        op: Box<QueueOp>,
    },
    /// NKEY; NDEL without a notifier.
    SetNotifier {
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
        notifier: Option<Box<NotifierRecord>>,
    },
    /// NSUB.
    SubscribeNotifier {
        tag: Tag,
        queue: EntityId,
        notifier: EntityId,
        by: AuthPublicKey,
    },
    Delete {
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
        /// It had a sender key.
        is_secured: bool,
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
    /// A client says that it is the service with this certificate; the id is for a new one.
    FindService {
        fingerprint: [u8; 32],
        role: ServiceRole,
        id: EntityId,
    },
    /// SUBS and NSUBS.
    SubscribeService {
        tag: Tag,
        /// What the service takes for its queues.
        expected: QueueSet,
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
    /// Nothing was heard of the peer for a while: close the connection if it is subscribed to nothing.
    CloseIfUnsubscribed,
}

/// An answer to a request, or an event.
pub(crate) enum Reply {
    Answer(Tag, Answer),
    /// A message for a subscribed queue. Takes a slot.
    Message(EntityId, Waiting),
    /// Notifications, about as many as fit into a block. Take a slot.
    Notifications(Vec<Notified>),
    /// The operator blocked a queue that the connection is subscribed to.
    Blocked(EntityId, BlockingInfo),
    /// The id of the service that the client is, if it may be one.
    Service(Option<EntityId>),
    /// Another connection of the service took all of these over.
    ServiceEnded(QueueSet),
    /// All messages that waited for the service were sent.
    AllDelivered,
    /// Subscriptions that ended without the session's doing, as many as fit into a block. Takes a slot.
    Ended(Vec<(EntityId, Ending)>),
    /// The connection is subscribed to nothing: close it.
    Unsubscribed,
}

/// A notification for a notifier.
pub(crate) struct Notified {
    pub(crate) notifier: EntityId,
    pub(crate) notification: Notification,
    /// What it is encrypted with.
    pub(crate) secret: DhSecret,
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
    /// What a service is subscribed to.
    ServiceQueues(QueueSet),
    /// The sender id and the data of a link.
    Link(EntityId, Box<LinkData>),
    Blocked(BlockingInfo),
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
            OpResult::Failed => Self::StoreFailed,
            OpResult::Blocked(info) => Self::Blocked(*info),
            OpResult::Link { sender, data } => Self::Link(sender.clone(), data.clone()),
            OpResult::Done
            | OpResult::Released { .. }
            | OpResult::Notifications(_)
            | OpResult::Appended(_)
            | OpResult::Message(_)
            | OpResult::Subscribed { .. }
            | OpResult::NotifierSubscribed { .. }
            | OpResult::Service(_)
            | OpResult::ServiceQueues(_)
            | OpResult::Scanned { .. }
            | OpResult::Acknowledged { .. }
            | OpResult::Inspected(_)
            | OpResult::Moderated { .. }
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
    Create {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        subscribe: bool,
        has_notifier: bool,
    },
    /// `secures` tells whether a queue gets its sender key by it.
    Store {
        connection: ConnectionId,
        tag: Tag,
        secures: bool,
    },
    /// `sets` is false when it is taken away.
    SetNotifier {
        connection: ConnectionId,
        tag: Tag,
        sets: bool,
    },
    /// `is_known` tells whether the connection was subscribed to it.
    SubscribeNotifier {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        notifier: EntityId,
        /// That the notifier is one of now.
        service: Option<EntityId>,
        is_known: bool,
    },
    TakeNotifications {
        connection: ConnectionId,
        notifier: EntityId,
        is_last: bool,
    },
    Delete {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        is_secured: bool,
    },
    Append {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
    },
    /// `is_known` tells whether the connection was subscribed to it.
    Subscribe {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        slot: bool,
        /// That the queue is one of now.
        service: Option<EntityId>,
        is_known: bool,
    },
    FindService {
        connection: ConnectionId,
    },
    SubscribeService {
        connection: ConnectionId,
        tag: Tag,
        expected: QueueSet,
    },
    ScanService {
        connection: ConnectionId,
    },
    AllDelivered {
        connection: ConnectionId,
    },
    Get {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
    },
    Acknowledge {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        read: ReadId,
        delivered: Delivered,
    },
    AcknowledgeGot {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        delivered: Delivered,
    },
    Read {
        queue: EntityId,
        read: ReadId,
        connection: ConnectionId,
    },
    Inspect {
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
    },
    Moderate {
        id: ModerationId,
        moderation: Box<Moderation>,
    },
    Expire,
    ExpireNotifications,
    ExpireQueue,
}

/// Names a read of a subscribed queue, so that a late result is not taken for that of a newer read. The batch and the
/// place in it would do; a count is shorter.
pub(super) type ReadId = u64;
