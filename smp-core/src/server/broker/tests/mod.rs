//! The broker against the store in memory, one step at a time.

mod moderation;
mod notification;
mod service;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::crypto::DhSecret;
use crate::server::store::{
    Append, MemoryStore, MessageContent, QueueRecord, QueueStatus, StoreFailure, Waiting,
};
use crate::wire::error::BlockingInfo;
use crate::wire::{AuthPublicKey, MessageId};

const A: ConnectionId = ConnectionId(1);
const B: ConnectionId = ConnectionId(2);
const KEY: AuthPublicKey = AuthPublicKey::Ed25519([7; 32]);

struct World {
    broker: Broker,
    store: MemoryStore,
    batches: VecDeque<Batch>,
    said: Vec<(ConnectionId, Said)>,
    moderated: Option<(ModerationId, Result<bool, StoreFailure>)>,
    now: Now,
    sent: u8,
}

/// Replies, in a form that can be compared.
#[derive(PartialEq, Eq, Debug, Clone)]
enum Said {
    Done,
    Subscribed(Option<u8>),
    Message(u8),
    Event(u8),
    Ended(Ending),
    NoMessage,
    Prohibited,
    Unauthorized,
    Quota,
    Failed,
    LimitReached,
    Unsubscribed,
    Inspected(u32, Option<Option<u8>>),
    /// A command was refused, or a subscriber told.
    Refused(BlockingInfo),
    Blocked(BlockingInfo),
    Service(Option<u8>),
    ServiceQueues(i64),
    ServiceEnded(i64),
    AllDelivered,
    /// Notifiers and messages.
    Notified(Vec<(u8, u8)>),
}

fn queue(n: u8) -> EntityId {
    [n; 24].into()
}

fn record(n: u8) -> QueueRecord {
    QueueRecord {
        recipient: queue(n),
        sender: queue(n + 100),
        recipient_keys: vec![KEY],
        secret: DhSecret::new([0; 32]),
        sender_key: None,
        mode: None,
        status: QueueStatus::Active,
        link: None,
        notifier: None,
        service: None,
        used_on: UnixDay(0),
    }
}

fn create(record: QueueRecord) -> QueueOp {
    QueueOp::Create { record: Box::new(record), link: None }
}

fn number(message: &Waiting) -> u8 {
    match &message.message.content {
        MessageContent::Message { body, .. } => body[0],
        MessageContent::Quota => 255,
    }
}

impl World {
    fn new(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config =
            ServerConfig { message_ttl: None, notification_ttl: None, ..ServerConfig::default() };
        change(&mut config);
        let now = Now::default();
        let broker = Broker::new(Arc::new(config), now);
        let store = MemoryStore::new();
        let mut world =
            Self { broker, store, batches: VecDeque::new(), said: Vec::new(), moderated: None, now, sent: 0 };
        for n in 1..=3 {
            world.store.run(vec![create(record(n))]);
        }
        world
    }

    fn input(&mut self, input: BrokerInput) {
        self.broker.handle(self.now, input);
        while let Some(output) = self.broker.poll_output() {
            match output {
                BrokerOutput::Store(batch) => self.batches.push_back(batch),
                BrokerOutput::Moderated(id, done) => self.moderated = Some((id, done)),
                BrokerOutput::Reply(connection, BrokerReply(replies)) => {
                    self.said.extend(replies.into_iter().flat_map(say).map(|said| (connection, said)));
                }
            }
        }
    }

    fn ask(&mut self, connection: ConnectionId, request: Request) {
        self.input(BrokerInput::Request(connection, BrokerRequest(vec![request])));
    }

    /// Carries out the batches that wait, and those that follow from them.
    fn settle(&mut self) {
        while let Some(batch) = self.batches.pop_front() {
            let results = self.store.run(batch.ops);
            self.input(BrokerInput::StoreDone(batch.id, Ok(results)));
        }
    }

    fn take(&mut self) -> Vec<(ConnectionId, Said)> {
        self.settle();
        core::mem::take(&mut self.said)
    }

