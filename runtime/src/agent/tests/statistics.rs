//! What an agent counts of what it does at servers.

use smp_core::agent::store::{AgentQuery, Found, Statistics};
use smp_core::agent::{
    AgentLimits, AgentStatistics, ProxyFallback, ProxyMode, ServerStatistics, Sessions, SubscriptionStatus,
    Subscriptions,
};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::AgentError;

use super::world::USER;
use super::*;

fn statistics(person: &Person) -> AgentStatistics {
    person.runtime().block_on(person.agent().statistics()).unwrap()
}

fn at(world: &World, person: &Person, server: usize) -> Option<ServerStatistics> {
    let address = world.address(server);
    let servers = statistics(person).servers;
    servers.into_iter().find(|of| (of.user, &of.server) == (USER, &address))
}

/// What was counted at a server, without what was not.
fn counted(world: &World, person: &Person, server: usize) -> Vec<(&'static str, u64)> {
    let counters = at(world, person, server).map(|of| of.counters.all());
    counters.into_iter().flatten().filter(|(_, number)| *number > 0).collect()
}

fn count(world: &World, person: &Person, server: usize, name: &str) -> u64 {
    counted(world, person, server).into_iter().find(|(of, _)| *of == name).map_or(0, |(_, number)| number)
}

fn kept(person: &Person) -> Option<Box<Statistics>> {
    match person.store.copy().read(&AgentQuery::Statistics) {
        Found::Statistics(kept) => kept,
        _ => panic!("no statistics"),
    }
}

fn reset(person: &Person) -> Result<(), AgentError> {
    person.runtime().block_on(person.agent().reset_statistics())
}

/// Both are connected, and bob sends so many messages, which alice takes.
fn talk(alice: &mut Person, bob: &mut Person, messages: u8) -> ConnectionIds {
    let ids = meet(alice, bob, false);
    for number in 0..messages {
        bob.send(ids.1, vec![number]).unwrap();
        let message = alice.message();
        alice.acknowledge(&message);
    }
    alice.others_within(MINUTE / 60);
    bob.others_within(MINUTE / 60);
    ids
}

type ConnectionIds = (smp_core::agent::ConnectionId, smp_core::agent::ConnectionId);
const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

#[test]
fn a_conversation_is_counted_where_it_happens() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    assert!(statistics(&alice).servers.is_empty());
    let (at_alice, _) = talk(&mut alice, &mut bob, 3);
    let receiving = [
        ("received", 4),
        ("acknowledged", 4),
        ("acknowledge-attempts", 4),
        ("queues-created", 1),
        ("connected", 1),
    ];
    assert_eq!(counted(&world, &alice, 0), receiving);
    assert_eq!(counted(&world, &alice, 1), [("sent-direct", 1), ("attempts-direct", 1)]);
    assert_eq!(counted(&world, &bob, 0), [("sent-direct", 4), ("attempts-direct", 4)]);
    let of_bob = [("received", 1), ("acknowledged", 1), ("acknowledge-attempts", 1)];
    assert_eq!(counted(&world, &bob, 1), [&of_bob[..], &receiving[3..]].concat());
    let now = at(&world, &alice, 0).unwrap();
    let one = (
        Sessions { connected: 1, ..Sessions::default() },
        Subscriptions { subscribed: 1, ..Default::default() },
    );
    assert_eq!((now.sessions, now.subscriptions), one);
    let sending = (Sessions { connected: 2, ..Sessions::default() }, one.1);
    assert_eq!(statistics(&alice).total(&[USER]), sending);
    assert_eq!(statistics(&alice).total(&[]), Default::default());
    world.runtime.block_on(alice.agent().delete(at_alice, false)).unwrap();
    alice.others_within(MINUTE);
    assert_eq!(count(&world, &alice, 0, "queues-deleted"), 1);
    assert_eq!(count(&world, &alice, 0, "delete-attempts"), 1);
    assert_eq!(statistics(&alice).total(&[USER]).1, Subscriptions::default());
}

