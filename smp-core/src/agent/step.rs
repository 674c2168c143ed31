//! One step of a connection: from what it was and one work to what it is, what the store is to keep, and what follows.
//!
//! A step is a pure function but for randomness. It works on a copy, so that nothing has happened until its batch is durable.

use std::collections::{BTreeSet, VecDeque};

use super::actor::{Attempt, Running, Work};
use super::effect::{Doing, Effect};
use super::store::{
    AgentOp, AgentQuery, Connection, Found, Progress, QueueNumber, ReceiveQueue, SendQueue, Task,
};
use super::{Call, CallId, ConnectionId, Event, Reply, Shared};
use crate::client::{Answer, Request, RequestError};
use crate::time::UnixTime;
use crate::wire::ServerAddress;
use crate::wire::agent::{AgentCommandError, AgentError, ConnectionError};

pub(super) struct Step<'a> {
    pub(super) shared: &'a mut Shared,
    pub(super) running: &'a mut Running,
    pub(super) id: ConnectionId,
    before: Option<&'a Connection>,
    /// None before it is made, and after it is given up.
    pub(super) connection: Option<Connection>,
    changed: Changed,
    pub(super) ops: Vec<AgentOp>,
    pub(super) effects: Vec<Effect>,
    pub(super) found: Option<Found>,
    /// What was read because this step asked for it before.
    more: VecDeque<Found>,
    /// What has to be read before this step can be taken.
    pub(super) asked: Option<AgentQuery>,
    /// From how many queues the connection that is made in it is to receive, if the call says so.
    pub(super) queues: Option<u8>,
}

/// Which parts of a connection were changed, beside its plain values.
#[derive(Default)]
struct Changed {
    /// The store is to have it.
    keep: bool,
    agreement: bool,
    tasks: bool,
    order: bool,
    receive: BTreeSet<QueueNumber>,
    send: BTreeSet<QueueNumber>,
}

/// What has to be read before a work can be taken.
pub(super) fn needs(connection: Option<&Connection>, running: &Running, work: &Work) -> Option<AgentQuery> {
    if let Some(Call::Accept { invitation, .. }) = work.call().map(Call::bare) {
        return Some(AgentQuery::Invitation(*invitation));
    }
    let connection = connection?;
    match work {
        Work::Call(_, call) | Work::Command(_, call) => match &**call {
            Call::Allow { confirmation, .. } => Some(AgentQuery::Confirmation(*confirmation)),
            Call::Acknowledge(_, message) | Call::AcknowledgeWithReceipt { message, .. } => {
                Some(AgentQuery::Incoming(connection.id, *message))
            }
            Call::TellAgain(_) | Call::Status(_) => Some(AgentQuery::Waiting(connection.id)),
            Call::Reject(_, invitation) => Some(AgentQuery::Invitation(*invitation)),
            Call::Requests(_) => Some(AgentQuery::Invitations(connection.id)),
            _ => None,
        },
        Work::Message(number, message) => {
            let queue = connection.receive.iter().find(|queue| queue.number == *number)?;
            match &queue.last_told {
                // Somebody else may use the invitation.
                _ if connection.is_asked_for() => Some(AgentQuery::Waiting(connection.id)),
                Some((id, told)) if *id == message.id => Some(AgentQuery::Incoming(connection.id, *told)),
                _ if connection.state.progress == Progress::Contact => {
                    Some(AgentQuery::InvitationIds(connection.id))
                }
                _ => Some(AgentQuery::Skipped(connection.id)).filter(|_| connection.state.skipped > 0),
            }
        }
        Work::Deliver(queue) => {
            let is_busy = running.queues.get(queue).is_some_and(Attempt::is_busy);
            let may = !is_busy && !connection.holds_messages();
            may.then_some(AgentQuery::NextDelivery(connection.id, *queue))
        }
        Work::Resume => {
            let is_asked = connection.state.progress == Progress::Confirmed && !connection.is_deleted();
            is_asked.then_some(AgentQuery::Waiting(connection.id))
        }
        Work::Answer(..) | Work::Finished(..) | Work::Tasks | Work::Delete(_) => None,
    }
}

impl<'a> Step<'a> {
    pub(super) fn new(
        shared: &'a mut Shared,
        running: &'a mut Running,
        id: ConnectionId,
        before: Option<&'a Connection>,
        found: Option<Found>,
        more: Vec<Found>,
    ) -> Self {
        let (changed, ops, effects) = (Changed::default(), Vec::new(), Vec::new());
        let (more, connection) = (more.into(), before.cloned());
        Self {
            shared,
            running,
            id,
            before,
            connection,
            changed,
            ops,
            effects,
            found,
            more,
            asked: None,
            queues: None,
        }
    }

