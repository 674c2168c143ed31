//! Messages: in order, once, and whatever happens on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use smp_core::agent::{AgentLimits, ConnectionId, Event};
use smp_core::wire::agent::{AgentError, MessageIntegrity, PeerError};
use smp_core::wire::error::ErrorType;
use smp_tests::server::{Settings, Store, TestServer};

use crate::world::{FLAGS, Kind, Person, USER, at, connect, impatient, range, server, talk};

#[test]
fn fifty_messages_one_way() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, _) = connect(&mut alice, &mut bob);
    (0..50).for_each(|number| alice.send(at_alice, number.to_string()));
    (0..50).for_each(|number| bob.hears(&number.to_string()));
}

#[test]
fn fifty_messages_each_way_at_once() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    for number in 0..50 {
        alice.send(at_alice, format!("alice {number}"));
        bob.send(at_bob, format!("bob {number}"));
    }
    for number in 0..50 {
        bob.hears(&format!("alice {number}"));
        alice.hears(&format!("bob {number}"));
    }
}

/// Over two servers; the numbers go on from the confirmation, which was 1, and post-quantum encryption begins.
#[test]
fn a_hundred_messages_each_way() {
    let (first, second) = (server(), server());
    let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    for number in 0..100 {
        alice.send(at_alice, number.to_string());
        bob.send(at_bob, number.to_string());
    }
    for person in [&mut alice, &mut bob] {
        let mut pq = false;
        for number in 0..100_i64 {
            let message = person.message();
            assert_eq!((message.sender_id, message.integrity), (number + 2, MessageIntegrity::Ok));
            assert_eq!(message.body, number.to_string());
            person.acknowledge(&message);
            pq |= message.pq;
        }
        assert!(pq, "post-quantum encryption was never reached");
    }
}

/// An agent that was stopped answers every call so.
#[test]
fn an_agent_that_was_stopped_does_nothing() {
    let server = server();
    let alice = Person::new(&[&server]);
    alice.wait(alice.agent().stop());
    assert_eq!(alice.wait(alice.agent().invite(USER, false)).err(), Some(AgentError::Inactive));
}

/// Whoever sent is told once that the other side has the message; receipts are no messages that anybody confirms.
#[test]
fn receipts_are_told_once() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    receive_with_receipts(&mut alice, at_alice, &mut bob, at_bob, 20);
    receive_with_receipts(&mut bob, at_bob, &mut alice, at_alice, 20);
    talk(&mut alice, at_alice, &mut bob, at_bob);
}

fn receive_with_receipts(
    from: &mut Person,
    at_from: ConnectionId,
    to: &mut Person,
    at_to: ConnectionId,
    count: usize,
) {
    let send = |number: usize| from.agent().send(at_from, number.to_string().into(), FLAGS);
    let numbers: BTreeSet<_> =
        (0..count).map(|number| from.wait(send(number)).expect("they are connected")).collect();
    for _ in 0..count {
        let message = to.message();
        let done = to.agent().acknowledge_with_receipt(at_to, message.id, "read".into());
        to.wait(done).expect("it was told");
    }
    let mut left = numbers;
    while !left.is_empty() {
        match from.next_unsent() {
            Event::Received(_, receipts) => {
                assert!(receipts.iter().all(|receipt| receipt.is_intact && left.remove(&receipt.message)));
            }
            event => panic!("not a receipt: {event:?}"),
        }
    }
}

/// At the same time, through queues that are full now and then.
#[test]
fn receipts_come_both_ways_at_once_through_full_queues() {
    let server = TestServer::start(Store::Embedded, &Settings { quota: 2, ..Settings::default() });
    // When both queues are full nobody can say that his is drained: both look again.
    let limits = AgentLimits { full_retry: Duration::from_millis(100), ..impatient() };
    let [mut alice, mut bob] = [(); 2].map(|()| Person::with(vec![at(server.address())], limits.clone()));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    for number in 0..10 {
        alice.send(at_alice, number.to_string());
        bob.send(at_bob, number.to_string());
    }
    std::thread::scope(|scope| {
        // Neither leaves before the other has its receipts.
        for (person, at) in [(&mut alice, at_alice), (&mut bob, at_bob)] {
            scope.spawn(move || hears_and_is_heard(person, at, 10));
        }
    });
}

