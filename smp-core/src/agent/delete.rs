//! Deleting connections. For the app a deleted connection is gone at once; it is kept until the servers have let go of its
//! queues, and, if that was asked for, until what waits to be sent was sent.
//!
//! ```text
//!  Call::Delete ─▶ deleted_at is kept ─▶ DEL of each receive queue ─┬─▶ the connection is forgotten, Event::Deleted
//!                                        messages that wait go out ─┘
//! ```

use super::actor::{Attempt, Running};
use super::effect::{Doing, Effect, is_refused, is_temporary, to_error};
use super::step::Step;
use super::store::{AgentOp, Agreement, Connection, Found, Origin, Progress, QueueNumber, Task, TaskKind};
use super::{CallId, Event, Reply};
use crate::client::{Answer, Request, RequestError};
use crate::crypto::AuthPrivateKey;
use crate::wire::agent::{AgentError, ConnectionError};
use crate::wire::{EntityId, ServerAddress};

/// How the connections of a user are deleted with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deletion {
    /// Their queues first.
    WithQueues,
    /// Servers are not told: another agent may use the queues.
    AtOnce,
}

impl Step<'_> {
    /// The app does not want the connection any more.
    pub(super) fn delete(&mut self, id: CallId, wait_delivery: bool) -> Result<(), AgentError> {
        self.delete_now(wait_delivery)?;
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }

    /// The user of the connection is being deleted.
    pub(super) fn delete_with_user(&mut self, how: Deletion) {
        match how {
            Deletion::WithQueues => {
                if !self.connection.as_ref().is_none_or(Connection::is_deleted) {
                    // There is a connection.
                    _ = self.delete_now(false);
                }
            }
            Deletion::AtOnce => {
                self.give_up_commands();
                let Some(connection) = self.connection.take() else { return };
                let user = connection.state.user;
                for queue in connection.receive {
                    self.effects.push(Effect::Unwatch(user, queue.server, queue.recipient_id));
                }
                self.give_up_call();
                let not_found = AgentError::Connection(ConnectionError::NotFound);
                if let Some((call, _)) = self.running.switching.take() {
                    self.reply(call, Err(not_found.clone()));
                }
                self.end_fetching(&Err(not_found));
                self.ops.push(AgentOp::DeleteConnection(self.id));
                self.effects.push(Effect::Gone);
                *self.running = Running::default();
            }
        }
    }

    pub(super) fn delete_now(&mut self, wait_delivery: bool) -> Result<(), AgentError> {
        let now = self.now();
        let connection = self.connection()?;
        let progress = connection.state.progress;
        let waits =
            wait_delivery && matches!(progress, Progress::Joined | Progress::Allowed | Progress::Connected);
        connection.state.deleted_at = Some(now);
        connection.state.delete_after_delivery = waits;
        // Nothing more is received, and what goes out has its keys.
        if let Some(connection) = self.agreement_mut() {
            connection.agreement = Agreement::None;
            connection.state.skipped = 0;
        }
        self.ops.extend([AgentOp::ClearSkipped(self.id), AgentOp::DeleteConfirmations(self.id)]);
        self.give_up_commands();
        self.drop_tasks(waits);
        self.drop_receive_queues();
        if !waits {
            self.drop_send_queues();
        }
        self.give_up_call();
        self.running.told.clear();
        self.running.early.clear();
        self.running.ordering = Default::default();
        self.running.background = Attempt::default();
        self.running.is_dropped = self.running.task.is_under_way;
        self.running.task = Attempt { is_under_way: self.running.is_dropped, ..Attempt::default() };
        self.effects.push(Effect::Tasks);
        Ok(())
    }

    fn give_up_call(&mut self) {
        if let Some(call) = self.running.call.take() {
            self.reply(call, Err(AgentError::Connection(ConnectionError::NotFound)));
        }
    }

    /// Of what was left to do, queues are deleted nevertheless, and those that are to be sent through are secured.
    fn drop_tasks(&mut self, waits: bool) {
        let Some(tasks) = self.tasks_mut() else { return };
        tasks.retain(|task| match task.kind {
            TaskKind::DeleteQueue { .. } => true,
            TaskKind::SecureSend(_) => waits,
            _ => false,
        });
        for task in tasks {
            task.origin = Origin::Agent;
        }
    }

    pub(super) fn drop_receive_queues(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let user = connection.state.user;
        for queue in std::mem::take(&mut connection.receive) {
            self.ops.push(AgentOp::DeleteReceiveQueue(self.id, queue.number));
            self.effects.push(Effect::Unwatch(user, queue.server.clone(), queue.recipient_id.clone()));
            self.delete_queue(queue.server, queue.recipient_id, queue.key);
        }
    }

    fn drop_send_queues(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let queues = std::mem::take(&mut connection.send);
        self.ops.extend(queues.iter().map(|queue| AgentOp::DeleteSendQueue(self.id, queue.number)));
        self.running.queues.clear();
    }

    /// DEL, as soon as it can be: a queue that belongs to no connection any more.
    pub(super) fn delete_queue(
        &mut self,
        server: ServerAddress,
        recipient_id: EntityId,
        key: AuthPrivateKey,
    ) {
        let kind = TaskKind::DeleteQueue { server, recipient_id, key: Box::new(key), attempts: 0 };
        self.tasks_mut().into_iter().for_each(|tasks| {
            tasks.push(Task { kind: kind.clone(), origin: Origin::Agent });
        });
        self.effects.push(Effect::Tasks);
    }

    /// DEL of all queues that are to be deleted, beside what else is to be done.
    pub(super) fn run_deletions(&mut self) {
        let Some(connection) = &self.connection else { return };
        let deletions = connection.tasks.iter().filter_map(|task| match &task.kind {
            TaskKind::DeleteQueue { server, recipient_id, key, .. } => Some((server, recipient_id, key)),
            _ => None,
        });
        let requests: Vec<_> = deletions
            .filter(|(_, queue, _)| !self.running.deletions.get(*queue).is_some_and(Attempt::is_busy))
            .map(|(server, queue, key)| {
                (server.clone(), queue.clone(), Request::delete(queue.clone(), (**key).clone()))
            })
            .collect();
        for (server, queue, request) in requests {
            self.running.deletions.entry(queue.clone()).or_default().is_under_way = true;
            self.request(server, request, Doing::Delete(self.id, queue));
        }
    }

    /// A server has deleted a queue, or not.
    pub(super) fn queue_deleted(&mut self, queue: &EntityId, answer: &Result<Answer, RequestError>) {
        let limits = self.shared.config.limits.clone();
        let now = self.shared.now.mono;
        let Some(tasks) = self.tasks_mut() else { return };
        let is_it = |task: &Task| matches!(&task.kind, TaskKind::DeleteQueue { recipient_id, .. } if recipient_id == queue);
        let Some(place) = tasks.iter().position(is_it) else { return };
        let Some(Task { kind: TaskKind::DeleteQueue { server, attempts, .. }, .. }) = tasks.get_mut(place)
        else {
            return;
        };
        let server = server.clone();
        let error = match answer {
            Ok(_) => None,
            // What was to be deleted is gone: an answer to an earlier command may have been lost.
            Err(error) if is_refused(error) => None,
            Err(error) if is_temporary(error) && *attempts + 1 < limits.delete_attempts => {
                *attempts += 1;
                let attempt = self.running.deletions.entry(queue.clone()).or_default();
                return attempt.later(now, limits.delete_pause, limits.delete_pause);
            }
            Err(error) => Some(to_error(server.clone(), error.clone())),
        };
        tasks.remove(place);
        self.running.deletions.remove(queue);
        self.event(Event::QueueDeleted { connection: self.id, server, queue: queue.clone(), error });
    }

    /// Whether a deleted connection has let go of a send queue, because nothing more goes through it.
    pub(super) fn let_go(&mut self, number: QueueNumber) -> bool {
        let is_over = self.is_wait_over();
        let Some(connection) = self.connection.as_mut().filter(|of| of.is_deleted()) else { return false };
        match &self.found {
            Some(Found::Outgoing(None)) => {
                connection.send.retain(|queue| queue.number != number);
                self.ops.push(AgentOp::DeleteSendQueue(self.id, number));
                self.running.queues.remove(&number);
                true
            }
            Some(Found::Outgoing(Some(message))) if is_over => {
                let message = message.clone();
                self.too_late(number, &message);
                true
            }
            _ => false,
        }
    }

    /// Whether a deleted connection has no more time for what is to be sent.
    pub(super) fn is_wait_over(&self) -> bool {
        let wait = i64::try_from(self.shared.config.limits.delete_wait.as_millis()).unwrap_or(i64::MAX);
        let deleted_at = self.connection.as_ref().and_then(|connection| connection.state.deleted_at);
        deleted_at.is_some_and(|at| self.now().as_millis() >= at.as_millis().saturating_add(wait))
    }

    /// Whether the user of a connection that is being made is deleted meanwhile; then the connection is too.
    pub(super) fn lost_user(&mut self) -> bool {
        let now = self.now();
        let is_stored = self.running.is_stored;
        let Some(connection) = self.connection.as_mut().filter(|_| !is_stored) else { return false };
        let is_lost = !self.shared.has_user(connection.state.user);
        if is_lost {
            connection.state.deleted_at = Some(now);
            self.fail_call(AgentError::NoUser);
        }
        is_lost
    }

    /// A connection that was never kept leaves nothing behind.
    pub(super) fn drop_unstored(&mut self) {
        if !self.running.is_stored {
            self.connection = None;
        }
    }

    /// A deleted connection is forgotten when nothing is left of it at servers and nothing waits.
    pub(super) fn forget_if_over(&mut self) {
        let Some(connection) = self.connection.as_ref().filter(|of| of.is_deleted()) else { return };
        let is_over = connection.send.is_empty() && connection.tasks.is_empty();
        // A queue that is being made is to be deleted too.
        if is_over && !self.running.task.is_under_way && self.running.switching.is_none() {
            self.ops.push(AgentOp::DeleteConnection(self.id));
            self.event(Event::Deleted(self.id));
            self.effects.push(Effect::Gone);
            self.connection = None;
            self.running.queues.clear();
        }
    }
}

impl Connection {
    /// Whether it is gone for the app.
    pub(super) const fn is_deleted(&self) -> bool {
        self.state.deleted_at.is_some()
    }

    /// Whether something has to be done at a server before messages may go out.
    pub(super) fn holds_messages(&self) -> bool {
        self.next_task().is_some()
    }
}
