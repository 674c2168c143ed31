//! Many worlds, by their seeds, as the environment asks for them.
//!
//! | | |
//! |---|---|
//! | nothing | the seeds that every run lives through |
//! | `SMP_SIM_SEEDS=2000` | as many random ones too |
//! | `SMP_SIM_FIRST=1000 SMP_SIM_SEEDS=2000` | those from 1000 on |
//! | `SMP_SIM_SEED=7` | that one, with its trace |
#![allow(clippy::print_stdout, reason = "seeds and traces for whoever asks with --nocapture")]

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Outcome;

/// Worlds of a kind.
pub struct Worlds<C> {
    /// The test that lives them, with what has to be written behind it to live one of them alone.
    pub test: &'static str,
    /// Lives the world of a seed, and prints what happens if asked to.
    pub live: fn(u64, bool) -> Outcome<C>,
}

/// What many worlds have in common.
struct Total<C> {
    worlds: u64,
    counts: C,
    failures: Vec<String>,
    began: Instant,
    told: Instant,
}

/// A number of the environment.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}

impl<C: Copy + Default + Debug + AddAssign + Send> Worlds<C> {
    /// Lives the worlds that the environment asks for; if it does not ask for one alone, also those of `committed`, a list with
    /// remarks behind `#`, and of `fixed`.
    ///
    /// # Panics
    /// If something is wrong in one of them.
    pub fn live(&self, committed: &str, fixed: impl IntoIterator<Item = u64>) {
        if let Some(seed) = number("SMP_SIM_SEED") {
            let fault = (self.live)(seed, true).failure;
            assert!(fault.is_none(), "seed {seed}: {}", fault.unwrap_or_default());
            return;
        }
        let lines = committed.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let committed = lines.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed"));
        let seeds: Vec<u64> = committed.chain(fixed).collect();
        self.live_all(seeds.len() as u64, |index| seeds[usize::try_from(index).expect("an index")]);
        if let Some(count) = number("SMP_SIM_SEEDS") {
            let first = number("SMP_SIM_FIRST").unwrap_or_else(|| RandomState::new().hash_one(0));
            println!("{count} seeds from {first}");
            self.live_all(count, |index| first.wrapping_add(index));
        }
    }

    /// The same seed gives the same trace.
    ///
    /// # Panics
    /// If not.
    pub fn check_traces(&self, seeds: impl IntoIterator<Item = u64>) {
        let trace = |seed| (self.live)(seed, false).trace;
        let traces: Vec<_> = seeds.into_iter().map(|seed| (trace(seed), trace(seed))).collect();
        assert!(traces.iter().all(|(first, second)| first == second), "the same seed, another trace");
        assert_ne!(traces[0], traces[1]);
    }

    /// Lives `count` worlds, as many at a time as there are processors. Each has its own thread from beginning to end.
    fn live_all(&self, count: u64, seed: impl Fn(u64) -> u64 + Sync) {
        let (next, total) = (AtomicU64::new(0), Mutex::new(Total::<C>::new()));
        let worker = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    break;
                }
                let seed = seed(index);
                let outcome = (self.live)(seed, false);
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total.add(seed, self.test, outcome);
                if total.failures.len() >= FAILURES_MAX {
                    break;
                }
            }
        };
        thread::scope(|scope| {
            let workers = thread::available_parallelism().map_or(1, NonZero::get);
            (0..workers).for_each(|_| _ = scope.spawn(worker));
        });
        let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
        total.print();
        assert!(total.failures.is_empty(), "{}", total.failures.join("\n"));
    }
}

impl<C: Copy + Default + Debug + AddAssign> Total<C> {
    fn new() -> Self {
        let now = Instant::now();
        Self { worlds: 0, counts: C::default(), failures: Vec::new(), began: now, told: now }
    }

    fn add(&mut self, seed: u64, test: &str, outcome: Outcome<C>) {
        self.worlds += 1;
        self.counts += outcome.counts;
        if let Some(fault) = outcome.failure {
            let failure = format!(
                "seed {seed}: {fault}\nreplay: SMP_SIM_SEED={seed} cargo test -p smp-tests --test {test} -- --nocapture"
            );
            println!("{failure}");
            self.failures.push(failure);
        }
        if self.told.elapsed() > PROGRESS {
            self.told = Instant::now();
            self.print();
        }
    }

    fn print(&self) {
        let Self { worlds, counts, failures, began, .. } = self;
        println!("{worlds} worlds in {:.1?}, {} failed: {counts:?}", began.elapsed(), failures.len());
    }
}

/// After how many failures no more worlds begin.
const FAILURES_MAX: usize = 10;
/// How often many worlds say how far they are.
const PROGRESS: Duration = Duration::from_secs(20);
