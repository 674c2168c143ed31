//! What a connection has to do at servers before it can go on: one task after another, each until it is done.

use super::actor::Attempt;
use super::effect::{Doing, Effect, is_not_known, is_refused, is_temporary, to_error};
use super::queues::QueuePurpose;
use super::step::Step;
use super::store::{Connection, Origin, QueueStage, TaskKind};
use crate::client::{Answer, Request, RequestError};
use crate::crypto::link::link_id;
use crate::wire::agent::{AgentError, ConnectionError};
use crate::wire::link::LinkKind;

impl Step<'_> {
    /// Begins the first task, if none is under way; when there is none left, messages may go out.
    pub(super) fn run_tasks(&mut self) {
        self.run_deletions();
        self.run_background();
        self.run_commands();
        self.run_ordering();
        if self.running.task.is_busy() {
            return;
        }
        let Some(connection) = &self.connection else { return };
        let Some(task) = connection.next_task().cloned() else {
            let queues: Vec<_> = connection.send.iter().map(|queue| Effect::Deliver(queue.number)).collect();
            return self.effects.extend(queues);
        };
        if matches!(task.kind, TaskKind::Invite { .. }) && !self.is_to_invite() {
            // Whoever answered has the invitation.
            return self.task_done();
        }
        if task.origin == Origin::Call && self.running.call.is_none() {
            // Until the call is repeated.
            return;
        }
        let request = match task.kind {
            TaskKind::CreateReply { .. } => {
                if !connection.receive.is_empty() {
                    // Some were made before.
                    if !self.create_spare(QueuePurpose::Reply) {
                        self.all_created(QueuePurpose::Reply);
                    }
                } else if let Err(error) = self.create_queue(QueuePurpose::Reply) {
                    self.fail_call(error);
                }
                return;
            }
            TaskKind::Invite { queue, info } => return self.send_invitation(&queue, &info),
            TaskKind::OpenLink { link, key, .. } => link.server.address().map(|server| match &link.kind {
                LinkKind::Invitation(id) => (server, Request::secure_and_read_link(id.clone(), *key)),
                LinkKind::Contact(_) => (server, Request::read_link(link_id(&link))),
            }),
            TaskKind::SecureSend(number) => self.send_queue(number).map(|queue| {
                let request = Request::secure_by_sender(queue.sender_id.clone(), queue.key.clone());
                (queue.server.clone(), request)
            }),
            TaskKind::SecureReceive(number, key) => self.receive_queue(number).map(|queue| {
                (queue.server.clone(), Request::secure(queue.recipient_id.clone(), queue.key.clone(), key))
            }),
            // Beside the others: see above.
            TaskKind::DeleteQueue { .. }
            | TaskKind::SecureAdded(..)
            | TaskKind::SecureSpare(_)
            | TaskKind::Retire { .. }
            | TaskKind::Command(_)
            | TaskKind::Tell => return,
        };
        match request {
            Some((server, request)) => {
                self.running.task.is_under_way = true;
                self.request(server, request, Doing::Task(self.id));
            }
            None => self.task_done(),
        }
    }

    /// The first task was carried out, or was not.
    pub(super) fn task_answered(&mut self, answer: &Result<Answer, RequestError>) {
        self.running.task.is_under_way = false;
        if std::mem::take(&mut self.running.is_dropped) {
            return self.effects.push(Effect::Tasks);
        }
        let Some(task) = self.connection.as_ref().and_then(Connection::next_task).cloned() else { return };
        if let TaskKind::OpenLink { link, .. } = &task.kind {
            return self.link_answered(link, answer);
        }
        let error = match answer {
            Ok(_) => return self.task_done(),
            Err(_) if matches!(task.kind, TaskKind::Invite { .. }) && !self.is_to_invite() => {
                return self.task_done();
            }
            Err(_) if self.invites_elsewhere() => return self.effects.push(Effect::Tasks),
            // What waits for it will not be sent any more.
            Err(_) if self.is_wait_over() => return self.task_given_up(),
            Err(error) if is_temporary(error) && !self.is_called_for() => return self.task_later(),
            Err(error) => error.clone(),
        };
        if let TaskKind::SecureSend(number) = &task.kind
            && is_not_known(&error)
        {
            // The recipient secures it, with the key that goes with the confirmation.
            self.send_mut(*number).into_iter().for_each(|queue| queue.mode = None);
            return self.task_given_up();
        }
        let is_gone = is_refused(&error);
        let server = match &task.kind {
            TaskKind::SecureSend(number) => self.send_queue(*number).map(|queue| queue.server.clone()),
            TaskKind::SecureReceive(number, _) => {
                self.receive_queue(*number).map(|queue| queue.server.clone())
            }
            TaskKind::Invite { queue, .. } => Some(queue.address.server.clone()),
            TaskKind::DeleteQueue { .. }
            | TaskKind::CreateReply { .. }
            | TaskKind::SecureAdded(..)
            | TaskKind::SecureSpare(_)
            | TaskKind::Retire { .. }
            | TaskKind::Command(_)
            | TaskKind::Tell
            | TaskKind::OpenLink { .. } => None,
        };
        match (task.kind, task.origin, server) {
            (TaskKind::SecureSend(_) | TaskKind::Invite { .. }, Origin::Call, _) if is_gone => {
                self.fail_call(AgentError::Connection(ConnectionError::NotAvailable));
            }
            (_, Origin::Call, Some(server)) => self.fail_call(to_error(server, error)),
            // What was to be secured refuses the message that is sent next.
            (TaskKind::SecureSend(_), _, _) if is_gone => self.task_given_up(),
            (_, _, server) => {
                server.into_iter().for_each(|server| self.error(to_error(server, error.clone())));
                self.task_given_up();
            }
        }
    }

    /// The first task cannot be done. Kept, it would hold up everything behind it for ever.
    fn task_given_up(&mut self) {
        self.take_task();
        self.running.task = Attempt::default();
        self.effects.push(Effect::Tasks);
    }

    fn task_done(&mut self) {
        match self.take_task().map(|task| task.kind) {
            Some(TaskKind::SecureSend(number)) => {
                self.send_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Secured);
            }
            Some(TaskKind::SecureReceive(number, _)) => {
                self.receive_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Secured);
            }
            Some(TaskKind::Invite { .. }) => self.invitation_sent(),
            _ => {}
        }
        self.running.task = Attempt::default();
        self.effects.push(Effect::Tasks);
    }

    /// The first task is tried again after a pause.
    pub(super) fn task_later(&mut self) {
        let limits = self.shared.config.limits.clone();
        self.running.task.later(self.shared.now.mono, limits.retry_min, limits.retry_max);
    }

    /// Whether a call waits for the tasks.
    pub(super) const fn is_called_for(&self) -> bool {
        self.running.call.is_some()
    }

    /// The call that waits fails, or the app is told that something else did.
    pub(super) fn fail_call(&mut self, error: AgentError) {
        match self.running.call.take() {
            Some(call) => self.reply(call, Err(error)),
            None => self.error(error),
        }
    }
}
