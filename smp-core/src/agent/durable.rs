//! Calls that are kept and carried out later, also after a restart: asynchronous commands.
//!
//! ```text
//!  Call::Durable ─▶ the command is kept, Reply::Done ─▶ carried out as a call of the agent's own ─▶ Event::Finished
//!                         ▲                                │ the failure may pass                  the command is forgotten
//!                         └──────── after a pause ◀────────┘
//! ```
//!
//! Commands are tasks of their connection, and done one after another. A command stays in the store until the shell was given the
//! event that tells how it ended: after a crash before that it is done again, or, where that would do harm, only told again.
//! So the app hears of each at least once, unless it deletes the connection: its commands go with that, and are told in the same step.
//!
//! A connection that a command is to make is kept as [`Progress::Prepared`] before. What is made of it takes its place only when it
//! is there: until then `Running` has the prepared one, to which a failure leads back.

use super::actor::{Attempt, Running};
use super::command::{decode, encode};
use super::effect::{Effect, is_temporary_error};
use super::establish::new_state;
use super::step::{PROHIBITED, Step};
use super::store::{AgentOp, Agreement, Connection, Origin, Progress, Task, TaskKind};
use super::{Agent, Call, CallId, ConnectionId, Event, Reply, UserId};
use crate::wire::agent::{AgentError, ConnectionError};

/// What is under way for the first command of a connection.
#[derive(Clone, Default)]
pub(super) struct RunningCommand {
    pub(super) attempt: Attempt,
    /// The call that carries it out.
    call: Option<CallId>,
    /// It ended, and the shell has the event.
    told: Option<Box<str>>,
    /// What the store has, while a connection is being made of it.
    pub(super) prepared: Option<Box<Connection>>,
}

impl Call {
    /// Who has a connection then that there is not yet, if the call makes one.
    pub(super) fn maker(&self) -> Option<UserId> {
        match self {
            Self::With(_, call) => call.maker(),
            Self::Invite { user, .. }
            | Self::CreateAddress { user }
            | Self::CreateWithLink { user, .. }
            | Self::Join { user, .. }
            | Self::Accept { user, .. }
            | Self::OpenLink { user, .. } => Some(*user),
            Self::CreateForLink { prepared, .. } => Some(prepared.user()),
            _ => None,
        }
    }
}

impl Connection {
    /// The command that is next.
    fn command(&self) -> Option<&Task> {
        self.tasks.iter().find(|task| task.kind.is_command())
    }

    /// What the app wants to be done later.
    pub(super) fn commands(&self) -> Vec<Task> {
        self.tasks.iter().filter(|task| task.kind.is_command()).cloned().collect()
    }
}

