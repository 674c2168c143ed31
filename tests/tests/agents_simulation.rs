//! Simulated worlds of agents, by their seeds.
//!
//! | | |
//! |---|---|
//! | `cargo test -p smp-tests --test agents_simulation` | the seeds of `agent_seeds.txt` and some more; a story with crashes at its effects |
//! | `SMP_SIM_SEEDS=2000 cargo test …` | as many random ones too; crashes at every effect of stories of all kinds |
//! | `SMP_SIM_FIRST=1000 SMP_SIM_SEEDS=2000 cargo test …` | those from 1000 on |
//! | `SMP_SIM_SEED=7 cargo test …` | that one, with its trace |
#![allow(clippy::print_stdout, reason = "seeds and traces for whoever asks with --nocapture")]

use std::time::Instant;

use smp_core::wire::Version;
use smp_tests::simulation::{
    AGENT_FEATURES_FIRST, AGENT_WHOLE_FIRST, AgentCounts, Story, Worlds, crash_everywhere, number, run_agents,
};

/// Seeds of faults that were found once, and others.
const SEEDS: &str = include_str!("../agent_seeds.txt");
/// How many seeds every run lives through, beside those: of worlds with handshakes and messages, of worlds that may have more, and of
/// worlds that may have all.
const FIXED: u64 = 200;
const WORLDS: Worlds<AgentCounts> = Worlds { test: "agents_simulation worlds", live: run_agents };

#[test]
fn worlds() {
    let fixed = [0, AGENT_FEATURES_FIRST, AGENT_WHOLE_FIRST].into_iter();
    WORLDS.live(SEEDS, fixed.flat_map(|first| first..first + FIXED));
}

/// Whoever's queue the other side secures, and whoever's it cannot.
#[test]
fn a_crash_at_every_effect() {
    let is_thorough = number("SMP_SIM_SEEDS").is_some();
    let (now, before) = (Version::MAX, Version(8));
    let mut failures = Vec::new();
    for (seed, versions) in
        [[now, now], [now, before], [before, now], [before, before]].into_iter().enumerate()
    {
        for pq in [false, true] {
            let start = Instant::now();
            let story = Story { seed: seed as u64, versions, pq };
            let step = if is_thorough {
                1
            } else if pq {
                40
            } else {
                4
            };
            let all = crash_everywhere(story, step);
            println!(
                "{story:?}: {:?} effects, {} worlds in {:.1?}, {} failed",
                all.effects,
                all.worlds,
                start.elapsed(),
                all.failures.len()
            );
            failures.extend(all.failures);
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let firsts = [0, AGENT_FEATURES_FIRST, AGENT_WHOLE_FIRST].into_iter();
    WORLDS.check_traces(firsts.flat_map(|first| first..first + 5));
}
