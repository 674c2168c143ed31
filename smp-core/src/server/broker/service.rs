//! Services: one connection of a service is subscribed to all that is the service's, without a subscription for each.
//!
//! What the service subscribes to by name has a subscription as any queue has. For the others one is made when there is
//! something to deliver, and goes when it was acknowledged, so a service with a million queues costs what its traffic costs.

use core::mem::{replace, take};

use super::Broker;
use super::connection::Scan;
use super::request::{Answer, Context, Ending, Reply, Tag};
use super::subscription::{State, Subscription};
use crate::server::ConnectionId;
use crate::server::statistics::{Counter, ServiceCounter};
use crate::server::store::{OpResult, QueueOp, set_of};
use crate::wire::{EntityId, QueueSet, ServiceRole};

/// A service with a connection that is subscribed.
pub(super) struct Service {
    pub(super) connection: ConnectionId,
    /// What the connection is subscribed to.
    pub(super) set: QueueSet,
    /// It has subscribed to all.
    has_all: bool,
}

impl Broker {
    /// A client says in its handshake that it is a service.
    pub(super) fn find_service(
        &mut self,
        connection: ConnectionId,
        (fingerprint, role): ([u8; 32], ServiceRole),
        id: EntityId,
    ) {
        let capacity = self.config.limits.services;
        if let Some(state) = self.connections.get_mut(&connection) {
            state.role = Some(role);
        }
        let op = QueueOp::FindService { fingerprint, role, id, capacity };
        self.store(op, Context::FindService { connection });
    }

    pub(super) fn service_found(&mut self, connection: ConnectionId, result: OpResult) {
        let id = match result {
            OpResult::Service(id) => Some(id),
            _ => None,
        };
        if let Some(state) = self.connections.get_mut(&connection) {
            state.service.clone_from(&id);
        }
        self.reply(connection, Reply::Service(id));
    }

    /// SUBS and NSUBS: the first in a connection; a later one tells what the connection has.
    pub(super) fn subscribe_service(&mut self, connection: ConnectionId, tag: Tag, expected: QueueSet) {
        let Some(service) = self.service_of(connection) else {
            return self.answer(connection, tag, Answer::Prohibited);
        };
        match self.services.get(&service) {
            Some(state) if state.connection == connection && state.has_all => {
                let set = state.set;
                self.count_service(connection, ServiceCounter::SubscriptionsRepeated, 1);
                self.answer(connection, tag, Answer::ServiceQueues(set));
            }
            _ => {
                let context = Context::SubscribeService { connection, tag, expected };
                self.store(QueueOp::CountService { service }, context);
            }
        }
    }

    pub(super) fn service_subscribed(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        expected: QueueSet,
        result: &OpResult,
    ) {
        let OpResult::ServiceQueues(set) = result else {
            return self.answer(connection, tag, result.into());
        };
        let Some(service) = self.service_of(connection) else { return };
        self.count_expected(connection, expected, *set);
        self.take_service_over(connection, &service);
        if let Some(state) = self.services.get_mut(&service) {
            (state.set, state.has_all) = (*set, true);
        }
        self.answer(connection, tag, Answer::ServiceQueues(*set));
        if let Some(state) = self.connections.get_mut(&connection) {
            state.awaits_all = state.role != Some(ServiceRole::Notifier);
        }
        self.scan_service(connection, None);
    }

    /// Looks for what waits in the queues of a service.
    fn scan_service(&mut self, connection: ConnectionId, after: Option<EntityId>) {
        let limit = self.config.limits.expiry_queues;
        let Some(service) = self.service_of(connection) else { return };
        if let Some(state) = self.connections.get_mut(&connection) {
            state.scan = Some(Scan::Asked(after.clone()));
        }
        self.store(QueueOp::ScanService { service, after, limit }, Context::ScanService { connection });
    }

    pub(super) fn service_scanned(&mut self, connection: ConnectionId, result: OpResult) {
        let OpResult::Scanned { queues, next } = result else { return };
        let state = self.connections.get_mut(&connection);
        // Else another connection took over meanwhile.
        if state.and_then(|state| state.scan.take_if(|scan| matches!(scan, Scan::Asked(_)))).is_none() {
            return;
        }
        for (queue, notifier) in queues {
            let is_there = match &notifier {
                None => self.subscriptions.contains_key(&queue),
                Some(notifier) => self.notifier_subscriptions.contains_key(notifier),
            };
            if !is_there && !self.has_room_for_service(connection) {
                continue;
            }
            match notifier {
                None => self.deliver_to_service(connection, &queue),
                Some(notifier) => {
                    self.subscribe_notifier_for_service(connection, queue, notifier.clone());
                    self.wait_for_slot(notifier);
                }
            }
        }
        let end = self.next_place;
        if let Some(state) = self.connections.get_mut(&connection) {
            state.scan = match next {
                Some(next) => Some(Scan::Paused(Some(next))),
                None if state.missed => Some(Scan::Paused(None)),
                None => state.awaits_all.then_some(Scan::Queued(end)),
            };
            state.missed &= !matches!(state.scan, Some(Scan::Paused(None)));
        }
        self.release_slots(connection, 0);
    }

