//! One connection in which something happens: its inputs, one after another, and what is under way for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::delete::Deletion;
use super::durable::RunningCommand;
use super::effect::{Doing, Effect};
use super::fetch::Fetching;
use super::making::QueueOptions;
use super::ordering::Ordering;
use super::step::{self, Step};
use super::store::{AgentQuery, Connection, Found, QueueNumber, StoreFailure};
use super::users::Writer;
use super::{Agent, Call, CallId, ConnectionId, LinkContent, LocalMessageId, Reader, Reply, UserId};
use crate::client::{Answer, ReceivedMessage, RequestError};
use crate::time::Timestamp;
use crate::wire::EntityId;
use crate::wire::agent::{AgentError, ConnectionError};

/// A connection in which something happens.
pub(super) struct Actor {
    stage: Stage,
    inbox: VecDeque<Work>,
    /// What was read for the first work of the inbox.
    read: Reads,
    running: Running,
    /// Nothing is done before: the store failed.
    paused: Option<Timestamp>,
    /// The timer that is set.
    timer: Option<Timestamp>,
}

/// What is under way for a connection beside its current step: all of it may be lost with a crash.
#[derive(Clone, Default)]
pub(super) struct Running {
    /// The store has the connection.
    pub(super) is_stored: bool,
    /// The call that waits for the tasks, and for the confirmation behind them.
    pub(super) call: Option<CallId>,
    /// The first task.
    pub(super) task: Attempt,
    /// That one was dropped while it was under way: its answer is nobody's.
    pub(super) is_dropped: bool,
    /// The first background task.
    pub(super) background: Attempt,
    /// The first command.
    pub(super) command: RunningCommand,
    /// The call that waits for a queue that takes the place of this one.
    pub(super) switching: Option<(CallId, QueueNumber)>,
    /// The first messages of queues that take the place of others, which wait until those are empty.
    pub(super) early: BTreeMap<QueueNumber, ReceivedMessage>,
    /// What came before its turn.
    pub(super) ordering: Ordering,
    /// Queues that take the place of others, and need not wait for them.
    pub(super) opened: BTreeSet<QueueNumber>,
    /// Send queues in use.
    pub(super) queues: BTreeMap<QueueNumber, Attempt>,
    /// How queues are made.
    pub(super) options: QueueOptions,
    /// Calls that ask for messages.
    pub(super) fetching: Fetching,
    /// What the link shows of a queue that is made after those beside it.
    pub(super) link: Option<Arc<LinkContent>>,
    /// Queues of an address that failed in turn.
    pub(super) invited: usize,
    /// Queues that are being deleted.
    pub(super) deletions: BTreeMap<EntityId, Attempt>,
    /// Messages that the app was told and did not acknowledge: if they come again, because a session ended, it is not told
    /// again. After a restart it is.
    pub(super) told: BTreeSet<LocalMessageId>,
    /// Messages on their way of which a receipt has come: what their servers answer tells nothing new.
    pub(super) heard: BTreeSet<LocalMessageId>,
}

/// Something that is tried until it succeeds.
#[derive(Clone, Copy, Default)]
pub(super) struct Attempt {
    pub(super) is_under_way: bool,
    /// When to try again.
    pub(super) again_at: Option<Timestamp>,
    /// The last pause.
    pub(super) pause: Duration,
    /// It has failed since then.
    pub(super) since: Option<Timestamp>,
    /// The server refused it without a signature: who was sent it before may have secured the queue with the key in it.
    pub(super) is_signed: bool,
}

/// What was read for a work.
#[derive(Clone, Default)]
struct Reads {
    /// What it needs whatever comes of it.
    found: Option<Found>,
    /// What its step asked for, in this order.
    more: Vec<Found>,
    /// The step asked for what is being read.
    is_asked: bool,
}

enum Stage {
    Loading,
    /// Nothing is under way; there may be nothing yet.
    Ready(Option<Box<Connection>>),
    /// Something is read for the first work of the inbox.
    Reading(Option<Box<Connection>>),
    /// A batch is on its way to the disk.
    Storing(Box<Storing>),
    /// For the time of a call.
    Taken,
}

