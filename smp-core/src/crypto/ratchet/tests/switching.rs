//! The KEM, switched on and off.

use super::*;

#[test]
fn either_side_switches_it_on_and_off() {
    for first in [Kem::Nothing, Kem::Accepted] {
        let (mut alice, mut bob) = pair(3, first, 1);
        talk(&mut alice, &mut bob, 1);
        for on in [true, false, true, true, false, false, true] {
            let pq = Some(if on { PqEncryption::On } else { PqEncryption::Off });
            for _ in 0..3 {
                let message = bob.send_pq(pq, b"to alice");
                alice.receive(&message).unwrap();
                let message = alice.send_pq(pq, b"to bob");
                bob.receive(&message).unwrap();
            }
            for side in [&alice.ratchet, &bob.ratchet] {
                assert_eq!((side.pq_sending(), side.pq_receiving()), (on, on));
                assert!(side.parts().pq_supported, "headers stay large");
            }
        }
    }
}

#[test]
fn it_stays_off_until_both_want_it() {
    let (mut alice, mut bob) = pair(3, Kem::Nothing, 1);
    talk(&mut alice, &mut bob, 1);
    for _ in 0..4 {
        let message = bob.send_pq(Some(PqEncryption::On), b"to alice");
        alice.receive(&message).unwrap();
        let message = alice.send_pq(Some(PqEncryption::Off), b"to bob");
        bob.receive(&message).unwrap();
        assert!(!alice.ratchet.pq_sending() && !bob.ratchet.pq_sending());
    }
}

#[test]
fn a_message_after_it_was_switched_off_can_come_first() {
    let (mut alice, mut bob) = pair(3, Kem::Accepted, 1);
    talk(&mut alice, &mut bob, 2);
    let off = bob.send_pq(Some(PqEncryption::Off), b"off");
    let later = bob.send(b"later");
    assert_eq!(alice.receive(&later).unwrap(), b"later");
    assert_eq!(alice.receive(&off).unwrap(), b"off");
    talk(&mut alice, &mut bob, 3);
}

#[test]
fn an_answer_to_no_key_is_refused() {
    let (mut alice, mut bob) = pair(3, Kem::Accepted, 1);
    talk(&mut alice, &mut bob, 1);
    let mut parts = alice.ratchet.parts().clone();
    parts.kem = None;
    alice.ratchet = Ratchet::from_parts(parts);
    let before = stored(&alice);
    let message = bob.send(b"body");
    assert_eq!(alice.receive(&message), Err(RatchetFault::Kem));
    assert_eq!(stored(&alice), before);
}
