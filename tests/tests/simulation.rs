//! Simulated worlds, by their seeds.
//!
//! | | |
//! |---|---|
//! | `cargo test -p smp-tests --test simulation` | the seeds of `seeds.txt` and some more |
//! | `SMP_SIM_SEEDS=2000 cargo test …` | as many random ones too |
//! | `SMP_SIM_SEED=7 cargo test …` | that one, with its trace |
#![allow(clippy::print_stdout, reason = "seeds and traces for whoever asks with --nocapture")]

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use smp_tests::simulation::run;

/// Seeds of faults that were found once, and others.
const SEEDS: &str = include_str!("../seeds.txt");
/// How many seeds every run lives through, beside those.
const FIXED: u64 = 5;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}

fn committed() -> impl Iterator<Item = u64> {
    let lines = SEEDS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed"))
}

fn live(seed: u64) -> smp_tests::simulation::Outcome {
    let outcome = run(seed, false);
    if let Some(fault) = &outcome.failure {
        panic!(
            "seed {seed}: {fault}\nreplay: SMP_SIM_SEED={seed} cargo test -p smp-tests --test simulation -- --nocapture"
        );
    }
    outcome
}

fn live_all(seeds: impl Iterator<Item = u64>) {
    let start = Instant::now();
    let (mut worlds, mut commands, mut messages, mut crashes, mut cuts) = (0_u64, 0, 0, 0, 0);
    for seed in seeds {
        let counts = live(seed).counts;
        worlds += 1;
        commands += counts.commands;
        messages += counts.messages;
        crashes += counts.crashes;
        cuts += counts.cuts;
    }
    let time = start.elapsed();
    println!(
        "{worlds} worlds in {time:.1?}: {commands} commands, {messages} messages, {crashes} crashes, {cuts} cuts"
    );
}

#[test]
fn worlds() {
    if let Some(seed) = number("SMP_SIM_SEED") {
        let fault = run(seed, true).failure;
        assert!(fault.is_none(), "seed {seed}: {}", fault.unwrap_or_default());
        return;
    }
    live_all(committed().chain(0..FIXED));
    if let Some(count) = number("SMP_SIM_SEEDS") {
        let first = RandomState::new().hash_one(0);
        println!("{count} seeds from {first}");
        live_all((0..count).map(|index| first.wrapping_add(index)));
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..2 {
        assert_eq!(live(seed).trace, live(seed).trace);
    }
    assert_ne!(live(0).trace, live(1).trace);
}
