//! Messages on their way to a subscriber.

use std::thread;

use smp_core::wire::MessageId;
use smp_tests::peer::{Auth, Creation, Peer, Queue, Request};
use smp_tests::server::{Settings, Store};

use super::{ALL, SOME, run, scenarios, two};

scenarios![
    a_message_comes_before_the_answer_to_its_sender,
    one_message_at_a_time,
    a_subscription_brings_its_message_in_the_same_block,
    answers_to_subscriptions_share_a_block_with_a_message,
    a_second_subscription_delivers_again,
    acknowledgements_name_the_message_delivered,
    an_acknowledgement_of_any_message_removes_none,
    what_was_not_acknowledged_waits_for_the_next_connection,
    flags_reach_the_recipient,
    senders_at_the_same_time_lose_nothing,
    of_two_messages_at_the_same_time_one_waits_for_the_other,
];

fn later() -> Creation {
    Creation { subscribe: false, ..Creation::default() }
}

fn a_message_comes_before_the_answer_to_its_sender(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        let request = Request::new(Auth::None, &queue.sender, "SEND T hello");
        alice.send(std::slice::from_ref(&request));
        let event = alice.receive();
        assert!(event.is_event());
        assert_eq!(queue.open(&event).text(), "hello");
        assert_eq!(alice.answer(&request), "OK");
    });
}

fn one_message_at_a_time(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        for text in ["one", "two", "three"] {
            assert_eq!(queue.send(&mut bob, None, text), "OK");
        }
        let first = queue.message(&mut alice);
        assert_eq!(first.text(), "one");
        alice.assert_silent();
        let second = queue.acknowledge_for_next(&mut alice, &first.id);
        assert_eq!(second.text(), "two");
        alice.assert_silent();
        let third = queue.acknowledge_for_next(&mut alice, &second.id);
        assert_eq!(third.text(), "three");
        assert!(first.id != second.id && second.id != third.id);
        assert_eq!(queue.acknowledge(&mut alice, &third.id), "OK");
        assert_eq!(queue.acknowledge(&mut alice, &third.id), "ERR NO_MSG");
        assert_eq!(queue.send(&mut bob, None, "four"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "four");
    });
}

fn a_subscription_brings_its_message_in_the_same_block(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut bob, &later());
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        bob.assert_silent();
        alice.send(&[Request::new(Auth::Key(&queue.key), &queue.recipient, "SUB")]);
        let block = alice.receive_block();
        assert_eq!(block.len(), 2);
        assert_eq!(block[0], alice.subscribed());
        assert!(!block[0].is_event() && block[1].is_event());
        assert_eq!(queue.open(&block[1]).text(), "hello");
    });
}

fn answers_to_subscriptions_share_a_block_with_a_message(store: Store) {
    // At version 6 each transmission carries the session id, and fewer fit.
    let forms: Vec<_> = SOME.iter().copied().filter(|form| form.version.0 > 6).collect();
    run(store, &Settings::default(), &forms, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queues: Vec<_> = (0..4).map(|_| Queue::create(&mut bob, &later())).collect();
        assert_eq!(queues[1].send(&mut bob, None, "one"), "OK");
        assert_eq!(queues[3].send(&mut bob, None, "three"), "OK");
        let requests: Vec<_> =
            queues.iter().map(|queue| Request::new(Auth::Key(&queue.key), &queue.recipient, "SUB")).collect();
        alice.send(&requests);
        let blocks: Vec<_> = (0..3).map(|_| alice.receive_block()).collect();
        assert_eq!(blocks.iter().map(Vec::len).collect::<Vec<_>>(), [1, 4, 1]);
        let answers = blocks[0].iter().chain(&blocks[1][..3]);
        for (answer, request) in answers.zip(&requests) {
            assert_eq!(*answer, alice.subscribed());
            assert_eq!(answer.correlation_id, request.correlation_id);
        }
        assert_eq!(queues[1].open(&blocks[1][3]).text(), "one");
        assert_eq!(queues[3].open(&blocks[2][0]).text(), "three");
    });
}

fn a_second_subscription_delivers_again(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        queue.subscribe(&mut alice);
        queue.subscribe(&mut alice);
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        let first = queue.message(&mut alice);
        queue.subscribe(&mut alice);
        assert_eq!(queue.message(&mut alice), first);
        // Twice in one block.
        let requests = [0; 2].map(|_| Request::new(Auth::Key(&queue.key), &queue.recipient, "SUB"));
        for answer in alice.ask_all(&requests) {
            assert_eq!(answer, alice.subscribed());
        }
        assert_eq!(queue.message(&mut alice), first);
        assert_eq!(queue.message(&mut alice), first);
        // It is one subscription, so one acknowledgement is enough.
        assert_eq!(queue.acknowledge(&mut alice, &first.id), "OK");
        assert_eq!(queue.acknowledge(&mut alice, &first.id), "ERR NO_MSG");
        alice.assert_silent();
    });
}

