//! How much may be skipped, and what forged messages do.

use super::*;

#[test]
fn so_many_may_be_skipped_and_not_one_more() {
    let (mut alice, mut bob) = pair(2, Kem::Nothing, 1);
    let first = bob.send(b"first");
    alice.receive(&first).unwrap();
    let messages: Vec<_> = (0..514u32).map(|i| bob.send(&i.to_be_bytes())).collect();
    let before = stored(&alice);
    assert_eq!(alice.receive(&messages[513]), Err(RatchetFault::Skipped(514)));
    assert_eq!(stored(&alice), before);
    assert_eq!(alice.receive(&messages[512]).unwrap(), 512u32.to_be_bytes());
    assert_eq!(alice.skipped.len(), 512);
    for (i, message) in (0u32..).zip(&messages[..512]) {
        assert_eq!(alice.receive(message).unwrap(), i.to_be_bytes());
    }
    assert!(alice.skipped.is_empty());
    assert_eq!(alice.receive(&messages[513]).unwrap(), 513u32.to_be_bytes());
    assert_eq!(alice.receive(&messages[513]), Err(RatchetFault::Duplicate));
    assert_eq!(alice.receive(&messages[0]), Err(RatchetFault::Earlier(513)));
    assert_eq!(alice.receive(&first), Err(RatchetFault::Earlier(514)));
}

#[test]
fn the_end_of_a_chain_and_the_start_of_the_next_are_bounded_apart() {
    let (mut alice, mut bob) = pair(2, Kem::Nothing, 1);
    talk(&mut alice, &mut bob, 1);
    // Bob's first chain of this test: its first message comes, the next 513 do not.
    let messages: Vec<_> = (0..514).map(|_| bob.send(b"old")).collect();
    alice.receive(&messages[0]).unwrap();
    let answer = alice.send(b"answer");
    bob.receive(&answer).unwrap();
    let next = bob.send(b"next");
    let before = stored(&alice);
    assert_eq!(alice.receive(&next), Err(RatchetFault::Skipped(514)));
    assert_eq!(stored(&alice), before, "no step without the keys of the chain before");
    alice.receive(&messages[1]).unwrap();
    assert_eq!(alice.receive(&next).unwrap(), b"next");
    assert_eq!(alice.skipped.len(), 512);
    // The start of a chain: the step is made, as the header is of the other side.
    let answer = alice.send(b"answer");
    bob.receive(&answer).unwrap();
    let messages: Vec<_> = (0..514).map(|_| bob.send(b"new")).collect();
    assert_eq!(alice.receive(&messages[513]), Err(RatchetFault::Skipped(514)));
    assert_eq!(alice.ratchet.parts().received, 0);
    assert_eq!(alice.receive(&messages[512]).unwrap(), b"new");
    assert_eq!(alice.skipped.len(), 1024);
}

#[test]
fn of_too_many_skipped_keys_the_oldest_are_forgotten() {
    let (mut alice, mut bob) = pair(2, Kem::Nothing, 1);
    let mut lost = Vec::new();
    for round in 0..9u8 {
        lost.push((0..512).map(|_| bob.send(&[round])).collect::<Vec<_>>());
        let message = bob.send(b"last");
        alice.receive(&message).unwrap();
        let answer = alice.send(b"answer");
        bob.receive(&answer).unwrap();
    }
    assert_eq!(alice.skipped.len(), SkippedKeys::MAX);
    assert_eq!(alice.receive(&lost[0][511]), Err(RatchetFault::Header));
    assert_eq!(alice.receive(&lost[1][0]).unwrap(), [1]);
    assert_eq!(alice.receive(&lost[8][511]).unwrap(), [8]);
    assert_eq!(alice.skipped.len(), SkippedKeys::MAX - 2);
}

#[test]
fn changed_bytes_never_open_and_changed_headers_change_nothing() {
    for (version, kem) in [(2, Kem::Nothing), (3, Kem::Accepted)] {
        let (mut alice, mut bob) = pair(version, kem, 1);
        talk(&mut alice, &mut bob, 1);
        let message = bob.send(b"body");
        let before = stored(&alice);
        let header_end = message.len() - 116;
        for at in 0..message.len() {
            let mut changed = message.to_vec();
            changed[at] ^= 1;
            let decrypted = alice.ratchet.decrypt(&alice.skipped, &changed.into(), &mut alice.entropy);
            // The tag of the body alone covers the version in the encrypted header, which may be newer than ours.
            let readable = at >= header_end || (version, at) == (3, 2);
            match decrypted {
                Err(fault) => {
                    assert!(
                        matches!(fault, RatchetFault::Header | RatchetFault::Malformed),
                        "byte {at}: {fault}"
                    );
                    assert!(!readable, "byte {at}");
                }
                Ok(decrypted) => {
                    assert_eq!(decrypted.body, Err(RatchetFault::Decrypt), "byte {at}");
                    assert!(readable, "byte {at}");
                }
            }
            assert_eq!(stored(&alice), before, "byte {at}");
        }
        for end in 0..message.len() {
            let cut = alice.ratchet.decrypt(&alice.skipped, &message.slice(..end), &mut alice.entropy);
            assert!(cut.is_err() || cut.is_ok_and(|cut| cut.body.is_err()), "{end} bytes");
        }
        assert_eq!(alice.receive(&message).unwrap(), b"body");
    }
}

#[test]
fn a_message_of_a_changed_body_counts_as_received() {
    let (mut alice, mut bob) = pair(3, Kem::Accepted, 1);
    talk(&mut alice, &mut bob, 1);
    let message = bob.send(b"body");
    let mut changed = message.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(alice.receive(&changed.into()), Err(RatchetFault::Decrypt));
    assert_eq!(alice.receive(&message), Err(RatchetFault::Duplicate));
    talk(&mut alice, &mut bob, 2);
}

#[test]
fn messages_of_other_conversations_change_nothing() {
    let (mut alice, mut bob) = pair(3, Kem::Accepted, 1);
    let (_, mut stranger) = pair(3, Kem::Accepted, 2);
    talk(&mut alice, &mut bob, 1);
    let before = stored(&alice);
    let message = stranger.send(b"body");
    assert_eq!(alice.receive(&message), Err(RatchetFault::Header));
    let own = alice.send(b"own");
    let after_sending = stored(&alice);
    assert_ne!(after_sending, before);
    assert_eq!(alice.receive(&own), Err(RatchetFault::Header));
    assert_eq!(stored(&alice), after_sending);
}

#[test]
fn bodies_have_room_up_to_the_padded_length() {
    let (_, mut bob) = pair(3, Kem::Accepted, 1);
    let before = stored(&bob);
    assert_eq!(bob.ratchet.encrypt(None, 100, &[0; 99]).err(), Some(SendFault::TooLarge));
    assert_eq!(stored(&bob), before);
    assert!(bob.ratchet.encrypt(None, 100, &[0; 98]).is_ok());
}
