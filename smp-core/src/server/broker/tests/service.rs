//! Services: subscribed to all that is theirs with one command.

use super::moderation::SPAM;
use super::*;
use crate::wire::{QueueSet, ServiceRole};

const C: ConnectionId = ConnectionId(3);

impl World {
    /// The connection says that it is service `id`, whose certificate is a function of that.
    pub(super) fn be_service(&mut self, connection: ConnectionId, id: u8, role: ServiceRole) {
        self.ask(connection, Request::FindService { fingerprint: [id; 32], role, id: queue(id) });
        assert_eq!(self.take(), [(connection, Said::Service(Some(id)))]);
    }

    pub(super) fn subscribe_service(&mut self, connection: ConnectionId) {
        self.ask(connection, Request::SubscribeService { tag: 0, expected: QueueSet::EMPTY });
    }

    /// `A` is service 250 with queues 1 and 2.
    fn with_service() -> Self {
        let mut world = Self::new(|config| config.end_interval = Duration::ZERO);
        world.be_service(A, 250, ServiceRole::Messaging);
        for n in [1, 2] {
            world.subscribe(A, n);
            assert_eq!(world.take(), [(A, Said::Subscribed(None))]);
        }
        world
    }
}

#[test]
fn a_certificate_has_one_id_and_one_role() {
    let mut world = World::new(|_| ());
    world.be_service(A, 250, ServiceRole::Messaging);
    let (fingerprint, id) = ([250; 32], queue(9));
    world.ask(B, Request::FindService { fingerprint, role: ServiceRole::Messaging, id: id.clone() });
    assert_eq!(world.take(), [(B, Said::Service(Some(250)))]);
    world.ask(C, Request::FindService { fingerprint, role: ServiceRole::Notifier, id });
    assert_eq!(world.take(), [(C, Said::Service(None))]);
}

#[test]
fn a_service_gets_what_waits_in_all_of_its_queues() {
    let mut world = World::with_service();
    world.input(BrokerInput::Disconnected(A));
    for n in [1, 2, 3] {
        world.send(B, n);
    }
    world.take();
    world.be_service(C, 250, ServiceRole::Messaging);
    world.subscribe_service(C);
    let said = world.take();
    assert_eq!(said[0], (C, Said::ServiceQueues(2)));
    assert_eq!(said[1..], [(C, Said::Event(1)), (C, Said::Event(2)), (C, Said::AllDelivered)]);
    world.subscribe_service(C);
    assert_eq!(world.take(), [(C, Said::ServiceQueues(2))]);
    // Once acknowledged, nothing is held for a queue, and what comes later is delivered all the same.
    for (n, message) in [(1, 1), (2, 2)] {
        world.acknowledge(C, n, message);
        assert_eq!(world.take(), [(C, Said::Done)]);
    }
    assert!(world.broker.subscriptions.is_empty());
    world.send(B, 2);
    world.send(B, 2);
    assert_eq!(world.take(), [(B, Said::Done), (C, Said::Event(4)), (B, Said::Done)]);
    world.acknowledge(C, 2, 4);
    assert_eq!(world.take(), [(C, Said::Message(5))]);
}

#[test]
fn another_connection_of_the_service_takes_all_over() {
    let mut world = World::with_service();
    world.be_service(B, 250, ServiceRole::Messaging);
    world.subscribe_service(B);
    assert_eq!(
        world.take(),
        [(A, Said::ServiceEnded(2)), (B, Said::ServiceQueues(2)), (B, Said::AllDelivered)]
    );
    world.send(C, 1);
    assert_eq!(world.take(), [(B, Said::Event(1)), (C, Said::Done)]);
    world.acknowledge(A, 1, 1);
    assert_eq!(world.take(), [(A, Said::NoMessage)]);
    world.ask(A, Request::CloseIfUnsubscribed);
    assert_eq!(world.take(), [(A, Said::Unsubscribed)]);
    world.ask(B, Request::CloseIfUnsubscribed);
    assert_eq!(world.take(), []);
}

#[test]
fn who_is_no_service_takes_a_queue_out_of_one() {
    let mut world = World::with_service();
    world.subscribe(B, 1);
    assert_eq!(world.take(), [(A, Said::Ended(Ending::TakenOver)), (B, Said::Subscribed(None))]);
    world.subscribe_service(A);
    assert_eq!(world.take(), [(A, Said::ServiceQueues(1)), (A, Said::AllDelivered)]);
    world.send(C, 1);
    world.send(C, 2);
    assert_eq!(world.take(), [(B, Said::Event(1)), (C, Said::Done), (A, Said::Event(2)), (C, Said::Done)]);
    // Also of one that the connection did not subscribe to by name.
    world.input(BrokerInput::Disconnected(A));
    world.be_service(A, 250, ServiceRole::Messaging);
    world.subscribe_service(A);
    world.take();
    world.acknowledge(A, 2, 2);
    world.take();
    world.subscribe(C, 2);
    assert_eq!(world.take(), [(A, Said::Ended(Ending::TakenOver)), (C, Said::Subscribed(None))]);
    world.subscribe_service(A);
    assert_eq!(world.take(), [(A, Said::ServiceQueues(0))]);
}

