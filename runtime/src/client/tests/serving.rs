//! What a server owes its clients: answers when it stops, and no waiting for one another.

use std::sync::Mutex;

use smp_core::client::{CloseReason, Request, RequestError};

use super::*;
use crate::Runtime;
use crate::server::Stopped;

type Stop = Arc<Mutex<Option<Stopped>>>;

impl World {
    /// Begins to stop the server.
    fn stop(&mut self, grace: Duration) -> Stop {
        let stopped = Stop::default();
        let (server, result) = (self.server.take().unwrap(), Arc::clone(&stopped));
        self.runtime.spawn(async move {
            let stopped = server.stop(grace).await.unwrap();
            *result.lock().unwrap() = Some(stopped);
        });
        self.runtime.run();
        stopped
    }
}

fn create(client: &Client, seed: u8) -> PendingAnswer {
    let keys = QueueKeys::generate(&mut SeededEntropy::new([seed; 32]));
    client.request(Request::create(keys.new_queue(SubscriptionMode::OnlyCreate), keys.auth.clone()))
}

#[test]
fn a_server_that_stops_answers_what_it_was_asked() {
    let mut world = World::new();
    let (busy, _busy_events) = world.connect(1);
    let (idle, mut idle_events) = world.connect(2);
    world.store.hold(true);
    let pending = create(&busy, 1);
    world.runtime.run();
    let stopped = world.stop(30 * SECOND);
    world.runtime.advance(2 * SECOND);
    assert!(stopped.lock().unwrap().is_none());
    let refused = world.run({
        let connector = world.connector(3);
        async move { connector.connect(&server_address()).await.err() }
    });
    assert_eq!(refused, Some(ConnectError::Io(io::ErrorKind::ConnectionRefused)));

    world.store.hold(false);
    let answered = world.run(pending);
    assert!(answered.is_ok(), "{answered:?}");
    world.runtime.run();
    assert_eq!(stopped.lock().unwrap().as_ref().map(|stopped| stopped.cut), Some(0));
    assert!(world.store.is_closed());
    let closed = Disconnect::Closed(CloseReason::ServerClosed);
    assert_eq!(world.run(async move { idle_events.next().await }), Err(closed));
    drop((busy, idle));
    world.runtime.run();
    assert_eq!(world.runtime.tasks(), 0);
}

#[test]
fn a_server_that_must_stop_cuts_what_is_not_done_in_time() {
    let mut world = World::new();
    let (busy, _events) = world.connect(1);
    world.store.hold(true);
    let pending = create(&busy, 1);
    world.runtime.run();
    let stopped = world.stop(3 * SECOND);
    world.runtime.advance(3 * SECOND);
    assert_eq!(stopped.lock().unwrap().as_ref().map(|stopped| stopped.cut), Some(1));
    assert!(world.store.is_closed());
    assert_eq!(world.run(pending), Err(RequestError::OutcomeUnknown));
}

#[test]
fn a_client_that_does_not_read_delays_nobody_and_is_closed() {
    let world = World::new();
    let (alice, events) = world.connect(1);
    let (bob, _bobs_events) = world.connect(2);
    // It reads until the first event, which it leaves waiting.
    let limits = EventLimits { soft: 1, hard: 1 };
    let (stuck, stuck_events) = world.connect_with(3, ClientLimits::default(), limits);
    let queues = world.run({
        let (alice, stuck) = (alice.clone(), stuck.clone());
        async move {
            let mut queues = Vec::new();
            for seed in 0..30 {
                let queue = Queue::create(&alice, seed, SubscriptionMode::OnlyCreate).await;
                let (id, key) = queue.recipient();
                stuck.subscribe(id, key).await.unwrap();
                queues.push(queue);
            }
            queues
        }
    });
    let before = world.runtime.now().mono;
    let runtime = world.runtime.clone();
    world.run(async move {
        for queue in &queues {
            queue.send(&bob, b"to a client that does not read").await.unwrap();
        }
        assert_eq!(runtime.now().mono, before, "nobody waited");
        alice.ping().await.unwrap();
    });
    drop(events);
    world.runtime.run();
    assert_eq!(world.connections(), 1);
    world.runtime.advance(ServerConfig::default().limits.stalled_output);
    assert_eq!(world.connections(), 0);
    drop((stuck, stuck_events));
}
