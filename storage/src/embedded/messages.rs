//! Messages of queues.

use smp_core::server::store::{
    Append, Appended, Inspected, MessageContent, Notification, NotifierRef, OpResult, StoredMessage, UnixDay,
    Waiting,
};
use smp_core::wire::{AuthPublicKey, EntityId, MessageId};

use super::engine::{Engine, EngineError, Result, decoded};
use super::executor::{Batch, Executor, Outcome};
use super::layout::{self, Backlog, message_key};

impl Executor<'_> {
    pub(super) fn append(&mut self, append: Append) -> Outcome {
        let engine = self.engine;
        let mut record = self.queue(&append.queue)?;
        record.sender_may_append(append.by.as_ref())?;
        let mut batch = self.batch();
        let used_link = if record.is_secured_messaging() { record.link.take() } else { None };
        batch.put_used(engine, &mut record, append.sent_at.into(), used_link.is_some());
        if let Some(link) = &used_link {
            batch.delete_link(engine, &append.queue, link);
        }
        let backlog = self.backlog(&append.queue)?;
        if backlog.is_some_and(|backlog| !backlog.open) {
            self.commit(batch)?;
            return Ok(OpResult::QuotaExceeded);
        }
        let was_empty = backlog.is_none();
        let backlog =
            backlog.unwrap_or(Backlog { first: 0, count: 0, open: true, first_sent_at: append.sent_at });
        let notifies = append.notification && append.notification_capacity > 0;
        let notifier = record.notifier.as_ref().map(NotifierRef::from).filter(|_| notifies);
        let (queue, notification_capacity) = (append.queue.clone(), append.notification_capacity);
        let (message, is_open) = put_message(&mut batch, engine, backlog, append);
        let notification_lost = is_open && notifier.is_some() && {
            let notification = Notification { message: message.id.clone(), sent_at: message.sent_at };
            self.put_notification(&mut batch, &queue, notification, notification_capacity)?
        };
        self.commit(batch)?;
        if !is_open {
            return Ok(OpResult::QuotaExceeded);
        }
        let message = Waiting { message, secret: record.secret };
        let service = record.service;
        Ok(OpResult::Appended(Appended { was_empty, message, notifier, notification_lost, service }))
    }

    pub(super) fn peek(&mut self, queue: &EntityId, by: Option<&AuthPublicKey>, today: UnixDay) -> Outcome {
        let (record, batch) = self.use_queue(queue, by, today)?;
        let message = self.backlog(queue)?.map(|backlog| self.message(queue, backlog.first)).transpose()?;
        self.commit(batch)?;
        Ok(OpResult::Message(message.map(|message| Waiting { message, secret: record.secret })))
    }

    pub(super) fn acknowledge(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        id: &MessageId,
        today: UnixDay,
    ) -> Outcome {
        let (record, mut batch) = self.use_queue(queue, Some(by), today)?;
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
        let next = next.map(|message| Waiting { message, secret: record.secret });
        Ok(OpResult::Acknowledged { deleted, next })
    }

    pub(super) fn inspect(&self, queue: &EntityId, by: &AuthPublicKey) -> Outcome {
        let record = self.queue(queue)?;
        record.recipient_may_use(Some(by))?;
        let backlog = self.backlog(queue)?;
        Ok(OpResult::Inspected(Inspected {
            secured: record.sender_key.is_some(),
            has_notifier: record.notifier.is_some(),
            messages: backlog.map_or(0, |backlog| backlog.count),
            first: backlog.map(|backlog| self.message(queue, backlog.first)).transpose()?,
        }))
    }

    /// Deletes the oldest message, and returns what is left with the message that is the oldest now. When it fails
    /// the batch is as it was.
    pub(super) fn pop(
        &self,
        batch: &mut Batch,
        queue: &EntityId,
        backlog: Backlog,
    ) -> Result<Option<(Backlog, StoredMessage)>> {
        let first = message_key(queue, backlog.first);
        if backlog.count == 1 {
            batch.subtract(|counts| &mut counts.messages, 1)?;
            batch.delete(&self.engine.messages, &first);
            batch.delete(&self.engine.backlogs, queue.as_bytes());
            return Ok(None);
        }
        let next = self.message(queue, backlog.first + 1)?;
        batch.subtract(|counts| &mut counts.messages, 1)?;
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

    pub(super) fn backlog(&self, queue: &EntityId) -> Result<Option<Backlog>> {
        let bytes = Engine::value(&self.engine.backlogs, queue.as_bytes())?;
        bytes.map(|bytes| decoded("backlogs", Backlog::decode(&bytes))).transpose()
    }

    /// A message that a backlog says is there.
    pub(super) fn message(&self, queue: &EntityId, sequence: u64) -> Result<StoredMessage> {
        let bytes = Engine::value(&self.engine.messages, &message_key(queue, sequence))?;
        decoded("messages", layout::message(&bytes.ok_or(EngineError::Corrupt("messages"))?))
    }
}

/// Adds a message to a backlog, or the marker that it is full. The message, and whether it is not the marker.
fn put_message(
    batch: &mut Batch,
    engine: &Engine,
    mut backlog: Backlog,
    append: Append,
) -> (StoredMessage, bool) {
    backlog.open = backlog.count < append.capacity;
    let content = if backlog.open {
        MessageContent::Message { notification: append.notification, body: append.body }
    } else {
        MessageContent::Quota
    };
    let message = StoredMessage { id: append.id, sent_at: append.sent_at, content };
    let key = message_key(&append.queue, backlog.end());
    batch.put(&engine.messages, &key, layout::put_message(&message));
    backlog.count = backlog.count.saturating_add(1);
    batch.put(&engine.backlogs, append.queue.as_bytes(), backlog.encode());
    batch.counts.messages += 1;
    (message, backlog.open)
}
