//! The vocabulary, carried out on the database: each operation reads what it needs and commits one atomic
//! batch.

use std::ops::Bound;

use bytes::Bytes;
use fjall::{Keyspace, OwnedWriteBatch};
use smp_core::UnixTime;
use smp_core::server::store::{
    Append, Appended, Inspected, MessageContent, OpResult, QueueChange, QueueCounts, QueueOp, QueueRecord,
    StoredMessage, UnixDay, Waiting,
};
use smp_core::wire::{AuthPublicKey, EntityId, MessageId};

use super::engine::{Engine, EngineError, META_COUNTERS, Result, decoded};
use super::layout::{self, Backlog, message_key};

/// Carries out operations. There is one for an engine, so nothing changes between what it reads and what it
/// commits.
pub(super) struct Executor<'a> {
    engine: &'a Engine,
    counts: QueueCounts,
    written: bool,
    /// The keyspace of a value that expiry could not read and left behind.
    damage: Option<&'static str>,
}

impl<'a> Executor<'a> {
    pub(super) fn new(engine: &'a Engine) -> Result<Self> {
        Ok(Self { engine, counts: engine.counters()?, written: false, damage: None })
    }

    /// Whether something was written since this was asked last, also by operations that failed later.
    pub(super) const fn take_written(&mut self) -> bool {
        std::mem::replace(&mut self.written, false)
    }