    /// What the store has. None when it has to be read first: then nothing of this step happens, and it is taken again when
    /// that is done. So a step must ask for the same when it is taken again.
    pub(super) fn ask(&mut self, query: AgentQuery) -> Option<Found> {
        let found = self.more.pop_front();
        if found.is_none() && self.asked.is_none() {
            self.asked = Some(query);
        }
        found
    }

    pub(super) fn take(&mut self, work: &Work) {
        let is_over = match work {
            Work::Call(..) => false,
            Work::Command(id, _) => !self.is_command(*id),
            _ => self.connection.is_none(),
        };
        if is_over {
            // It was deleted, or given up.
            return;
        }
        match work {
            Work::Call(id, call) | Work::Command(id, call) => {
                if let Err(error) = self.call(*id, call) {
                    self.reply(*id, Err(error));
                }
            }
            Work::Message(queue, message) => self.receive(*queue, message),
            Work::Answer(doing, answer) => self.answered(doing, answer),
            Work::Deliver(queue) => {
                if !self.let_go(*queue) {
                    self.deliver(*queue);
                }
            }
            Work::Finished(id, result) => self.command_answered(*id, (**result).clone()),
            Work::Delete(how) => self.delete_with_user(*how),
            Work::Tasks => self.run_tasks(),
            Work::Resume => {
                // What was told before the end may not have been heard.
                if let Some(Found::Waiting { confirmations, .. }) = self.found.take() {
                    confirmations.iter().for_each(|confirmation| self.tell_confirmation(confirmation));
                }
                self.effects.push(Effect::Tasks);
                let queues = self.connection.iter().flat_map(|connection| &connection.send);
                self.effects.extend(queues.map(|queue| Effect::Deliver(queue.number)));
            }
        }
        self.settle_prepared();
        self.forget_if_over();
        self.settle_fetching();
    }

    pub(super) fn bare_call(&mut self, id: CallId, call: &Call) -> Result<(), AgentError> {
        let is_deleted = self.connection.as_ref().is_some_and(Connection::is_deleted);
        if is_deleted && !matches!(call, Call::Join { .. }) {
            return Err(AgentError::Connection(ConnectionError::NotFound));
        }
        if self.is_command(id)
            && let Some(result) = self.resume_command(id, call)
        {
            return result;
        }
        match call {
            Call::Invite { user, pq } => self.invite(id, *user, *pq),
            Call::Join { user, request, info, pq, .. } => self.join(id, *user, request, info, *pq),
            Call::Rejoin(_) => self.rejoin(id),
            Call::CreateAddress { user } => self.create_address(id, *user),
            Call::Accept { user, info, pq, .. } => self.accept(id, *user, info, *pq),
            Call::Reject(..) => self.reject(id),
            Call::CreateWithLink { user, content, pq } => self.create_with_link(id, *user, content, *pq),
            Call::CreateForLink { prepared, content } => self.create_for_link(id, prepared, content),
            Call::SetLink(_, content) => self.set_link(id, content, None),
            Call::SetLinkSigned(_, content, signer) => self.set_link(id, content, Some(signer)),
            Call::LinkRoot(_) => self.tell_root(id),
            Call::DeleteLink(_) => self.delete_link(id),
            Call::OpenLink { user, link, .. } => self.open_link(id, *user, link),
            Call::Requests(_) => self.requests(id),
            Call::Allow { info, .. } => self.allow(id, info),
            Call::Send { body, flags, .. } => self.send_body(id, body, *flags, None),
            Call::SendWithPq { body, flags, pq, .. } => self.send_body(id, body, *flags, Some(*pq)),
            Call::Switch(_) => self.switch(id, None),
            Call::SwitchFrom(_, server) => self.switch(id, Some(server)),
            Call::AbortSwitch(_) => self.abort_switch(id),
            Call::Describe(_) => self.describe(id),
            Call::Synchronize { force, .. } => self.synchronize(id, *force),
            Call::Acknowledge(..) => self.acknowledge(id),
            Call::Delete { wait_delivery, .. } => self.delete(id, *wait_delivery),
            Call::AcknowledgeWithReceipt { info, .. } => self.acknowledge_with_receipt(id, info),
            Call::TellAgain(_) => self.tell_again(id),
            Call::ChangeUser { user, .. } => self.change_user(id, *user),
            Call::Durable { correlation, call } => self.durable(id, correlation, call),
            Call::Fetch(_) => self.fetch(id),
            Call::SuspendQueues(_) => self.suspend_queues(id),
            // The agent's own.
            Call::Many(_)
            | Call::PrepareLink { .. }
            | Call::With(..)
            | Call::CreateUser { .. }
            | Call::SetServers { .. }
            | Call::DeleteUser { .. }
            | Call::Users
            | Call::Connections(_)
            | Call::Statistics
            | Call::ResetStatistics
            | Call::Resolve { .. }
            | Call::Reconnect(_)
            | Call::SetUserService { .. }
            | Call::ResubscribeService(_)
            | Call::Network { .. }
            | Call::Suspend { .. }
            | Call::Resume => Err(PROHIBITED),
            Call::Status(_) => self.tell_status(id),
            Call::QueueInfo(_) => self.ask_queue(id),
            Call::Resubscribe(_) => self.resubscribe(id),
        }
    }

