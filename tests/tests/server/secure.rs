//! The keys of a queue: KEY, SKEY, RKEY.

use smp_core::wire::QueueMode;
use smp_tests::peer::{Auth, Creation, Form, Kind, Peer, Queue, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, NEWEST, SOME, run, scenarios, two};

scenarios![
    the_recipient_secures_a_queue,
    the_sender_secures_a_queue,
    skey_is_for_messaging_queues,
    recipient_keys_are_replaced,
    rkey_is_for_contact_queues,
    every_kind_of_key_authorises,
];

fn contact() -> Creation {
    Creation { mode: Some(QueueMode::Contact), ..Creation::default() }
}

/// Kinds of keys that a client of this form can use: an authenticator needs the key of the server's hello.
fn kinds(form: Form) -> &'static [Kind] {
    let all = &[Kind::Ed25519, Kind::Ed448, Kind::X25519];
    if form.alpn { all } else { &all[..2] }
}

fn the_recipient_secures_a_queue(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        let (sender, other) = (key(Kind::Ed25519), key(Kind::Ed25519));

        assert_eq!(queue.send(&mut bob, Some(&sender), "hello"), "ERR AUTH");
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        let message = queue.message(&mut alice);
        assert_eq!(message.text(), "hello");
        assert!(message.notification);
        assert_eq!(queue.acknowledge(&mut alice, &message.id), "OK");
        assert_eq!(queue.acknowledge(&mut alice, &message.id), "ERR NO_MSG");

        let secure = Queue::with_key("KEY", &sender);
        assert_eq!(alice.ask(Auth::Key(&other), &queue.recipient, secure.clone()), "ERR AUTH");
        assert_eq!(alice.ask(Auth::Key(&queue.key), &queue.sender, secure.clone()), "ERR AUTH");
        assert_eq!(bob.ask(Auth::Key(&sender), &queue.sender, secure), "ERR AUTH");
        assert_eq!(queue.secure(&mut alice, &sender), "OK");
        assert_eq!(queue.secure(&mut alice, &sender), "OK");
        assert_eq!(queue.secure(&mut alice, &other), "ERR AUTH");

        assert_eq!(queue.send(&mut bob, None, "unsigned"), "ERR AUTH");
        assert_eq!(queue.send(&mut bob, Some(&other), "of another"), "ERR AUTH");
        let to_recipient_id = bob.ask(Auth::Key(&sender), &queue.recipient, "SEND F to a wrong id");
        assert_eq!(to_recipient_id, "ERR AUTH");
        assert_eq!(bob.ask(Auth::Key(&sender), &queue.sender, "SEND F hello again"), "OK");
        let message = queue.receive_last(&mut alice);
        assert_eq!((message.text().as_str(), message.notification), ("hello again", false));
        alice.assert_silent();
    });
}

fn the_sender_secures_a_queue(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let creator = if form.version.0 < 9 { NEWEST } else { form };
        let queue = Queue::new(&mut Peer::connect(server.address(), creator));
        let (sender, other) = (key(Kind::Ed448), key(Kind::Ed25519));
        queue.subscribe(&mut alice);

        let skey = Queue::with_key("SKEY", &sender);
        assert_eq!(bob.ask(Auth::Key(&other), &queue.sender, skey.clone()), "ERR AUTH");
        assert_eq!(bob.ask(Auth::Key(&sender), &queue.recipient, skey.clone()), "ERR AUTH");
        assert_eq!(alice.ask(Auth::Key(&queue.key), &queue.sender, skey), "ERR AUTH");
        assert_eq!(queue.secure_by_sender(&mut bob, &sender), "OK");
        assert_eq!(queue.secure_by_sender(&mut bob, &sender), "OK");
        assert_eq!(queue.secure_by_sender(&mut bob, &other), "ERR AUTH");
        assert_eq!(queue.secure(&mut alice, &other), "ERR AUTH");
        assert_eq!(queue.secure(&mut alice, &sender), "OK");

        assert_eq!(queue.send(&mut bob, None, "unsigned"), "ERR AUTH");
        assert_eq!(queue.send(&mut bob, Some(&other), "of another"), "ERR AUTH");
        assert_eq!(queue.send(&mut bob, Some(&sender), "hello"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        // A queue secured by its recipient takes the same key from its sender.
        let queue = Queue::new(&mut Peer::connect(server.address(), creator));
        assert_eq!(queue.secure(&mut alice, &sender), "OK");
        assert_eq!(queue.secure_by_sender(&mut bob, &other), "ERR AUTH");
        assert_eq!(queue.secure_by_sender(&mut bob, &sender), "OK");
    });
}