#[test]
fn what_goes_through_a_proxy_is_counted_at_both_servers() {
    let world = World::new(2);
    let mut alice = world.person(1, 1);
    let mut bob =
        world.person_with(2, &[0], |agent| agent.private_routing(ProxyMode::Always, ProxyFallback::Prohibit));
    talk(&mut alice, &mut bob, 2);
    assert_eq!(counted(&world, &bob, 1), [("sent-via-proxy", 3), ("attempts-via-proxy", 3)]);
    assert_eq!(count(&world, &bob, 0, "forwarded"), 3);
    assert_eq!(count(&world, &bob, 0, "attempts-forwarded"), 3);
    assert_eq!(count(&world, &bob, 0, "sent-direct"), 0);
}

/// What waits to be sent, what is refused, what comes again, what cannot be read.
#[test]
fn what_goes_wrong_is_counted() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = talk(&mut alice, &mut bob, 0);
    // A message that is not acknowledged comes again with the next session.
    bob.send(at_bob, "again").unwrap();
    alice.message();
    world.crash(0);
    bob.send(at_bob, "late").unwrap();
    bob.others_within(MINUTE * 10);
    let now = at(&world, &bob, 0).unwrap();
    assert_eq!(now.sessions.connected, 0);
    assert_eq!((now.counters.sent_direct, now.counters.send_failed), (2, 0), "it is tried again");
    let waiting = Subscriptions { waiting: 1, ..Subscriptions::default() };
    let now = at(&world, &alice, 0).unwrap();
    assert_eq!((now.subscriptions, now.sessions), (waiting, Sessions { failed: 1, ..Sessions::default() }));
    assert_eq!(alice.describe(at_alice).subscription(), Some(SubscriptionStatus::Pending));
    bob.others_within(HOUR * 49);
    assert_eq!(count(&world, &bob, 0, "send-expired"), 1);
    world.start(0, ServerConfig::default());
    alice.others_within(HOUR);
    assert_eq!(count(&world, &alice, 0, "received-again"), 1);
    assert_eq!(
        (count(&world, &alice, 0, "subscribe-attempts"), count(&world, &alice, 0, "subscribed")),
        (1, 1)
    );
    assert_eq!(alice.describe(at_alice).subscription(), Some(SubscriptionStatus::Active));
    world.forget(0);
    alice.others_within(HOUR);
    assert_eq!(count(&world, &alice, 0, "subscribe-failed"), 1);
    assert_eq!(at(&world, &alice, 0).unwrap().subscriptions.ended, 1);
    assert_eq!(alice.describe(at_alice).subscription(), Some(SubscriptionStatus::Refused));
    bob.send(at_bob, "to nobody").unwrap();
    bob.others_within(HOUR);
    assert_eq!(count(&world, &bob, 0, "send-refused"), 1);
}

#[test]
fn what_cannot_be_read_is_counted() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = talk(&mut alice, &mut bob, 1);
    let before = bob.store.copy();
    bob.send(at_bob, "one").unwrap();
    alice.send(at_alice, "two").unwrap();
    let (one, two) = (alice.message(), bob.message());
    alice.acknowledge(&one);
    bob.acknowledge(&two);
    bob.stop();
    bob.store.restore(before);
    bob.start();
    reset(&alice).unwrap();
    bob.send(at_bob, "with a key that was used").unwrap();
    alice.others_within(MINUTE);
    let wrong = ["received-again", "received-unreadable"].map(|name| count(&world, &alice, 0, name));
    assert_eq!((wrong[0] + wrong[1], count(&world, &alice, 0, "received")), (1, 1), "{wrong:?}");
}

#[test]
fn numbers_are_kept() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let since = statistics(&alice).since;
    talk(&mut alice, &mut bob, 1);
    let before = counted(&world, &alice, 0);
    // When the agent stops.
    assert!(kept(&alice).is_none());
    alice.stop();
    alice.start();
    assert!(statistics(&alice).since == since);
    assert_eq!(counted(&world, &alice, 0)[..5], before[..]);
    assert_eq!(count(&world, &alice, 0, "subscribed"), 1);
    // After a minute, also if it ends without a word.
    let at_once = alice.store.copy();
    alice.others_within(MINUTE);
    let later = alice.store.copy();
    for (copy, subscribed) in [(at_once, 0), (later, 1)] {
        alice.stop();
        alice.store.restore(copy);
        let mut numbers = kept(&alice).unwrap();
        let of_server = numbers.servers.remove(&(USER, world.address(0))).unwrap();
        assert_eq!((of_server.received, of_server.subscribed), (2, subscribed));
        alice.start();
    }
    // When it rests.
    alice.others_within(MINUTE * 2);
    let before = kept(&alice);
    bob.others_within(MINUTE);
    meet(&mut bob, &mut alice, false);
    assert!(kept(&alice) == before);
    world.runtime.block_on(alice.agent().suspend(MINUTE)).unwrap();
    world.runtime.run();
    assert!(kept(&alice) != before);
}

