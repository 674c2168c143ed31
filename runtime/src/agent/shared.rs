//! What the handles, the events, the task of an agent and its sessions share.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_channel::oneshot;
use smp_core::agent::{AgentInput, Call, CallId, ConnectionId, Event, LinkId, LocalMessageId, Reply};
use smp_core::wire::agent::AgentError;

use super::waiting::WaitingEvents;

/// The result of a call.
pub(super) type Outcome = Result<Reply, AgentError>;

/// The place where handles leave calls, sessions and the store their inputs, and the agent's task replies and events.
pub(super) struct Shared(Mutex<State>);

/// Something for the machine.
pub(super) enum Input {
    /// Of the store.
    Store(AgentInput),
    /// Of this session of a link; nothing, when there is another one by now.
    Session(LinkId, u64, AgentInput),
}

struct State {
    calls: VecDeque<(CallId, Call)>,
    inbox: VecDeque<Input>,
    replies: HashMap<CallId, Waiting>,
    last_call: u64,
    events: WaitingEvents,
    /// Somebody may still take events.
    is_listened: bool,
    /// Somebody may still call.
    is_held: bool,
    /// Somebody wants the agent to stop.
    is_stopping: bool,
    /// Nothing is taken any more.
    has_ended: bool,
    /// Tasks and threads that belong to the agent.
    parts: usize,
    task: Option<Waker>,
    /// Who waits for events, or for the end.
    listeners: Vec<Waker>,
    /// Sessions that wait for room.
    held_up: Vec<Waker>,
}

/// Who waits for a reply.
struct Waiting {
    sender: oneshot::Sender<Outcome>,
    /// The message that the call acknowledges.
    acknowledged: Option<(ConnectionId, LocalMessageId)>,
}

