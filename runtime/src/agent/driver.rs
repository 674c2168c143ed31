//! The task of an agent.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use smp_core::agent::{Agent as Machine, AgentInput, AgentOutput, Call, CallId, LinkId};

use super::session::Session;
use super::shared::{Input, Part, Shared};
use super::store::{Job, Storing};
use crate::Runtime;
use crate::client::Connector;
use crate::timer::Timer;
use smp_storage::agent::AgentStore;

/// The machine, its store and its sessions.
///
/// In each round it takes what waits, a bounded part of it, and carries out what the machine makes of it, in order. A store
/// that works in this task answers at once; its answers go before everything else.
pub(super) struct Driver<R: Runtime, S> {
    runtime: R,
    machine: Machine,
    shared: Arc<Shared>,
    connector: Connector<R>,
    store: Storing<S>,
    sessions: HashMap<LinkId, Session>,
    last_session: u64,
    timer: Timer<R>,
    /// What the store answered at once.
    stored: VecDeque<AgentInput>,
    calls: VecDeque<(CallId, Call)>,
    inputs: VecDeque<Input>,
    #[expect(dead_code, reason = "counts the task until it is dropped")]
    part: Part,
}

impl<R: Runtime, S: AgentStore + 'static> Driver<R, S> {
    pub(super) fn new(
        runtime: R,
        machine: Machine,
        shared: Arc<Shared>,
        connector: Connector<R>,
        store: Storing<S>,
    ) -> Box<Self> {
        Box::new(Self {
            timer: Timer::new(runtime.clone()),
            runtime,
            machine,
            part: shared.part(),
            shared,
            connector,
            store,
            sessions: HashMap::new(),
            last_session: 0,
            stored: VecDeque::new(),
            calls: VecDeque::new(),
            inputs: VecDeque::new(),
        })
    }

    /// Drives the agent until nobody wants it.
    pub(super) async fn run(mut self: Box<Self>) {
        self.carry_out();
        while let Some(stored) = self.stored.pop_front() {
            self.input(stored);
        }
        poll_fn(|cx| self.poll(cx)).await;
        self.input(AgentInput::Stop);
    }

    /// Goes on until nothing waits, but not for so long that other tasks must wait.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            if !self.shared.take(cx, &mut self.calls, &mut self.inputs) {
                return Poll::Ready(());
            }
            let told = self.take_inputs();
            let fired = self.check_time(cx);
            if !told && !fired {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take_inputs(&mut self) -> bool {
        for _ in 0..INPUTS {
            if let Some(input) = self.inputs.pop_front() {
                match input {
                    Input::Store(input) => self.input(input),
                    Input::Session(link, number, input) => self.session_input(link, number, input),
                }
            } else if let Some((id, call)) = self.calls.pop_front() {
                self.input(AgentInput::Call(id, call));
            } else {
                return false;
            }
        }
        true
    }

    /// Nothing is heard of sessions that the machine gave up.
    fn session_input(&mut self, link: LinkId, number: u64, input: AgentInput) {
        if self.sessions.get(&link).is_none_or(|session| session.number != number) {
            return;
        }
        if let AgentInput::LinkLost(..) = input {
            self.sessions.remove(&link);
        }
        self.input(input);
    }

    fn check_time(&mut self, cx: &mut Context<'_>) -> bool {
        if self.timer.poll(cx, self.machine.poll_timeout()).is_pending() {
            return false;
        }
        self.input(AgentInput::Timeout);
        true
    }

    fn input(&mut self, input: AgentInput) {
        let mut next = Some(input);
        while let Some(input) = next {
            self.machine.handle(self.runtime.now(), input);
            self.carry_out();
            next = self.stored.pop_front();
        }
    }

    fn hand_over(&mut self, job: Job) {
        let reply = self.store.hand_over(job);
        self.stored.extend(reply);
    }

    fn carry_out(&mut self) {
        let (mut replies, mut events) = (Vec::new(), Vec::new());
        while let Some(output) = self.machine.poll_output() {
            match output {
                AgentOutput::Reply(id, reply) => replies.push((id, reply)),
                AgentOutput::Event(event) => events.push(event),
                AgentOutput::Store(batch) => self.hand_over(Job::Run(batch)),
                AgentOutput::Read(id, query) => self.hand_over(Job::Read(id, query)),
                AgentOutput::Connect(link, server, isolation, service) => {
                    self.last_session += 1;
                    let (runtime, shared) = (&self.runtime, &self.shared);
                    let connector = self.connector.isolated(isolation.as_bytes());
                    let connector = match service {
                        Some(service) => connector.as_service(service),
                        None => connector,
                    };
                    let session = Session::begin(connector, runtime, shared, link, server, self.last_session);
                    self.sessions.insert(link, session);
                }
                AgentOutput::Request(link, id, request) => {
                    // Without the session the machine has heard, or will hear, that it is lost.
                    if let Some(session) = self.sessions.get(&link) {
                        session.request(id, *request);
                    }
                }
                AgentOutput::Disconnect(link) => _ = self.sessions.remove(&link),
            }
        }
        if !replies.is_empty() || !events.is_empty() {
            self.shared.deliver(replies, events);
        }
    }
}

/// Also when the task is dropped or panics nobody is left waiting.
impl<R: Runtime, S> Drop for Driver<R, S> {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// How many rounds the agent may make before other tasks get their turn.
const ROUNDS: usize = 4;
/// Inputs in a round.
const INPUTS: usize = 32;
