//! Messages: stored, delivered, acknowledged.

use super::request::{Answer, Context, ReadId, Reply, Request, Tag};
use super::subscription::{Delivered, State};
use super::{Broker, READ_AGAIN};
use crate::server::ConnectionId;
use crate::server::statistics::Counter;
use crate::server::store::{Append, Appended, OpResult, QueueOp, Waiting};
use crate::wire::{AuthPublicKey, EntityId, MessageId};

impl Broker {
    pub(super) fn request(&mut self, connection: ConnectionId, request: Request) {
        match request {
            Request::Create { tag, record, link, subscribe } => {
                if subscribe && self.is_fully_subscribed(connection) {
                    return self.answer(connection, tag, Answer::LimitReached);
                }
                let (queue, has_notifier) = (record.recipient.clone(), record.notifier.is_some());
                let op = QueueOp::Create { record, link };
                self.store(op, Context::Create { connection, tag, queue, subscribe, has_notifier });
            }
            Request::Store { tag, op } => {
                let secures = op.secures();
                self.store(*op, Context::Store { connection, tag, secures });
            }
            Request::SetNotifier { tag, queue, by, notifier } => {
                self.set_notifier(connection, tag, (queue, by), notifier);
            }
            Request::SubscribeNotifier { tag, queue, notifier, by } => {
                self.subscribe_notifier(connection, tag, (queue, notifier), by);
            }
            Request::Delete { tag, queue, by, is_secured } => {
                let context = Context::Delete { connection, tag, queue: queue.clone(), is_secured };
                self.store(QueueOp::Delete { queue, by: Some(by) }, context);
            }
            Request::Append { tag, append } => self.append(connection, tag, append),
            Request::Subscribe { tag, queue, by } => self.subscribe(connection, tag, queue, by),
            Request::FindService { fingerprint, role, id } => {
                self.find_service(connection, (fingerprint, role), id);
            }
            Request::SubscribeService { tag, expected } => self.subscribe_service(connection, tag, expected),
            Request::Get { tag, queue, by } => self.get(connection, tag, queue, by),
            Request::Acknowledge { tag, queue, by, message } => {
                self.acknowledge(connection, tag, queue, by, message);
            }
            Request::Inspect { tag, queue, by } => {
                let context = Context::Inspect { connection, tag, queue: queue.clone() };
                self.store(QueueOp::Inspect { queue, by }, context);
            }
            Request::SlotsFree(count) => self.release_slots(connection, count),
            Request::CloseIfUnsubscribed => {
                let Some(state) = self.connections.get(&connection) else { return };
                let is_service = self.service_connection(state.service.as_ref()) == Some(connection);
                if state.subscriptions.is_empty() && state.notifiers.is_empty() && !is_service {
                    self.reply(connection, Reply::Unsubscribed);
                }
            }
        }
    }

    fn append(&mut self, connection: ConnectionId, tag: Tag, append: Box<Append>) {
        if self.config.expire_on_send
            && let Some(before) = self.oldest_kept()
        {
            let queue = append.queue.clone();
            self.store(QueueOp::ExpireQueue { queue, before }, Context::ExpireQueue);
        }
        let queue = append.queue.clone();
        self.store(QueueOp::Append(append), Context::Append { connection, tag, queue });
    }

    /// A message was stored. A subscriber on the sender's own connection hears of it before the sender does.
    pub(super) fn appended(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: &EntityId,
        result: OpResult,
    ) {
        let answer = (&result).into();
        if let OpResult::Appended(appended) = &result {
            self.count_appended(queue, appended);
            let Appended { notifier, service, was_empty, .. } = appended;
            notifier.iter().for_each(|notifier| self.notified(notifier.clone(), queue));
            self.appended_for_service(service.as_ref(), queue, *was_empty);
        }
        let is_idle = self.subscriptions.get(queue).is_some_and(|sub| sub.state == State::Idle);
        if let OpResult::Appended(appended) = result
            && is_idle
        {
            if appended.was_empty {
                self.deliver(queue, appended.message);
            } else {
                self.wake_subscription(queue);
            }
        }
        self.answer(connection, tag, answer);
    }

