//! What an app finds again that lost what it was told.

use std::time::Duration;

use smp_core::agent::store::Progress;
use smp_core::agent::{AgentLimits, ConnectionId, ConnectionStatus, ConnectionSummary, Event, UserId};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentError, ConnectionError, PeerError};
use smp_core::wire::command::MessageFlags;

use super::handshake::changed;
use super::world::USER;
use super::*;

const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);
const FLAGS: MessageFlags = MessageFlags { notification: false };

fn status(world: &World, person: &Person, id: ConnectionId) -> ConnectionStatus {
    world.runtime.block_on(person.agent().status(id)).unwrap()
}

fn progress(world: &World, person: &Person) -> Vec<Progress> {
    let connections: Vec<ConnectionSummary> =
        world.runtime.block_on(person.agent().connections(None)).unwrap();
    connections.iter().map(|summary| summary.progress).collect()
}

#[test]
fn an_app_that_forgot_everything_finds_its_connections() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    assert!(progress(&world, &alice).is_empty());
    let (at_alice, request) = alice.invite(true);
    let found = status(&world, &alice, at_alice);
    assert!(found.invitation.as_deref() == Some(&request), "the invitation can be told again");
    let summary = (found.summary.id, found.summary.user, found.summary.progress);
    assert_eq!(summary, (at_alice, USER, Progress::Created));
    let (at_bob, _) = bob.join(request, "bob", true);
    assert_eq!(status(&world, &bob, at_bob).summary.progress, Progress::Joined);
    let (confirmation, _) = alice.confirmation();
    let found = status(&world, &alice, at_alice);
    assert!(found.summary.progress == Progress::Confirmed && found.invitation.is_none());
    let [waiting] = found.confirmations.as_slice() else { panic!("nobody waits") };
    assert!(waiting.id == confirmation && waiting.info == "bob" && waiting.servers == [world.address(1)]);
    alice.allow(at_alice, waiting.id, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    let found = status(&world, &alice, at_alice);
    assert!(found.summary.progress == Progress::Connected && found.confirmations.is_empty());
    assert!(found.messages == [message.id]);
    alice.acknowledge(&message);
    assert!(status(&world, &alice, at_alice).messages.is_empty());
    let other_user = world.runtime.block_on(alice.agent().connections(Some(UserId(7))));
    assert_eq!((progress(&world, &alice), other_user), (vec![Progress::Connected], Ok(Vec::new())));
    world.runtime.block_on(alice.agent().delete(at_alice, true)).unwrap();
    assert_eq!(world.runtime.block_on(alice.agent().status(at_alice)).err(), Some(NOT_FOUND));
    assert!(progress(&world, &alice).is_empty());
}

/// Until somebody is let in, at each start.
#[test]
fn who_waits_is_told_again_after_a_restart() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    for mode in [Some(smp_core::wire::QueueMode::Messaging), None] {
        let (at_alice, request) = alice.invite(false);
        bob.join(changed(&request, 4, mode), "bob", false).1.unwrap();
        let told = alice.confirmation();
        for _ in 0..2 {
            alice.stop();
            alice.start();
            assert!(alice.confirmation() == told);
        }
        alice.allow(at_alice, told.0, "alice");
        alice.connected();
        alice.stop();
        alice.start();
        assert!(alice.others_within(HOUR).is_empty());
        bob.others_within(HOUR);
    }
}

