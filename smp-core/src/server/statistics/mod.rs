//! What a server counts: numbers for its operator, none of which says anything about one queue or one client.
//!
//! Sessions say what they refused and sent ([`SessionEvent::Counted`](super::SessionEvent)), the broker counts what took effect
//! ([`Broker::statistics`](super::Broker::statistics)). The names of the counters are those that the operators of SMP servers
//! know.
//!
//! How many queues were used in a day, a week and a month is told from [`Distinct`], which remembers no id.

mod counter;
mod distinct;
mod survey;
mod text;
mod times;

pub use counter::{Counter, Counts, ProxyCounter, ServiceCounter};
pub use distinct::{Active, ActiveQueues, Distinct};
pub(crate) use survey::Next;
pub use survey::Survey;
pub use text::InvalidStatistics;
pub use times::Times;

use super::store::UnixDay;
use crate::time::UnixTime;

/// What was counted since a time.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// Since when.
    pub since: UnixTime,
    /// How often what happened.
    pub counts: Counts,
    /// Queues that a message was sent to or received from.
    pub active: ActiveQueues,
    /// Those whose message was to be notified.
    pub active_notified: ActiveQueues,
    /// How long after their delivery messages were acknowledged.
    pub acknowledged: Times,
}

/// A day that is over.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Day {
    /// Since when `counts` count: mostly the beginning of the day.
    pub since: UnixTime,
    /// What was counted since.
    pub counts: Counts,
    /// Queues that were used, for those of the periods that ended with the day.
    pub active: Active,
    /// Those that were used with notifications.
    pub active_notified: Active,
}

impl Statistics {
    /// Nothing, from now on.
    #[must_use]
    pub fn new(now: UnixTime) -> Self {
        let today = now.into();
        Self {
            since: now,
            counts: Counts::default(),
            active: ActiveQueues::new(today),
            active_notified: ActiveQueues::new(today),
            acknowledged: Times::default(),
        }
    }

    /// The day that ended since this was asked last, if one did. The queues that are used are counted anew; when
    /// `counts_daily`, everything is. Several days without a server are one.
    pub fn end_day(&mut self, now: UnixTime, counts_daily: bool) -> Option<Day> {
        let today: UnixDay = now.into();
        let active = self.active.end_day(today)?;
        let active_notified = self.active_notified.end_day(today).unwrap_or_default();
        let (since, counts) = (self.since, self.counts.clone());
        if counts_daily {
            (self.since, self.counts, self.acknowledged) = (now, Counts::default(), Times::default());
        }
        Some(Day { since, counts, active, active_notified })
    }
}

#[cfg(test)]
mod tests;
