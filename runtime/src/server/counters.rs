//! What happened to the connections of a server, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use smp_core::server::proxy::{ProxyEvent, ProxyOutcome};
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
    /// Commands that other servers' clients had forwarded to this server.
    pub forwarded: u64,
    /// Sessions with relays that clients asked for: with the operator's own, and with others.
    pub relays: [Proxied; 2],
    /// Commands that clients had forwarded, likewise.
    pub forwards: [Proxied; 2],
}

/// Requests to the proxy, by what came of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Proxied {
    /// Done.
    pub done: u64,
    /// The relay could not be reached, or did not answer.
    pub unreachable: u64,
    /// There was no common version.
    pub incompatible: u64,
    /// Anything else.
    pub failed: u64,
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
    forwarded: AtomicU64,
    relays: [ProxiedCounting; 2],
    forwards: [ProxiedCounting; 2],
}

/// In the order of the fields of [`Proxied`].
type ProxiedCounting = [AtomicU64; 4];

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
            ServerEvent::Session(_, SessionEvent::Forwarded) => &self.forwarded,
            ServerEvent::Proxy(ProxyEvent::Relay { own, outcome }) => proxied(&self.relays, *own, *outcome),
            ServerEvent::Proxy(ProxyEvent::Forward { own, outcome }) => {
                proxied(&self.forwards, *own, *outcome)
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
            forwarded: self.forwarded.load(Ordering::Relaxed),
            relays: self.relays.each_ref().map(read_proxied),
            forwards: self.forwards.each_ref().map(read_proxied),
        }
    }
}

const fn proxied(counting: &[ProxiedCounting; 2], own: bool, outcome: ProxyOutcome) -> &AtomicU64 {
    let [ours, others] = counting;
    let [done, unreachable, incompatible, failed] = if own { ours } else { others };
    match outcome {
        ProxyOutcome::Done => done,
        ProxyOutcome::Unreachable => unreachable,
        ProxyOutcome::Incompatible => incompatible,
        ProxyOutcome::Failed => failed,
    }
}

fn read_proxied(counting: &ProxiedCounting) -> Proxied {
    let [done, unreachable, incompatible, failed] =
        counting.each_ref().map(|counter| counter.load(Ordering::Relaxed));
    Proxied { done, unreachable, incompatible, failed }
}
