//! GET: a message without a subscription.

use smp_tests::peer::{Auth, Creation, Kind, Peer, Queue, Request, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, run, scenarios, two};

scenarios![
    messages_are_got_one_by_one,
    getting_and_subscribing_exclude_each_other,
    one_gets_while_another_is_subscribed,
    what_is_got_is_not_lost_with_the_connection,
];

fn unsubscribed() -> Creation {
    Creation { subscribe: false, ..Creation::default() }
}

fn messages_are_got_one_by_one(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &unsubscribed());
        assert_eq!(queue.ask(&mut alice, "GET"), "OK");
        assert_eq!(alice.ask(Auth::Key(&key(Kind::Ed25519)), &queue.recipient, "GET"), "ERR AUTH");
        assert_eq!(alice.ask(Auth::Key(&queue.key), &queue.sender, "GET"), "ERR AUTH");
        for text in ["one", "two"] {
            assert_eq!(queue.send(&mut bob, None, text), "OK");
        }
        // The answer carries the correlation id, which `ask` has checked, and nothing else comes.
        let one = queue.open(&queue.ask(&mut alice, "GET"));
        assert_eq!(one.text(), "one");
        alice.assert_silent();
        assert_eq!(queue.open(&queue.ask(&mut alice, "GET")), one);
        assert_eq!(queue.acknowledge(&mut alice, &[9; 24].into()), "ERR NO_MSG");
        assert_eq!(queue.acknowledge(&mut alice, &one.id), "OK");
        assert_eq!(queue.acknowledge(&mut alice, &one.id), "ERR NO_MSG");
        let two = queue.open(&queue.ask(&mut alice, "GET"));
        assert_eq!(two.text(), "two");
        assert_eq!(queue.acknowledge(&mut alice, &two.id), "OK");
        assert_eq!(queue.ask(&mut alice, "GET"), "OK");
        assert_eq!(queue.acknowledge(&mut alice, &two.id), "ERR NO_MSG");
        alice.assert_silent();
    });
}

fn getting_and_subscribing_exclude_each_other(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        assert_eq!(queue.ask(&mut alice, "GET"), "ERR CMD PROHIBITED");
        assert_eq!(queue.ask(&mut bob, "GET"), "OK");
        assert_eq!(queue.ask(&mut bob, "SUB"), "ERR CMD PROHIBITED");
        // Other queues and other connections are not concerned.
        let other = Queue::new(&mut bob);
        assert_eq!(other.ask(&mut alice, "GET"), "OK");
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        drop(bob);
        let mut bob = Peer::connect(server.address(), form);
        queue.subscribe(&mut bob);
        assert_eq!(alice.event(), "END");
        assert_eq!(queue.ask(&mut alice, "GET"), "OK");
        let both = ["GET", "SUB"].map(|word| Request::new(Auth::Key(&other.key), &other.recipient, word));
        let answers = alice.ask_all(&both);
        assert_eq!(answers[0], "OK");
        assert_eq!(answers[1], "ERR CMD PROHIBITED");
    });
}

fn one_gets_while_another_is_subscribed(store: Store) {
    run(store, &Settings { quota: 4, ..Settings::default() }, ALL, |server, form| {
        let (mut subscriber, mut getter) = two(server, form);
        let mut sender = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut subscriber);
        for text in ["one", "two", "three", "four"] {
            assert_eq!(queue.send(&mut sender, None, text), "OK");
        }
        let one = queue.message(&mut subscriber);
        assert_eq!(queue.open(&queue.ask(&mut getter, "GET")), one);
        assert_eq!(queue.acknowledge(&mut getter, &one.id), "OK");
        assert_eq!(queue.acknowledge(&mut getter, &one.id), "ERR NO_MSG");
        let two = queue.open(&queue.ask(&mut getter, "GET"));
        assert_eq!(two.text(), "two");
        // The first acknowledgement wins; that of the other still brings what is next.
        assert_eq!(queue.acknowledge_for_next(&mut subscriber, &one.id), two);
        let three = queue.acknowledge_for_next(&mut subscriber, &two.id);
        assert_eq!(three.text(), "three");
        assert_eq!(queue.acknowledge(&mut getter, &two.id), "OK");
        assert_eq!(queue.open(&queue.ask(&mut getter, "GET")), three);
        assert_eq!(queue.acknowledge(&mut getter, &three.id), "OK");
        let four = queue.open(&queue.ask(&mut getter, "GET"));
        assert_eq!(four.text(), "four");
        assert_eq!(queue.acknowledge(&mut getter, &four.id), "OK");
        assert_eq!(queue.ask(&mut getter, "GET"), "OK");
        assert_eq!(queue.acknowledge(&mut subscriber, &three.id), "OK");
        subscriber.assert_silent();
        getter.assert_silent();
        assert_eq!(queue.send(&mut sender, None, "five"), "OK");
        assert_eq!(queue.receive_last(&mut subscriber).text(), "five");
    });
}

fn what_is_got_is_not_lost_with_the_connection(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut bob, &unsubscribed());
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        let got = queue.open(&queue.ask(&mut alice, "GET"));
        drop(alice);
        queue.subscribe(&mut bob);
        assert_eq!(queue.receive_last(&mut bob), got);
    });
}
