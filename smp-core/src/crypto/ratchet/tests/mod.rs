//! Two ratchets that talk to each other.

mod bounds;
mod conversation;
mod lawless;
mod start;
mod storage;
mod switching;

use std::collections::BTreeSet;

use bytes::Bytes;

use super::*;
use crate::SeededEntropy;
use crate::wire::{Version, X448PublicKey};

/// What is said of the KEM at the start: by who made the invitation, and by who used it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kem {
    Nothing,
    Refused,
    ProposedInReply,
    ProposedByBoth,
    Accepted,
}

const ALL: [Kem; 5] = [Kem::Nothing, Kem::Refused, Kem::ProposedInReply, Kem::ProposedByBoth, Kem::Accepted];

/// One end, with all that it would store.
struct Side {
    ratchet: Ratchet,
    skipped: SkippedKeys,
    entropy: SeededEntropy,
}

impl Side {
    fn send(&mut self, body: &[u8]) -> Bytes {
        self.send_pq(None, body)
    }

    fn send_pq(&mut self, pq: Option<PqEncryption>, body: &[u8]) -> Bytes {
        self.ratchet.encrypt(pq, 100, body).unwrap().into()
    }

    /// Takes a message as an agent would: what it made of the ratchet is kept before the body is looked at.
    fn receive(&mut self, message: &Bytes) -> Result<Vec<u8>, RatchetFault> {
        let decrypted = self.ratchet.decrypt(&self.skipped, message, &mut self.entropy)?;
        self.ratchet = decrypted.ratchet;
        self.skipped.apply(decrypted.skipped);
        decrypted.body
    }
}

/// Alice, who made the invitation, and Bob, who used it.
fn pair(version: u16, kem: Kem, seed: u8) -> (Side, Side) {
    let version = Version(version);
    let mut entropy = SeededEntropy::new([seed; 32]);
    let alice_offers = matches!(kem, Kem::Refused | Kem::ProposedByBoth | Kem::Accepted);
    let offer = if alice_offers { KemOffer::Propose } else { KemOffer::Nothing };
    let alice = X3dhKeys::generate(version, offer, &mut entropy);
    let public = alice.public();
    let offer = match (kem, &public.kem) {
        (Kem::Accepted, Some(proposed)) => KemOffer::Accept(proposed.key()),
        (Kem::ProposedInReply | Kem::ProposedByBoth, _) => KemOffer::Propose,
        _ => KemOffer::Nothing,
    };
    let bob = X3dhKeys::generate(version, offer, &mut entropy);
    let pq = kem != Kem::Nothing;
    let sides = [
        Ratchet::accept(&alice, &bob.public(), version, pq).unwrap(),
        Ratchet::initiate(&bob, &public, version, &mut entropy).unwrap(),
    ];
    let [alice, bob] = sides.map(|ratchet| Side {
        ratchet,
        skipped: SkippedKeys::new(),
        entropy: SeededEntropy::new(entropy.fork_seed()),
    });
    (alice, bob)
}

/// A message in each direction, `count` times; Bob first.
fn talk(alice: &mut Side, bob: &mut Side, count: usize) {
    for _ in 0..count {
        let message = bob.send(b"to alice");
        assert_eq!(alice.receive(&message).unwrap(), b"to alice");
        let message = alice.send(b"to bob");
        assert_eq!(bob.receive(&message).unwrap(), b"to bob");
    }
}

/// Everything that one end stores, to compare.
fn stored(side: &Side) -> (Vec<u8>, Vec<([u8; 32], u32)>) {
    let skipped = side.skipped.iter().map(|key| (*key.header.as_bytes(), key.number)).collect();
    (side.ratchet.to_bytes().to_vec(), skipped)
}

#[test]
fn both_talk_whatever_is_said_of_the_kem() {
    for kem in ALL {
        for version in [2, 3] {
            let (mut alice, mut bob) = pair(version, kem, 1);
            assert_eq!(alice.ratchet.encrypt(None, 100, b"").err(), Some(SendFault::NotReady));
            talk(&mut alice, &mut bob, 4);
            let pq = version == 3 && !matches!(kem, Kem::Nothing | Kem::Refused);
            for side in [&alice.ratchet, &bob.ratchet] {
                assert_eq!((side.pq_sending(), side.pq_receiving()), (pq, pq), "{kem:?} {version}");
            }
            assert_eq!(alice.ratchet.associated_data_hash(), bob.ratchet.associated_data_hash());
        }
    }
}

#[test]
fn only_the_header_is_large_and_only_with_a_kem() {
    for (version, kem, len) in [(2, Kem::Nothing, 124), (3, Kem::Nothing, 126), (3, Kem::Accepted, 2348)] {
        let (_, mut bob) = pair(version, kem, 1);
        assert_eq!(bob.send(b"").len(), len + 16 + 100, "{kem:?} {version}");
    }
}

#[test]
fn no_key_serves_twice() {
    let (mut alice, mut bob) = pair(3, Kem::ProposedInReply, 1);
    let (mut bodies, mut headers) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..12 {
        for _ in 0..3 {
            let header = *bob.ratchet.parts().sending.as_ref().unwrap().header.as_bytes();
            let message = bob.ratchet.encrypt_header(None).unwrap();
            let stored = message.to_bytes();
            assert!(bodies.insert(stored[3..51].to_vec()), "a body key in round {round}");
            let iv = &message.encrypt(100, b"").unwrap()[4..20];
            assert!(headers.insert((header, iv.to_vec())), "a header key and vector in round {round}");
            alice.receive(&message.encrypt(100, b"body").unwrap().into()).unwrap();
        }
        core::mem::swap(&mut alice, &mut bob);
    }
    let keys: BTreeSet<_> = bodies.iter().map(|key| &key[..32]).collect();
    assert_eq!((keys.len(), bodies.len()), (36, 36));
}
