//! The life of queues: created, suspended, inspected, deleted.

use smp_core::wire::broker::{MessageKind, SubscriptionThread};
use smp_core::wire::{BrokerMessage, QueueMode, Version};
use smp_tests::peer::{Auth, Creation, Kind, Peer, Queue, Received, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, NEWEST, SOME, run, scenarios, two};

scenarios![
    new_queues_have_ids_of_their_own,
    ids_are_as_long_as_configured,
    a_suspended_queue_takes_no_messages,
    a_deleted_queue_is_unknown,
    a_queue_is_inspected,
    two_queues_carry_a_conversation,
    many_queues_are_subscribed_again_and_again,
    clients_of_different_versions_share_a_queue,
];

fn new_queues_have_ids_of_their_own(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queues: Vec<_> = (0..3).map(|_| Queue::new(&mut alice)).collect();
        let mut ids: Vec<_> = queues.iter().flat_map(|queue| [&queue.recipient, &queue.sender]).collect();
        assert!(ids.iter().all(|id| id.as_bytes().len() == 24));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 6);
        for queue in &queues {
            assert_eq!(queue.created.link_id, None);
            assert_eq!(queue.created.service_id, None);
            assert!(queue.created.notifier.is_none());
        }
    });
}

fn ids_are_as_long_as_configured(store: Store) {
    for length in [16, 32] {
        let settings = Settings { id_bytes: length, ..Settings::default() };
        run(store, &settings, SOME, |server, form| {
            let (mut alice, mut bob) = two(server, form);
            let queue = Queue::new(&mut alice);
            assert_eq!(queue.recipient.as_bytes().len(), length);
            assert_eq!(queue.sender.as_bytes().len(), length);
            assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
            assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        });
    }
}

fn a_suspended_queue_takes_no_messages(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        let sender = key(Kind::Ed25519);
        assert_eq!(queue.secure(&mut alice, &sender), "OK");
        assert_eq!(queue.send(&mut bob, Some(&sender), "first"), "OK");
        assert_eq!(queue.send(&mut bob, Some(&sender), "second"), "OK");
        let first = queue.message(&mut alice);
        assert_eq!(first.text(), "first");

        assert_eq!(alice.ask(Auth::Key(&sender), &queue.recipient, "OFF"), "ERR AUTH");
        assert_eq!(bob.ask(Auth::Key(&queue.key), &queue.sender, "OFF"), "ERR AUTH");
        assert_eq!(queue.ask(&mut alice, "OFF"), "OK");
        assert_eq!(queue.ask(&mut alice, "OFF"), "OK");
        assert_eq!(queue.send(&mut bob, Some(&sender), "too late"), "ERR AUTH");
        assert_eq!(queue.send(&mut bob, None, "too late"), "ERR AUTH");
        assert_eq!(queue.secure_by_sender(&mut bob, &key(Kind::Ed25519)), "ERR AUTH");
        // What came before is still there for its recipient.
        let mut other = Peer::connect(server.address(), form);
        queue.subscribe(&mut other);
        assert_eq!(queue.message(&mut other), first);
        let second = queue.acknowledge_for_next(&mut other, &first.id);
        assert_eq!(second.text(), "second");
        assert_eq!(queue.acknowledge(&mut other, &second.id), "OK");
        assert_eq!(queue.ask(&mut other, "DEL"), "OK");
    });
}

fn a_deleted_queue_is_unknown(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        let message = queue.message(&mut alice);
        assert_eq!(alice.ask(Auth::Key(&key(Kind::Ed25519)), &queue.recipient, "DEL"), "ERR AUTH");
        assert_eq!(alice.ask(Auth::Key(&queue.key), &queue.sender, "DEL"), "ERR AUTH");
        assert_eq!(queue.ask(&mut alice, "DEL"), "OK");
        for command in ["SUB", "GET", "OFF", "QUE", "DEL"] {
            assert_eq!(queue.ask(&mut alice, command), "ERR AUTH", "{command}");
        }
        assert_eq!(queue.acknowledge(&mut alice, &message.id), "ERR AUTH");
        assert_eq!(queue.secure(&mut alice, &key(Kind::Ed25519)), "ERR AUTH");
        assert_eq!(queue.secure_by_sender(&mut bob, &key(Kind::Ed25519)), "ERR AUTH");
        assert_eq!(queue.send(&mut bob, None, "too late"), "ERR AUTH");
        // Who deleted it needs no news of it.
        alice.assert_silent();
    });
}

#[track_caller]
fn inspect(received: &Received) -> smp_core::wire::broker::QueueStatus {
    match received.decode() {
        BrokerMessage::Info(status) => *status,
        other => panic!("{other:?} is no INFO"),
    }
}