struct Storing {
    previous: Option<Box<Connection>>,
    next: Option<Box<Connection>>,
    effects: Vec<Effect>,
    work: Work,
    /// What was under way before the step.
    running: Running,
}

/// Something that a connection has to take.
pub(super) enum Work {
    Call(CallId, Box<Call>),
    /// The call of a command, unless that was given up meanwhile.
    Command(CallId, Box<Call>),
    /// A message of a server.
    Message(QueueNumber, ReceivedMessage),
    /// The answer to a request.
    Answer(Box<Doing>, Box<Result<Answer, RequestError>>),
    /// How a command ended whose answer came to no step.
    Finished(CallId, Box<Result<Reply, AgentError>>),
    /// Its user is being deleted.
    Delete(Deletion),
    /// There may be something to send through a queue.
    Deliver(QueueNumber),
    /// There may be something to do at servers.
    Tasks,
    /// The agent was started: everything that is left is taken up.
    Resume,
}

impl Work {
    pub(super) fn call(&self) -> Option<&Call> {
        match self {
            Self::Call(_, call) | Self::Command(_, call) => Some(call),
            _ => None,
        }
    }
}

impl Actor {
    fn in_stage(stage: Stage) -> Self {
        Self {
            stage,
            inbox: VecDeque::new(),
            read: Reads::default(),
            running: Running::default(),
            paused: None,
            timer: None,
        }
    }

    /// Of a connection that is being made.
    pub(super) fn of_new() -> Self {
        Self::in_stage(Stage::Ready(None))
    }

    /// True if the first work makes the connection.
    fn begins(&self) -> bool {
        let Some(Work::Call(_, call)) = self.inbox.front() else { return false };
        let call = match &**call {
            Call::Durable { call, .. } => call,
            call => call,
        };
        matches!(
            call.bare(),
            Call::Join { .. } | Call::Accept { .. } | Call::OpenLink { .. } | Call::CreateForLink { .. }
        )
    }

    pub(super) const fn running(&self) -> &Running {
        &self.running
    }

    /// Whether it has a connection of a user: one that is being made, or was and is to be deleted.
    pub(super) fn is_of(&self, user: UserId) -> bool {
        let connection = match &self.stage {
            Stage::Ready(connection) => connection.as_deref(),
            Stage::Reading(connection) => connection.as_deref(),
            Stage::Storing(storing) => storing.next.as_deref(),
            Stage::Loading | Stage::Taken => None,
        };
        connection.is_some_and(|connection| connection.state.user == user)
    }

    /// The first time at which something has to be done.
    fn next_due(&self) -> Option<Timestamp> {
        let Running { task, background, command, queues, deletions, ordering, .. } = &self.running;
        let others = [task, background, &command.attempt, &ordering.probe];
        let attempts = queues.values().chain(deletions.values()).chain(others);
        self.paused.into_iter().chain(attempts.filter_map(|attempt| attempt.again_at)).min()
    }

    /// True if nothing is lost when the actor is.
    fn is_idle(&self) -> bool {
        let Running { call, task, background, command, switching, early, queues, deletions, told, .. } =
            &self.running;
        matches!(self.stage, Stage::Ready(_))
            && self.inbox.is_empty()
            && call.is_none()
            && switching.is_none()
            && told.is_empty()
            && early.is_empty()
            && self.running.ordering.is_idle()
            && self.running.fetching.is_idle()
            && !task.is_busy()
            && !background.is_busy()
            && !command.attempt.is_busy()
            && !queues.values().chain(deletions.values()).any(Attempt::is_busy)
    }
}

impl Agent {
    /// Gives a connection something to do.
    pub(super) fn work(&mut self, id: ConnectionId, work: Work) {
        let limit = self.shared.config.limits.inbox;
        let is_known = self.actors.contains_key(&id);
        let actor = self.actors.entry(id).or_insert_with(|| Actor::in_stage(Stage::Loading));
        match work {
            Work::Call(call, _) if actor.inbox.len() >= limit => {
                let error = AgentError::Internal("too many calls wait for this connection".to_owned());
                return self.reply(call, Err(error));
            }
            work => actor.inbox.push_back(work),
        }
        if is_known {
            self.advance(id);
        } else {
            self.read(Reader::Connection(id), AgentQuery::Connection(id));
        }
    }

