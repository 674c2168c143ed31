//! Ratchets that parted, and new ones.

use std::time::Duration;

use smp_core::agent::store::{AgentOp, Agreement, SyncState};
use smp_core::agent::{AgentVersions, ConnectionId};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentCommandError, AgentError, RatchetError};
use smp_core::wire::{Version, VersionRange};

use super::*;
use crate::Runtime;

const PROHIBITED: Result<(), AgentError> = Err(AgentError::Command(AgentCommandError::Prohibited));

/// So many messages each way.
fn talk(alice: (&mut Person, ConnectionId), bob: (&mut Person, ConnectionId), count: u8) {
    for number in 0..count {
        alice.0.send(alice.1, vec![number]).unwrap();
        assert_eq!(bob.0.bodies(), [vec![number]]);
        bob.0.send(bob.1, vec![number]).unwrap();
        assert_eq!(alice.0.bodies(), [vec![number]]);
    }
}

/// Bob's store was set back, and a message of Alice's came that he cannot read.
fn parted(alice: &mut Person, bob: &mut Person, pq: bool) -> (ConnectionId, ConnectionId) {
    let (at_alice, at_bob) = meet(alice, bob, pq);
    talk((alice, at_alice), (bob, at_bob), 2);
    let copy = bob.store.copy();
    talk((alice, at_alice), (bob, at_bob), 3);
    bob.stop();
    bob.store.restore(copy);
    bob.start();
    assert_eq!(bob.synchronize(at_bob, false), PROHIBITED, "nothing is wrong yet");
    alice.send(at_alice, "unreadable").unwrap();
    assert_eq!(bob.sync(), (SyncState::Required, Some(RatchetError::Header)));
    assert!(bob.send(at_bob, "hello").is_err());
    (at_alice, at_bob)
}

/// Both sides agree, and can talk again, in spite of restarts.
fn agreed(alice: (&mut Person, ConnectionId), bob: (&mut Person, ConnectionId)) {
    for person in [&mut *alice.0, &mut *bob.0] {
        assert_eq!(person.sync(), (SyncState::Agreed, None));
        assert_eq!(person.sync(), (SyncState::Ok, None));
    }
    assert_eq!(alice.0.store.connection(alice.1).state.sync, SyncState::Ok);
    talk(alice, bob, 3);
}

#[test]
fn both_sides_agree_on_a_new_ratchet() {
    for pq in [false, true] {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, at_bob) = parted(&mut alice, &mut bob, pq);
        assert_eq!(bob.synchronize(at_bob, false), Ok(()));
        agreed((&mut alice, at_alice), (&mut bob, at_bob));
        bob.send(at_bob, "encrypted how?").unwrap();
        let message = alice.message();
        assert_eq!(message.pq, pq);
        alice.acknowledge(&message);
        // Which does not end with a restart.
        for person in [&mut alice, &mut bob] {
            person.stop();
            person.start();
        }
        talk((&mut alice, at_alice), (&mut bob, at_bob), 2);
    }
}

/// Either agent, before and after it begins, and either server.
#[test]
fn an_agreement_goes_on_over_restarts() {
    for restart in 0..6 {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, at_bob) = parted(&mut alice, &mut bob, true);
        let down = restart % 2;
        match restart {
            0 | 1 => world.crash(down),
            _ => {}
        }
        assert_eq!(bob.synchronize(at_bob, false), Ok(()));
        match restart {
            0 | 1 => {
                assert_eq!(bob.send(at_bob, "hello").map(|_| ()), PROHIBITED);
                world.start(down, ServerConfig::default());
            }
            2 | 3 => {
                bob.stop();
                bob.start();
            }
            _ => {}
        }
        if restart >= 2 {
            assert_eq!(alice.sync(), (SyncState::Agreed, None), "restart {restart}");
            alice.stop();
            alice.start();
            alice.others_within(HOUR);
            bob.others_within(HOUR);
            talk((&mut alice, at_alice), (&mut bob, at_bob), 3);
        } else {
            agreed((&mut alice, at_alice), (&mut bob, at_bob));
        }
    }
}

#[test]
fn both_sides_begin_at_once() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = parted(&mut alice, &mut bob, true);
    world.crash(0);
    world.crash(1);
    assert_eq!(bob.synchronize(at_bob, false), Ok(()));
    assert_eq!(alice.synchronize(at_alice, true), Ok(()));
    world.start(0, ServerConfig::default());
    world.start(1, ServerConfig::default());
    agreed((&mut alice, at_alice), (&mut bob, at_bob));
}

/// Whoever insists may begin though nothing is wrong.
#[test]
fn an_agreement_can_be_forced() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    assert_eq!(alice.synchronize(at_alice, false), PROHIBITED);
    assert_eq!(alice.synchronize(at_alice, true), Ok(()));
    agreed((&mut alice, at_alice), (&mut bob, at_bob));
}

