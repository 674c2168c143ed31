//! The broker, shared by the tasks of all connections.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_channel::oneshot;
use smp_core::Timestamp;
use smp_core::server::store::{Batch, BatchId, BatchReply, StoreFailure};
use smp_core::server::{Broker, BrokerInput, BrokerOutput, ConnectionId, Moderation, ModerationId};
use smp_storage::Backend;

use super::alarm::Alarm;
use super::gate::Gate;
use super::mailbox::Mailbox;
use super::phase::{Phase, Signal};
use super::{ServerEvent, Watcher};
use crate::timer::Timer;
use crate::{Runtime, panic};

/// The broker behind a lock, and what carries out its effects.
///
/// Under the lock the broker takes inputs and its effects are put in order: replies into the mailboxes,
/// batches into a queue. Nothing else happens there; tasks are woken and the store is called after the lock
/// is released. The order in which batches reach the store is kept all the same, because one task at a time
/// hands them over: who adds a batch while another task is at it leaves it to that one. The store does not
/// block when it is handed a batch; when it is behind, it says so before the next one, and then connections
/// stop reading until it has caught up.
pub(crate) struct Hub<R, B> {
    runtime: R,
    backend: Arc<B>,
    watcher: Watcher,
    state: Mutex<State>,
    /// Whether connections may read.
    pub(crate) gate: Gate,
    /// The server's phase, for tasks without a mailbox.
    pub(crate) signal: Signal,
}

struct State {
    broker: Broker,
    mailboxes: HashMap<ConnectionId, Arc<Mailbox>>,
    phase: Phase,
    batches: VecDeque<Batch>,
    /// Who waits for what an operator did.
    moderations: HashMap<ModerationId, oneshot::Sender<Moderated>>,
    last_moderation: u64,
    /// A task is handing batches to the store.
    submitting: bool,
    alarm: Alarm,
}

/// Whether there is such a queue.
pub(crate) type Moderated = Result<bool, StoreFailure>;

/// The broker panicked. What it knew is lost, so the server has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the server failed")]
pub(crate) struct HubFailed;

impl<R: Runtime, B: Backend + 'static> Hub<R, B> {
    pub(crate) fn new(runtime: R, backend: Arc<B>, broker: Broker, watcher: Watcher) -> Arc<Self> {
        let state = State {
            broker,
            mailboxes: HashMap::new(),
            phase: Phase::Running,
            batches: VecDeque::new(),
            moderations: HashMap::new(),
            last_moderation: 0,
            submitting: false,
            alarm: Alarm::default(),
        };
        Arc::new(Self {
            runtime,
            backend,
            watcher,
            state: Mutex::new(state),
            gate: Gate::default(),
            signal: Signal::new(),
        })
    }

    /// The place of a new connection, which the broker does not know of.
    pub(crate) fn attach(self: &Arc<Self>, id: ConnectionId) -> Attachment<R, B> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mailbox = Arc::new(Mailbox::new(state.phase));
        state.mailboxes.insert(id, Arc::clone(&mailbox));
        Attachment { hub: Arc::clone(self), id, mailbox, known: false }
    }

    /// Gives the broker inputs, in order and in one critical section.
    pub(crate) fn handle(
        self: &Arc<Self>,
        inputs: impl IntoIterator<Item = BrokerInput>,
    ) -> Result<(), HubFailed> {
        let mut wakers = Vec::new();
        let submit = catch_unwind(AssertUnwindSafe(|| {
            let mut state = self.state.lock().map_err(|_| HubFailed)?;
            let now = self.runtime.now();
            for input in inputs {
                state.broker.handle(now, input);
                state.carry_out(&mut wakers);
            }
            let deadline = state.broker.poll_timeout();
            wakers.extend(state.alarm.wake_if_earlier(deadline));
            Ok(state.start_submitting())
        }));
        let submit = submit.unwrap_or_else(|_| {
            self.fail();
            Err(HubFailed)
        })?;
        wakers.into_iter().for_each(Waker::wake);
        if submit {
            self.submit();
        }
        Ok(())
    }

    /// Carries out what an operator does to a queue.
    pub(crate) async fn moderate(self: &Arc<Self>, moderation: Moderation) -> Moderated {
        let (sender, done) = oneshot::channel();
        let id = {
            let mut state = self.state.lock().map_err(|_| StoreFailure)?;
            state.last_moderation += 1;
            let id = ModerationId(state.last_moderation);
            state.moderations.insert(id, sender);
            id
        };
        self.handle([BrokerInput::Moderate(id, moderation)]).map_err(|HubFailed| StoreFailure)?;
        done.await.unwrap_or(Err(StoreFailure))
    }

    /// Looks at the broker, or changes what it counts. Nothing that has effects.
    pub(crate) fn with_broker<T>(&self, look: impl FnOnce(&mut Broker) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).broker)
    }

    /// Moves the server to a later phase and tells all of its tasks.
    pub(crate) fn advance(&self, phase: Phase) {
        let wakers: Vec<Waker> = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.phase = state.phase.max(phase);
            state.mailboxes.values().filter_map(|mailbox| mailbox.advance(phase)).collect()
        };
        self.signal.advance(phase);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The task that tells the broker the time, until the server ends.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        let mut timer = Timer::new(self.runtime.clone());
        poll_fn(|cx| {
            if self.signal.watch(cx) == Phase::Ended {
                return Poll::Ready(());
            }
            let Ok(deadline) = self.next_timeout(cx) else { return Poll::Ready(()) };
            std::task::ready!(timer.poll(cx, deadline));
            if self.handle([BrokerInput::Timeout]).is_err() {
                return Poll::Ready(());
            }
            // Once more for the next deadline, after other tasks had their turn.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn next_timeout(&self, cx: &Context<'_>) -> Result<Option<Timestamp>, HubFailed> {
        let mut state = self.state.lock().map_err(|_| HubFailed)?;
        let deadline = state.broker.poll_timeout();
        state.alarm.set(cx, deadline);
        Ok(deadline)
    }

    /// Hands batches to the store until none waits: here, as far as the store takes them at once, else in a
    /// task.
    fn submit(self: &Arc<Self>) {
        let mut submission = Box::pin(Arc::clone(self).hand_over());
        let mut cx = Context::from_waker(Waker::noop());
        if submission.as_mut().poll(&mut cx).is_pending() {
            self.runtime.spawn(submission);
        }
    }

    /// Only the task that set `submitting` is here. While the store is behind, connections do not read.
    async fn hand_over(self: Arc<Self>) {
        loop {
            let mut ready = pin!(panic::catch(self.backend.ready()));
            let ready = poll_fn(|cx| {
                let ready = ready.as_mut().poll(cx);
                if ready.is_pending() {
                    self.gate.close();
                }
                ready
            });
            if ready.await.is_err() {
                log::error!("the store panicked when it was asked whether it is ready");
            }
            self.gate.open();
            let Some(batch) = self.next_batch() else { return };
            self.hand_over_one(batch);
        }
    }

    fn hand_over_one(self: &Arc<Self>, batch: Batch) {
        // Whatever happens to the reply from here on, its guard gives the broker one.
        let mut answer = Answer { hub: Arc::clone(self), batch: batch.id, given: false };
        let handed_over = catch_unwind(AssertUnwindSafe(|| {
            let reply = self.backend.run(batch.ops);
            self.runtime.spawn(async move {
                match panic::catch(reply).await {
                    Ok(reply) => answer.give(reply),
                    Err(panic::Panicked) => log::error!("the store panicked while a batch was waited for"),
                }
            });
        }));
        if handed_over.is_err() {
            log::error!("the store panicked when it was handed a batch");
        }
    }

    fn next_batch(&self) -> Option<Batch> {
        let mut state = self.state.lock().ok()?;
        let batch = state.batches.pop_front();
        state.submitting = batch.is_some();
        batch
    }

    /// The broker is broken: ends the server, and says so.
    fn fail(&self) {
        log::error!("the broker panicked; the server ends");
        let moderations = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut state.moderations)
        };
        // Who waits for one is told that it failed.
        drop(moderations);
        self.advance(Phase::Ended);
        (self.watcher)(ServerEvent::Failed);
    }
}

