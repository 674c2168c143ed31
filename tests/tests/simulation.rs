//! Simulated worlds, by their seeds.
//!
//! | | |
//! |---|---|
//! | `cargo test -p smp-tests --test simulation` | the seeds of `seeds.txt` and some more |
//! | `SMP_SIM_SEEDS=2000 cargo test …` | as many random ones too, and a tenth as many with both shells |
//! | `SMP_SIM_FIRST=1000 SMP_SIM_SEEDS=2000 cargo test …` | those from 1000 on |
//! | `SMP_SIM_SEED=7 cargo test …` | that one, with its trace |
#![allow(clippy::print_stdout, reason = "seeds and traces for whoever asks with --nocapture")]

use std::time::Instant;

use smp_tests::simulation::{ClientCounts, Counts, FEATURES_FIRST, Worlds, number, run, run_clients};

/// Seeds of faults that were found once, and others.
const SEEDS: &str = include_str!("../seeds.txt");
/// How many seeds every run lives through, beside those: the first, and the first whose worlds may have everything.
const FIXED: u64 = 25;
/// How many worlds with both shells every run lives through.
const SHELLS_FIXED: u64 = 20;
const WORLDS: Worlds<Counts> = Worlds { test: "simulation", live: run };

#[test]
fn worlds() {
    WORLDS.live(SEEDS, (0..FIXED).chain(FEATURES_FIRST..FEATURES_FIRST + FIXED));
}

/// Programs that use the client shell, and the shell of the server.
#[test]
fn clients_and_server_as_shells() {
    let start = Instant::now();
    let live = |seed| {
        run_clients(seed).unwrap_or_else(|fault| {
            panic!(
                "seed {seed}: {fault}\nreplay: SMP_SIM_SEED={seed} cargo test -p smp-tests --test simulation clients"
            )
        })
    };
    if let Some(seed) = number("SMP_SIM_SEED") {
        live(seed);
        return;
    }
    let count = SHELLS_FIXED + number("SMP_SIM_SEEDS").unwrap_or(0) / 10;
    let first = number("SMP_SIM_FIRST").unwrap_or(0);
    let mut total = ClientCounts::default();
    for seed in first..first + count {
        total += live(seed);
    }
    println!("{count} worlds of shells in {:.1?}: {total:?}", start.elapsed());
    assert!(total.messages > 0 && total.subscriptions > count, "something happened");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    // The server of seed 4 is the shell.
    WORLDS.check_traces(0..5);
}
