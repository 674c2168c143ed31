//! The vocabulary, carried out on the database: each operation reads what it needs and commits one atomic
//! batch.

use std::collections::BTreeMap;

use bytes::Bytes;
use fjall::{Keyspace, OwnedWriteBatch};
use smp_core::server::store::{
    NotifierRef, OpResult, QueueChange, QueueCounts, QueueOp, QueueRecord, Refusal, UnixDay,
};
use smp_core::wire::command::LinkData;
use smp_core::wire::error::BlockingInfo;
use smp_core::wire::{AuthPublicKey, EntityId, ServiceRole};

use super::engine::{Engine, EngineError, META_COUNTERS, Result};
use super::layout::{self, Service, message_key};

/// Carries out operations. There is one for an engine, so nothing changes between what it reads and what it
/// commits.
pub(super) struct Executor<'a> {
    pub(super) engine: &'a Engine,
    counts: QueueCounts,
    written: bool,
    /// The keyspace of something that a visit could not read and left behind.
    pub(super) damage: Option<&'static str>,
}

/// What an operation comes to.
pub(super) type Outcome = std::result::Result<OpResult, Stop>;

/// Why an operation has no effect.
pub(super) enum Stop {
    /// It is not allowed, which is a result too.
    Refused(Refusal),
    /// It could not be carried out.
    Failed(EngineError),
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
        match self.try_run(op) {
            Ok(result) => Ok(result),
            Err(Stop::Refused(refusal)) => Ok(refusal.into()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn try_run(&mut self, op: QueueOp) -> Outcome {
        match op {
            QueueOp::Create { record, link } => self.create(*record, link.as_deref()),
            QueueOp::Change { queue, change, today } => self.change(&queue, change, today),
            QueueOp::SetLink { queue, by, link, data, today } => {
                self.set_link(&queue, &by, link, &data, today)
            }
            QueueOp::RemoveLink { queue, by, today } => self.remove_link(&queue, &by, today),
            QueueOp::ReadLink { queue, link, secure, today } => self.read_link(&queue, &link, secure, today),
            QueueOp::SetNotifier { queue, by, notifier, today } => {
                self.set_notifier(&queue, &by, Some(*notifier), today)
            }
            QueueOp::RemoveNotifier { queue, by, today } => self.set_notifier(&queue, &by, None, today),
            QueueOp::SubscribeNotifier { queue, notifier, by, service } => {
                self.subscribe_notifier(&queue, &notifier, &by, service)
            }
            QueueOp::TakeNotifications { queue, notifier, limit } => {
                self.take_notifications(&queue, &notifier, limit)
            }
            QueueOp::FindService { fingerprint, role, id, capacity } => {
                self.find_service(&fingerprint, role, id, capacity)
            }
            QueueOp::CountService { service } => self.count_service(&service),
            QueueOp::ScanService { service, after, limit } => {
                self.scan_service(&service, after.as_ref(), limit)
            }
            QueueOp::Block { queue, info } => self.block(&queue, info),
            QueueOp::Delete { queue, by } => self.delete(&queue, by.as_ref()),
            QueueOp::Append(append) => self.append(*append),
            QueueOp::Peek { queue, by, today } => self.peek(&queue, by.as_ref(), today),
            QueueOp::Subscribe { queue, by, service, peek, today } => {
                self.subscribe(&queue, &by, service, peek, today)
            }
            QueueOp::Acknowledge { queue, by, message, today } => {
                self.acknowledge(&queue, &by, &message, today)
            }
            QueueOp::Inspect { queue, by } => self.inspect(&queue, &by),
            QueueOp::Expire { before, after, limit } => self.expire(before, after.as_ref(), limit),
            QueueOp::ExpireQueue { queue, before } => self.expire_queue(&queue, before),
            QueueOp::ExpireNotifications { before, after, limit } => {
                self.expire_notifications(before, after.as_ref(), limit)
            }
            QueueOp::Count => Ok(OpResult::Counts(self.counts)),
        }
    }

    fn create(&mut self, mut record: QueueRecord, link: Option<&LinkData>) -> Outcome {
        let engine = self.engine;
        let (link_id, link) = record.link.take().zip(link).unzip();
        record.link = link_id;
        let notifier = record.notifier.as_ref().map(|notifier| &notifier.id);
        let ids = [
            (&engine.queues, Some(&record.recipient)),
            (&engine.senders, Some(&record.sender)),
            (&engine.links, record.link.as_ref()),
            (&engine.notifiers, notifier),
        ];
        for (keyspace, id) in ids {
            if let Some(id) = id
                && is_taken(keyspace, id)?
            {
                return Ok(OpResult::IdTaken);
            }
        }
        let mut batch = self.batch();
        let recipient = &record.recipient;
        batch.put_queue(engine, &record);
        batch.put_id(&engine.senders, &record.sender, recipient);
        if let (Some(id), Some(data)) = (&record.link, link) {
            batch.put_id(&engine.links, id, recipient);
            batch.put(&engine.link_data, recipient.as_bytes(), layout::put_link_data(data));
        }
        if let Some(id) = notifier {
            batch.put_id(&engine.notifiers, id, recipient);
            batch.counts.notifiers += 1;
        }
        batch.counts.queues += 1;
        let service = (record.service.as_ref(), ServiceRole::Messaging);
        self.join_service(&mut batch, service, recipient, recipient)?;
        if let Some(notifier) = &record.notifier {
            let service = (notifier.service.as_ref(), ServiceRole::Notifier);
            self.join_service(&mut batch, service, recipient, &notifier.id)?;
        }
        self.commit(batch)?;
        Ok(OpResult::Done)
    }

    fn change(&mut self, queue: &EntityId, change: QueueChange, today: UnixDay) -> Outcome {
        let mut record = self.queue(queue)?;
        record.apply(change)?;
        record.used_on = today;
        self.commit_queue(&record)?;
        Ok(OpResult::Done)
    }

    fn block(&mut self, queue: &EntityId, info: Option<BlockingInfo>) -> Outcome {
        let mut record = self.queue(queue)?;
        record.block(info);
        self.commit_queue(&record)?;
        Ok(OpResult::Moderated { service: record.service })
    }

    fn delete(&mut self, queue: &EntityId, by: Option<&AuthPublicKey>) -> Outcome {
        let engine = self.engine;
        let record = self.queue(queue)?;
        if by.is_some_and(|by| !record.is_recipient(by)) {
            return Err(Refusal::Unauthorized.into());
        }
        let mut batch = self.batch();
        batch.delete(&engine.queues, queue.as_bytes());
        batch.delete(&engine.senders, record.sender.as_bytes());
        batch.subtract(|counts| &mut counts.queues, 1)?;
        if let Some(link) = &record.link {
            batch.delete_link(engine, queue, link);
        }
        self.leave_service(&mut batch, record.service.as_ref(), queue, queue)?;
        let notifier = record.notifier.as_ref().map(NotifierRef::from);
        if let Some(notifier) = &notifier {
            self.delete_notifier(&mut batch, queue, notifier)?;
        }
        if let Some(backlog) = self.backlog(queue)? {
            batch.delete(&engine.backlogs, queue.as_bytes());
            for sequence in backlog.first..backlog.end() {
                batch.delete(&engine.messages, &message_key(queue, sequence));
            }
            batch.subtract(|counts| &mut counts.messages, backlog.count.into())?;
        }
        self.commit(batch)?;
        Ok(OpResult::Released { notifier, service: record.service })
    }

    /// The queue, which must be there.
    pub(super) fn queue(&self, queue: &EntityId) -> std::result::Result<QueueRecord, Stop> {
        self.engine.queue(queue)?.ok_or_else(|| Refusal::Unauthorized.into())
    }

    /// The queue, if `by`, where it is given, may use it, and a batch in which it counts as used today.
    pub(super) fn use_queue(
        &self,
        queue: &EntityId,
        by: Option<&AuthPublicKey>,
        today: UnixDay,
    ) -> std::result::Result<(QueueRecord, Batch), Stop> {
        let mut record = self.queue(queue)?;
        record.recipient_may_use(by)?;
        let mut batch = self.batch();
        batch.put_used(self.engine, &mut record, today, false);
        Ok((record, batch))
    }

    pub(super) fn batch(&self) -> Batch {
        Batch { writes: self.engine.database.batch(), counts: self.counts, services: BTreeMap::new() }
    }

    /// Commits nothing but a changed record.
    pub(super) fn commit_queue(&mut self, record: &QueueRecord) -> Result<()> {
        let mut batch = self.batch();
        batch.put_queue(self.engine, record);
        self.commit(batch)
    }

    /// Commits a batch, with it the services and the counters that changed. It is atomic, and visible to look-ups at
    /// once.
    pub(super) fn commit(&mut self, mut batch: Batch) -> Result<()> {
        for (id, service) in std::mem::take(&mut batch.services) {
            batch.put(&self.engine.services, id.as_bytes(), layout::put_service(&service));
        }
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

/// Whether an id leads to a queue, or can lead nowhere: the empty id means "none" on the wire and names nothing.
pub(super) fn is_taken(keyspace: &Keyspace, id: &EntityId) -> Result<bool> {
    Ok(id.is_empty() || keyspace.contains_key(id.as_bytes())?)
}

/// What an operation writes, and the counters after it.
pub(super) struct Batch {
    writes: OwnedWriteBatch,
    pub(super) counts: QueueCounts,
    /// Services after it, which it may change more than once.
    pub(super) services: BTreeMap<EntityId, Service>,
}

impl Batch {
    pub(super) fn put(&mut self, keyspace: &Keyspace, key: &[u8], value: Vec<u8>) {
        self.writes.insert(keyspace, key, Bytes::from(value));
    }

    pub(super) fn delete(&mut self, keyspace: &Keyspace, key: &[u8]) {
        self.writes.remove(keyspace, key);
    }

    /// Has an id lead to a queue.
    pub(super) fn put_id(&mut self, keyspace: &Keyspace, id: &EntityId, recipient: &EntityId) {
        self.put(keyspace, id.as_bytes(), recipient.as_bytes().to_vec());
    }

    pub(super) fn put_queue(&mut self, engine: &Engine, record: &QueueRecord) {
        self.put(&engine.queues, record.recipient.as_bytes(), layout::put_queue(record));
    }

    /// Writes a record that was used today if it changed, be it by that: most operations of a day find the day written.
    pub(super) fn put_used(
        &mut self,
        engine: &Engine,
        record: &mut QueueRecord,
        today: UnixDay,
        is_changed: bool,
    ) {
        if is_changed || record.used_on != today {
            record.used_on = today;
            self.put_queue(engine, record);
        }
    }

    /// Counts less.
    pub(super) fn subtract(&mut self, of: impl Fn(&mut QueueCounts) -> &mut u64, less: u64) -> Result<()> {
        let count = of(&mut self.counts);
        *count = count.checked_sub(less).ok_or(EngineError::Corrupt("meta"))?;
        Ok(())
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl From<fjall::Error> for Stop {
    fn from(error: fjall::Error) -> Self {
        Self::Failed(error.into())
    }
}
