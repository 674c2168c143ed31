//! Networks that come and go, agents that rest, sessions that nobody needs.

use std::time::Duration;

use smp_core::agent::{ConnectionId, Event, UserServer};
use smp_core::server::ServerConfig;
use smp_core::wire::ServerAddress;
use smp_core::wire::agent::AgentError;
use smp_core::wire::error::{BrokerErrorType, NetworkError};

use super::*;
use crate::Runtime;
use crate::agent::Agent;
use crate::tests::Work;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn online(person: &Person, online: bool) {
    person.runtime().block_on(person.agent().set_online(online)).unwrap();
}

fn up(person: &mut Person, within: Duration) -> Vec<ConnectionId> {
    match person.event_within(within) {
        Some(Event::Up(_, connections)) => connections,
        event => panic!("not up: {event:?}"),
    }
}

fn down(person: &mut Person) -> Vec<ConnectionId> {
    match person.event_within(MINUTE) {
        Some(Event::Down(_, connections)) => connections,
        event => panic!("not down: {event:?}"),
    }
}

#[test]
fn without_a_network_nothing_is_tried_and_with_it_everything_at_once() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    online(&alice, false);
    online(&bob, false);
    world.crash(0);
    assert_eq!(down(&mut alice), [at_alice]);
    bob.send(at_bob, "hello").unwrap();
    world.start(0, ServerConfig::default());
    world.pass(MINUTE * 25);
    assert!(alice.event_within(Duration::ZERO).is_none(), "tried without a network");
    assert_eq!(world.connections(0), 0);
    online(&alice, true);
    assert_eq!(up(&mut alice, SECOND), [at_alice]);
    online(&bob, true);
    let began = world.runtime.now().mono;
    assert_eq!(alice.message().body, "hello");
    assert!(world.runtime.now().mono.since(began) < SECOND);
    // Without being told, after half an hour all the same.
    online(&alice, false);
    world.pass(SECOND * 5);
    online(&alice, false);
    world.crash(0);
    assert_eq!(down(&mut alice), [at_alice]);
    world.start(0, ServerConfig::default());
    world.pass(MINUTE * 29);
    assert!(alice.event_within(Duration::ZERO).is_none());
    assert_eq!(up(&mut alice, MINUTE * 2), [at_alice]);
}

/// A device that changes networks says that the old one is gone after it said that there is a new one.
#[test]
fn a_network_that_has_just_come_is_not_gone() {
    let mut world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, _) = meet(&mut alice, &mut bob, false);
    online(&alice, true);
    online(&alice, false);
    world.crash(0);
    assert_eq!(down(&mut alice), [at_alice]);
    world.start(0, ServerConfig::default());
    assert_eq!(up(&mut alice, SECOND * 10), [at_alice]);
}

#[test]
fn an_agent_rests_when_everything_is_sent_and_goes_on_where_it_was() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    for body in 0..20 {
        bob.send(at_bob, vec![body]).unwrap();
    }
    assert_eq!((world.connections(0), world.connections(1)), (2, 2));
    world.runtime.block_on(bob.agent().suspend(SECOND * 10)).unwrap();
    let mut sent = 0;
    loop {
        match bob.event_within(SECOND) {
            Some(Event::Sent(..)) => sent += 1,
            Some(Event::Suspended) => break,
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(sent, 20);
    assert_eq!((world.connections(0), world.connections(1)), (1, 1), "bob has no sessions");
    alice.send(at_alice, "meanwhile").unwrap();
    world.pass(MINUTE);
    let waiting = bob.agent().send(at_bob, "kept".into(), world::FLAGS);
    assert!(world.runtime.block_on(waiting).is_ok());
    assert!(bob.event_within(HOUR).is_none(), "it does not rest");
    world.runtime.block_on(bob.agent().resume()).unwrap();
    let message = bob.message();
    assert_eq!(message.body, "meanwhile");
    bob.acknowledge(&message);
    let heard = alice.bodies();
    assert_eq!((heard.len(), heard.last().unwrap().clone()), (21, "kept".into()));
}

/// The server is gone: after the time that it was given the agent rests all the same.
#[test]
fn an_agent_rests_when_its_time_is_over() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    bob.send(at_bob, "one").unwrap();
    assert_eq!(alice.bodies(), ["one"]);
    assert!(matches!(bob.event_within(HOUR), Some(Event::Sent(..))));
    world.stores[0].hold(true);
    bob.send(at_bob, "two").unwrap();
    world.runtime.block_on(bob.agent().suspend(SECOND * 5)).unwrap();
    world.pass(SECOND * 4);
    assert!(bob.event_within(Duration::ZERO).is_none());
    assert!(matches!(bob.event_within(SECOND * 2), Some(Event::Suspended)));
    world.stores[0].hold(false);
    assert!(bob.event_within(HOUR).is_none());
    world.crash(0);
    world.start(0, ServerConfig::default());
    world.runtime.block_on(bob.agent().resume()).unwrap();
    assert_eq!(alice.bodies(), ["two"]);
}

