//! The results of operations.

use core::fmt;

#[cfg(doc)]
use super::QueueOp;
use super::{Notification, NotifierRecord, QueueCounts, StoredMessage};
use crate::crypto::DhSecret;
use crate::wire::command::LinkData;
use crate::wire::error::BlockingInfo;
use crate::wire::{EntityId, QueueSet};

/// The result of a [`QueueOp`].
#[derive(Debug)]
pub enum OpResult {
    /// It took effect.
    Done,
    /// An id of the new queue is in use.
    IdTaken,
    /// There is no such queue, or the key has no right to this (any more).
    Unauthorized,
    /// The operator blocked the queue.
    Blocked(BlockingInfo),
    /// It took effect, and the queue had this notifier, which is no more.
    Released {
        /// The notifier.
        notifier: Option<NotifierRef>,
        /// The service that the queue was one of, if the queue was deleted.
        service: Option<EntityId>,
    },
    /// The data of a link.
    Link {
        /// The id that senders use.
        sender: EntityId,
        /// The data.
        data: Box<LinkData>,
    },
    /// Notifications, which are not in the store any more.
    Notifications(PendingNotifications),
    /// The message was stored.
    Appended(Appended),
    /// The queue is full. The message was not stored.
    QuotaExceeded,
    /// The oldest message, if there is one.
    Message(Option<Waiting>),
    /// A subscription is allowed.
    Subscribed {
        /// The oldest message, if it was to be read and there is one.
        message: Option<Waiting>,
        /// There is at least one message, which may be a quota marker.
        has_messages: bool,
        /// The service that the queue was one of before.
        former: Option<EntityId>,
    },
    /// The subscription of a notifier is allowed.
    NotifierSubscribed {
        /// Notifications wait.
        has_notifications: bool,
        /// The service that the notifier was one of before.
        former: Option<EntityId>,
    },
    /// The id of a service.
    Service(EntityId),
    /// How many queues or notifiers a service has.
    ServiceQueues(QueueSet),
    /// Queues of a service with something in them.
    Scanned {
        /// Queues with messages; or for a service that is notified, those with notifications and their notifiers.
        queues: Vec<(EntityId, Option<EntityId>)>,
        /// Where to go on; `None` at the end.
        next: Option<EntityId>,
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
    /// The operator's will was done.
    Moderated {
        /// The service that the queue is one of.
        service: Option<EntityId>,
    },
    /// How far a visit of expiry came.
    Expired {
        /// How many messages or notifications it deleted.
        deleted: u64,
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
    /// The notifier for which a notification was stored with it.
    pub notifier: Option<NotifierRef>,
    /// An older notification gave way to it, because too many wait.
    pub notification_lost: bool,
    /// The service that the queue is one of.
    pub service: Option<EntityId>,
}

/// A notifier, and the service that it is one of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotifierRef {
    /// The id that the notifier uses.
    pub id: EntityId,
    /// Its service.
    pub service: Option<EntityId>,
}

impl From<&NotifierRecord> for NotifierRef {
    fn from(record: &NotifierRecord) -> Self {
        Self { id: record.id.clone(), service: record.service.clone() }
    }
}

/// Notifications that were taken out of the store.
#[derive(Clone)]
pub struct PendingNotifications {
    /// The oldest, in the order of their messages.
    pub notifications: Vec<Notification>,
    /// The secret between the recipient and the server that they are encrypted with.
    pub secret: DhSecret,
    /// Others wait.
    pub more: bool,
}

impl fmt::Debug for PendingNotifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingNotifications").finish_non_exhaustive()
    }
}

/// A message that waits for its recipient, with the secret that its delivery is encrypted with.
#[derive(Clone)]
pub struct Waiting {
    /// The message.
    pub message: StoredMessage,
    /// The secret between the recipient and the server.
    pub secret: DhSecret,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

/// How full a queue is.
#[derive(Debug)]
pub struct Inspected {
    /// A sender key is set.
    pub secured: bool,
    /// It has a notifier.
    pub has_notifier: bool,
    /// Messages in the queue, a quota marker included.
    pub messages: u32,
    /// The oldest message.
    pub first: Option<StoredMessage>,
}