fn acknowledgements_name_the_message_delivered(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &later());
        let nothing = MessageId::empty();
        assert_eq!(queue.acknowledge(&mut alice, &nothing), "ERR NO_MSG");
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        assert_eq!(queue.acknowledge(&mut alice, &nothing), "ERR NO_MSG");
        queue.subscribe(&mut alice);
        let message = queue.message(&mut alice);
        for wrong in [[1; 24].into(), MessageId::new(&message.id.as_bytes()[..23]).expect("an id")] {
            assert_eq!(queue.acknowledge(&mut alice, &wrong), "ERR NO_MSG");
        }
        // On another connection nothing was delivered.
        assert_eq!(queue.acknowledge(&mut bob, &message.id), "ERR NO_MSG");
        assert_eq!(queue.acknowledge(&mut alice, &message.id), "OK");
        assert_eq!(queue.acknowledge(&mut alice, &nothing), "ERR NO_MSG");
    });
}

fn an_acknowledgement_of_any_message_removes_none(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        assert_eq!(queue.send(&mut bob, None, "one"), "OK");
        assert_eq!(queue.send(&mut bob, None, "two"), "OK");
        let first = queue.message(&mut alice);
        assert_eq!(queue.acknowledge_for_next(&mut alice, &MessageId::empty()), first);
        let second = queue.acknowledge_for_next(&mut alice, &first.id);
        assert_eq!(second.text(), "two");
        assert_eq!(queue.acknowledge(&mut alice, &second.id), "OK");
    });
}

fn what_was_not_acknowledged_waits_for_the_next_connection(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        assert_eq!(queue.send(&mut bob, None, "one"), "OK");
        assert_eq!(queue.send(&mut bob, None, "two"), "OK");
        let first = queue.message(&mut alice);
        drop(alice);
        let mut alice = Peer::connect(server.address(), form);
        queue.subscribe(&mut alice);
        assert_eq!(queue.message(&mut alice), first);
        let second = queue.acknowledge_for_next(&mut alice, &first.id);
        drop(alice);
        let mut alice = Peer::connect(server.address(), form);
        queue.subscribe(&mut alice);
        assert_eq!(queue.message(&mut alice), second);
        assert_eq!(queue.acknowledge(&mut alice, &second.id), "OK");
        alice.assert_silent();
    });
}

fn flags_reach_the_recipient(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        for (command, notification, body) in [
            ("SEND T yes", true, "yes"),
            ("SEND F no", false, "no"),
            ("SEND F ", false, ""),
            ("SEND TFTFTFTFTF more flags", true, "more flags"),
            ("SEND F  begins with a space", false, " begins with a space"),
        ] {
            assert_eq!(bob.ask(Auth::None, &queue.sender, command), "OK");
            let message = queue.receive_last(&mut alice);
            assert_eq!((message.notification, message.text().as_str()), (notification, body));
        }
    });
}

fn senders_at_the_same_time_lose_nothing(store: Store) {
    const ROUNDS: usize = 50;
    let settings = Settings { quota: 2 * ROUNDS as u32, ..Settings::default() };
    run(store, &settings, SOME, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        let mut received = [Vec::new(), Vec::new()];
        thread::scope(|scope| {
            for sender in 0..2 {
                let (queue, server) = (&queue, &server);
                scope.spawn(move || {
                    let mut bob = Peer::connect(server.address(), form);
                    for round in 0..ROUNDS {
                        assert_eq!(queue.send(&mut bob, None, format!("{sender} {round}")), "OK");
                    }
                });
            }
            let mut next = Some(queue.message(&mut alice));
            for _ in 0..2 * ROUNDS {
                let message = next.take().unwrap_or_else(|| queue.message(&mut alice));
                let text = message.text();
                let (sender, round) = text.split_once(' ').expect("a sender and a round");
                received[sender.parse::<usize>().expect("0 or 1")]
                    .push(round.parse::<usize>().expect("a number"));
                let answer = queue.acknowledge(&mut alice, &message.id);
                next = (answer != "OK").then(|| queue.open(&answer));
            }
            assert!(next.is_none());
        });
        let expected: Vec<_> = (0..ROUNDS).collect();
        assert_eq!(received, [expected.clone(), expected]);
        alice.assert_silent();
    });
}

fn of_two_messages_at_the_same_time_one_waits_for_the_other(store: Store) {
    const ROUNDS: usize = 50;
    run(store, &Settings::default(), SOME, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        let (mut bob, mut carol) = two(server, form);
        for round in 0..ROUNDS {
            let texts = [format!("bob {round}"), format!("carol {round}")];
            let [bobs, carols] = texts
                .each_ref()
                .map(|text| Request::new(Auth::None, &queue.sender, format!("SEND F {text}")));
            bob.send(std::slice::from_ref(&bobs));
            carol.send(std::slice::from_ref(&carols));
            assert_eq!(bob.answer(&bobs), "OK");
            assert_eq!(carol.answer(&carols), "OK");
            let first = queue.message(&mut alice);
            alice.assert_silent();
            // Who subscribes again gets the same, not the other.
            queue.subscribe(&mut alice);
            assert_eq!(queue.message(&mut alice), first);
            let second = queue.acknowledge_for_next(&mut alice, &first.id);
            assert_eq!(queue.acknowledge(&mut alice, &second.id), "OK");
            let mut received = [first.text(), second.text()];
            received.sort();
            assert_eq!(received, texts);
        }
        alice.assert_silent();
    });
}
