//! What happened to the connections of a server, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use smp_core::server::{CloseReason, SessionEvent};

use super::event::{Disconnect, ServerEvent};

/// Numbers since the server started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that were closed at once, because a limit was reached.
    pub refused: u64,
    /// TLS and SMP handshakes that succeeded.
    pub handshakes: u64,
    /// Connections that ended before that, by a fault or too slow.
    pub failed_handshakes: u64,
    /// Accepted connections that ended.
    pub closed: u64,
}

impl Counters {
    /// Accepted connections that have not ended.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.closed)
    }
}

/// Counts events, from any thread.
#[derive(Default)]
pub(crate) struct Counting {
    accepted: AtomicU64,
    refused: AtomicU64,
    handshakes: AtomicU64,
    failed_handshakes: AtomicU64,
    closed: AtomicU64,
}

impl Counting {
    pub(crate) fn count(&self, event: &ServerEvent) {
        let counter = match event {
            ServerEvent::Accepted(_) => &self.accepted,
            ServerEvent::Refused(_) => &self.refused,
            ServerEvent::Session(_, SessionEvent::Ready(_)) => &self.handshakes,
            ServerEvent::Closed(_, how) => {
                if *how == Disconnect::Session(CloseReason::Handshake) {
                    self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
                }
                &self.closed
            }
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
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
}
