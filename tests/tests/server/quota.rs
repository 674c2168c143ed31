//! Queues that are full.

use smp_tests::peer::{Creation, Kind, Peer, Queue, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, SOME, run, scenarios, two};

scenarios![
    a_full_queue_opens_when_it_is_drained,
    the_marker_comes_once,
    a_full_queue_is_got_empty,
    the_quota_of_a_queue_is_its_own,
    as_many_messages_as_configured,
];

fn small() -> Settings {
    Settings { quota: 2, ..Settings::default() }
}

fn a_full_queue_opens_when_it_is_drained(store: Store) {
    run(store, &small(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        let sender = key(Kind::Ed25519);
        assert_eq!(queue.secure(&mut alice, &sender), "OK");
        let mut send = |text: &str| queue.send(&mut bob, Some(&sender), text);
        assert_eq!(send("one"), "OK");
        assert_eq!(send("two"), "OK");
        assert_eq!(send("three"), "ERR QUOTA");
        assert_eq!(send("four"), "ERR QUOTA");
        let one = queue.message(&mut alice);
        assert_eq!(one.text(), "one");
        let two = queue.acknowledge_for_next(&mut alice, &one.id);
        assert_eq!(two.text(), "two");
        // There is room, but it is not drained.
        assert_eq!(send("five"), "ERR QUOTA");
        let marker = queue.acknowledge_for_next(&mut alice, &two.id);
        assert_eq!(marker.body, None);
        assert_eq!(send("six"), "ERR QUOTA");
        assert_eq!(queue.acknowledge(&mut alice, &marker.id), "OK");
        assert_eq!(send("seven"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "seven");
        alice.assert_silent();
    });
}

fn the_marker_comes_once(store: Store) {
    run(store, &small(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut bob, &Creation { subscribe: false, ..Creation::default() });
        for _ in 0..2 {
            for expected in ["OK", "OK", "ERR QUOTA", "ERR QUOTA", "ERR QUOTA"] {
                assert_eq!(queue.send(&mut bob, None, "hello"), expected);
            }
            queue.subscribe(&mut alice);
            let one = queue.message(&mut alice);
            let two = queue.acknowledge_for_next(&mut alice, &one.id);
            assert!(one.body.is_some() && two.body.is_some());
            let marker = queue.acknowledge_for_next(&mut alice, &two.id);
            assert_eq!(marker.body, None);
            assert_eq!(queue.acknowledge(&mut alice, &marker.id), "OK");
            alice.assert_silent();
            drop(alice);
            alice = Peer::connect(server.address(), form);
        }
    });
}

fn a_full_queue_is_got_empty(store: Store) {
    run(store, &small(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &Creation { subscribe: false, ..Creation::default() });
        for expected in ["OK", "OK", "ERR QUOTA"] {
            assert_eq!(queue.send(&mut bob, None, "hello"), expected);
        }
        for has_body in [true, true, false] {
            assert_eq!(queue.send(&mut bob, None, "hello"), "ERR QUOTA");
            let message = queue.open(&queue.ask(&mut alice, "GET"));
            assert_eq!(message.body.is_some(), has_body);
            assert_eq!(queue.acknowledge(&mut alice, &message.id), "OK");
        }
        assert_eq!(queue.ask(&mut alice, "GET"), "OK");
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
    });
}

fn the_quota_of_a_queue_is_its_own(store: Store) {
    run(store, &small(), SOME, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let (full, other) = (Queue::new(&mut alice), Queue::new(&mut alice));
        for expected in ["OK", "OK", "ERR QUOTA"] {
            assert_eq!(full.send(&mut bob, None, "hello"), expected);
        }
        assert_eq!(full.message(&mut alice).text(), "hello");
        assert_eq!(other.send(&mut bob, None, "hello"), "OK");
        assert_eq!(other.receive_last(&mut alice).text(), "hello");
        // Who may not send does not learn that the queue is full.
        assert_eq!(full.send(&mut bob, Some(&key(Kind::Ed25519)), "hello"), "ERR AUTH");
        assert_eq!(full.ask(&mut alice, "OFF"), "OK");
        assert_eq!(full.send(&mut bob, None, "hello"), "ERR AUTH");
    });
}

fn as_many_messages_as_configured(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &Creation { subscribe: false, ..Creation::default() });
        for _ in 0..128 {
            assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        }
        assert_eq!(queue.send(&mut bob, None, "hello"), "ERR QUOTA");
    });
}
