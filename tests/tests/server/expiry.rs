//! What goes by itself: messages that nobody received, connections that nobody uses.
//!
//! Time is only waited for where something must be old enough; nothing is assumed to happen within a time.

use std::thread;
use std::time::Duration;

use smp_core::wire::BrokerMessage;
use smp_tests::peer::{Creation, Ended, Peer, Queue, wait_until};
use smp_tests::server::{Settings, Store};

use super::{NEWEST, SOME, run, scenarios, two};

scenarios![
    a_send_expires_what_is_old,
    messages_expire_at_an_interval,
    messages_do_not_expire_between,
    an_expired_marker_opens_the_queue,
    idle_connections_are_closed,
];

const TTL: Duration = Duration::from_secs(1);
/// Longer than [`TTL`], also where times are kept in whole seconds.
const OLD: Duration = Duration::from_millis(2100);

fn expiring() -> Settings {
    Settings { message_ttl: Some(TTL), expiry_interval: Duration::from_secs(3600), ..Settings::default() }
}

fn unsubscribed() -> Creation {
    Creation { subscribe: false, ..Creation::default() }
}

/// How many messages a queue has.
fn size(queue: &Queue, peer: &mut Peer) -> u64 {
    match queue.ask(peer, "QUE").decode() {
        BrokerMessage::Info(status) => status.size,
        other => panic!("{other:?} is no INFO"),
    }
}

fn a_send_expires_what_is_old(store: Store) {
    run(store, &Settings { expire_on_send: true, ..expiring() }, &[NEWEST], |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let (queue, other) = (Queue::create(&mut alice, &unsubscribed()), Queue::new(&mut bob));
        assert_eq!(queue.send(&mut bob, None, "old"), "OK");
        assert_eq!(other.send(&mut alice, None, "of another queue"), "OK");
        thread::sleep(OLD);
        assert_eq!(size(&queue, &mut alice), 1);
        assert_eq!(queue.send(&mut bob, None, "new"), "OK");
        assert_eq!(size(&queue, &mut alice), 1);
        queue.subscribe(&mut alice);
        assert_eq!(queue.receive_last(&mut alice).text(), "new");
        assert_eq!(other.receive_last(&mut bob).text(), "of another queue");
    });
}

fn messages_expire_at_an_interval(store: Store) {
    run(store, &Settings { expiry_interval: TTL, ..expiring() }, &[NEWEST], |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &unsubscribed());
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        wait_until("the message is expired", || size(&queue, &mut alice) == 0);
        queue.subscribe(&mut alice);
        alice.assert_silent();
    });
}

fn messages_do_not_expire_between(store: Store) {
    run(store, &expiring(), &[NEWEST], |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &unsubscribed());
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        thread::sleep(OLD);
        assert_eq!(queue.send(&mut bob, None, "hello again"), "OK");
        queue.subscribe(&mut alice);
        let first = queue.message(&mut alice);
        assert_eq!(first.text(), "hello");
        assert_eq!(queue.acknowledge_for_next(&mut alice, &first.id).text(), "hello again");
    });
}

fn an_expired_marker_opens_the_queue(store: Store) {
    let settings = Settings { quota: 1, expiry_interval: TTL, ..expiring() };
    run(store, &settings, &[NEWEST], |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &unsubscribed());
        let mut send = || queue.send(&mut bob, None, "hello");
        // What is sent may expire at any time, so the queue may not be full at once.
        wait_until("the queue is full", || send() == "ERR QUOTA");
        wait_until("all is expired", || size(&queue, &mut alice) == 0);
        assert_eq!(send(), "OK");
    });
}

fn idle_connections_are_closed(store: Store) {
    let idle = Some((Duration::from_secs(3), Duration::from_millis(100)));
    let settings = Settings { idle_clients: idle, ..Settings::default() };
    run(store, &settings, &[NEWEST], |server, _| {
        let connect = || SOME.iter().map(|form| Peer::connect(server.address(), *form));
        // Silent for longer than the others, but subscribed.
        let mut subscribed: Vec<_> = connect().collect();
        let queues: Vec<_> = subscribed.iter_mut().map(Queue::new).collect();
        let mut former: Vec<_> = connect().collect();
        for peer in &mut former {
            let queue = Queue::new(peer);
            assert_eq!(queue.ask(peer, "DEL"), "OK");
        }
        for mut peer in connect().chain(former) {
            assert_eq!(peer.link.closed(), Ended::Eof);
        }
        for (queue, peer) in queues.iter().zip(&mut subscribed) {
            peer.assert_silent();
            assert_eq!(queue.send(peer, None, "hello"), "OK");
            assert_eq!(queue.receive_last(peer).text(), "hello");
        }
    });
}
