//! What is going to happen in a world, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use smp_core::Timestamp;

/// Events `E` in order of time. On a lane `L` nothing overtakes.
pub(super) struct Schedule<E, L> {
    events: BTreeMap<(Timestamp, u64), E>,
    last: u64,
    /// When the last of each lane is going to happen.
    lanes: BTreeMap<L, Timestamp>,
}

/// What happens next.
pub(super) enum Next<T, E> {
    Timer(T),
    Event(E),
}

impl<E, L> Default for Schedule<E, L> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), last: 0, lanes: BTreeMap::new() }
    }
}

impl<E, L: Ord> Schedule<E, L> {
    pub(super) fn add(&mut self, at: Timestamp, event: E) {
        self.last += 1;
        self.events.insert((at, self.last), event);
    }

    /// Adds an event behind those of its lane; when it is going to happen.
    pub(super) fn add_behind(&mut self, lane: L, now: Timestamp, delay: Duration, event: E) -> Timestamp {
        let last = self.lanes.entry(lane).or_default();
        *last = (*last).max(now + delay);
        let at = *last;
        self.add(at, event);
        at
    }

    /// What is first, and its time: this timer, or an event. Of both at once the timer.
    pub(super) fn next<T>(&mut self, timer: Option<(Timestamp, T)>) -> Option<(Timestamp, Next<T, E>)> {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        match timer {
            Some((due, timer)) if event.is_none_or(|at| due <= at) => Some((due, Next::Timer(timer))),
            _ => self.events.pop_first().map(|((at, _), event)| (at, Next::Event(event))),
        }
    }

    /// Whether nothing is under way, but what happens of itself.
    pub(super) fn is_quiet(&self, is_of_itself: impl Fn(&E) -> bool) -> bool {
        self.events.values().all(is_of_itself)
    }
}