    fn subscribe(&mut self, connection: ConnectionId, n: u8) {
        self.ask(connection, Request::Subscribe { tag: 0, queue: queue(n), by: KEY });
    }

    fn get(&mut self, connection: ConnectionId, n: u8) {
        self.ask(connection, Request::Get { tag: 0, queue: queue(n), by: KEY });
    }

    fn send(&mut self, connection: ConnectionId, n: u8) -> u8 {
        self.send_with(connection, n, false)
    }

    fn send_with(&mut self, connection: ConnectionId, n: u8, notification: bool) -> u8 {
        self.sent += 1;
        let append = Append {
            queue: queue(n),
            by: None,
            id: [self.sent; 24].into(),
            sent_at: self.now.unix,
            notification,
            body: Bytes::copy_from_slice(&[self.sent]),
            capacity: 4,
            notification_capacity: 3,
        };
        self.ask(connection, Request::Append { tag: 0, append: Box::new(append) });
        self.sent
    }

    fn acknowledge(&mut self, connection: ConnectionId, n: u8, message: u8) {
        let message = MessageId::from([message; 24]);
        self.ask(connection, Request::Acknowledge { tag: 0, queue: queue(n), by: KEY, message });
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.input(BrokerInput::Timeout);
    }
}

fn say(reply: Reply) -> Vec<Said> {
    vec![match reply {
        Reply::Message(_, message) => Said::Event(number(&message)),
        Reply::Ended(ended) => return ended.into_iter().map(|(_, ending)| Said::Ended(ending)).collect(),
        Reply::Notifications(notified) => Said::Notified(
            notified
                .iter()
                .map(|one| (one.notifier.as_bytes()[0], one.notification.message.as_bytes()[0]))
                .collect(),
        ),
        Reply::Unsubscribed => Said::Unsubscribed,
        Reply::Blocked(_, info) => Said::Blocked(info),
        Reply::Service(id) => Said::Service(id.map(|id| id.as_bytes()[0])),
        Reply::ServiceEnded(set) => Said::ServiceEnded(set.count),
        Reply::AllDelivered => Said::AllDelivered,
        Reply::Answer(_, answer) => match answer {
            Answer::Done => Said::Done,
            Answer::Subscribed(message) => Said::Subscribed(message.as_ref().map(number)),
            Answer::Message(message) => Said::Message(number(&message)),
            Answer::NoMessage => Said::NoMessage,
            Answer::Prohibited => Said::Prohibited,
            Answer::ServiceQueues(set) => Said::ServiceQueues(set.count),
            Answer::Link(..) => panic!("nothing here asks for links"),
            Answer::Blocked(info) => Said::Refused(info),
            Answer::Unauthorized | Answer::IdTaken => Said::Unauthorized,
            Answer::QuotaExceeded => Said::Quota,
            Answer::StoreFailed => Said::Failed,
            Answer::LimitReached => Said::LimitReached,
            Answer::Inspected(inspected, sub) => {
                Said::Inspected(inspected.messages, sub.map(|sub| sub.delivered.map(|id| id.as_bytes()[0])))
            }
        },
    }]
}

#[test]
fn delivers_one_message_at_a_time() {
    let mut world = World::new(|_| ());
    world.subscribe(A, 1);
    assert_eq!(world.take(), [(A, Said::Subscribed(None))]);
    world.send(B, 1);
    world.send(B, 1);
    assert_eq!(world.take(), [(A, Said::Event(1)), (B, Said::Done), (B, Said::Done)]);
    world.acknowledge(A, 1, 2);
    assert_eq!(world.take(), [(A, Said::NoMessage)]);
    world.acknowledge(A, 1, 1);
    assert_eq!(world.take(), [(A, Said::Message(2))]);
    world.acknowledge(A, 1, 2);
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.acknowledge(A, 1, 2);
    assert_eq!(world.take(), [(A, Said::NoMessage)]);
}

#[test]
fn subscriber_on_the_senders_connection_hears_first() {
    let mut world = World::new(|_| ());
    world.subscribe(A, 1);
    world.take();
    world.send(A, 1);
    assert_eq!(world.take(), [(A, Said::Event(1)), (A, Said::Done)]);
}