    /// The keyspace of a damaged value that was left behind since this was asked last.
    pub(super) const fn take_damage(&mut self) -> Option<&'static str> {
        self.damage.take()
    }

    /// Carries out one operation. When it fails it had no effect, unless the database failed.
    pub(super) fn run(&mut self, op: QueueOp) -> Result<OpResult> {
        match op {
            QueueOp::Create(record) => self.create(&record),
            QueueOp::Change { queue, change, today } => self.change(&queue, change, today),
            QueueOp::Delete { queue, by } => self.delete(&queue, &by),
            QueueOp::Append(append) => self.append(*append),
            QueueOp::Peek { queue, by, today } => self.peek(&queue, by.as_ref(), today),
            QueueOp::Check { queue, by, today } => self.check(&queue, &by, today),
            QueueOp::Acknowledge { queue, by, message, today } => {
                self.acknowledge(&queue, &by, &message, today)
            }
            QueueOp::Inspect { queue, by } => self.inspect(&queue, &by),
            QueueOp::Expire { before, after, limit } => self.expire(before, after, limit),
            QueueOp::ExpireQueue { queue, before } => self.expire_queue(&queue, before),
            QueueOp::Count => Ok(OpResult::Counts(self.counts)),
        }
    }

    /// The empty id means "none" on the wire and names no queue, so it is never free.
    fn create(&mut self, record: &QueueRecord) -> Result<OpResult> {
        let (recipient, sender) = (record.recipient.as_bytes(), record.sender.as_bytes());
        let taken = recipient.is_empty()
            || sender.is_empty()
            || self.engine.queues.contains_key(recipient)?
            || self.engine.senders.contains_key(sender)?;
        if taken {
            return Ok(OpResult::IdTaken);
        }
        let mut batch = self.batch();
        batch.put(&self.engine.queues, recipient, layout::put_queue(record));
        batch.put(&self.engine.senders, sender, recipient.to_vec());
        batch.counts.queues += 1;
        self.commit(batch)?;
        Ok(OpResult::Done)
    }

    fn change(&mut self, queue: &EntityId, change: QueueChange, today: UnixDay) -> Result<OpResult> {
        let Some(mut record) = self.engine.queue(queue)? else { return Ok(OpResult::Unauthorized) };
        if !record.apply(change) {
            return Ok(OpResult::Unauthorized);
        }
        record.used_on = today;
        let mut batch = self.batch();
        batch.put(&self.engine.queues, queue.as_bytes(), layout::put_queue(&record));
        self.commit(batch)?;
        Ok(OpResult::Done)
    }

    fn delete(&mut self, queue: &EntityId, by: &AuthPublicKey) -> Result<OpResult> {
        let Some(record) = self.engine.queue(queue)?.filter(|record| record.is_recipient(by)) else {
            return Ok(OpResult::Unauthorized);
        };
        let mut batch = self.batch();
        batch.delete(&self.engine.queues, queue.as_bytes());
        batch.delete(&self.engine.senders, record.sender.as_bytes());
        batch.subtract_queue()?;
        if let Some(backlog) = self.backlog(queue)? {
            batch.delete(&self.engine.backlogs, queue.as_bytes());
            for sequence in backlog.first..backlog.end() {
                batch.delete(&self.engine.messages, &message_key(queue, sequence));
            }
            batch.subtract_messages(backlog.count.into())?;
        }
        self.commit(batch)?;
        Ok(OpResult::Done)
    }

    fn append(&mut self, append: Append) -> Result<OpResult> {
        let Some(mut record) = self.engine.queue(&append.queue)? else { return Ok(OpResult::Unauthorized) };
        if !record.accepts_messages_by(append.by.as_ref()) {
            return Ok(OpResult::Unauthorized);
        }
        let mut batch = self.batch();
        batch.touch(self.engine, &mut record, append.sent_at.into());
        let backlog = self.backlog(&append.queue)?;
        if backlog.is_some_and(|backlog| !backlog.open) {
            self.commit(batch)?;
            return Ok(OpResult::QuotaExceeded);
        }
        let was_empty = backlog.is_none();
        let mut backlog =
            backlog.unwrap_or(Backlog { first: 0, count: 0, open: true, first_sent_at: append.sent_at });
        backlog.open = backlog.count < append.capacity;
        let content = if backlog.open {
            MessageContent::Message { notification: append.notification, body: append.body }
        } else {
            MessageContent::Quota
        };
        let message = StoredMessage { id: append.id, sent_at: append.sent_at, content };
        let key = message_key(&append.queue, backlog.end());
        batch.put(&self.engine.messages, &key, layout::put_message(&message));
        backlog.count = backlog.count.saturating_add(1);
        batch.put(&self.engine.backlogs, append.queue.as_bytes(), backlog.encode());
        batch.counts.messages += 1;
        self.commit(batch)?;
        if !backlog.open {
            return Ok(OpResult::QuotaExceeded);
        }
        let message = Waiting { message, secret: record.secret.clone() };
        Ok(OpResult::Appended(Appended { was_empty, message }))
    }

    fn peek(&mut self, queue: &EntityId, by: Option<&AuthPublicKey>, today: UnixDay) -> Result<OpResult> {
        let Some(record) = self.used_queue(queue, by, today)? else { return Ok(OpResult::Unauthorized) };
        let message = self.backlog(queue)?.map(|backlog| self.message(queue, backlog.first)).transpose()?;
        Ok(OpResult::Message(message.map(|message| Waiting { message, secret: record.secret.clone() })))
    }

    fn check(&mut self, queue: &EntityId, by: &AuthPublicKey, today: UnixDay) -> Result<OpResult> {
        match self.used_queue(queue, Some(by), today)? {
            Some(_) => Ok(OpResult::Checked { has_messages: self.backlog(queue)?.is_some() }),
            None => Ok(OpResult::Unauthorized),
        }
    }

    fn acknowledge(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        id: &MessageId,
        today: UnixDay,
    ) -> Result<OpResult> {
        let Some(mut record) = self.engine.queue(queue)?.filter(|record| record.is_recipient(by)) else {
            return Ok(OpResult::Unauthorized);
        };
        let mut batch = self.batch();
        batch.touch(self.engine, &mut record, today);
        let mut deleted = None;
        let mut next = None;
        if let Some(backlog) = self.backlog(queue)? {
            let first = self.message(queue, backlog.first)?;
            if first.id == *id {
                deleted = Some(first.content == MessageContent::Quota);
                next = self.pop(&mut batch, queue, backlog)?.map(|(_, message)| message);
            } else {
                next = Some(first);
            }
        }
        self.commit(batch)?;
        let next = next.map(|message| Waiting { message, secret: record.secret.clone() });
        Ok(OpResult::Acknowledged { deleted, next })
    }

    fn inspect(&self, queue: &EntityId, by: &AuthPublicKey) -> Result<OpResult> {
        let Some(record) = self.engine.queue(queue)?.filter(|record| record.is_recipient(by)) else {
            return Ok(OpResult::Unauthorized);
        };
        let backlog = self.backlog(queue)?;
        Ok(OpResult::Inspected(Inspected {
            secured: record.sender_key.is_some(),
            messages: backlog.map_or(0, |backlog| backlog.count),
            first: backlog.map(|backlog| self.message(queue, backlog.first)).transpose()?,
        }))
    }

    /// Visits backlogs, so queues without messages cost nothing.
    fn expire(&mut self, before: UnixTime, after: Option<EntityId>, limit: u32) -> Result<OpResult> {
        let start = after.as_ref().map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes()));
        let mut batch = self.batch();
        let mut messages = 0;
        let mut visited = 0;
        let mut next = None;
        for entry in self.engine.backlogs.range::<&[u8], _>((start, Bound::Unbounded)) {
            let (key, value) = entry.into_inner()?;
            visited += 1;
            let (Ok(queue), backlog) = (EntityId::new(&key), Backlog::decode(&value.into())) else {
                self.damage = Some("backlogs");
                continue;
            };
            match backlog {
                Ok(backlog) => messages += self.expire_backlog(&mut batch, &queue, backlog, before)?,
                Err(_) => self.damage = Some("backlogs"),
            }
            if visited >= limit || messages >= EXPIRED_MAX {
                next = Some(queue);
                break;
            }
        }
        self.commit(batch)?;
        Ok(OpResult::Expired { messages, next })
    }

    fn expire_queue(&mut self, queue: &EntityId, before: UnixTime) -> Result<OpResult> {
        let mut messages = 0;
        if let Some(backlog) = self.backlog(queue)? {
            let mut batch = self.batch();
            messages = self.expire_backlog(&mut batch, queue, backlog, before)?;
            self.commit(batch)?;
        }
        Ok(OpResult::Expired { messages, next: None })
    }

    /// Deletes the old messages of a queue. They are in the order of their times, so the old ones are in
    /// front. What is behind a damaged one stays.
    fn expire_backlog(
        &mut self,
        batch: &mut Batch,
        queue: &EntityId,
        backlog: Backlog,
        before: UnixTime,
    ) -> Result<u64> {
        let mut messages = 0;
        let mut rest = Some(backlog);
        while let Some(backlog) = rest.filter(|backlog| backlog.first_sent_at < before) {
            rest = match self.pop(batch, queue, backlog) {
                Ok(rest) => rest.map(|(backlog, _)| backlog),
                Err(EngineError::Corrupt(keyspace)) => {
                    self.damage = Some(keyspace);
                    break;
                }
                Err(error) => return Err(error),
            };
            messages += 1;
        }
        Ok(messages)
    }

    /// Deletes the oldest message, and returns what is left with the message that is the oldest now. When it fails the batch
    /// is as it was.
    fn pop(
        &self,
        batch: &mut Batch,
        queue: &EntityId,
        backlog: Backlog,
    ) -> Result<Option<(Backlog, StoredMessage)>> {
        let first = message_key(queue, backlog.first);
        if backlog.count == 1 {
            batch.subtract_messages(1)?;
            batch.delete(&self.engine.messages, &first);
            batch.delete(&self.engine.backlogs, queue.as_bytes());
            return Ok(None);
        }
        let next = self.message(queue, backlog.first + 1)?;
        batch.subtract_messages(1)?;
        batch.delete(&self.engine.messages, &first);
        let rest = Backlog {
            first: backlog.first + 1,
            count: backlog.count - 1,
            first_sent_at: next.sent_at,
            ..backlog
        };
        batch.put(&self.engine.backlogs, queue.as_bytes(), rest.encode());
        Ok(Some((rest, next)))
    }

    /// The queue, if `by`, where it is given, is its recipient's. The queue counts as used today.
    fn used_queue(
        &mut self,
        queue: &EntityId,
        by: Option<&AuthPublicKey>,
        today: UnixDay,
    ) -> Result<Option<QueueRecord>> {
        let allowed = |record: &QueueRecord| by.is_none_or(|by| record.is_recipient(by));
        let Some(mut record) = self.engine.queue(queue)?.filter(allowed) else { return Ok(None) };
        let mut batch = self.batch();
        batch.touch(self.engine, &mut record, today);
        self.commit(batch)?;
        Ok(Some(record))
    }

    fn backlog(&self, queue: &EntityId) -> Result<Option<Backlog>> {
        let bytes = Engine::value(&self.engine.backlogs, queue.as_bytes())?;
        bytes.map(|bytes| decoded("backlogs", Backlog::decode(&bytes))).transpose()
    }

    /// A message that a backlog says is there.
    fn message(&self, queue: &EntityId, sequence: u64) -> Result<StoredMessage> {
        let bytes = Engine::value(&self.engine.messages, &message_key(queue, sequence))?;
        decoded("messages", layout::message(&bytes.ok_or(EngineError::Corrupt("messages"))?))
    }

    fn batch(&self) -> Batch {
        Batch { writes: self.engine.database.batch(), counts: self.counts }
    }

    /// Commits a batch, the counters with it if they changed. It is atomic, and visible to look-ups at once.
    fn commit(&mut self, mut batch: Batch) -> Result<()> {
        if batch.counts != self.counts {
            let counts = layout::put_counters(batch.counts);
            batch.put(&self.engine.meta, META_COUNTERS, counts);
        }
        self.written |= !batch.writes.is_empty();
        batch.writes.commit()?;
        self.counts = batch.counts;
        Ok(())
    }
}

