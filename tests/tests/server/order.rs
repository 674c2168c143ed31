//! Many commands at a time: in one block, in many blocks.

use std::collections::BTreeSet;

use smp_core::wire::{EntityId, QueueMode};
use smp_tests::peer::{Auth, Creation, Kind, Peer, Queue, Received, Request, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, SOME, run, scenarios, two};

scenarios![
    good_and_bad_commands_share_a_block,
    a_block_holds_255_commands,
    commands_of_a_block_run_in_order,
    a_right_that_a_block_takes_away_is_gone_for_the_rest_of_it,
    the_first_of_two_keys_wins,
    a_block_that_creates_uses_and_deletes,
    blocks_are_taken_without_waiting_for_answers,
    answers_wait_for_who_reads_slowly,
    deliveries_wait_for_who_reads_slowly,
];

/// Errors and successes as texts.
fn texts(answers: &[Received]) -> Vec<String> {
    answers.iter().map(Received::text).collect()
}

fn good_and_bad_commands_share_a_block(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut bob, &Creation { subscribe: false, ..Creation::default() });
        let stranger = key(Kind::Ed25519);
        let own = || Request::new(Auth::Key(&queue.key), &queue.recipient, "SUB");
        let requests = [
            own(),
            Request::new(Auth::Key(&stranger), &queue.recipient, "SUB"),
            Request::new(Auth::None, &EntityId::empty(), "PING"),
            Request::new(Auth::Key(&queue.key), &queue.recipient, "HELLO"),
            Request::new(Auth::Key(&queue.key), &queue.recipient, "KEY"),
            Request::new(Auth::None, &queue.recipient, "OFF"),
            Request::new(Auth::None, &queue.sender, "SEND T hello"),
            Request::new(Auth::Key(&queue.key), &queue.sender, "SUB"),
            own(),
        ];
        let answers = texts(&alice.ask_all(&requests));
        let subscribed = alice.subscribed();
        let expected = [
            subscribed,
            "ERR AUTH",
            "PONG",
            "ERR CMD UNKNOWN",
            "ERR CMD SYNTAX",
            "ERR CMD NO_AUTH",
            "OK",
            "ERR AUTH",
            subscribed,
        ];
        assert_eq!(answers, expected);
        // The first subscription got the message, the second got it again.
        let first = queue.message(&mut alice);
        assert_eq!(first.text(), "hello");
        assert_eq!(queue.message(&mut alice), first);
        alice.assert_silent();
    });
}

fn a_block_holds_255_commands(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        // Shorter ids, so that 255 commands fit at version 6 too.
        let pings: Vec<_> = (0..255_u8)
            .map(|n| Request::new(Auth::None, &EntityId::empty(), "PING").correlated(&[1, n]))
            .collect();
        assert!(alice.ask_all(&pings).iter().all(|answer| *answer == "PONG"));
        // An unsecured queue takes messages without signatures.
        let queue = Queue::create(&mut bob, &Creation { subscribe: false, ..Creation::default() });
        let count: u8 = if form.version.0 < 7 { 150 } else { 255 };
        let sends: Vec<_> = (0..count)
            .map(|n| Request::new(Auth::None, &queue.sender, "SEND F x").correlated(&[2, n]))
            .collect();
        let answers = texts(&alice.ask_all(&sends));
        let (taken, refused) = answers.split_at(128);
        assert!(taken.iter().all(|answer| answer == "OK"));
        assert!(refused.iter().all(|answer| answer == "ERR QUOTA"));
        let unknown: Vec<_> = (0..count)
            .map(|n| Request::new(Auth::None, &queue.recipient, "SEND F x").correlated(&[3, n]))
            .collect();
        assert!(alice.ask_all(&unknown).iter().all(|answer| *answer == "ERR AUTH"));
        alice.assert_silent();
    });
}

