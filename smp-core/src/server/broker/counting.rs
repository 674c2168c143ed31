//! What the broker counts, and what it can tell of the subscriptions now.

use core::ops::Bound;

use super::Broker;
use super::connection::Connection;
use super::subscription::Delivered;
use crate::server::ConnectionId;
use crate::server::statistics::{Counter, Next, ServiceCounter, Statistics, Survey};
use crate::server::store::{Appended, MessageContent, OpResult};
use crate::wire::{EntityId, QueueSet, ServiceRole};

impl Broker {
    /// What took effect, since [`Statistics::since`]. What sessions count is not in it.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The same, to end a day or to go on counting from what was kept.
    pub fn statistics_mut(&mut self) -> &mut Statistics {
        &mut self.statistics
    }

    /// Goes on with a survey for at most `steps` subscriptions or connections; true while there is more to do.
    ///
    /// It tells of different moments: what changes between two steps may be in it or not.
    pub fn survey(&self, survey: &mut Survey, steps: usize) -> bool {
        match survey.next.clone() {
            Next::Subscription(after) => {
                let mut next = Next::Connection(None);
                for (queue, subscription) in self.subscriptions.range(behind(after)).take(steps) {
                    survey.subscriptions += 1;
                    if let Some(delivered) = &subscription.delivered {
                        survey.delivered.add(self.now.mono.since(delivered.at));
                        survey.delivered_to.insert(subscription.connection);
                    }
                    next = Next::Subscription(Some(queue.clone()));
                }
                survey.next = next;
            }
            Next::Connection(after) => {
                let mut next = Next::End;
                for (id, connection) in self.connections.range(behind(after)).take(steps) {
                    self.survey_connection(survey, *id, connection);
                    next = Next::Connection(Some(*id));
                }
                survey.next = next;
            }
            Next::End => return false,
        }
        true
    }

    fn survey_connection(&self, survey: &mut Survey, id: ConnectionId, connection: &Connection) {
        survey.subscribers += u64::from(!connection.subscriptions.is_empty());
        survey.notifier_subscribers += u64::from(!connection.notifiers.is_empty());
        survey.notifier_subscriptions += connection.notifiers.len() as u64;
        let service = connection.service.as_ref().and_then(|service| self.services.get(service));
        let Some(service) = service.filter(|service| service.connection == id) else { return };
        let queues = u64::try_from(service.set.count).unwrap_or_default();
        if connection.role == Some(ServiceRole::Notifier) {
            survey.notifier_services += 1;
            survey.notifier_service_queues += queues;
        } else {
            survey.messaging_services += 1;
            survey.messaging_service_queues += queues;
        }
    }

    pub(super) fn count(&mut self, counter: Counter, times: u64) {
        self.statistics.counts.add(counter, times);
    }

    /// Something that the service that this connection is did, or what was done to one of its kind.
    pub(super) fn count_service(&mut self, connection: ConnectionId, counter: ServiceCounter, times: u64) {
        let role = self.connections.get(&connection).and_then(|state| state.role);
        self.count_service_as(role, counter, times);
    }

    fn count_service_as(&mut self, role: Option<ServiceRole>, counter: ServiceCounter, times: u64) {
        let is_notifier = role == Some(ServiceRole::Notifier);
        let of = if is_notifier { Counter::NotifierServices } else { Counter::MessagingServices };
        self.count(of(counter), times);
    }

    /// A connection subscribed to a queue with or without messages, again if it `is_known`.
    pub(super) fn count_subscribed(&mut self, is_known: bool, has_messages: bool) {
        if is_known {
            self.count(Counter::SubscriptionsRepeated, 1);
        } else {
            self.count(Counter::Subscriptions, u64::from(has_messages));
        }
    }

    pub(super) fn count_notifier_subscribed(&mut self, service: Option<&EntityId>, is_known: bool) {
        if service.is_some() {
            return;
        }
        let repeated = Counter::NotifierSubscriptionsRepeated;
        self.count(if is_known { repeated } else { Counter::NotifierSubscriptions }, 1);
    }

    pub(super) fn count_appended(&mut self, queue: &EntityId, appended: &Appended) {
        self.count(Counter::MessagesSent, 1);
        self.statistics.active.insert(queue);
        let content = &appended.message.message.content;
        if let MessageContent::Message { notification: true, .. } = content {
            self.count(Counter::NotifiedSent, 1);
            self.statistics.active_notified.insert(queue);
        }
        if let Some(notifier) = &appended.notifier {
            let has_service = self.service_connection(notifier.service.as_ref()).is_some();
            let is_heard = has_service || self.notifier_subscriptions.contains_key(&notifier.id);
            self.count(Counter::NotificationsWithoutSubscriber, u64::from(!is_heard));
            self.count(Counter::NotificationsLost, u64::from(appended.notification_lost));
        }
    }

    /// A message, which was no quota marker, was acknowledged and deleted.
    pub(super) fn count_acknowledged(&mut self, queue: &EntityId, delivered: &Delivered) {
        self.count(Counter::MessagesReceived, 1);
        self.statistics.active.insert(queue);
        if delivered.is_notified {
            self.count(Counter::NotifiedReceived, 1);
            self.statistics.active_notified.insert(queue);
        }
        self.statistics.acknowledged.add(self.now.mono.since(delivered.at));
    }

    /// Counts what a visit of expiry deleted, and tells where it goes on.
    pub(super) fn count_expired(&mut self, counter: Counter, result: OpResult) -> Option<EntityId> {
        let OpResult::Expired { deleted, next } = result else { return None };
        self.count(counter, deleted);
        next
    }

    /// A queue or notifier was one of `former` and is one of `service` now.
    pub(super) fn count_association(
        &mut self,
        is_notifier: bool,
        (service, former): (Option<&EntityId>, Option<&EntityId>),
    ) {
        let counter = match (service, former) {
            (None, None) => return,
            (None, Some(_)) => ServiceCounter::AssociationsRemoved,
            (Some(_), None) => ServiceCounter::AssociationsNew,
            (Some(service), Some(former)) if service == former => ServiceCounter::AssociationsRepeated,
            (Some(_), Some(_)) => ServiceCounter::AssociationsMoved,
        };
        let role = if is_notifier { ServiceRole::Notifier } else { ServiceRole::Messaging };
        self.count_service_as(Some(role), counter, 1);
    }

    /// A service subscribed to all of its queues, which it took for `expected`.
    pub(super) fn count_expected(&mut self, connection: ConnectionId, expected: QueueSet, found: QueueSet) {
        let difference = found.count.saturating_sub(expected.count);
        let (counter, total) = match difference {
            _ if expected.count == QueueSet::UNKNOWN.count => (ServiceCounter::Same, None),
            0 if found.hash == expected.hash => (ServiceCounter::Same, None),
            0 => (ServiceCounter::Different, None),
            1.. => (ServiceCounter::More, Some(ServiceCounter::MoreTotal)),
            _ => (ServiceCounter::Fewer, Some(ServiceCounter::FewerTotal)),
        };
        self.count_service(connection, counter, 1);
        if let Some(total) = total {
            self.count_service(connection, total, difference.unsigned_abs());
        }
    }
}

/// What comes behind a key, or all.
fn behind<K>(key: Option<K>) -> (Bound<K>, Bound<K>) {
    (key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}