impl Step<'_> {
    /// Keeps a call that is to be carried out.
    pub(super) fn durable(&mut self, id: CallId, correlation: &str, call: &Call) -> Result<(), AgentError> {
        let command = TaskKind::Command(encode(call).ok_or(PROHIBITED)?);
        match (&self.connection, call.maker()) {
            (None, None) => return Err(AgentError::Connection(ConnectionError::NotFound)),
            (None, Some(user)) if !self.shared.has_user(user) => return Err(AgentError::NoUser),
            (None, Some(user)) => {
                self.connection = Some(self.new_prepared(user));
                self.keep();
            }
            (Some(connection), Some(_)) => {
                let is_opened = connection.state.progress == Progress::Opened;
                if !is_opened || !matches!(call.bare(), Call::Join { .. } | Call::OpenLink { .. }) {
                    return Err(AgentError::Connection(ConnectionError::Duplicate));
                }
            }
            (Some(_), None) => {}
        }
        let task = Task { kind: command, origin: Origin::Durable(correlation.into()) };
        let limit = self.shared.config.limits.inbox;
        let Some(tasks) = self.tasks_mut() else { return Err(PROHIBITED) };
        if tasks.iter().filter(|task| task.kind.is_command()).count() >= limit {
            return Err(AgentError::Internal("too many commands wait for this connection".to_owned()));
        }
        tasks.push(task.clone());
        if let Some(prepared) = &mut self.running.command.prepared {
            prepared.tasks.push(task);
            self.ops.push(AgentOp::PutTasks(self.id, prepared.tasks.clone()));
        }
        self.effects.push(Effect::Tasks);
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }

    /// Begins the first command, if nothing else that was called for is under way. One that ended is forgotten.
    pub(super) fn run_commands(&mut self) {
        if let Some(correlation) = self.running.command.told.take() {
            self.forget_command(&correlation);
        }
        let is_called = self.is_called_for() || self.running.switching.is_some();
        if is_called || self.running.command.attempt.is_busy() {
            return;
        }
        let Some(task) = self.connection.as_ref().and_then(Connection::command).cloned() else { return };
        let call = match &task.kind {
            TaskKind::Command(bytes) => decode(self.id, bytes),
            _ => return self.tell_finished(&task, Ok(Reply::Done)),
        };
        match call {
            Some(call) => {
                self.running.command.attempt.is_under_way = true;
                self.effects.push(Effect::Command(Box::new(call)));
            }
            None => {
                let error = AgentError::Internal("a command that was kept cannot be read".to_owned());
                self.tell_finished(&task, Err(error));
            }
        }
    }

    /// Whether the call carries out a command.
    pub(super) fn is_command(&self, id: CallId) -> bool {
        self.running.command.call == Some(id)
    }

    /// What is left of a command that was begun before; none, if it is to be done like any call.
    pub(super) fn resume_command(&mut self, id: CallId, call: &Call) -> Option<Result<(), AgentError>> {
        let connection = self.connection.as_ref()?;
        match (connection.state.progress, call) {
            (Progress::Prepared, call) => {
                call.maker()?;
                self.running.command.prepared = self.connection.take().map(Box::new);
                self.running.is_stored = false;
                None
            }
            (Progress::Opened, _) => None,
            (_, Call::Join { .. } | Call::Accept { .. }) => Some(self.rejoin(id)),
            (_, Call::Invite { .. } | Call::CreateAddress { .. } | Call::CreateWithLink { .. }) => {
                Some(self.tell_made(id))
            }
            _ => None,
        }
    }

    /// The invitation or the address was made before the agent stopped.
    fn tell_made(&mut self, id: CallId) -> Result<(), AgentError> {
        match self.request_to(self.addresses()) {
            Ok(request) => {
                let reply = self.made(request);
                self.reply(id, Ok(reply));
            }
            // Somebody has used it: the app was told.
            Err(_) => {
                self.running.command.call = None;
                let command = self.connection.as_ref().and_then(Connection::command);
                if let Some(Origin::Durable(correlation)) = command.map(|command| command.origin.clone()) {
                    self.forget_command(&correlation);
                }
                self.effects.push(Effect::Tasks);
            }
        }
        Ok(())
    }

    /// A command was carried out, or was not.
    pub(super) fn command_answered(&mut self, id: CallId, result: Result<Reply, AgentError>) {
        if !self.is_command(id) {
            return;
        }
        self.running.command.call = None;
        if result.as_ref().is_err_and(is_temporary_error) {
            let limits = self.shared.config.limits.clone();
            return self.running.command.attempt.later(
                self.shared.now.mono,
                limits.retry_min,
                limits.retry_max,
            );
        }
        let kept = self.running.command.prepared.as_deref().or(self.connection.as_ref());
        let Some(task) = kept.and_then(Connection::command).cloned() else {
            self.running.command.attempt = Attempt::default();
            return;
        };
        if matches!(result, Ok(Reply::Done)) {
            self.mark_done();
        }
        self.tell_finished(&task, result);
    }

    /// The first command must not be done again, only told.
    fn mark_done(&mut self) {
        let tasks = self.tasks_mut().into_iter().flatten();
        if let Some(task) = tasks.into_iter().find(|task| task.kind.is_command()) {
            task.kind = TaskKind::Tell;
        }
    }

    fn tell_finished(&mut self, task: &Task, result: Result<Reply, AgentError>) {
        let Origin::Durable(correlation) = &task.origin else { return };
        self.running.command.attempt = Attempt { is_under_way: true, ..Attempt::default() };
        self.running.command.told = Some(correlation.clone());
        self.event(finished(self.id, correlation, result));
        self.effects.push(Effect::Tasks);
    }

    /// The app was told. A connection that was not made is forgotten with the last command.
    fn forget_command(&mut self, correlation: &str) {
        self.running.command.attempt = Attempt::default();
        let is_it = |task: &Task| {
            task.kind.is_command() && matches!(&task.origin, Origin::Durable(of) if **of == *correlation)
        };
        let Some(tasks) = self.tasks_mut() else { return };
        if let Some(place) = tasks.iter().position(is_it) {
            tasks.remove(place);
        }
        let is_over = |of: &Connection| of.state.progress == Progress::Prepared && of.command().is_none();
        if self.connection.as_ref().is_some_and(is_over) {
            self.connection = None;
            self.ops.push(AgentOp::DeleteConnection(self.id));
            self.effects.push(Effect::Gone);
        }
    }

    /// The connection is being deleted: none of its commands will be done.
    pub(super) fn give_up_commands(&mut self) {
        let kept = self.running.command.prepared.as_deref().or(self.connection.as_ref());
        let told = self.running.command.told.take();
        let commands = kept.map(Connection::commands).unwrap_or_default();
        for task in commands {
            let is_told = matches!(&task.origin, Origin::Durable(of) if Some(of) == told.as_ref());
            if let Origin::Durable(correlation) = &task.origin
                && !is_told
            {
                // What was done already may have been told.
                let result = match task.kind {
                    TaskKind::Tell => Ok(Reply::Done),
                    _ => Err(AgentError::Connection(ConnectionError::NotFound)),
                };
                self.event(finished(self.id, correlation, result));
            }
        }
        if self.running.command.prepared.is_some() {
            // What there is now takes the place of the one that is kept.
            self.keep();
        }
        self.running.command = RunningCommand::default();
    }

    /// What a step has made of a prepared connection has its commands; if it has made nothing, that one is there again.
    pub(super) fn settle_prepared(&mut self) {
        let Some(prepared) = &self.running.command.prepared else { return };
        match &mut self.connection {
            Some(connection) if connection.command().is_none() && !connection.is_deleted() => {
                connection.tasks.extend(prepared.commands());
            }
            Some(_) => {}
            None => {
                self.connection = self.running.command.prepared.take().map(|prepared| *prepared);
                self.running.is_stored = true;
            }
        }
    }

    fn new_prepared(&self, user: UserId) -> Connection {
        let version = self.shared.config.versions.agent.max();
        Connection {
            id: self.id,
            state: new_state(user, Progress::Prepared, version, false),
            agreement: Agreement::None,
            receive: Vec::new(),
            send: Vec::new(),
            tasks: Vec::new(),
        }
    }
}

impl RunningCommand {
    /// The call that carries out the command from now on.
    pub(super) const fn begin(&mut self, call: CallId) {
        self.call = Some(call);
    }
}

impl Running {
    /// Whether the call carries out a command: it is no call of the app.
    pub(super) fn is_command(&self, id: CallId) -> bool {
        self.command.call == Some(id)
    }
}

impl Agent {
    /// A name for a call of the agent's own.
    pub(super) fn own_call(&mut self) -> CallId {
        CallId(u64::MAX - self.number())
    }

    /// The connection whose command a call of the agent's own carries out.
    pub(super) fn commanded(&self, id: CallId) -> Option<ConnectionId> {
        let mut actors = self.actors.iter();
        actors.find(|(_, actor)| actor.running().is_command(id)).map(|(connection, _)| *connection)
    }
}

/// Calls of the app have lower numbers.
pub(super) const FIRST_OWN: CallId = CallId(u64::MAX / 2);

fn finished(connection: ConnectionId, correlation: &str, result: Result<Reply, AgentError>) -> Event {
    Event::Finished { correlation: correlation.into(), connection, result: Box::new(result) }
}
