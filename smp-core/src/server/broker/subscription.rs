//! Subscriptions: made, taken over, ended.

use std::collections::BTreeSet;

use super::Broker;
use super::connection::Connection;
use super::request::{Answer, Context, Ending, ReadId, SubscriptionInfo, Tag};
use crate::server::ConnectionId;
use crate::server::statistics::Counter;
use crate::server::store::{MessageContent, OpResult, QueueOp, StoredMessage};
use crate::time::Timestamp;
use crate::wire::{AuthPublicKey, EntityId, MessageId};

/// The subscription of a queue: there is at most one.
pub(super) struct Subscription {
    pub(super) connection: ConnectionId,
    pub(super) state: State,
    /// The message that the connection got last, while it may acknowledge it. It may also do so while it waits for the same
    /// message again, because it subscribed again.
    pub(super) delivered: Option<Delivered>,
    /// It stands for a message of a queue of the service that the connection is, and goes with it: the service is subscribed
    /// without it.
    pub(super) is_of_service: bool,
}

/// A message that was delivered and is not acknowledged.
#[derive(Clone)]
pub(super) struct Delivered {
    pub(super) message: MessageId,
    /// When it was.
    pub(super) at: Timestamp,
    /// Its recipient should be notified.
    pub(super) is_notified: bool,
}

impl Delivered {
    /// This message, now.
    pub(super) fn new(message: &StoredMessage, at: Timestamp) -> Self {
        let is_notified = matches!(message.content, MessageContent::Message { notification: true, .. });
        Self { message: message.id.clone(), at, is_notified }
    }
}

/// What a subscription waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// A message: the queue is empty.
    Idle,
    /// A slot of its connection, at this place in its line: the queue has a message.
    Waiting(Place),
    /// The store, which reads the queue.
    Reading(ReadId),
    /// The acknowledgement of the message that was delivered.
    Delivered,
}

/// A place in the line of subscriptions that wait for a slot. Never given twice.
pub(super) type Place = u64;

impl Broker {
    /// SUB. The subscription is in force when the store has read the queue.
    pub(super) fn subscribe(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
    ) {
        let limits = self.config.limits;
        let Some(state) = self.connections.get(&connection) else { return };
        if state.got.contains_key(&queue) {
            self.count(Counter::SubscriptionsProhibited, 1);
            return self.answer(connection, tag, Answer::Prohibited);
        }
        let is_known = state.subscriptions.contains(&queue);
        if !is_known && !state.ended.contains_key(&queue) && self.is_fully_subscribed(connection) {
            return self.answer(connection, tag, Answer::LimitReached);
        }
        let Some(state) = self.connections.get_mut(&connection) else { return };
        state.subscriptions.insert(queue.clone());
        let slot = state.slots_taken < limits.deliveries_in_flight;
        state.slots_taken += usize::from(slot);
        let service = state.service.clone();
        let today = self.today();
        let op = QueueOp::Subscribe { queue: queue.clone(), by, service: service.clone(), peek: slot, today };
        self.store(op, Context::Subscribe { connection, tag, queue, slot, service, is_known });
    }

    pub(super) fn subscribed(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        (slot, service, is_known): (bool, Option<EntityId>, bool),
        result: OpResult,
    ) {
        let OpResult::Subscribed { message, has_messages, former } = result else {
            self.subscribe_failed(connection, &queue, slot);
            return self.answer(connection, tag, (&result).into());
        };
        self.count_association(false, (service.as_ref(), former.as_ref()));
        let subscription = self.subscriptions.get(&queue);
        let is_by_name = subscription.is_some_and(|sub| sub.connection == connection && !sub.is_of_service);
        let is_moved = service != former;
        self.change_service(connection, (service, former), &queue, is_by_name);
        if !self.connections.contains_key(&connection) {
            // It has gone, but the store has the queue where it belongs now: another service's subscription is over.
            if is_moved {
                self.give_up(&queue, connection);
            }
            return;
        }
        let state = if message.is_some() { State::Delivered } else { State::Idle };
        let waits = has_messages && message.is_none();
        self.count_subscribed(is_known, has_messages);
        let delivered = match &message {
            Some(waiting) => Some(Delivered::new(&waiting.message, self.now.mono)),
            None if waits => self.delivered(connection, &queue),
            None => None,
        };
        self.set_subscription(
            queue.clone(),
            Subscription { connection, state, delivered, is_of_service: false },
        );
        if slot && message.is_none() {
            self.release_slots(connection, 1);
        }
        self.answer(connection, tag, Answer::Subscribed(message));
        if waits {
            self.wake_subscription(&queue);
        }
    }

