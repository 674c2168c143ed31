//! Agents and servers that end and begin again.

use std::future::Future;
use std::task::{Context, Waker};

use smp_core::agent::{ConnectionId, Event};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentError, ConnectionError};
use smp_core::wire::command::MessageFlags;

use super::*;

/// The agent of each side, before and after each step of the handshake.
#[test]
fn an_agent_that_is_started_again_goes_on() {
    for restart in 0..10 {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let step = |number: i32, person: &mut Person| {
            if restart == number {
                person.stop();
                person.start();
            }
        };
        let (at_alice, request) = alice.invite(true);
        step(0, &mut alice);
        let (at_bob, joined) = bob.join(request, "bob", true);
        assert_eq!(joined, Ok(true));
        step(1, &mut bob);
        let (confirmation, _) = alice.confirmation();
        step(2, &mut alice);
        if restart == 2 {
            assert!(alice.confirmation().0 == confirmation, "who waits is told again");
        }
        step(3, &mut bob);
        alice.allow(at_alice, confirmation, "alice");
        step(4, &mut alice);
        if restart == 4 {
            // The event went with the agent that had it.
            alice.send(at_alice, "hello").unwrap();
        } else {
            alice.connected();
            alice.send(at_alice, "hello").unwrap();
        }
        step(5, &mut alice);
        assert_eq!(bob.info(), "alice", "restart {restart}");
        bob.connected();
        step(6, &mut bob);
        let message = bob.message();
        assert_eq!((message.sender_id, &*message.body), (2, &b"hello"[..]), "restart {restart}");
        step(7, &mut bob);
        if restart == 7 {
            assert!(bob.message() == message, "a message that was not acknowledged is told again");
        }
        bob.acknowledge(&message);
        step(8, &mut bob);
        bob.send(at_bob, "hello too").unwrap();
        step(9, &mut bob);
        assert_eq!(alice.message().body, "hello too", "restart {restart}");
    }
}

/// What was accepted while no server could be reached goes out when the agent was started again.
#[test]
fn an_undelivered_message_goes_out_after_a_restart() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    world.crash(0);
    let numbers: Vec<_> = (0..5_u8).map(|number| bob.send(at_bob, vec![number]).unwrap()).collect();
    assert!(bob.event_within(HOUR).is_none(), "the server of the other side is gone");
    bob.stop();
    world.start(0, ServerConfig::default());
    bob.start();
    for number in 0..5_u8 {
        let message = alice.message();
        assert_eq!(*message.body, [number]);
        alice.acknowledge(&message);
    }
    for number in numbers {
        match bob.event() {
            Event::Sent(_, sent, _) => assert_eq!(sent, number),
            event => panic!("not sent: {}", tell(&event)),
        }
    }
}

#[test]
fn servers_that_come_back_are_used_again_and_the_app_is_told() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    for round in 0..3_u8 {
        world.crash(0);
        match alice.event_within(HOUR) {
            Some(Event::Down(server, connections)) => {
                assert!(server == world.address(0) && connections == [at_alice]);
            }
            event => panic!("not told that the server is gone: {event:?}"),
        }
        bob.send(at_bob, vec![round]).unwrap();
        assert!(alice.event_within(HOUR).is_none(), "told once");
        world.start(0, ServerConfig::default());
        match alice.event_within(HOUR) {
            Some(Event::Up(server, connections)) => {
                assert!(server == world.address(0) && connections == [at_alice]);
            }
            event => panic!("not told that the server is back: {event:?}"),
        }
        let message = alice.message();
        assert_eq!(*message.body, [round]);
        alice.acknowledge(&message);
        alice.send(at_alice, vec![round]).unwrap();
        let message = bob.message();
        assert_eq!(*message.body, [round]);
        bob.acknowledge(&message);
        assert!(matches!(alice.event_within(HOUR), Some(Event::Sent(..))));
    }
}

/// A message that waits for the app is there once, however often its server delivers it.
#[test]
fn a_message_that_is_delivered_again_waits_once() {
    let mut world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    bob.send(at_bob, "hello").unwrap();
    for _ in 0..3 {
        world.crash(0);
        world.start(0, ServerConfig::default());
        world.pass(HOUR);
    }
    let message = alice.message();
    assert_eq!(message.body, "hello");
    assert!(alice.others_within(HOUR).is_empty());
    // Told, and not acknowledged: it is not told again, but for a restart of the agent.
    world.crash(0);
    world.start(0, ServerConfig::default());
    assert!(alice.others_within(HOUR).is_empty());
    alice.stop();
    alice.start();
    assert!(alice.message() == message);
    alice.acknowledge(&message);
    world.crash(0);
    world.start(0, ServerConfig::default());
    assert!(alice.others_within(HOUR).is_empty());
}

/// Both sides are interrupted in the middle, after so many turns of all tasks; the calls are repeated as an app would.
#[test]
fn a_handshake_that_is_interrupted_anywhere_goes_on() {
    for turns in 0.. {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, request) = alice.invite(true);
        let at_bob = ConnectionId::new([1; 12]);
        let mut joining =
            Box::pin(bob.agent().join(at_bob, world::USER, request.clone(), "bob".into(), true));
        let was_busy = world.turn(turns);
        let joined = joining.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        bob.stop();
        bob.start();
        match bob.rejoin(at_bob) {
            Err(AgentError::Connection(ConnectionError::NotFound)) if joined.is_pending() => {
                assert_eq!(bob.join_as(at_bob, request, "bob", true), Ok(true), "after {turns} turns");
            }
            joined => assert_eq!(joined, Ok(true), "after {turns} turns"),
        }
        let (confirmation, _) = alice.confirmation();
        drop(alice.agent().allow(at_alice, confirmation, "alice".into()));
        world.turn(turns);
        alice.stop();
        alice.start();
        match world.runtime.block_on(alice.agent().allow(at_alice, confirmation, "alice".into())) {
            Ok(()) | Err(AgentError::Connection(ConnectionError::NotFound)) => {}
            Err(error) => panic!("after {turns} turns: {error}"),
        }
        drop(bob.agent().send(at_bob, "hello".into(), MessageFlags { notification: true }));
        world.turn(turns);
        bob.stop();
        bob.start();
        bob.send(at_bob, "hello again").unwrap();
        let bodies = alice.bodies();
        let (last, others) = bodies.split_last().expect("a message");
        assert!(last == "hello again" && others.iter().all(|body| body == "hello"), "after {turns} turns");
        alice.send(at_alice, "hello, bob").unwrap();
        assert_eq!(bob.bodies(), ["hello, bob"], "after {turns} turns");
        if !was_busy {
            assert!(turns > 20, "there was hardly anything to interrupt");
            return;
        }
    }
}
