//! Connections that are deleted.

use std::time::Duration;

use smp_core::agent::{ConnectionId, Event};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentError, ConnectionError};
use smp_core::wire::error::ErrorType;

use super::*;

const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);

fn delete(world: &World, person: &Person, connection: ConnectionId, wait: bool) -> Result<(), AgentError> {
    world.runtime.block_on(person.agent().delete(connection, wait))
}

/// What is told of a deletion, without what is about servers: with a word for each queue.
fn told(events: &[Event]) -> Vec<String> {
    let word = |event: &Event| match event {
        Event::QueueDeleted { error: None, .. } => "deleted".to_owned(),
        Event::QueueDeleted { error: Some(error), .. } => format!("not deleted: {}", kind(error)),
        event => format!("{event:?}"),
    };
    events.iter().map(word).collect()
}

fn kind(error: &AgentError) -> String {
    match error {
        AgentError::Smp { error: ErrorType::Auth, .. } => "AUTH".to_owned(),
        AgentError::Broker { .. } => "BROKER".to_owned(),
        error => error.to_string(),
    }
}

/// At once for the app, and at the server too; the other side learns by what it sends.
#[test]
fn a_deleted_connection_is_gone() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    bob.others_within(HOUR);
    assert_eq!(delete(&world, &alice, at_alice, false), Ok(()));
    assert_eq!(alice.send(at_alice, "hello"), Err(NOT_FOUND));
    assert_eq!(delete(&world, &alice, at_alice, false), Err(NOT_FOUND));
    assert_eq!(told(&alice.others_within(HOUR)), ["deleted", "Deleted"]);
    bob.send(at_bob, "hello").unwrap();
    match bob.others_within(HOUR).as_slice() {
        [Event::NotSent(_, _, error)] => assert_eq!(kind(error), "AUTH"),
        events => panic!("{:?}", events.iter().map(tell).collect::<Vec<_>>()),
    }
    alice.stop();
    alice.start();
    assert!(told(&alice.others_within(HOUR)).is_empty());
    assert_eq!(alice.agent_store_connections(), 0);
    // The same name may be used again, and others are not touched.
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    bob.send(at_bob, "again").unwrap();
    assert_eq!(alice.bodies(), ["again"]);
    alice.send(at_alice, "again").unwrap();
    assert_eq!(bob.bodies(), ["again"]);
}

/// At each step of the handshake, on both sides, with a restart after so many turns of all tasks.
#[test]
fn a_connection_can_be_deleted_at_any_time() {
    for step in 0..5 {
        for turns in [0, 1, 3, 8, 20] {
            let world = World::new(2);
            let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
            let (at_alice, request) = alice.invite(true);
            let at_bob = ConnectionId::new([1; 12]);
            let joining = bob.agent().join(at_bob, world::USER, request, "bob".into(), true);
            match step {
                0 => _ = world.turn(turns),
                1 => _ = world.runtime.block_on(joining),
                _ => {
                    world.runtime.block_on(joining).unwrap();
                    let (confirmation, _) = alice.confirmation();
                    if step > 2 {
                        alice.allow(at_alice, confirmation, "alice");
                    }
                    if step > 3 {
                        bob.others_within(HOUR);
                    }
                }
            }
            let deleting = [bob.agent().delete(at_bob, false), alice.agent().delete(at_alice, false)];
            world.turn(turns);
            drop(deleting);
            for (person, connection) in [(&mut bob, at_bob), (&mut alice, at_alice)] {
                person.stop();
                person.start();
                let again = delete(&world, person, connection, false);
                assert!(matches!(again, Ok(()) | Err(NOT_FOUND)), "{again:?}");
                person.others_within(HOUR);
                assert_eq!(person.agent_store_connections(), 0, "step {step}, {turns} turns");
            }
        }
    }
}

