//! Rotation: a receive queue on another server takes the place of one.
//!
//! ```text
//!   recipient                  servers                   sender
//!   NEW ─────────────────────▶ new queue
//!   QADD ────────────────────────────────────────────▶   makes keys
//!                              old queue ◀────────────── QKEY
//!   KEY ─────────────────────▶ new queue
//!   QUSE ────────────────────────────────────────────▶   sends to the new queue from now on, what waited first
//!                              new queue ◀────────────── ... QTEST, and forgets the old queue
//!   takes what is left in the old queue, then what comes through the new one; DEL of the old queue
//! ```
//!
//! While the ratchets are made anew nothing of this can be said. What comes then is taken, and answered when they agree; and what was
//! said before and not answered is said again, because it may not have been readable.
//!
//! `retire` has what becomes of a queue that is left. It can be given up until KEY is done. What is to be done at servers does not
//! hold up messages, so its tasks are background ones.

use super::effect::{BackgroundTask, Doing, Effect, NewKeys, is_refused, is_temporary, to_error};
use super::establish::FIRST;
use super::queues::{self, QueuePurpose, used_servers};
use super::receive::Taken;
use super::servers::ServerRole;
use super::step::{PROHIBITED, Step};
use super::store::{
    AgentOp, Connection, Delivery, Origin, Outgoing, Progress, QueueNumber, QueueStage, ReceiveQueue,
    ReceiveSwitch, SendQueue, SendSwitch, Task, TaskKind,
};
use super::{CallId, Event, Reply, SwitchPhase, SwitchSide, UserServer};
use crate::client::{Answer, Request, RequestError};
use crate::wire::ServerAddress;
use crate::wire::agent::{
    AMessage, AddedQueue, AgentError, ConnectionError, KeyedQueue, NonEmpty, PeerError, ReadyQueue,
    SenderQueue,
};
use crate::wire::command::MessageFlags;
use crate::wire::queue_uri::{QueueAddress, QueueInfo, QueueUri};