    /// The store could not be asked: it is again in a while.
    pub(super) fn scan_failed(&mut self, connection: ConnectionId) {
        let is_asked = |scan: &mut Scan| matches!(scan, Scan::Asked(_));
        if let Some(state) = self.connections.get_mut(&connection)
            && let Some(Scan::Asked(after)) = state.scan.take_if(is_asked)
        {
            state.scan = Some(Scan::Failed(after));
            self.scans_failed.insert(connection);
            let due = self.now.mono + super::READ_AGAIN;
            self.unread_due.get_or_insert(due);
        }
    }

    /// Asks the store again.
    pub(super) fn scan_again(&mut self) {
        for connection in take(&mut self.scans_failed) {
            let state = self.connections.get_mut(&connection);
            let is_failed = |scan: &mut Scan| matches!(scan, Scan::Failed(_));
            if let Some(Scan::Failed(after)) = state.and_then(|state| state.scan.take_if(is_failed)) {
                self.scan_service(connection, after);
            }
        }
    }

    /// The rest of a scan, or the news that all was sent, when what was found has left the line.
    pub(super) fn go_on_scanning(&mut self, connection: ConnectionId) {
        let is_full = self.is_fully_subscribed(connection);
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let first = state.waiting.first_key_value().map(|(place, _)| *place);
        let has_room = !is_full && state.waiting.len() + state.waiting_notifiers.len() < WAITING;
        match state.scan.take() {
            Some(Scan::Paused(after)) if has_room => self.scan_service(connection, after),
            None if has_room && take(&mut state.missed) => self.scan_service(connection, None),
            Some(Scan::Queued(end)) if first.is_none_or(|place| place >= end) => {
                (state.scan, state.awaits_all) = (Some(Scan::Telling), false);
                // Behind the reads of the last, whose results are acted on in order.
                self.store(QueueOp::Count, Context::AllDelivered { connection });
            }
            scan => state.scan = scan,
        }
    }

    /// Looks for what services that are subscribed to all may not have heard of.
    pub(super) fn search_for_services(&mut self) {
        let services = self.services.values().filter(|service| service.has_all);
        for connection in services.map(|service| service.connection).collect::<Vec<_>>() {
            if let Some(state) = self.connections.get_mut(&connection) {
                state.missed = true;
            }
            self.go_on_scanning(connection);
        }
    }

    /// The service is told that all was sent, unless another connection took it over meanwhile.
    pub(super) fn all_delivered(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        match state.scan.take() {
            Some(Scan::Telling) => {
                self.reply(connection, Reply::AllDelivered);
                self.go_on_scanning(connection);
            }
            scan => state.scan = scan,
        }
    }

    /// A queue of the service has messages.
    pub(super) fn deliver_to_service(&mut self, connection: ConnectionId, queue: &EntityId) {
        if self.subscriptions.contains_key(queue) {
            self.count(Counter::ServiceMessagesRepeated, 1);
        } else {
            self.subscribe_for_service(connection, queue);
            self.count(Counter::ServiceMessages, 1);
        }
        self.wake_subscription(queue);
    }

    /// A message was stored in a queue of the service.
    pub(super) fn appended_for_service(
        &mut self,
        service: Option<&EntityId>,
        queue: &EntityId,
        was_empty: bool,
    ) {
        let Some(state) = service.and_then(|service| self.services.get(service)) else { return };
        // What was there before is delivered when the service subscribes to all.
        let connection = state.connection;
        if (was_empty || state.has_all)
            && !self.subscriptions.contains_key(queue)
            && self.has_room_for_service(connection)
        {
            self.subscribe_for_service(connection, queue);
        }
    }

    /// Whether the connection may have one more subscription. Else what came is searched for when it may, if it subscribed to
    /// all; if it did not, it waits until then.
    pub(super) fn has_room_for_service(&mut self, connection: ConnectionId) -> bool {
        let is_full = self.is_fully_subscribed(connection);
        let has_all = |service: Option<&EntityId>| Some(self.services.get(service?)?.has_all);
        let service = self.service_of(connection);
        let has_all = has_all(service.as_ref()).unwrap_or_default();
        if let Some(state) = self.connections.get_mut(&connection) {
            state.missed |= is_full && has_all;
        }
        !is_full
    }

