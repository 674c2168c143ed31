//! Whether a server runs, and how its tasks learn that it does not any more.

use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

/// The life of a server. It only moves forward.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// It serves.
    Running,
    /// It accepts no connections and no commands, and answers those that run.
    Stopping,
    /// Its tasks end where they are.
    Ended,
}

/// The phase, for the few tasks of the server itself. Connections learn it through their mailboxes.
pub(crate) struct Signal(Mutex<(Phase, Vec<Waker>)>);

impl Signal {
    pub(crate) fn new() -> Self {
        Self(Mutex::new((Phase::Running, Vec::new())))
    }

    pub(crate) fn advance(&self, phase: Phase) {
        let wakers = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = state.0.max(phase);
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The phase now; the task is woken when it changes.
    pub(crate) fn watch(&self, cx: &Context<'_>) -> Phase {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.1.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.1.push(cx.waker().clone());
        }
        state.0
    }
}
