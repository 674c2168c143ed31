//! What is stored is read again, and nothing else.

use quickcheck::quickcheck;

use super::*;

#[test]
fn a_ratchet_is_read_as_it_was_at_every_moment() {
    for kem in ALL {
        let (mut alice, mut bob) = pair(3, kem, 1);
        for _ in 0..3 {
            let message = bob.send(b"body");
            alice.receive(&message).unwrap();
            for side in [&mut alice, &mut bob] {
                let bytes = side.ratchet.to_bytes();
                side.ratchet = Ratchet::from_bytes(&bytes).unwrap();
                assert_eq!(*side.ratchet.to_bytes(), *bytes);
            }
            core::mem::swap(&mut alice, &mut bob);
        }
    }
}

#[test]
fn keys_of_the_start_are_read_as_they_were() {
    let mut entropy = SeededEntropy::new([1; 32]);
    let theirs = KemPrivateKey::generate(&mut entropy).public();
    for offer in [KemOffer::Nothing, KemOffer::Propose, KemOffer::Accept(&theirs)] {
        let keys: X3dhKeys = X3dhKeys::generate(Version(3), offer, &mut entropy);
        let bytes = keys.to_bytes();
        let read = X3dhKeys::<X448PrivateKey>::from_bytes(&bytes).unwrap();
        assert!(read.public() == keys.public());
        assert_eq!(*read.to_bytes(), *bytes);
        assert!(bytes.capacity() >= 5000, "it never grew");
        for end in 0..bytes.len() {
            assert!(X3dhKeys::<X448PrivateKey>::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}

#[test]
fn cut_and_longer_states_and_other_formats_are_refused() {
    let (mut alice, mut bob) = pair(3, Kem::Accepted, 1);
    talk(&mut alice, &mut bob, 1);
    let bytes = alice.ratchet.to_bytes().to_vec();
    for end in 0..bytes.len() {
        assert!(Ratchet::<X448PrivateKey>::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
    }
    assert!(Ratchet::<X448PrivateKey>::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    assert!(Ratchet::<X448PrivateKey>::from_bytes(&[&[2], &bytes[1..]].concat()).is_err());
    assert!(Ratchet::<crate::crypto::X25519PrivateKey>::from_bytes(&bytes).is_err());

    let key = bob.ratchet.encrypt_header(None).unwrap();
    let bytes = key.to_bytes().to_vec();
    let read = MessageKey::from_bytes(&bytes).unwrap();
    assert_eq!(read.encrypt(100, b"body"), key.encrypt(100, b"body"));
    for end in 0..bytes.len() {
        assert!(MessageKey::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
    }
    assert!(MessageKey::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    assert!(MessageKey::from_bytes(&[&[2], &bytes[1..]].concat()).is_err());
}

#[test]
fn skipped_keys_are_inserted_as_they_were() {
    let (mut alice, mut bob) = pair(2, Kem::Nothing, 1);
    let mut lost = Vec::new();
    for _ in 0..3 {
        lost.extend((0..3).map(|_| bob.send(b"lost")));
        talk(&mut alice, &mut bob, 1);
    }
    let before = stored(&alice);
    let rows: Vec<_> = alice.skipped.iter().collect();
    assert_eq!(rows.len(), 9);
    alice.skipped = SkippedKeys::new();
    rows.into_iter().for_each(|row| alice.skipped.insert(row));
    assert_eq!(stored(&alice), before);
    lost.iter().for_each(|message| assert_eq!(alice.receive(message).unwrap(), b"lost"));
    assert!(alice.skipped.is_empty());
}

quickcheck! {
    fn any_bytes_are_read_or_refused(at: usize, byte: u8, wild: Vec<u8>) -> bool {
        let (alice, _) = pair(3, Kem::Accepted, 1);
        let mut bytes = alice.ratchet.to_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let same = Ratchet::<X448PrivateKey>::from_bytes(&bytes).is_ok_and(|read| *read.to_bytes() == bytes);
        let refused = Ratchet::<X448PrivateKey>::from_bytes(&bytes).is_err();
        let keys = X3dhKeys::<X448PrivateKey>::from_bytes(&wild).is_err();
        (same || refused) && keys && MessageKey::from_bytes(&wild).is_err()
    }
}