impl Step<'_> {
    /// The app wants to receive through another server, in place of this one, or of the first.
    pub(super) fn switch(&mut self, id: CallId, left: Option<&ServerAddress>) -> Result<(), AgentError> {
        let connection = self.connection()?;
        // One in which the other side did not introduce itself, it may not know.
        let mut known = connection
            .receive
            .iter()
            .filter(|queue| queue.e2e_secret.is_some() && queue.stage != QueueStage::Disabled);
        let left = known.find(|queue| left.is_none_or(|left| queue.server == *left));
        let left = left.ok_or(PROHIBITED)?.number;
        let is_switching = connection.receive.iter().any(|queue| queue.replaces.is_some());
        let is_connected = connection.state.progress == Progress::Connected;
        if !is_connected || is_switching || self.running.switching.is_some() || !self.can_send() {
            return Err(PROHIBITED);
        }
        let server = self.server_for_switch(left)?;
        self.request_queue(&server, QueuePurpose::Rotation, None)?;
        self.running.switching = Some((id, left));
        Ok(())
    }

    /// A server of the user's that has no queue of the connection; else one that does not have the queue that is to be left.
    fn server_for_switch(&mut self, left: QueueNumber) -> Result<UserServer, AgentError> {
        let left = self.receive_queue(left).ok_or(PROHIBITED)?.server.clone();
        let connection = self.connection()?;
        let user = connection.state.user;
        let used = used_servers(connection);
        let fresh = self.shared.choose_server(user, ServerRole::Storage, &used)?;
        match left == fresh.address {
            true => self.shared.choose_server(user, ServerRole::Storage, std::slice::from_ref(&left)),
            false => Ok(fresh),
        }
    }

    /// A server made the new queue, or did not.
    pub(super) fn switch_created(&mut self, keys: &NewKeys, answer: &Result<Answer, RequestError>) {
        let Some((call, left)) = self.running.switching.take() else { return };
        let is_deleted = self.connection.as_ref().is_none_or(Connection::is_deleted);
        let reply = match answer {
            Ok(Answer::Created(queue)) if is_deleted => {
                // Nobody wants it any more.
                let (server, key) = (keys.server.clone(), keys.queue.auth.clone());
                self.delete_queue(server, queue.recipient_id.clone(), key);
                Err(AgentError::Connection(ConnectionError::NotFound))
            }
            _ if is_deleted => {
                self.effects.push(Effect::Tasks);
                Err(AgentError::Connection(ConnectionError::NotFound))
            }
            Ok(Answer::Created(queue)) => {
                self.new_receive_queue(keys, queue).and_then(|_| self.add_queue(left))
            }
            Ok(_) => Err(to_error(keys.server.clone(), RequestError::Unexpected)),
            Err(error) => Err(to_error(keys.server.clone(), error.clone())),
        };
        self.reply(call, reply.map(|()| Reply::Done));
    }

    /// Tells the other side of the new queue, which is the last one.
    fn add_queue(&mut self, replaces: QueueNumber) -> Result<(), AgentError> {
        let connection = self.connection()?;
        let new = connection.receive.last().ok_or(PROHIBITED)?.number;
        if !self.can_send() || self.receive_queue(replaces).is_none() {
            // The ratchets parted meanwhile, or the other queue is gone.
            self.retire(new);
            return Err(PROHIBITED);
        }
        if let Some(queue) = self.receive_mut(new) {
            queue.replaces = Some(replaces);
            queue.switch = Some(ReceiveSwitch::Adding);
        }
        self.tell_added(new)
    }

    /// QADD, which may be said again.
    fn tell_added(&mut self, new: QueueNumber) -> Result<(), AgentError> {
        let versions = self.shared.config.versions.client;
        let queue = self.receive_queue(new).ok_or(PROHIBITED)?;
        let old = queue.replaces.and_then(|old| self.receive_queue(old)).ok_or(PROHIBITED)?;
        let replaced = Some(address_of(old));
        let queue = QueueUri { versions, address: queues::address_of(queue) };
        self.enqueue(AMessage::QueueAdd(NonEmpty::one(AddedQueue { queue, replaced })), NO_FLAGS).map(|_| ())
    }

    /// The app does not want the new queue any more.
    pub(super) fn abort_switch(&mut self, id: CallId) -> Result<(), AgentError> {
        let connection = self.connection()?;
        let new = connection.receive.iter().find(|queue| queue.switch == Some(ReceiveSwitch::Adding));
        // Whether or not the ratchets agree: the other side does not use it before it is told to.
        let new = new.ok_or(PROHIBITED)?.number;
        self.give_up_switch(new);
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }

    fn give_up_switch(&mut self, new: QueueNumber) {
        let is_its = |task: &Task| matches!(task.kind, TaskKind::SecureAdded(number, _) if number == new);
        self.tasks_mut().into_iter().for_each(|tasks| tasks.retain(|task| !is_its(task)));
        if let Some(queue) = self.receive_mut(new) {
            (queue.replaces, queue.switch) = (None, None);
        }
        self.retire(new);
    }

    /// QADD: the other side wants to receive through another queue. One that comes later than what was sent after it may have been
    /// given up since.
    pub(super) fn queue_added(
        &mut self,
        added: NonEmpty<AddedQueue>,
        is_late: bool,
    ) -> Result<Taken, AgentError> {
        let versions = self.shared.config.versions.client;
        let AddedQueue { queue, replaced } = first(added)?;
        let replaced = replaced.ok_or(BAD_QUEUE)?;
        let queue = queue.agree(versions).ok_or(AgentError::Peer(PeerError::Version))?;
        if self.connection()?.state.progress == Progress::Allowed {
            // He heard that he was let in, although his server may not have said so.
            self.connected();
        }
        let send = &self.connection()?.send;
        let QueueAddress { server, sender_id, .. } = queue.address.clone();
        let added = SenderQueue { server, sender_id };
        let known = send.iter().find(|queue| is_at(queue, &added)).cloned();
        let old = send.iter().find(|queue| is_at(queue, &replaced)).ok_or(BAD_QUEUE)?.number;
        if !self.can_send_when_agreed() {
            return Err(BAD_QUEUE);
        }
        match known {
            // It is said again, because the answer did not come.
            Some(known) if known.replaces == Some(old) && known.switch == Some(SendSwitch::Keying) => {
                return self.answer_with_key(known.number);
            }
            Some(_) => return Err(BAD_QUEUE),
            None => {}
        }
        // Of several for one place the last counts. Which one that is nobody knows when this one is late: the one that there is stays
        // beside it, until one of them is ready.
        let mut others = self.successors(old);
        if is_late {
            others.pop();
        }
        others.into_iter().for_each(|other| self.forget_send(other, old));
        let number = self.connection()?.next_send_number();
        let mut new = self.new_send_queue(number, &queue)?;
        (new.replaces, new.switch) = (Some(old), Some(SendSwitch::Keying));
        self.add_send(new);
        self.switched(SwitchSide::Send, SwitchPhase::Started);
        self.answer_with_key(number)
    }

    /// The queues that are to take the place of one, in the order in which they were told of.
    fn successors(&self, old: QueueNumber) -> Vec<QueueNumber> {
        let send = self.connection.iter().flat_map(|connection| &connection.send);
        send.filter(|queue| queue.replaces == Some(old)).map(|queue| queue.number).collect()
    }

    /// QKEY, as soon as the ratchets agree; it may be said again.
    fn answer_with_key(&mut self, new: QueueNumber) -> Result<Taken, AgentError> {
        if self.can_send() {
            let SendQueue { server, sender_id, key, e2e_key, mode, version, .. } =
                self.send_queue(new).ok_or(BAD_QUEUE)?.clone();
            let address = QueueAddress { server, sender_id, dh_key: e2e_key, mode };
            let keyed = KeyedQueue { queue: QueueInfo { version, address }, sender_key: key.public() };
            self.enqueue(AMessage::QueueKey(NonEmpty::one(keyed)), NO_FLAGS)?;
        }
        Ok(Taken::Done)
    }

    /// QKEY: the other side's keys for our new queue.
    pub(super) fn queue_keyed(&mut self, keyed: NonEmpty<KeyedQueue>) -> Result<Taken, AgentError> {
        let versions = self.shared.config.versions.client;
        let KeyedQueue { queue: QueueInfo { version, address }, sender_key } = first(keyed)?;
        if !versions.contains(version) {
            return Err(AgentError::Peer(PeerError::Version));
        }
        let is_it = |of: &&ReceiveQueue| of.sender_id == address.sender_id && of.server == address.server;
        let queue = self.connection()?.receive.iter().find(is_it).ok_or(BAD_QUEUE)?;
        match queue.switch {
            Some(ReceiveSwitch::Adding) if matches!(queue.stage, QueueStage::New | QueueStage::Confirmed) => {
            }
            // It was said again.
            Some(ReceiveSwitch::Using | ReceiveSwitch::Received) => return Ok(Taken::Done),
            _ => return Err(BAD_QUEUE),
        }
        let number = queue.number;
        let secret = queue.e2e_key.diffie_hellman(&address.dh_key).map_err(|_| BAD_QUEUE)?;
        if !self.can_send_when_agreed() {
            return Err(BAD_QUEUE);
        }
        if let Some(queue) = self.receive_mut(number) {
            queue.e2e_secret = Some(secret);
            queue.stage = QueueStage::Confirmed;
            queue.version = queue.version.min(version);
        }
        let is_its = |task: &Task| matches!(task.kind, TaskKind::SecureAdded(of, _) if of == number);
        if let Some(tasks) = self.tasks_mut() {
            tasks.retain(|task| !is_its(task));
            tasks.push(Task { kind: TaskKind::SecureAdded(number, sender_key), origin: Origin::Agent });
        }
        self.effects.push(Effect::Tasks);
        self.switched(SwitchSide::Receive, SwitchPhase::Confirmed);
        Ok(Taken::Done)
    }

    /// KEY was done: the other side may use the new queue.
    fn added_secured(&mut self, number: QueueNumber) -> Result<(), AgentError> {
        let Some(queue) = self.receive_mut(number) else { return Ok(()) };
        queue.stage = QueueStage::Secured;
        queue.switch = Some(ReceiveSwitch::Using);
        self.tell_ready(number)?;
        self.switched(SwitchSide::Receive, SwitchPhase::Secured);
        Ok(())
    }

    /// QUSE, as soon as the ratchets agree; it may be said again.
    fn tell_ready(&mut self, new: QueueNumber) -> Result<(), AgentError> {
        if self.can_send() {
            let queue = self.receive_queue(new).map(address_of).ok_or(PROHIBITED)?;
            let ready = ReadyQueue { queue, primary: true };
            self.enqueue(AMessage::QueueUse(NonEmpty::one(ready)), NO_FLAGS)?;
        }
        Ok(())
    }

    /// QUSE: the new queue is ready.
    pub(super) fn queue_ready(&mut self, ready: NonEmpty<ReadyQueue>) -> Result<Taken, AgentError> {
        let address = first(ready)?.queue;
        let connection = self.connection()?;
        let queue = connection.send.iter().find(|queue| is_at(queue, &address)).ok_or(BAD_QUEUE)?;
        let (number, stage, switch, replaces) = (queue.number, queue.stage, queue.switch, queue.replaces);
        match (switch, replaces) {
            (Some(SendSwitch::Keying), Some(_)) if self.can_send_when_agreed() => {}
            // It was said again.
            (Some(SendSwitch::Testing), _) => return Ok(Taken::Done),
            (None, None) if number != FIRST && stage == QueueStage::Active => return Ok(Taken::Done),
            _ => return Err(BAD_QUEUE),
        }
        self.send_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Secured);
        if self.can_send() {
            self.use_queue(number)?;
        }
        Ok(Taken::Done)
    }

    /// What waits for the old queue goes through the new one, then QTEST.
    fn use_queue(&mut self, new: QueueNumber) -> Result<(), AgentError> {
        let id = self.id;
        let Some(queue) = self.send_mut(new) else { return Ok(()) };
        queue.switch = Some(SendSwitch::Testing);
        let (server, sender_id) = (queue.server.clone(), queue.sender_id.clone());
        let old = queue.replaces.ok_or(BAD_QUEUE)?;
        let others = self.successors(old).into_iter().filter(|other| *other != new);
        others.for_each(|other| self.forget_send(other, old));
        self.send_first(new);
        self.ops.push(AgentOp::MoveDeliveries(id, old, new));
        self.enqueue(AMessage::QueueTest(NonEmpty::one(SenderQueue { server, sender_id })), NO_FLAGS)?;
        self.switched(SwitchSide::Send, SwitchPhase::Secured);
        Ok(())
    }

    /// The ratchets agree again. What was said of queues before may have been lost, or could not be answered: it is said again,
    /// and whoever knows it ignores it. QKEY, QUSE and QTEST are taken up where they were left.
    pub(super) fn take_up_again(&mut self) {
        if !self.can_send() {
            return;
        }
        if let Err(error) = self.switch_again().and_then(|()| self.introduce_again()) {
            self.error(error);
        }
    }

    fn switch_again(&mut self) -> Result<(), AgentError> {
        let connection = self.connection()?;
        let receive: Vec<_> =
            connection.receive.iter().map(|queue| (queue.number, queue.switch, queue.stage)).collect();
        let send: Vec<_> =
            connection.send.iter().map(|queue| (queue.number, queue.switch, queue.stage)).collect();
        for (number, switch, stage) in receive {
            match (switch, stage) {
                (Some(ReceiveSwitch::Adding), QueueStage::New) => self.tell_added(number)?,
                (Some(ReceiveSwitch::Using), _) => self.tell_ready(number)?,
                _ => {}
            }
        }
        for (number, switch, stage) in send {
            match (switch, stage) {
                (Some(SendSwitch::Keying), QueueStage::Secured) => self.use_queue(number)?,
                (Some(SendSwitch::Keying), _) => _ = self.answer_with_key(number)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// QTEST is with the server: the old queue is not needed any more.
    pub(super) fn queue_tested(&mut self, number: QueueNumber) {
        let Some(queue) = self.send_mut(number).filter(|queue| queue.switch.is_some()) else { return };
        queue.stage = QueueStage::Active;
        queue.switch = None;
        if let Some(old) = queue.replaces.take() {
            self.forget_send(old, number);
            self.switched(SwitchSide::Send, SwitchPhase::Completed);
        }
    }

    /// QKEY is with the server.
    pub(super) fn queue_key_sent(&mut self) {
        self.switched(SwitchSide::Send, SwitchPhase::Confirmed);
    }

    /// The new queue through which a message that was on its way through the old one goes when it did not arrive there.
    pub(super) fn successor(&self, old: QueueNumber) -> Option<QueueNumber> {
        let send = &self.connection.as_ref()?.send;
        let is_it = |of: &&SendQueue| of.replaces == Some(old) && of.switch == Some(SendSwitch::Testing);
        send.iter().find(is_it).map(|queue| queue.number)
    }

    /// True while a message is on its way through the queue whose place this one takes: it is not overtaken.
    pub(super) fn waits_for_old(&self, number: QueueNumber) -> bool {
        let old = self.send_queue(number).and_then(|queue| queue.replaces);
        old.and_then(|old| self.running.queues.get(&old)).is_some_and(|attempt| attempt.is_under_way)
    }

    /// The new queue is gone before it was used: the old one is used again. False if there is none.
    pub(super) fn switch_back(&mut self, number: QueueNumber) -> bool {
        let is_tested = |of: &&SendQueue| of.switch == Some(SendSwitch::Testing);
        let Some(old) = self.send_queue(number).filter(is_tested).and_then(|queue| queue.replaces) else {
            return false;
        };
        self.forget_send(number, old);
        true
    }

    /// Removes a send queue; what was to go through it goes through another one.
    fn forget_send(&mut self, number: QueueNumber, other: QueueNumber) {
        self.ops.push(AgentOp::MoveDeliveries(self.id, number, other));
        self.ops.push(AgentOp::DeleteSendQueue(self.id, number));
        self.remove_send(number);
        self.running.queues.remove(&number);
        self.effects.push(Effect::Deliver(other));
    }

    /// Begins the first background task, if none is under way.
    pub(super) fn run_background(&mut self) {
        if self.running.background.is_busy() {
            return;
        }
        let Some(connection) = &self.connection else { return };
        let task = connection.tasks.iter().find(|task| task.kind.is_background()).cloned();
        let Some(doing) = task.as_ref().and_then(|task| BackgroundTask::of(&task.kind)) else { return };
        let request = match task.map(|task| task.kind) {
            Some(TaskKind::SecureAdded(number, key)) => self.receive_queue(number).map(|queue| {
                (queue.server.clone(), Request::secure(queue.recipient_id.clone(), queue.key.clone(), key))
            }),
            Some(TaskKind::SecureSpare(number)) => self.spare_request(number),
            Some(TaskKind::Retire { queue, .. }) => self.retire_request(queue),
            _ => return,
        };
        match request {
            Some((server, request)) => {
                self.running.background.is_under_way = true;
                self.request(server, request, Doing::Background(self.id, doing));
            }
            None => self.background_done(),
        }
    }

    /// The first background task was carried out, or was not. If it was given up meanwhile, the next one begins.
    pub(super) fn background_answered(
        &mut self,
        doing: BackgroundTask,
        answer: &Result<Answer, RequestError>,
    ) {
        self.running.background.is_under_way = false;
        let Some(connection) = &self.connection else { return };
        let task = connection.tasks.iter().find(|task| task.kind.is_background()).cloned();
        if task.as_ref().and_then(|task| BackgroundTask::of(&task.kind)) != Some(doing) {
            self.effects.push(Effect::Tasks);
            return;
        }
        match task.map(|task| task.kind) {
            Some(TaskKind::SecureAdded(number, _)) => self.added_answered(number, answer),
            Some(TaskKind::SecureSpare(number)) => self.spare_answered(number, answer),
            Some(TaskKind::Retire { queue, attempts }) => self.retire_answered(queue, attempts, answer),
            _ => {}
        }
    }

    fn added_answered(&mut self, number: QueueNumber, answer: &Result<Answer, RequestError>) {
        match answer {
            Ok(_) => {
                self.background_done();
                if let Err(error) = self.added_secured(number) {
                    self.error(error);
                    self.give_up_switch(number);
                }
            }
            Err(error) if is_temporary(error) => self.background_later(),
            Err(error) => {
                let server = self.receive_queue(number).map(|queue| queue.server.clone());
                self.background_done();
                server.into_iter().for_each(|server| self.error(to_error(server, error.clone())));
                self.give_up_switch(number);
            }
        }
    }

    /// The first background task is not there any more.
    pub(super) fn background_done(&mut self) {
        if let Some(tasks) = self.tasks_mut()
            && let Some(place) = tasks.iter().position(|task| task.kind.is_background())
        {
            tasks.remove(place);
        }
        self.running.background = Default::default();
        self.effects.push(Effect::Tasks);
    }

    /// The first background task is tried again after a pause.
    pub(super) fn background_later(&mut self) {
        let limits = self.shared.config.limits.clone();
        self.running.background.later(self.shared.now.mono, limits.retry_min, limits.retry_max);
    }

    pub(super) fn switched(&mut self, side: SwitchSide, phase: SwitchPhase) {
        self.event(Event::Switch { connection: self.id, side, phase });
    }

    /// A message of a connection whose place in its queue is known: it is not to be delivered any more.
    pub(super) fn undeliver(&mut self, number: QueueNumber, message: &Outgoing) {
        let queues = [Some(number), self.successor(number)];
        for queue in queues.into_iter().flatten() {
            let delivery = Delivery { connection: self.id, queue, message: message.id };
            self.ops.push(AgentOp::DeleteDelivery(delivery));
            self.effects.push(Effect::Deliver(queue));
        }
    }

    /// Whether the server says that the new queue is gone, and its place is taken by the old one again.
    pub(super) fn is_switched_back(&mut self, number: QueueNumber, error: &RequestError) -> bool {
        let server = self.send_queue(number).map(|queue| queue.server.clone());
        if !is_refused(error) || !self.switch_back(number) {
            return false;
        }
        server.into_iter().for_each(|server| self.error(to_error(server, error.clone())));
        true
    }
}

impl BackgroundTask {
    /// Nothing, if it is none.
    const fn of(kind: &TaskKind) -> Option<Self> {
        match kind {
            TaskKind::SecureAdded(number, _) => Some(Self::Secure(*number)),
            TaskKind::SecureSpare(number) => Some(Self::SecureSpare(*number)),
            TaskKind::Retire { queue, .. } => Some(Self::Retire(*queue)),
            _ => None,
        }
    }
}

fn address_of(queue: &ReceiveQueue) -> SenderQueue {
    SenderQueue { server: queue.server.clone(), sender_id: queue.sender_id.clone() }
}

fn is_at(queue: &SendQueue, address: &SenderQueue) -> bool {
    queue.server == address.server && queue.sender_id == address.sender_id
}

/// Only the first of a list counts.
fn first<T>(list: NonEmpty<T>) -> Result<T, AgentError> {
    list.into_vec().into_iter().next().ok_or(BAD_QUEUE)
}

const BAD_QUEUE: AgentError = AgentError::Peer(PeerError::Queue);
const NO_FLAGS: MessageFlags = MessageFlags { notification: false };
