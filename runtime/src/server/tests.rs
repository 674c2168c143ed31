//! The shell of the server on a runtime in memory.

mod front;
mod limits;
mod names;
mod peer;
mod relays;
mod web;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smp_core::server::store::StoreFailure;
use smp_core::server::{BrokerInput, CloseReason, Limits, Moderation, ServerConfig};

use super::*;
use crate::testing::{CAPACITY, Fault, TestRuntime, TestStream};
use crate::tests::{LISTENS_ON, TestStore, Work, transport};
use peer::Peer;

struct World {
    runtime: TestRuntime,
    store: TestStore,
    events: Arc<Mutex<Vec<ServerEvent>>>,
    server: Option<ServerHandle<TestRuntime, TestStore>>,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self::with_store(limits, TestStore::default())
    }

    fn with_store(limits: Limits, store: TestStore) -> Self {
        Self::serving(limits, store, Endpoint::smp(LISTENS_ON))
    }

    fn serving(limits: Limits, store: TestStore, endpoint: Endpoint) -> Self {
        let runtime = TestRuntime::default();
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let mut config = ServerConfig::default();
        config.notification_ttl = None;
        config.limits = limits;
        let server = Server::new(runtime.clone(), store.clone(), transport(), config)
            .seed([7; 32])
            .on_event(move |event| seen.lock().unwrap().push(event));
        let server = runtime.block_on(async move { server.serve_on(&[endpoint]).await.unwrap() });
        runtime.run();
        Self { runtime, store, events, server: Some(server) }
    }

    fn connect(&self, from: &str) -> TestStream {
        let stream = self.runtime.connect_from(from.parse::<IpAddr>().unwrap(), LISTENS_ON).unwrap();
        self.runtime.run();
        stream
    }

    fn events(&self) -> Vec<ServerEvent> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    fn closed(&self) -> Vec<Disconnect> {
        let closed = |event| match event {
            ServerEvent::Closed(_, how) => Some(how),
            _ => None,
        };
        self.events().into_iter().filter_map(closed).collect()
    }

    fn connections(&self) -> usize {
        self.server.as_ref().unwrap().connections()
    }

    fn stop(&mut self, grace: Duration) -> Result<Stopped, StoreFailure> {
        let server = self.server.take().unwrap();
        self.runtime.block_on(server.stop(grace))
    }
}

#[test]
fn refuses_connections_above_the_limits() {
    let world = World::new(Limits { connections: 3, connections_per_address: 2, ..Limits::default() });
    let first = world.connect("192.0.2.1");
    let _second = world.connect("192.0.2.1");
    let refused = world.connect("192.0.2.1");
    assert!(refused.is_at_end());
    let _third = world.connect("192.0.2.2");
    assert!(world.connect("192.0.2.3").is_at_end());
    assert_eq!(world.connections(), 3);
    let events = world.events();
    assert!(events.contains(&ServerEvent::Refused(Refusal::AddressFull)));
    assert!(events.contains(&ServerEvent::Refused(Refusal::Full)));

    first.break_other_side(Fault::Error(io::ErrorKind::ConnectionReset));
    world.runtime.run();
    assert_eq!(world.closed(), [Disconnect::Io(io::ErrorKind::ConnectionReset)]);
    assert_eq!(world.connections(), 2);
    assert!(!world.connect("192.0.2.1").is_at_end());
}

#[test]
fn waits_longer_after_each_failed_accept_and_then_goes_on() {
    let world = World::new(Limits::default());
    for _ in 0..10 {
        world.runtime.fail_accept(LISTENS_ON, io::ErrorKind::Other);
    }
    let failed = |world: &World| {
        let events = world.events();
        events.iter().filter(|event| matches!(event, ServerEvent::AcceptFailed(_))).count()
    };
    world.runtime.run();
    assert_eq!(failed(&world), 1);
    // 10 + 20 + 40 + 80 milliseconds.
    world.runtime.advance(Duration::from_millis(151));
    assert_eq!(failed(&world), 4);
    // 160 + 320 + 640 + 1000 + 1000 milliseconds.
    world.runtime.advance(Duration::from_secs(10));
    assert_eq!(failed(&world), 5);
    world.connect("192.0.2.1");
    assert_eq!(world.connections(), 1);
}

#[test]
fn does_not_wait_after_the_error_of_a_single_connection() {
    let world = World::new(Limits::default());
    for _ in 0..100 {
        world.runtime.fail_accept(LISTENS_ON, io::ErrorKind::ConnectionAborted);
    }
    world.connect("192.0.2.1");
    assert_eq!(world.connections(), 1);
}

#[test]
fn a_panic_of_a_connection_touches_no_other() {
    let world = World::new(Limits::default());
    let (first, other) = (world.connect("192.0.2.1"), world.connect("192.0.2.2"));
    first.break_other_side(Fault::Panic);
    world.runtime.run();
    assert_eq!(world.closed(), [Disconnect::Panicked]);
    assert_eq!(world.connections(), 1);
    assert!(first.is_at_end() && !other.is_at_end());
    assert!(!world.connect("192.0.2.3").is_at_end());
}

#[test]
fn a_connection_is_held_once_and_not_several_times() {
    let world = World::new(Limits::default());
    let _connection = world.connect("192.0.2.1");
    let connection = size_of::<connection::Connection<TestRuntime, TestStore>>();
    assert!(world.runtime.largest_task() < connection + 512);
}

#[test]
fn tells_the_broker_the_time() {
    let world = World::new(Limits::default());
    assert_eq!(world.store.batches(), 1, "expiry on start");
    world.runtime.advance(Duration::from_secs(7199));
    assert_eq!(world.store.batches(), 1);
    world.runtime.advance(Duration::from_secs(1));
    assert_eq!(world.store.batches(), 2);
}

