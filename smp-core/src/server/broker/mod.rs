//! The broker: who is subscribed to what, and what is told to whom.
//!
//! It holds nothing about a queue but its subscription. The life of a subscription:
//!
//! ```text
//!             SUB: first message read          nothing there
//!   (none) ─────────────▶ Reading ───────────────────────────▶ Idle ◀────┐
//!                          ▲   │ a message                      │ SEND  │ ACK: nothing next
//!      a slot is free ──── │   ▼                                ▼       │
//!                       Waiting ◀── no slot ──┬──────────── Delivered ───┘
//!                                             └── slot ──▶      │ ▲ ACK: the next message
//!                                                               └─┘
//! ```
//!
//! A slot is room for one delivery that the connection's socket has not taken yet: a peer that subscribes to ten thousand
//! full queues and then stops reading makes the server hold a few messages, not ten thousand.
//!
//! Replies of the store are acted on in the order of their batches, whatever the order in which they arrive. So what the
//! broker knows of a queue is always what the store knew at one moment, and nothing falls between two moments.

mod connection;
mod counting;
mod delivery;
mod moderation;
mod notification;
mod request;
mod service;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub(crate) use request::{Answer, Ending, Notified, Reply, Request, SubscriptionInfo, Tag};

pub use moderation::{Moderation, ModerationId};

use super::statistics::{Counter, Statistics};
use super::store::{Batch, BatchId, BatchReply, OpResult, QueueOp, StoreFailure, UnixDay};
use super::{ConnectionId, ServerConfig};
use crate::time::{Now, Timestamp, UnixTime};
use crate::wire::EntityId;
use connection::Connection;
use core::time::Duration;
use notification::NotifierSubscription;
use request::{Context, ReadId};
use service::Service;
use subscription::{Place, Subscription};

/// What a session asks of the broker. Only its order matters to the shell.
pub struct BrokerRequest(pub(crate) Vec<Request>);

/// What the broker tells a session. Only its order matters to the shell.
pub struct BrokerReply(pub(crate) Vec<Reply>);

/// An input of the [`Broker`].
pub enum BrokerInput {
    /// A session asks for something. The first request makes the connection known.
    Request(ConnectionId, BrokerRequest),
    /// A connection ended; nothing follows from it.
    Disconnected(ConnectionId),
    /// The store answered a batch.
    StoreDone(BatchId, BatchReply),
    /// The operator does something to a queue.
    Moderate(ModerationId, Moderation),
    /// The time of `poll_timeout` came.
    Timeout,
}

/// An effect that the shell carries out, in order.
pub enum BrokerOutput {
    /// Hand this to the store, and its reply back as [`BrokerInput::StoreDone`].
    Store(Batch),
    /// Hand this to the session of the connection; drop it when the connection is gone.
    Reply(ConnectionId, BrokerReply),
    /// What came of a [`BrokerInput::Moderate`]: whether there is such a queue.
    Moderated(ModerationId, Result<bool, StoreFailure>),
}

