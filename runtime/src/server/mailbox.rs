//! What waits for the task of a connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use smp_core::server::BrokerReply;
use smp_core::server::proxy::ProxyReply;

use super::phase::Phase;

/// The replies that wait for a connection, in the order in which the broker gave them out.
///
/// It has no bound of its own because the protocol bounds it: the broker answers each request of the session
/// once, and a session holds a limited number of requests; deliveries stop at `Limits::deliveries_in_flight`;
/// a subscription ends once. So no sender ever waits for a connection, and a slow one delays nobody.
pub(crate) struct Mailbox(Mutex<State>);

/// What is in a mailbox.
pub(crate) enum Letter {
    Broker(BrokerReply),
    /// Bounded too: the session has `Limits::client_forwards` requests at the proxy at most.
    Proxy(ProxyReply),
}

struct State {
    replies: VecDeque<Letter>,
    phase: Phase,
    waker: Option<Waker>,
}

impl Mailbox {
    pub(crate) fn new(phase: Phase) -> Self {
        Self(Mutex::new(State { replies: VecDeque::new(), phase, waker: None }))
    }

    /// Adds a reply. The caller wakes the waker after it has released its own locks.
    #[must_use]
    pub(crate) fn push(&self, reply: BrokerReply) -> Option<Waker> {
        self.put(Letter::Broker(reply))
    }

    /// Adds a reply of the proxy, likewise.
    #[must_use]
    pub(crate) fn push_proxied(&self, reply: ProxyReply) -> Option<Waker> {
        self.put(Letter::Proxy(reply))
    }

    /// Tells the task that the server's phase changed; the caller wakes the waker.
    #[must_use]
    pub(crate) fn advance(&self, phase: Phase) -> Option<Waker> {
        let mut state = self.lock();
        state.phase = state.phase.max(phase);
        state.waker.take()
    }

    /// Moves the replies to `into`, which is empty, and tells the phase. The task is woken when there is
    /// more.
    pub(crate) fn take(&self, cx: &Context<'_>, into: &mut VecDeque<Letter>) -> Phase {
        let mut state = self.lock();
        std::mem::swap(&mut state.replies, into);
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        state.phase
    }

    fn put(&self, letter: Letter) -> Option<Waker> {
        let mut state = self.lock();
        state.replies.push_back(letter);
        state.waker.take()
    }

    /// Nothing that runs under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