/// Resuming before it rested leaves nothing behind that is not received.
#[test]
fn an_agent_that_is_not_to_rest_after_all_misses_nothing() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    world.stores[0].hold(true);
    bob.send(at_bob, "slow").unwrap();
    world.runtime.block_on(bob.agent().suspend(HOUR)).unwrap();
    alice.send(at_alice, "meanwhile").unwrap();
    world.stores[0].hold(false);
    world.runtime.run();
    world.runtime.block_on(bob.agent().resume()).unwrap();
    assert_eq!(bob.bodies(), ["meanwhile"]);
    assert_eq!(alice.bodies(), ["slow"]);
}

#[test]
fn a_session_that_nobody_needs_ends() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    world.pass(MINUTE * 9);
    assert_eq!((world.connections(0), world.connections(1)), (2, 2));
    bob.send(at_bob, "hello").unwrap();
    world.pass(MINUTE * 9);
    assert_eq!((world.connections(0), world.connections(1)), (2, 1), "alice has sent nothing");
    world.pass(MINUTE * 2);
    assert_eq!((world.connections(0), world.connections(1)), (1, 1));
    alice.send(at_alice, "hello too").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
    assert_eq!(bob.bodies(), ["hello too"]);
}

/// Two agents with the same keys: the one that was told to has the subscription.
#[test]
fn a_subscription_that_another_took_is_taken_back_when_the_app_wants_it() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    let mut copy = world.person(3, 0);
    copy.stop();
    copy.store = alice.store.clone();
    copy.start();
    assert_eq!((up(&mut copy, MINUTE), down(&mut alice)), (vec![at_alice], vec![at_alice]));
    assert!(alice.event_within(HOUR).is_none(), "it is not taken back by itself");
    world.runtime.block_on(alice.agent().resubscribe(at_alice)).unwrap();
    assert_eq!((up(&mut alice, MINUTE), down(&mut copy)), (vec![at_alice], vec![at_alice]));
    copy.stop();
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.message().body, "hello");
    let unknown = ConnectionId::new([9; 12]);
    assert!(world.runtime.block_on(alice.agent().resubscribe(unknown)).is_err());
}

/// The app is not told of it: nothing was missed.
#[test]
fn sessions_are_made_anew_when_the_app_wants_it() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    for server in [None, Some((world::USER, world.address(0))), Some((world::USER, world.address(1)))] {
        world.runtime.block_on(alice.agent().reconnect(server)).unwrap();
        bob.send(at_bob, "hello").unwrap();
        match alice.event_within(MINUTE) {
            Some(Event::Message(message)) => alice.acknowledge(&message),
            event => panic!("{event:?}"),
        }
    }
}

/// Its message comes again with a new subscription in the same session; nothing else is concerned.
#[test]
fn an_acknowledgement_that_failed_does_not_end_the_session() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    for body in ["one", "two"] {
        bob.send(at_bob, body).unwrap();
    }
    let message = alice.message();
    world.stores[0].plan([Work::Fail]);
    alice.acknowledge(&message);
    match alice.event_within(MINUTE) {
        Some(Event::Message(message)) => assert_eq!(message.body, "two"),
        event => panic!("{event:?}"),
    }
}

#[test]
fn errors_say_why_a_server_cannot_be_used() {
    let mut world = World::new(1);
    let right = world.address(0);
    let wrong = ServerAddress::new(right.hosts().to_vec(), right.port(), [9; 32]).unwrap();
    let reason = |world: &World, server: &ServerAddress| {
        let servers = vec![UserServer::new(server.clone())];
        let store = smp_core::agent::store::MemoryAgentStore::new();
        let (agent, _events) = Agent::builder(world.runtime.clone(), store)
            .user(world::USER, servers)
            .seed([7; 32])
            .inline_store()
            .start()
            .unwrap();
        match world.runtime.block_on(agent.invite(world::USER, false)) {
            Err(AgentError::Broker { error: BrokerErrorType::Network(error), .. }) => error,
            invited => panic!("{:?}", invited.map(|_| ())),
        }
    };
    assert_eq!(reason(&world, &wrong), NetworkError::UnknownCa);
    world.crash(0);
    assert!(matches!(reason(&world, &right), NetworkError::Connect(_)));
}