    fn answered(&mut self, doing: &Doing, answer: &Result<Answer, RequestError>) {
        match doing {
            Doing::Create(_, keys) => self.created(keys, answer),
            Doing::Task(_) => self.task_answered(answer),
            Doing::Background(_, task) => self.background_answered(*task, answer),
            Doing::Deliver(_, queue, message, proxy) => {
                self.delivered(*queue, message, proxy.as_deref(), answer);
            }
            // A message that was not acknowledged comes again with the next subscription, and is acknowledged then. The
            // answer may bring the next one.
            Doing::Delete(_, queue) => self.queue_deleted(queue, answer),
            Doing::Acknowledge(_, queue) => match answer {
                Ok(Answer::Message(Some(message))) => self.receive_next(*queue, message),
                Ok(_) => {
                    self.acknowledged_last(*queue);
                    self.is_drained(*queue);
                    self.fetch_more(*queue, None);
                }
                Err(error) => {
                    self.acknowledged_last(*queue);
                    self.release();
                    self.fetch_more(*queue, Some(error));
                }
            },
            Doing::Probe(_, queue) => self.probed(*queue, answer),
            Doing::Fetch(_, queue) => self.fetched(queue.number, answer),
            Doing::Subscribe(..)
            | Doing::SubscribeService(..)
            | Doing::QueueInfo(..)
            | Doing::Off(..)
            | Doing::Link(..)
            | Doing::Resolve(_)
            | Doing::Relay(..) => {}
        }
    }

    /// What the connection is now, what the store is to keep, and what follows then.
    pub(super) fn finish(mut self) -> (Option<Connection>, Vec<AgentOp>, Vec<Effect>) {
        let Some(connection) = &self.connection else { return (None, self.ops, self.effects) };
        let is_new = !self.running.is_stored;
        if self.changed.keep {
            self.running.command.prepared = None;
        }
        if !is_new || self.changed.keep {
            let mut ops = self.changed.ops(self.before.filter(|_| !is_new), connection);
            // What the ops of the handlers belong to comes first.
            ops.append(&mut self.ops);
            self.ops = ops;
        }
        (self.connection, self.ops, self.effects)
    }

    /// Everything is as it was before this step.
    pub(super) fn undo(&mut self) {
        self.connection = self.before.cloned();
        self.changed = Changed::default();
        self.ops.clear();
        self.effects.clear();
    }

    /// The store is to keep the connection from now on.
    pub(super) fn keep(&mut self) {
        self.changed.keep = true;
    }

    pub(super) fn connection(&mut self) -> Result<&mut Connection, AgentError> {
        self.connection.as_mut().ok_or(AgentError::Connection(ConnectionError::NotFound))
    }

    /// The connection, with another agreement.
    pub(super) fn agreement_mut(&mut self) -> Option<&mut Connection> {
        self.changed.agreement = true;
        self.connection.as_mut()
    }

    pub(super) fn receive_mut(&mut self, number: QueueNumber) -> Option<&mut ReceiveQueue> {
        let queue = self.connection.as_mut()?.receive.iter_mut().find(|queue| queue.number == number)?;
        self.changed.receive.insert(number);
        Some(queue)
    }

    pub(super) fn send_mut(&mut self, number: QueueNumber) -> Option<&mut SendQueue> {
        let queue = self.connection.as_mut()?.send.iter_mut().find(|queue| queue.number == number)?;
        self.changed.send.insert(number);
        Some(queue)
    }

    pub(super) fn send_queue(&self, number: QueueNumber) -> Option<&SendQueue> {
        self.connection.as_ref()?.send.iter().find(|queue| queue.number == number)
    }

    pub(super) fn receive_queue(&self, number: QueueNumber) -> Option<&ReceiveQueue> {
        self.connection.as_ref()?.receive.iter().find(|queue| queue.number == number)
    }

    pub(super) fn add_receive(&mut self, queue: ReceiveQueue) {
        self.changed.receive.insert(queue.number);
        self.changed.order = true;
        self.connection.iter_mut().for_each(|connection| connection.receive.push(queue.clone()));
    }

    /// A queue comes before the others.
    pub(super) fn receive_first(&mut self, number: QueueNumber) {
        self.changed.order = true;
        let connection = self.connection.iter_mut();
        connection.for_each(|connection| connection.receive.sort_by_key(|queue| queue.number != number));
    }

