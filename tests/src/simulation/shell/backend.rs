//! The store as the server sees it: whatever it is asked goes to the world, and the world answers.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_channel::oneshot;
use smp_core::server::store::{BatchReply, QueueKey, QueueOp, StoreFailure};
use smp_storage::{Backend, LookUpReply};

use super::{Effect, Effects};

/// The store of a server. Clones share it.
#[derive(Clone)]
pub(super) struct SimBackend {
    effects: Effects,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last: u64,
    batches: BTreeMap<u64, oneshot::Sender<BatchReply>>,
    look_ups: BTreeMap<u64, oneshot::Sender<LookUpReply>>,
    is_full: bool,
    is_closed: bool,
    wakers: Vec<Waker>,
}

impl SimBackend {
    pub(super) fn new(effects: Effects) -> Self {
        Self { effects, state: Arc::default() }
    }

    pub(super) fn answer(&self, token: u64, reply: BatchReply) {
        let sender = self.state().batches.remove(&token);
        // The task that waited may be gone.
        _ = sender.map(|sender| sender.send(reply));
        self.wake();
    }

    pub(super) fn answer_look_up(&self, token: u64, reply: LookUpReply) {
        let sender = self.state().look_ups.remove(&token);
        // As above.
        _ = sender.map(|sender| sender.send(reply));
    }

    pub(super) fn fill(&self, is_full: bool) {
        self.state().is_full = is_full;
        self.wake();
    }

    fn wake(&self) {
        let wakers = std::mem::take(&mut self.state().wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Completes when `holds` does.
    fn until(&self, holds: fn(&State) -> bool) -> impl Future<Output = ()> + Send + use<> {
        let backend = self.clone();
        poll_fn(move |cx| {
            let mut state = backend.state();
            if holds(&state) {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for SimBackend {
    fn run(&self, ops: Vec<QueueOp>) -> impl Future<Output = BatchReply> + Send + use<> {
        let (sender, reply) = oneshot::channel();
        let mut state = self.state();
        if !state.is_closed {
            state.last += 1;
            let token = state.last;
            state.batches.insert(token, sender);
            self.effects.push(Effect::Store(token, ops));
        }
        async move { reply.await.unwrap_or(Err(StoreFailure)) }
    }

    fn look_up(&self, keys: Vec<QueueKey>) -> impl Future<Output = LookUpReply> + Send + use<> {
        let (sender, reply) = oneshot::channel();
        let mut state = self.state();
        if !state.is_closed {
            state.last += 1;
            let token = state.last;
            state.look_ups.insert(token, sender);
            self.effects.push(Effect::LookUp(token, keys));
        }
        async move { reply.await.unwrap_or(Err(StoreFailure)) }
    }

    fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        self.until(|state| !state.is_full || state.is_closed)
    }

    fn sync(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<> {
        // What was answered is durable, so what is left is to be answered.
        let answered = self.until(|state| state.batches.is_empty());
        async move {
            answered.await;
            Ok(())
        }
    }

    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<> {
        self.state().is_closed = true;
        self.wake();
        let answered = self.until(|state| state.batches.is_empty());
        async move {
            answered.await;
            Ok(())
        }
    }
}
