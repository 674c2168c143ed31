//! Peers who send what no agent of ours would: the app is told, nothing falls over, no queue is stuck, and what is kept has bounds.

use std::time::Duration;

use smp_core::agent::store::{OutgoingContent, SyncState};
use smp_core::agent::{ConnectionId, Event};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentError, AgentMessage, MessageHash, PeerError, RatchetError};

use super::*;

/// Bob sends so many messages that get lost, because Alice's server begins anew; then both can reach each other again.
fn lose(world: &mut World, bob: &mut Person, at_bob: ConnectionId, count: usize) {
    for _ in 0..count {
        lose_one(world, bob, at_bob);
    }
}

/// A message that bob's agent takes for sent; its key is gone, and nobody has it.
fn lose_one(_world: &mut World, bob: &mut Person, at_bob: ConnectionId) {
    bob.send(at_bob, "lost").unwrap();
}

/// 512 keys are made for messages that did not come, not one more: then the ratchet must be made anew, and can be.
#[test]
fn a_ratchet_goes_on_by_so_many_steps_and_no_more() {
    for (lost, is_read) in [(512, true), (513, false)] {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        bob.send(at_bob, "first").unwrap();
        assert_eq!(alice.bodies(), ["first"]);
        bob.others_within(HOUR);
        world.crash(0);
        lose(&mut world, &mut bob, at_bob, lost);
        bob.limits.message_expiry = Duration::from_secs(1);
        bob.stop();
        world.pass(HOUR);
        bob.start();
        let given_up = bob.others_within(HOUR);
        assert_eq!(given_up.len(), lost, "{:?}", given_up.first().map(tell));
        world.start(0, ServerConfig::default());
        bob.others_within(HOUR);
        bob.send(at_bob, "after").unwrap();
        if is_read {
            assert_eq!(alice.bodies(), ["after"]);
            assert_eq!(alice.store.connection(at_alice).state.skipped, 512);
        } else {
            let skipped = RatchetError::Skipped(514);
            assert_eq!(alice.sync(), (SyncState::Required, Some(skipped)));
            assert!(alice.send(at_alice, "hello").is_err());
            assert_eq!(alice.store.connection(at_alice).state.skipped, 0);
            // Every further one is the same to Alice, who is told once.
            bob.send(at_bob, "after").unwrap();
            alice.others_within(HOUR);
            assert_eq!(alice.synchronize(at_alice, false), Ok(()));
            for person in [&mut alice, &mut bob] {
                assert_eq!(person.sync(), (SyncState::Agreed, None));
                assert_eq!(person.sync(), (SyncState::Ok, None));
            }
        }
        bob.send(at_bob, "more").unwrap();
        assert_eq!(alice.bodies(), ["more"]);
        alice.send(at_alice, "hello").unwrap();
        assert_eq!(bob.bodies(), ["hello"]);
    }
}

/// What is in the ratchet's encryption is nonsense: told once each, and the next message comes.
#[test]
fn nonsense_that_is_well_encrypted_is_told_and_dropped() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    let good = |tail: &[u8]| {
        let mut bytes = Vec::new();
        let message = smp_core::wire::agent::AMessage::Body("x".into());
        let message = AgentMessage::Message { id: 2, previous_hash: MessageHash::NONE, message };
        message.encode(&mut bytes);
        bytes.pop();
        bytes.pop();
        bytes.extend_from_slice(tail);
        bytes
    };
    let all = [
        Vec::new(),
        b"M".to_vec(),
        b"?".to_vec(),
        vec![0; 1000],
        vec![255; 1000],
        good(b""),
        good(b"Q"),
        good(b"QA\0"),
        good(b"QA\x01"),
        good(b"QK\x01garbage"),
        good(b"QU\x01garbage"),
        good(b"V\0"),
        good(b"V\xff"),
        good(b"E"),
        good(b"QC"),
        // What belongs to the handshake.
        b"Ialice again".to_vec(),
        b"D\0".to_vec(),
        b"R".to_vec(),
    ];
    for content in all {
        world.crash(0);
        let number = bob.send(at_bob, "in disguise").unwrap();
        bob.stop();
        bob.store.change_sent(at_bob, number, |sent| {
            let OutgoingContent::Ratchet { plaintext, .. } = &mut sent.content else { panic!("it was sent") };
            *plaintext = content.clone().into();
        });
        world.start(0, ServerConfig::default());
        bob.start();
        let events = alice.others_within(HOUR);
        let is_fault = matches!(
            events[..],
            [Event::Error(Some(at), AgentError::Peer(PeerError::Message | PeerError::Prohibited))]
                if at == at_alice
        );
        assert!(is_fault, "{content:?}: {:?}", events.iter().map(tell).collect::<Vec<_>>());
        bob.send(at_bob, "hello").unwrap();
        assert_eq!(alice.bodies(), ["hello"], "after {content:?}");
    }
    alice.send(at_alice, "hello").unwrap();
    assert_eq!(bob.bodies(), ["hello"]);
}
