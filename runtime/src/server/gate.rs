//! Whether connections may read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use smp_core::server::ConnectionId;

/// Closed while the store is behind: then no connection reads, so what waits for the store is what was read
/// before.
#[derive(Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
    waiting: Mutex<HashMap<ConnectionId, Waker>>,
}

impl Gate {
    /// Whether a connection may read. If not, its task is woken when it may.
    pub(crate) fn is_open(&self, connection: ConnectionId, cx: &Context<'_>) -> bool {
        if !self.closed.load(Ordering::Acquire) {
            return true;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let open = !self.closed.load(Ordering::Acquire);
        if !open {
            waiting.insert(connection, cx.waker().clone());
        }
        open
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn open(&self) {
        if !self.closed.load(Ordering::Acquire) {
            return;
        }
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.closed.store(false, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// Forgets a connection that ended.
    pub(crate) fn forget(&self, connection: ConnectionId) {
        if self.closed.load(Ordering::Acquire) {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&connection);
        }
    }
}
