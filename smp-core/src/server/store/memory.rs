//! The vocabulary carried out in memory: the reference for every other store, and the store of throw-away servers.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use super::{
    Append, Appended, Inspected, MessageContent, OpResult, QueueChange, QueueCounts, QueueKey, QueueOp,
    QueueRecord, StoredMessage, UnixDay, Waiting,
};
use crate::time::UnixTime;
use crate::wire::{AuthPublicKey, EntityId, MessageId};

/// Queues and messages in memory. Never fails; holds nothing over a restart.
#[derive(Default)]
pub struct MemoryStore {
    queues: BTreeMap<EntityId, Queue>,
    /// Sender id to recipient id.
    senders: BTreeMap<EntityId, EntityId>,
    messages: u64,
}

struct Queue {
    record: QueueRecord,
    messages: VecDeque<StoredMessage>,
    /// False from the quota marker until the queue is empty.
    open: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out operations in order.
    pub fn run(&mut self, ops: Vec<QueueOp>) -> Vec<OpResult> {
        ops.into_iter().map(|op| self.run_one(op)).collect()
    }

    /// The record that `key` leads to.
    #[must_use]
    pub fn look_up(&self, key: &QueueKey) -> Option<QueueRecord> {
        let recipient = match key {
            QueueKey::Recipient(id) => id,
            QueueKey::Sender(id) => self.senders.get(id)?,
        };
        self.queues.get(recipient).map(|queue| queue.record.clone())
    }

    fn run_one(&mut self, op: QueueOp) -> OpResult {
        match op {
            QueueOp::Create(record) => self.create(*record),
            QueueOp::Change { queue, change, today } => self.change(&queue, change, today),
            QueueOp::Delete { queue, by } => self.delete(&queue, &by),
            QueueOp::Append(append) => self.append(*append),
            QueueOp::Peek { queue, by, today } => match self.used_queue(&queue, by.as_ref(), today) {
                Some(queue) => OpResult::Message(queue.first()),
                None => OpResult::Unauthorized,
            },
            QueueOp::Check { queue, by, today } => match self.used_queue(&queue, Some(&by), today) {
                Some(queue) => OpResult::Checked { has_messages: !queue.messages.is_empty() },
                None => OpResult::Unauthorized,
            },
            QueueOp::Acknowledge { queue, by, message, today } => {
                self.acknowledge(&queue, &by, &message, today)
            }
            QueueOp::Inspect { queue, by } => match self.queues.get(&queue) {
                Some(queue) if queue.record.is_recipient(&by) => OpResult::Inspected(queue.inspect()),
                _ => OpResult::Unauthorized,
            },
            QueueOp::Expire { before, after, limit } => self.expire(before, after, limit),
            QueueOp::ExpireQueue { queue, before } => {
                let messages = self.queues.get_mut(&queue).map_or(0, |queue| queue.expire(before));
                self.messages -= messages;
                OpResult::Expired { messages, next: None }
            }
            QueueOp::Count => {
                OpResult::Counts(QueueCounts { queues: self.queues.len() as u64, messages: self.messages })
            }
        }
    }

    fn create(&mut self, record: QueueRecord) -> OpResult {
        if self.queues.contains_key(&record.recipient) || self.senders.contains_key(&record.sender) {
            return OpResult::IdTaken;
        }
        self.senders.insert(record.sender.clone(), record.recipient.clone());
        let queue = Queue { record, messages: VecDeque::new(), open: true };
        self.queues.insert(queue.record.recipient.clone(), queue);
        OpResult::Done
    }

    fn change(&mut self, queue: &EntityId, change: QueueChange, today: UnixDay) -> OpResult {
        let Some(queue) = self.queues.get_mut(queue) else { return OpResult::Unauthorized };
        if !queue.record.apply(change) {
            return OpResult::Unauthorized;
        }
        queue.record.used_on = today;
        OpResult::Done
    }

    fn delete(&mut self, queue: &EntityId, by: &AuthPublicKey) -> OpResult {
        if !self.queues.get(queue).is_some_and(|queue| queue.record.is_recipient(by)) {
            return OpResult::Unauthorized;
        }
        if let Some(queue) = self.queues.remove(queue) {
            self.senders.remove(&queue.record.sender);
            self.messages -= queue.messages.len() as u64;
        }
        OpResult::Done
    }

    fn append(&mut self, append: Append) -> OpResult {
        let Some(queue) = self.queues.get_mut(&append.queue) else { return OpResult::Unauthorized };
        if !queue.record.accepts_messages_by(append.by.as_ref()) {
            return OpResult::Unauthorized;
        }
        queue.record.used_on = append.sent_at.into();
        let was_empty = queue.messages.is_empty();
        if !queue.open && !was_empty {
            return OpResult::QuotaExceeded;
        }
        queue.open = queue.messages.len() < append.capacity as usize;
        let content = if queue.open {
            MessageContent::Message { notification: append.notification, body: append.body }
        } else {
            MessageContent::Quota
        };
        let message = StoredMessage { id: append.id, sent_at: append.sent_at, content };
        queue.messages.push_back(message.clone());
        self.messages += 1;
        if queue.open {
            let message = Waiting { message, secret: queue.record.secret.clone() };
            OpResult::Appended(Appended { was_empty, message })
        } else {
            OpResult::QuotaExceeded
        }
    }

    fn acknowledge(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        id: &MessageId,
        today: UnixDay,
    ) -> OpResult {
        let Some(queue) = self.used_queue(queue, Some(by), today) else { return OpResult::Unauthorized };
        let deleted = match queue.messages.front() {
            Some(first) if first.id == *id => Some(first.content == MessageContent::Quota),
            _ => None,
        };
        if deleted.is_some() {
            queue.messages.pop_front();
        }
        let next = queue.first();
        self.messages -= u64::from(deleted.is_some());
        OpResult::Acknowledged { deleted, next }
    }

    fn expire(&mut self, before: UnixTime, after: Option<EntityId>, limit: u32) -> OpResult {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut messages = 0;
        let mut visited = 0;
        let mut next = None;
        for (id, queue) in self.queues.range_mut((start, Bound::Unbounded)) {
            if queue.messages.is_empty() {
                continue;
            }
            messages += queue.expire(before);
            visited += 1;
            if visited >= limit {
                next = Some(id.clone());
                break;
            }
        }
        self.messages -= messages;
        OpResult::Expired { messages, next }
    }

    /// The queue, if `by`, where it is given, is its recipient's. The queue counts as used today.
    fn used_queue(
        &mut self,
        queue: &EntityId,
        by: Option<&AuthPublicKey>,
        today: UnixDay,
    ) -> Option<&mut Queue> {
        let allowed = |queue: &&mut Queue| by.is_none_or(|by| queue.record.is_recipient(by));
        let queue = self.queues.get_mut(queue).filter(allowed)?;
        queue.record.used_on = today;
        Some(queue)
    }
}

impl Queue {
    fn first(&self) -> Option<Waiting> {
        let message = self.messages.front()?.clone();
        Some(Waiting { message, secret: self.record.secret.clone() })
    }

    fn inspect(&self) -> Inspected {
        Inspected {
            secured: self.record.sender_key.is_some(),
            messages: u32::try_from(self.messages.len()).unwrap_or(u32::MAX),
            first: self.messages.front().cloned(),
        }
    }

    /// Messages are in the order of their times, so the old ones are in front.
    fn expire(&mut self, before: UnixTime) -> u64 {
        let old = self.messages.iter().take_while(|message| message.sent_at < before).count();
        self.messages.drain(..old);
        old as u64
    }
}