    /// GET: the oldest message, without a subscription.
    fn get(&mut self, connection: ConnectionId, tag: Tag, queue: EntityId, by: AuthPublicKey) {
        let limits = self.config.limits;
        let Some(state) = self.connections.get_mut(&connection) else { return };
        if state.subscriptions.contains(&queue) {
            self.count(Counter::GetsProhibited, 1);
            return self.answer(connection, tag, Answer::Prohibited);
        }
        if state.got.len() >= limits.get_queues && !state.got.contains_key(&queue) {
            return self.answer(connection, tag, Answer::LimitReached);
        }
        state.got.entry(queue.clone()).or_default();
        state.waiting_gets.push_back((tag, queue, by));
        self.release_slots(connection, 0);
    }

    pub(super) fn got(&mut self, connection: ConnectionId, tag: Tag, queue: &EntityId, result: OpResult) {
        match result {
            OpResult::Message(Some(waiting)) => {
                let delivered = Delivered::new(&waiting.message, self.now.mono);
                let is_repeated = self.set_got(connection, queue, Some(delivered)).is_some();
                self.count(if is_repeated { Counter::GetsRepeated } else { Counter::Gets }, 1);
                self.answer(connection, tag, Answer::Message(waiting));
            }
            other => {
                // What an earlier GET delivered is not there any more.
                self.set_got(connection, queue, None);
                self.count(Counter::GetsEmpty, u64::from(matches!(other, OpResult::Message(None))));
                self.release_slots(connection, 1);
                self.answer(connection, tag, (&other).into());
            }
        }
    }

    /// ACK: only of the message that was last delivered on this connection. An empty id stands for any message, deletes
    /// none, and so has the same message delivered again.
    fn acknowledge(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: EntityId,
        by: AuthPublicKey,
        message: MessageId,
    ) {
        let today = self.today();
        let matches = |delivered: &Delivered| message.is_empty() || delivered.message == message;
        if let Some(sub) = self.subscriptions.get_mut(&queue).filter(|sub| sub.connection == connection) {
            let Some(delivered) = sub.delivered.take_if(|delivered| matches(delivered)) else {
                return self.answer(connection, tag, Answer::NoMessage);
            };
            let read = self.next_read;
            self.next_read += 1;
            let former = core::mem::replace(&mut sub.state, State::Reading(read));
            self.leave_line(connection, former);
            let op = QueueOp::Acknowledge { queue: queue.clone(), by, message, today };
            let context = Context::Acknowledge { connection, tag, queue, read, delivered };
            return self.store(op, context);
        }
        match self.got_mut(connection, &queue) {
            Some(got) => {
                let Some(delivered) = got.take_if(|delivered| matches(delivered)) else {
                    return self.answer(connection, tag, Answer::NoMessage);
                };
                let op = QueueOp::Acknowledge { queue: queue.clone(), by, message, today };
                self.store(op, Context::AcknowledgeGot { connection, tag, queue, delivered });
            }
            None => self.answer(connection, tag, Answer::NoMessage),
        }
    }

    /// A message that GET delivered is acknowledged. A GET between the two may have delivered it again: it is acknowledged
    /// all the same.
    pub(super) fn acknowledged_got(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: &EntityId,
        delivered: &Delivered,
        result: &OpResult,
    ) {
        let is_same = |got: &mut Delivered| got.message == delivered.message;
        _ = self.got_mut(connection, queue).and_then(|got| got.take_if(is_same));
        if let OpResult::Acknowledged { deleted: Some(false), .. } = result {
            self.count_acknowledged(queue, delivered);
            self.count(Counter::MessagesReceivedByGet, 1);
        }
        self.answer(connection, tag, result.into());
    }

    /// The acknowledged message may still be there: the client may acknowledge it again, unless it got another since.
    pub(super) fn acknowledge_got_failed(
        &mut self,
        connection: ConnectionId,
        queue: &EntityId,
        delivered: Delivered,
    ) {
        if let Some(got) = self.got_mut(connection, queue) {
            got.get_or_insert(delivered);
        }
    }

