//! Post-quantum encryption that is switched on and off, and ratchets that part.

use smp_core::agent::{ConnectionId, InitialKeys};
use smp_core::crypto::ratchet::PqEncryption;
use smp_core::wire::ConnectionRequest;
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

/// The link has no key, and is as long as that of who does not want it. Who joins sends the first one: what he says before he hears
/// of the other side is not encrypted with it, everything else is, if he wants it too.
#[test]
fn the_first_key_need_not_be_in_the_link() {
    for is_wanted in [false, true] {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let invite = |pq| world.runtime.block_on(alice.agent().invite(world::USER, pq)).unwrap();
        let [(_, plain), (at_alice, request), (_, with_key)] =
            [InitialKeys::Off, InitialKeys::Later, InitialKeys::InLink].map(invite);
        let len = |request: &ConnectionRequest| request.to_string().len();
        assert!(len(&request) == len(&plain) && len(&request) + 1500 < len(&with_key));
        alice.stop();
        alice.start();
        let (at_bob, joined) = bob.join(request, "bob", is_wanted);
        assert_eq!(joined, Ok(true));
        bob.send(at_bob, "early").unwrap();
        let (confirmation, _) = alice.confirmation();
        let early = alice.message();
        assert_eq!((&early.body[..], early.pq), (&b"early"[..], false));
        alice.acknowledge(&early);
        alice.allow(at_alice, confirmation, "alice");
        assert_eq!(bob.info(), "alice");
        bob.connected();
        alice.connected();
        for _ in 0..2 {
            bob.send(at_bob, "hello").unwrap();
            alice.send(at_alice, "hello").unwrap();
            for person in [&mut alice, &mut bob] {
                let message = person.message();
                assert_eq!(message.pq, is_wanted);
                person.acknowledge(&message);
            }
        }
    }
}