/// The broker machine: see the [module](super) for how it is driven.
///
/// ```
/// use std::sync::Arc;
///
/// use smp_core::Now;
/// use smp_core::server::store::MemoryStore;
/// use smp_core::server::{Broker, BrokerInput, BrokerOutput, Moderation, ModerationId, ServerConfig};
/// use smp_core::wire::EntityId;
///
/// let (now, mut store) = (Now::default(), MemoryStore::new());
/// let mut broker = Broker::new(Arc::new(ServerConfig::default()), now);
/// // An operator deletes a queue, which nobody has.
/// let moderation = Moderation::Delete(EntityId::from([7; 24]));
/// broker.handle(now, BrokerInput::Moderate(ModerationId(1), moderation));
/// let mut found = None;
/// while let Some(output) = broker.poll_output() {
///     match output {
///         BrokerOutput::Store(batch) => {
///             let done = BrokerInput::StoreDone(batch.id, Ok(store.run(batch.ops)));
///             broker.handle(now, done);
///         }
///         BrokerOutput::Reply(..) => {} // for the session of the connection
///         BrokerOutput::Moderated(id, result) => found = Some((id, result)),
///     }
/// }
/// assert_eq!(found, Some((ModerationId(1), Ok(false))));
/// ```
pub struct Broker {
    config: Arc<ServerConfig>,
    now: Now,
    statistics: Box<Statistics>,
    connections: BTreeMap<ConnectionId, Connection>,
    subscriptions: BTreeMap<EntityId, Subscription>,
    notifier_subscriptions: BTreeMap<EntityId, NotifierSubscription>,
    services: BTreeMap<EntityId, Service>,
    /// Connections of services for which the store could not be searched.
    scans_failed: BTreeSet<ConnectionId>,
    /// Notifiers with notifications that are told soon, and when.
    notified: BTreeSet<EntityId>,
    notified_due: Option<Timestamp>,
    notification_expiry_due: Option<Timestamp>,
    /// Connections that news of ended subscriptions waits for, and when it is sent.
    ended: BTreeSet<ConnectionId>,
    ends_due: Option<Timestamp>,
    /// Subscriptions whose queue could not be read, and when that, and what is in `scans_failed`, is tried again.
    unread: BTreeSet<EntityId>,
    /// Queues that may have got a message whose notification nobody heard of, or that their service did not hear of.
    unheard: BTreeSet<EntityId>,
    unread_due: Option<Timestamp>,
    expiry_due: Option<Timestamp>,
    next_read: ReadId,
    next_place: Place,
    /// What the operations of a batch were for, in their order, until its turn to be acted on.
    batches: BTreeMap<BatchId, Vec<Context>>,
    /// Replies that came before those of earlier batches.
    early: BTreeMap<BatchId, BatchReply>,
    last_batch: BatchId,
    /// Collected during one `handle`.
    ops: Vec<QueueOp>,
    contexts: Vec<Context>,
    replies: BTreeMap<ConnectionId, Vec<Reply>>,
    outputs: VecDeque<BrokerOutput>,
}

impl Broker {
    /// A broker without subscriptions.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, now: Now) -> Self {
        let expiry_due = config.message_ttl.map(|_| match config.expire_on_start {
            true => now.mono,
            false => now.mono + config.expiry_interval,
        });
        let notification_expiry_due = config.notification_ttl.map(|_| now.mono);
        Self {
            config,
            now,
            statistics: Box::new(Statistics::new(now.unix)),
            connections: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            notifier_subscriptions: BTreeMap::new(),
            services: BTreeMap::new(),
            scans_failed: BTreeSet::new(),
            notified: BTreeSet::new(),
            notified_due: None,
            notification_expiry_due,
            ended: BTreeSet::new(),
            ends_due: None,
            unread: BTreeSet::new(),
            unheard: BTreeSet::new(),
            next_read: 0,
            next_place: 0,
            unread_due: None,
            expiry_due,
            batches: BTreeMap::new(),
            early: BTreeMap::new(),
            last_batch: BatchId(0),
            ops: Vec::new(),
            contexts: Vec::new(),
            replies: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Now, input: BrokerInput) {
        self.now = Now { mono: self.now.mono.max(now.mono), unix: now.unix };
        match input {
            BrokerInput::Request(connection, BrokerRequest(requests)) => {
                self.connections.entry(connection).or_default();
                requests.into_iter().for_each(|request| self.request(connection, request));
            }
            BrokerInput::Disconnected(connection) => self.disconnect(connection),
            BrokerInput::StoreDone(id, reply) => self.store_done(id, reply),
            BrokerInput::Moderate(id, moderation) => self.moderate(id, moderation),
            BrokerInput::Timeout => {}
        }
        self.run_timers();
        self.flush();
    }