    /// Ends the subscription of whoever is subscribed to a queue that became another's, or may have, by what `by` asked for.
    pub(super) fn give_up(&mut self, queue: &EntityId, by: ConnectionId) {
        let of_another = self.subscriptions.get(queue).filter(|sub| sub.connection != by);
        let Some((former, state)) = of_another.map(|sub| (sub.connection, sub.state)) else { return };
        self.subscriptions.remove(queue);
        self.leave_line(former, state);
        self.end(None, former, queue, Ending::TakenOver);
    }

    /// A SUB came to nothing. The connection stays subscribed if it was before.
    pub(super) fn subscribe_failed(&mut self, connection: ConnectionId, queue: &EntityId, slot: bool) {
        let is_subscribed = self.subscriptions.get(queue).is_some_and(|sub| sub.connection == connection);
        if let Some(state) = self.connections.get_mut(&connection).filter(|_| !is_subscribed) {
            state.subscriptions.remove(queue);
        }
        self.release_slots(connection, usize::from(slot));
    }

    /// True when a connection has as many subscriptions as it may have. Those that ended count until it was told.
    pub(super) fn is_fully_subscribed(&self, connection: ConnectionId) -> bool {
        let limit = self.config.limits.subscriptions;
        let held = |state: &Connection| state.subscriptions.len() + state.notifiers.len() + state.ended.len();
        self.connections.get(&connection).is_some_and(|state| held(state) >= limit)
    }

    pub(super) fn created(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        (subscribe, has_notifier): (bool, bool),
        result: &OpResult,
    ) {
        if let OpResult::Done = result {
            self.count(Counter::QueuesCreated, 1);
            self.count(Counter::NotifiersCreatedNew, u64::from(has_notifier));
        }
        if subscribe && matches!(result, OpResult::Done) && self.connections.contains_key(&connection) {
            self.change_service(connection, (self.service_of(connection), None), &queue, false);
            let (state, delivered) = (State::Idle, None);
            let subscription = Subscription { connection, state, delivered, is_of_service: false };
            self.set_subscription(queue, subscription);
        }
        self.answer(connection, tag, result.into());
    }

    pub(super) fn deleted(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: &EntityId,
        is_secured: bool,
        result: &OpResult,
    ) {
        if let OpResult::Released { .. } = result {
            let which = if is_secured { Counter::QueuesDeletedSecured } else { Counter::QueuesDeletedNew };
            self.count(Counter::QueuesDeleted, 1);
            self.count(which, 1);
        }
        self.queue_deleted(Some(connection), queue, result);
        if let (OpResult::Released { .. }, Some(state)) = (result, self.connections.get_mut(&connection)) {
            state.got.remove(queue);
        }
        self.answer(connection, tag, result.into());
    }

    /// Somebody deleted a queue, or tried to.
    pub(super) fn queue_deleted(&mut self, by: Option<ConnectionId>, queue: &EntityId, result: &OpResult) {
        let OpResult::Released { notifier, service } = result else { return };
        notifier.iter().for_each(|notifier| self.end_notifier(by, notifier, Ending::Deleted));
        self.leave_service(by, service.as_ref(), queue, Ending::Deleted);
        if let Some(subscription) = self.subscriptions.remove(queue) {
            self.leave_line(subscription.connection, subscription.state);
            self.end(by, subscription.connection, queue, Ending::Deleted);
        }
    }

