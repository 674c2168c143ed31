//! Post-quantum encryption that is switched on and off, and ratchets that part.

use smp_core::agent::ConnectionId;
use smp_core::crypto::ratchet::PqEncryption;
use smp_core::wire::agent::{AgentCommandError, AgentError, sizes, version};

use super::*;

/// Sends a message each way with this wish; whether they came post-quantum encrypted.
fn exchange(
    alice: (&mut Person, ConnectionId),
    bob: (&mut Person, ConnectionId),
    pq: (PqEncryption, PqEncryption),
) -> (bool, bool) {
    bob.0.send_with_pq(bob.1, "hello", pq.1).unwrap();
    let first = alice.0.message();
    alice.0.acknowledge(&first);
    alice.0.send_with_pq(alice.1, "hello", pq.0).unwrap();
    let second = bob.0.message();
    bob.0.acknowledge(&second);
    (first.pq, second.pq)
}

#[test]
fn post_quantum_encryption_is_switched_on_and_off_and_on_again() {
    use PqEncryption::{Off, On};
    for offered in [false, true] {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, offered);
        let mut last = |wish: (PqEncryption, PqEncryption)| {
            let turns = (0..5).map(|_| exchange((&mut alice, at_alice), (&mut bob, at_bob), wish));
            turns.last().unwrap()
        };
        assert_eq!(last((On, On)), (true, true), "offered {offered}");
        assert_eq!(last((Off, On)), (false, false), "one of them does not want it");
        assert_eq!(last((On, On)), (true, true));
        assert_eq!(last((Off, Off)), (false, false));
    }
}

/// Of whom one alone asks for it, it stays as it is.
#[test]
fn one_side_alone_does_not_switch_it_on() {
    use PqEncryption::{Off, On};
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    for _ in 0..5 {
        let pq = exchange((&mut alice, at_alice), (&mut bob, at_bob), (Off, On));
        assert_eq!(pq, (false, false));
    }
}

#[test]
fn bodies_are_shorter_from_the_first_message_that_asks_for_it() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    let flags = smp_core::wire::command::MessageFlags { notification: true };
    let send = |len: usize, pq| {
        world.runtime.block_on(bob.agent().send_with_pq(at_bob, vec![7; len].into(), flags, pq))
    };
    let max = sizes::body_len_max(version::SUPPORTED.max(), true);
    let large = Err(AgentError::Command(AgentCommandError::Large));
    assert_eq!(send(max + 1, PqEncryption::On), large);
    assert!(send(max + 1, PqEncryption::Off).is_ok());
    assert!(send(max, PqEncryption::On).is_ok());
    assert_eq!(send(max + 1, PqEncryption::Off), large, "headers stay large");
    for len in [max + 1, max] {
        let message = alice.message();
        assert_eq!(message.body.len(), len);
        alice.acknowledge(&message);
    }
}