    /// The next effect.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<BrokerOutput> {
        self.outputs.pop_front()
    }

    /// When to call `handle` with [`BrokerInput::Timeout`]; at once while there is output.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if !self.outputs.is_empty() {
            return Some(self.now.mono);
        }
        let due = [
            self.ends_due,
            self.unread_due,
            self.expiry_due,
            self.notified_due,
            self.notification_expiry_due,
        ];
        due.into_iter().flatten().min()
    }

    /// How many queues are subscribed to.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Acts on replies in the order of their batches.
    fn store_done(&mut self, id: BatchId, reply: BatchReply) {
        if self.batches.contains_key(&id) {
            self.early.insert(id, reply);
        }
        while let Some(entry) = self.batches.first_entry() {
            let Some(reply) = self.early.remove(entry.key()) else { break };
            let contexts = entry.remove();
            match reply {
                Ok(results) => {
                    let mut results = results.into_iter();
                    for context in contexts {
                        match results.next() {
                            Some(OpResult::Failed) | None => self.op_failed(context),
                            Some(result) => self.op_done(context, result),
                        }
                    }
                }
                Err(_) => contexts.into_iter().for_each(|context| self.op_failed(context)),
            }
        }
    }

    fn run_timers(&mut self) {
        let now = self.now.mono;
        let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
        if is_due(self.ends_due) {
            self.ends_due = None;
            self.send_ends();
        }
        if is_due(self.unread_due) {
            self.unread_due = None;
            for queue in core::mem::take(&mut self.unread) {
                self.wake_subscription(&queue);
            }
            self.scan_again();
            self.notify_again();
        }
        if is_due(self.expiry_due) {
            self.expiry_due = Some(now + self.config.expiry_interval.max(Duration::from_secs(1)));
            self.expire(None);
        }
        if is_due(self.notified_due) {
            self.notified_due = None;
            self.send_notifications();
        }
        if is_due(self.notification_expiry_due) {
            let interval = self.config.notification_expiry_interval.max(Duration::from_secs(1));
            self.notification_expiry_due = Some(now + interval);
            self.expire_notifications(None);
        }
    }

    /// Asks the store to delete old messages, from where the last visit ended.
    fn expire(&mut self, after: Option<EntityId>) {
        let Some(before) = self.oldest_kept() else { return };
        let op = QueueOp::Expire { before, after, limit: self.config.limits.expiry_queues };
        self.store(op, Context::Expire);
    }

    /// Adds an operation to the batch of this step.
    fn store(&mut self, op: QueueOp, context: Context) {
        self.ops.push(op);
        self.contexts.push(context);
    }

    /// Adds a reply to those of this step.
    fn reply(&mut self, connection: ConnectionId, reply: Reply) {
        if self.connections.contains_key(&connection) {
            self.replies.entry(connection).or_default().push(reply);
        }
    }

    fn answer(&mut self, connection: ConnectionId, tag: Tag, answer: Answer) {
        self.reply(connection, Reply::Answer(tag, answer));
    }

    fn flush(&mut self) {
        if !self.ops.is_empty() {
            self.last_batch = BatchId(self.last_batch.0 + 1);
            self.batches.insert(self.last_batch, core::mem::take(&mut self.contexts));
            let batch = Batch { id: self.last_batch, ops: core::mem::take(&mut self.ops) };
            self.outputs.push_back(BrokerOutput::Store(batch));
        }
        while let Some((connection, replies)) = self.replies.pop_first() {
            self.outputs.push_back(BrokerOutput::Reply(connection, BrokerReply(replies)));
        }
    }

    fn today(&self) -> UnixDay {
        self.now.unix.into()
    }

    /// Messages sent before this time are too old.
    fn oldest_kept(&self) -> Option<UnixTime> {
        self.config.message_ttl.map(|ttl| self.ago(ttl))
    }

    fn ago(&self, time: Duration) -> UnixTime {
        let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        UnixTime::from_millis(self.now.unix.as_millis().saturating_sub(time))
    }

    fn op_done(&mut self, context: Context, result: OpResult) {
        match context {
            Context::Create { connection, tag, queue, subscribe, has_notifier } => {
                self.created(connection, tag, queue, (subscribe, has_notifier), &result);
            }
            Context::Store { connection, tag, secures } => {
                let is_done = matches!(result, OpResult::Done | OpResult::Link { .. });
                self.count(Counter::QueuesSecured, u64::from(secures && is_done));
                self.answer(connection, tag, (&result).into());
            }
            Context::SetNotifier { connection, tag, sets } => {
                self.notifier_set(connection, tag, sets, &result);
            }
            Context::SubscribeNotifier { connection, tag, queue, notifier, service, is_known } => {
                self.notifier_subscribed(connection, tag, (queue, notifier), (service, is_known), result);
            }
            Context::FindService { connection } => self.service_found(connection, result),
            Context::SubscribeService { connection, tag, expected } => {
                self.service_subscribed(connection, tag, expected, &result);
            }
            Context::ScanService { connection } => self.service_scanned(connection, result),
            Context::AllDelivered { connection } => self.all_delivered(connection),
            Context::TakeNotifications { connection, notifier, is_last } => {
                self.notifications_taken(connection, notifier, is_last, result);
            }
            Context::Delete { connection, tag, queue, is_secured } => {
                self.deleted(connection, tag, &queue, is_secured, &result);
            }
            Context::Append { connection, tag, queue } => self.appended(connection, tag, &queue, result),
            Context::Subscribe { connection, tag, queue, slot, service, is_known } => {
                self.subscribed(connection, tag, queue, (slot, service, is_known), result);
            }
            Context::Get { connection, tag, queue } => self.got(connection, tag, &queue, result),
            Context::Acknowledge { connection, tag, queue, read, delivered } => {
                self.acknowledged(connection, tag, &queue, read, &delivered, result);
            }
            Context::AcknowledgeGot { connection, tag, queue, delivered } => {
                self.acknowledged_got(connection, tag, &queue, &delivered, &result);
            }
            Context::Read { queue, read, connection } => self.read_done(&queue, read, connection, result),
            Context::Inspect { connection, tag, queue } => self.inspected(connection, tag, &queue, result),
            Context::Expire => {
                if let Some(next) = self.count_expired(Counter::MessagesExpired, result) {
                    self.expire(Some(next));
                }
            }
            Context::Moderate { id, moderation } => self.moderated(id, &moderation, &result),
            Context::ExpireNotifications => {
                if let Some(next) = self.count_expired(Counter::NotificationsExpired, result) {
                    self.expire_notifications(Some(next));
                }
            }
            // A visit of one queue does not go on.
            Context::ExpireQueue => _ = self.count_expired(Counter::MessagesExpired, result),
        }
    }

    /// An operation whose outcome is unknown: it failed, or its answer was lost. The session is told so; a subscription that
    /// may now be out of step with its queue reads it again.
    fn op_failed(&mut self, context: Context) {
        // It may have given a queue to a service, or taken one from it.
        self.doubt_services();
        match context {
            Context::Create { connection, tag, .. }
            | Context::Store { connection, tag, .. }
            | Context::SetNotifier { connection, tag, .. }
            | Context::SubscribeService { connection, tag, .. }
            | Context::Delete { connection, tag, .. }
            | Context::Inspect { connection, tag, .. } => self.answer(connection, tag, Answer::StoreFailed),
            Context::Append { connection, tag, queue } => {
                self.answer(connection, tag, Answer::StoreFailed);
                self.read_later(&queue);
                self.unheard.insert(queue);
                let due = self.now.mono + READ_AGAIN;
                self.unread_due.get_or_insert(due);
            }
            Context::SubscribeNotifier { connection, tag, notifier, service, .. } => {
                if service.is_some() {
                    self.give_notifier_up(&notifier, connection);
                }
                self.subscribe_notifier_failed(connection, &notifier);
                self.answer(connection, tag, Answer::StoreFailed);
            }
            Context::FindService { connection } => self.service_found(connection, OpResult::Failed),
            Context::ScanService { connection } => self.scan_failed(connection),
            Context::AllDelivered { connection } => self.all_delivered(connection),
            Context::TakeNotifications { connection, notifier, is_last } => {
                self.take_notifications_failed(connection, notifier, is_last);
            }
            Context::Subscribe { connection, tag, queue, slot, service, .. } => {
                if service.is_some() {
                    self.give_up(&queue, connection);
                }
                self.subscribe_failed(connection, &queue, slot);
                self.answer(connection, tag, Answer::StoreFailed);
            }
            Context::Get { connection, tag, .. } => {
                self.release_slots(connection, 1);
                self.answer(connection, tag, Answer::StoreFailed);
            }
            Context::Acknowledge { connection, tag, queue, read, delivered } => {
                self.acknowledge_failed(&queue, read, delivered);
                self.answer(connection, tag, Answer::StoreFailed);
            }
            Context::AcknowledgeGot { connection, tag, queue, delivered } => {
                self.acknowledge_got_failed(connection, &queue, delivered);
                self.answer(connection, tag, Answer::StoreFailed);
            }
            Context::Read { queue, read, connection } => self.read_failed(&queue, read, connection),
            Context::Moderate { id, moderation } => self.moderated(id, &moderation, &OpResult::Failed),
            Context::Expire | Context::ExpireNotifications | Context::ExpireQueue => {}
        }
    }
}

/// How long after a failed read of a subscribed queue it is read again.
const READ_AGAIN: Duration = Duration::from_secs(1);
