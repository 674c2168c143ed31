//! The other side has the keys and follows no rules; or a stored state is not one that a ratchet gets into.

use super::*;
use crate::crypto::{aes_gcm, padding};
use crate::wire::link::KemParameters;

/// A message with this header text for Alice's current chain, or for her next one.
fn forge(alice: &Side, step: bool, version: u16, text: &[u8]) -> Bytes {
    let parts = alice.ratchet.parts();
    let current = &parts.receiving.as_ref().unwrap().header;
    let key = if step { &parts.next_receiving_header } else { current };
    let mut body = padding::pad(text, 2310).unwrap();
    let tag = aes_gcm::seal(key.as_bytes(), &[7; 16], &parts.associated_data, &mut body).unwrap();
    let version = Version(version);
    let (mut header, mut out) = (Vec::new(), Vec::new());
    EncryptedHeader { version, iv: [7; 16], tag, body: body.into() }.encode(&mut header);
    let message = RatchetMessage { header: header.into(), tag: [0; 16], body: vec![0; 100].into() };
    message.encode(&mut out, version);
    out.into()
}

fn header(key: X448PublicKey, kem: Option<KemParameters>, previous: u32, number: u32) -> Vec<u8> {
    let header = MessageHeader::<X448PrivateKey> { max_version: Version(3), key, kem, previous, number };
    let mut out = Vec::new();
    header.encode(&mut out, Version(3));
    out
}

#[test]
fn headers_that_break_rules_change_nothing() {
    let (mut alice, mut bob) = pair(3, Kem::Nothing, 1);
    talk(&mut alice, &mut bob, 1);
    for _ in 0..3 {
        let message = bob.send(b"body");
        alice.receive(&message).unwrap();
    }
    let key = bob.ratchet.parts().key.public();
    let mut entropy = SeededEntropy::new([3; 32]);
    let theirs = KemPrivateKey::generate(&mut entropy).public();
    let (ciphertext, _) = kem::encapsulate(&theirs, &mut entropy);
    let answer = Some(KemParameters::Accepted(ciphertext, theirs));
    let before = stored(&alice);
    for (step, text, fault) in [
        (true, header(X448PublicKey([0; 56]), None, 3, 0), RatchetFault::Key),
        (true, header(key, answer, 3, 0), RatchetFault::Kem),
        (true, header(key, None, 2, 0), RatchetFault::Duplicate),
        (true, header(key, None, 0, 0), RatchetFault::Earlier(2)),
        (true, header(key, None, 516, 0), RatchetFault::Skipped(514)),
        (true, header(key, None, u32::MAX, 0), RatchetFault::Skipped(u32::MAX - 2)),
        (false, header(key, None, 0, u32::MAX), RatchetFault::Skipped(u32::MAX - 2)),
        (false, header(key, None, 0, 2), RatchetFault::Duplicate),
        (false, b"no header".to_vec(), RatchetFault::Malformed),
        (true, Vec::new(), RatchetFault::Malformed),
    ] {
        assert_eq!(alice.receive(&forge(&alice, step, 3, &text)), Err(fault));
        assert_eq!(stored(&alice), before, "{fault}");
    }
    // A header of the other side that is right leads on, whatever its body is.
    let message = forge(&alice, true, 3, &header(key, None, 3, 0));
    assert_eq!(alice.receive(&message), Err(RatchetFault::Decrypt));
    assert_ne!(stored(&alice), before);
}

#[test]
fn a_header_is_not_read_as_one_of_another_version() {
    let (mut alice, mut bob) = pair(3, Kem::Nothing, 1);
    let message = bob.send(b"first");
    alice.receive(&message).unwrap();
    // Read as version 2 its number is shifted by a byte: 256 would be 1, which is next.
    let key = bob.ratchet.parts().key.public();
    let before = stored(&alice);
    let text = header(key, None, 0, 256);
    for version in 0..3 {
        assert_eq!(alice.receive(&forge(&alice, false, version, &text)), Err(RatchetFault::Malformed));
        assert_eq!(stored(&alice), before);
    }
    assert_eq!(
        alice.receive(&forge(&alice, false, 3, &header(key, None, 0, 256))),
        Err(RatchetFault::Decrypt)
    );
    assert_eq!(alice.ratchet.parts().received, 257);
}

#[test]
fn counters_end() {
    let (mut alice, mut bob) = pair(3, Kem::Nothing, 1);
    talk(&mut alice, &mut bob, 1);
    let mut parts = bob.ratchet.parts().clone();
    parts.sent = u32::MAX;
    let before = stored(&bob);
    bob.ratchet = Ratchet::from_parts(parts);
    assert_eq!(bob.ratchet.encrypt_header(None).err(), Some(SendFault::Exhausted));
    assert_ne!(stored(&bob), before);

    let mut parts = alice.ratchet.parts().clone();
    parts.received = u32::MAX;
    parts.receiving = Some(ReceivingChain { chain: ChainKey::new([1; 32]), header: HeaderKey::new([2; 32]) });
    alice.ratchet = Ratchet::from_parts(parts);
    let key = bob.ratchet.parts().key.public();
    let message = forge(&alice, false, 3, &header(key, None, 0, u32::MAX));
    assert_eq!(alice.receive(&message), Err(RatchetFault::Malformed));
}

#[test]
fn a_kem_has_room_in_the_header_whatever_the_flags_say() {
    let (mut alice, mut bob) = pair(3, Kem::Accepted, 1);
    talk(&mut alice, &mut bob, 1);
    for flags in 0..4 {
        let mut parts = bob.ratchet.parts().clone();
        (parts.pq_supported, parts.pq_enabled) = (flags & 1 == 0, flags & 2 == 0);
        bob.ratchet = Ratchet::from_parts(parts);
        talk(&mut alice, &mut bob, 3);
    }
    let mut entropy = SeededEntropy::new([3; 32]);
    let ours = X3dhKeys::<X448PrivateKey>::generate(Version(3), KemOffer::Propose, &mut entropy);
    let proposed = ours.public().kem.unwrap();
    let theirs =
        X3dhKeys::<X448PrivateKey>::generate(Version(3), KemOffer::Accept(proposed.key()), &mut entropy);
    let accepted = Ratchet::accept(&ours, &theirs.public(), Version(3), false).unwrap();
    assert!(accepted.parts().pq_supported && accepted.parts().pq_enabled);
}