/// So many messages, and a receipt for each of one's own.
fn hears_and_is_heard(person: &mut Person, at: ConnectionId, count: usize) {
    let (mut messages, mut heard) = (count, count);
    while messages + heard > 0 {
        match person.next_unsent() {
            Event::Message(message) => {
                let done = person.agent().acknowledge_with_receipt(at, message.id, "read".into());
                person.wait(done).expect("it was told");
                messages -= 1;
            }
            Event::Received(_, receipts) => heard -= receipts.len(),
            event => panic!("another event: {event:?}"),
        }
    }
}

/// Version 4 of agents brought receipts: a connection that one of an earlier version made has them when both know them.
#[test]
fn receipts_and_the_version_of_a_connection_come_with_newer_agents() {
    let server = server();
    let mut old = Kind::current();
    old.versions.agent = range(2, 3);
    let (mut alice, mut bob) = (Person::of(&old, &[&server]), Person::of(&old, &[&server]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    alice.send(at_alice, "no receipt");
    let message = bob.message();
    let done = bob.agent().acknowledge_with_receipt(at_bob, message.id, "read".into());
    bob.wait(done).expect("it was told");
    talk(&mut alice, at_alice, &mut bob, at_bob);
    for person in [&mut alice, &mut bob] {
        person.sleep();
        person.kind = Kind::current();
        person.wake();
    }
    let newest = Kind::current().versions.agent.max();
    for _ in 0..2 {
        talk(&mut alice, at_alice, &mut bob, at_bob);
    }
    assert_eq!((alice.describe(at_alice).version, bob.describe(at_bob).version), (newest, newest));
    receive_with_receipts(&mut alice, at_alice, &mut bob, at_bob, 3);
    // An older agent again: what was reached stays.
    alice.sleep();
    alice.kind = old;
    alice.wake();
    talk(&mut alice, at_alice, &mut bob, at_bob);
    assert_eq!((alice.describe(at_alice).version, bob.describe(at_bob).version), (newest, newest));
}

/// What the server knows of a queue, from the invitation to a message that waits.
#[test]
fn a_server_is_asked_about_a_queue() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, request) = alice.invite();
    let ask = |alice: &Person| alice.wait(alice.agent().queue_info(at_alice)).expect("it is there");
    let told = ask(&alice);
    assert!(!told.sender_secured && told.size == 0 && told.subscription.is_some());
    let at_bob = bob.join(&request);
    let confirmation = alice.confirmation();
    assert!(ask(&alice).sender_secured, "whoever joined did it");
    alice.allow(at_alice, confirmation);
    bob.info();
    bob.connected();
    alice.connected();
    bob.send(at_bob, "one");
    bob.send(at_bob, "two");
    (0..2).for_each(|_| bob.sent());
    let message = alice.message();
    assert_eq!(ask(&alice).size, 2);
    alice.acknowledge(&message);
    alice.hears("two");
}

/// An app that never acknowledges a message, whatever restarts, is told a number of times; then the next one comes.
#[test]
fn a_message_that_is_never_acknowledged_is_dropped() {
    let server = server();
    let mut bob = Person::new(&[&server]);
    let limits = AgentLimits { repeats: 3, repeats_time: Duration::ZERO, ..impatient() };
    let mut alice = Person::with(vec![at(server.address())], limits);
    let (_, at_bob) = connect(&mut alice, &mut bob);
    bob.send(at_bob, "poison");
    bob.send(at_bob, "next");
    for _ in 0..3 {
        assert_eq!(alice.message().body, "poison");
        alice.restart();
    }
    match alice.next_unsent() {
        Event::Error(_, AgentError::Peer(PeerError::Duplicate)) => {}
        event => panic!("not dropped: {event:?}"),
    }
    alice.hears("next");
}

/// What waits to be sent is sent by the agent that is started again.
#[test]
fn what_waits_is_sent_after_restarts() {
    let mut server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    talk(&mut alice, at_alice, &mut bob, at_bob);
    server.pause();
    alice.send(at_alice, "are you there?");
    alice.restart();
    bob.restart();
    alice.send(at_alice, "are you still there?");
    server.resume();
    bob.hears("are you there?");
    bob.hears("are you still there?");
}

/// What was not acknowledged is told again by an agent that was started again, and by no other.
#[test]
fn a_message_without_acknowledgement_is_told_again_after_a_restart() {
    let mut server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, _) = connect(&mut alice, &mut bob);
    alice.send(at_alice, "once");
    let first = bob.message();
    bob.wait_for_up_after(&mut server);
    bob.restart();
    let again = bob.message();
    assert_eq!((first.id, &first.body, first.integrity), (again.id, &again.body, again.integrity));
    bob.acknowledge(&again);
    bob.restart();
    alice.send(at_alice, "twice");
    bob.hears("twice");
}