    /// The store read something for a connection.
    pub(super) fn found(&mut self, id: ConnectionId, result: Result<Found, StoreFailure>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        match (std::mem::replace(&mut actor.stage, Stage::Taken), result) {
            (Stage::Loading, Ok(Found::Connection(Some(connection)))) => {
                actor.running.is_stored = true;
                actor.stage = Stage::Ready(Some(connection));
                self.advance(id);
            }
            (Stage::Loading, Ok(_)) if actor.begins() => {
                actor.stage = Stage::Ready(None);
                self.advance(id);
            }
            (Stage::Loading, Ok(_)) => self.refuse_all(id),
            (Stage::Reading(connection), Ok(found)) => {
                match actor.read.is_asked {
                    true => actor.read.more.push(found),
                    false => actor.read.found = Some(found),
                }
                if let Some(work) = actor.inbox.pop_front() {
                    self.step(id, connection, work);
                }
                self.advance(id);
            }
            (Stage::Loading, Err(StoreFailure)) => {
                actor.stage = Stage::Loading;
                self.pause(id);
            }
            (Stage::Reading(connection), Err(StoreFailure)) => {
                actor.stage = Stage::Ready(connection);
                actor.read = Reads::default();
                self.pause(id);
            }
            (stage, _) => actor.stage = stage,
        }
    }

    /// A batch of a connection is durable, or had no effect.
    pub(super) fn stored(&mut self, id: ConnectionId, result: Result<(), StoreFailure>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let storing = match std::mem::replace(&mut actor.stage, Stage::Taken) {
            Stage::Storing(storing) => *storing,
            stage => return actor.stage = stage,
        };
        match result {
            Ok(()) => {
                // What is being made of a prepared connection is not kept with that.
                actor.running.is_stored = actor.running.command.prepared.is_none();
                self.stepped(id, storing.next, storing.effects);
                self.advance(id);
            }
            Err(StoreFailure) => self.not_stored(id, storing),
        }
    }

