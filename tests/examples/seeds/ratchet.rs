//! Seeds of the ratchet: recorded bytes, and short conversations.

use serde_json::Value;
use smp_core::crypto::ratchet::RatchetMessage;
use smp_core::wire::codec::decode_all;
use smp_tests::vectors::{Fields, load};

use super::tagged;

/// Every kind of bytes that are short enough.
pub(crate) fn ratchet_headers() -> Vec<Vec<u8>> {
    let headers = load("ratchet_headers.json");
    let version = |case: &Value| u8::try_from(case.number("version") - 2).expect("2 or 3");
    let mut seeds: Vec<_> =
        headers.items("headers").iter().map(|case| tagged(version(case), case, "encoded")).collect();
    for file in ["ratchet_x448_pq_off.json", "ratchet_x448_pq_proposed.json"] {
        for run in load(file).as_array().expect("a list of runs") {
            let first = &run.items("steps")[0];
            seeds.extend([tagged(3, first, "ciphertext"), tagged(8, first, "ciphertext")]);
            let message = decode_all(&first.hex("ciphertext"), RatchetMessage::decode).expect("a message").0;
            seeds.push([&[2][..], &message.header].concat());
            seeds.extend(["alice_rcv", "bob_snd"].map(|side| tagged(4, run.field(side), "e2e_params")));
        }
    }
    seeds.extend(
        smp_fuzz::ratchet::stored().into_iter().zip(5..).map(|(bytes, tag)| [&[tag][..], &bytes].concat()),
    );
    seeds
}

/// Sides take turns; low bits of a step: who, and what.
pub(crate) fn ratchet() -> Vec<Vec<u8>> {
    const ALICE: u8 = 0;
    const BOB: u8 = 1;
    const SEND: u8 = 0;
    const ON: u8 = 2;
    const OFF: u8 = 4;
    const NEXT: u8 = 6;
    const AT: u8 = 8;
    const REPEAT: u8 = 10;
    const CHANGE: u8 = 12;
    const LOSE: u8 = 14;
    const RESTORE: u8 = 30;
    let ping_pong = [SEND | BOB, NEXT | ALICE, SEND | ALICE, NEXT | BOB];
    let mut seeds = Vec::new();
    for start in 0..6 {
        let switches = [
            ON | BOB,
            NEXT | ALICE,
            ON | ALICE,
            NEXT | BOB,
            ON | BOB,
            NEXT | ALICE,
            ON | ALICE,
            NEXT | BOB,
            OFF | BOB,
            SEND | BOB,
            AT | ALICE,
            1,
            NEXT | ALICE,
            OFF | ALICE,
            NEXT | BOB,
        ];
        let losses = [
            SEND | BOB,
            SEND | BOB,
            SEND | BOB,
            AT | ALICE,
            2,
            SEND | ALICE,
            NEXT | BOB,
            SEND | BOB,
            LOSE | ALICE,
            0,
            RESTORE | ALICE,
            AT | ALICE,
            1,
            REPEAT | ALICE,
            0,
            CHANGE | ALICE,
            0,
            3,
            200,
            NEXT | ALICE,
        ];
        seeds.push([&[start][..], &ping_pong, &switches, &ping_pong].concat());
        seeds.push([&[start][..], &ping_pong, &losses, &ping_pong].concat());
    }
    seeds
}
