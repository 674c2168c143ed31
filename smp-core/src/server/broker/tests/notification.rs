//! Notifiers: subscribed, told, replaced.

use super::*;
use crate::server::store::NotifierRecord;
use crate::wire::ServiceRole;

fn notifier(n: u8) -> EntityId {
    [n; 24].into()
}

impl World {
    pub(super) fn set_notifier(&mut self, connection: ConnectionId, n: u8, id: Option<u8>) {
        let notifier = id.map(|id| {
            Box::new(NotifierRecord {
                id: notifier(id),
                key: KEY,
                secret: DhSecret::new([id; 32]),
                service: None,
            })
        });
        self.ask(connection, Request::SetNotifier { tag: 0, queue: queue(n), by: KEY, notifier });
    }

    pub(super) fn subscribe_notifier(&mut self, connection: ConnectionId, n: u8, id: u8) {
        let request = Request::SubscribeNotifier { tag: 0, queue: queue(n), notifier: notifier(id), by: KEY };
        self.ask(connection, request);
    }

    /// Queue 1 with notifier 201, to which `B` is subscribed.
    fn with_notifier() -> Self {
        let mut world = Self::new(|config| config.notification_interval = INTERVAL);
        world.set_notifier(A, 1, Some(201));
        world.subscribe_notifier(B, 1, 201);
        assert_eq!(world.take(), [(A, Said::Done), (B, Said::Subscribed(None))]);
        world
    }
}

#[test]
fn notifications_are_told_together_after_an_interval() {
    let mut world = World::with_notifier();
    world.set_notifier(A, 2, Some(202));
    world.subscribe_notifier(B, 2, 202);
    world.take();
    for queue in [1, 2, 1] {
        world.send_with(A, queue, true);
    }
    world.send_with(A, 1, false);
    assert_eq!(world.take().len(), 4);
    world.pass(INTERVAL / 2);
    assert_eq!(world.take(), []);
    assert_eq!(world.broker.poll_timeout(), Some(Timestamp::ZERO + INTERVAL));
    world.pass(INTERVAL / 2);
    assert_eq!(world.take(), [(B, Said::Notified(vec![(201, 1), (201, 3), (202, 2)]))]);
    world.pass(INTERVAL);
    assert_eq!(world.take(), []);
}

#[test]
fn notifications_wait_for_a_subscriber_and_the_oldest_go() {
    let mut world = World::new(|_| ());
    world.set_notifier(A, 1, Some(201));
    for _ in 0..5 {
        world.send_with(A, 1, true);
    }
    world.take();
    world.subscribe_notifier(B, 1, 201);
    // The queue took four messages, and three notifications wait at most.
    assert_eq!(
        world.take(),
        [(B, Said::Subscribed(None)), (B, Said::Notified(vec![(201, 2), (201, 3), (201, 4)]))]
    );
}

#[test]
fn another_connection_takes_a_notifier_over() {
    let mut world = World::with_notifier();
    world.subscribe_notifier(A, 1, 201);
    assert_eq!(world.take(), [(A, Said::Subscribed(None))]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.take(), [(B, Said::Ended(Ending::TakenOver))]);
    world.send_with(B, 1, true);
    world.take();
    world.pass(INTERVAL);
    assert_eq!(world.take(), [(A, Said::Notified(vec![(201, 1)]))]);
}

#[test]
fn who_took_a_notifier_over_hears_also_of_what_was_on_its_way_to_the_former() {
    // The former waits for a slot, and gets one after it lost the notifier.
    let mut world = World::new(|config| {
        config.limits.deliveries_in_flight = 1;
        config.notification_interval = INTERVAL;
        config.end_interval = INTERVAL * 100;
    });
    world.set_notifier(A, 1, Some(201));
    world.subscribe_notifier(B, 1, 201);
    world.subscribe(B, 2);
    world.send(C, 2);
    world.send_with(C, 1, true);
    world.take();
    world.pass(INTERVAL);
    assert_eq!(world.take(), []);
    world.subscribe_notifier(A, 1, 201);
    assert_eq!(world.take(), [(A, Said::Subscribed(None)), (A, Said::Notified(vec![(201, 2)]))]);
    world.ask(A, Request::SlotsFree(1));
    world.send_with(C, 1, true);
    world.take();
    world.ask(B, Request::SlotsFree(1));
    world.take();
    world.pass(INTERVAL);
    assert_eq!(world.take(), [(A, Said::Notified(vec![(201, 3)]))]);
    // The store takes them for the former while another subscribes.
    world.ask(A, Request::SlotsFree(1));
    world.send_with(C, 1, true);
    world.take();
    world.pass(INTERVAL);
    let taking = world.batches.pop_front().unwrap();
    let taken = world.store.run(taking.ops);
    world.subscribe_notifier(C, 1, 201);
    let subscribing = world.batches.pop_front().unwrap();
    world.input(BrokerInput::StoreDone(taking.id, Ok(taken)));
    let subscribed = world.store.run(subscribing.ops);
    world.input(BrokerInput::StoreDone(subscribing.id, Ok(subscribed)));
    // It was the former's still when the store answered.
    assert_eq!(world.take(), [(A, Said::Notified(vec![(201, 4)])), (C, Said::Subscribed(None))]);
}

