//! A bounded queue between callers that must not block and threads that may.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

/// Items in order, each with a weight. It refuses items while the weights add up to the capacity.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    capacity: usize,
    /// Half of the capacity; an empty queue is always below.
    ready_below: usize,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    closed: bool,
    /// Callers that wait until the queue is less than half full.
    waiting: Vec<Waker>,
}

/// What [`Queue::take`] brings.
pub(super) enum Taken<T> {
    /// The oldest items, at least one.
    Items(Vec<T>),
    /// None came before the deadline.
    Nothing,
    /// The queue is closed and empty.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), weight: 0, closed: false, waiting: Vec::new() };
        Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            capacity,
            ready_below: (capacity / 2).max(1),
        }
    }

    /// Adds an item, or gives it back when the queue is full or closed.
    pub(super) fn push(&self, item: T, weight: usize) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.weight >= self.capacity {
            return Err(item);
        }
        state.items.push_back((item, weight));
        state.weight = state.weight.saturating_add(weight);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Adds the last item, however full the queue is, and closes it. Gives it back when it was closed before.
    pub(super) fn push_last(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        state.items.push_back((item, 0));
        drop(state);
        self.close();
        Ok(())
    }

    /// Refuses more items. Those inside can still be taken.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.arrived.notify_all();
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ready when the queue is less than half full, or closed.
    pub(super) fn poll_ready(&self, waker: &Waker) -> Poll<()> {
        let mut state = self.lock();
        if state.closed || state.weight < self.ready_below {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|known| known.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        Poll::Pending
    }

    /// Waits for items, until the deadline if there is one, and takes the oldest, up to `weight` of them but
    /// at least one.
    pub(super) fn take(&self, weight: usize, deadline: Option<Instant>) -> Taken<T> {
        let mut state = self.lock();
        while state.items.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return Taken::Nothing,
                Some(left) => {
                    self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let mut taken = Vec::new();
        let mut total = 0;
        while total < weight
            && let Some((item, item_weight)) = state.items.pop_front()
        {
            total += item_weight.max(1);
            state.weight -= item_weight;
            taken.push(item);
        }
        let ready = state.weight < self.ready_below;
        let waiting = if ready { std::mem::take(&mut state.waiting) } else { Vec::new() };
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        Taken::Items(taken)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(queue: &Queue<u8>, weight: usize) -> Vec<u8> {
        match queue.take(weight, Some(Instant::now())) {
            Taken::Items(items) => items,
            Taken::Nothing | Taken::Closed => Vec::new(),
        }
    }

    #[test]
    fn takes_in_order_up_to_a_weight() {
        let queue = Queue::new(100);
        (0..5).for_each(|item| queue.push(item, 10).expect("there is room"));
        assert_eq!(items(&queue, 25), [0, 1, 2]);
        assert_eq!(items(&queue, 1), [3]);
        assert_eq!(items(&queue, 100), [4]);
        assert_eq!(items(&queue, 100), Vec::<u8>::new());
    }

    #[test]
    fn refuses_when_full_and_when_closed() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(1, 5), Ok(()), "the first item fits whatever its weight");
        assert_eq!(queue.push(2, 1), Err(2));
        assert_eq!(queue.push_last(3), Ok(()));
        assert_eq!(queue.push_last(4), Err(4));
        assert_eq!(items(&queue, 100), [1, 3]);
        assert_eq!(queue.push(5, 1), Err(5));
        assert!(matches!(queue.take(1, None), Taken::Closed));
    }

    #[test]
    fn is_ready_below_half_of_the_capacity() {
        let queue = Queue::new(4);
        let waker = Waker::noop();
        queue.push(1, 1).expect("there is room");
        assert_eq!(queue.poll_ready(waker), Poll::Ready(()));
        queue.push(2, 1).expect("there is room");
        assert_eq!(queue.poll_ready(waker), Poll::Pending);
        assert_eq!(items(&queue, 1), [1]);
        assert_eq!(queue.poll_ready(waker), Poll::Ready(()));
    }
}
