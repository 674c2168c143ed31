//! What happens to a server, in numbers: connections, and what sessions and the proxy count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smp_core::server::proxy::{ProxyEvent, ProxyOutcome};
use smp_core::server::statistics::{Counter, Counts, ProxyCounter};
use smp_core::server::{CloseReason, SessionEvent};

use super::event::{Disconnect, ServerEvent};

/// Numbers since the server started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that were refused because a limit was reached, at once or when they had said what they are.
    pub refused: u64,
    /// TLS and SMP handshakes that succeeded.
    pub handshakes: u64,
    /// Connections that ended before that, by a fault or too slow.
    pub failed_handshakes: u64,
    /// Accepted connections that ended.
    pub closed: u64,
}

/// The connections of one address that a server listens on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct SocketCounters {
    /// Those that were accepted.
    pub accepted: u64,
    /// Those of them that ended in order.
    pub closed: u64,
    /// Those that are there. One that was accepted and is neither there nor ended in order ended by a defect.
    pub active: u64,
}

impl Counters {
    /// Accepted connections that have not ended.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.closed)
    }
}

/// Counts events, from any thread.
pub(crate) struct Counting {
    accepted: AtomicU64,
    refused: AtomicU64,
    handshakes: AtomicU64,
    failed_handshakes: AtomicU64,
    closed: AtomicU64,
    /// What sessions and the proxy count, by the places of the counters.
    counts: [AtomicU64; Counter::COUNT],
}

impl Counting {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            accepted: zero(),
            refused: zero(),
            handshakes: zero(),
            failed_handshakes: zero(),
            closed: zero(),
            counts: [const { AtomicU64::new(0) }; Counter::COUNT],
        }
    }

    pub(crate) fn count(&self, event: &ServerEvent) {
        let counter = match event {
            ServerEvent::Accepted(_) => &self.accepted,
            ServerEvent::Refused(_) => &self.refused,
            ServerEvent::Session(_, SessionEvent::Ready(_)) => &self.handshakes,
            ServerEvent::Session(_, SessionEvent::Counted(counter, times)) => {
                return self.add(*counter, *times);
            }
            ServerEvent::Closed(_, how) => {
                match how {
                    Disconnect::Session(CloseReason::Handshake) => increment(&self.failed_handshakes),
                    Disconnect::Refused(_) => increment(&self.refused),
                    _ => {}
                }
                &self.closed
            }
            ServerEvent::Proxy(event) => return self.count_proxy(*event),
            _ => return,
        };
        increment(counter);
    }

    pub(crate) fn read(&self) -> Counters {
        // Ends are read before beginnings, so that there are never more of them.
        let closed = self.closed.load(Ordering::Relaxed);
        Counters {
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            handshakes: self.handshakes.load(Ordering::Relaxed),
            failed_handshakes: self.failed_handshakes.load(Ordering::Relaxed),
            closed,
        }
    }

    /// What sessions and the proxy counted since this was asked last.
    pub(crate) fn take(&self) -> Counts {
        let mut counts = Counts::default();
        for (counter, _) in Counter::all() {
            if let Some(counted) = self.counts.get(counter.index()) {
                counts.add(counter, counted.swap(0, Ordering::Relaxed));
            }
        }
        counts
    }

    fn count_proxy(&self, event: ProxyEvent) {
        let (of_all, of_own, own, outcome): (fn(_) -> _, fn(_) -> _, _, _) = match event {
            ProxyEvent::Relay { own, outcome } => (Counter::Relays, Counter::OwnRelays, own, outcome),
            ProxyEvent::Forward { own, outcome } => (Counter::Forwards, Counter::OwnForwards, own, outcome),
            _ => return,
        };
        let counter = match outcome {
            ProxyOutcome::Done => ProxyCounter::Successes,
            ProxyOutcome::Unreachable => ProxyCounter::Unreachable,
            ProxyOutcome::Incompatible => ProxyCounter::Incompatible,
            ProxyOutcome::Failed => ProxyCounter::Failed,
        };
        for counter in [ProxyCounter::Requests, counter] {
            self.add(of_all(counter), 1);
            if own {
                self.add(of_own(counter), 1);
            }
        }
    }

    fn add(&self, counter: Counter, times: u64) {
        if let Some(counted) = self.counts.get(counter.index()) {
            counted.fetch_add(times, Ordering::Relaxed);
        }
    }
}

/// Counts the connections of one address.
#[derive(Default)]
pub(crate) struct SocketCounting {
    accepted: AtomicU64,
    closed: AtomicU64,
    active: AtomicU64,
}

/// A connection that is there, until this is dropped.
pub(crate) struct ActiveSocket(Arc<SocketCounting>);

impl SocketCounting {
    pub(crate) fn accept(self: &Arc<Self>) -> ActiveSocket {
        increment(&self.accepted);
        increment(&self.active);
        ActiveSocket(Arc::clone(self))
    }

    pub(crate) fn read(&self) -> SocketCounters {
        let closed = self.closed.load(Ordering::Relaxed);
        let active = self.active.load(Ordering::Relaxed);
        SocketCounters { accepted: self.accepted.load(Ordering::Relaxed), closed, active }
    }
}

impl ActiveSocket {
    /// It ended in order.
    pub(crate) fn close(&self) {
        increment(&self.0.closed);
    }
}

impl Drop for ActiveSocket {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

fn increment(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