    /// Nothing waits in a queue: a subscription that stood for a message of it goes.
    pub(super) fn nothing_waits(&mut self, queue: &EntityId) {
        let is_over = |sub: &&Subscription| sub.is_of_service && sub.state == State::Idle;
        let Some(sub) = self.subscriptions.get(queue).filter(is_over) else { return };
        let connection = sub.connection;
        if let Some(state) = self.connections.get_mut(&connection) {
            state.subscriptions.remove(queue);
        }
        self.subscriptions.remove(queue);
        self.go_on_scanning(connection);
    }

    /// A subscription that stands while there is something to deliver.
    fn subscribe_for_service(&mut self, connection: ConnectionId, queue: &EntityId) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        state.subscriptions.insert(queue.clone());
        let subscription =
            Subscription { connection, state: State::Idle, delivered: None, is_of_service: true };
        self.subscriptions.insert(queue.clone(), subscription);
    }

    /// The connection of a service that is subscribed.
    pub(super) fn service_connection(&self, service: Option<&EntityId>) -> Option<ConnectionId> {
        self.services.get(service?).map(|service| service.connection)
    }

    /// A queue or notifier was subscribed to by this connection, as a queue of `service`; before, it was one of `former`.
    /// `is_by_name` tells whether the connection had subscribed to it in the same way.
    pub(super) fn change_service(
        &mut self,
        connection: ConnectionId,
        (service, former): (Option<EntityId>, Option<EntityId>),
        id: &EntityId,
        is_by_name: bool,
    ) {
        let is_new = former != service;
        if is_new {
            self.leave_service(Some(connection), former.as_ref(), id, Ending::TakenOver);
        }
        let Some(service) = service else { return };
        if self.connections.contains_key(&connection) {
            self.take_service_over(connection, &service);
        }
        if let Some(state) = self.services.get_mut(&service)
            && (is_new || state.connection == connection && !state.has_all && !is_by_name)
        {
            state.set = state.set.plus(set_of(id));
            self.count_service(connection, ServiceCounter::Queues, 1);
        }
    }

    /// A queue or notifier is no longer one of this service.
    pub(super) fn leave_service(
        &mut self,
        by: Option<ConnectionId>,
        service: Option<&EntityId>,
        id: &EntityId,
        ending: Ending,
    ) {
        let Some(state) = service.and_then(|service| self.services.get_mut(service)) else { return };
        state.set = state.set.minus(set_of(id));
        let connection = state.connection;
        let is_told = self.subscriptions.get(id).is_some_and(|sub| sub.connection == connection)
            || self.notifier_subscriptions.get(id).is_some_and(|sub| sub.connection == connection);
        if !is_told {
            self.end(by, connection, id, ending);
        }
    }

    /// The connection becomes the one that is subscribed for its service. A former one is told, and loses all.
    fn take_service_over(&mut self, connection: ConnectionId, service: &EntityId) {
        let new = || Service { connection, set: QueueSet::EMPTY, has_all: false };
        let is_first = !self.services.contains_key(service);
        let state = self.services.entry(service.clone()).or_insert_with(new);
        if state.connection == connection {
            return self.count_service(connection, ServiceCounter::Subscriptions, u64::from(is_first));
        }
        let former = replace(state, new());
        self.count_service(connection, ServiceCounter::Subscriptions, 1);
        self.count_service(connection, ServiceCounter::SubscriptionsEnded, 1);
        self.reply(former.connection, Reply::ServiceEnded(former.set));
        self.drop_subscriptions(former.connection);
    }

    /// Ends all that a connection is subscribed to, of which it is told otherwise.
    fn drop_subscriptions(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        (state.scan, state.awaits_all, state.missed) = (None, false, false);
        state.waiting.clear();
        state.waiting_notifiers.clear();
        let (queues, notifiers) = (take(&mut state.subscriptions), take(&mut state.notifiers));
        self.remove_subscriptions(connection, queues, notifiers);
    }

    /// The connection of a service ended.
    pub(super) fn forget_service(&mut self, service: &EntityId, connection: ConnectionId) {
        if self.services.get(service).is_some_and(|state| state.connection == connection) {
            self.services.remove(service);
        }
    }

    pub(super) fn service_of(&self, connection: ConnectionId) -> Option<EntityId> {
        self.connections.get(&connection)?.service.clone()
    }
}

/// Subscriptions of a service that wait for a slot, below which the search for others goes on.
const WAITING: usize = 1000;