#[test]
fn a_message_sent_while_the_subscription_is_read_is_not_missed() {
    let mut world = World::new(|_| ());
    world.subscribe(A, 1);
    world.send(B, 1);
    let (subscribe, send) = (world.batches.pop_front().unwrap(), world.batches.pop_front().unwrap());
    let read = world.store.run(subscribe.ops);
    let sent = world.store.run(send.ops);
    // The store's answers arrive the other way round.
    world.input(BrokerInput::StoreDone(send.id, Ok(sent)));
    assert_eq!(world.take(), []);
    world.input(BrokerInput::StoreDone(subscribe.id, Ok(read)));
    assert_eq!(world.take(), [(A, Said::Subscribed(None)), (A, Said::Event(1)), (B, Said::Done)]);
}

#[test]
fn another_connection_takes_the_subscription_over() {
    let mut world = World::new(|_| ());
    let message = world.send(B, 1);
    world.subscribe(A, 1);
    world.take();
    world.subscribe(B, 1);
    assert_eq!(world.take(), [(B, Said::Subscribed(Some(message)))]);
    world.acknowledge(A, 1, message);
    assert_eq!(world.take(), [(A, Said::NoMessage)]);
    world.pass(Duration::from_millis(500));
    assert_eq!(world.take(), [(A, Said::Ended(Ending::TakenOver))]);
    world.ask(A, Request::Delete { tag: 0, queue: queue(1), by: KEY, is_secured: false });
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.pass(Duration::from_millis(500));
    assert_eq!(world.take(), [(B, Said::Ended(Ending::Deleted))]);
    assert_eq!(world.broker.poll_timeout(), None);
}

#[test]
fn taking_a_subscription_back_takes_the_news_of_its_end_back() {
    let mut world = World::new(|_| ());
    for connection in [A, B, A] {
        world.subscribe(connection, 1);
    }
    world.take();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.take(), [(B, Said::Ended(Ending::TakenOver))]);
}

#[test]
fn get_excludes_subscribing_on_one_connection_and_not_on_two() {
    let mut world = World::new(|_| ());
    let (first, second) = (world.send(B, 1), world.send(B, 1));
    world.take();
    world.ask(A, Request::Get { tag: 0, queue: queue(1), by: KEY });
    assert_eq!(world.take(), [(A, Said::Message(first))]);
    world.subscribe(A, 1);
    assert_eq!(world.take(), [(A, Said::Prohibited)]);
    world.subscribe(B, 1);
    assert_eq!(world.take(), [(B, Said::Subscribed(Some(first)))]);
    world.ask(B, Request::Get { tag: 0, queue: queue(1), by: KEY });
    assert_eq!(world.take(), [(B, Said::Prohibited)]);
    world.acknowledge(A, 1, first);
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.acknowledge(B, 1, first);
    assert_eq!(world.take(), [(B, Said::Message(second))]);
    world.ask(A, Request::Inspect { tag: 0, queue: queue(1), by: KEY });
    assert_eq!(world.take(), [(A, Said::Inspected(1, Some(None)))]);
    world.ask(B, Request::Inspect { tag: 0, queue: queue(1), by: KEY });
    assert_eq!(world.take(), [(B, Said::Inspected(1, Some(Some(second))))]);
}

#[test]
fn deliveries_wait_for_slots() {
    let mut world = World::new(|config| config.limits.deliveries_in_flight = 1);
    for n in 1..=3 {
        world.send(B, n);
    }
    world.take();
    for n in 1..=3 {
        world.subscribe(A, n);
    }
    assert_eq!(world.take(), [Some(1), None, None].map(|m| (A, Said::Subscribed(m))));
    world.acknowledge(A, 1, 1);
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.send(B, 1);
    assert_eq!(world.take(), [(B, Said::Done)]);
    for event in [2, 3, 4] {
        world.ask(A, Request::SlotsFree(1));
        assert_eq!(world.take(), [(A, Said::Event(event))]);
    }
    world.ask(A, Request::SlotsFree(1));
    assert_eq!(world.take(), []);
}