/// What nothing changed is not written.
#[test]
fn an_idle_agent_keeps_nothing() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    alice.others_within(HOUR);
    assert!(kept(&alice).is_none());
    alice.stop();
    assert!(kept(&alice).is_none());
}

#[test]
fn numbers_begin_anew_when_the_app_says_so() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let since = statistics(&alice).since;
    let (_, at_bob) = talk(&mut alice, &mut bob, 1);
    world.pass(MINUTE);
    alice.store.fail(0, 1);
    assert!(matches!(reset(&alice), Err(AgentError::Internal(_))));
    assert_eq!(reset(&alice), Ok(()));
    assert!(kept(&alice).unwrap().servers.is_empty() && counted(&world, &alice, 0).is_empty());
    assert!(statistics(&alice).since > since);
    assert_eq!(at(&world, &alice, 0).unwrap().sessions.connected, 1, "the session is there still");
    bob.send(at_bob, "hello").unwrap();
    alice.message();
    assert_eq!(counted(&world, &alice, 0), [("received", 1)]);
}

/// The store fails while the agent reads what it kept, and while it keeps it: nothing else is held up, and nothing lost.
#[test]
fn a_store_that_fails_now_and_then_loses_no_numbers() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, at_bob) = talk(&mut alice, &mut bob, 1);
    alice.stop();
    // Statistics are read third.
    alice.store.fail(2, 1);
    alice.start();
    bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    assert_eq!(message.body, "hello");
    assert_eq!(count(&world, &alice, 0, "received"), 1, "of this start");
    alice.acknowledge(&message);
    alice.others_within(MINUTE);
    assert_eq!(count(&world, &alice, 0, "received"), 3);
    alice.store.fail(0, 1);
    alice.others_within(MINUTE);
    alice.others_within(MINUTE);
    assert_eq!(kept(&alice).unwrap().servers[&(USER, world.address(0))].received, 3);
}

#[test]
fn nothing_is_told_of_a_user_who_is_gone() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    talk(&mut alice, &mut bob, 1);
    world.runtime.block_on(alice.agent().delete_user(USER, false)).unwrap();
    alice.others_within(MINUTE);
    assert!(statistics(&alice).servers.is_empty());
    assert!(kept(&alice).unwrap().servers.is_empty());
}

/// Whoever sends us to many servers does not fill our memory.
#[test]
fn of_many_servers_those_are_forgotten_where_least_was_done() {
    let world = World::new(4);
    let mut alice = world.person(1, 0);
    alice.stop();
    alice.limits = AgentLimits { statistics: 2, ..AgentLimits::default() };
    alice.start();
    for server in 1..4 {
        let mut bob = world.person(1 + u8::try_from(server).unwrap(), server);
        talk(&mut alice, &mut bob, 1);
    }
    let servers: Vec<_> = (0..4).filter(|server| !counted(&world, &alice, *server).is_empty()).collect();
    assert_eq!(servers, [0, 3]);
    assert_eq!(count(&world, &alice, 0, "connected"), 3);
}

/// What people compare to see that nobody is between them.
#[test]
fn the_hash_of_the_ratchet_is_the_same_on_both_sides() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let hash = |person: &Person, id| world.runtime.block_on(person.agent().ratchet_hash(id)).unwrap();
    let (unused, _) = alice.invite(false);
    assert_eq!(hash(&alice, unused), None);
    let (first, second) = (meet(&mut alice, &mut bob, false), meet(&mut alice, &mut bob, true));
    let hashes = [first, second].map(|(at_alice, at_bob)| {
        assert!(hash(&alice, at_alice).is_some());
        assert_eq!(hash(&alice, at_alice), hash(&bob, at_bob));
        hash(&alice, at_alice)
    });
    assert_ne!(hashes[0], hashes[1]);
    let unknown =
        world.runtime.block_on(alice.agent().ratchet_hash(smp_core::agent::ConnectionId::new([9; 12])));
    assert!(matches!(unknown, Err(AgentError::Connection(_))));
}
