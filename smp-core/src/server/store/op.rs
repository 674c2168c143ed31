//! The operations.

use core::fmt;

use bytes::Bytes;

#[cfg(doc)]
use super::OpResult;
use super::{NotifierRecord, QueueRecord, UnixDay};
use crate::time::UnixTime;
use crate::wire::command::LinkData;
use crate::wire::error::BlockingInfo;
use crate::wire::{AuthPublicKey, EntityId, MessageId, ServiceRole};

/// An atomic operation on one queue, which is named by its recipient id.
///
/// Each may have the results that are named with it, and [`OpResult::Failed`]; each but those of expiry and
/// [`Count`](Self::Count) also [`OpResult::Unauthorized`], and each but [`Delete`](Self::Delete), and those
/// [changes](QueueChange) that say so, [`OpResult::Blocked`] when the right is there and the operator blocked the queue.
///
/// A queue may be one of a service that is known in the role of receiving messages, a notifier one of a service that
/// is known in that of being notified. What names another as its service is [`OpResult::Unauthorized`].
#[derive(Clone, Debug)]
pub enum QueueOp {
    /// Creates a queue: [`OpResult::Done`], or [`OpResult::IdTaken`] when any of its ids is in use or empty. Ids of
    /// different kinds may be equal.
    Create {
        /// The queue.
        record: Box<QueueRecord>,
        /// Its link data. A queue has a link when there are both an id and data.
        link: Option<Box<LinkData>>,
    },
    /// Changes the record of a queue: [`OpResult::Done`].
    Change {
        /// The queue.
        queue: EntityId,
        /// What changes, and by whose right.
        change: QueueChange,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Sets the data of a queue's link: [`OpResult::Done`]. Refused when the queue has another link id or other fixed data,
    /// when the link id leads to another queue, and for messaging queues that are secured.
    SetLink {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// The id of the data.
        link: EntityId,
        /// The data.
        data: Box<LinkData>,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Deletes the data of a queue's link, and its id: [`OpResult::Done`], also when there is none.
    RemoveLink {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Reads the data of a link: [`OpResult::Link`].
    ///
    /// With a sender key, it secures the queue with that key as [`QueueChange::SecureBySender`] does, or is refused. Without,
    /// the queue must be a contact queue, or one without a mode that is not secured.
    ReadLink {
        /// The queue.
        queue: EntityId,
        /// The id of the data.
        link: EntityId,
        /// The sender's key, which authorised it.
        secure: Option<AuthPublicKey>,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Gives a queue a notifier in place of the former: [`OpResult::Released`], or [`OpResult::IdTaken`] when the new id
    /// is in use, be it by the former, or empty. Notifications that wait for the former are deleted.
    SetNotifier {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// The notifier.
        notifier: Box<NotifierRecord>,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Takes the notifier of a queue away: [`OpResult::Released`]. Notifications that wait for it are deleted.
    RemoveNotifier {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Makes a notifier one of this service, or of none, and tells whether notifications wait:
    /// [`OpResult::NotifierSubscribed`]. Also of a blocked queue.
    SubscribeNotifier {
        /// The queue.
        queue: EntityId,
        /// The notifier, which must (still) be that of the queue.
        notifier: EntityId,
        /// The notifier's key that authorised it.
        by: AuthPublicKey,
        /// The service that subscribes.
        service: Option<EntityId>,
    },
    /// Takes the oldest notifications that wait for a notifier out of the store: [`OpResult::Notifications`]. Also of a
    /// blocked queue.
    TakeNotifications {
        /// The queue.
        queue: EntityId,
        /// The notifier, which must (still) be that of the queue.
        notifier: EntityId,
        /// How many at most.
        limit: u32,
    },
    /// Finds the service with a certificate, or remembers it as a new one: [`OpResult::Service`]. Refused when it is known in
    /// another role; [`OpResult::IdTaken`] when it is not known and the id is another's, and
    /// [`OpResult::QuotaExceeded`] when it is not known and too many are.
    FindService {
        /// SHA-256 of its identity certificate.
        fingerprint: [u8; 32],
        /// What it does.
        role: ServiceRole,
        /// Its id, if it is new.
        id: EntityId,
        /// How many services may be known.
        capacity: u64,
    },
    /// Reads how many queues a service has, or notifiers if that is its role, and their hash:
    /// [`OpResult::ServiceQueues`]. A proxy has none.
    CountService {
        /// The service.
        service: EntityId,
    },
    /// Visits queues of a service in the order of their ids: [`OpResult::Scanned`]. Goes on behind what cannot be read.
    ScanService {
        /// The service.
        service: EntityId,
        /// Where the visit before this one ended.
        after: Option<EntityId>,
        /// How many queues to visit, at least one.
        limit: u32,
    },
    /// Blocks a queue, or with `None` ends that: [`OpResult::Moderated`], or [`OpResult::Unauthorized`] if there is no such queue.
    /// The operator's right needs no key. A queue that is not blocked stays as it is when that is ended.
    Block {
        /// The queue.
        queue: EntityId,
        /// Why.
        info: Option<BlockingInfo>,
    },
    /// Deletes a queue and all that belongs to it: [`OpResult::Released`].
    Delete {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it; `None` for the operator.
        by: Option<AuthPublicKey>,
    },
    /// Appends a message: [`OpResult::Appended`] or [`OpResult::QuotaExceeded`].
    ///
    /// A queue holds `capacity` messages. The message after those is replaced by a quota marker with its id and time and
    /// closes the queue for messages until the recipient has deleted all, the marker included. A message that should be
    /// notified adds a notification when the queue has a notifier; when too many wait, the oldest goes. With either
    /// result the link data of a messaging queue that is secured is deleted, because who had the link has used it.
    Append(Box<Append>),
    /// Reads the oldest message: [`OpResult::Message`].
    Peek {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it; `None` for a subscription that was authorised before.
        by: Option<AuthPublicKey>,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Makes a queue one of this service, or of none, and tells what is in it: [`OpResult::Subscribed`].
    Subscribe {
        /// The queue.
        queue: EntityId,
        /// The recipient key that authorised it.
        by: AuthPublicKey,
        /// The service that subscribes.
        service: Option<EntityId>,
        /// Whether to read the oldest message. Else it is only told whether there is one.
        peek: bool,
        /// Today, which becomes the day of the queue's last use.
        today: UnixDay,
    },
    /// Deletes the oldest message if it has this id, then reads the oldest of the rest: [`OpResult::Acknowledged`].
    /// Deleting a message that is not there any more is no error.
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
    /// Reads how full a queue is and its oldest message: [`OpResult::Inspected`].
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
    /// Deletes old notifications: [`OpResult::Expired`]. Visits queues for which some wait, as [`Expire`](Self::Expire) does.
    ExpireNotifications {
        /// Notifications of messages sent before this time go.
        before: UnixTime,
        /// Where the visit before this one ended.
        after: Option<EntityId>,
        /// How many queues to visit.
        limit: u32,
    },
    /// Reads the counters of the store, which are kept and never counted: [`OpResult::Counts`].
    Count,
}

impl QueueOp {
    /// Whether a queue gets its sender key by it (or has it already).
    pub(crate) const fn secures(&self) -> bool {
        match self {
            Self::Change { change, .. } => {
                matches!(change, QueueChange::SecureByRecipient { .. } | QueueChange::SecureBySender { .. })
            }
            Self::ReadLink { secure, .. } => secure.is_some(),
            _ => false,
        }
    }
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
    /// OFF: no more messages are accepted. Succeeds again. Also of a blocked queue, which stays blocked.
    Suspend {
        /// The recipient key that authorised it.
        by: AuthPublicKey,
    },
}

/// A message to append.
#[derive(Clone)]
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
    /// How many notifications may wait for a notifier.
    pub notification_capacity: u32,
}

/// Neither ids nor bodies may reach a log.
impl fmt::Debug for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Append").finish_non_exhaustive()
    }
}
