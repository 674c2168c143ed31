//! Simulated worlds, by their seeds.
//!
//! | | |
//! |---|---|
//! | `cargo test -p smp-tests --test simulation` | the seeds of `seeds.txt` and some more |
//! | `SMP_SIM_SEEDS=2000 cargo test …` | as many random ones too, and a tenth as many with both shells |
//! | `SMP_SIM_FIRST=1000 SMP_SIM_SEEDS=2000 cargo test …` | those from 1000 on |
//! | `SMP_SIM_SEED=7 cargo test …` | that one, with its trace |
#![allow(clippy::print_stdout, reason = "seeds and traces for whoever asks with --nocapture")]

use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use smp_tests::simulation::{ClientCounts, Counts, FEATURES_FIRST, Outcome, run, run_clients};

/// Seeds of faults that were found once, and others.
const SEEDS: &str = include_str!("../seeds.txt");
/// How many seeds every run lives through, beside those: the first, and the first whose worlds may have everything.
const FIXED: u64 = 25;
/// How many worlds with both shells every run lives through.
const SHELLS_FIXED: u64 = 20;
/// After how many failures no more worlds begin.
const FAILURES_MAX: usize = 10;
/// How often many worlds say how far they are.
const PROGRESS: Duration = Duration::from_secs(20);

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}

fn committed() -> impl Iterator<Item = u64> {
    let lines = SEEDS.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed"))
}

fn failure_of(seed: u64, outcome: &Outcome) -> Option<String> {
    let fault = outcome.failure.as_ref()?;
    Some(format!(
        "seed {seed}: {fault}\nreplay: SMP_SIM_SEED={seed} cargo test -p smp-tests --test simulation -- --nocapture"
    ))
}

/// What many worlds have in common.
#[derive(Default)]
struct Total {
    worlds: u64,
    counts: Counts,
    failures: Vec<String>,
}

impl Total {
    fn print(&self, start: Instant) {
        let (worlds, Counts { shells, commands, messages, crashes, stops, cuts, forwards, .. }) =
            (self.worlds, self.counts);
        let (time, failures) = (start.elapsed(), self.failures.len());
        println!(
            "{worlds} worlds, {shells} of them shells, in {time:.1?}, {failures} failed: {commands} commands, {messages} messages, {crashes} crashes, \
             {stops} stops, {cuts} cuts, {forwards} forwarded"
        );
    }
}

/// Lives `count` worlds, as many at a time as there are processors. Each has its own thread from beginning to end.
fn live_all(count: u64, seed: impl Fn(u64) -> u64 + Sync) {
    let start = Instant::now();
    let (next, total) = (AtomicU64::new(0), Mutex::new((Total::default(), start)));
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let seed = seed(index);
            let outcome = run(seed, false);
            let mut guard = total.lock().unwrap_or_else(PoisonError::into_inner);
            let (total, told) = &mut *guard;
            total.worlds += 1;
            total.counts += outcome.counts;
            if let Some(failure) = failure_of(seed, &outcome) {
                println!("{failure}");
                total.failures.push(failure);
            }
            if total.failures.len() >= FAILURES_MAX {
                break;
            }
            if told.elapsed() > PROGRESS {
                *told = Instant::now();
                total.print(start);
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        (0..workers).for_each(|_| _ = scope.spawn(worker));
    });
    let (total, _) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.print(start);
    assert!(total.failures.is_empty(), "{}", total.failures.join("\n"));
}

#[test]
fn worlds() {
    if let Some(seed) = number("SMP_SIM_SEED") {
        let fault = run(seed, true).failure;
        assert!(fault.is_none(), "seed {seed}: {}", fault.unwrap_or_default());
        return;
    }
    let committed: Vec<_> =
        committed().chain(0..FIXED).chain(FEATURES_FIRST..FEATURES_FIRST + FIXED).collect();
    live_all(committed.len() as u64, |index| committed[usize::try_from(index).expect("an index")]);
    if let Some(count) = number("SMP_SIM_SEEDS") {
        let first = number("SMP_SIM_FIRST").unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("{count} seeds from {first}");
        live_all(count, |index| first.wrapping_add(index));
    }
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
    let trace = |seed| run(seed, false).trace;
    // The server of seed 4 is the shell.
    for seed in 0..5 {
        assert_eq!(trace(seed), trace(seed));
    }
    assert_ne!(trace(0), trace(1));
}