#[test]
fn a_deleted_queue_leaves_its_service() {
    let mut world = World::with_service();
    world.ask(B, Request::Delete { tag: 0, queue: queue(1), by: KEY, is_secured: false });
    assert_eq!(world.take(), [(A, Said::Ended(Ending::Deleted)), (B, Said::Done)]);
    world.subscribe_service(A);
    assert_eq!(world.take()[0], (A, Said::ServiceQueues(1)));
    world.ask(A, Request::Delete { tag: 0, queue: queue(2), by: KEY, is_secured: false });
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.subscribe_service(A);
    assert_eq!(world.take(), [(A, Said::ServiceQueues(0))]);
}

#[test]
fn a_notified_service() {
    let mut world = World::new(|config| config.notification_interval = Duration::from_secs(1));
    for n in [1, 2] {
        world.set_notifier(A, n, Some(200 + n));
    }
    world.take();
    world.be_service(B, 250, ServiceRole::Notifier);
    world.subscribe_notifier(B, 1, 201);
    world.subscribe_notifier(B, 2, 202);
    assert_eq!(world.take(), [(B, Said::Subscribed(None)), (B, Said::Subscribed(None))]);
    world.input(BrokerInput::Disconnected(B));
    world.send_with(A, 1, true);
    world.take();
    world.be_service(C, 250, ServiceRole::Notifier);
    world.subscribe_service(C);
    let said = world.take();
    assert_eq!(said, [(C, Said::ServiceQueues(2)), (C, Said::Notified(vec![(201, 1)]))]);
    assert!(world.broker.notifier_subscriptions.is_empty());
    world.send_with(A, 2, true);
    world.take();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.take(), [(C, Said::Notified(vec![(202, 2)]))]);
    world.set_notifier(A, 2, None);
    world.take();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.take(), [(C, Said::Ended(Ending::Deleted))]);
    world.subscribe_service(C);
    assert_eq!(world.take(), [(C, Said::ServiceQueues(1))]);
    assert!(world.broker.connections[&C].notifiers.is_empty());
}

#[test]
fn a_service_with_more_than_fits_waits_for_slots() {
    let mut world = World::new(|config| {
        (config.limits.deliveries_in_flight, config.limits.expiry_queues) = (2, 1);
    });
    world.be_service(A, 250, ServiceRole::Messaging);
    for n in 1..=3 {
        world.subscribe(A, n);
        world.take();
    }
    world.input(BrokerInput::Disconnected(A));
    for n in 1..=3 {
        world.send(B, n);
    }
    world.take();
    world.be_service(C, 250, ServiceRole::Messaging);
    world.subscribe_service(C);
    assert_eq!(world.take(), [(C, Said::ServiceQueues(3)), (C, Said::Event(1)), (C, Said::Event(2))]);
    world.ask(C, Request::SlotsFree(1));
    assert_eq!(world.take(), [(C, Said::Event(3)), (C, Said::AllDelivered)]);
}

#[test]
fn a_search_that_fails_is_repeated() {
    let mut world = World::with_service();
    world.input(BrokerInput::Disconnected(A));
    world.send(B, 1);
    world.take();
    world.be_service(C, 250, ServiceRole::Messaging);
    world.subscribe_service(C);
    let count = world.batches.pop_front().unwrap();
    let results = world.store.run(count.ops);
    world.input(BrokerInput::StoreDone(count.id, Ok(results)));
    let scan = world.batches.pop_front().unwrap();
    world.input(BrokerInput::StoreDone(scan.id, Err(StoreFailure)));
    assert_eq!(world.take(), [(C, Said::ServiceQueues(2))]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.take(), [(C, Said::Event(1)), (C, Said::AllDelivered)]);
}

#[test]
fn a_connection_that_subscribes_queue_by_queue_has_all_of_them() {
    let mut world = World::with_service();
    world.input(BrokerInput::Disconnected(A));
    world.be_service(B, 250, ServiceRole::Messaging);
    for n in [1, 2, 2] {
        world.subscribe(B, n);
        assert_eq!(world.take(), [(B, Said::Subscribed(None))]);
    }
    world.be_service(C, 250, ServiceRole::Messaging);
    world.subscribe(C, 1);
    assert_eq!(world.take(), [(B, Said::ServiceEnded(2)), (C, Said::Subscribed(None))]);
}