/// What comes of both in the next hours, at the end of which they agree and can talk.
fn end_agreed(alice: (&mut Person, ConnectionId), bob: (&mut Person, ConnectionId), context: &str) {
    for _ in 0..2 {
        alice.0.others_within(HOUR);
        bob.0.others_within(HOUR);
    }
    for (person, connection) in [(&*alice.0, alice.1), (&*bob.0, bob.1)] {
        let kept = person.store.connection(connection);
        assert_eq!(kept.state.sync, SyncState::Ok, "{context}");
        assert!(matches!(kept.agreement, Agreement::Ratchet(_)), "{context}: keys are left");
    }
    talk(alice, bob, 3);
}

/// Keys that come while others are agreed on are answered, and the last of both sides count.
#[test]
fn keys_that_cross_an_agreement_are_agreed_on() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    world.crash(0);
    assert_eq!(bob.synchronize(at_bob, true), Ok(()));
    assert_eq!(bob.synchronize(at_bob, true), Ok(()));
    world.crash(1);
    world.start(0, ServerConfig::default());
    assert_eq!(alice.sync(), (SyncState::Agreed, None));
    assert_eq!(alice.sync(), (SyncState::Agreed, None));
    world.start(1, ServerConfig::default());
    end_agreed((&mut alice, at_alice), (&mut bob, at_bob), "two at once");
}

/// Both apps insist in turn, whatever is on its way.
#[test]
fn both_sides_insist_in_turn() {
    for gap in 0..40_usize {
        for first in [3, 60] {
            let world = World::new(2);
            let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
            let (at_alice, at_bob) = meet(&mut alice, &mut bob, gap % 2 == 0);
            for round in 0..4 {
                drop(alice.agent().synchronize_ratchet(at_alice, true));
                world.turn(first + round * gap);
                drop(bob.agent().synchronize_ratchet(at_bob, true));
                world.turn(gap * 5);
            }
            end_agreed((&mut alice, at_alice), (&mut bob, at_bob), &format!("{first} and {gap} turns"));
        }
    }
}

/// Other agents, and agents that were set back, may be in any state: one request is enough.
#[test]
fn one_request_is_enough_in_every_state() {
    let states =
        [SyncState::Ok, SyncState::Allowed, SyncState::Required, SyncState::Started, SyncState::Agreed];
    for (of_alice, of_bob) in states.iter().flat_map(|state| states.map(|other| (*state, other))) {
        let world = World::new(1);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        for (person, connection, sync) in [(&mut alice, at_alice, of_alice), (&mut bob, at_bob, of_bob)] {
            person.stop();
            let mut state = person.store.connection(connection).state;
            state.sync = sync;
            person.store.put(vec![AgentOp::PutConnection(connection, Box::new(state))]);
            person.start();
        }
        assert_eq!(alice.synchronize(at_alice, true), Ok(()));
        end_agreed((&mut alice, at_alice), (&mut bob, at_bob), &format!("{of_alice:?} and {of_bob:?}"));
    }
}

#[test]
fn an_old_agent_knows_no_new_ratchets() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let agent = VersionRange::only(Version(2));
    for person in [&mut alice, &mut bob] {
        person.stop();
        person.versions = AgentVersions { agent, ..AgentVersions::default() };
        person.start();
    }
    let (at_alice, request) = alice.invite(false);
    let (_, joined) = bob.join(request, "bob", false);
    joined.unwrap();
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    alice.connected();
    assert_eq!(alice.synchronize(at_alice, true), PROHIBITED);
}

/// A new ratchet is wanted by whose queue is full: what is in it, and waits for it, comes without long pauses before the ratchets
/// agree, though nothing can be encrypted that says so.
#[test]
fn a_full_queue_does_not_hold_up_an_agreement() {
    for name in 1..9 {
        let mut config = ServerConfig::default();
        config.message_quota = 4;
        let world = World::with(1, &config);
        let (mut alice, mut bob) = (world.person(name, 0), world.person(name + 10, 0));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        for number in 0..12_u8 {
            bob.send(at_bob, vec![number]).unwrap();
        }
        alice.synchronize(at_alice, true).unwrap();
        let began = world.runtime.now().mono;
        for number in 0..12_u8 {
            let message = alice.message();
            assert_eq!(message.body, [number][..]);
            alice.acknowledge(&message);
        }
        assert_eq!(alice.sync(), (SyncState::Agreed, None));
        assert_eq!(alice.sync(), (SyncState::Ok, None));
        // Whoever waits for a full queue looks again after minutes.
        assert!(world.runtime.now().mono.since(began) < Duration::from_secs(10));
        bob.others_within(HOUR);
        talk((&mut alice, at_alice), (&mut bob, at_bob), 5);
    }
}