fn a_queue_is_inspected(store: Store) {
    run(store, &Settings { quota: 2, ..Settings::default() }, ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &Creation { subscribe: false, ..Creation::default() });
        let answer = queue.ask(&mut alice, "QUE");
        assert_eq!(answer, r#"INFO {"qiSnd":false,"qiNtf":false,"qiSize":0}"#);
        queue.subscribe(&mut alice);
        let answer = queue.ask(&mut alice, "QUE");
        let expected = r#"INFO {"qiSnd":false,"qiNtf":false,"qiSub":{"qSubThread":"noSub"},"qiSize":0}"#;
        assert_eq!(answer, expected);

        let sender = key(Kind::Ed25519);
        assert_eq!(queue.secure(&mut alice, &sender), "OK");
        for expected in ["OK", "OK", "ERR QUOTA"] {
            assert_eq!(queue.send(&mut bob, Some(&sender), "hello"), expected);
        }
        let first = queue.message(&mut alice);
        let status = inspect(&queue.ask(&mut alice, "QUE"));
        assert!(status.sender_secured && !status.notifier);
        assert_eq!(status.size, 3);
        let subscription = status.subscription.expect("a subscription");
        assert_eq!(subscription.delivered.as_ref(), Some(&first.id));
        let head = status.message.expect("a message");
        assert!(head.id == first.id && head.kind == MessageKind::Message);
        // The subscription is that of the connection that asks.
        let status = inspect(&queue.ask(&mut bob, "QUE"));
        assert!(status.subscription.is_none());
        assert_eq!(queue.open(&queue.ask(&mut bob, "GET")).id, first.id);
        let subscription = inspect(&queue.ask(&mut bob, "QUE")).subscription.expect("of GET");
        assert_eq!(subscription.thread, SubscriptionThread::ProhibitSub);

        let second = queue.acknowledge_for_next(&mut alice, &first.id);
        let marker = queue.acknowledge_for_next(&mut alice, &second.id);
        assert_eq!(marker.body, None);
        let status = inspect(&queue.ask(&mut alice, "QUE"));
        assert_eq!(status.size, 1);
        assert!(status.message.is_some_and(|head| head.id == marker.id && head.kind == MessageKind::Quota));
        assert_eq!(queue.acknowledge(&mut alice, &marker.id), "OK");
        let status = inspect(&queue.ask(&mut alice, "QUE"));
        assert!(status.size == 0 && status.message.is_none());
    });
}

fn two_queues_carry_a_conversation(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let (to_alice, to_bob) = (Queue::new(&mut alice), Queue::new(&mut bob));
        let (alices, bobs) = (key(Kind::Ed25519), key(Kind::Ed448));
        assert_eq!(to_alice.send(&mut bob, None, "my key"), "OK");
        assert_eq!(to_alice.receive_last(&mut alice).text(), "my key");
        assert_eq!(to_alice.secure(&mut alice, &bobs), "OK");
        assert_eq!(to_bob.send(&mut alice, None, "and mine"), "OK");
        assert_eq!(to_bob.receive_last(&mut bob).text(), "and mine");
        assert_eq!(to_bob.secure(&mut bob, &alices), "OK");
        for text in ["how are you", "fine", "good bye"] {
            assert_eq!(to_bob.send(&mut alice, Some(&alices), text), "OK");
            assert_eq!(to_bob.receive_last(&mut bob).text(), text);
            assert_eq!(to_alice.send(&mut bob, Some(&bobs), text), "OK");
            assert_eq!(to_alice.receive_last(&mut alice).text(), text);
        }
        alice.assert_silent();
        bob.assert_silent();
    });
}

fn many_queues_are_subscribed_again_and_again(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let mut peers: Vec<_> = (0..3).map(|_| Peer::connect(server.address(), form)).collect();
        let queues: Vec<_> = (0..50).map(|_| Queue::new(&mut peers[0])).collect();
        for round in 0..2 {
            for (index, peer) in peers.iter_mut().enumerate() {
                for queue in &queues {
                    queue.subscribe(peer);
                }
                let mut sender = Peer::connect(server.address(), form);
                for queue in queues.iter().step_by(10) {
                    assert_eq!(queue.send(&mut sender, None, format!("{round} {index}")), "OK");
                    let event = loop {
                        let event = peer.event();
                        // News of an earlier end, to who is subscribed again, is no harm.
                        if event != "END" {
                            break event;
                        }
                    };
                    let message = queue.open(&event);
                    assert_eq!(message.text(), format!("{round} {index}"));
                    assert_eq!(queue.acknowledge(peer, &message.id), "OK");
                }
            }
        }
    });
}

fn clients_of_different_versions_share_a_queue(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let mut bob = Peer::connect(server.address(), NEWEST);
        let mine = Queue::new(&mut alice);
        let creation = Creation { mode: Some(QueueMode::Messaging), ..Creation::default() };
        let theirs = Queue::create(&mut bob, &creation);
        let sender = key(Kind::Ed25519);
        assert_eq!(theirs.secure_by_sender(&mut alice, &sender), "OK");
        assert_eq!(theirs.send(&mut alice, Some(&sender), "to the newest"), "OK");
        assert_eq!(theirs.receive_last(&mut bob).text(), "to the newest");
        assert_eq!(mine.send(&mut bob, None, "from the newest"), "OK");
        assert_eq!(mine.receive_last(&mut alice).text(), "from the newest");
        // Deleted by the other, in the words of each version.
        assert_eq!(mine.ask(&mut bob, "DEL"), "OK");
        let news = if form.version >= Version::DELETED_EVENT { "DELD" } else { "END" };
        assert_eq!(alice.event(), news);
        assert_eq!(theirs.ask(&mut alice, "DEL"), "OK");
        assert_eq!(bob.event(), "DELD");
    });
}
