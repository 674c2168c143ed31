//! Simulated worlds of agents, by their seeds.
//!
//! | | |
//! |---|---|
//! | `cargo test -p smp-tests --test agents_simulation` | the seeds of `agent_seeds.txt` and some more; a story with crashes at its effects |
//! | `SMP_SIM_SEEDS=2000 cargo test …` | as many random ones too; crashes at every effect of stories of all kinds |
//! | `SMP_SIM_FIRST=1000 SMP_SIM_SEEDS=2000 cargo test …` | those from 1000 on |
//! | `SMP_SIM_SEED=7 cargo test …` | that one, with its trace |
#![allow(clippy::print_stdout, reason = "seeds and traces for whoever asks with --nocapture")]

use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use smp_core::wire::Version;
use smp_tests::simulation::{AGENT_FEATURES_FIRST, AgentCounts, Story, crash_everywhere, run_agents};

/// Seeds of faults that were found once, and others.
const SEEDS: &str = include_str!("../agent_seeds.txt");
/// How many seeds every run lives through, beside those: of worlds with handshakes and messages, and of worlds that may have more.
const FIXED: u64 = 200;
/// After how many failures no more worlds begin.
const FAILURES_MAX: usize = 10;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}

fn committed() -> impl Iterator<Item = u64> {
    let lines = SEEDS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed"))
}

/// What many worlds have in common.
#[derive(Default)]
struct Total {
    worlds: u64,
    counts: AgentCounts,
    failures: Vec<String>,
}

/// Lives `count` worlds, as many at a time as there are processors. Each has its own thread from beginning to end.
fn live_all(count: u64, seed: impl Fn(u64) -> u64 + Sync) {
    let start = Instant::now();
    let (next, total) = (AtomicU64::new(0), Mutex::new(Total::default()));
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let seed = seed(index);
            let outcome = run_agents(seed, false);
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.worlds += 1;
            total.counts += outcome.counts;
            if let Some(fault) = outcome.failure {
                let failure = format!(
                    "seed {seed}: {fault}\nreplay: SMP_SIM_SEED={seed} cargo test -p smp-tests --test agents_simulation worlds -- --nocapture"
                );
                println!("{failure}");
                total.failures.push(failure);
            }
            if total.failures.len() >= FAILURES_MAX {
                break;
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        (0..workers).for_each(|_| _ = scope.spawn(worker));
    });
    let Total { worlds, counts, failures } = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{worlds} worlds of agents in {:.1?}, {} failed: {counts:?}", start.elapsed(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn worlds() {
    if let Some(seed) = number("SMP_SIM_SEED") {
        let fault = run_agents(seed, true).failure;
        assert!(fault.is_none(), "seed {seed}: {}", fault.unwrap_or_default());
        return;
    }
    let with_more = AGENT_FEATURES_FIRST..AGENT_FEATURES_FIRST + FIXED;
    let committed: Vec<_> = committed().chain(0..FIXED).chain(with_more).collect();
    live_all(committed.len() as u64, |index| committed[usize::try_from(index).expect("an index")]);
    if let Some(count) = number("SMP_SIM_SEEDS") {
        let first = number("SMP_SIM_FIRST").unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("{count} seeds from {first}");
        live_all(count, |index| first.wrapping_add(index));
    }
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
    let trace = |seed| run_agents(seed, false).trace;
    for seed in 0..5 {
        assert_eq!(trace(seed), trace(seed));
    }
    assert_ne!(trace(0), trace(1));
}