fn skey_is_for_messaging_queues(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        for mode in [None, Some(QueueMode::Messaging), Some(QueueMode::Contact)] {
            let queue = Queue::create(&mut alice, &Creation { mode, ..Creation::default() });
            let known = Queue::known_mode(form.version, mode);
            let told = if form.version.0 < 9 { None } else { known };
            assert_eq!(queue.created.mode, told);
            let sender = key(Kind::Ed25519);
            let expected = if known == Some(QueueMode::Messaging) { "OK" } else { "ERR AUTH" };
            assert_eq!(queue.secure_by_sender(&mut bob, &sender), expected, "{mode:?}");
            // The recipient can secure all of them.
            assert_eq!(queue.secure(&mut alice, &sender), "OK", "{mode:?}");
            assert_eq!(queue.send(&mut bob, Some(&sender), "hello"), "OK", "{mode:?}");
            assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        }
    });
}

fn recipient_keys_are_replaced(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let creator = if form.version.0 < 9 { NEWEST } else { form };
        let mut queue = Queue::create(&mut Peer::connect(server.address(), creator), &contact());
        let keys: Vec<_> = kinds(form).iter().map(|kind| key(*kind)).collect();
        let stranger = key(Kind::Ed25519);

        let add: Vec<_> = core::iter::once(&queue.key).chain(&keys).collect();
        let add = Queue::with_keys("RKEY", &add);
        assert_eq!(alice.ask(Auth::Key(&stranger), &queue.recipient, add.clone()), "ERR AUTH");
        assert_eq!(alice.ask(Auth::Key(&queue.key), &queue.sender, add.clone()), "ERR AUTH");
        assert_eq!(alice.ask(Auth::Key(&keys[0]), &queue.recipient, "QUE"), "ERR AUTH");
        assert_eq!(queue.ask(&mut alice, add.clone()), "OK");
        assert_eq!(queue.ask(&mut alice, add), "OK");
        for key in core::iter::once(&queue.key).chain(&keys) {
            assert_eq!(alice.ask(Auth::Key(key), &queue.recipient, "QUE").tag(), "INFO");
            assert_eq!(alice.ask(Auth::Key(key), &queue.recipient, "SUB"), alice.subscribed());
        }
        // The last key is left alone, by a command of the first.
        let remove = Queue::with_keys("RKEY", &[&keys[keys.len() - 1]]);
        assert_eq!(queue.ask(&mut alice, remove), "OK");
        let removed = core::iter::once(&queue.key).chain(&keys[..keys.len() - 1]);
        for key in removed {
            assert_eq!(alice.ask(Auth::Key(key), &queue.recipient, "QUE"), "ERR AUTH");
            assert_eq!(alice.ask(Auth::Key(key), &queue.recipient, "DEL"), "ERR AUTH");
        }
        queue.key = keys[keys.len() - 1].clone();
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        assert_eq!(queue.ask(&mut alice, "DEL"), "OK");
    });
}

fn rkey_is_for_contact_queues(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        for mode in [None, Some(QueueMode::Messaging), Some(QueueMode::Contact)] {
            let queue = Queue::create(&mut alice, &Creation { mode, ..Creation::default() });
            let is_contact = Queue::known_mode(form.version, mode) == Some(QueueMode::Contact);
            let expected = if is_contact { "OK" } else { "ERR AUTH" };
            let keys = Queue::with_keys("RKEY", &[&key(Kind::Ed25519), &queue.key]);
            assert_eq!(queue.ask(&mut alice, keys), expected, "{mode:?}");
            assert_eq!(queue.ask(&mut alice, "QUE").tag(), "INFO");
        }
    });
}

fn every_kind_of_key_authorises(store: Store) {
    let forms: Vec<_> = SOME.iter().copied().chain([Form::new(7), Form::new(8).without_key()]).collect();
    run(store, &Settings::default(), &forms, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        for recipient in kinds(form) {
            let queue = Queue::create(&mut alice, &Creation { kind: *recipient, ..Creation::default() });
            for wrong in kinds(form) {
                let wrong = key(*wrong);
                assert_eq!(alice.ask(Auth::Key(&wrong), &queue.recipient, "SUB"), "ERR AUTH");
            }
            for sender in kinds(form) {
                let queue = Queue::create(&mut alice, &Creation { kind: *recipient, ..Creation::default() });
                let sender = key(*sender);
                assert_eq!(queue.secure(&mut alice, &sender), "OK");
                for wrong in kinds(form) {
                    assert_eq!(queue.send(&mut bob, Some(&key(*wrong)), "forged"), "ERR AUTH");
                }
                assert_eq!(queue.send(&mut bob, Some(&sender), "hello"), "OK");
                assert_eq!(queue.receive_last(&mut alice).text(), "hello");
                assert_eq!(queue.ask(&mut alice, "DEL"), "OK");
            }
        }
    });
}