    /// A queue takes the place of another.
    pub(super) fn replace_receive(&mut self, old: QueueNumber, new: QueueNumber) {
        self.changed.order = true;
        let Some(connection) = &mut self.connection else { return };
        let place = |number| connection.receive.iter().position(|queue| queue.number == number);
        if let (Some(old), Some(new)) = (place(old), place(new)) {
            connection.receive.swap(old, new);
        }
    }

    pub(super) fn add_send(&mut self, queue: SendQueue) {
        self.changed.send.insert(queue.number);
        self.changed.order = true;
        self.connection.iter_mut().for_each(|connection| connection.send.push(queue.clone()));
    }

    pub(super) fn remove_receive(&mut self, number: QueueNumber) {
        self.changed.order = true;
        if let Some(connection) = &mut self.connection {
            connection.receive.retain(|queue| queue.number != number);
            connection.state.queues = connection.state.queues.max(number.0);
        }
    }

    pub(super) fn remove_send(&mut self, number: QueueNumber) {
        self.changed.order = true;
        if let Some(connection) = &mut self.connection {
            connection.send.retain(|queue| queue.number != number);
            connection.state.queues = connection.state.queues.max(number.0);
        }
    }

    /// Messages go through this queue from now on.
    pub(super) fn send_first(&mut self, number: QueueNumber) {
        self.changed.order = true;
        let connection = self.connection.iter_mut();
        connection.for_each(|connection| connection.send.sort_by_key(|queue| queue.number != number));
    }

    /// Messages go through this queue when all others fail.
    pub(super) fn send_last(&mut self, number: QueueNumber) {
        self.changed.order = true;
        let connection = self.connection.iter_mut();
        connection.for_each(|connection| connection.send.sort_by_key(|queue| queue.number == number));
    }

    pub(super) fn tasks_mut(&mut self) -> Option<&mut Vec<Task>> {
        self.changed.tasks = true;
        self.connection.as_mut().map(|connection| &mut connection.tasks)
    }

    /// The task that is next, which is done or given up.
    pub(super) fn take_task(&mut self) -> Option<Task> {
        let tasks = self.tasks_mut()?;
        let place = tasks.iter().position(Task::holds_others)?;
        Some(tasks.remove(place))
    }

    pub(super) fn reply(&mut self, id: CallId, reply: Result<Reply, AgentError>) {
        if self.is_command(id) {
            return self.command_answered(id, reply);
        }
        self.effects.push(Effect::Reply(id, reply));
        if self.connection.as_ref().is_some_and(|connection| !connection.commands().is_empty()) {
            // One may have waited for the call.
            self.effects.push(Effect::Tasks);
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    pub(super) fn error(&mut self, error: AgentError) {
        self.event(Event::Error(Some(self.id), error));
    }

    pub(super) fn request(&mut self, server: ServerAddress, request: Request, doing: Doing) {
        let Some(user) = self.connection.as_ref().map(|connection| connection.state.user) else { return };
        self.effects.push(Effect::Request(user, server, Box::new(request), doing));
    }

    pub(super) fn now(&self) -> UnixTime {
        self.shared.now.unix
    }
}

impl Changed {
    /// The operations that make of the one connection the other, or make it.
    fn ops(&self, before: Option<&Connection>, connection: &Connection) -> Vec<AgentOp> {
        let (id, is_new) = (connection.id, before.is_none());
        let mut ops = Vec::new();
        if before.is_none_or(|before| before.state != connection.state) {
            ops.push(AgentOp::PutConnection(id, Box::new(connection.state.clone())));
        }
        if self.agreement || is_new {
            ops.push(AgentOp::PutAgreement(id, connection.agreement.clone()));
        }
        let receive =
            connection.receive.iter().filter(|queue| is_new || self.receive.contains(&queue.number));
        ops.extend(receive.map(|queue| AgentOp::PutReceiveQueue(id, Box::new(queue.clone()))));
        let send = connection.send.iter().filter(|queue| is_new || self.send.contains(&queue.number));
        ops.extend(send.map(|queue| AgentOp::PutSendQueue(id, Box::new(queue.clone()))));
        if self.order || is_new {
            let receive = connection.receive.iter().map(|queue| queue.number).collect();
            let send = connection.send.iter().map(|queue| queue.number).collect();
            ops.push(AgentOp::OrderQueues(id, receive, send));
        }
        if self.tasks || (is_new && !connection.tasks.is_empty()) {
            ops.push(AgentOp::PutTasks(id, connection.tasks.clone()));
        }
        ops
    }
}

/// Not allowed here or now.
pub(super) const PROHIBITED: AgentError = AgentError::Command(AgentCommandError::Prohibited);
