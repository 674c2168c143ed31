//! What a server that is stopped and started again still knows.

use std::thread;
use std::time::Duration;

use smp_core::wire::QueueMode;
use smp_storage::Durability;
use smp_tests::peer::{Auth, Creation, Ended, Form, Kind, Message, Peer, Queue, Request, key};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, NEWEST, SOME};

fn start(settings: &Settings) -> TestServer {
    TestServer::start(Store::Embedded, settings)
}

fn unsubscribed() -> Creation {
    Creation { subscribe: false, ..Creation::default() }
}

/// All messages of a queue, acknowledged.
#[track_caller]
fn drain(queue: &Queue, peer: &mut Peer) -> Vec<Message> {
    queue.subscribe(peer);
    let mut messages = Vec::new();
    let mut next = Some(peer.event());
    while let Some(received) = next {
        let message = queue.open(&received);
        let answer = queue.acknowledge(peer, &message.id);
        messages.push(message);
        next = (answer != "OK").then_some(answer);
    }
    messages
}

#[test]
fn queues_keys_and_messages_are_kept() {
    for durability in
        [Durability::Always, Durability::Interval(Duration::from_millis(50)), Durability::OnExit]
    {
        let settings = Settings { durability, ..Settings::default() };
        let mut server = start(&settings);
        let sender = key(Kind::Ed25519);
        let mut kept = Vec::new();
        for form in ALL {
            let (mut alice, mut bob) = super::two(&server, *form);
            let queue = Queue::new(&mut alice);
            assert_eq!(queue.secure(&mut alice, &sender), "OK");
            for text in ["acknowledged", "delivered", "waiting"] {
                assert_eq!(queue.send(&mut bob, Some(&sender), text), "OK");
            }
            let first = queue.message(&mut alice);
            let second = queue.acknowledge_for_next(&mut alice, &first.id);
            kept.push((*form, queue, second));
        }
        server.restart(&settings);
        for (form, queue, second) in &kept {
            let (mut alice, mut bob) = super::two(&server, *form);
            assert_eq!(queue.send(&mut bob, None, "unsigned"), "ERR AUTH");
            assert_eq!(queue.send(&mut bob, Some(&sender), "new"), "OK");
            let messages = drain(queue, &mut alice);
            // The message that was delivered comes again as it was, id and all.
            assert_eq!(messages[0], *second);
            let texts: Vec<_> = messages.iter().map(Message::text).collect();
            assert_eq!(texts, ["delivered", "waiting", "new"]);
        }
        server.restart(&settings);
        let mut alice = Peer::connect(server.address(), NEWEST);
        for (_, queue, _) in &kept {
            queue.subscribe(&mut alice);
            assert_eq!(queue.secure(&mut alice, &sender), "OK");
        }
        alice.assert_silent();
        drop(alice);
        server.stop();
    }
}

#[test]
fn what_was_changed_stays_changed() {
    let settings = Settings::default();
    let mut server = start(&settings);
    let mut alice = Peer::connect(server.address(), NEWEST);
    let (sender, other) = (key(Kind::X25519), key(Kind::Ed448));
    let contact = Creation { mode: Some(QueueMode::Contact), ..unsubscribed() };
    let legacy = Creation { mode: None, ..unsubscribed() };
    let queues = [unsubscribed(), unsubscribed(), unsubscribed(), contact, legacy];
    let [deleted, suspended, secured, shared, legacy] =
        queues.each_ref().map(|creation| Queue::create(&mut alice, creation));
    assert_eq!(deleted.send(&mut alice, None, "gone with its queue"), "OK");
    assert_eq!(deleted.ask(&mut alice, "DEL"), "OK");
    assert_eq!(suspended.send(&mut alice, None, "before the end"), "OK");
    assert_eq!(suspended.ask(&mut alice, "OFF"), "OK");
    assert_eq!(secured.secure_by_sender(&mut alice, &sender), "OK");
    let keys = Queue::with_keys("RKEY", &[&other, &sender]);
    assert_eq!(shared.ask(&mut alice, keys), "OK");

    drop(alice);
    for _ in 0..2 {
        server.restart(&settings);
        let mut alice = Peer::connect(server.address(), NEWEST);
        for command in ["SUB", "GET", "QUE", "OFF", "DEL"] {
            assert_eq!(deleted.ask(&mut alice, command), "ERR AUTH");
        }
        assert_eq!(deleted.send(&mut alice, None, "to nobody"), "ERR AUTH");
        assert_eq!(suspended.send(&mut alice, None, "too late"), "ERR AUTH");
        assert_eq!(suspended.open(&suspended.ask(&mut alice, "GET")).text(), "before the end");
        assert_eq!(secured.secure_by_sender(&mut alice, &other), "ERR AUTH");
        assert_eq!(secured.secure_by_sender(&mut alice, &sender), "OK");
        assert_eq!(secured.send(&mut alice, Some(&sender), "hello"), "OK");
        assert_eq!(shared.ask(&mut alice, "QUE"), "ERR AUTH");
        for key in [&other, &sender] {
            assert_eq!(alice.ask(Auth::Key(key), &shared.recipient, "QUE").tag(), "INFO");
        }
        // It still has no mode, so neither command is for it.
        assert_eq!(legacy.secure_by_sender(&mut alice, &other), "ERR AUTH");
        assert_eq!(legacy.ask(&mut alice, Queue::with_keys("RKEY", &[&other])), "ERR AUTH");
        assert_eq!(legacy.send(&mut alice, None, "hello"), "OK");
    }
    server.stop();
}