/// Each SUB of a queue with a message once put it into the line again, so that the line grew without end.
#[test]
fn a_subscription_waits_for_a_slot_once_however_often_it_is_made() {
    let mut world = World::new(|config| config.limits.deliveries_in_flight = 1);
    for n in 1..=3 {
        world.send(B, n);
        world.subscribe(A, n);
    }
    world.take();
    let waiting = |world: &World| {
        let state = &world.broker.connections[&A];
        state.waiting.values().cloned().collect::<Vec<_>>()
    };
    assert_eq!(waiting(&world), [queue(2), queue(3)]);
    for _ in 0..10 {
        world.subscribe(A, 2);
        assert_eq!(world.take(), [(A, Said::Subscribed(None))]);
    }
    assert_eq!(waiting(&world), [queue(3), queue(2)]);
    // Nor does it wait when it is another connection's, or no more.
    world.subscribe(B, 2);
    world.take();
    assert_eq!(waiting(&world), [queue(3)]);
    world.ask(B, Request::Delete { tag: 0, queue: queue(3), by: KEY, is_secured: false });
    world.take();
    assert_eq!(waiting(&world), []);
}

#[test]
fn subscriptions_that_ended_count_until_they_are_told_of() {
    let mut world = World::new(|config| config.limits.subscriptions = 3);
    for n in 1..=3 {
        world.subscribe(A, n);
        world.subscribe(B, n);
    }
    world.take();
    // Or there could be any number of them.
    world.ask(A, Request::Create { tag: 0, record: Box::new(record(4)), link: None, subscribe: true });
    assert_eq!(world.take(), [(A, Said::LimitReached)]);
    world.pass(Duration::from_millis(500));
    assert_eq!(world.take(), vec![(A, Said::Ended(Ending::TakenOver)); 3]);
    world.ask(A, Request::Create { tag: 0, record: Box::new(record(4)), link: None, subscribe: true });
    assert_eq!(world.take(), [(A, Said::Done)]);
}

#[test]
fn a_message_may_be_acknowledged_while_it_waits_to_be_delivered_again() {
    let mut world = World::new(|config| config.limits.deliveries_in_flight = 1);
    world.subscribe(A, 1);
    let (first, second) = (world.send(B, 1), world.send(B, 1));
    world.take();
    // The slot is taken by the first delivery, so the second SUB finds none.
    world.subscribe(A, 1);
    assert_eq!(world.take(), [(A, Said::Subscribed(None))]);
    world.acknowledge(A, 1, first);
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.ask(A, Request::SlotsFree(1));
    assert_eq!(world.take(), [(A, Said::Event(second))]);

    // The same when the slot is free and the queue is being read.
    world.subscribe(A, 1);
    world.take();
    world.ask(A, Request::SlotsFree(1));
    world.acknowledge(A, 1, second);
    world.acknowledge(A, 1, second);
    assert_eq!(world.take(), [(A, Said::NoMessage), (A, Said::Done)]);
}

#[test]
fn gets_wait_for_slots_too() {
    let mut world = World::new(|config| config.limits.deliveries_in_flight = 1);
    for n in 1..=2 {
        world.send(B, n);
    }
    world.take();
    for n in 1..=2 {
        world.ask(A, Request::Get { tag: 0, queue: queue(n), by: KEY });
    }
    assert_eq!(world.take(), [(A, Said::Message(1))]);
    world.ask(A, Request::SlotsFree(1));
    assert_eq!(world.take(), [(A, Said::Message(2))]);
}

#[test]
fn quota_closes_the_queue_until_it_is_empty() {
    let mut world = World::new(|_| ());
    for _ in 0..4 {
        world.send(B, 1);
    }
    assert_eq!(world.take(), vec![(B, Said::Done); 4]);
    world.send(B, 1);
    world.send(B, 1);
    assert_eq!(world.take(), vec![(B, Said::Quota); 2]);
    world.subscribe(A, 1);
    assert_eq!(world.take(), [(A, Said::Subscribed(Some(1)))]);
    for n in 1..=3 {
        world.acknowledge(A, 1, n);
        assert_eq!(world.take(), [(A, Said::Message(n + 1))]);
    }
    world.acknowledge(A, 1, 4);
    assert_eq!(world.take(), [(A, Said::Message(255))]);
    world.send(B, 1);
    assert_eq!(world.take(), [(B, Said::Quota)]);
    world.acknowledge(A, 1, 5);
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.send(B, 1);
    assert_eq!(world.take(), [(A, Said::Event(8)), (B, Said::Done)]);
}