/// A server that forgets messages: the app is told which are missing.
#[test]
fn lost_messages_are_told() {
    let mut server = TestServer::start(Store::Embedded, &Settings { quota: 10, ..Settings::default() });
    let ttl = Some(Duration::from_millis(1));
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, _) = connect(&mut alice, &mut bob);
    alice.send(at_alice, "two");
    bob.hears("two");
    bob.sleep();
    while !matches!(alice.next(), Event::Sent(..)) {}
    for lost in ["three", "four", "five"] {
        alice.send(at_alice, lost);
        alice.sent();
    }
    server.pause();
    server.resume_with(&Settings { message_ttl: ttl, ..Settings::default() });
    bob.wake();
    bob.wait_for_up();
    alice.send(at_alice, "six");
    let message = bob.message();
    assert_eq!(message.body, "six");
    assert_eq!(message.integrity, MessageIntegrity::Skipped { from: 3, to: 5 });
}

/// A connection whose recipient does not take its messages does not hold up the others.
#[test]
fn a_full_queue_holds_up_nobody_else() {
    let server = TestServer::start(Store::Embedded, &Settings { quota: 2, ..Settings::default() });
    let mut alice = Person::new(&[&server]);
    let (mut bob, mut carol) = (Person::new(&[&server]), Person::new(&[&server]));
    let (to_bob, at_bob) = connect(&mut alice, &mut bob);
    let (to_carol, at_carol) = connect(&mut alice, &mut carol);
    bob.sleep();
    for number in 0..5 {
        alice.send(to_bob, number.to_string());
    }
    talk(&mut alice, to_carol, &mut carol, at_carol);
    bob.wake();
    // The retry of a full queue is an hour away: the recipient says that it is drained.
    (0..5).for_each(|number| bob.hears(&number.to_string()));
    talk(&mut bob, at_bob, &mut alice, to_bob);
}

/// What cannot be sent for too long is given up and told; what is sent later goes.
#[test]
fn messages_expire() {
    let mut server = server();
    let mut bob = Person::new(&[&server]);
    let limits = AgentLimits { message_expiry: Duration::from_millis(400), ..impatient() };
    let mut alice = Person::with(vec![at(server.address())], limits);
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    server.pause();
    alice.send(at_alice, "too late");
    alice.send(at_alice, "too late as well");
    for _ in 0..2 {
        match alice.next() {
            Event::NotSent(connection, _, AgentError::Broker { .. }) => assert_eq!(connection, at_alice),
            event => panic!("not given up: {event:?}"),
        }
    }
    server.resume();
    alice.wait_for_up();
    alice.send(at_alice, "in time");
    let message = bob.message();
    assert_eq!(message.body, "in time");
    assert_eq!(message.integrity, MessageIntegrity::Skipped { from: 2, to: 3 });
    bob.acknowledge(&message);
    talk(&mut alice, at_alice, &mut bob, at_bob);
}

/// The same, when the recipient's queue is full.
#[test]
fn messages_to_a_full_queue_expire() {
    let server = TestServer::start(Store::Embedded, &Settings { quota: 1, ..Settings::default() });
    let mut bob = Person::new(&[&server]);
    let moment = Duration::from_millis(300);
    let limits = AgentLimits { full_expiry: moment, full_retry: moment / 3, ..impatient() };
    let mut alice = Person::with(vec![at(server.address())], limits);
    let (at_alice, _) = connect(&mut alice, &mut bob);
    bob.sleep();
    alice.send(at_alice, "fits");
    alice.send(at_alice, "does not");
    alice.sent();
    match alice.next() {
        Event::NotSent(_, _, AgentError::Smp { error: ErrorType::Quota, .. }) => {}
        event => panic!("not given up: {event:?}"),
    }
    bob.wake();
    bob.hears("fits");
}

/// DOWN when the server goes, UP when it is there again; and UP for who was started while it was away.
#[test]
fn servers_come_and_go() {
    let mut server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    server.pause();
    let event = alice.next_of_all();
    assert!(matches!(&event, Event::Down(_, connections) if connections == &[at_alice]), "{event:?}");
    bob.restart();
    server.resume();
    let event = alice.next_of_all();
    assert!(matches!(&event, Event::Up(_, connections) if connections == &[at_alice]), "{event:?}");
    bob.wait_for_up();
    talk(&mut alice, at_alice, &mut bob, at_bob);
}
