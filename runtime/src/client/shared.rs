//! What the handles, the events and the task of a connection share.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_channel::oneshot;
use smp_core::client::{Answer, ClientEvent, CommandId, Rejection, Request, RequestError};

use super::Disconnect;

/// The result of a command.
pub(super) type Outcome = Result<Answer, RequestError>;

/// What a handle wants of the task.
pub(super) enum Wish {
    Command(CommandId, Box<Request>),
    Cancel(CommandId),
}

/// The place where handles leave commands and the task leaves answers and events.
///
/// Everything in it is bounded: commands by the limit of the machine, which is applied here already,
/// cancellations by the commands, and events by [`EventLimits`].
pub(super) struct Shared {
    state: Mutex<State>,
    commands_max: usize,
    events: EventLimits,
}

/// How many events wait for the caller before the connection is not read any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventLimits {
    /// While this many wait, the connection is read only if a command waits for its answer, which may be
    /// behind more events. Default: 256; each may hold 16 KiB.
    pub soft: usize,
    /// While this many wait, the connection is not read. Default: 4096.
    pub hard: usize,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self { soft: 256, hard: 4096 }
    }
}

#[derive(Default)]
struct State {
    wishes: Vec<Wish>,
    answers: HashMap<CommandId, oneshot::Sender<Outcome>>,
    last_id: u64,
    events: VecDeque<ClientEvent>,
    /// Somebody may still take events.
    listened: bool,
    /// The task does not read because of waiting events.
    held_up: bool,
    /// The caller wants the connection to end.
    closing: bool,
    ended: Option<Disconnect>,
    task: Option<Waker>,
    listeners: Vec<Waker>,
}

impl Shared {
    pub(super) fn new(commands_max: usize, events: EventLimits) -> Arc<Self> {
        let state = State { listened: true, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), commands_max, events })
    }

    /// Leaves a command for the task.
    pub(super) fn send(self: &Arc<Self>, request: Request) -> Sent {
        let (sender, receiver) = oneshot::channel();
        let (id, waker) = {
            let mut state = self.lock();
            state.last_id += 1;
            let id = CommandId(state.last_id);
            let rejection = if state.ended.is_some() || state.closing {
                Some(Rejection::Closed)
            } else if state.answers.len() >= self.commands_max {
                Some(Rejection::TooManyCommands)
            } else {
                None
            };
            match rejection {
                // Nobody else has the receiver, so it is there.
                Some(rejection) => _ = sender.send(Err(rejection.into())),
                None => {
                    state.answers.insert(id, sender);
                    state.wishes.push(Wish::Command(id, Box::new(request)));
                }
            }
            (id, state.task.take())
        };
        waker.into_iter().for_each(Waker::wake);
        Sent { shared: Arc::clone(self), id, receiver }
    }

    /// Asks the task to end the connection.
    pub(super) fn close(&self) {
        self.change(|state| {
            state.closing = true;
            state.task.take()
        });
    }

    /// Nobody will take events: they are thrown away.
    pub(super) fn stop_listening(&self) {
        self.change(|state| {
            state.listened = false;
            state.events = VecDeque::new();
            state.task.take()
        });
    }

    /// The next event, or how the connection ended when there is none.
    pub(super) fn poll_event(&self, cx: &Context<'_>) -> Poll<Result<ClientEvent, Disconnect>> {
        let mut state = self.lock();
        if let Some(event) = state.events.pop_front() {
            let waker = if std::mem::take(&mut state.held_up) { state.task.take() } else { None };
            drop(state);
            waker.into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(event));
        }
        state.poll_end(cx).map(Err)
    }

    /// How the connection ended, when it has.
    pub(super) fn poll_end(&self, cx: &Context<'_>) -> Poll<Disconnect> {
        self.lock().poll_end(cx)
    }

    /// For the task: moves what is wanted to `wishes`, and tells whether the connection is to end. The task
    /// is woken when there is more.
    pub(super) fn take_wishes(&self, cx: &Context<'_>, wishes: &mut Vec<Wish>) -> bool {
        let mut state = self.lock();
        wishes.append(&mut state.wishes);
        state.task = Some(cx.waker().clone());
        state.closing
    }

    /// For the task: whether to read. If not, it is woken when that changes.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.lock();
        let limit = if state.answers.is_empty() { self.events.soft } else { self.events.hard };
        state.held_up = state.listened && state.events.len() >= limit.max(1);
        !state.held_up
    }

    /// For the task: gives out what the machine gave out.
    pub(super) fn deliver(&self, outcomes: Vec<(CommandId, Outcome)>, events: Vec<ClientEvent>) {
        let mut state = self.lock();
        let answers: Vec<_> = outcomes
            .into_iter()
            .filter_map(|(id, outcome)| Some((state.answers.remove(&id)?, outcome)))
            .collect();
        let mut listeners = Vec::new();
        if state.listened && !events.is_empty() {
            state.events.extend(events);
            listeners = std::mem::take(&mut state.listeners);
        }
        drop(state);
        for (sender, outcome) in answers {
            // Who does not wait for the answer any more has cancelled the command.
            _ = sender.send(outcome);
        }
        listeners.into_iter().for_each(Waker::wake);
    }

    /// For the task: the connection ended. Commands that are left have the outcome `left`.
    pub(super) fn end(&self, how: Disconnect, left: &RequestError) {
        let mut state = self.lock();
        if state.ended.is_some() {
            return;
        }
        state.ended = Some(how);
        state.wishes = Vec::new();
        let answers = std::mem::take(&mut state.answers);
        let listeners = std::mem::take(&mut state.listeners);
        drop(state);
        for sender in answers.into_values() {
            // As above.
            _ = sender.send(Err(left.clone()));
        }
        listeners.into_iter().for_each(Waker::wake);
    }

    #[cfg(test)]
    pub(super) fn waiting_events(&self) -> usize {
        self.lock().events.len()
    }

    fn cancel(&self, id: CommandId) {
        self.change(|state| {
            state.answers.remove(&id)?;
            state.wishes.push(Wish::Cancel(id));
            state.task.take()
        });
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Option<Waker>) {
        let waker = change(&mut self.lock());
        waker.into_iter().for_each(Waker::wake);
    }

    /// Nothing that runs under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn poll_end(&mut self, cx: &Context<'_>) -> Poll<Disconnect> {
        if let Some(how) = &self.ended {
            return Poll::Ready(how.clone());
        }
        if !self.listeners.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.listeners.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A command that was left for the task. Dropping it cancels the command.
pub(super) struct Sent {
    shared: Arc<Shared>,
    id: CommandId,
    receiver: oneshot::Receiver<Outcome>,
}

impl Future for Sent {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = ready!(Pin::new(&mut self.receiver).poll(cx));
        // The sender is only dropped after an answer; should it be otherwise, nothing is known of the
        // command.
        Poll::Ready(outcome.unwrap_or(Err(RequestError::OutcomeUnknown)))
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.shared.cancel(self.id);
    }
}
