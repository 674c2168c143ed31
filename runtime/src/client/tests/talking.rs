//! Commands and events of a connection.

use smp_core::client::{ClientEvent, CloseReason, ReceivedMessage, Rejection, RequestError};
use smp_core::wire::error::ErrorType;
use smp_core::wire::message::ReceivedBody;

use super::*;
use crate::Runtime;

pub(super) fn body_of(queue: &Queue, message: &ReceivedMessage) -> Vec<u8> {
    let secret = queue.keys.secret(&queue.ids).unwrap();
    match message.open(&secret).unwrap() {
        ReceivedBody::Message { body, .. } => body.to_vec(),
        ReceivedBody::QuotaExceeded { .. } => panic!("the queue is not full"),
    }
}

fn one_command() -> ClientLimits {
    let mut limits = ClientLimits::default();
    limits.commands = 1;
    limits
}

pub(super) async fn next_message(events: &mut Events, queue: &Queue) -> ReceivedMessage {
    match events.next().await.unwrap() {
        ClientEvent::Message(id, message) if id == queue.ids.recipient_id => message,
        other => panic!("another event: {other:?}"),
    }
}

#[test]
fn a_queue_lives_from_its_creation_to_its_deletion() {
    let world = World::new();
    let (alice, mut events) = world.connect(1);
    let (bob, _bobs_events) = world.connect(2);
    world.run(async move {
        let queue = Queue::create(&alice, 1, SubscriptionMode::Subscribe).await;
        let (id, key) = queue.recipient();
        queue.send(&bob, b"unsecured").await.unwrap();
        let first = next_message(&mut events, &queue).await;
        assert_eq!(body_of(&queue, &first), b"unsecured");

        let bobs_key = auth_key(9);
        alice.secure(id.clone(), key.clone(), bobs_key.public()).await.unwrap();
        let refused = queue.send(&bob, b"without the key").await;
        assert_eq!(refused, Err(RequestError::Server(ErrorType::Auth)));
        let sender = queue.ids.sender_id.clone();
        bob.send(sender, Some(bobs_key), NO_FLAGS, "secured".into()).await.unwrap();
        let info = alice.queue_info(id.clone(), key.clone()).await.unwrap();
        assert_eq!(info.size, 2);

        // The next message comes with the answer to the acknowledgement of the first.
        let second = alice.acknowledge(id.clone(), key.clone(), first.id).await.unwrap().unwrap();
        assert_eq!(body_of(&queue, &second), b"secured");
        assert_eq!(alice.acknowledge(id.clone(), key.clone(), second.id).await, Ok(None));

        alice.suspend(id.clone(), key.clone()).await.unwrap();
        alice.delete(id.clone(), key.clone()).await.unwrap();
        let gone = alice.subscribe(id, key).await;
        assert_eq!(gone, Err(RequestError::Server(ErrorType::Auth)));
        alice.ping().await.unwrap();
    });
}

#[test]
fn a_message_is_received_without_a_subscription() {
    let world = World::new();
    let (client, _events) = world.connect(1);
    world.run(async move {
        let queue = Queue::create(&client, 1, SubscriptionMode::OnlyCreate).await;
        let (id, key) = queue.recipient();
        assert_eq!(client.receive(id.clone(), key.clone()).await, Ok(None));
        queue.send(&client, b"hello").await.unwrap();
        let message = client.receive(id, key).await.unwrap().unwrap();
        assert_eq!(body_of(&queue, &message), b"hello");
    });
}

#[test]
fn many_queues_are_subscribed_to_at_once() {
    let world = World::new();
    let (alice, mut alices_events) = world.connect(1);
    let (tablet, _events) = world.connect(2);
    world.run(async move {
        let mut queues = Vec::new();
        for seed in 0..100 {
            queues.push(Queue::create(&alice, seed, SubscriptionMode::Subscribe).await);
        }
        let mut requests: Vec<_> = queues.iter().map(Queue::recipient).collect();
        requests.insert(50, (queues[0].ids.sender_id.clone(), auth_key(0)));
        let outcomes = tablet.subscribe_all(requests).await;
        assert_eq!(outcomes.len(), 101);
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let expected = if at == 50 { Err(RequestError::Server(ErrorType::Auth)) } else { Ok(None) };
            assert_eq!(outcome, expected);
        }
        for _ in &queues {
            assert!(matches!(alices_events.next().await, Ok(ClientEvent::End(_))));
        }
    });
}

#[test]
fn a_dropped_future_leaves_no_command_behind() {
    let world = World::new();
    let limits = one_command();
    let (client, _events) = world.connect_with(1, limits, EventLimits::default());
    world.store.hold(true);
    for seed in 0..5 {
        let keys = QueueKeys::generate(&mut SeededEntropy::new([seed; 32]));
        let new = keys.new_queue(SubscriptionMode::OnlyCreate);
        let pending = client.request(smp_core::client::Request::create(new, keys.auth.clone()));
        if seed % 2 == 0 {
            world.runtime.run();
        }
        let rejected = client.request(smp_core::client::Request::ping());
        let rejected = world.run(rejected);
        assert_eq!(rejected, Err(RequestError::Rejected(Rejection::TooManyCommands)));
        drop(pending);
    }
    world.store.hold(false);
    world.run(async move { client.ping().await.unwrap() });
}