impl Shared {
    pub(super) fn new(events_max: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            calls: VecDeque::new(),
            inbox: VecDeque::new(),
            replies: HashMap::new(),
            last_call: 0,
            events: WaitingEvents::new(events_max),
            is_listened: true,
            is_held: true,
            is_stopping: false,
            has_ended: false,
            parts: 0,
            task: None,
            listeners: Vec::new(),
            held_up: Vec::new(),
        })))
    }

    /// Leaves a call for the task.
    pub(super) fn call(&self, call: Call) -> Called {
        let (sender, receiver) = oneshot::channel();
        self.change(|state| {
            let error = if state.has_ended || state.is_stopping {
                Some(AgentError::Inactive)
            } else if state.replies.len() >= CALLS_MAX {
                Some(AgentError::Internal("too many calls wait for their replies".to_owned()))
            } else {
                None
            };
            match error {
                // The receiver is still here.
                Some(error) => _ = sender.send(Err(error)),
                None => {
                    state.last_call += 1;
                    let id = CallId(state.last_call);
                    let acknowledged = match call {
                        Call::Acknowledge(connection, message)
                        | Call::AcknowledgeWithReceipt { connection, message, .. } => {
                            Some((connection, message))
                        }
                        _ => None,
                    };
                    state.replies.insert(id, Waiting { sender, acknowledged });
                    state.calls.push_back((id, call));
                }
            }
            state.task.take()
        });
        Called(receiver)
    }

    /// Leaves an input for the task.
    pub(super) fn push(&self, input: Input) {
        self.change(|state| {
            if !state.has_ended {
                state.inbox.push_back(input);
            }
            state.task.take()
        });
    }

    /// Whether a session may leave what a server tells. If not, it is woken when it may.
    pub(super) fn has_room(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        let has_room = state.inbox.len() < INBOX_MAX;
        if !has_room && !state.held_up.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.held_up.push(cx.waker().clone());
        }
        has_room
    }

    /// For the task: moves what waits to `calls` and `inputs`. False if the agent is to stop. The task is woken when there
    /// is more.
    pub(super) fn take(
        &self,
        cx: &Context<'_>,
        calls: &mut VecDeque<(CallId, Call)>,
        inputs: &mut VecDeque<Input>,
    ) -> bool {
        let mut state = self.lock();
        calls.append(&mut state.calls);
        // What was taken before comes first, so that no more is held than there is room for.
        let mut held_up = Vec::new();
        if inputs.is_empty() {
            inputs.append(&mut state.inbox);
            held_up = std::mem::take(&mut state.held_up);
        }
        state.task = Some(cx.waker().clone());
        let is_wanted = !state.is_stopping && (state.is_held || state.is_listened);
        drop(state);
        held_up.into_iter().for_each(Waker::wake);
        is_wanted
    }

    /// For the task: gives out what the machine gave out.
    pub(super) fn deliver(&self, replies: Vec<(CallId, Outcome)>, events: Vec<Event>) {
        let mut state = self.lock();
        let mut listeners = Vec::new();
        if state.is_listened && !events.is_empty() {
            events.into_iter().for_each(|event| state.events.push(event));
            listeners = std::mem::take(&mut state.listeners);
        }
        let mut senders = Vec::new();
        for (id, outcome) in replies {
            let Some(Waiting { sender, acknowledged }) = state.replies.remove(&id) else { continue };
            // It may have been told once more before it was acknowledged.
            if let Some((connection, message)) = acknowledged.filter(|_| outcome.is_ok()) {
                state.events.forget(connection, message);
            }
            senders.push((sender, outcome));
        }
        drop(state);
        for (sender, outcome) in senders {
            // Nobody need wait for a reply.
            _ = sender.send(outcome);
        }
        listeners.into_iter().for_each(Waker::wake);
    }

    /// For the task: it takes nothing any more. Calls without a reply are told that the agent is inactive.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.has_ended = true;
        let left = (std::mem::take(&mut state.replies), std::mem::take(&mut state.calls));
        let inbox = std::mem::take(&mut state.inbox);
        let mut wakers = std::mem::take(&mut state.listeners);
        wakers.append(&mut state.held_up);
        drop(state);
        drop((left, inbox));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Asks the task to stop.
    pub(super) fn stop(&self) {
        self.change(|state| {
            state.is_stopping = true;
            state.task.take()
        });
    }

    /// The last handle is gone.
    pub(super) fn let_go(&self) {
        self.change(|state| {
            state.is_held = false;
            state.task.take()
        });
    }

    /// Nobody will take events: they are thrown away.
    pub(super) fn stop_listening(&self) {
        self.change(|state| {
            state.is_listened = false;
            state.events.clear();
            state.task.take()
        });
    }

    /// The next event, or none after the last one.
    pub(super) fn poll_event(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.lock();
        match state.events.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.has_ended => Poll::Ready(None),
            None => state.wait(cx),
        }
    }

    /// Ready when no task and no thread of the agent is left.
    pub(super) fn poll_stopped(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.parts == 0 { Poll::Ready(()) } else { state.wait(cx) }
    }

    /// Counts a task or thread.
    pub(super) fn part(self: &Arc<Self>) -> Part {
        self.lock().parts += 1;
        Part(Arc::clone(self))
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> usize {
        self.lock().parts
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Option<Waker>) {
        let waker = change(&mut self.lock());
        waker.into_iter().for_each(Waker::wake);
    }

    /// Nothing that runs under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.listeners.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.listeners.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A task or thread of an agent, until it is dropped.
pub(super) struct Part(Arc<Shared>);

impl Drop for Part {
    fn drop(&mut self) {
        let listeners = {
            let mut state = self.0.lock();
            state.parts -= 1;
            std::mem::take(&mut state.listeners)
        };
        listeners.into_iter().for_each(Waker::wake);
    }
}

/// A call that was left for the task. Dropping it cancels nothing.
pub(super) struct Called(oneshot::Receiver<Outcome>);

impl Future for Called {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        // The sender is dropped without a reply when the agent ends.
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.unwrap_or(Err(AgentError::Inactive)))
    }
}

/// Calls that may wait for their replies.
const CALLS_MAX: usize = 16 * 1024;
/// Inputs that may wait for the machine before sessions keep what their servers tell. Answers are not held up: there is one
/// for each request.
const INBOX_MAX: usize = 1024;
