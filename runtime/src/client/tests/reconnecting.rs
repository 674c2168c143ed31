//! A connection that comes back.

use smp_core::client::ClientEvent;

use super::*;
use crate::Runtime;

fn reconnecting(world: &World, seed: u8) -> (ReconnectingClient, Reconnecting<TestRuntime>) {
    world.connector(seed).reconnecting(server_address(), ReconnectLimits::default()).unwrap()
}

#[test]
fn comes_back_with_its_subscriptions() {
    let mut world = World::new();
    let (client, mut events) = reconnecting(&world, 1);
    let (queue, lost, mut events) = world.run({
        let client = client.clone();
        async move {
            assert!(client.client().is_none());
            assert!(matches!(events.next().await, ReconnectEvent::Connected(_)));
            let connected = client.client().unwrap();
            let queue = Queue::create(&connected, 1, SubscriptionMode::OnlyCreate).await;
            let lost = Queue::create(&connected, 2, SubscriptionMode::OnlyCreate).await;
            for queue in [&queue, &lost] {
                let (id, key) = queue.recipient();
                client.subscribe(id.clone(), key);
                assert!(matches!(events.next().await, ReconnectEvent::Subscribed(it, None) if it == id));
            }
            (queue, lost, events)
        }
    });
    world.crash();
    let mut events = world.run(async move {
        assert!(matches!(events.next().await, ReconnectEvent::Disconnected(_)));
        for _ in 0..3 {
            assert!(matches!(events.next().await, ReconnectEvent::ConnectFailed(_)));
        }
        events
    });
    assert!(client.client().is_none());

    world.start(ServerConfig::default());
    let (other, _others_events) = world.connect(2);
    world.run(async move {
        // While the client is away, one queue gets a message and the other one is deleted.
        let (id, key) = lost.recipient();
        other.delete(id.clone(), key).await.unwrap();
        queue.send(&other, b"hello").await.unwrap();

        assert!(matches!(events.next().await, ReconnectEvent::Connected(_)));
        let (mut subscribed, mut message, mut refused) = (false, false, false);
        while !(subscribed && message && refused) {
            match events.next().await {
                ReconnectEvent::Subscribed(it, waiting) => {
                    assert!(it == queue.ids.recipient_id);
                    subscribed = true;
                    message |= waiting.is_some();
                }
                ReconnectEvent::Server(ClientEvent::Message(it, _)) => {
                    assert!(it == queue.ids.recipient_id);
                    message = true;
                }
                ReconnectEvent::NotSubscribed { queue, again: false, .. } => {
                    assert!(queue == id);
                    refused = true;
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_subscription_that_failed_for_now_is_tried_again() {
    let world = World::new();
    let (client, mut events) = reconnecting(&world, 1);
    let store = world.store.clone();
    world.run(async move {
        assert!(matches!(events.next().await, ReconnectEvent::Connected(_)));
        let queue = Queue::create(&client.client().unwrap(), 1, SubscriptionMode::OnlyCreate).await;
        let (id, key) = queue.recipient();
        store.plan([crate::tests::Work::Fail]);
        client.subscribe(id.clone(), key);
        let failed = events.next().await;
        assert!(matches!(failed, ReconnectEvent::NotSubscribed { again: true, .. }), "{failed:?}");
        assert!(matches!(events.next().await, ReconnectEvent::Subscribed(it, None) if it == id));
    });
}

#[test]
fn a_subscription_that_was_taken_over_is_not_taken_back() {
    let mut world = World::new();
    let (client, mut events) = reconnecting(&world, 1);
    let (other, _others_events) = world.connect(2);
    let mut events = world.run(async move {
        assert!(matches!(events.next().await, ReconnectEvent::Connected(_)));
        let queue = Queue::create(&client.client().unwrap(), 1, SubscriptionMode::OnlyCreate).await;
        let (id, key) = queue.recipient();
        client.subscribe(id.clone(), key.clone());
        assert!(matches!(events.next().await, ReconnectEvent::Subscribed(..)));
        other.subscribe(id.clone(), key).await.unwrap();
        let ended = events.next().await;
        assert!(matches!(ended, ReconnectEvent::Server(ClientEvent::End(it)) if it == id));
        events
    });
    world.crash();
    world.start(ServerConfig::default());
    let events = world.run(async move {
        assert!(matches!(events.next().await, ReconnectEvent::Disconnected(_)));
        assert!(matches!(events.next().await, ReconnectEvent::Connected(_)));
        events
    });
    world.runtime.run();
    assert!(events.subscribing.is_empty());
}

#[test]
fn attempts_grow_rarer_and_clients_are_not_in_lockstep() {
    let mut world = World::new();
    world.crash();
    let limits = ReconnectLimits::default();
    let attempts = |seed: u8| {
        let (_client, mut events) = reconnecting(&world, seed);
        let runtime = world.runtime.clone();
        world.run(async move {
            let mut waits = Vec::new();
            let mut last = runtime.now().mono;
            for _ in 0..12 {
                assert!(matches!(events.next().await, ReconnectEvent::ConnectFailed(_)));
                waits.push(runtime.now().mono.since(last));
                last = runtime.now().mono;
            }
            waits
        })
    };
    let (first, second) = (attempts(1), attempts(2));
    assert_ne!(first[1..], second[1..]);
    assert!(first[0].is_zero());
    for (at, wait) in first[1..].iter().enumerate() {
        let delay = limits.delay_min.saturating_mul(1 << at).min(limits.delay_max);
        assert!(*wait >= delay / 2 && *wait <= delay, "attempt {at} after {wait:?}");
    }
}
