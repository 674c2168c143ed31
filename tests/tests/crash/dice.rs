//! Chance, as a function of the seed.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use smp_core::SeededEntropy;

/// What is drawn from one seed. How the threads of a run interleave is not.
pub(crate) struct Dice(SeededEntropy);

impl Dice {
    /// With the seed of `SMP_CRASH_SEED`, or another one at each run. Prints it.
    pub(crate) fn of_run(test: &str) -> Self {
        let seed = number("SMP_CRASH_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000);
        println!("{test}: seed {seed}; SMP_CRASH_SEED={seed} draws the same again");
        Self::new(seed)
    }

    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(SeededEntropy::new(bytes))
    }

    /// Others, for a part of the test that runs beside the rest.
    pub(crate) fn fork(&mut self) -> Self {
        Self(SeededEntropy::new(self.0.fork_seed()))
    }

    /// A source of keys.
    pub(crate) const fn entropy(&mut self) -> &mut SeededEntropy {
        &mut self.0
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes()) % end.max(1)
    }

    /// True so often, of 100 times.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A wait of less than so long.
    pub(crate) fn wait(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(most.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// A number that the environment names.
pub(crate) fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}
