//! Notifications: who is told that a queue got a message.
//!
//! They wait in the store, so that they outlive a restart and cost no memory while nobody is subscribed. One leaves the store
//! when its notifier's connection has a slot, and is told at most once: it is a hint, and the message itself stays.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use super::Broker;
use super::request::{Answer, Context, Ending, Notified, Reply, Tag};
use crate::server::ConnectionId;
use crate::server::statistics::Counter;
use crate::server::store::{NotifierRecord, NotifierRef, OpResult, QueueOp};
use crate::wire::{AuthPublicKey, EntityId};

/// The subscription of a notifier: there is at most one.
pub(super) struct NotifierSubscription {
    pub(super) connection: ConnectionId,
    /// The queue, by its recipient id.
    pub(super) queue: EntityId,
    /// It stands for notifications of the service that the connection is, and goes with them: the service is subscribed
    /// without it.
    pub(super) is_of_service: bool,
}

impl Broker {
    /// NKEY and NDEL.
    pub(super) fn set_notifier(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        (queue, by): (EntityId, AuthPublicKey),
        notifier: Option<Box<NotifierRecord>>,
    ) {
        let today = self.today();
        let sets = notifier.is_some();
        let op = match notifier {
            Some(notifier) => QueueOp::SetNotifier { queue, by, notifier, today },
            None => QueueOp::RemoveNotifier { queue, by, today },
        };
        self.store(op, Context::SetNotifier { connection, tag, sets });
    }

    pub(super) fn notifier_set(&mut self, connection: ConnectionId, tag: Tag, sets: bool, result: &OpResult) {
        if let OpResult::Released { notifier, .. } = result {
            self.count(Counter::NotifiersCreated, u64::from(sets));
            self.count(Counter::NotifiersDeleted, u64::from(!sets && notifier.is_some()));
        }
        if let OpResult::Released { notifier: Some(former), .. } = result {
            self.end_notifier(Some(connection), former, Ending::Deleted);
        }
        self.answer(connection, tag, result.into());
    }

    /// NSUB. The subscription is in force when the store has checked the right.
    pub(super) fn subscribe_notifier(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        (queue, notifier): (EntityId, EntityId),
        by: AuthPublicKey,
    ) {
        let Some(state) = self.connections.get(&connection) else { return };
        let is_known = state.notifiers.contains(&notifier);
        if !is_known && !state.ended.contains_key(&notifier) && self.is_fully_subscribed(connection) {
            return self.answer(connection, tag, Answer::LimitReached);
        }
        let Some(state) = self.connections.get_mut(&connection) else { return };
        state.notifiers.insert(notifier.clone());
        let service = state.service.clone();
        let op = QueueOp::SubscribeNotifier {
            queue: queue.clone(),
            notifier: notifier.clone(),
            by,
            service: service.clone(),
        };
        self.store(op, Context::SubscribeNotifier { connection, tag, queue, notifier, service, is_known });
    }

    pub(super) fn notifier_subscribed(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        (queue, notifier): (EntityId, EntityId),
        (service, is_known): (Option<EntityId>, bool),
        result: OpResult,
    ) {
        let OpResult::NotifierSubscribed { has_notifications, former } = result else {
            self.subscribe_notifier_failed(connection, &notifier);
            return self.answer(connection, tag, (&result).into());
        };
        self.count_notifier_subscribed(service.as_ref(), is_known);
        self.count_association(true, (service.as_ref(), former.as_ref()));
        let subscription = self.notifier_subscriptions.get(&notifier);
        let is_by_name = subscription.is_some_and(|sub| sub.connection == connection && !sub.is_of_service);
        let is_moved = service != former;
        self.change_service(connection, (service, former), &notifier, is_by_name);
        let Some(state) = self.connections.get_mut(&connection) else {
            // It has gone, but the store has the notifier where it belongs now: another service's subscription is over.
            if let Some(former) = self.notifier_subscriptions.get(&notifier).filter(|_| is_moved) {
                let former = former.connection;
                self.notifier_subscriptions.remove(&notifier);
                self.end(None, former, &notifier, Ending::TakenOver);
            }
            return;
        };
        state.notifiers.insert(notifier.clone());
        // News of an earlier end would now be wrong.
        state.ended.remove(&notifier);
        let subscription = NotifierSubscription { connection, queue, is_of_service: false };
        if let Some(former) = self.notifier_subscriptions.insert(notifier.clone(), subscription) {
            self.end(Some(connection), former.connection, &notifier, Ending::TakenOver);
        }
        self.answer(connection, tag, Answer::Subscribed(None));
        if has_notifications {
            self.wait_for_slot(notifier);
            self.release_slots(connection, 0);
        }
    }

    /// An NSUB came to nothing. The connection stays subscribed if it was before.
    pub(super) fn subscribe_notifier_failed(&mut self, connection: ConnectionId, notifier: &EntityId) {
        let subscription = self.notifier_subscriptions.get(notifier);
        let is_subscribed = subscription.is_some_and(|sub| sub.connection == connection);
        if let Some(state) = self.connections.get_mut(&connection).filter(|_| !is_subscribed) {
            state.notifiers.remove(notifier);
        }
    }

    /// The notifier is no more.
    pub(super) fn end_notifier(&mut self, by: Option<ConnectionId>, notifier: &NotifierRef, ending: Ending) {
        self.leave_service(by, notifier.service.as_ref(), &notifier.id, ending);
        if let Some(subscription) = self.notifier_subscriptions.remove(&notifier.id) {
            self.end(by, subscription.connection, &notifier.id, ending);
        }
    }

