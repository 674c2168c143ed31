//! Queues that take the place of others, on the same server and on another.

use smp_core::agent::{ConnectionId, Event, SwitchPhase, SwitchSide};
use smp_core::wire::agent::{AgentCommandError, AgentError, PeerError};
use smp_tests::server::TestServer;

use crate::world::{Person, connect, server, talk};

const PROHIBITED: Result<(), AgentError> = Err(AgentError::Command(AgentCommandError::Prohibited));

/// Alice on one server or two, Bob on the last one.
fn people(servers: &[TestServer]) -> (Person, Person) {
    let servers: Vec<_> = servers.iter().collect();
    (Person::new(&servers), Person::new(&servers[servers.len() - 1..]))
}

fn switch(person: &Person, connection: ConnectionId) -> Result<(), AgentError> {
    person.wait(person.agent().switch(connection))
}

fn abort(person: &Person, connection: ConnectionId) -> Result<(), AgentError> {
    person.wait(person.agent().abort_switch(connection))
}

/// All phases of one switch of `at` as its side sees them.
#[track_caller]
fn phases(person: &mut Person, at: ConnectionId, side: SwitchSide) {
    use SwitchPhase::{Completed, Confirmed, Secured, Started};
    let begins = usize::from(side == SwitchSide::Receive);
    for expected in &[Started, Confirmed, Secured, Completed][begins..] {
        match person.next_unsent() {
            Event::Switch { connection, side: of, phase } => {
                assert!(connection == at);
                assert_eq!((of, phase), (side, *expected));
            }
            event => panic!("not about queues: {event:?}"),
        }
    }
}

/// Both switch, one after the other; the ratchet is the same.
#[test]
fn a_queue_takes_the_place_of_another() {
    for count in [1, 2] {
        let servers: Vec<_> = (0..count).map(|_| server()).collect();
        let (mut alice, mut bob) = people(&servers);
        let (at_alice, at_bob) = connect(&mut alice, &mut bob);
        let before = alice.describe(at_alice).receive[0].server.clone();
        let hash = alice.describe(at_alice).ratchet_hash;
        assert_eq!(switch(&alice, at_alice), Ok(()));
        phases(&mut bob, at_bob, SwitchSide::Send);
        phases(&mut alice, at_alice, SwitchSide::Receive);
        let after = alice.describe(at_alice).receive[0].server.clone();
        assert_eq!(before != after, count > 1, "another server, if there is one");
        talk(&mut alice, at_alice, &mut bob, at_bob);
        assert_eq!(switch(&bob, at_bob), Ok(()));
        phases(&mut alice, at_alice, SwitchSide::Send);
        phases(&mut bob, at_bob, SwitchSide::Receive);
        talk(&mut alice, at_alice, &mut bob, at_bob);
        assert!(alice.describe(at_alice).ratchet_hash == hash);
    }
}

/// While the other side is away a switch can be given up, and begun again; not when it has gone on.
#[test]
fn a_switch_is_given_up_and_begun_again() {
    for count in [1, 2] {
        let servers: Vec<_> = (0..count).map(|_| server()).collect();
        let (mut alice, mut bob) = people(&servers);
        let (at_alice, at_bob) = connect(&mut alice, &mut bob);
        assert_eq!(abort(&alice, at_alice), PROHIBITED);
        bob.sleep();
        assert_eq!(switch(&alice, at_alice), Ok(()));
        assert_eq!(switch(&alice, at_alice), PROHIBITED);
        assert_eq!(abort(&alice, at_alice), Ok(()));
        assert_eq!(alice.describe(at_alice).receive.len(), 1);
        bob.wake();
        let event = alice.next_unsent();
        let is_late = matches!(event, Event::Error(_, AgentError::Peer(PeerError::Queue)));
        assert!(is_late, "the key for what is not there: {event:?}");
        assert_eq!(switch(&alice, at_alice), Ok(()));
        while !matches!(alice.next_unsent(), Event::Switch { phase: SwitchPhase::Secured, .. }) {}
        assert_eq!(abort(&alice, at_alice), PROHIBITED);
        while !matches!(alice.next_unsent(), Event::Switch { phase: SwitchPhase::Completed, .. }) {}
        while !matches!(bob.next_unsent(), Event::Switch { phase: SwitchPhase::Completed, .. }) {}
        talk(&mut alice, at_alice, &mut bob, at_bob);
    }
}

/// Two connections switch at once; then again, and one of them gives up.
#[test]
fn two_connections_switch_at_once() {
    for count in [1, 2] {
        let servers: Vec<_> = (0..count).map(|_| server()).collect();
        let (mut alice, mut bob) = people(&servers);
        let pairs = [connect(&mut alice, &mut bob), connect(&mut alice, &mut bob)];
        for gives_up in [false, true] {
            bob.sleep();
            pairs.iter().for_each(|(at_alice, _)| assert_eq!(switch(&alice, *at_alice), Ok(())));
            if gives_up {
                assert_eq!(abort(&alice, pairs[1].0), Ok(()));
            }
            bob.wake();
            let mut left = if gives_up { 1 } else { 2 };
            let mut late = usize::from(gives_up);
            while left + late > 0 {
                match alice.next_unsent() {
                    Event::Switch { connection, phase: SwitchPhase::Completed, .. } => {
                        assert!(!gives_up || connection == pairs[0].0);
                        left -= 1;
                    }
                    Event::Switch { .. } => {}
                    Event::Error(Some(of), AgentError::Peer(PeerError::Queue)) if of == pairs[1].0 => {
                        late -= 1;
                    }
                    event => panic!("not about queues: {event:?}"),
                }
            }
            let mut left = if gives_up { 1 } else { 2 };
            while left > 0 {
                match bob.next_unsent() {
                    Event::Switch { phase: SwitchPhase::Completed, .. } => left -= 1,
                    Event::Switch { .. } => {}
                    event => panic!("not about queues: {event:?}"),
                }
            }
            for (at_alice, at_bob) in &pairs {
                hears_in_switch(&mut alice, *at_alice, &mut bob, *at_bob);
            }
        }
    }
}

/// A message each way, whatever is told of queues meanwhile.
#[track_caller]
fn hears_in_switch(one: &mut Person, at_one: ConnectionId, other: &mut Person, at_other: ConnectionId) {
    for round in 0..2 {
        let (from, at, to) =
            if round == 0 { (&mut *one, at_one, &mut *other) } else { (&mut *other, at_other, &mut *one) };
        from.send(at, "hello");
        loop {
            match to.next_unsent() {
                Event::Message(message) => break to.acknowledge(&message),
                Event::Switch { .. } => {}
                event => panic!("not a message: {event:?}"),
            }
        }
    }
}

/// Both queues are deleted at their servers.
#[test]
fn a_connection_is_deleted_while_it_switches() {
    for count in [1, 2] {
        let servers: Vec<_> = (0..count).map(|_| server()).collect();
        let (mut alice, mut bob) = people(&servers);
        let (at_alice, _) = connect(&mut alice, &mut bob);
        bob.sleep();
        assert_eq!(switch(&alice, at_alice), Ok(()));
        alice.wait(alice.agent().delete(at_alice, false)).expect("it is there");
        for _ in 0..2 {
            let event = alice.next_unsent();
            assert!(matches!(event, Event::QueueDeleted { error: None, .. }), "{event:?}");
        }
        assert!(matches!(alice.next_unsent(), Event::Deleted(of) if of == at_alice));
    }
}
