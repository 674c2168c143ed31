//! A program with many connections, which is known to its server by a certificate.

use smp_core::agent::Event;
use smp_core::wire::QueueSet;

use crate::world::{Kind, Person, connect, impatient, server};

/// What the service was told to be subscribed to, and what it is.
fn up(person: &mut Person) -> (QueueSet, QueueSet) {
    loop {
        if let Event::ServiceUp { expected, subscribed, .. } = person.next_of_all() {
            return (expected, subscribed);
        }
    }
}

#[test]
fn a_service_is_subscribed_to_all_queues_at_once() {
    let (mut server, other) = (server(), server());
    let kind = Kind { is_service: true, ..Kind::current() };
    let servers = vec![crate::world::at(server.address())];
    let mut alice = Person::made(servers, impatient(), kind.clone());
    let mut people: Vec<_> = (0..3)
        .map(|_| {
            let mut bob = Person::new(&[&other]);
            let (_, at_bob) = connect(&mut alice, &mut bob);
            (bob, at_bob)
        })
        .collect();

    alice.sleep();
    people.iter_mut().for_each(|(bob, at_bob)| bob.send(*at_bob, "while you slept"));
    alice.wake();
    let (expected, subscribed) = up(&mut alice);
    assert_eq!((expected.count, expected), (3, subscribed));
    (0..3).for_each(|_| alice.hears("while you slept"));

    server.pause();
    server.resume();
    let (expected, subscribed) = up(&mut alice);
    assert_eq!((expected.count, expected), (3, subscribed));
    people.iter_mut().for_each(|(bob, at_bob)| bob.send(*at_bob, "hello again"));
    (0..3).for_each(|_| alice.hears("hello again"));

    // No service any more, from the next start on.
    alice.sleep();
    alice.kind = Kind::current();
    alice.wake();
    people.iter_mut().for_each(|(bob, at_bob)| bob.send(*at_bob, "and again"));
    (0..3).for_each(|_| alice.hears("and again"));
    alice.sleep();
    alice.kind = kind;
    alice.wake();
    people.iter_mut().for_each(|(bob, at_bob)| bob.send(*at_bob, "at last"));
    (0..3).for_each(|_| alice.hears("at last"));
}
