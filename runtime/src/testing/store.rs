//! A store in memory that does what the test tells it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use smp_core::server::store::{Batch, BatchReply, MemoryStore, QueueKey, QueueRecord, StoreFailure};

use crate::Backend;

/// A store in memory. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct TestStore(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    store: MemoryStore,
    work: VecDeque<Work>,
    held: bool,
    wakers: Vec<Waker>,
    batches: usize,
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
        let wakers = {
            let mut state = self.0.lock().unwrap();
            state.held = held;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many batches it was handed.
    pub(crate) fn batches(&self) -> usize {
        self.0.lock().unwrap().batches
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().unwrap().closed
    }

    /// Completes when replies are not held.
    fn released(&self) -> impl Future<Output = ()> + Send + 'static {
        let store = self.clone();
        poll_fn(move |cx| {
            let mut state = store.0.lock().unwrap();
            if !state.held {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl Backend for TestStore {
    fn run(&self, batch: Batch) -> impl Future<Output = BatchReply> + Send + 'static {
        let work = {
            let mut state = self.0.lock().unwrap();
            state.batches += 1;
            state.work.pop_front()
        };
        assert!(work != Some(Work::Panic), "the store was told to");
        let reply = match work {
            Some(Work::Fail) => Err(StoreFailure),
            _ => Ok(self.0.lock().unwrap().store.run(batch.ops)),
        };
        let released = self.released();
        async move {
            released.await;
            assert!(work != Some(Work::PanicLater), "the store was told to");
            reply
        }
    }

    fn look_up(
        &self,
        keys: Vec<QueueKey>,
    ) -> impl Future<Output = Result<Vec<Option<QueueRecord>>, StoreFailure>> + Send + 'static {
        let records = {
            let state = self.0.lock().unwrap();
            keys.iter().map(|key| state.store.look_up(key)).collect()
        };
        let released = self.released();
        async move {
            released.await;
            Ok(records)
        }
    }

    async fn close(&self) -> Result<(), StoreFailure> {
        self.0.lock().unwrap().closed = true;
        Ok(())
    }
}
