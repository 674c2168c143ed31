//! Agents whose sessions are those of a service, against the real server.

use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::store::{AgentQuery, Found, UserService};
use smp_core::agent::{ConnectionId, Event, SessionMode};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentCommandError, AgentError};
use smp_core::wire::{QueueSet, Version, VersionRange};

use super::world::{Settings, USER};
use super::*;
use crate::agent::Agent;

const MINUTE: Duration = Duration::from_secs(60);

/// A service on server 0.
fn service(world: &World) -> Person {
    world.person_with(1, &[0], |builder| builder.service(USER))
}

fn set_service(person: &Person, is_enabled: bool) -> Result<(), AgentError> {
    person.runtime().block_on(person.agent().set_user_service(USER, is_enabled))
}

/// What the agent keeps of its service.
fn kept(person: &Person) -> Vec<UserService> {
    match person.store.copy().read(&AgentQuery::Services) {
        Found::Services(services) => services,
        _ => panic!("no services"),
    }
}

/// How many queues the agent keeps as those of its service.
fn associated(person: &Person) -> usize {
    let Found::Queues(queues) = person.store.copy().read(&AgentQuery::Queues) else { panic!("no queues") };
    queues.iter().filter(|queue| queue.is_associated).count()
}

/// How many queues the server counts among those of the service.
fn counted(world: &World, person: &Person) -> i64 {
    let of_service = |service: &UserService| world.stores[0].of_service(service.id.as_ref().unwrap()).count;
    kept(person).iter().map(of_service).sum()
}

/// Everything about servers and services that happens in a while.
fn told(person: &mut Person) -> Vec<String> {
    let events = std::iter::from_fn(|| person.event_within(MINUTE));
    let mut told = Vec::new();
    for event in events {
        told.push(match event {
            Event::Up(_, connections) => format!("up {}", connections.len()),
            Event::Down(_, connections) => format!("down {}", connections.len()),
            Event::ServiceUp { expected, subscribed, .. } => {
                let is_same = if expected == subscribed { "same" } else { "other" };
                format!("service up {} of {}, {is_same}", subscribed.count, expected.count)
            }
            Event::ServiceDown { queues, .. } => format!("service down {}", queues.count),
            Event::ServiceEnd { queues, .. } => format!("service end {}", queues.count),
            event => tell(&event),
        });
    }
    told
}

/// A service that meets so many people, who have their queues elsewhere.
fn crowd(world: &World, alice: &mut Person, count: u8) -> Vec<(ConnectionId, Person, ConnectionId)> {
    let meet = |name| {
        let mut bob = world.person(10 + name, 1);
        let (at_alice, at_bob) = meet(alice, &mut bob, false);
        (at_alice, bob, at_bob)
    };
    (0..count).map(meet).collect()
}

fn all_say(crowd: &[(ConnectionId, Person, ConnectionId)], alice: &mut Person, what: &'static str) {
    crowd.iter().for_each(|(_, bob, at_bob)| _ = bob.send(*at_bob, what).unwrap());
    hear(crowd.len(), alice, what);
}

fn hear(count: usize, alice: &mut Person, what: &'static str) {
    let mut heard = 0;
    while heard < count {
        match alice.event() {
            Event::Message(message) => {
                assert_eq!(message.body, Bytes::from(what));
                alice.acknowledge(&message);
                heard += 1;
            }
            Event::ServiceUp { .. } | Event::ServiceDown { .. } | Event::ServiceAll { .. } => {}
            event => panic!("{}", tell(&event)),
        }
    }
}