fn commands_of_a_block_run_in_order(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queue = Queue::create(&mut alice, &Creation { subscribe: false, ..Creation::default() });
        let sender = key(Kind::Ed25519);
        let recipient = |command: &[u8]| Request::new(Auth::Key(&queue.key), &queue.recipient, command);
        let signed = |text: &str| Request::new(Auth::Key(&sender), &queue.sender, format!("SEND T {text}"));
        let unsigned = |text: &str| Request::new(Auth::None, &queue.sender, format!("SEND T {text}"));
        let requests = [
            signed("too early"),
            unsigned("one"),
            recipient(&Queue::with_key("KEY", &sender)),
            unsigned("too late"),
            signed("two"),
            recipient(b"OFF"),
            signed("after the end"),
            recipient(b"SUB"),
        ];
        let answers = texts(&alice.ask_all(&requests));
        let auth = "ERR AUTH";
        assert_eq!(answers, [auth, "OK", "OK", auth, "OK", "OK", auth, alice.subscribed()]);
        let one = queue.message(&mut alice);
        assert_eq!(one.text(), "one");
        let two = queue.acknowledge_for_next(&mut alice, &one.id);
        assert_eq!(two.text(), "two");
        assert_eq!(queue.acknowledge(&mut alice, &two.id), "OK");
        let requests = [recipient(b"DEL"), recipient(b"SUB"), recipient(b"DEL")];
        assert_eq!(texts(&alice.ask_all(&requests)), ["OK", auth, auth]);
    });
}

fn a_right_that_a_block_takes_away_is_gone_for_the_rest_of_it(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let creator = if form.version.0 < 9 { super::NEWEST } else { form };
        let creation = Creation { mode: Some(QueueMode::Contact), subscribe: false, ..Creation::default() };
        let (sender, successor) = (key(Kind::Ed25519), key(Kind::Ed448));
        // When the block begins the second command is allowed; after the first it is not.
        for (first, by_sender, second) in [
            (b"OFF".to_vec(), true, "SEND T hello"),
            (b"DEL".to_vec(), true, "SEND T hello"),
            (Queue::with_key("KEY", &sender), true, "SEND T hello"),
            (b"DEL".to_vec(), false, "SUB"),
            (b"DEL".to_vec(), false, "GET"),
            (Queue::with_keys("RKEY", &[&successor]), false, "SUB"),
            (Queue::with_keys("RKEY", &[&successor]), false, "GET"),
            (Queue::with_keys("RKEY", &[&successor]), false, "QUE"),
            (Queue::with_keys("RKEY", &[&successor]), false, "OFF"),
            (Queue::with_keys("RKEY", &[&successor]), false, "DEL"),
        ] {
            let queue = Queue::create(&mut Peer::connect(server.address(), creator), &creation);
            let second = match by_sender {
                true => Request::new(Auth::None, &queue.sender, second),
                false => Request::new(Auth::Key(&queue.key), &queue.recipient, second),
            };
            let first = Request::new(Auth::Key(&queue.key), &queue.recipient, first);
            assert_eq!(texts(&alice.ask_all(&[first, second])), ["OK", "ERR AUTH"]);
        }
        alice.assert_silent();
    });
}

fn the_first_of_two_keys_wins(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        let keys = [key(Kind::Ed25519), key(Kind::Ed25519)];
        let requests = keys.each_ref().map(|sender| {
            Request::new(Auth::Key(&queue.key), &queue.recipient, Queue::with_key("KEY", sender))
        });
        assert_eq!(texts(&alice.ask_all(&requests)), ["OK", "ERR AUTH"]);
        assert_eq!(queue.send(&mut alice, Some(&keys[1]), "hello"), "ERR AUTH");
        assert_eq!(queue.send(&mut alice, Some(&keys[0]), "hello"), "OK");
    });
}