/// A queue that is being made while its connection is deleted is deleted too.
#[test]
fn a_queue_that_comes_too_late_is_deleted() {
    for turns in 0..60 {
        let world = World::new(2);
        let (alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (_, request) = alice.invite(false);
        let at_bob = ConnectionId::new([1; 12]);
        let joining = bob.agent().join(at_bob, world::USER, request, "bob".into(), false);
        world.turn(turns);
        let deleted = delete(&world, &bob, at_bob, false);
        assert_eq!(deleted, Ok(()), "after {turns} turns");
        let joined = world.runtime.block_on(joining);
        assert!(joined == Err(NOT_FOUND) || joined.is_ok(), "after {turns} turns");
        bob.others_within(HOUR);
        assert_eq!(bob.agent_store_connections(), 0);
        assert_eq!(world.queues(1), 0, "after {turns} turns a queue is left");
    }
}

/// The server is asked ten times, over a restart too; then the app is told.
#[test]
fn a_queue_at_a_server_that_is_gone_is_given_up() {
    for restart in [false, true] {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, _) = meet(&mut alice, &mut bob, false);
        world.crash(0);
        delete(&world, &alice, at_alice, false).unwrap();
        if restart {
            let early = alice.others_within(Duration::from_secs(600));
            assert!(told(&early).is_empty(), "{early:?}");
            alice.stop();
            alice.start();
        }
        assert_eq!(told(&alice.others_within(HOUR * 2)), ["not deleted: BROKER", "Deleted"]);
        assert_eq!(alice.agent_store_connections(), 0);
    }
    // One that comes back in time is asked again; one that forgot the queue has nothing to delete.
    for forgets in [false, true] {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, _) = meet(&mut alice, &mut bob, false);
        world.crash(0);
        delete(&world, &alice, at_alice, false).unwrap();
        assert!(told(&alice.others_within(Duration::from_secs(1000))).is_empty());
        if forgets {
            world.forget(0);
        } else {
            world.start(0, ServerConfig::default());
        }
        assert_eq!(told(&alice.others_within(HOUR)), ["deleted", "Deleted"], "forgets {forgets}");
    }
}

/// What was accepted is sent first; nothing is received meanwhile.
#[test]
fn a_deleted_connection_may_send_what_was_accepted() {
    for restart in [false, true] {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        world.crash(1);
        alice.send(at_alice, "one").unwrap();
        alice.send(at_alice, "two").unwrap();
        delete(&world, &alice, at_alice, true).unwrap();
        assert_eq!(alice.send(at_alice, "three"), Err(NOT_FOUND));
        assert_eq!(told(&alice.others_within(HOUR)), ["deleted"]);
        if restart {
            alice.stop();
            alice.start();
        }
        world.start(1, ServerConfig::default());
        assert_eq!(bob.bodies(), ["one", "two"]);
        assert_eq!(told(&alice.others_within(HOUR)), ["Sent", "Sent", "Deleted"]);
        assert_eq!(alice.agent_store_connections(), 0);
        bob.send(at_bob, "nobody is there").unwrap();
        assert!(matches!(bob.others_within(HOUR).as_slice(), [Event::NotSent(..)]));
    }
}

/// With nothing to send, with a queue that is gone, and when time is over.
#[test]
fn a_deleted_connection_does_not_wait_for_ever() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, _) = meet(&mut alice, &mut bob, false);
    delete(&world, &alice, at_alice, true).unwrap();
    assert_eq!(told(&alice.others_within(HOUR)), ["deleted", "Deleted"]);

    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    delete(&world, &bob, at_bob, false).unwrap();
    assert_eq!(told(&bob.others_within(HOUR)), ["deleted", "Deleted"]);
    alice.send(at_alice, "nobody is there").unwrap();
    delete(&world, &alice, at_alice, true).unwrap();
    let events = alice.others_within(HOUR);
    let mut words = told(&events);
    words.sort();
    assert_eq!(words, ["Deleted", "NotSent", "deleted"]);
    assert!(matches!(events.last(), Some(Event::Deleted(_))));

    let (at_alice, _) = meet(&mut alice, &mut bob, false);
    world.crash(1);
    world.pass(HOUR);
    alice.others_within(HOUR);
    alice.send(at_alice, "late").unwrap();
    delete(&world, &alice, at_alice, true).unwrap();
    assert_eq!(told(&alice.others_within(HOUR * 40)), ["deleted"]);
    let late = told(&alice.others_within(HOUR * 10));
    assert_eq!(late.last().map(String::as_str), Some("Deleted"), "{late:?}");
    assert_eq!(alice.agent_store_connections(), 0);
}

