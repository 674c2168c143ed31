//! The vocabulary carried out in memory: the reference for every other store, and the store of throw-away servers.

mod links;
mod notifiers;
mod services;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use super::{
    Append, Appended, Inspected, MessageContent, Notification, NotifierRef, OpResult, QueueChange,
    QueueCounts, QueueKey, QueueOp, QueueRecord, Refusal, StoredMessage, UnixDay, Waiting,
};
use crate::time::UnixTime;
use crate::wire::command::LinkData;
use crate::wire::{AuthPublicKey, EntityId, MessageId, ServiceRole};
use services::Service;

/// Queues and messages in memory. Never fails; holds nothing over a restart.
#[derive(Default)]
pub struct MemoryStore {
    queues: BTreeMap<EntityId, Queue>,
    /// Sender id to recipient id.
    senders: BTreeMap<EntityId, EntityId>,
    /// Link id to recipient id.
    links: BTreeMap<EntityId, EntityId>,
    /// Notifier id to recipient id.
    notifiers: BTreeMap<EntityId, EntityId>,
    services: BTreeMap<EntityId, Service>,
    /// Fingerprint of a certificate to service id.
    certificates: BTreeMap<[u8; 32], EntityId>,
    messages: u64,
    notifications: u64,
}

struct Queue {
    record: QueueRecord,
    link: Option<LinkData>,
    messages: VecDeque<StoredMessage>,
    notifications: VecDeque<Notification>,
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
            QueueKey::Link(id) => self.links.get(id)?,
            QueueKey::Notifier(id) => self.notifiers.get(id)?,
        };
        self.queues.get(recipient).map(|queue| queue.record.clone())
    }

    fn run_one(&mut self, op: QueueOp) -> OpResult {
        self.try_one(op).unwrap_or_else(OpResult::from)
    }

    fn try_one(&mut self, op: QueueOp) -> Result<OpResult, Refusal> {
        Ok(match op {
            QueueOp::Create { record, link } => self.create(*record, link.map(|link| *link))?,
            QueueOp::Change { queue, change, today } => self.change(&queue, change, today)?,
            QueueOp::SetLink { queue, by, link, data, today } => {
                self.set_link(&queue, &by, link, *data, today)?
            }
            QueueOp::RemoveLink { queue, by, today } => self.remove_link(&queue, &by, today)?,
            QueueOp::ReadLink { queue, link, secure, today } => {
                self.read_link(&queue, &link, secure, today)?
            }
            QueueOp::SetNotifier { queue, by, notifier, today } => {
                self.set_notifier(&queue, &by, Some(*notifier), today)?
            }
            QueueOp::RemoveNotifier { queue, by, today } => self.set_notifier(&queue, &by, None, today)?,
            QueueOp::SubscribeNotifier { queue, notifier, by, service } => {
                self.subscribe_notifier(&queue, &notifier, &by, service)?
            }
            QueueOp::TakeNotifications { queue, notifier, limit } => {
                self.take_notifications(&queue, &notifier, limit)?
            }
            QueueOp::FindService { fingerprint, role, id, capacity } => {
                self.find_service(fingerprint, role, id, capacity)?
            }
            QueueOp::CountService { service } => self.count_service(&service)?,
            QueueOp::ScanService { service, after, limit } => self.scan_service(&service, after, limit)?,
            QueueOp::Block { queue, info } => {
                let record = &mut self.queue(&queue)?.record;
                record.block(info);
                OpResult::Moderated { service: record.service.clone() }
            }
            QueueOp::Delete { queue, by } => self.delete(&queue, by.as_ref())?,
            QueueOp::Append(append) => self.append(*append)?,
            QueueOp::Peek { queue, by, today } => {
                OpResult::Message(self.used_queue(&queue, by.as_ref(), today)?.first())
            }
            QueueOp::Subscribe { queue, by, service, peek, today } => {
                self.subscribe(&queue, &by, service, peek, today)?
            }
            QueueOp::Acknowledge { queue, by, message, today } => {
                self.acknowledge(&queue, &by, &message, today)?
            }
            QueueOp::Inspect { queue, by } => {
                let queue = self.queue(&queue)?;
                queue.record.recipient_may_use(Some(&by))?;
                OpResult::Inspected(queue.inspect())
            }
            QueueOp::Expire { before, after, limit } => self.expire(before, after, limit),
            QueueOp::ExpireQueue { queue, before } => self.expire_queue(&queue, before),
            QueueOp::ExpireNotifications { before, after, limit } => {
                self.expire_notifications(before, after, limit)
            }
            QueueOp::Count => OpResult::Counts(self.counts()),
        })
    }

    fn counts(&self) -> QueueCounts {
        let (messaging_services, messaging_service_queues) = self.service_counts(ServiceRole::Messaging);
        let (notifier_services, notifier_service_queues) = self.service_counts(ServiceRole::Notifier);
        QueueCounts {
            queues: self.queues.len() as u64,
            messages: self.messages,
            notifiers: self.notifiers.len() as u64,
            notifications: self.notifications,
            services: self.services.len() as u64,
            messaging_services,
            messaging_service_queues,
            notifier_services,
            notifier_service_queues,
        }
    }

    /// The empty id means "none" on the wire and names nothing, so it is never free.
    fn create(&mut self, mut record: QueueRecord, link: Option<LinkData>) -> Result<OpResult, Refusal> {
        let (link_id, link) = record.link.take().zip(link).unzip();
        let notifier = record.notifier.as_ref().map(NotifierRef::from);
        if record.recipient.is_empty()
            || self.queues.contains_key(&record.recipient)
            || is_taken(&self.senders, &record.sender)
            || link_id.as_ref().is_some_and(|id| is_taken(&self.links, id))
            || notifier.as_ref().is_some_and(|notifier| is_taken(&self.notifiers, &notifier.id))
        {
            return Ok(OpResult::IdTaken);
        }
        let notifier_service = notifier.as_ref().and_then(|notifier| notifier.service.as_ref());
        self.may_join(record.service.as_ref(), ServiceRole::Messaging)?;
        self.may_join(notifier_service, ServiceRole::Notifier)?;
        let recipient = record.recipient.clone();
        self.senders.insert(record.sender.clone(), recipient.clone());
        link_id.iter().for_each(|id| _ = self.links.insert(id.clone(), recipient.clone()));
        record.link = link_id;
        self.join_service(record.service.as_ref(), &recipient, &recipient);
        if let Some(notifier) = notifier {
            self.join_service(notifier.service.as_ref(), &recipient, &notifier.id);
            self.notifiers.insert(notifier.id, recipient.clone());
        }
        let queue = Queue {
            record,
            link: link.as_ref().map(links::detached),
            messages: VecDeque::new(),
            notifications: VecDeque::new(),
            open: true,
        };
        self.queues.insert(recipient, queue);
        Ok(OpResult::Done)
    }

    fn change(&mut self, queue: &EntityId, change: QueueChange, today: UnixDay) -> Result<OpResult, Refusal> {
        let queue = self.queue(queue)?;
        queue.record.apply(change)?;
        queue.record.used_on = today;
        Ok(OpResult::Done)
    }

    fn delete(&mut self, id: &EntityId, by: Option<&AuthPublicKey>) -> Result<OpResult, Refusal> {
        let record = &self.queue(id)?.record;
        if by.is_some_and(|by| !record.is_recipient(by)) {
            return Err(Refusal::Unauthorized);
        }
        let Some(queue) = self.queues.remove(id) else { return Err(Refusal::Unauthorized) };
        let notifier = queue.record.notifier.as_ref().map(NotifierRef::from);
        let service = queue.record.service;
        self.senders.remove(&queue.record.sender);
        queue.record.link.iter().for_each(|id| _ = self.links.remove(id));
        self.leave_service(service.as_ref(), id, id);
        if let Some(notifier) = &notifier {
            self.notifiers.remove(&notifier.id);
            self.leave_service(notifier.service.as_ref(), id, &notifier.id);
        }
        self.messages -= queue.messages.len() as u64;
        self.notifications -= queue.notifications.len() as u64;
        Ok(OpResult::Released { notifier, service })
    }

    fn append(&mut self, append: Append) -> Result<OpResult, Refusal> {
        let queue = self.queue(&append.queue)?;
        queue.record.sender_may_append(append.by.as_ref())?;
        queue.record.used_on = append.sent_at.into();
        let used_link = queue.record.is_secured_messaging().then(|| queue.take_link()).flatten();
        let result = self.append_message(append);
        used_link.iter().for_each(|link| _ = self.links.remove(link));
        result
    }

    fn append_message(&mut self, append: Append) -> Result<OpResult, Refusal> {
        let queue = self.queue(&append.queue)?;
        let was_empty = queue.messages.is_empty();
        let notifies = append.notification && append.notification_capacity > 0;
        if !queue.open && !was_empty {
            return Ok(OpResult::QuotaExceeded);
        }
        queue.open = queue.messages.len() < append.capacity as usize;
        let content = if queue.open {
            MessageContent::Message { notification: append.notification, body: append.body }
        } else {
            MessageContent::Quota
        };
        let message = StoredMessage { id: append.id, sent_at: append.sent_at, content };
        queue.messages.push_back(message.clone());
        let mut result = if queue.open {
            let notifier = queue.record.notifier.as_ref().filter(|_| notifies);
            let notifier = notifier.map(NotifierRef::from);
            let message = Waiting { message, secret: queue.record.secret.clone() };
            let service = queue.record.service.clone();
            OpResult::Appended(Appended { was_empty, message, notifier, notification_lost: false, service })
        } else {
            OpResult::QuotaExceeded
        };
        self.messages += 1;
        if let OpResult::Appended(Appended { message, notifier: Some(_), notification_lost, .. }) =
            &mut result
        {
            let notification =
                Notification { message: message.message.id.clone(), sent_at: message.message.sent_at };
            *notification_lost = self.notify(&append.queue, notification, append.notification_capacity)?;
        }
        Ok(result)
    }

    fn acknowledge(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        id: &MessageId,
        today: UnixDay,
    ) -> Result<OpResult, Refusal> {
        let queue = self.used_queue(queue, Some(by), today)?;
        let deleted = match queue.messages.front() {
            Some(first) if first.id == *id => Some(first.content == MessageContent::Quota),
            _ => None,
        };
        if deleted.is_some() {
            queue.messages.pop_front();
        }
        let next = queue.first();
        self.messages -= u64::from(deleted.is_some());
        Ok(OpResult::Acknowledged { deleted, next })
    }

    fn expire(&mut self, before: UnixTime, after: Option<EntityId>, limit: u32) -> OpResult {
        let (deleted, next) =
            self.visit(after, limit, |queue| (!queue.messages.is_empty()).then(|| queue.expire(before)));
        self.messages -= deleted;
        OpResult::Expired { deleted, next }
    }

    fn expire_queue(&mut self, queue: &EntityId, before: UnixTime) -> OpResult {
        let deleted = self.queues.get_mut(queue).map_or(0, |queue| queue.expire(before));
        self.messages -= deleted;
        OpResult::Expired { deleted, next: None }
    }

    /// Visits queues that `expire` has something to do with: what it deleted of them, and where to go on.
    fn visit(
        &mut self,
        after: Option<EntityId>,
        limit: u32,
        mut expire: impl FnMut(&mut Queue) -> Option<u64>,
    ) -> (u64, Option<EntityId>) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut deleted, mut visited) = (0, 0);
        for (id, queue) in self.queues.range_mut((start, Bound::Unbounded)) {
            let Some(count) = expire(queue) else { continue };
            deleted += count;
            visited += 1;
            if visited >= limit {
                return (deleted, Some(id.clone()));
            }
        }
        (deleted, None)
    }

    fn queue(&mut self, queue: &EntityId) -> Result<&mut Queue, Refusal> {
        self.queues.get_mut(queue).ok_or(Refusal::Unauthorized)
    }

    /// The queue, if `by`, where it is given, may use it. It counts as used today.
    fn used_queue(
        &mut self,
        queue: &EntityId,
        by: Option<&AuthPublicKey>,
        today: UnixDay,
    ) -> Result<&mut Queue, Refusal> {
        let queue = self.queue(queue)?;
        queue.record.recipient_may_use(by)?;
        queue.record.used_on = today;
        Ok(queue)
    }
}

/// Whether an id of this kind leads to a queue, or can lead nowhere.
fn is_taken(ids: &BTreeMap<EntityId, EntityId>, id: &EntityId) -> bool {
    id.is_empty() || ids.contains_key(id)
}

impl Queue {
    fn first(&self) -> Option<Waiting> {
        let message = self.messages.front()?.clone();
        Some(Waiting { message, secret: self.record.secret.clone() })
    }

    fn inspect(&self) -> Inspected {
        Inspected {
            secured: self.record.sender_key.is_some(),
            has_notifier: self.record.notifier.is_some(),
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
