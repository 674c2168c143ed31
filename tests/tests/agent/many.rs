//! Many connections at once, sessions that end, agents that rest.

use std::collections::BTreeSet;
use std::time::Duration;

use smp_core::agent::{ConnectionId, Event};
use smp_core::wire::link::ContactDetails;
use smp_runtime::agent::new_connection_id;
use smp_tests::server::{Settings, Store, TestServer};

use crate::world::{FLAGS, Person, USER, connect, connect_at, server, talk};

/// Until all of these are up, or down.
#[track_caller]
fn until(person: &mut Person, is_up: bool, of: &BTreeSet<ConnectionId>) {
    let mut left = of.clone();
    person.connectivity.clear();
    while !left.is_empty() {
        match person.next_of_all() {
            Event::Up(_, connections) if is_up => left.retain(|id| !connections.contains(id)),
            Event::Down(_, connections) if !is_up => left.retain(|id| !connections.contains(id)),
            event => panic!("neither up nor down: {event:?}"),
        }
    }
}

#[test]
fn two_hundred_connections_come_and_go_with_their_server() {
    let mut server = server();
    let mut alice = Person::new(&[&server]);
    let all: BTreeSet<_> =
        (0..200).map(|_| alice.wait(alice.agent().invite(USER, false)).expect("an invitation").0).collect();
    alice.restart();
    until(&mut alice, true, &all);
    server.pause();
    until(&mut alice, false, &all);
    server.resume();
    until(&mut alice, true, &all);
    let connections: Vec<_> = all.iter().copied().collect();
    let deleted = alice.wait(alice.agent().delete_many(&connections, false)).expect("the agent runs");
    assert!(deleted.len() == 200 && deleted.iter().all(Result::is_ok));
    let mut left = all;
    while !left.is_empty() {
        match alice.next() {
            Event::Deleted(id) => assert!(left.remove(&id)),
            Event::QueueDeleted { error: None, .. } => {}
            event => panic!("not about the end: {event:?}"),
        }
    }
}

/// Sent at once to all, to one who is away; told when he comes.
#[test]
fn many_messages_are_sent_at_once() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let pairs: Vec<_> = (0..10).map(|_| connect(&mut alice, &mut bob)).collect();
    bob.sleep();
    let nobody = new_connection_id().expect("randomness");
    let to = pairs.iter().map(|(at_alice, _)| *at_alice).chain([nobody]);
    let messages = to.map(|connection| (connection, "hello".into(), FLAGS)).collect();
    let sent = alice.wait(alice.agent().send_many(messages)).expect("the agent runs");
    assert!(sent[..10].iter().all(Result::is_ok) && sent[10].is_err());
    (0..10).for_each(|_| alice.sent());
    bob.wake();
    let heard: BTreeSet<_> = (0..10)
        .map(|_| {
            let message = bob.message();
            bob.acknowledge(&message);
            message.connection
        })
        .collect();
    assert!(heard == pairs.iter().map(|(_, at_bob)| *at_bob).collect());
}

/// Whoever only looks at a link has no subscription there: the server ends the session. Alice's stays.
#[test]
fn silent_sessions_without_subscriptions_end() {
    let idle_clients = Some((Duration::from_millis(100), Duration::from_millis(20)));
    let server = TestServer::start(Store::Embedded, &Settings { idle_clients, ..Settings::default() });
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let details = ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() };
    let made = alice.agent().create_address_with_link(USER, details, "hello".into());
    let made = alice.wait(made).expect("an address");
    let link = made.link.expect("it knows links");
    let id = new_connection_id().expect("randomness");
    for _ in 0..2 {
        bob.wait(bob.agent().open_link(id, USER, link.clone())).expect("it leads somewhere");
        server.wait_for_connections(1);
        // He may not have heard of it yet.
        bob.try_again();
    }
    let made_at = (made.connection, &made.request);
    connect_at(made_at, (&mut alice, false), (&mut bob, false));
}

#[test]
fn an_agent_rests_and_goes_on() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    (0..20).for_each(|number| bob.send(at_bob, number.to_string()));
    bob.wait(bob.agent().suspend(Duration::from_secs(30))).expect("it runs");
    (0..20).for_each(|_| bob.sent());
    assert!(matches!(bob.next(), Event::Suspended));
    server.wait_for_connections(1);
    (0..20).for_each(|number| alice.hears(&number.to_string()));
    alice.send(at_alice, "meanwhile");
    alice.sent();
    bob.wait(bob.agent().resume()).expect("it runs");
    bob.hears("meanwhile");
    talk(&mut alice, at_alice, &mut bob, at_bob);
}

/// What could not be sent in time is sent after the rest.
#[test]
fn an_agent_rests_when_its_time_is_over() {
    let (first, mut second) = (server(), server());
    let (mut alice, mut bob) = (Person::new(&[&second]), Person::new(&[&first]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    second.pause();
    bob.send(at_bob, "late");
    bob.wait(bob.agent().suspend(Duration::from_millis(50))).expect("it runs");
    assert!(matches!(bob.next(), Event::Suspended));
    second.resume();
    bob.wait(bob.agent().resume()).expect("it runs");
    alice.hears("late");
    talk(&mut alice, at_alice, &mut bob, at_bob);
}
