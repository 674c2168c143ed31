//! Subscriptions that end: taken over by another connection, or with their queue.

use smp_core::wire::Version;
use smp_tests::peer::{Auth, Form, Kind, Peer, Queue, Request, key, wait_until};
use smp_tests::server::{Settings, Store};

use super::{ALL, SOME, run, scenarios, two};

scenarios![
    another_connection_takes_over,
    the_former_subscriber_can_come_back,
    only_the_recipient_takes_over,
    news_of_many_ends_is_sent_together,
    a_deletion_is_told_to_the_subscriber,
    a_lost_connection_ends_its_subscriptions,
];

const fn deleted(form: Form) -> &'static str {
    if form.version.0 >= Version::DELETED_EVENT.0 { "DELD" } else { "END" }
}

fn another_connection_takes_over(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut first, mut second) = two(server, form);
        let mut sender = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut first);
        assert_eq!(queue.send(&mut sender, None, "one"), "OK");
        assert_eq!(queue.send(&mut sender, None, "two"), "OK");
        let one = queue.message(&mut first);
        let two = queue.acknowledge_for_next(&mut first, &one.id);
        assert_eq!(two.text(), "two");

        queue.subscribe(&mut second);
        let end = first.event();
        assert_eq!(end, "END");
        assert_eq!(end.entity_id, queue.recipient);
        assert_eq!(queue.message(&mut second), two);
        // What was delivered to the first is not for it to acknowledge any more.
        assert_eq!(queue.acknowledge(&mut first, &two.id), "ERR NO_MSG");
        assert_eq!(queue.send(&mut sender, None, "three"), "OK");
        let three = queue.acknowledge_for_next(&mut second, &two.id);
        assert_eq!(three.text(), "three");
        assert_eq!(queue.acknowledge(&mut first, &three.id), "ERR NO_MSG");
        assert_eq!(queue.acknowledge(&mut second, &three.id), "OK");
        assert_eq!(queue.send(&mut sender, None, "four"), "OK");
        assert_eq!(queue.receive_last(&mut second).text(), "four");
        first.assert_silent();

        assert_eq!(queue.ask(&mut first, "DEL"), "OK");
        let end = second.event();
        assert_eq!(end, deleted(form));
        assert_eq!(end.entity_id, queue.recipient);
        first.assert_silent();
    });
}

fn the_former_subscriber_can_come_back(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut first, mut second) = two(server, form);
        let queue = Queue::new(&mut first);
        queue.subscribe(&mut second);
        assert_eq!(first.event(), "END");
        queue.subscribe(&mut first);
        assert_eq!(second.event(), "END");
        let mut sender = Peer::connect(server.address(), form);
        assert_eq!(queue.send(&mut sender, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut first).text(), "hello");
        first.assert_silent();
        second.assert_silent();
    });
}

fn only_the_recipient_takes_over(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let (mut alice, mut eve) = two(server, form);
        let queue = Queue::new(&mut alice);
        let stranger = key(Kind::Ed25519);
        assert_eq!(eve.ask(Auth::Key(&stranger), &queue.recipient, "SUB"), "ERR AUTH");
        assert_eq!(eve.ask(Auth::Key(&queue.key), &queue.sender, "SUB"), "ERR AUTH");
        assert_eq!(queue.send(&mut eve, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        alice.assert_silent();
        eve.assert_silent();
    });
}

fn news_of_many_ends_is_sent_together(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let (mut first, mut second) = two(server, form);
        let queues: Vec<_> = (0..20).map(|_| Queue::new(&mut first)).collect();
        let requests: Vec<_> =
            queues.iter().map(|queue| Request::new(Auth::Key(&queue.key), &queue.recipient, "SUB")).collect();
        for answer in second.ask_all(&requests) {
            assert_eq!(answer, second.subscribed());
        }
        let block = first.receive_block();
        assert_eq!(block.len(), queues.len(), "one block holds them all");
        let mut ended: Vec<_> = block.iter().map(|event| event.entity_id.clone()).collect();
        assert!(block.iter().all(|event| *event == "END" && event.is_event()));
        let mut expected: Vec<_> = queues.iter().map(|queue| queue.recipient.clone()).collect();
        ended.sort();
        expected.sort();
        assert_eq!(ended, expected);
    });
}

fn a_deletion_is_told_to_the_subscriber(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut other) = two(server, form);
        let queue = Queue::new(&mut alice);
        let kept = Queue::new(&mut alice);
        assert_eq!(queue.send(&mut other, None, "never acknowledged"), "OK");
        let message = queue.message(&mut alice);
        assert_eq!(queue.ask(&mut other, "DEL"), "OK");
        let event = alice.event();
        assert_eq!(event, deleted(form));
        assert_eq!(event.entity_id, queue.recipient);
        assert_eq!(queue.acknowledge(&mut alice, &message.id), "ERR AUTH");
        assert_eq!(kept.send(&mut other, None, "hello"), "OK");
        assert_eq!(kept.receive_last(&mut alice).text(), "hello");
        other.assert_silent();
    });
}

fn a_lost_connection_ends_its_subscriptions(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let (alice, mut bob) = two(server, form);
        let mut alice = alice;
        let queue = Queue::new(&mut alice);
        let before = server.connections();
        drop(alice);
        wait_until("the connection is gone", || server.connections() < before);
        // Nobody is there to be told, and the queue keeps what comes.
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        queue.subscribe(&mut bob);
        assert_eq!(queue.receive_last(&mut bob).text(), "hello");
        bob.assert_silent();
    });
}
