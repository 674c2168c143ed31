//! Agents of different age.

use smp_core::agent::{AgentVersions, ConnectionId, Event};
use smp_core::wire::agent::MessageIntegrity;
use smp_core::wire::{Version, VersionRange};

use super::*;

fn range(min: u16, max: u16) -> VersionRange {
    VersionRange::new(Version(min), Version(max)).unwrap()
}

/// As agents were before the last version of each protocol.
fn previous() -> AgentVersions {
    AgentVersions { agent: range(2, 6), client: range(1, 3), ratchet: range(2, 2) }
}

fn with_ratchet_2() -> AgentVersions {
    AgentVersions { ratchet: range(2, 2), ..AgentVersions::default() }
}

fn of_version(max: u16) -> AgentVersions {
    AgentVersions { agent: range(2, max), ..AgentVersions::default() }
}

/// A person whose agent speaks this.
fn person(world: &World, name: u8, server: usize, versions: AgentVersions) -> Person {
    let mut person = world.person(name, server);
    again(&mut person, versions);
    person
}

/// Starts another version of somebody's agent.
fn again(person: &mut Person, versions: AgentVersions) {
    person.stop();
    person.versions = versions;
    person.start();
}

/// From the invitation to a hundred messages each way.
fn talk(alice: &mut Person, bob: &mut Person, pq: bool) -> (ConnectionId, ConnectionId) {
    let (at_alice, request) = alice.invite(pq);
    let (at_bob, joined) = bob.join(request, "bob", pq);
    joined.unwrap();
    let (confirmation, info) = alice.confirmation();
    assert_eq!(info, "bob");
    alice.allow(at_alice, confirmation, "alice");
    assert_eq!(bob.info(), "alice");
    bob.connected();
    alice.connected();
    for number in 0..20_u8 {
        exchange((alice, at_alice), (bob, at_bob), number);
    }
    (at_alice, at_bob)
}

/// A message each way; whether they were post-quantum encrypted.
fn exchange(alice: (&mut Person, ConnectionId), bob: (&mut Person, ConnectionId), body: u8) -> bool {
    bob.0.send(bob.1, vec![body]).unwrap();
    let message = alice.0.message();
    assert_eq!((&*message.body, message.integrity), (&[body][..], MessageIntegrity::Ok));
    alice.0.acknowledge_with_receipt(&message);
    alice.0.send(alice.1, vec![body]).unwrap();
    assert!(matches!(bob.0.step(), Event::Received(..)));
    let answer = bob.0.message();
    assert_eq!((&*answer.body, answer.integrity), (&[body][..], MessageIntegrity::Ok));
    bob.0.acknowledge(&answer);
    message.pq && answer.pq
}

#[test]
fn agents_of_all_ages_talk_to_each_other() {
    let ages = [AgentVersions::default(), previous(), with_ratchet_2()];
    for (number, (ours, theirs)) in
        ages.iter().flat_map(|ours| ages.map(|theirs| (*ours, theirs))).enumerate()
    {
        let world = World::new(2);
        let (mut alice, mut bob) = (person(&world, 1, 0, ours), person(&world, 2, 1, theirs));
        let (at_alice, at_bob) = talk(&mut alice, &mut bob, true);
        let both_know = [ours, theirs].iter().all(|versions| versions.ratchet.max() == Version(3));
        let pq = exchange((&mut alice, at_alice), (&mut bob, at_bob), 7);
        assert_eq!(pq, both_know, "pair {number}");
    }
}

/// Whoever is replaced by a newer one goes on with what both know, and back again.
#[test]
fn the_version_of_a_connection_is_raised_by_messages_and_never_lowered() {
    let world = World::new(2);
    let (mut alice, mut bob) = (person(&world, 1, 0, of_version(4)), person(&world, 2, 1, of_version(3)));
    let (at_alice, request) = alice.invite(false);
    let (at_bob, joined) = bob.join(request, "bob", false);
    joined.unwrap();
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    assert_eq!((alice.version(at_alice), bob.version(at_bob)), (3, 3));
    let exchange = |alice: &mut Person, bob: &mut Person, expected: (u16, u16)| {
        bob.send(at_bob, "hello").unwrap();
        let message = alice.message();
        alice.acknowledge(&message);
        alice.send(at_alice, "hello").unwrap();
        let message = bob.message();
        bob.acknowledge(&message);
        assert_eq!((alice.version(at_alice), bob.version(at_bob)), expected);
    };
    exchange(&mut alice, &mut bob, (3, 3));
    again(&mut bob, of_version(6));
    exchange(&mut alice, &mut bob, (4, 4));
    again(&mut alice, of_version(7));
    exchange(&mut alice, &mut bob, (6, 6));
    again(&mut bob, of_version(7));
    exchange(&mut alice, &mut bob, (7, 7));
    again(&mut alice, of_version(5));
    exchange(&mut alice, &mut bob, (7, 7));
}

/// Before version 4 nobody understands receipts, so none is sent.
#[test]
fn an_old_agent_gets_no_receipts() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), person(&world, 2, 0, of_version(3)));
    let (at_alice, request) = alice.invite(false);
    let (at_bob, joined) = bob.join(request, "bob", false);
    joined.unwrap();
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    alice.acknowledge_with_receipt(&message);
    assert!(bob.others_within(HOUR).iter().all(|event| matches!(event, Event::Sent(..))));
    alice.send(at_alice, "hello").unwrap();
    assert_eq!(bob.message().sender_id, 2, "nothing went before");
}
