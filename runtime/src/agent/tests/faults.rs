//! What goes wrong.

use std::time::Duration;

use smp_core::agent::Event;
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentError, ConnectionError};

use super::*;
use crate::Runtime;
use crate::tests::Work;

/// Either server, before anything is done; then the call is repeated.
#[test]
fn a_join_that_failed_is_repeated() {
    for down in 0..2 {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, request) = alice.invite(true);
        world.crash(down);
        let (at_bob, joined) = bob.join(request, "bob", true);
        assert!(matches!(joined, Err(AgentError::Broker { .. })), "server {down}: {joined:?}");
        assert!(matches!(bob.rejoin(at_bob), Err(AgentError::Broker { .. })));
        // Nothing is tried without a call, neither now nor after a restart.
        world.start(down, ServerConfig::default());
        bob.stop();
        bob.start();
        assert!(alice.others_within(HOUR).is_empty());
        assert_eq!(bob.rejoin(at_bob), Ok(true));
        let (confirmation, info) = alice.confirmation();
        assert_eq!(info, "bob");
        alice.allow(at_alice, confirmation, "alice");
        bob.info();
        bob.connected();
        alice.connected();
        assert_eq!(bob.rejoin(at_bob), Ok(true), "once more is no fault");
    }
}

/// Whoever is let in is told of it as soon as his server is there.
#[test]
fn who_is_allowed_while_his_server_is_away_is_told_later() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, request) = alice.invite(false);
    bob.join(request, "bob", false).1.unwrap();
    let (confirmation, _) = alice.confirmation();
    world.crash(1);
    alice.allow(at_alice, confirmation, "alice");
    assert!(alice.others_within(HOUR).is_empty());
    world.start(1, ServerConfig::default());
    assert_eq!(bob.info(), "alice");
    bob.connected();
    alice.connected();
}

#[test]
fn what_a_full_queue_does_not_take_is_sent_when_it_was_drained() {
    let mut config = ServerConfig::default();
    config.message_quota = 4;
    let world = World::with(1, &config);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    for number in 0..12_u8 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    world.pass(HOUR);
    let began = world.runtime.now().mono;
    for number in 0..12_u8 {
        let message = alice.message();
        assert_eq!((message.sender_id, &*message.body), (i64::from(number) + 2, &[number][..]));
        alice.acknowledge(&message);
    }
    // Whoever waits for a full queue looks again after minutes, but is told before.
    assert!(world.runtime.now().mono.since(began) < Duration::from_secs(10));
    let sent = bob.others_within(HOUR);
    assert!(sent.len() == 12 && sent.iter().all(|event| matches!(event, Event::Sent(..))));
}

/// The store of a server fails for a moment: what is sent is sent again, what is acknowledged is acknowledged again.
#[test]
fn what_a_server_could_not_store_is_repeated() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    world.stores[0].plan([Work::Fail]);
    bob.send(at_bob, "one").unwrap();
    bob.send(at_bob, "two").unwrap();
    let message = alice.message();
    assert_eq!(message.body, "one");
    world.stores[0].plan([Work::Fail]);
    alice.acknowledge(&message);
    assert_eq!(alice.message().body, "two");
}

/// A message that cannot be delivered for two days is given up, and those behind it are not held up by it.
#[test]
fn what_cannot_be_sent_for_days_is_given_up() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    world.crash(0);
    let lost = bob.send(at_bob, "lost").unwrap();
    world.pass(HOUR * 47);
    let late = bob.send(at_bob, "late").unwrap();
    match bob.others_within(HOUR * 2).as_slice() {
        [Event::NotSent(_, number, AgentError::Broker { .. })] => assert_eq!(*number, lost),
        events => panic!("not given up: {events:?}"),
    }
    world.start(0, ServerConfig::default());
    let message = alice.message();
    assert_eq!(message.body, "late");
    assert!(matches!(bob.others_within(HOUR).as_slice(), [Event::Sent(_, number, _)] if *number == late));
}

/// A batch that the store refuses has no effect; a call is told, everything else is tried again.
#[test]
fn a_store_that_fails_now_and_then_loses_nothing() {
    for failing in 1..40 {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, request) = alice.invite(true);
        bob.store.fail(failing % 7, failing / 7);
        let (at_bob, mut joined) = bob.join(request.clone(), "bob", true);
        while let Err(AgentError::Internal(_)) = joined {
            joined = bob.join_as(at_bob, request.clone(), "bob", true);
        }
        assert_eq!(joined, Ok(true));
        let (confirmation, _) = alice.confirmation();
        alice.store.fail(failing % 5, failing / 5);
        let allowing = alice.agent().allow(at_alice, confirmation, "alice".into());
        if world.runtime.block_on(allowing).is_err() {
            alice.store.fail(0, 0);
            alice.allow(at_alice, confirmation, "alice");
        }
        alice.store.fail(0, 0);
        assert_eq!(bob.info(), "alice");
        bob.connected();
        alice.connected();
        bob.store.fail(0, 0);
        bob.send(at_bob, "hello").unwrap();
        alice.store.fail(failing % 3, 1);
        let message = alice.message();
        assert_eq!((message.sender_id, &*message.body), (2, &b"hello"[..]));
        alice.store.fail(0, 0);
        alice.acknowledge(&message);
    }
}

#[test]
fn a_store_that_panics_has_failed() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    bob.store.panic();
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
}

/// The queue for replies is gone before the other side is let in.
#[test]
fn who_cannot_be_reached_any_more_is_given_up() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, request) = alice.invite(false);
    bob.join(request, "bob", false).1.unwrap();
    let (confirmation, _) = alice.confirmation();
    world.forget(1);
    alice.allow(at_alice, confirmation, "alice");
    let gone = AgentError::Connection(ConnectionError::NotAvailable);
    match alice.others_within(HOUR).as_slice() {
        [Event::Error(_, error)] => assert_eq!(*error, gone),
        events => panic!("not told: {:?}", events.iter().map(tell).collect::<Vec<_>>()),
    }
    alice.stop();
    alice.start();
    assert!(alice.others_within(Duration::from_secs(600)).is_empty(), "nothing is left to do");
}

#[test]
fn nothing_is_left_of_an_agent_that_nobody_wants() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    alice.stop();
    world.pass(HOUR);
    let tasks = world.runtime.tasks();
    let mut bob = world.person(2, 0);
    alice.start();
    meet(&mut alice, &mut bob, false);
    // In the middle of a call.
    let inviting = alice.agent().invite(world::USER, false);
    alice.stop();
    bob.stop();
    assert_eq!(world.runtime.block_on(inviting).err(), Some(AgentError::Inactive));
    world.pass(Duration::from_secs(60));
    assert_eq!(world.runtime.tasks(), tasks);
}