#[test]
fn an_append_whose_answer_was_lost_is_delivered_all_the_same() {
    let mut world = World::new(|_| ());
    world.subscribe(A, 1);
    world.take();
    let message = world.send(B, 1);
    let batch = world.batches.pop_front().unwrap();
    world.store.run(batch.ops);
    world.input(BrokerInput::StoreDone(batch.id, Err(StoreFailure)));
    assert_eq!(world.take(), [(B, Said::Failed)]);
    world.pass(READ_AGAIN);
    assert_eq!(world.take(), [(A, Said::Event(message))]);
}

#[test]
fn an_operation_that_fails_alone_fails_its_command_only() {
    let mut world = World::new(|_| ());
    let get = |n| Request::Get { tag: 0, queue: queue(n), by: KEY };
    world.input(BrokerInput::Request(A, BrokerRequest(vec![get(1), get(2), get(3)])));
    let batch = world.batches.pop_front().unwrap();
    let results = vec![OpResult::Message(None), OpResult::Failed, OpResult::Message(None)];
    world.input(BrokerInput::StoreDone(batch.id, Ok(results)));
    assert_eq!(world.take(), [(A, Said::Done), (A, Said::Failed), (A, Said::Done)]);
    assert_eq!(world.broker.connections[&A].slots_taken, 0);
}

#[test]
fn a_failed_acknowledgement_can_be_repeated() {
    let mut world = World::new(|_| ());
    world.subscribe(A, 1);
    let message = world.send(B, 1);
    world.take();
    world.acknowledge(A, 1, message);
    let batch = world.batches.pop_front().unwrap();
    world.input(BrokerInput::StoreDone(batch.id, Err(StoreFailure)));
    assert_eq!(world.take(), [(A, Said::Failed)]);
    world.acknowledge(A, 1, message);
    assert_eq!(world.take(), [(A, Said::Done)]);
}

#[test]
fn a_failed_acknowledgement_of_a_get_can_be_repeated() {
    let mut world = World::new(|_| ());
    let message = world.send(B, 1);
    world.get(A, 1);
    world.take();
    world.acknowledge(A, 1, message);
    let batch = world.batches.pop_front().unwrap();
    world.input(BrokerInput::StoreDone(batch.id, Err(StoreFailure)));
    assert_eq!(world.take(), [(A, Said::Failed)]);
    world.acknowledge(A, 1, message);
    assert_eq!(world.take(), [(A, Said::Done)]);
    world.acknowledge(A, 1, message);
    assert_eq!(world.take(), [(A, Said::NoMessage)]);
}

#[test]
fn a_get_before_the_answer_to_an_acknowledgement_brings_nothing_back() {
    let mut world = World::new(|_| ());
    let message = world.send(B, 1);
    world.get(A, 1);
    world.take();
    world.get(A, 1);
    world.acknowledge(A, 1, message);
    assert_eq!(world.take(), [(A, Said::Message(message)), (A, Said::Done)]);
    world.acknowledge(A, 1, message);
    assert_eq!(world.take(), [(A, Said::NoMessage)]);
}

#[test]
fn a_get_that_finds_nothing_forgets_what_another_delivered() {
    let mut world = World::new(|_| ());
    let message = world.send(B, 1);
    world.get(A, 1);
    world.take();
    // The recipient's other connection acknowledges it.
    world.get(B, 1);
    world.take();
    world.acknowledge(B, 1, message);
    world.take();
    world.get(A, 1);
    world.ask(A, Request::Inspect { tag: 0, queue: queue(1), by: KEY });
    assert_eq!(world.take(), [(A, Said::Done), (A, Said::Inspected(0, Some(None)))]);
    world.acknowledge(A, 1, message);
    assert_eq!(world.take(), [(A, Said::NoMessage)]);
}