    pub(super) fn acknowledged(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: &EntityId,
        read: ReadId,
        delivered: &Delivered,
        result: OpResult,
    ) {
        if let OpResult::Acknowledged { deleted: Some(false), .. } = result {
            self.count_acknowledged(queue, delivered);
        }
        // A SUB between the two may have delivered the message again: it is acknowledged all the same.
        if let Some(sub) = self.subscriptions.get_mut(queue)
            && sub.connection == connection
            && sub.delivered.take_if(|again| again.message == delivered.message).is_some()
        {
            let former = core::mem::replace(&mut sub.state, State::Reading(read));
            self.leave_line(connection, former);
        }
        let OpResult::Acknowledged { next, .. } = result else {
            self.set_read(queue, read, State::Idle);
            return self.answer(connection, tag, (&result).into());
        };
        let Some(next) = next else {
            self.set_read(queue, read, State::Idle);
            self.nothing_waits(queue);
            return self.answer(connection, tag, Answer::Done);
        };
        if !self.is_reading(queue, read) {
            return self.answer(connection, tag, Answer::Done);
        }
        if self.take_slot(connection) {
            self.set_delivered(queue, read, Delivered::new(&next.message, self.now.mono));
            self.answer(connection, tag, Answer::Message(next));
        } else {
            self.set_read(queue, read, State::Idle);
            self.answer(connection, tag, Answer::Done);
            self.wake_subscription(queue);
        }
    }

    /// The acknowledged message may still be there: the client may acknowledge it again.
    pub(super) fn acknowledge_failed(&mut self, queue: &EntityId, read: ReadId, delivered: Delivered) {
        self.set_delivered(queue, read, delivered);
    }

    pub(super) fn inspected(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        queue: &EntityId,
        result: OpResult,
    ) {
        let answer = match result {
            OpResult::Inspected(inspected) => {
                Answer::Inspected(inspected, self.subscription_info(connection, queue))
            }
            other => (&other).into(),
        };
        self.answer(connection, tag, answer);
    }

    /// A read for a subscription, for which a slot was taken, is done.
    pub(super) fn read_done(
        &mut self,
        queue: &EntityId,
        read: ReadId,
        connection: ConnectionId,
        result: OpResult,
    ) {
        match result {
            OpResult::Message(Some(message)) if self.is_reading(queue, read) => {
                self.set_delivered(queue, read, Delivered::new(&message.message, self.now.mono));
                self.reply(connection, Reply::Message(queue.clone(), message));
            }
            _ => {
                self.set_read(queue, read, State::Idle);
                self.nothing_waits(queue);
                self.release_slots(connection, 1);
            }
        }
    }

    pub(super) fn read_failed(&mut self, queue: &EntityId, read: ReadId, connection: ConnectionId) {
        self.set_read(queue, read, State::Idle);
        self.release_slots(connection, 1);
        self.read_later(queue);
    }

    /// Reads the queue of an idle subscription in a while: it may have a message after all.
    pub(super) fn read_later(&mut self, queue: &EntityId) {
        if self.subscriptions.get(queue).is_some_and(|sub| sub.state == State::Idle) {
            self.unread.insert(queue.clone());
            let due = self.now.mono + READ_AGAIN;
            self.unread_due.get_or_insert(due);
        }
    }

    /// Reads the queue of an idle subscription as soon as there is a slot.
    pub(super) fn wake_subscription(&mut self, queue: &EntityId) {
        let Some(sub) = self.subscriptions.get_mut(queue).filter(|sub| sub.state == State::Idle) else {
            return;
        };
        let Some(state) = self.connections.get_mut(&sub.connection) else { return };
        sub.state = State::Waiting(self.next_place);
        state.waiting.insert(self.next_place, queue.clone());
        self.next_place += 1;
        let connection = sub.connection;
        self.release_slots(connection, 0);
    }