impl State {
    /// Puts the effects of the broker in order.
    fn carry_out(&mut self, wakers: &mut Vec<Waker>) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                BrokerOutput::Store(batch) => self.batches.push_back(batch),
                BrokerOutput::Moderated(id, done) => {
                    // Who asked may have gone.
                    _ = self.moderations.remove(&id).map(|waiting| waiting.send(done));
                }
                BrokerOutput::Reply(id, reply) => {
                    wakers.extend(self.mailboxes.get(&id).and_then(|mailbox| mailbox.push(reply)));
                }
            }
        }
    }

    /// Whether the caller has to hand batches to the store.
    fn start_submitting(&mut self) -> bool {
        !self.batches.is_empty() && !std::mem::replace(&mut self.submitting, true)
    }
}

/// The place of a connection at the hub. Dropping it gives it up, also when its task panicked.
pub(crate) struct Attachment<R: Runtime, B: Backend + 'static> {
    pub(crate) hub: Arc<Hub<R, B>>,
    pub(crate) id: ConnectionId,
    pub(crate) mailbox: Arc<Mailbox>,
    /// There is a session, whose requests the broker gets.
    known: bool,
}

impl<R: Runtime, B: Backend + 'static> Attachment<R, B> {
    /// A session begins, of which the broker will know.
    pub(crate) fn begin_session(&mut self) {
        self.known = true;
    }

    /// Tells the broker that the session ended, if there was one. The phase of the server is still told through the mailbox.
    pub(crate) fn end_session(&mut self) {
        if std::mem::take(&mut self.known) {
            // A hub that failed has no subscriptions to end.
            _ = self.hub.handle([BrokerInput::Disconnected(self.id)]);
        }
    }
}

impl<R: Runtime, B: Backend + 'static> Drop for Attachment<R, B> {
    fn drop(&mut self) {
        self.end_session();
        self.hub.gate.forget(self.id);
        let mut state = self.hub.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.mailboxes.remove(&self.id);
    }
}

/// The answer that a batch must get exactly once. One that was lost, because the task that waited for it was
/// dropped or panicked, is a failure of the store.
struct Answer<R: Runtime, B: Backend + 'static> {
    hub: Arc<Hub<R, B>>,
    batch: BatchId,
    given: bool,
}

impl<R: Runtime, B: Backend + 'static> Answer<R, B> {
    fn give(&mut self, reply: BatchReply) {
        self.given = true;
        let failed = reply.is_err();
        // Without a broker nobody waits for the answer.
        _ = self.hub.handle([BrokerInput::StoreDone(self.batch, reply)]);
        if failed {
            (self.hub.watcher)(ServerEvent::StoreFailed);
        }
    }
}

impl<R: Runtime, B: Backend + 'static> Drop for Answer<R, B> {
    fn drop(&mut self) {
        if !self.given {
            self.give(Err(StoreFailure));
        }
    }
}