/// Messages after which a visit of expiry ends, so that clients do not wait long for their turn. A queue is finished first.
const EXPIRED_MAX: u64 = 5000;

/// What an operation writes, and the counters after it.
struct Batch {
    writes: OwnedWriteBatch,
    counts: QueueCounts,
}

impl Batch {
    fn put(&mut self, keyspace: &Keyspace, key: &[u8], value: Vec<u8>) {
        self.writes.insert(keyspace, key, Bytes::from(value));
    }

    fn delete(&mut self, keyspace: &Keyspace, key: &[u8]) {
        self.writes.remove(keyspace, key);
    }

    /// Writes the day of the last use, which most operations of a day find written.
    fn touch(&mut self, engine: &Engine, record: &mut QueueRecord, today: UnixDay) {
        if record.used_on != today {
            record.used_on = today;
            self.put(&engine.queues, record.recipient.as_bytes(), layout::put_queue(record));
        }
    }

    fn subtract_queue(&mut self) -> Result<()> {
        self.counts.queues = self.counts.queues.checked_sub(1).ok_or(EngineError::Corrupt("meta"))?;
        Ok(())
    }

    fn subtract_messages(&mut self, count: u64) -> Result<()> {
        let rest = self.counts.messages.checked_sub(count);
        self.counts.messages = rest.ok_or(EngineError::Corrupt("meta"))?;
        Ok(())
    }
}
