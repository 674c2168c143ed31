//! How many tasks a server has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Counts the tasks of listeners and connections, for whoever waits for their end.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<State>);

#[derive(Default)]
struct State {
    running: usize,
    idle: Option<Waker>,
}

impl Tasks {
    /// Counts a task until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> TaskGuard {
        self.lock().running += 1;
        TaskGuard(Arc::clone(self))
    }

    /// Ready when no task runs. One task may wait.
    pub(crate) fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.running == 0 {
            return Poll::Ready(());
        }
        state.idle = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The counter cannot be left half-way, so a poisoned lock is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that is counted.
pub(crate) struct TaskGuard(Arc<Tasks>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.lock();
            state.running -= 1;
            if state.running == 0 { state.idle.take() } else { None }
        };
        waker.into_iter().for_each(Waker::wake);
    }
}