#[test]
fn a_notification_whose_message_got_no_answer_is_told_all_the_same() {
    let lose = |world: &mut World| {
        let batch = world.batches.pop_front().unwrap();
        world.store.run(batch.ops);
        world.input(BrokerInput::StoreDone(batch.id, Err(StoreFailure)));
        assert_eq!(world.take(), [(A, Said::Failed)]);
        world.pass(Duration::from_secs(1));
        world.take();
        world.pass(INTERVAL);
    };
    let mut world = World::with_notifier();
    world.send_with(A, 1, true);
    lose(&mut world);
    assert_eq!(world.take(), [(B, Said::Notified(vec![(201, 1)]))]);
    // That of a service has no subscription of its own.
    let mut world = World::new(|config| config.notification_interval = INTERVAL);
    world.set_notifier(A, 1, Some(201));
    world.take();
    world.be_service(B, 250, ServiceRole::Notifier);
    world.subscribe_notifier(B, 1, 201);
    world.take();
    world.input(BrokerInput::Disconnected(B));
    world.be_service(C, 250, ServiceRole::Notifier);
    world.subscribe_service(C);
    world.take();
    world.send_with(A, 1, true);
    let batch = world.batches.pop_front().unwrap();
    world.store.run(batch.ops);
    world.input(BrokerInput::StoreDone(batch.id, Err(StoreFailure)));
    assert_eq!(world.take(), [(A, Said::Failed)]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.take(), [(C, Said::Notified(vec![(201, 1)]))]);
}

#[test]
fn a_replaced_notifier_is_told_and_hears_no_more() {
    let mut world = World::with_notifier();
    world.send_with(A, 1, true);
    world.set_notifier(A, 1, Some(203));
    assert_eq!(world.take(), [(A, Said::Done), (A, Said::Done)]);
    world.pass(INTERVAL);
    assert_eq!(world.take(), [(B, Said::Ended(Ending::Deleted))]);
    world.subscribe_notifier(B, 1, 201);
    assert_eq!(world.take(), [(B, Said::Unauthorized)]);
    world.subscribe_notifier(B, 1, 203);
    assert_eq!(world.take(), [(B, Said::Subscribed(None))]);
    world.set_notifier(A, 1, None);
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.pass(INTERVAL);
    assert_eq!(world.take(), [(B, Said::Ended(Ending::Deleted))]);
    assert!(world.broker.notifier_subscriptions.is_empty());
    assert!(world.broker.connections.values().all(|state| state.notifiers.is_empty()));
}

#[test]
fn a_deleted_queue_ends_its_notifier() {
    let mut world = World::with_notifier();
    world.ask(A, Request::Delete { tag: 0, queue: queue(1), by: KEY, is_secured: false });
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.pass(INTERVAL);
    assert_eq!(world.take(), [(B, Said::Ended(Ending::Deleted))]);
}

#[test]
fn notifications_take_slots() {
    let mut world = World::new(|config| config.limits.deliveries_in_flight = 1);
    world.set_notifier(A, 1, Some(201));
    world.send_with(A, 1, true);
    world.subscribe_notifier(B, 1, 201);
    world.subscribe(B, 2);
    world.send(A, 2);
    let said = world.take();
    // The only slot is taken until the socket has taken the notification.
    assert!(said.contains(&(B, Said::Notified(vec![(201, 1)]))) != said.contains(&(B, Said::Event(2))));
    world.ask(B, Request::SlotsFree(1));
    assert_eq!(world.take().len(), 1);
    world.ask(B, Request::SlotsFree(1));
    assert_eq!(world.take(), []);
    assert_eq!(world.broker.connections[&B].slots_taken, 0);
}

#[test]
fn a_failed_read_of_notifications_is_repeated() {
    let mut world = World::with_notifier();
    world.send_with(A, 1, true);
    world.take();
    world.pass(INTERVAL);
    let batch = world.batches.pop_front().unwrap();
    world.input(BrokerInput::StoreDone(batch.id, Err(StoreFailure)));
    assert_eq!(world.take(), []);
    assert_eq!(world.broker.connections[&B].slots_taken, 0);
    world.pass(INTERVAL);
    assert_eq!(world.take(), [(B, Said::Notified(vec![(201, 1)]))]);
}

#[test]
fn a_refused_subscription_leaves_nothing() {
    let mut world = World::new(|config| config.limits.subscriptions = 1);
    world.subscribe_notifier(B, 1, 201);
    assert_eq!(world.take(), [(B, Said::Unauthorized)]);
    world.set_notifier(A, 1, Some(201));
    world.subscribe_notifier(B, 1, 201);
    world.subscribe_notifier(B, 1, 201);
    world.subscribe(B, 2);
    assert_eq!(
        world.take(),
        [(B, Said::LimitReached), (A, Said::Done), (B, Said::Subscribed(None)), (B, Said::Subscribed(None)),]
    );
    world.ask(B, Request::CloseIfUnsubscribed);
    assert_eq!(world.take(), []);
    world.input(BrokerInput::Disconnected(B));
    assert!(world.broker.notifier_subscriptions.is_empty());
}

#[test]
fn old_notifications_are_deleted() {
    let mut world = World::new(|config| {
        config.notification_ttl = Some(Duration::from_secs(10));
        config.notification_expiry_interval = Duration::from_secs(1);
    });
    world.set_notifier(A, 1, Some(201));
    world.send_with(A, 1, true);
    world.take();
    world.now.unix = UnixTime::from_millis(world.now.unix.as_millis() + 10_001);
    world.pass(Duration::from_secs(1));
    world.settle();
    world.subscribe_notifier(B, 1, 201);
    assert_eq!(world.take(), [(B, Said::Subscribed(None))]);
}

const C: ConnectionId = ConnectionId(3);
const INTERVAL: Duration = Duration::from_secs(2);