#[test]
fn a_full_queue_stays_full_until_it_is_drained() {
    let settings = Settings { quota: 2, ..Settings::default() };
    for form in SOME {
        let mut server = start(&settings);
        let (mut alice, mut bob) = super::two(&server, *form);
        let queue = Queue::create(&mut alice, &unsubscribed());
        for expected in ["OK", "OK", "ERR QUOTA", "ERR QUOTA"] {
            assert_eq!(queue.send(&mut bob, None, "hello"), expected);
        }
        drop((alice, bob));
        server.restart(&settings);
        let (mut alice, mut bob) = super::two(&server, *form);
        assert_eq!(queue.send(&mut bob, None, "hello"), "ERR QUOTA");
        queue.subscribe(&mut alice);
        let one = queue.message(&mut alice);
        let two = queue.acknowledge_for_next(&mut alice, &one.id);
        assert_eq!(queue.send(&mut bob, None, "hello"), "ERR QUOTA");

        drop((alice, bob));
        server.restart(&settings);
        let (mut alice, mut bob) = super::two(&server, *form);
        // There is room, and still it is closed.
        assert_eq!(queue.send(&mut bob, None, "hello"), "ERR QUOTA");
        queue.subscribe(&mut alice);
        assert_eq!(queue.message(&mut alice), two);
        let marker = queue.acknowledge_for_next(&mut alice, &two.id);
        assert_eq!(marker.body, None);

        drop((alice, bob));
        server.restart(&settings);
        let (mut alice, mut bob) = super::two(&server, *form);
        assert_eq!(queue.send(&mut bob, None, "hello"), "ERR QUOTA");
        queue.subscribe(&mut alice);
        assert_eq!(queue.message(&mut alice), marker);
        assert_eq!(queue.acknowledge(&mut alice, &marker.id), "OK");
        drop((alice, bob));
        server.restart(&settings);
        let (mut alice, mut bob) = super::two(&server, *form);
        assert_eq!(queue.send(&mut bob, None, "at last"), "OK");
        queue.subscribe(&mut alice);
        assert_eq!(queue.receive_last(&mut alice).text(), "at last");
        server.stop();
    }
}

