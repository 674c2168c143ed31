//! What waits to be written to a client.

use std::sync::{Mutex, MutexGuard, PoisonError};

use smp_core::wire::agent_text::{AgentEvent, Transmission};
use tokio::sync::Notify;

/// Transmissions as bytes, in order. Nobody who puts something here waits.
#[derive(Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// The client took so little that its connection is to end.
    is_cut: bool,
}

impl Outbox {
    /// Adds the answer to a command. Their number is bounded by who takes commands, see [`Self::is_full`].
    pub(crate) fn answer(&self, answer: &Transmission<AgentEvent>) {
        answer.encode(&mut self.lock().bytes);
        self.changed.notify_one();
    }

    /// Adds an event. False if that is too much for a client that takes so little, which is cut.
    pub(crate) fn tell(&self, event: &Transmission<AgentEvent>) -> bool {
        let mut state = self.lock();
        if state.bytes.len() < EVENTS_MAX {
            event.encode(&mut state.bytes);
        } else {
            state.is_cut = true;
        }
        let is_told = !state.is_cut;
        drop(state);
        self.changed.notify_one();
        is_told
    }

    /// Adds what was written before.
    pub(crate) fn put(&self, transmissions: &[u8]) {
        self.lock().bytes.extend_from_slice(transmissions);
        self.changed.notify_one();
    }

    /// Whether the client is to take something before it gives further commands.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().bytes.len() >= ANSWERS_MAX
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().bytes.is_empty()
    }

    /// What is to be written next, for the one who writes; nothing if the client is cut.
    pub(crate) async fn next(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut state = self.lock();
                if state.is_cut {
                    return None;
                }
                if !state.bytes.is_empty() {
                    return Some(std::mem::take(&mut state.bytes));
                }
            }
            self.changed.notified().await;
        }
    }

    /// Completes when the client is cut.
    pub(crate) async fn cut(&self) {
        while !self.lock().is_cut {
            self.changed.notified().await;
        }
    }

    /// Nothing that runs under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes with which a client gives no further commands.
const ANSWERS_MAX: usize = 256 * 1024;
/// Bytes with which a client gets no further events: some hundred messages, or many thousand others.
pub(crate) const EVENTS_MAX: usize = 4 * 1024 * 1024;