    /// Nothing happened: a call is told so, everything else is tried again after a pause.
    fn not_stored(&mut self, id: ConnectionId, storing: Storing) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        actor.stage = Stage::Ready(storing.previous);
        actor.running = storing.running;
        match storing.work {
            Work::Call(call, _) => self.reply(call, Err(StoreFailure.into())),
            work => actor.inbox.push_front(work),
        }
        self.pause(id);
    }

    /// Takes what waits in the inbox, as long as nothing has to be waited for.
    fn advance(&mut self, id: ConnectionId) {
        while let Some(actor) = self.actors.get_mut(&id).filter(|actor| actor.paused.is_none()) {
            let Stage::Ready(connection) = &mut actor.stage else { break };
            let Some(work) = actor.inbox.front() else { break };
            let query = step::needs(connection.as_deref(), &actor.running, work);
            match (query, connection.take()) {
                (Some(query), connection) => {
                    actor.stage = Stage::Reading(connection);
                    self.read(Reader::Connection(id), query);
                }
                (None, connection) => {
                    if let Some(work) = actor.inbox.pop_front() {
                        self.step(id, connection, work);
                    }
                }
            }
        }
        self.settle(id);
    }

    /// One step: what follows from one work is stored, then carried out. If it asks for something that has to be read first,
    /// nothing has happened, and it is taken again with what was read.
    fn step(&mut self, id: ConnectionId, previous: Option<Box<Connection>>, work: Work) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let running = actor.running.clone();
        let Reads { found, more, .. } = actor.read.clone();
        let mut step = Step::new(&mut self.shared, &mut actor.running, id, previous.as_deref(), found, more);
        step.take(&work);
        let asked = step.asked.take();
        let (next, ops, effects) = step.finish();
        if let Some(query) = asked {
            actor.running = running;
            actor.read.is_asked = true;
            actor.inbox.push_front(work);
            actor.stage = Stage::Reading(previous);
            return self.read(Reader::Connection(id), query);
        }
        actor.read = Reads::default();
        if ops.is_empty() {
            return self.stepped(id, next.map(Box::new), effects);
        }
        let storing = Storing { previous, next: next.map(Box::new), effects, work, running };
        actor.stage = Stage::Storing(Box::new(storing));
        self.write(Writer::Connection(id), ops);
    }

    /// The effects of a step, which may give the connection more to do.
    fn stepped(&mut self, id: ConnectionId, next: Option<Box<Connection>>, effects: Vec<Effect>) {
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.stage = Stage::Ready(next);
        }
        for effect in effects {
            match (effect, self.actors.get_mut(&id)) {
                (Effect::Command(call), Some(_)) => self.begin_command(id, call),
                (Effect::Deliver(queue), Some(actor)) => actor.inbox.push_back(Work::Deliver(queue)),
                (Effect::Tasks, Some(actor)) => actor.inbox.push_back(Work::Tasks),
                (Effect::Received(queue, message), Some(actor)) => {
                    actor.inbox.push_back(Work::Message(queue, message));
                }
                (Effect::Gone, _) => self.user_has_lost(id),
                (effect, _) => self.carry_out(effect),
            }
        }
    }

    fn begin_command(&mut self, id: ConnectionId, call: Box<Call>) {
        let own = self.own_call();
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.running.command.begin(own);
            actor.inbox.push_back(Work::Command(own, call));
        }
    }

    /// There is no such connection.
    fn refuse_all(&mut self, id: ConnectionId) {
        let Some(actor) = self.actors.remove(&id) else { return };
        for work in actor.inbox {
            if let Work::Call(call, _) = work {
                self.reply(call, Err(AgentError::Connection(ConnectionError::NotFound)));
            }
        }
    }

    /// The store failed: the connection waits.
    fn pause(&mut self, id: ConnectionId) {
        let until = self.shared.now.mono + self.shared.config.limits.retry_min;
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.paused = Some(until);
        }
        self.settle(id);
    }

    /// The time of a connection has come.
    pub(super) fn look_again(&mut self, id: ConnectionId) {
        let now = self.shared.now.mono;
        let Some(actor) = self.actors.get_mut(&id) else { return };
        actor.timer = None;
        actor.paused = actor.paused.filter(|until| *until > now);
        let Running { task, background, command, queues, deletions, ordering, .. } = &mut actor.running;
        let is_due = |attempt: &mut Attempt| {
            let is_due = attempt.again_at.is_some_and(|at| at <= now);
            attempt.again_at = attempt.again_at.filter(|_| !is_due);
            is_due
        };
        let singles = [task, background, &mut command.attempt, &mut ordering.probe];
        // All of them, so that each is taken up.
        let others = singles.into_iter().chain(deletions.values_mut());
        if others.fold(false, |is_any, attempt| is_any | is_due(attempt)) {
            actor.inbox.push_back(Work::Tasks);
        }
        for (queue, attempt) in queues {
            if is_due(attempt) {
                actor.inbox.push_back(Work::Deliver(*queue));
            }
        }
        if matches!(actor.stage, Stage::Loading) && actor.paused.is_none() {
            return self.read(Reader::Connection(id), AgentQuery::Connection(id));
        }
        self.advance(id);
    }

    /// What waits to be tried again is, but for what waits for a recipient whose queue is full.
    pub(super) fn retry_now(&mut self) {
        let (now, full) = (self.shared.now.mono, self.shared.config.limits.full_retry);
        let mut due = Vec::new();
        for (id, actor) in &mut self.actors {
            let Running { task, command, queues, .. } = &mut actor.running;
            let waiting = queues
                .values_mut()
                .chain([task, &mut command.attempt])
                .filter(|attempt| attempt.pause < full);
            for attempt in waiting.filter(|attempt| attempt.again_at.is_some()) {
                (attempt.again_at, attempt.pause) = (Some(now), Duration::ZERO);
                due.push(*id);
            }
        }
        due.into_iter().for_each(|id| self.look_again(id));
    }

    /// Sets the timer of a connection, or forgets it, if nothing is under way.
    fn settle(&mut self, id: ConnectionId) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        if let Some(timer) = actor.timer.take() {
            self.timers.remove(&(timer, id));
        }
        if actor.is_idle() && actor.paused.is_none() {
            self.actors.remove(&id);
            return;
        }
        actor.timer = actor.next_due();
        if let Some(due) = actor.timer {
            self.timers.insert((due, id));
        }
    }
}
