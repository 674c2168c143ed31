//! Ratchets that parted because a database was set back to an earlier state.

use std::time::Duration;

use smp_core::agent::store::SyncState;
use smp_core::agent::{ConnectionId, Event};
use smp_core::wire::agent::RatchetError;

use crate::world::{FLAGS, Person, connect, server, talk};

/// Bob's database was set back, and a message came that he cannot read.
#[track_caller]
fn part(alice: &mut Person, bob: &mut Person) -> (ConnectionId, ConnectionId) {
    let (at_alice, at_bob) = connect(alice, bob);
    talk(alice, at_alice, bob, at_bob);
    bob.sleep();
    let kept = bob.kept();
    bob.wake();
    (0..3).for_each(|_| talk(alice, at_alice, bob, at_bob));
    bob.sleep();
    bob.set_back(&kept);
    bob.wake();
    alice.send(at_alice, "unreadable");
    match bob.next_unsent() {
        Event::RatchetSync { state: SyncState::Required, error: Some(RatchetError::Header), .. } => {}
        event => panic!("not parted: {event:?}"),
    }
    assert!(bob.wait(bob.agent().send(at_bob, "hello".into(), FLAGS)).is_err());
    (at_alice, at_bob)
}

#[track_caller]
fn synchronize(person: &Person, connection: ConnectionId, force: bool) {
    person.wait(person.agent().synchronize_ratchet(connection, force)).expect("both know how");
}

/// Until this side agrees.
#[track_caller]
fn agrees(person: &mut Person) {
    loop {
        match person.next_unsent() {
            Event::RatchetSync { state: SyncState::Ok, .. } => break,
            Event::RatchetSync { error: None, .. } => {}
            event => panic!("not agreed: {event:?}"),
        }
    }
}

#[track_caller]
fn hears(person: &mut Person, text: &str) {
    let message = person.message();
    assert_eq!(message.body, text);
    person.acknowledge(&message);
}

/// What may happen between the call and the agreement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meanwhile {
    Nothing,
    ServersAreAway,
    AgentRestarts,
    AgentRests,
    OtherBeginsToo,
}

#[test]
fn both_sides_agree_on_a_new_ratchet() {
    use Meanwhile::{AgentRestarts, AgentRests, Nothing, OtherBeginsToo, ServersAreAway};
    for meanwhile in [Nothing, ServersAreAway, AgentRestarts, AgentRests, OtherBeginsToo] {
        let mut server = server();
        let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
        let (at_alice, at_bob) = part(&mut alice, &mut bob);
        if meanwhile != Nothing {
            server.pause();
        }
        synchronize(&bob, at_bob, false);
        match meanwhile {
            Nothing | ServersAreAway => {}
            AgentRestarts => bob.restart(),
            AgentRests => {
                bob.wait(bob.agent().suspend(Duration::from_millis(1))).expect("it runs");
                while !matches!(bob.next_unsent(), Event::Suspended) {}
            }
            OtherBeginsToo => synchronize(&alice, at_alice, true),
        }
        if meanwhile != Nothing {
            server.resume();
        }
        if meanwhile == AgentRests {
            bob.wait(bob.agent().resume()).expect("it runs");
        }
        agrees(&mut alice);
        agrees(&mut bob);
        // Bob counts from where he was set back to.
        for _ in 0..3 {
            bob.send(at_bob, "again");
            hears(&mut alice, "again");
            alice.send(at_alice, "again");
            hears(&mut bob, "again");
        }
        assert!(alice.describe(at_alice).ratchet_hash == bob.describe(at_bob).ratchet_hash);
    }
}