#[test]
fn news_of_ended_subscriptions_wait_for_slots() {
    let queues = 2 * connection::ENDED_PER_SLOT + 1;
    let mut world = World::new(|config| config.limits.deliveries_in_flight = 1);
    let id = |n: usize| EntityId::new(&[&[0; 16], &n.to_be_bytes()[..]].concat()).unwrap();
    for (connection, n) in [A, B].into_iter().flat_map(|c| (0..queues).map(move |n| (c, n))) {
        let record = QueueRecord { recipient: id(n), sender: id(queues + n), ..record(0) };
        world.store.run(vec![create(record)]);
        world.ask(connection, Request::Subscribe { tag: 0, queue: id(n), by: KEY });
        world.settle();
    }
    world.subscribe(A, 1);
    world.take();
    world.pass(Duration::from_millis(500));
    let message = world.send(B, 1);
    for count in [connection::ENDED_PER_SLOT, connection::ENDED_PER_SLOT, 1] {
        let said: Vec<_> = world.take().into_iter().filter(|(who, _)| *who == A).collect();
        assert_eq!(said, vec![(A, Said::Ended(Ending::TakenOver)); count]);
        world.ask(A, Request::SlotsFree(1));
    }
    assert_eq!(world.take(), [(A, Said::Event(message))]);
    assert_eq!(world.broker.connections[&A].slots_taken, 1);
}

#[test]
fn an_empty_acknowledgement_delivers_again() {
    let mut world = World::new(|_| ());
    world.subscribe(A, 1);
    let message = world.send(B, 1);
    world.take();
    world.ask(A, Request::Acknowledge { tag: 0, queue: queue(1), by: KEY, message: MessageId::empty() });
    assert_eq!(world.take(), [(A, Said::Message(message))]);
}

#[test]
fn nothing_is_left_of_a_connection_that_ended() {
    let mut world = World::new(|_| ());
    world.send(B, 1);
    world.subscribe(A, 1);
    world.subscribe(A, 2);
    world.take();
    world.subscribe(A, 3);
    world.input(BrokerInput::Disconnected(A));
    world.take();
    assert_eq!(world.broker.subscriptions(), 0);
    world.ask(B, Request::CloseIfUnsubscribed);
    assert_eq!(world.take(), [(B, Said::Unsubscribed)]);
    world.input(BrokerInput::Disconnected(B));
    assert!(world.broker.connections.is_empty() && world.broker.batches.is_empty());
}

#[test]
fn limits_hold() {
    let mut world = World::new(|config| (config.limits.subscriptions, config.limits.get_queues) = (1, 1));
    world.subscribe(A, 1);
    world.subscribe(A, 1);
    world.subscribe(A, 2);
    let answers = world.take();
    assert_eq!(answers.iter().filter(|(_, said)| *said == Said::LimitReached).count(), 1);
    for (n, subscribe, said) in [(4, true, Said::LimitReached), (5, false, Said::Done)] {
        world.ask(A, Request::Create { tag: 0, record: Box::new(record(n)), link: None, subscribe });
        assert_eq!(world.take(), [(A, said)]);
    }
    world.ask(A, Request::Get { tag: 0, queue: queue(2), by: KEY });
    world.ask(A, Request::Get { tag: 0, queue: queue(3), by: KEY });
    assert_eq!(world.take(), [(A, Said::LimitReached), (A, Said::Done)]);
}

#[test]
fn old_messages_expire_at_start_and_at_intervals() {
    let mut world = World::new(|config| {
        config.message_ttl = Some(Duration::from_secs(10));
        config.limits.expiry_queues = 1;
    });
    for n in 1..=3 {
        world.send(B, n);
    }
    world.take();
    world.now.unix = UnixTime::from_secs(100);
    world.pass(Duration::from_secs(7200));
    world.take();
    assert!(
        matches!(world.store.run(vec![QueueOp::Count])[0], OpResult::Counts(counts) if counts.messages == 0)
    );
    assert!(world.broker.poll_timeout() > Some(world.now.mono));
}