    /// What QUE says of a queue's subscription on this connection.
    pub(super) fn subscription_info(
        &self,
        connection: ConnectionId,
        queue: &EntityId,
    ) -> Option<SubscriptionInfo> {
        if let Some(delivered) = self.connections.get(&connection)?.got.get(queue) {
            return Some(SubscriptionInfo { prohibited: true, delivered: message_of(delivered.as_ref()) });
        }
        let subscription = self.subscriptions.get(queue).filter(|sub| sub.connection == connection)?;
        Some(SubscriptionInfo { prohibited: false, delivered: message_of(subscription.delivered.as_ref()) })
    }

    /// The message that this connection got last of a queue that it is subscribed to.
    fn delivered(&self, connection: ConnectionId, queue: &EntityId) -> Option<Delivered> {
        self.subscriptions.get(queue).filter(|sub| sub.connection == connection)?.delivered.clone()
    }

    pub(super) fn disconnect(&mut self, connection: ConnectionId) {
        self.replies.remove(&connection);
        let Some(state) = self.connections.remove(&connection) else { return };
        self.remove_subscriptions(connection, state.subscriptions, state.notifiers);
        if let Some(service) = state.service {
            self.forget_service(&service, connection);
        }
    }

    pub(super) fn remove_subscriptions(
        &mut self,
        connection: ConnectionId,
        queues: BTreeSet<EntityId>,
        notifiers: BTreeSet<EntityId>,
    ) {
        for queue in queues {
            if self.subscriptions.get(&queue).is_some_and(|sub| sub.connection == connection) {
                self.subscriptions.remove(&queue);
            }
        }
        for notifier in notifiers {
            if self.notifier_subscriptions.get(&notifier).is_some_and(|sub| sub.connection == connection) {
                self.notifier_subscriptions.remove(&notifier);
            }
        }
    }

    /// News of ended subscriptions wait for slots like messages, so that a peer that does not read makes the server hold a
    /// few blocks of them, and an id for each of the others.
    pub(super) fn send_ends(&mut self) {
        while let Some(connection) = self.ended.pop_first() {
            let Some(state) = self.connections.get_mut(&connection) else { continue };
            state.tells_ended = true;
            self.release_slots(connection, 0);
        }
    }

    fn set_subscription(&mut self, queue: EntityId, subscription: Subscription) {
        let connection = subscription.connection;
        if let Some(owner) = self.connections.get_mut(&connection) {
            owner.subscriptions.insert(queue.clone());
            // News of an earlier end would now be wrong.
            owner.ended.remove(&queue);
        }
        let former = self.subscriptions.insert(queue.clone(), subscription);
        if let Some(former) = former {
            self.leave_line(former.connection, former.state);
            self.end(Some(connection), former.connection, &queue, Ending::TakenOver);
        }
    }

    /// What a subscription waited for before it was changed: if it was a slot, it leaves the line.
    pub(super) fn leave_line(&mut self, connection: ConnectionId, former: State) {
        if let State::Waiting(place) = former
            && let Some(state) = self.connections.get_mut(&connection)
        {
            state.waiting.remove(&place);
        }
    }

    /// Ends the subscription of `former` because of what `by` did, or the operator. Nobody is told of what they did themselves.
    pub(super) fn end(
        &mut self,
        by: Option<ConnectionId>,
        former: ConnectionId,
        queue: &EntityId,
        ending: Ending,
    ) {
        if Some(former) == by && ending == Ending::TakenOver {
            return;
        }
        let Some(state) = self.connections.get_mut(&former) else { return };
        state.subscriptions.remove(queue);
        state.notifiers.remove(queue);
        state.waiting_notifiers.remove(queue);
        if Some(former) != by {
            state.ended.insert(queue.clone(), ending);
            self.ended.insert(former);
            let due = self.now.mono + self.config.end_interval;
            self.ends_due.get_or_insert(due);
        }
    }
}

fn message_of(delivered: Option<&Delivered>) -> Option<MessageId> {
    delivered.map(|delivered| delivered.message.clone())
}
