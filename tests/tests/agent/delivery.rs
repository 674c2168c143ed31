//! Messages: in order, once, and whatever happens on the way.

use std::time::Duration;

use smp_core::agent::{AgentLimits, Event};
use smp_core::wire::agent::{AgentError, MessageIntegrity};
use smp_core::wire::error::ErrorType;
use smp_tests::server::{Settings, Store, TestServer};

use crate::world::{Person, at, connect, impatient, server, talk};

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