#[test]
fn a_queue_leaves_its_service_also_when_who_took_it_has_gone() {
    let mut world = World::with_service();
    world.subscribe_service(A);
    world.take();
    world.subscribe(B, 1);
    world.input(BrokerInput::Disconnected(B));
    assert_eq!(world.take(), [(A, Said::Ended(Ending::TakenOver))]);
    world.subscribe_service(A);
    assert_eq!(world.take(), [(A, Said::ServiceQueues(1))]);
}

#[test]
fn a_connection_of_a_service_that_has_gone_takes_nothing_out_of_it() {
    let mut world = World::new(|config| config.end_interval = Duration::ZERO);
    world.set_notifier(A, 1, Some(201));
    world.take();
    world.be_service(B, 250, ServiceRole::Notifier);
    world.subscribe_notifier(B, 1, 201);
    world.take();
    world.be_service(C, 250, ServiceRole::Notifier);
    world.subscribe_notifier(C, 1, 201);
    world.input(BrokerInput::Disconnected(C));
    assert_eq!(world.take(), []);
    world.subscribe_service(B);
    assert_eq!(world.take(), [(B, Said::ServiceQueues(1))]);
}

#[test]
fn a_service_has_no_more_subscriptions_than_others_and_misses_nothing() {
    let mut world = World::new(|config| config.limits.subscriptions = 1);
    world.be_service(A, 250, ServiceRole::Messaging);
    for n in [1, 2] {
        world.subscribe(A, n);
        world.take();
        world.input(BrokerInput::Disconnected(A));
        world.be_service(A, 250, ServiceRole::Messaging);
    }
    world.subscribe_service(A);
    assert_eq!(world.take(), [(A, Said::ServiceQueues(2)), (A, Said::AllDelivered)]);
    world.send(B, 1);
    world.send(B, 2);
    assert_eq!(world.take(), [(A, Said::Event(1)), (B, Said::Done), (B, Said::Done)]);
    assert_eq!(world.broker.subscriptions(), 1);
    world.acknowledge(A, 1, 1);
    assert_eq!(world.take(), [(A, Said::Done), (A, Said::Event(2))]);
    world.acknowledge(A, 2, 2);
    assert_eq!(world.take(), [(A, Said::Done)]);
    // Found by a search: the same.
    world.input(BrokerInput::Disconnected(A));
    world.send(B, 1);
    world.send(B, 2);
    world.take();
    world.be_service(C, 250, ServiceRole::Messaging);
    world.subscribe_service(C);
    assert_eq!(world.take(), [(C, Said::ServiceQueues(2)), (C, Said::Event(3))]);
    world.acknowledge(C, 1, 3);
    assert_eq!(world.take(), [(C, Said::Done), (C, Said::Event(4)), (C, Said::AllDelivered)]);
}

#[test]
fn a_search_that_failed_is_not_taken_for_a_newer_one() {
    let mut world = World::new(|config| config.limits.deliveries_in_flight = 1);
    for connection in [A, B] {
        world.be_service(connection, 250, ServiceRole::Messaging);
    }
    world.subscribe(A, 1);
    world.send(C, 1);
    world.take();
    world.subscribe_service(A);
    for fails in [false, true] {
        let batch = world.batches.pop_front().unwrap();
        let results = world.store.run(batch.ops);
        world.input(BrokerInput::StoreDone(batch.id, if fails { Err(StoreFailure) } else { Ok(results) }));
    }
    // Another connection takes over, then the first again. Its search waits for a slot when the former is repeated.
    world.subscribe_service(B);
    world.take();
    world.subscribe_service(A);
    assert_eq!(world.take(), [(A, Said::ServiceQueues(1)), (B, Said::ServiceEnded(1))]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.take(), []);
    world.ask(A, Request::SlotsFree(1));
    assert_eq!(world.take(), [(A, Said::Event(1)), (A, Said::AllDelivered)]);
}

#[test]
fn the_service_of_a_blocked_queue_is_told_and_gets_what_waited() {
    let mut world = World::with_service();
    world.input(BrokerInput::Disconnected(A));
    world.send(B, 1);
    world.take();
    assert_eq!(world.moderate(Moderation::Block(queue(1), SPAM)), Ok(true));
    world.be_service(C, 250, ServiceRole::Messaging);
    world.subscribe_service(C);
    assert_eq!(world.take(), [(C, Said::ServiceQueues(2)), (C, Said::AllDelivered)]);
    assert_eq!(world.moderate(Moderation::Unblock(queue(1))), Ok(true));
    assert_eq!(world.take(), [(C, Said::Event(1))]);
    world.acknowledge(C, 1, 1);
    assert_eq!(world.take(), [(C, Said::Done)]);
    assert_eq!(world.moderate(Moderation::Block(queue(1), SPAM)), Ok(true));
    assert_eq!(world.take(), [(C, Said::Blocked(SPAM))]);
}