    /// Takes back slots, and gives those that are free to whatever waits for one.
    pub(super) fn release_slots(&mut self, connection: ConnectionId, count: usize) {
        let limit = self.config.limits.deliveries_in_flight.max(1);
        let today = self.today();
        if let Some(state) = self.connections.get_mut(&connection) {
            state.slots_taken = state.slots_taken.saturating_sub(count);
        }
        while let Some(state) = self.connections.get_mut(&connection)
            && state.slots_taken < limit
        {
            let ended = state.take_ended();
            if !ended.is_empty() {
                state.slots_taken += 1;
                self.replies.entry(connection).or_default().push(Reply::Ended(ended));
                continue;
            }
            let notifiers = state.take_notifiers();
            if !notifiers.is_empty() {
                state.slots_taken += 1;
                self.take_notifications(connection, notifiers);
                continue;
            }
            if let Some((tag, queue, by)) = state.waiting_gets.pop_front() {
                state.slots_taken += 1;
                self.ops.push(QueueOp::Peek { queue: queue.clone(), by: Some(by), today });
                self.contexts.push(Context::Get { connection, tag, queue });
                continue;
            }
            let Some((place, queue)) = state.waiting.pop_first() else { break };
            let waits = |sub: &&mut super::Subscription| sub.state == State::Waiting(place);
            if let Some(sub) = self.subscriptions.get_mut(&queue).filter(waits) {
                state.slots_taken += 1;
                sub.state = State::Reading(self.next_read);
                self.ops.push(QueueOp::Peek { queue: queue.clone(), by: None, today });
                self.contexts.push(Context::Read { queue, read: self.next_read, connection });
                self.next_read += 1;
            }
        }
        self.go_on_scanning(connection);
    }

    /// The message that GET delivered and that was not acknowledged, of a queue that the connection receives by GET.
    fn got_mut(&mut self, connection: ConnectionId, queue: &EntityId) -> Option<&mut Option<Delivered>> {
        self.connections.get_mut(&connection)?.got.get_mut(queue)
    }

    /// What GET delivers now, in place of what it returns.
    fn set_got(
        &mut self,
        connection: ConnectionId,
        queue: &EntityId,
        delivered: Option<Delivered>,
    ) -> Option<Delivered> {
        let got = self.got_mut(connection, queue)?;
        core::mem::replace(got, delivered)
    }

    fn deliver(&mut self, queue: &EntityId, message: Waiting) {
        let Some(connection) = self.subscriptions.get(queue).map(|sub| sub.connection) else { return };
        if self.take_slot(connection) {
            let delivered = Delivered::new(&message.message, self.now.mono);
            if let Some(sub) = self.subscriptions.get_mut(queue) {
                (sub.state, sub.delivered) = (State::Delivered, Some(delivered));
            }
            self.reply(connection, Reply::Message(queue.clone(), message));
        } else {
            self.wake_subscription(queue);
        }
    }

    fn take_slot(&mut self, connection: ConnectionId) -> bool {
        let limit = self.config.limits.deliveries_in_flight.max(1);
        match self.connections.get_mut(&connection) {
            Some(state) if state.slots_taken < limit => {
                state.slots_taken += 1;
                true
            }
            _ => false,
        }
    }

    fn is_reading(&self, queue: &EntityId, read: ReadId) -> bool {
        self.subscriptions.get(queue).is_some_and(|sub| sub.state == State::Reading(read))
    }

    /// The message that a read found was delivered, unless the subscription has moved on.
    fn set_delivered(&mut self, queue: &EntityId, read: ReadId, delivered: Delivered) {
        if let Some(sub) = self.subscriptions.get_mut(queue).filter(|sub| sub.state == State::Reading(read)) {
            sub.state = State::Delivered;
            sub.delivered = Some(delivered);
        }
    }

    /// The outcome of a read, unless the subscription has moved on.
    fn set_read(&mut self, queue: &EntityId, read: ReadId, state: State) {
        if let Some(sub) = self.subscriptions.get_mut(queue).filter(|sub| sub.state == State::Reading(read)) {
            sub.state = state;
        }
    }
}
