//! A store in memory that does what the test tells it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use smp_core::server::store::{BatchReply, MemoryStore, OpResult, QueueKey, QueueOp, StoreFailure};
use smp_core::wire::{EntityId, QueueSet};
use smp_storage::{Backend, LookUpReply};

/// A store in memory. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct TestStore(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    store: MemoryStore,
    work: VecDeque<Work>,
    held: bool,
    full: bool,
    wakers: Vec<Waker>,
    batches: usize,
    subscribed: usize,
    closed: bool,
}

/// What happens to a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// The store fails.
    Fail,
    /// The store panics when it is handed the batch.
    Panic,
    /// The task that waits for the reply panics.
    PanicLater,
}

impl TestStore {
    /// What happens to the next batches, in order; those after them are carried out.
    pub(crate) fn plan(&self, work: impl IntoIterator<Item = Work>) {
        self.0.lock().unwrap().work.extend(work);
    }

    /// While `held`, replies wait.
    pub(crate) fn hold(&self, held: bool) {
        self.change(|state| state.held = held);
    }

    /// While `full`, it is not ready for more.
    pub(crate) fn fill(&self, full: bool) {
        self.change(|state| state.full = full);
    }

    /// How many batches it was handed.
    pub(crate) fn batches(&self) -> usize {
        self.0.lock().unwrap().batches
    }

    /// How often a queue was subscribed by its name since this was asked last.
    pub(crate) fn take_subscribed(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().subscribed)
    }

    /// What it counts among the queues of a service.
    pub(crate) fn of_service(&self, service: &EntityId) -> QueueSet {
        let op = QueueOp::CountService { service: service.clone() };
        match self.0.lock().unwrap().store.run(vec![op]).as_slice() {
            [OpResult::ServiceQueues(queues)] => *queues,
            _ => panic!("not counted"),
        }
    }

    /// How many queues it keeps.
    pub(crate) fn queues(&self) -> u64 {
        match self.0.lock().unwrap().store.run(vec![QueueOp::Count]).as_slice() {
            [OpResult::Counts(counts)] => counts.queues,
            _ => panic!("not counted"),
        }
    }

    /// How many handles and calls without a reply there are.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().unwrap().closed
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
            change(&mut state);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Completes when nothing stops it.
    fn until<F: Fn(&State) -> bool + Send + 'static>(
        &self,
        free: F,
    ) -> impl Future<Output = ()> + Send + use<F> {
        let store = self.clone();
        poll_fn(move |cx| {
            let mut state = store.0.lock().unwrap();
            if free(&state) {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl Backend for TestStore {
    fn run(&self, ops: Vec<QueueOp>) -> impl Future<Output = BatchReply> + Send + use<> {
        let work = {
            let mut state = self.0.lock().unwrap();
            state.batches += 1;
            state.subscribed += ops.iter().filter(|op| matches!(op, QueueOp::Subscribe { .. })).count();
            state.work.pop_front()
        };
        assert!(work != Some(Work::Panic), "the store was told to");
        let reply = match work {
            Some(Work::Fail) => Err(StoreFailure),
            _ => Ok(self.0.lock().unwrap().store.run(ops)),
        };
        let released = self.until(|state| !state.held);
        async move {
            released.await;
            assert!(work != Some(Work::PanicLater), "the store was told to");
            reply
        }
    }

    fn look_up(&self, keys: Vec<QueueKey>) -> impl Future<Output = LookUpReply> + Send + use<> {
        let records = {
            let state = self.0.lock().unwrap();
            keys.iter().map(|key| Ok(state.store.look_up(key))).collect()
        };
        let released = self.until(|state| !state.held);
        async move {
            released.await;
            Ok(records)
        }
    }

    fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        self.until(|state| !state.full)
    }

    fn sync(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<> {
        let released = self.until(|state| !state.held);
        async move {
            released.await;
            Ok(())
        }
    }

    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<> {
        self.0.lock().unwrap().closed = true;
        std::future::ready(Ok(()))
    }
}
