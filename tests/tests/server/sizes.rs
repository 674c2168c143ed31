//! The longest messages of each version.

use smp_core::wire::EntityId;
use smp_tests::peer::{Auth, Form, Kind, Peer, Queue, Request, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, NEWEST, run, scenarios, two};

scenarios![
    the_longest_message_arrives_and_a_longer_one_is_refused,
    a_message_of_an_old_client_reaches_a_new_one,
    a_block_is_filled_to_the_last_byte,
];

const fn longest(form: Form) -> usize {
    match form.version.0 {
        ..8 => 16088,
        8..11 => 16064,
        11.. => 16048,
    }
}

fn the_longest_message_arrives_and_a_longer_one_is_refused(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        for kind in [Kind::Ed25519, Kind::Ed448] {
            let queue = Queue::new(&mut alice);
            let sender = key(kind);
            assert_eq!(queue.secure(&mut alice, &sender), "OK");
            let mut body: Vec<u8> = (0..longest(form)).map(|n| n as u8).collect();
            assert_eq!(queue.send(&mut bob, Some(&sender), &body), "OK");
            let message = queue.receive_last(&mut alice);
            assert_eq!(message.body.as_deref(), Some(&body[..]));
            body.push(0);
            assert_eq!(queue.send(&mut bob, Some(&sender), &body), "ERR LARGE_MSG");
            assert_eq!(queue.send(&mut bob, Some(&key(kind)), &body), "ERR AUTH");
            body.resize(longest(form) + 20, 0);
            assert_eq!(queue.send(&mut bob, Some(&sender), &body), "ERR LARGE_MSG");
            alice.assert_silent();
        }
    });
}

fn a_message_of_an_old_client_reaches_a_new_one(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), NEWEST);
        let mut bob = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        let body = vec![b'x'; longest(form)];
        assert_eq!(queue.send(&mut bob, None, &body), "OK");
        assert_eq!(queue.receive_last(&mut alice).body.as_deref(), Some(&body[..]));
    });
}

fn a_block_is_filled_to_the_last_byte(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let content_max = if form.encrypts() { 16384 - 2 - 16 } else { 16384 - 2 };
        let empty = Request::new(Auth::None, &EntityId::from([7; 24]), "SEND F ");
        let rest = content_max - 3 - peer.transmission(&empty).len();
        let body = [&b"SEND F "[..], &vec![b'x'; rest]].concat();
        // Nobody's queue, so that the size alone does not decide.
        assert_eq!(peer.ask(Auth::None, &EntityId::from([7; 24]), body), "ERR AUTH");
    });
}
