//! How long something took, in whole seconds.

use core::time::Duration;

/// A histogram of times.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Times {
    buckets: [u64; Self::BOUNDS.len() + 1],
    sum: u64,
    max: u64,
}

impl Times {
    /// The longest time, in seconds, that each bucket but the last counts.
    pub const BOUNDS: [u64; 22] =
        [0, 1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 40, 50, 60, 90, 120, 150, 180, 300, 600, 1200, 3600];

    /// Counts a time.
    pub fn add(&mut self, time: Duration) {
        let seconds = time.as_secs();
        let at = Self::BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(Self::BOUNDS.len());
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket = bucket.saturating_add(1);
        }
        self.sum = self.sum.saturating_add(seconds);
        self.max = self.max.max(seconds);
    }

    /// How many there are of each bucket; the last counts what is longer than all bounds.
    #[must_use]
    pub const fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, bucket| sum.saturating_add(*bucket))
    }

    /// All of them, in seconds.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// The longest, in seconds.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    pub(super) fn from_parts(buckets: &[u64], sum: u64, max: u64) -> Option<Self> {
        Some(Self { buckets: buckets.try_into().ok()?, sum, max })
    }
}
