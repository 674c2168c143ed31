//! What all connections hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of input and output that wait, of all connections.
pub(crate) struct Budget {
    limit: usize,
    held: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0) })
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The part of a new connection.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), held: 0 }
    }
}

/// The part of one connection. It is given back when dropped.
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: usize,
}

impl Share {
    /// Tells how much the connection holds now.
    pub(crate) fn set(&mut self, held: usize) {
        if held > self.held {
            self.budget.held.fetch_add(held - self.held, Ordering::Relaxed);
        } else if held < self.held {
            self.budget.held.fetch_sub(self.held - held, Ordering::Relaxed);
        }
        self.held = held;
    }

    /// Whether the connection may take more. Above the limit it may only while it holds nothing, so it is never refused
    /// for good: what it holds moves on, and its task is woken then, or it is closed because it does not.
    pub(crate) fn may_grow(&self) -> bool {
        self.held == 0 || self.budget.held() < self.budget.limit
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_limit_only_those_grow_who_hold_nothing() {
        let budget = Budget::new(100);
        let (mut greedy, mut other, idle) = (budget.share(), budget.share(), budget.share());
        greedy.set(99);
        assert!(greedy.may_grow());
        other.set(1);
        assert_eq!((greedy.may_grow(), other.may_grow(), idle.may_grow()), (false, false, true));
        greedy.set(50);
        assert!(greedy.may_grow() && other.may_grow());
        drop(greedy);
        assert_eq!(budget.held(), 1);
        drop(other);
        assert_eq!(budget.held(), 0);
    }
}