    /// A notification was stored: it is told soon, with others.
    pub(super) fn notified(&mut self, notifier: NotifierRef, queue: &EntityId) {
        if let Some(connection) = self.service_connection(notifier.service.as_ref())
            && self.has_room_for_service(connection)
        {
            self.subscribe_notifier_for_service(connection, queue.clone(), notifier.id.clone());
        }
        self.notify_later(notifier.id);
    }

    /// A subscription that stands while there is something to tell.
    pub(super) fn subscribe_notifier_for_service(
        &mut self,
        connection: ConnectionId,
        queue: EntityId,
        notifier: EntityId,
    ) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        if let Entry::Vacant(entry) = self.notifier_subscriptions.entry(notifier) {
            state.notifiers.insert(entry.key().clone());
            entry.insert(NotifierSubscription { connection, queue, is_of_service: true });
        }
    }

    fn notify_later(&mut self, notifier: EntityId) {
        if self.notifier_subscriptions.contains_key(&notifier) {
            self.notified.insert(notifier);
            let due = self.now.mono + self.config.notification_interval;
            self.notified_due.get_or_insert(due);
        }
    }

    /// Of messages whose outcome was unknown notifications may wait: their notifiers look, and services search.
    pub(super) fn notify_again(&mut self) {
        let unheard = core::mem::take(&mut self.unheard);
        if unheard.is_empty() {
            return;
        }
        let subscriptions = self.notifier_subscriptions.iter();
        let notifiers = subscriptions.filter(|(_, subscription)| unheard.contains(&subscription.queue));
        for notifier in notifiers.map(|(notifier, _)| notifier.clone()).collect::<Vec<_>>() {
            self.notify_later(notifier);
        }
        self.search_for_services();
    }

    pub(super) fn send_notifications(&mut self) {
        let notified = core::mem::take(&mut self.notified);
        let connections: BTreeSet<_> =
            notified.into_iter().filter_map(|notifier| self.wait_for_slot(notifier)).collect();
        for connection in connections {
            self.release_slots(connection, 0);
        }
    }

    /// What waits for a notifier is told as soon as there is a slot of this connection.
    pub(super) fn wait_for_slot(&mut self, notifier: EntityId) -> Option<ConnectionId> {
        let connection = self.notifier_subscriptions.get(&notifier)?.connection;
        self.connections.get_mut(&connection)?.waiting_notifiers.insert(notifier);
        Some(connection)
    }

    /// Takes from the store what fills one slot. The slot is taken.
    pub(super) fn take_notifications(&mut self, connection: ConnectionId, notifiers: Vec<EntityId>) {
        let count = u32::try_from(notifiers.len()).unwrap_or(u32::MAX).max(1);
        let mut last = notifiers.len();
        for notifier in notifiers {
            last -= 1;
            let queue = self.notifier_subscriptions.get(&notifier).map(|sub| sub.queue.clone());
            let op = QueueOp::TakeNotifications {
                // Of one that ended meanwhile the store says that it is not there.
                queue: queue.unwrap_or_default(),
                notifier: notifier.clone(),
                limit: (NOTIFICATIONS_PER_SLOT / count).max(1),
            };
            self.store(op, Context::TakeNotifications { connection, notifier, is_last: last == 0 });
        }
    }

    pub(super) fn notifications_taken(
        &mut self,
        connection: ConnectionId,
        notifier: EntityId,
        is_last: bool,
        result: OpResult,
    ) {
        let subscription = self.notifier_subscriptions.get(&notifier);
        let is_of_service = subscription.is_some_and(|sub| sub.is_of_service);
        let subscriber = subscription.map(|sub| sub.connection);
        if let OpResult::Notifications(pending) = result
            && let Some(subscriber) = subscriber
            && let Some(state) = self.connections.get_mut(&subscriber)
        {
            if pending.more {
                state.waiting_notifiers.insert(notifier.clone());
            } else if is_of_service && !self.notified.contains(&notifier) {
                self.notifier_subscriptions.remove(&notifier);
                state.notifiers.remove(&notifier);
            }
            state.notifications.extend(pending.notifications.into_iter().map(|notification| Notified {
                notifier: notifier.clone(),
                notification,
                secret: pending.secret.clone(),
            }));
            if subscriber != connection {
                // It took the subscription over meanwhile. They are in the store no more, so it hears of them, with a slot more
                // than it may have.
                state.slots_taken += 1;
                self.tell_notifications(subscriber, true);
            }
        }
        self.tell_notifications(connection, is_last);
    }

    /// What the store has is unknown: it is asked again in a while.
    pub(super) fn take_notifications_failed(
        &mut self,
        connection: ConnectionId,
        notifier: EntityId,
        is_last: bool,
    ) {
        self.notify_later(notifier);
        self.tell_notifications(connection, is_last);
    }

    fn tell_notifications(&mut self, connection: ConnectionId, is_last: bool) {
        let Some(state) = self.connections.get_mut(&connection).filter(|_| is_last) else { return };
        let notifications = core::mem::take(&mut state.notifications);
        if notifications.is_empty() {
            self.release_slots(connection, 1);
        } else {
            self.count(Counter::Notifications, notifications.len() as u64);
            self.count(Counter::NotificationBatches, 1);
            self.reply(connection, Reply::Notifications(notifications));
            // Others may wait, for another slot.
            self.release_slots(connection, 0);
        }
    }

    /// Asks the store to delete old notifications, from where the last visit ended.
    pub(super) fn expire_notifications(&mut self, after: Option<EntityId>) {
        let Some(ttl) = self.config.notification_ttl else { return };
        let before = self.ago(ttl);
        let op = QueueOp::ExpireNotifications { before, after, limit: self.config.limits.expiry_queues };
        self.store(op, Context::ExpireNotifications);
    }
}

/// Notifications that are told together: about as many as fit into a block of the oldest versions.
pub(super) const NOTIFICATIONS_PER_SLOT: u32 = 60;