/// Messages wait for a queue that is to be secured at a server that is gone: no longer than for one that is.
#[test]
fn a_queue_that_cannot_be_secured_does_not_keep_a_deleted_connection() {
    for restart in [false, true] {
        for back_after in [Some(1), None] {
            let mut world = World::new(2);
            let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
            let (at_alice, request) = alice.invite(false);
            bob.join(request, "bob", false).1.unwrap();
            let (confirmation, _) = alice.confirmation();
            world.crash(1);
            alice.allow(at_alice, confirmation, "alice");
            alice.send(at_alice, "hello").unwrap();
            delete(&world, &alice, at_alice, true).unwrap();
            assert_eq!(told(&alice.others_within(HOUR)), ["deleted"]);
            if restart {
                alice.stop();
                alice.start();
            }
            match back_after {
                Some(hours) => {
                    assert!(alice.others_within(HOUR * hours).is_empty());
                    world.start(1, ServerConfig::default());
                    assert_eq!(bob.info(), "alice");
                    bob.connected();
                    assert_eq!(bob.bodies(), ["hello"]);
                    assert_eq!(told(&alice.others_within(HOUR)), ["Connected", "Sent", "Deleted"]);
                }
                None => {
                    assert!(alice.others_within(HOUR * 46).is_empty());
                    assert_eq!(told(&alice.others_within(HOUR * 2)), ["NotSent", "Deleted"]);
                }
            }
            assert_eq!(alice.agent_store_connections(), 0);
        }
    }
}

/// A full queue is looked at again for longer than a deleted connection waits. Of each message that is left the app is told.
#[test]
fn a_full_queue_does_not_keep_a_deleted_connection() {
    let mut config = ServerConfig::default();
    config.message_quota = 2;
    let world = World::with(1, &config);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, _) = meet(&mut alice, &mut bob, false);
    bob.stop();
    for number in 0..8_u8 {
        alice.send(at_alice, vec![number]).unwrap();
    }
    delete(&world, &alice, at_alice, true).unwrap();
    let events = told(&alice.others_within(HOUR * 47));
    assert!(!events.iter().any(|event| event == "Deleted"), "{events:?}");
    // By then it is looked at every six hours.
    let events = told(&alice.others_within(HOUR * 8));
    assert_eq!(events.len(), 7, "{events:?}");
    assert!(events[..6].iter().all(|event| event == "NotSent") && events[6] == "Deleted", "{events:?}");
}

#[test]
fn many_are_deleted_at_once() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let mut connections: Vec<_> = (0..20).map(|_| meet(&mut alice, &mut bob, false).0).collect();
    alice.others_within(HOUR);
    connections.push(ConnectionId::new([9; 12]));
    let results = world.runtime.block_on(alice.agent().delete_many(&connections, false)).unwrap();
    assert_eq!(results.len(), 21);
    assert!(results[..20].iter().all(Result::is_ok) && results[20] == Err(NOT_FOUND));
    let told = told(&alice.others_within(HOUR));
    assert_eq!(told.iter().filter(|word| *word == "Deleted").count(), 20);
    assert_eq!((alice.agent_store_connections(), world.queues(0)), (0, 0));
    assert_eq!(world.runtime.block_on(alice.agent().delete_many(&[], false)), Ok(Vec::new()));
}
