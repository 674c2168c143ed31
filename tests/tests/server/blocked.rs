//! Queues that the operator blocked.

use smp_core::server::Moderation;
use smp_core::wire::command::{LinkData, NotifierKeys};
use smp_core::wire::error::BlockingInfo;
use smp_core::wire::{EntityId, Version};
use smp_tests::peer::{Auth, Creation, Form, Kind, Peer, Queue, bytes, dh_key, key};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, NEWEST, run, scenarios, two};

scenarios![a_blocked_queue_says_so_in_the_words_of_each_version, what_is_unblocked_works_as_before];

const REASON: &str = r#"reason=spam,notice={"ttl":86400}"#;

fn info() -> BlockingInfo {
    REASON.parse().expect("a reason")
}

/// What a client is told, as far as its version has words for it.
fn told(form: Form) -> String {
    if form.version < Version::BLOCKED {
        "ERR AUTH".to_owned()
    } else if form.version < Version::BLOCKED_NOTICE {
        "ERR BLOCKED reason=spam".to_owned()
    } else {
        format!("ERR BLOCKED {REASON}")
    }
}

fn block(server: &TestServer, queue: &Queue) {
    assert!(server.moderate(Moderation::Block(queue.recipient.clone(), info())));
}

fn a_blocked_queue_says_so_in_the_words_of_each_version(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let told = told(form);
        let queue = Queue::new(&mut alice);
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        let message = queue.message(&mut alice);
        block(server, &queue);
        let event = alice.event();
        assert!(event.text() == told && event.entity_id == queue.recipient, "{event:?}");
        for command in ["SUB", "QUE", "LDEL", "NDEL"] {
            assert_eq!(queue.ask(&mut alice, command).text(), told, "{command}");
        }
        assert_eq!(queue.ask(&mut bob, "GET").text(), told);
        let sender = key(Kind::Ed25519);
        assert_eq!(queue.acknowledge(&mut alice, &message.id).text(), told);
        assert_eq!(queue.secure(&mut alice, &sender).text(), told);
        let data = LinkData { fixed: "fixed".into(), user: "user".into() };
        assert_eq!(queue.set_link(&mut alice, &EntityId::from(bytes::<24>()), &data).text(), told);
        let keys = NotifierKeys { auth_key: sender.public(), dh_key: dh_key().public() };
        assert_eq!(queue.set_notifier(&mut alice, keys).text(), told);
        assert_eq!(queue.send(&mut bob, None, "hello").text(), told);
        if form.version >= Version(9) {
            assert_eq!(queue.secure_by_sender(&mut bob, &sender).text(), told);
        }
        // Who has no right learns nothing.
        assert_eq!(queue.send(&mut bob, Some(&sender), "hello"), "ERR AUTH");
        assert_eq!(bob.ask(Auth::Key(&sender), &queue.recipient, "SUB"), "ERR AUTH");
        // Its owner can be rid of it.
        assert_eq!(queue.ask(&mut alice, "OFF"), "OK");
        assert_eq!(queue.ask(&mut alice, "DEL"), "OK");
        alice.assert_silent();
        assert!(!server.moderate(Moderation::Unblock(queue.recipient.clone())));
    });
}

fn what_is_unblocked_works_as_before(store: Store) {
    run(store, &Settings::default(), &[NEWEST, Form::new(6)], |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &Creation { subscribe: false, ..Creation::default() });
        let sender = key(Kind::Ed25519);
        assert_eq!(queue.secure(&mut alice, &sender), "OK");
        assert_eq!(queue.send(&mut bob, Some(&sender), "before"), "OK");
        queue.subscribe(&mut alice);
        let message = queue.message(&mut alice);
        block(server, &queue);
        assert_eq!(alice.event().text(), told(form));
        assert!(server.moderate(Moderation::Unblock(queue.recipient.clone())));
        assert_eq!(queue.send(&mut bob, Some(&sender), "after"), "OK");
        drop(alice);
        let mut alice = Peer::connect(server.address(), form);
        queue.subscribe(&mut alice);
        assert_eq!(queue.message(&mut alice), message);
        let after = queue.acknowledge_for_next(&mut alice, &message.id);
        assert_eq!(after.text(), "after");
        assert_eq!(queue.acknowledge(&mut alice, &after.id), "OK");
    });
}