fn a_block_that_creates_uses_and_deletes(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let creator = if form.version.0 < 9 { super::NEWEST } else { form };
        let creation = Creation { subscribe: false, ..Creation::default() };
        let queue = Queue::create(&mut Peer::connect(server.address(), creator), &creation);
        let sender = key(Kind::Ed25519);
        let by_sender = |command: Vec<u8>| Request::new(Auth::Key(&sender), &queue.sender, command);
        let recipient = |command: &str| Request::new(Auth::Key(&queue.key), &queue.recipient, command);
        let requests = [
            by_sender(Queue::with_key("SKEY", &sender)),
            by_sender(b"SEND T hello".to_vec()),
            recipient("GET"),
            recipient("DEL"),
            by_sender(b"SEND T hello".to_vec()),
        ];
        let answers = alice.ask_all(&requests);
        assert_eq!(texts(&answers[..2]), ["OK", "OK"]);
        assert_eq!(queue.open(&answers[2]).text(), "hello");
        assert_eq!(texts(&answers[3..]), ["OK", "ERR AUTH"]);
    });
}

fn blocks_are_taken_without_waiting_for_answers(store: Store) {
    run(store, &Settings { quota: 400, ..Settings::default() }, SOME, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queue = Queue::create(&mut alice, &Creation { subscribe: false, ..Creation::default() });
        let requests: Vec<_> =
            (0..200).map(|n| Request::new(Auth::None, &queue.sender, format!("SEND T {n}"))).collect();
        for request in &requests {
            alice.send(std::slice::from_ref(request));
        }
        let subscribe = Request::new(Auth::Key(&queue.key), &queue.recipient, "SUB");
        alice.send(std::slice::from_ref(&subscribe));
        for request in &requests {
            assert_eq!(alice.answer(request), "OK");
        }
        assert_eq!(alice.answer(&subscribe), alice.subscribed());
        let mut message = queue.message(&mut alice);
        for n in 0..199 {
            assert_eq!(message.text(), n.to_string());
            message = queue.acknowledge_for_next(&mut alice, &message.id);
        }
        assert_eq!(message.text(), "199");
    });
}

fn answers_wait_for_who_reads_slowly(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let (mut slow, mut other) = two(server, form);
        // Each of these blocks is answered by a block: more than the server and the sockets hold.
        let pings: Vec<_> = (0..1500).map(|_| Request::new(Auth::None, &EntityId::empty(), "PING")).collect();
        for ping in &pings {
            slow.send(std::slice::from_ref(ping));
        }
        let queue = Queue::new(&mut other);
        assert_eq!(queue.send(&mut other, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut other).text(), "hello");
        for ping in &pings {
            assert_eq!(slow.answer(ping), "PONG");
        }
        slow.assert_silent();
    });
}

fn deliveries_wait_for_who_reads_slowly(store: Store) {
    const QUEUES: usize = 120;
    run(store, &Settings { deliveries: 2, ..Settings::default() }, SOME, |server, form| {
        let (mut slow, mut other) = two(server, form);
        let creation = Creation { subscribe: false, ..Creation::default() };
        let queues: Vec<_> = (0..QUEUES).map(|_| Queue::create(&mut other, &creation)).collect();
        for queue in &queues {
            assert_eq!(queue.send(&mut other, None, vec![b'x'; 16_000]), "OK");
        }
        let requests: Vec<_> =
            queues.iter().map(|queue| Request::new(Auth::Key(&queue.key), &queue.recipient, "SUB")).collect();
        for batch in requests.chunks(60) {
            slow.send(batch);
        }
        // Others are served meanwhile.
        let own = Queue::new(&mut other);
        assert_eq!(own.send(&mut other, None, "hello"), "OK");
        assert_eq!(own.receive_last(&mut other).text(), "hello");
        // And nothing is lost or delivered twice.
        for answer in slow.answers(&requests) {
            assert_eq!(answer, slow.subscribed());
        }
        let mut received = BTreeSet::new();
        while received.len() < QUEUES {
            let event = slow.event();
            assert_eq!(event.tag(), "MSG");
            assert!(received.insert(event.entity_id.clone()), "delivered twice");
        }
        slow.assert_silent();
    });
}
