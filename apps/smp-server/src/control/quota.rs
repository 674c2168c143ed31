//! How many queues users may block.

/// How many queues all users together may block on one day (UTC). It is counted from the start of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Quota {
    /// As many as they like.
    Unlimited,
    /// At most this many.
    Daily(u32),
}

/// What is left of it.
pub(super) struct Counted {
    quota: Quota,
    day: u64,
    used: u32,
}

impl Counted {
    pub(super) const fn new(quota: Quota) -> Self {
        Self { quota, day: 0, used: 0 }
    }

    /// Whether another queue may be blocked on this day.
    pub(super) const fn is_left(&mut self, day: u64) -> bool {
        if day != self.day {
            (self.day, self.used) = (day, 0);
        }
        match self.quota {
            Quota::Unlimited => true,
            Quota::Daily(most) => self.used < most,
        }
    }

    /// One was blocked.
    pub(super) const fn count(&mut self) {
        self.used = self.used.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_for_a_day() {
        let mut two = Counted::new(Quota::Daily(2));
        for day in [7, 8] {
            for _ in 0..2 {
                assert!(two.is_left(day));
                two.count();
            }
            assert!(!two.is_left(day));
        }
        assert!(!Counted::new(Quota::Daily(0)).is_left(7));
        let mut unlimited = Counted::new(Quota::Unlimited);
        (0..1000).for_each(|_| unlimited.count());
        assert!(unlimited.is_left(0));
    }
}