/// An open invitation can be used by many: so many are told of, and the first of them can still be let in.
#[test]
fn of_many_who_use_an_invitation_a_number_waits() {
    let world = World::new(1);
    let (mut alice, bob) = (world.person(1, 0), world.person(2, 0));
    let max = AgentLimits::default().confirmations;
    let (at_alice, request) = alice.invite(false);
    let request = changed(&request, 4, None);
    for number in 0..max + 3 {
        let id = ConnectionId::new([u8::try_from(number).unwrap() + 1; 12]);
        bob.join_as(id, request.clone(), "bob", false).unwrap();
    }
    let events = alice.others_within(HOUR);
    let first = events.iter().find_map(|event| match event {
        Event::Confirmation { confirmation, .. } => Some(*confirmation),
        _ => None,
    });
    let refused = AgentError::Peer(PeerError::Prohibited);
    let count = |is_it: &dyn Fn(&Event) -> bool| events.iter().filter(|event| is_it(event)).count();
    assert_eq!(count(&|event| matches!(event, Event::Confirmation { .. })), max);
    assert_eq!(count(&|event| matches!(event, Event::Error(_, error) if *error == refused)), 3);
    assert_eq!(status(&world, &alice, at_alice).confirmations.len(), max);
    alice.allow(at_alice, first.unwrap(), "alice");
    alice.connected();
}

/// The server ends while an open invitation is used: whoever tries again is told of once.
#[test]
fn a_confirmation_that_comes_again_is_told_once() {
    for turns in 0..60 {
        let mut world = World::new(2);
        let (mut alice, bob) = (world.person(1, 0), world.person(2, 1));
        let (_, request) = alice.invite(false);
        let at_bob = ConnectionId::new([1; 12]);
        let joining = bob.agent().join(at_bob, USER, changed(&request, 4, None), "bob".into(), false);
        world.turn(turns);
        world.crash(0);
        world.start(0, ServerConfig::default());
        if world.runtime.block_on(joining).is_err() {
            // Until then the failure is remembered.
            world.pass(AgentLimits::default().failure_memory);
            assert_eq!(bob.rejoin(at_bob), Ok(false), "after {turns} turns");
        }
        let told = alice.others_within(HOUR);
        assert!(matches!(told.as_slice(), [Event::Confirmation { .. }]), "after {turns} turns: {told:?}");
    }
}

/// With a result for each, and in order.
#[test]
fn many_messages_are_sent_at_once() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, first) = meet(&mut alice, &mut bob, false);
    let (_, second) = meet(&mut alice, &mut bob, false);
    let messages = [(first, "one"), (second, "one"), (ConnectionId::new([9; 12]), "nobody"), (first, "two")];
    let messages = messages.map(|(connection, body)| (connection, body.into(), FLAGS));
    let results = world.runtime.block_on(bob.agent().send_many(messages.into())).unwrap();
    assert!(matches!(results.as_slice(), [Ok(_), Ok(_), Err(error), Ok(_)] if *error == NOT_FOUND));
    let mut bodies = alice.bodies();
    bodies.sort();
    assert_eq!(bodies, ["one", "one", "two"]);
}

#[test]
fn a_server_is_asked_about_a_queue() {
    let mut world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    let ask = |world: &World, person: &Person| world.runtime.block_on(person.agent().queue_info(at_alice));
    let empty = ask(&world, &alice).unwrap();
    assert!(empty.sender_secured && empty.size == 0, "{empty:?}");
    bob.send(at_bob, "hello").unwrap();
    alice.message();
    assert_eq!(ask(&world, &alice).unwrap().size, 1);
    world.crash(0);
    assert!(matches!(ask(&world, &alice), Err(AgentError::Broker { .. })));
    // Whatever becomes of the connection the call is answered.
    world.start(0, ServerConfig::default());
    world.pass(HOUR);
    let asking = alice.agent().queue_info(at_alice);
    drop(alice.agent().delete(at_alice, false));
    drop(world.runtime.block_on(asking));
    assert_eq!(ask(&world, &alice), Err(NOT_FOUND));
}

/// Three weeks after they were dealt with, messages are forgotten.
#[test]
fn what_is_not_needed_is_forgotten() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    alice.acknowledge(&message);
    let keeps = |alice: &Person| alice.try_acknowledge(at_alice, message.id).is_ok();
    world.pass(HOUR * 24 * 20);
    alice.others_within(Duration::from_secs(600));
    assert!(keeps(&alice));
    world.pass(HOUR * 24 * 2);
    alice.others_within(Duration::from_secs(600));
    assert!(!keeps(&alice), "it is not known any more");
}
