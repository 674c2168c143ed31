//! Time as an input: machines are told what time it is and never ask.

use core::ops::Add;
use core::time::Duration;

/// Monotonic microseconds since an origin that the shell chooses. Measures intervals; never stored, never sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the shell's monotonic clock.
    pub const ZERO: Self = Self(0);

    /// A time `micros` microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time that passed since `earlier`, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, interval: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(interval.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// Milliseconds since 1970-01-01 UTC. Only for values that appear in the protocol, in a certificate or in storage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// A time given in milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// A time given in seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: the resolution of time on the wire.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Whole days since the epoch, rounded down: the resolution at which a queue remembers its last use.
    #[must_use]
    pub const fn as_days(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }
}

/// Both clocks at one moment, given to a machine with every input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// For intervals and deadlines.
    pub mono: Timestamp,
    /// For values that are stored or sent.
    pub unix: UnixTime,
}

impl Now {
    /// The moment `mono`, when the wall clock passes as the monotonic clock does; this one, if `mono` is earlier. For
    /// shells with a clock of their own, such as a simulated one.
    #[must_use]
    pub const fn advanced_to(self, mono: Timestamp) -> Self {
        let (from, to) = (self.mono.0, mono.0);
        if to <= from {
            return self;
        }
        // Whole milliseconds of both, so that many short steps are as long as one.
        let passed = (to / 1000 - from / 1000).cast_signed();
        Self { mono, unix: UnixTime(self.unix.0.saturating_add(passed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_short_steps_are_as_long_as_one() {
        let start = Now { mono: Timestamp(1), unix: UnixTime(5) };
        let steps = (0..5).fold(start, |now, _| now.advanced_to(now.mono + Duration::from_micros(700)));
        assert_eq!(steps, start.advanced_to(Timestamp(3501)));
        assert_eq!(steps.unix, UnixTime(8));
        assert_eq!(start.advanced_to(Timestamp::ZERO), start);
        assert_eq!(start.advanced_to(Timestamp(u64::MAX)).mono, Timestamp(u64::MAX));
    }
}