#[test]
fn waiting_events_stop_the_reading_and_none_is_lost() {
    let world = World::new();
    let limits = EventLimits { soft: 2, hard: 8 };
    let (slow, mut events) = world.connect_with(1, ClientLimits::default(), limits);
    let (sender, _events) = world.connect(2);
    let (queues, slow) = world.run(async move {
        let mut queues = Vec::new();
        for seed in 0..40 {
            queues.push(Queue::create(&slow, seed, SubscriptionMode::Subscribe).await);
        }
        for queue in &queues {
            queue.send(&sender, b"message").await.unwrap();
        }
        (queues, slow)
    });
    // What is read together is taken together: two blocks, and what was there of a third.
    assert!((2..=5).contains(&events.0.waiting_events()));
    // While a command waits for its answer there may be more, up to the other limit.
    let pending = slow.request(smp_core::client::Request::ping());
    world.runtime.run();
    assert!((8..=11).contains(&events.0.waiting_events()));

    let taken = world.run(async move {
        let (mut taken, mut answers) = (Vec::new(), vec![pending]);
        while taken.len() < queues.len() {
            let Ok(ClientEvent::Message(id, message)) = events.next().await else { panic!("the end") };
            let queue = queues.iter().find(|queue| queue.ids.recipient_id == id).unwrap();
            let (id, key) = queue.recipient();
            answers.push(slow.request(smp_core::client::Request::acknowledge(id.clone(), key, message.id)));
            taken.push(id);
        }
        for answer in answers {
            answer.await.unwrap();
        }
        taken.sort();
        taken.dedup();
        taken.len()
    });
    assert_eq!(taken, 40);
}

#[test]
fn without_a_listener_events_hold_nothing_up() {
    let world = World::new();
    let limits = EventLimits { soft: 1, hard: 1 };
    let (client, events) = world.connect_with(1, ClientLimits::default(), limits);
    drop(events);
    world.run(async move {
        for seed in 0..20 {
            let queue = Queue::create(&client, seed, SubscriptionMode::Subscribe).await;
            queue.send(&client, b"unheard").await.unwrap();
        }
    });
}

#[test]
fn closing_ends_what_waits_and_all_that_comes_after() {
    let world = World::new();
    let (client, mut events) = world.connect(1);
    let tasks = world.runtime.tasks();
    world.store.hold(true);
    let keys = QueueKeys::generate(&mut SeededEntropy::new([1; 32]));
    let new = keys.new_queue(SubscriptionMode::OnlyCreate);
    let pending = client.request(smp_core::client::Request::create(new, keys.auth.clone()));
    world.runtime.run();
    world.run(async move {
        let how = Disconnect::Closed(CloseReason::Requested);
        assert_eq!(client.close().await, how);
        assert_eq!(pending.await, Err(RequestError::OutcomeUnknown));
        assert_eq!(client.ping().await, Err(RequestError::Rejected(Rejection::Closed)));
        assert_eq!(events.next().await, Err(how.clone()));
        assert_eq!(events.next().await, Err(how));
    });
    world.store.hold(false);
    world.runtime.run();
    assert_eq!(world.connections(), 0);
    assert_eq!(world.runtime.tasks(), tasks - 2, "the client's and the server's task of the connection");
}

#[test]
fn the_last_handle_closes_the_connection() {
    let world = World::new();
    let (client, _events) = world.connect(1);
    let other = client.clone();
    drop(client);
    world.runtime.run();
    assert_eq!(world.connections(), 1);
    let pending = other.request(smp_core::client::Request::ping());
    drop(other);
    assert_eq!(world.run(pending), Ok(smp_core::client::Answer::Done));
    world.runtime.run();
    assert_eq!(world.connections(), 0);
}

#[test]
fn a_server_that_goes_away_ends_the_connection() {
    let mut world = World::new();
    let (client, mut events) = world.connect(1);
    world.store.hold(true);
    let keys = QueueKeys::generate(&mut SeededEntropy::new([1; 32]));
    let new = keys.new_queue(SubscriptionMode::OnlyCreate);
    let pending = client.request(smp_core::client::Request::create(new, keys.auth.clone()));
    world.runtime.run();
    world.crash();
    world.run(async move {
        assert_eq!(pending.await, Err(RequestError::OutcomeUnknown));
        let how = client.closed().await;
        assert!(matches!(how, Disconnect::Closed(CloseReason::ServerClosed) | Disconnect::Io(_)), "{how:?}");
        assert_eq!(events.next().await, Err(how));
    });
}

#[test]
fn a_silent_server_lets_commands_time_out_and_nothing_leak() {
    let world = World::new();
    let limits = one_command();
    let (client, _events) = world.connect_with(1, limits, EventLimits::default());
    world.store.hold(true);
    let before = world.runtime.now().mono;
    let runtime = world.runtime.clone();
    world.run(async move {
        let keys = QueueKeys::generate(&mut SeededEntropy::new([1; 32]));
        let new = keys.new_queue(SubscriptionMode::OnlyCreate);
        let outcome = client.create_queue(new, keys.auth.clone()).await;
        assert_eq!(outcome.err(), Some(RequestError::Timeout));
        assert_eq!(runtime.now().mono.since(before), ClientLimits::default().answer);
        client.ping().await.unwrap();
    });
}