#[test]
fn old_messages_expire_on_start() {
    let keep = Settings { message_ttl: None, ..Settings::default() };
    let expire = Settings { message_ttl: Some(Duration::from_secs(1)), ..Settings::default() };
    let not_on_start = Settings { expire_on_start: false, ..expire.clone() };
    let mut server = start(&keep);
    let mut alice = Peer::connect(server.address(), NEWEST);
    let (queue, full) =
        (Queue::create(&mut alice, &unsubscribed()), Queue::create(&mut alice, &unsubscribed()));
    assert_eq!(queue.send(&mut alice, None, "old"), "OK");
    for _ in 0..128 {
        assert_eq!(full.send(&mut alice, None, "old"), "OK");
    }
    assert_eq!(full.send(&mut alice, None, "one too many"), "ERR QUOTA");
    drop(alice);
    thread::sleep(Duration::from_millis(2100));
    for settings in [&keep, &not_on_start] {
        server.restart(settings);
        let mut alice = Peer::connect(server.address(), NEWEST);
        assert_eq!(queue.open(&queue.ask(&mut alice, "GET")).text(), "old");
        assert_eq!(full.send(&mut alice, None, "hello"), "ERR QUOTA");
    }
    server.restart(&expire);
    // The first batch of the store is the expiry, so whoever asks is answered after it.
    let mut alice = Peer::connect(server.address(), NEWEST);
    for queue in [&queue, &full] {
        assert_eq!(queue.ask(&mut alice, "GET"), "OK");
        assert_eq!(queue.send(&mut alice, None, "new"), "OK");
        assert_eq!(queue.open(&queue.ask(&mut alice, "GET")).text(), "new");
    }
    drop(alice);
    server.restart(&keep);
    let mut alice = Peer::connect(server.address(), NEWEST);
    assert_eq!(drain(&queue, &mut alice).len(), 1);
    server.stop();
}

#[test]
fn what_was_answered_before_the_stop_is_there_after_it() {
    let settings = Settings { quota: 1000, durability: Durability::Always, ..Settings::default() };
    for form in SOME {
        let mut server = start(&settings);
        let mut bob = Peer::connect(server.address(), *form);
        let queue = Queue::create(&mut bob, &unsubscribed());
        let requests: Vec<_> =
            (0..300).map(|n| Request::new(Auth::None, &queue.sender, format!("SEND T {n}"))).collect();
        for batch in requests.chunks(10) {
            bob.send(batch);
        }
        // It stops in the middle of them, or after, or before: whatever it answered must be true.
        server.restart(&settings);
        let mut answered = 0;
        let ended = loop {
            match bob.try_receive() {
                Ok(answer) => {
                    assert_eq!(answer, "OK");
                    answered += 1;
                }
                Err(ended) => break ended,
            }
        };
        assert!([Ended::Eof, Ended::Reset].contains(&ended), "{ended:?}");
        let mut alice = Peer::connect(server.address(), *form);
        assert_eq!(queue.send(&mut alice, None, "the end"), "OK");
        let texts: Vec<_> = drain(&queue, &mut alice).iter().map(Message::text).collect();
        assert!(texts.len() > answered, "{answered} were answered, {} are there", texts.len() - 1);
        let expected = (0..texts.len() - 1).map(|n| n.to_string()).chain(["the end".to_owned()]);
        assert_eq!(texts, expected.collect::<Vec<_>>());
        server.stop();
    }
}

#[test]
fn subscribers_see_the_end_and_find_their_queues_again() {
    for store in [Store::Memory, Store::Embedded] {
        let settings = Settings::default();
        let mut server = TestServer::start(store, &settings);
        let mut peers: Vec<_> = ALL.iter().map(|form| Peer::connect(server.address(), *form)).collect();
        let queues: Vec<_> = peers.iter_mut().map(Queue::new).collect();
        server.restart(&settings);
        for peer in &mut peers {
            assert_eq!(peer.link.closed(), Ended::Eof);
        }
        for (queue, form) in queues.iter().zip(ALL) {
            let mut peer = Peer::connect(server.address(), *form);
            match store {
                // It keeps nothing, and says so by knowing nothing.
                Store::Memory => assert_eq!(queue.ask(&mut peer, "SUB"), "ERR AUTH"),
                Store::Embedded => queue.subscribe(&mut peer),
            }
        }
        server.stop();
    }
}

#[test]
fn a_queue_survives_many_restarts() {
    let settings = Settings::default();
    let mut server = start(&settings);
    let queue = Queue::create(&mut Peer::connect(server.address(), Form::new(9)), &unsubscribed());
    for round in 0..10 {
        let mut bob = Peer::connect(server.address(), NEWEST);
        assert_eq!(queue.send(&mut bob, None, round.to_string()), "OK");
        drop(bob);
        server.restart(&settings);
        let mut alice = Peer::connect(server.address(), Form::new(6).without_alpn());
        let message = queue.open(&queue.ask(&mut alice, "GET"));
        assert_eq!(message.text(), (round / 2).to_string());
        if round % 2 == 1 {
            assert_eq!(queue.acknowledge(&mut alice, &message.id), "OK");
        }
    }
    server.stop();
}