/// Queues that are made in a session of the service are its own; a start subscribes them at once, and everything that was sent
/// comes.
#[test]
fn a_start_subscribes_everything_at_once() {
    let mut world = World::new(2);
    let mut alice = service(&world);
    let crowd = crowd(&world, &mut alice, 5);
    assert_eq!((associated(&alice), counted(&world, &alice)), (5, 5));
    all_say(&crowd, &mut alice, "hello");
    let certificate = kept(&alice)[0].certificate.clone();
    for _ in 0..2 {
        alice.stop();
        for (_, bob, at_bob) in &crowd {
            bob.send(*at_bob, "meanwhile").unwrap();
        }
        world.pass(MINUTE);
        world.stores[0].take_subscribed();
        alice.start();
        hear(crowd.len(), &mut alice, "meanwhile");
        all_say(&crowd, &mut alice, "now");
        assert_eq!(world.stores[0].take_subscribed(), 0, "no queue was subscribed by its name");
        assert_eq!(kept(&alice)[0].certificate, certificate);
    }
    // The same when the server ends.
    told(&mut alice);
    world.crash(0);
    assert_eq!(told(&mut alice), ["down 5", "service down 5"]);
    world.start(0, ServerConfig::default());
    world.stores[0].take_subscribed();
    assert_eq!(told(&mut alice), ["service up 5 of 5, same", "up 5", "ServiceAll"]);
    assert_eq!(world.stores[0].take_subscribed(), 0);
    all_say(&crowd, &mut alice, "again");
}

/// Without a service nothing of it is there.
#[test]
fn others_have_no_service() {
    let world = World::new(2);
    let mut alice = world.person(1, 0);
    let crowd = crowd(&world, &mut alice, 2);
    alice.stop();
    world.stores[0].take_subscribed();
    alice.start();
    assert_eq!(told(&mut alice), ["up 2"]);
    assert_eq!((world.stores[0].take_subscribed(), associated(&alice), kept(&alice).len()), (2, 0, 0));
    all_say(&crowd, &mut alice, "hello");
}

/// To a service, back, and to a service again: while the agent runs, and from one start to the next.
#[test]
fn a_user_changes_to_a_service_and_back() {
    let world = World::new(2);
    let mut alice = world.person(1, 0);
    let crowd = crowd(&world, &mut alice, 3);
    for is_restarted in [false, true] {
        let switch = |alice: &mut Person, is_enabled| {
            if is_restarted {
                alice.stop();
                let on: Settings = |builder| builder.service(USER);
                let settings: Settings = if is_enabled { on } else { |builder| builder };
                alice.settings = Some((vec![world.address(0)], settings));
                alice.start();
            } else {
                set_service(alice, is_enabled).unwrap();
            }
            told(alice);
        };
        world.stores[0].take_subscribed();
        switch(&mut alice, true);
        assert_eq!(
            (world.stores[0].take_subscribed(), associated(&alice), counted(&world, &alice)),
            (3, 3, 3)
        );
        all_say(&crowd, &mut alice, "to the service");
        let service = kept(&alice)[0].id.clone().unwrap();
        switch(&mut alice, false);
        assert_eq!((world.stores[0].take_subscribed(), associated(&alice), kept(&alice).len()), (3, 0, 0));
        assert_eq!(world.stores[0].of_service(&service), QueueSet::EMPTY);
        all_say(&crowd, &mut alice, "to one");
    }
    // On again after it was off: nothing of the former service is left.
    set_service(&alice, true).unwrap();
    told(&mut alice);
    assert_eq!((associated(&alice), counted(&world, &alice)), (3, 3));
}

/// The server lost everything, or what it knew of the service; the agent was set back.
#[test]
fn what_does_not_fit_is_put_right() {
    let mut world = World::new(2);
    let mut alice = service(&world);
    let mut crowd = crowd(&world, &mut alice, 3);
    // The agent knows less than the server.
    let before = alice.store.copy();
    let (mut bob, at_alice) = (world.person(20, 1), crowd[0].0);
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    alice.stop();
    alice.store.restore(before);
    alice.start();
    assert_eq!(told(&mut alice), ["service up 4 of 3, other", "ServiceAll", "up 3"]);
    alice.stop();
    world.stores[0].take_subscribed();
    alice.start();
    assert_eq!(told(&mut alice), ["service up 4 of 4, same", "up 3", "ServiceAll"], "it knows by now");
    assert_eq!(world.stores[0].take_subscribed(), 0);
    all_say(&crowd, &mut alice, "hello");
    // It is told of no queue that is not its own.
    bob.send(at_bob, "nobody").unwrap();
    assert!(told(&mut alice).is_empty());
    // A connection that is deleted is none of the service's.
    world.runtime.block_on(alice.agent().delete(at_alice, false)).unwrap();
    assert_eq!(told(&mut alice).len(), 2);
    crowd.remove(0);
    alice.stop();
    alice.start();
    assert_eq!(told(&mut alice), ["service up 3 of 3, same", "up 2", "ServiceAll"]);
    // The server forgot all.
    world.forget(0);
    let events = told(&mut alice);
    let errors = events.iter().filter(|event| event.starts_with("Error")).count();
    assert_eq!((errors, associated(&alice)), (2, 0), "{events:?}");
}

