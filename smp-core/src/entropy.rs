//! Randomness as an input: a machine is given a seed once and forks a source for each of its children.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of unpredictable bytes that the caller supplies.
pub trait Entropy {
    /// Fills `dest`.
    fn fill(&mut self, dest: &mut [u8]);
}

/// The source that machines use: the ChaCha20 stream of a 32-byte seed.
///
/// The seed must come from the operating system in production; tests give a fixed one and get the same run again.
pub struct SeededEntropy(ChaCha20Rng);

impl SeededEntropy {
    /// A source that is a function of `seed` alone.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// A seed for a child machine, so that what the child draws does not shift what its parent draws.
    #[must_use]
    pub fn fork_seed(&mut self) -> [u8; 32] {
        self.bytes()
    }

    /// `N` bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, dest: &mut [u8]) {
        self.0.fill_bytes(dest);
    }
}