#[test]
fn answers_a_batch_whatever_the_store_does_with_it() {
    for work in [Work::Fail, Work::Panic, Work::PanicLater] {
        let store = TestStore::default();
        store.plan([work]);
        let world = World::with_store(Limits::default(), store);
        assert_eq!(world.events(), [ServerEvent::StoreFailed]);
        world.runtime.advance(Duration::from_secs(7200));
        assert_eq!(world.store.batches(), 2);
        assert_eq!(world.events(), []);
    }
}

#[test]
fn nobody_reads_while_the_store_is_behind() {
    let world = World::new(Limits::default());
    world.store.fill(true);
    // The batch of the next expiry waits, and with it every connection.
    world.runtime.advance(Duration::from_secs(7200));
    assert_eq!(world.store.batches(), 1);
    let connection = world.connect("192.0.2.1");
    assert_eq!(connection.give(&[0; CAPACITY]), CAPACITY);
    world.runtime.run();
    assert_eq!(connection.give(&[0]), 0, "nothing was read");
    world.store.fill(false);
    world.runtime.run();
    assert_eq!(world.store.batches(), 2);
    assert_eq!(connection.give(&[0]), 1, "it was read");
}

#[test]
fn ends_handshakes_that_take_too_long_and_peers_that_do_not_go() {
    let world = World::new(Limits::default());
    let connection = world.connect("192.0.2.1");
    world.runtime.advance(Duration::from_secs(9));
    assert_eq!(world.closed(), []);
    world.runtime.advance(Duration::from_secs(1));
    connection.take();
    assert!(connection.is_at_end(), "the server has ended its side and waits for the peer");
    assert_eq!(world.connections(), 1);
    world.runtime.advance(Limits::default().closing_timeout);
    assert_eq!(world.closed(), [Disconnect::Session(CloseReason::Handshake)]);
    assert_eq!(world.connections(), 0);
    let counters = world.server.as_ref().unwrap().counters();
    assert_eq!((counters.accepted, counters.failed_handshakes, counters.closed), (1, 1, 1));
    assert_eq!((counters.handshakes, counters.refused, counters.open()), (0, 0, 0));
}

#[test]
fn look_ups_end_with_the_session_that_waits_for_them() {
    let world = World::new(Limits::default());
    let mut peer = Peer::connect(&world, "192.0.2.1");
    let before = world.store.holders();
    world.store.hold(true);
    peer.bad_commands(&world, 1);
    world.runtime.run();
    assert!(world.store.holders() > before);
    peer.stream.give(b"no TLS");
    world.runtime.run();
    assert_eq!(world.connections(), 1, "the peer has not ended its side");
    assert_eq!(world.store.holders(), before);
}

#[test]
fn stops_without_leaving_a_task() {
    let mut world = World::new(Limits::default());
    let connection = world.connect("192.0.2.1");
    let stopped = world.stop(Duration::from_secs(1)).unwrap();
    assert_eq!(stopped.cut, 1, "the peer did not end its side");
    assert!(world.store.is_closed());
    connection.take();
    assert!(connection.is_at_end());
    assert!(world.runtime.connect_from([192, 0, 2, 2].into(), LISTENS_ON).is_err());
    assert_eq!(world.runtime.tasks(), 0);
}

#[test]
fn a_panic_of_the_broker_ends_the_server_and_says_so() {
    let mut world = World::new(Limits::default());
    let connection = world.connect("192.0.2.1");
    world.events();
    let server = world.server.take().unwrap();
    world.store.hold(true);
    let (hub, moderated) = (Arc::clone(&server.hub), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&moderated);
    let delete = Moderation::Delete([1; 24].into());
    world.runtime.spawn(async move { *slot.lock().unwrap() = Some(hub.moderate(delete).await) });
    world.runtime.run();
    assert_eq!(*moderated.lock().unwrap(), None, "the store has not answered");
    // What panics here does so where the broker would, under its lock.
    let panics = std::iter::from_fn(|| -> Option<BrokerInput> { panic!("the broker was told to") });
    assert!(server.hub.handle(panics).is_err());
    let server = world.runtime.block_on(async move {
        server.failed().await;
        server
    });
    world.runtime.run();
    assert!(connection.is_at_end());
    assert_eq!(*moderated.lock().unwrap(), Some(Err(StoreFailure)));
    world.store.hold(false);
    world.runtime.run();
    assert_eq!(world.runtime.tasks(), 0);
    assert_eq!(world.events()[0], ServerEvent::Failed);
    let stopped = world.runtime.block_on(server.stop(Duration::from_secs(1)));
    assert_eq!(stopped.map(|stopped| stopped.cut), Ok(0));
}

#[test]
fn a_dropped_handle_ends_every_task() {
    let mut world = World::new(Limits::default());
    let connection = world.connect("192.0.2.1");
    drop(world.server.take());
    world.runtime.run();
    assert!(connection.is_at_end());
    assert_eq!(world.closed(), [Disconnect::Cut]);
    assert_eq!(world.runtime.tasks(), 0);
}

#[test]
fn listens_on_all_addresses_or_on_none() {
    let runtime = TestRuntime::default();
    let taken = SocketAddr::from(([127, 0, 0, 1], 443));
    let holder = runtime.clone();
    let _holder = runtime.block_on(async move { holder.listen(taken).await.unwrap() });
    let server = Server::new(runtime.clone(), TestStore::default(), transport(), ServerConfig::default());
    let error = runtime.block_on(async move { server.serve(&[LISTENS_ON, taken]).await.err() });
    assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    assert!(runtime.connect_from([192, 0, 2, 1].into(), LISTENS_ON).is_err());
    assert_eq!(runtime.tasks(), 0);
}
