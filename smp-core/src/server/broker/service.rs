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
use crate::server::store::{OpResult, QueueOp, set_of};
use crate::wire::{EntityId, QueueSet, ServiceRole};

/// A service with a connection that is subscribed.
pub(super) struct Service {
    connection: ConnectionId,
    /// What the connection is subscribed to.
    set: QueueSet,
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
    pub(super) fn subscribe_service(&mut self, connection: ConnectionId, tag: Tag) {
        let Some(service) = self.service_of(connection) else {
            return self.answer(connection, tag, Answer::Prohibited);
        };
        match self.services.get(&service) {
            Some(state) if state.connection == connection && state.has_all => {
                self.answer(connection, tag, Answer::ServiceQueues(state.set));
            }
            _ => self.store(QueueOp::CountService { service }, Context::SubscribeService { connection, tag }),
        }
    }

    pub(super) fn service_subscribed(&mut self, connection: ConnectionId, tag: Tag, result: &OpResult) {
        let OpResult::ServiceQueues(set) = result else {
            return self.answer(connection, tag, result.into());
        };
        let Some(service) = self.service_of(connection) else { return };
        self.take_service_over(connection, &service);
        if let Some(state) = self.services.get_mut(&service) {
            (state.set, state.has_all) = (*set, true);
        }
        self.answer(connection, tag, Answer::ServiceQueues(*set));
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
        let is_subscribed = self
            .service_of(connection)
            .is_some_and(|service| self.service_connection(Some(&service)) == Some(connection));
        if !is_subscribed {
            return;
        }
        for (queue, notifier) in queues {
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
            state.scan = Some(next.map_or(Scan::Queued(end), Scan::Paused));
        }
        self.release_slots(connection, 0);
        self.go_on_scanning(connection);
    }

    /// The store could not be asked: it is again when the next slot is free, or with the next SUBS of another connection.
    pub(super) fn scan_failed(&mut self, connection: ConnectionId) {
        if let Some(state) = self.connections.get_mut(&connection)
            && let Some(Scan::Asked(after)) = state.scan.take()
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
            if let Some(Scan::Failed(after)) = state.and_then(|state| state.scan.take()) {
                self.scan_service(connection, after);
            }
        }
    }

    /// The rest of a scan, or the news that all was sent, when what was found has left the line.
    pub(super) fn go_on_scanning(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        let first = state.waiting.first_key_value().map(|(place, _)| *place);
        match state.scan.take() {
            Some(Scan::Paused(after)) if state.waiting.len() < WAITING => {
                self.scan_service(connection, Some(after));
            }
            Some(Scan::Queued(end)) if first.is_none_or(|place| place >= end) => {
                state.scan = Some(Scan::Telling);
                // Behind the reads of the last, whose results are acted on in order.
                self.store(QueueOp::Count, Context::AllDelivered { connection });
            }
            scan => state.scan = scan,
        }
    }

    /// The service is told that all was sent, unless another connection took it over meanwhile.
    pub(super) fn all_delivered(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        match state.scan.take() {
            Some(Scan::Telling) => self.reply(connection, Reply::AllDelivered),
            scan => state.scan = scan,
        }
    }

    /// A queue of the service has messages.
    fn deliver_to_service(&mut self, connection: ConnectionId, queue: &EntityId) {
        if !self.subscriptions.contains_key(queue) {
            self.subscribe_for_service(connection, queue);
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
        if (was_empty || state.has_all) && !self.subscriptions.contains_key(queue) {
            self.subscribe_for_service(state.connection, queue);
        }
    }

    /// Nothing waits in a queue: a subscription that stood for a message of it goes.
    pub(super) fn nothing_waits(&mut self, queue: &EntityId) {
        let is_over = |sub: &&Subscription| sub.is_of_service && sub.state == State::Idle;
        let Some(sub) = self.subscriptions.get(queue).filter(is_over) else { return };
        if let Some(state) = self.connections.get_mut(&sub.connection) {
            state.subscriptions.remove(queue);
        }
        self.subscriptions.remove(queue);
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

    /// A queue or notifier was subscribed to by this connection, which may be a service; before, it may have been another's.
    pub(super) fn change_service(
        &mut self,
        connection: ConnectionId,
        former: Option<EntityId>,
        id: &EntityId,
    ) {
        let service = self.service_of(connection);
        let is_new = former != service;
        if is_new {
            self.leave_service(Some(connection), former.as_ref(), id, Ending::TakenOver);
        }
        let Some(service) = service else { return };
        self.take_service_over(connection, &service);
        if let Some(state) = self.services.get_mut(&service)
            && (is_new || state.set == QueueSet::EMPTY)
        {
            state.set = state.set.plus(set_of(id));
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
        let state = self.services.entry(service.clone()).or_insert_with(new);
        if state.connection == connection {
            return;
        }
        let former = replace(state, new());
        self.reply(former.connection, Reply::ServiceEnded(former.set));
        self.drop_subscriptions(former.connection);
    }

    /// Ends all that a connection is subscribed to, of which it is told otherwise.
    fn drop_subscriptions(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.get_mut(&connection) else { return };
        state.scan = None;
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

    fn service_of(&self, connection: ConnectionId) -> Option<EntityId> {
        self.connections.get(&connection)?.service.clone()
    }
}

/// Subscriptions of a service that wait for a slot, below which the search for others goes on.
const WAITING: usize = 1000;
