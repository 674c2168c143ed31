//! Who may do what: everything else is `AUTH`, with no hint why.

use smp_core::crypto::AuthPrivateKey;
use smp_core::wire::{EntityId, QueueMode};
use smp_tests::peer::{Auth, Creation, Kind, Peer, Queue, bytes, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, SOME, run, scenarios};

scenarios![
    unknown_queues_and_wrong_keys_look_the_same,
    a_server_without_new_queues,
    a_server_with_a_password,
    a_server_without_a_password_ignores_one,
    a_new_queue_is_authorised_by_its_own_key,
];

fn recipient_commands(key: &AuthPrivateKey) -> Vec<Vec<u8>> {
    let mut commands: Vec<Vec<u8>> =
        ["SUB", "GET", "OFF", "DEL", "QUE", "LDEL", "NDEL"].map(|word| word.into()).to_vec();
    commands.push(Queue::with_key("KEY", key));
    commands.push(Queue::with_keys("RKEY", &[key]));
    commands.push([&b"ACK \x18"[..], &[1; 24]].concat());
    commands.push(b"ACK \0".to_vec());
    commands.push(b"LSET \x01l\x00\x01f\x00\x01u".to_vec());
    commands
}

fn unknown_queues_and_wrong_keys_look_the_same(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let mut kinds = vec![Kind::Ed25519, Kind::Ed448];
        if form.alpn {
            kinds.push(Kind::X25519);
        }
        let open = Queue::create(&mut peer, &Creation { mode: None, ..Creation::default() });
        let secured = Queue::new(&mut peer);
        assert_eq!(secured.secure(&mut peer, &key(Kind::Ed25519)), "OK");
        let unknown = EntityId::from(bytes::<24>());
        for kind in kinds {
            let stranger = key(kind);
            let strangers = recipient_commands(&stranger);
            for entity in [&unknown, &open.recipient, &open.sender, &secured.recipient, &secured.sender] {
                for command in &strangers {
                    let word = String::from_utf8_lossy(&command[..3]);
                    assert_eq!(peer.ask(Auth::Key(&stranger), entity, &command[..]), "ERR AUTH", "{word}");
                }
                for command in [&b"SEND T hello"[..], &Queue::with_key("SKEY", &stranger), b"NSUB"] {
                    // A sender may secure a messaging queue, which `open` is not.
                    assert_eq!(peer.ask(Auth::Key(&stranger), entity, command), "ERR AUTH", "{kind:?}");
                }
                let lkey = Queue::with_key("LKEY", &stranger);
                assert_eq!(peer.ask(Auth::Key(&stranger), entity, lkey), "ERR AUTH");
            }
        }
        for entity in [&unknown, &open.recipient, &secured.recipient, &secured.sender] {
            assert_eq!(peer.ask(Auth::None, entity, "SEND T hello"), "ERR AUTH");
            assert_eq!(peer.ask(Auth::None, entity, "LGET"), "ERR AUTH");
        }
        // The entity may have any length.
        for length in [1, 23, 25, 255] {
            let entity = EntityId::new(&vec![3; length]).expect("an id");
            assert_eq!(peer.ask(Auth::Key(&open.key), &entity, "SUB"), "ERR AUTH");
            assert_eq!(peer.ask(Auth::None, &entity, "SEND T hello"), "ERR AUTH");
        }
        peer.assert_silent();
        assert_eq!(open.send(&mut peer, None, "hello"), "OK");
    });
}

/// What NEW is answered with, if not with a queue.
fn refusal(peer: &mut Peer, password: Option<&'static str>) -> Option<String> {
    let creation = Creation { password, ..Creation::default() };
    Queue::try_create(peer, &creation).err().map(|refusal| format!("{refusal:?}"))
}

fn a_server_without_new_queues(store: Store) {
    run(store, &Settings { new_queues: false, ..Settings::default() }, ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        for password in [None, Some("any")] {
            assert_eq!(refusal(&mut peer, password).as_deref(), Some("\"ERR AUTH\""));
        }
        peer.assert_silent();
    });
    let both = Settings { new_queues: false, password: Some("correct"), ..Settings::default() };
    run(store, &both, SOME, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        assert_eq!(refusal(&mut peer, Some("correct")).as_deref(), Some("\"ERR AUTH\""));
    });
}

fn a_server_with_a_password(store: Store) {
    run(store, &Settings { password: Some("correct"), ..Settings::default() }, ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        for password in [None, Some("wrong"), Some("correc"), Some("correct1"), Some("CORRECT")] {
            assert_eq!(refusal(&mut peer, password).as_deref(), Some("\"ERR AUTH\""), "{password:?}");
        }
        for mode in [None, Some(QueueMode::Messaging), Some(QueueMode::Contact)] {
            for subscribe in [true, false] {
                let creation = Creation {
                    password: Some("correct"),
                    mode,
                    subscribe,
                    kind: Kind::Ed448,
                    ..Creation::default()
                };
                let queue = Queue::create(&mut peer, &creation);
                assert_eq!(queue.ask(&mut peer, "DEL"), "OK");
            }
        }
    });
}

fn a_server_without_a_password_ignores_one(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        for password in [None, Some("any")] {
            assert_eq!(refusal(&mut peer, password), None);
        }
    });
}

fn a_new_queue_is_authorised_by_its_own_key(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let command = {
            use smp_core::wire::Command;
            use smp_core::wire::command::{NewQueue, SubscriptionMode};
            let new = NewQueue {
                recipient_key: key(Kind::Ed25519).public(),
                dh_key: smp_tests::peer::dh_key().public(),
                password: None,
                subscribe: SubscriptionMode::OnlyCreate,
                queue_data: None,
                notifier: None,
            };
            let mut command = Vec::new();
            Command::New(Box::new(new)).encode(form.version, &mut command);
            command
        };
        for kind in [Kind::Ed25519, Kind::Ed448] {
            let other = key(kind);
            assert_eq!(peer.ask(Auth::Key(&other), &EntityId::empty(), &command[..]), "ERR AUTH");
        }
    });
}