/// Two agents with the same store: the later one has the service.
#[test]
fn a_service_that_another_agent_took_is_taken_back() {
    let world = World::new(2);
    let mut alice = service(&world);
    let crowd = crowd(&world, &mut alice, 3);
    told(&mut alice);
    let mut copy = world.person_with(3, &[0], |builder| builder.service(USER));
    copy.stop();
    copy.store = alice.store.clone();
    copy.start();
    assert_eq!(told(&mut copy), ["service up 3 of 3, same", "up 3", "ServiceAll"]);
    assert_eq!(told(&mut alice), ["service end 3", "down 3"]);
    world.runtime.block_on(alice.agent().resubscribe_service(USER)).unwrap();
    assert_eq!(told(&mut alice), ["service up 3 of 3, same", "up 3", "ServiceAll"]);
    assert_eq!(told(&mut copy), ["service end 3", "down 3"]);
    copy.stop();
    all_say(&crowd, &mut alice, "hello");
}

/// A server that does not know services is used without, whatever it knew before.
#[test]
fn older_servers_are_used_without() {
    let world = World::new(2);
    let mut alice = service(&world);
    let crowd = crowd(&world, &mut alice, 2);
    assert_eq!(counted(&world, &alice), 2);
    alice.stop();
    alice.smp = VersionRange::new(Version(6), Version(18)).unwrap();
    alice.start();
    assert_eq!(told(&mut alice), ["up 2"]);
    assert_eq!((associated(&alice), counted(&world, &alice)), (0, 0));
    all_say(&crowd, &mut alice, "hello");
    alice.stop();
    alice.smp = VersionRange::SUPPORTED;
    alice.start();
    assert_eq!(told(&mut alice), ["up 2"]);
    assert_eq!((associated(&alice), counted(&world, &alice)), (2, 2));
}

/// A crash between any two writes, and a store that fails: in the end all are of the service, and everything is heard.
#[test]
fn crashes_and_failures_of_the_store_leave_nothing_behind() {
    for after in 0..8 {
        let world = World::new(2);
        let mut alice = world.person(1, 0);
        let crowd = crowd(&world, &mut alice, 2);
        alice.stop();
        alice.settings = Some((vec![world.address(0)], |builder| builder.service(USER)));
        alice.store.fail(after, 2);
        alice.start();
        alice.others_within(MINUTE);
        alice.stop();
        alice.store.fail(0, 0);
        alice.start();
        alice.others_within(MINUTE);
        all_say(&crowd, &mut alice, "hello");
        alice.stop();
        alice.start();
        alice.others_within(MINUTE);
        assert_eq!((associated(&alice), counted(&world, &alice)), (2, 2), "after {after}");
        all_say(&crowd, &mut alice, "all of them");
    }
}

#[test]
fn a_service_needs_shared_sessions_and_a_user() {
    let world = World::new(1);
    let alice = world.person_with(1, &[0], |builder| builder.sessions(SessionMode::Entity));
    let prohibited = Err(AgentError::Command(AgentCommandError::Prohibited));
    assert_eq!(set_service(&alice, true), prohibited);
    assert_eq!(set_service(&alice, false), Ok(()));
    let bob = world.person(2, 0);
    let unknown = bob.agent().set_user_service(smp_core::agent::UserId(9), true);
    assert_eq!(world.runtime.block_on(unknown), Err(AgentError::NoUser));
    assert_eq!(world.runtime.block_on(bob.agent().resubscribe_service(USER)), prohibited);
    let both = Agent::builder(world.runtime.clone(), smp_core::agent::store::MemoryAgentStore::new())
        .service(USER)
        .sessions(SessionMode::Entity)
        .inline_store()
        .start();
    assert_eq!(both.err().map(|error| error.kind()), Some(std::io::ErrorKind::InvalidInput));
}
