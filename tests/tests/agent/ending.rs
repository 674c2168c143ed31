//! Connections and users that are deleted.

use std::time::Duration;

use smp_core::agent::{AgentLimits, Event, SessionMode, UserId};
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError};
use smp_core::wire::error::ErrorType;
use smp_tests::server::{Settings, Store, TestServer};

use crate::world::{Kind, Person, USER, at, connect, impatient, server, talk};

fn delete(person: &Person, connection: smp_core::agent::ConnectionId, waits: bool) {
    person.wait(person.agent().delete(connection, waits)).expect("it is there");
}

/// The queue is gone at its server, then everything.
#[track_caller]
fn is_deleted(person: &mut Person) {
    let event = person.next_unsent();
    assert!(matches!(event, Event::QueueDeleted { error: None, .. }), "{event:?}");
    let event = person.next_unsent();
    assert!(matches!(event, Event::Deleted(_)), "{event:?}");
}

/// Whether or not it would wait for what is to be sent: there is nothing.
#[test]
fn a_deleted_connection_is_gone() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    for waits in [false, true] {
        let (at_alice, at_bob) = connect(&mut alice, &mut bob);
        delete(&alice, at_alice, waits);
        is_deleted(&mut alice);
        let gone = alice.wait(alice.agent().describe(at_alice)).map(|_| ());
        assert_eq!(gone, Err(AgentError::Connection(ConnectionError::NotFound)));
        bob.send(at_bob, "is anybody there?");
        match bob.next() {
            Event::NotSent(_, _, AgentError::Smp { error: ErrorType::Auth, .. }) => {}
            event => panic!("not refused: {event:?}"),
        }
    }
}

/// What was accepted is sent first, or refused because the other side has gone too.
#[test]
fn a_deleted_connection_waits_for_what_is_to_be_sent() {
    for is_there in [true, false] {
        let (first, mut second) = (server(), server());
        let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
        let (at_alice, at_bob) = connect(&mut alice, &mut bob);
        if !is_there {
            delete(&bob, at_bob, false);
            is_deleted(&mut bob);
        }
        second.pause();
        alice.send(at_alice, "farewell");
        delete(&alice, at_alice, true);
        let event = alice.next();
        assert!(matches!(event, Event::QueueDeleted { error: None, .. }), "{event:?}");
        second.resume();
        let event = alice.next();
        assert_eq!(matches!(event, Event::Sent(..)), is_there, "{event:?}");
        assert_eq!(matches!(event, Event::NotSent(..)), !is_there, "{event:?}");
        assert!(matches!(alice.next(), Event::Deleted(_)));
        if is_there {
            bob.hears("farewell");
        }
    }
}

/// A server that is away, and a queue that is full, do not keep it for ever.
#[test]
fn a_deleted_connection_does_not_wait_for_ever() {
    for is_full in [false, true] {
        let first = server();
        let quota = if is_full { 1 } else { 128 };
        let mut second = TestServer::start(Store::Embedded, &Settings { quota, ..Settings::default() });
        let moment = Duration::from_millis(200);
        let limits = AgentLimits { delete_wait: moment, full_retry: moment / 4, ..impatient() };
        let mut alice = Person::with(vec![at(first.address())], limits);
        let mut bob = Person::new(&[&second]);
        let (at_alice, _) = connect(&mut alice, &mut bob);
        bob.sleep();
        if !is_full {
            second.pause();
        }
        (0..3).for_each(|_| alice.send(at_alice, "nobody takes this"));
        delete(&alice, at_alice, true);
        loop {
            match alice.next_unsent() {
                Event::Deleted(_) => break,
                Event::QueueDeleted { error: None, .. } | Event::NotSent(..) => {}
                event => panic!("not about the end: {event:?}"),
            }
        }
    }
}

/// A queue whose server is away is given up in the end, and told.
#[test]
fn a_queue_on_a_server_that_is_away_is_given_up() {
    let mut server = server();
    let moment = Duration::from_millis(50);
    let limits = AgentLimits { delete_attempts: 3, delete_pause: moment, ..impatient() };
    let mut alice = Person::with(vec![at(server.address())], limits);
    let mut bob = Person::new(&[&server]);
    let (at_alice, _) = connect(&mut alice, &mut bob);
    server.pause();
    delete(&alice, at_alice, false);
    let event = alice.next();
    let is_given_up = matches!(event, Event::QueueDeleted { error: Some(AgentError::Broker { .. }), .. });
    assert!(is_given_up, "{event:?}");
    assert!(matches!(alice.next(), Event::Deleted(of) if of == at_alice));
}

/// With connections, and without, with its server there and away; the other user goes on.
#[test]
fn users_are_made_and_deleted() {
    for (connections, is_away) in [(false, false), (true, false), (true, true)] {
        let (first, mut second) = (server(), server());
        let moment = Duration::from_millis(50);
        let limits = AgentLimits { delete_attempts: 3, delete_pause: moment, ..impatient() };
        let mut alice = Person::with(vec![at(first.address())], limits);
        let mut bob = Person::new(&[&first]);
        let (at_alice, at_bob) = connect(&mut alice, &mut bob);
        let user = alice.agent().create_user(vec![at(second.address())]);
        let user = alice.wait(user).expect("the agent runs");
        if connections {
            alice.wait(alice.agent().invite(user, false)).expect("an invitation");
        }
        if is_away {
            second.pause();
        }
        alice.wait(alice.agent().delete_user(user, false)).expect("it is there");
        if connections {
            let event = alice.next();
            assert!(matches!(&event, Event::QueueDeleted { error, .. } if error.is_some() == is_away));
            assert!(matches!(alice.next(), Event::Deleted(_)));
        }
        assert!(matches!(alice.next(), Event::UserDeleted(of) if of == user));
        let users = alice.wait(alice.agent().users()).expect("the agent runs");
        assert_eq!(users, [USER]);
        talk(&mut alice, at_alice, &mut bob, at_bob);
    }
}

/// Each user, or each connection, has a session of its own with a server.
#[test]
fn sessions_are_shared_as_the_settings_say() {
    for (sessions, expected) in [(SessionMode::Session, 2), (SessionMode::Entity, 3)] {
        let server = server();
        let alice = Person::of(&Kind { sessions, ..Kind::current() }, &[&server]);
        let second = alice.wait(alice.agent().create_user(alice.servers.clone())).expect("the agent runs");
        for user in [USER, USER, second] {
            alice.wait(alice.agent().invite(user, false)).expect("an invitation");
        }
        assert_eq!(server.connections(), expected);
    }
}

/// An invitation that nobody used may be another user's; a connection may not.
#[test]
fn an_invitation_changes_its_user_until_it_is_used() {
    let server = server();
    let (mut alice, bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let second = alice.wait(alice.agent().create_user(alice.servers.clone())).expect("the agent runs");
    let (at_alice, request) = alice.invite();
    let change = |alice: &Person, user: UserId| alice.wait(alice.agent().change_user(at_alice, user));
    assert_eq!(change(&alice, second), Ok(()));
    bob.join(&request);
    alice.confirmation();
    assert_eq!(change(&alice, USER), Err(AgentError::Command(AgentCommandError::Prohibited)));
}
