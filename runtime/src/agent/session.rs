//! A session with a server: the task that makes it, hands it requests and passes on what it says.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use smp_core::agent::{AgentInput, LinkId};
use smp_core::client::{CloseReason, CommandId, Request};
use smp_core::wire::ServerAddress;
use smp_core::wire::error::{BrokerErrorType, NetworkError};

use super::shared::{Input, Part, Shared};
use crate::client::{BATCH, Client, Connector, Disconnect, Events, PendingAnswer};
use crate::{Runtime, panic};

/// The agent's end of a session. Dropping it ends the session.
pub(super) struct Session {
    /// Tells it from others of the same link.
    pub(super) number: u64,
    wire: Arc<Wire>,
}

impl Session {
    /// Begins to make a session; the inbox is told how that goes.
    pub(super) fn begin<R: Runtime>(
        connector: Connector<R>,
        runtime: &R,
        shared: &Arc<Shared>,
        link: LinkId,
        server: ServerAddress,
        number: u64,
    ) -> Self {
        let wire = Arc::new(Wire::default());
        let teller = Teller { shared: Arc::clone(shared), link, number, part: shared.part() };
        let far = Arc::clone(&wire);
        runtime.spawn(async move {
            let reason = panic::catch(run(connector, server, far, &teller)).await.unwrap_or_else(|_| {
                log::error!("the task of a session panicked");
                BrokerErrorType::Network(NetworkError::Failed)
            });
            teller.tell(AgentInput::LinkLost(link, reason));
            drop(teller);
        });
        Self { number, wire }
    }

    /// Gives it a request. It is answered, or the session is lost.
    pub(super) fn request(&self, id: CommandId, request: Request) {
        self.wire.change(|state| state.requests.push_back((id, request)));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.wire.change(|state| state.is_closed = true);
    }
}

/// What the agent wants of the session.
#[derive(Default)]
struct Wire(Mutex<WireState>);

#[derive(Default)]
struct WireState {
    requests: VecDeque<(CommandId, Request)>,
    is_closed: bool,
    task: Option<Waker>,
}

impl Wire {
    fn change(&self, change: impl FnOnce(&mut WireState)) {
        let waker = {
            let mut state = self.lock();
            change(&mut state);
            state.task.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Up to `room` requests, or nothing when the session is to end. The task is woken when that changes.
    fn take(&self, cx: &Context<'_>, room: usize) -> Option<Vec<(CommandId, Request)>> {
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        state.task = Some(cx.waker().clone());
        let count = room.min(state.requests.len());
        Some(state.requests.drain(..count).collect())
    }

    /// Nothing that runs under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, WireState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the inbox is told by a session.
struct Teller {
    shared: Arc<Shared>,
    link: LinkId,
    number: u64,
    #[expect(dead_code, reason = "counts the task until it is dropped")]
    part: Part,
}

impl Teller {
    fn tell(&self, input: AgentInput) {
        self.shared.push(Input::Session(self.link, self.number, input));
    }
}

/// Until the session ends, or is to end; why it did.
async fn run<R: Runtime>(
    connector: Connector<R>,
    server: ServerAddress,
    wire: Arc<Wire>,
    teller: &Teller,
) -> BrokerErrorType {
    let connected = {
        let mut connecting = pin!(connector.connect(&server));
        poll_fn(|cx| match wire.take(cx, 0) {
            None => Poll::Ready(None),
            Some(_) => connecting.as_mut().poll(cx).map(Some),
        })
        .await
    };
    let (client, events) = match connected {
        Some(Ok(connected)) => connected,
        Some(Err(error)) => return error.into(),
        None => return Disconnect::Closed(CloseReason::Requested).into(),
    };
    teller.tell(AgentInput::LinkReady(teller.link, client.service().cloned()));
    let mut talk = Talk { client, events, wire, pending: Vec::new() };
    poll_fn(|cx| talk.poll(cx, teller)).await.into()
}

/// A session that stands.
struct Talk {
    client: Client,
    events: Events,
    wire: Arc<Wire>,
    pending: Vec<(CommandId, PendingAnswer)>,
}

impl Talk {
    /// Ready when the session ends. Answers are told before its end, so that what was done is known to be done.
    fn poll(&mut self, cx: &mut Context<'_>, teller: &Teller) -> Poll<Disconnect> {
        loop {
            let room = REQUESTS_MAX.saturating_sub(self.pending.len());
            let Some(requests) = self.wire.take(cx, room) else {
                return Poll::Ready(Disconnect::Closed(CloseReason::Requested));
            };
            let has_taken = !requests.is_empty();
            let sent = requests.into_iter().map(|(id, request)| (id, self.client.request(request)));
            self.pending.extend(sent);
            let has_answers = self.pass_answers(cx, teller);
            if !has_taken && !has_answers {
                break;
            }
        }
        while teller.shared.has_room(cx) {
            match self.events.poll_next(cx) {
                Poll::Ready(Ok(event)) => teller.tell(AgentInput::Told(teller.link, event)),
                Poll::Ready(Err(how)) => {
                    self.pass_answers(cx, teller);
                    return Poll::Ready(how);
                }
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }

    fn pass_answers(&mut self, cx: &mut Context<'_>, teller: &Teller) -> bool {
        let before = self.pending.len();
        self.pending.retain_mut(|(id, answer)| match Pin::new(answer).poll(cx) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                teller.tell(AgentInput::Answer(*id, answer));
                false
            }
        });
        self.pending.len() < before
    }
}

/// Requests of a session that are under way: a batch of subscriptions does not hold up others.
const REQUESTS_MAX: usize = 2 * BATCH;
