//! What waits for the app is told again when it asks.

use smp_core::agent::{ConnectionId, Event};
use smp_core::wire::agent::{AgentError, ConnectionError};

use super::*;

fn tell_again(world: &World, person: &Person, connection: ConnectionId) -> Result<(), AgentError> {
    world.runtime.block_on(person.agent().tell_again(connection))
}

/// As often as the app asks, and after restarts too; not what it took care of, nor what is another connection's.
#[test]
fn what_was_not_taken_care_of_is_told_again() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (other, _) = meet(&mut alice, &mut bob, false);
    let (at_alice, request) = alice.invite(false);
    assert_eq!(tell_again(&world, &alice, at_alice), Ok(()));
    assert!(alice.others_within(HOUR).is_empty(), "nothing happened");
    let (at_bob, _) = bob.join(request, "bob", false);
    let first = alice.confirmation();
    for restart in [false, false, true, false] {
        if restart {
            alice.stop();
            alice.start();
            assert!(alice.confirmation() == first);
        }
        assert_eq!(tell_again(&world, &alice, at_alice), Ok(()));
        assert!(alice.confirmation() == first);
        assert_eq!(tell_again(&world, &alice, other), Ok(()));
        assert!(alice.others_within(HOUR).is_empty());
    }
    alice.allow(at_alice, first.0, "alice");
    alice.connected();
    assert_eq!(tell_again(&world, &alice, at_alice), Ok(()));
    assert!(alice.others_within(HOUR).is_empty());

    bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    for restart in [false, false, true, false] {
        if restart {
            alice.stop();
            alice.start();
            assert!(alice.message() == message);
        }
        assert_eq!(tell_again(&world, &alice, at_alice), Ok(()));
        assert!(alice.message() == message);
    }
    // While it waits among the events it is there once.
    assert_eq!(tell_again(&world, &alice, at_alice), Ok(()));
    assert_eq!(tell_again(&world, &alice, at_alice), Ok(()));
    assert!(matches!(&*alice.others_within(HOUR), [Event::Message(told)] if **told == message));
    alice.acknowledge(&message);
    assert_eq!(tell_again(&world, &alice, at_alice), Ok(()));
    assert!(alice.others_within(HOUR).is_empty());
    bob.send(at_bob, "hello again").unwrap();
    assert_eq!(alice.message().body, "hello again");
}

#[test]
fn of_a_connection_that_is_not_there_nothing_is_told() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    let absent = ConnectionId::new([9; 12]);
    let not_found = AgentError::Connection(ConnectionError::NotFound);
    assert_eq!(tell_again(&world, &alice, absent), Err(not_found));
    assert!(alice.others_within(HOUR).is_empty());
    // A store that fails once is asked again.
    let (at_alice, _) = alice.invite(false);
    alice.store.fail(0, 1);
    assert_eq!(tell_again(&world, &alice, at_alice), Ok(()));
}
