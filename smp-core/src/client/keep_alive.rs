//! Whether the server is still there.

use super::ClientLimits;
use crate::time::Timestamp;

/// Counts silence. A subscribed client that hears nothing asks for a sign of life; a server that owes several answers
/// in a row and was silent for long is given up.
pub(super) struct KeepAlive {
    /// When the server was last heard.
    heard: Timestamp,
    /// When the last PING was asked for.
    pinged: Timestamp,
    /// Answers missed since the server was last heard.
    missed: u32,
    /// Set by the first subscription; a client without one has nothing to miss.
    subscribed: bool,
}

/// What the time asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    Nothing,
    Ping,
    GiveUp,
}

impl KeepAlive {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { heard: now, pinged: now, missed: 0, subscribed: false }
    }

    /// A block came, good or bad.
    pub(super) const fn heard(&mut self, now: Timestamp) {
        self.heard = now;
        self.missed = 0;
    }

    /// An answer did not come in time.
    pub(super) const fn missed(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    /// The client subscribed to something.
    pub(super) const fn subscribed(&mut self) {
        self.subscribed = true;
    }

    /// What is due at `now`. A PING that is due counts as asked for.
    pub(super) fn due(&mut self, now: Timestamp, limits: &ClientLimits) -> Due {
        if self.give_up_at(limits).is_some_and(|at| at <= now) {
            return Due::GiveUp;
        }
        if self.ping_at(limits).is_some_and(|at| at <= now) {
            self.pinged = now;
            return Due::Ping;
        }
        Due::Nothing
    }

    /// When something is due next.
    pub(super) fn timeout(&self, limits: &ClientLimits) -> Option<Timestamp> {
        [self.ping_at(limits), self.give_up_at(limits)].into_iter().flatten().min()
    }

    fn ping_at(&self, limits: &ClientLimits) -> Option<Timestamp> {
        self.subscribed.then(|| self.heard.max(self.pinged) + limits.ping_interval)
    }

    fn give_up_at(&self, limits: &ClientLimits) -> Option<Timestamp> {
        (self.missed >= limits.ping_count.max(1)).then(|| self.heard + limits.ping_silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn asks_only_after_a_subscription_and_once_per_interval() {
        let limits = ClientLimits::default();
        let mut alive = KeepAlive::new(at(0));
        assert_eq!(alive.timeout(&limits), None);
        assert_eq!(alive.due(at(5000), &limits), Due::Nothing);

        alive.heard(at(5000));
        alive.subscribed();
        assert_eq!(alive.timeout(&limits), Some(at(5600)));
        assert_eq!(alive.due(at(5599), &limits), Due::Nothing);
        assert_eq!(alive.due(at(5600), &limits), Due::Ping);
        assert_eq!(alive.due(at(5600), &limits), Due::Nothing);
        assert_eq!(alive.timeout(&limits), Some(at(6200)));
        alive.heard(at(5601));
        assert_eq!(alive.timeout(&limits), Some(at(6201)));
    }

    #[test]
    fn gives_up_when_answers_are_missing_and_silence_is_long() {
        let limits = ClientLimits::default();
        let mut alive = KeepAlive::new(at(0));
        (0..2).for_each(|_| alive.missed());
        assert_eq!(alive.due(at(100_000), &limits), Due::Nothing);
        alive.missed();
        assert_eq!(alive.timeout(&limits), Some(at(900)));
        assert_eq!(alive.due(at(899), &limits), Due::Nothing);
        assert_eq!(alive.due(at(900), &limits), Due::GiveUp);
        alive.heard(at(901));
        assert_eq!(alive.due(at(100_000), &limits), Due::Nothing);
    }
}
