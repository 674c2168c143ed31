//! How ratchets start.

use super::*;
use crate::wire::link::{E2eParameters, KemParameters};

fn keys(version: u16, kem: KemOffer<'_>, seed: u8) -> X3dhKeys {
    X3dhKeys::generate(Version(version), kem, &mut SeededEntropy::new([seed; 32]))
}

#[test]
fn an_answer_without_a_proposal_is_refused() {
    let (plain, proposal) = (keys(3, KemOffer::Nothing, 1), keys(3, KemOffer::Propose, 2));
    let answer = keys(3, KemOffer::Accept(proposal.public().kem.unwrap().key()), 3);
    let accept = |ours, theirs: &X3dhKeys| Ratchet::accept(ours, &theirs.public(), MAX_VERSION, true).err();
    assert_eq!(accept(&plain, &answer), Some(X3dhError::Kem));
    assert_eq!(accept(&answer, &plain), Some(X3dhError::Kem));
    assert_eq!(accept(&answer, &answer), Some(X3dhError::Kem));
    assert_eq!(accept(&proposal, &answer), None);
    let mut entropy = SeededEntropy::new([4; 32]);
    let mut initiate = |ours| Ratchet::initiate(ours, &answer.public(), MAX_VERSION, &mut entropy).err();
    assert_eq!(initiate(&plain), Some(X3dhError::Kem));
    assert_eq!(initiate(&proposal), Some(X3dhError::Kem));
}

#[test]
fn versions_that_are_not_spoken_are_refused() {
    for (version, refused) in [(1, true), (2, false), (3, false), (4, true)] {
        let (ours, theirs) = (keys(version, KemOffer::Nothing, 1), keys(version, KemOffer::Nothing, 2));
        let expected = refused.then_some(X3dhError::Version);
        assert_eq!(Ratchet::accept(&ours, &theirs.public(), MAX_VERSION, false).err(), expected);
        let mut entropy = SeededEntropy::new([4; 32]);
        let ratchet = Ratchet::initiate(&ours, &theirs.public(), MAX_VERSION, &mut entropy);
        assert_eq!(ratchet.err(), expected);
    }
}

#[test]
fn keys_of_low_order_are_refused() {
    let ours = keys(3, KemOffer::Nothing, 1);
    let mut theirs = keys(3, KemOffer::Nothing, 2).public();
    theirs.second.0 = [0; 56];
    assert_eq!(Ratchet::accept(&ours, &theirs, MAX_VERSION, false).err(), Some(X3dhError::Key));
    let mut entropy = SeededEntropy::new([4; 32]);
    let ratchet = Ratchet::initiate(&ours, &theirs, MAX_VERSION, &mut entropy);
    assert_eq!(ratchet.err(), Some(X3dhError::Key));
}

#[test]
fn a_link_proposes_but_never_answers() {
    let versions = crate::wire::VersionRange::new(MIN_VERSION, MAX_VERSION).unwrap();
    let proposal = keys(3, KemOffer::Propose, 1);
    let proposed = proposal.public().kem.unwrap();
    assert!(proposal.for_link(versions).kem.as_ref() == Some(proposed.key()));
    assert!(keys(3, KemOffer::Accept(proposed.key()), 2).for_link(versions).kem.is_none());
    assert!(keys(2, KemOffer::Propose, 2).public().kem.is_none());
}

#[test]
fn ends_that_send_new_keys_at_once_have_different_roles() {
    let all: Vec<E2eParameters> = (0..6).map(|seed| keys(3, KemOffer::Propose, seed).public()).collect();
    for ours in &all {
        for theirs in &all {
            let [our, their] = [(ours, theirs), (theirs, ours)]
                .map(|(ours, theirs)| ResyncRole::of::<X448PrivateKey>(ours, theirs));
            assert_eq!(our == their, ours == theirs);
            assert!(matches!(ours.kem, Some(KemParameters::Proposed(_))));
        }
    }
    let accepts = ResyncRole::of::<X448PrivateKey>(&all[0], &all[0]);
    assert_eq!(accepts, ResyncRole::Accept);
}

#[test]
fn who_accepts_can_have_another_newest_version() {
    let (ours, theirs) = (keys(2, KemOffer::Nothing, 1), keys(2, KemOffer::Nothing, 2));
    let mut entropy = SeededEntropy::new([4; 32]);
    let initiated = Ratchet::initiate(&theirs, &ours.public(), Version(2), &mut entropy).unwrap();
    let accepted = Ratchet::accept(&ours, &theirs.public(), Version(3), false).unwrap();
    let [mut bob, mut alice] = [initiated, accepted].map(|ratchet| Side {
        ratchet,
        skipped: SkippedKeys::new(),
        entropy: SeededEntropy::new([5; 32]),
    });
    talk(&mut alice, &mut bob, 2);
    let versions = |side: &Side| (side.ratchet.parts().version, side.ratchet.parts().max_version);
    assert_eq!((versions(&alice), versions(&bob)), ((Version(2), Version(3)), (Version(2), Version(2))));
    // On means a KEM, which needs version 3; both get there.
    let message = bob.send_pq(Some(PqEncryption::On), b"on");
    alice.receive(&message).unwrap();
    let message = alice.send_pq(Some(PqEncryption::On), b"on");
    bob.receive(&message).unwrap();
    assert_eq!(alice.ratchet.parts().version, Version(3));
    assert_eq!(bob.ratchet.parts().version, Version(3));
    talk(&mut alice, &mut bob, 4);
    assert!(alice.ratchet.pq_sending() && bob.ratchet.pq_sending());
}
