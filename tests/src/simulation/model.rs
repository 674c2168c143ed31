//! The naive reference: what queues are according to the operations that took effect, in their order, and when each thing
//! happened. It knows neither connections nor blocks.

mod blocks;
mod effects;
mod services;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use smp_core::UnixTime;
use smp_core::server::ConnectionId;
use smp_core::server::store::{
    Append, MessageContent, OpResult, QueueChange, QueueOp, QueueRecord, QueueStatus, StoredMessage, Waiting,
};
use smp_core::wire::command::LinkData;
use smp_core::wire::error::BlockingInfo;
use smp_core::wire::{AuthPublicKey, EntityId, MessageId, QueueMode, ServiceRole};

/// A place in the log of operations. What has a place below the durable length of the log survives every crash.
pub(super) type Place = usize;

/// What the owners of queues asked for, whether it was answered or not. Nothing else may take effect.
#[derive(Default)]
pub(super) struct Asked {
    /// By their bodies.
    pub(super) sends: BTreeMap<Vec<u8>, Attempt>,
    pub(super) keys: BTreeSet<(EntityId, AuthPublicKey)>,
    pub(super) recipient_keys: BTreeSet<(EntityId, AuthPublicKey)>,
    pub(super) acks: BTreeSet<(EntityId, MessageId)>,
    pub(super) reads: BTreeSet<EntityId>,
    pub(super) offs: BTreeSet<EntityId>,
    pub(super) deletes: BTreeSet<EntityId>,
    /// User data.
    pub(super) links: BTreeSet<(EntityId, Bytes)>,
    pub(super) removed_links: BTreeSet<EntityId>,
    pub(super) notifiers: BTreeSet<(EntityId, AuthPublicKey)>,
    pub(super) removed_notifiers: BTreeSet<EntityId>,
    /// Queues, by the keys of their recipients.
    pub(super) creations: BTreeMap<AuthPublicKey, AskedQueue>,
    /// Queues and notifiers that were to become those of a service.
    pub(super) joins: BTreeSet<(EntityId, EntityId)>,
}

/// What a queue is created with.
pub(super) struct AskedQueue {
    /// The sender id, that of the link unless it is the server's choice, and the data.
    pub(super) link: Option<(EntityId, Option<EntityId>, LinkData)>,
    /// The key of its notifier.
    pub(super) notifier: Option<AuthPublicKey>,
    pub(super) service: Option<EntityId>,
}

impl AskedQueue {
    /// Whether a queue is what was asked for.
    fn is(&self, record: &QueueRecord, data: Option<&LinkData>) -> bool {
        let same_link = match (&self.link, &record.link, data) {
            (Some((sender, id, asked)), Some(link), Some(data)) => {
                record.sender == *sender && id.as_ref().is_none_or(|id| id == link) && asked == data
            }
            (asked, link, data) => asked.is_none() && link.is_none() && data.is_none(),
        };
        same_link
            && record.service == self.service
            && record.notifier.as_ref().map(|notifier| notifier.key) == self.notifier
    }
}

/// A SEND.
pub(super) struct Attempt {
    pub(super) key: Option<AuthPublicKey>,
    /// False for attempts without any right.
    pub(super) has_right: bool,
    /// On which connection it was sent, and after how many other commands.
    pub(super) connection: ConnectionId,
    pub(super) number: u64,
}

struct Queue {
    recipient_keys: Vec<AuthPublicKey>,
    sender_key: Option<AuthPublicKey>,
    mode: Option<QueueMode>,
    status: QueueStatus,
    /// Id, time and whether it is a quota marker.
    messages: Vec<(MessageId, UnixTime, bool)>,
    /// Its last message is a quota marker that was not acknowledged.
    is_full: bool,
    link: Option<(EntityId, LinkData)>,
    notifier: Option<(EntityId, AuthPublicKey)>,
    /// The services that the queue and the notifier are those of.
    service: Option<EntityId>,
    notifier_service: Option<EntityId>,
    /// Messages that its notifier was not told of.
    notifications: Vec<(MessageId, UnixTime)>,
}

/// Queues, and what happened when.
#[derive(Default)]
pub(super) struct Model {
    queues: BTreeMap<EntityId, Queue>,
    sender_ids: BTreeSet<EntityId>,
    pub(super) created: BTreeMap<EntityId, Place>,
    pub(super) deleted: BTreeMap<EntityId, Place>,
    pub(super) secured: BTreeMap<(EntityId, AuthPublicKey), Place>,
    pub(super) recipient_keys: BTreeMap<(EntityId, AuthPublicKey), Place>,
    pub(super) suspended: BTreeMap<EntityId, Place>,
    /// What the operator did to each queue: blocked it, or ended that.
    pub(super) blocks: BTreeMap<EntityId, Vec<(Option<BlockingInfo>, Place)>>,
    /// User data of links.
    pub(super) linked: BTreeMap<(EntityId, Vec<u8>), Place>,
    /// Notifiers, by their ids.
    pub(super) notified: BTreeMap<EntityId, Place>,
    /// Messages of each queue in their order, with their places.
    pub(super) history: BTreeMap<EntityId, Vec<(MessageId, Place)>>,
    /// Messages that were acknowledged or have expired.
    pub(super) gone: BTreeMap<MessageId, Place>,
    pub(super) bodies: BTreeMap<Vec<u8>, Place>,
    pub(super) over_quota: BTreeSet<Vec<u8>>,
    /// Queues with a message whose SEND was said to have failed: nobody hurries to tell their notifiers.
    unheard: BTreeSet<EntityId>,
    /// Services, by their ids, and by the fingerprints of their certificates.
    pub(super) services: BTreeMap<EntityId, Place>,
    certificates: BTreeMap<[u8; 32], (EntityId, ServiceRole)>,
    /// The number of the last message that each connection stored in each queue.
    last_sent: BTreeMap<(EntityId, ConnectionId), u64>,
}

type Verdict = Result<(), String>;

impl Model {
    /// An operation took effect at this place, with this result.
    pub(super) fn apply(&mut self, at: Place, op: &QueueOp, result: &OpResult, asked: &Asked) -> Verdict {
        if let Some(verdict) = self.on_blocked(op, result) {
            return verdict;
        }
        match op {
            QueueOp::Create { record, link } => self.create(at, record, link.as_deref(), result, asked),
            QueueOp::Change { queue, change, .. } => self.change(at, queue, change, result, asked),
            QueueOp::Delete { queue, by } => self.delete(at, queue, by.as_ref(), result, asked),
            QueueOp::Append(append) => self.append(at, append, result, asked),
            QueueOp::Peek { queue, by, .. } => {
                if !self.is_recipient(queue, by.as_ref()) {
                    return refused(result);
                }
                expect(asked.reads.contains(queue), "a queue was read that nobody with the key reads")?;
                let OpResult::Message(first) = result else { return Err("a read was refused".into()) };
                self.expect_first(queue, first.as_ref())
            }
            QueueOp::Subscribe { .. } => self.subscribe(op, result, asked),
            QueueOp::Acknowledge { queue, by, message, .. } => {
                self.acknowledge(at, queue, by, message, result, asked)
            }
            QueueOp::Inspect { queue, by } => match (result, self.queues.get(queue)) {
                (OpResult::Inspected(inspected), Some(state)) if state.recipient_keys.contains(by) => {
                    let same = inspected.messages as usize == state.messages.len()
                        && inspected.secured == state.sender_key.is_some();
                    expect(same, "a wrong answer how full a queue is")
                }
                _ => refused(result),
            },
            QueueOp::Expire { before, after, limit } => {
                let queues = self.queues.iter().filter(|(_, queue)| !queue.messages.is_empty());
                let queues = queues
                    .map(|(id, _)| id.clone())
                    .filter(|id| after.as_ref().is_none_or(|after| id > after));
                for queue in queues.take(*limit as usize).collect::<Vec<_>>() {
                    self.expire(at, &queue, *before);
                }
                Ok(())
            }
            QueueOp::ExpireQueue { queue, before } => {
                self.expire(at, queue, *before);
                Ok(())
            }
            QueueOp::ExpireNotifications { before, after, limit } => {
                self.expire_notifications(*before, after.as_ref(), *limit);
                Ok(())
            }
            QueueOp::Count => Ok(()),
            QueueOp::Block { queue, info } => self.block(at, queue, *info, result),
            QueueOp::FindService { .. } | QueueOp::CountService { .. } | QueueOp::ScanService { .. } => {
                self.service(at, op, result)
            }
            QueueOp::SetLink { .. } | QueueOp::RemoveLink { .. } | QueueOp::ReadLink { .. } => {
                self.link(at, op, result, asked)
            }
            _ => self.notifier(at, op, result, asked),
        }
    }

    fn subscribe(&mut self, op: &QueueOp, result: &OpResult, asked: &Asked) -> Verdict {
        let QueueOp::Subscribe { queue, by, service, peek, .. } = op else { return Ok(()) };
        if !self.is_recipient(queue, Some(by)) {
            return refused(result);
        }
        expect(asked.reads.contains(queue), "a queue was read that nobody with the key reads")?;
        let OpResult::Subscribed { message, has_messages, former } = result else {
            return Err("a subscription was refused".into());
        };
        let is_right = *has_messages == self.first(queue).is_some();
        expect(is_right, "a wrong answer whether there is a message")?;
        if let Some(state) = self.queues.get_mut(queue) {
            let known = std::mem::replace(&mut state.service, service.clone());
            expect(*former == known, "a queue was one of another service")?;
        }
        self.expect_join(queue, service.as_ref(), asked)?;
        if *peek { self.expect_first(queue, message.as_ref()) } else { Ok(()) }
    }

    /// What becomes one of a service was subscribed to by that service.
    fn expect_join(&self, id: &EntityId, service: Option<&EntityId>, asked: &Asked) -> Verdict {
        let is_asked = |service: &EntityId| {
            self.services.contains_key(service) && asked.joins.contains(&(id.clone(), service.clone()))
        };
        expect(service.is_none_or(is_asked), "a stranger's queue became one of a service")
    }

    fn delete(
        &mut self,
        at: Place,
        queue: &EntityId,
        by: Option<&AuthPublicKey>,
        result: &OpResult,
        asked: &Asked,
    ) -> Verdict {
        if !self.is_recipient(queue, by) {
            return refused(result);
        }
        expect(asked.deletes.contains(queue), "a queue was deleted that nobody with the key deleted")?;
        let OpResult::Released { notifier, service } = result else {
            return Err("DEL of the recipient was refused".into());
        };
        let known = self.queues.get(queue).and_then(|queue| queue.service.as_ref());
        expect(service.as_ref() == known, "DEL released another service")?;
        expect(self.is_notifier(queue, notifier.as_ref()), "DEL released another notifier")?;
        for (message, ..) in self.queues.remove(queue).map(|queue| queue.messages).unwrap_or_default() {
            self.gone.insert(message, at);
        }
        self.deleted.insert(queue.clone(), at);
        Ok(())
    }

    fn expire_notifications(&mut self, before: UnixTime, after: Option<&EntityId>, limit: u32) {
        let queues = self.queues.iter_mut().filter(|(_, queue)| !queue.notifications.is_empty());
        let queues = queues.filter(|(id, _)| after.is_none_or(|after| *id > after));
        for (_, queue) in queues.take(limit as usize) {
            let old = queue.notifications.iter().take_while(|(_, at)| *at < before).count();
            queue.notifications.drain(..old);
        }
    }

    /// Whether the queue has no message; also if it is not there.
    pub(super) fn is_empty(&self, queue: &EntityId) -> bool {
        self.first(queue).is_none()
    }

    /// What the queue is for.
    pub(super) fn mode(&self, queue: &EntityId) -> Option<QueueMode> {
        self.queues.get(queue)?.mode
    }

    fn first(&self, queue: &EntityId) -> Option<&MessageId> {
        self.queues.get(queue)?.messages.first().map(|(id, ..)| id)
    }

    fn is_recipient(&self, queue: &EntityId, by: Option<&AuthPublicKey>) -> bool {
        self.queues.get(queue).is_some_and(|queue| by.is_none_or(|by| queue.recipient_keys.contains(by)))
    }

    fn expect_first(&self, queue: &EntityId, first: Option<&Waiting>) -> Verdict {
        expect(
            first.map(|first| &first.message.id) == self.first(queue),
            "a read gave another message than the first",
        )
    }

    fn create(
        &mut self,
        at: Place,
        record: &QueueRecord,
        link: Option<&LinkData>,
        result: &OpResult,
        asked: &Asked,
    ) -> Verdict {
        let by = record.recipient_keys.first().and_then(|key| asked.creations.get(key));
        let by = by.ok_or("a queue was created that nobody asked for")?;
        expect(by.is(record, link), "a queue was created with another link or notifier than asked for")?;
        if let Some(link) = link {
            self.linked.insert((record.recipient.clone(), link.user.to_vec()), at);
        }
        if let Some(notifier) = &record.notifier {
            self.notified.insert(notifier.id.clone(), at);
        }
        let queue = Queue {
            recipient_keys: record.recipient_keys.clone(),
            sender_key: record.sender_key,
            mode: record.mode,
            status: QueueStatus::Active,
            messages: Vec::new(),
            is_full: false,
            link: record.link.clone().zip(link.cloned()),
            notifier: record.notifier.as_ref().map(|notifier| (notifier.id.clone(), notifier.key)),
            service: record.service.clone(),
            notifier_service: None,
            notifications: Vec::new(),
        };
        expect(matches!(result, OpResult::Done), "a queue with new ids was not created")?;
        expect(self.sender_ids.insert(record.sender.clone()), "a sender id was used twice")?;
        let former = self.queues.insert(record.recipient.clone(), queue);
        expect(former.is_none(), "a recipient id was used twice")?;
        self.created.insert(record.recipient.clone(), at);
        Ok(())
    }

    fn change(
        &mut self,
        at: Place,
        id: &EntityId,
        change: &QueueChange,
        result: &OpResult,
        asked: &Asked,
    ) -> Verdict {
        let Some(queue) = self.queues.get_mut(id) else { return refused(result) };
        let (allowed, key) = match change {
            QueueChange::SecureByRecipient { by, key } => (queue.recipient_keys.contains(by), Some(key)),
            QueueChange::SecureBySender { key } => (queue.mode == Some(QueueMode::Messaging), Some(key)),
            QueueChange::Suspend { by } => (queue.recipient_keys.contains(by), None),
            QueueChange::ReplaceRecipientKeys { by, .. } => {
                (queue.recipient_keys.contains(by) && queue.mode == Some(QueueMode::Contact), None)
            }
        };
        if !allowed || key.is_some_and(|key| queue.sender_key.is_some_and(|set| set != *key)) {
            return refused(result);
        }
        expect(matches!(result, OpResult::Done), "an allowed change was refused")?;
        if let Some(key) = key {
            queue.sender_key = Some(*key);
            self.secured.entry((id.clone(), *key)).or_insert(at);
            expect(asked.keys.contains(&(id.clone(), *key)), "a queue was secured with a stranger's key")
        } else if let QueueChange::ReplaceRecipientKeys { keys, .. } = change {
            queue.recipient_keys.clone_from(keys);
            let key = keys.last().ok_or("a queue has no recipient keys")?;
            self.recipient_keys.entry((id.clone(), *key)).or_insert(at);
            expect(asked.recipient_keys.contains(&(id.clone(), *key)), "a stranger became a recipient")
        } else {
            if queue.status == QueueStatus::Active {
                queue.status = QueueStatus::Off;
            }
            self.suspended.entry(id.clone()).or_insert(at);
            expect(asked.offs.contains(id), "a queue was suspended by a stranger")
        }
    }

    fn append(&mut self, at: Place, append: &Append, result: &OpResult, asked: &Asked) -> Verdict {
        let Some(queue) = self.queues.get_mut(&append.queue) else { return refused(result) };
        if queue.status == QueueStatus::Off || queue.sender_key != append.by {
            return refused(result);
        }
        let body = append.body.to_vec();
        let from = asked.sends.get(&body);
        let Some(from) = from.filter(|from| from.has_right && from.key == append.by) else {
            return Err("a stranger's message was stored".into());
        };
        if queue.mode == Some(QueueMode::Messaging) && queue.sender_key.is_some() {
            queue.link = None;
        }
        let last = self.last_sent.insert((append.queue.clone(), from.connection), from.number);
        expect(last < Some(from.number), "messages of one connection were stored in another order")?;
        if queue.is_full && !queue.messages.is_empty() {
            self.over_quota.insert(body);
            return expect(matches!(result, OpResult::QuotaExceeded), "a message went into a full queue");
        }
        queue.is_full = queue.messages.len() >= append.capacity as usize;
        let was_empty = queue.messages.is_empty();
        queue.messages.push((append.id.clone(), append.sent_at, queue.is_full));
        self.history.entry(append.queue.clone()).or_default().push((append.id.clone(), at));
        if queue.is_full {
            self.over_quota.insert(body);
            return expect(matches!(result, OpResult::QuotaExceeded), "a message went over the quota");
        }
        expect(self.bodies.insert(body, at).is_none(), "a message was stored twice")?;
        let OpResult::Appended(appended) = result else { return Err("a message was not stored".into()) };
        let notifier = queue.notifier.as_ref().filter(|_| append.notification).map(|(id, _)| id);
        let is_notified = appended.notifier.as_ref().map(|notifier| &notifier.id) == notifier;
        expect(is_notified, "a message was notified otherwise than asked for")?;
        let of_notifier = appended.notifier.as_ref().and_then(|notifier| notifier.service.as_ref());
        let same = appended.service == queue.service
            && (notifier.is_none() || of_notifier == queue.notifier_service.as_ref());
        expect(same, "a message is for another service")?;
        if notifier.is_some() {
            queue.notifications.push((append.id.clone(), append.sent_at));
            let surplus = queue.notifications.len().saturating_sub(append.notification_capacity as usize);
            queue.notifications.drain(..surplus);
        }
        let is_message =
            matches!(appended.message.message, StoredMessage { content: MessageContent::Message { .. }, .. });
        expect(appended.was_empty == was_empty && is_message, "a message was stored otherwise than sent")
    }

    fn acknowledge(
        &mut self,
        at: Place,
        queue: &EntityId,
        by: &AuthPublicKey,
        message: &MessageId,
        result: &OpResult,
        asked: &Asked,
    ) -> Verdict {
        if !self.is_recipient(queue, Some(by)) {
            return refused(result);
        }
        let OpResult::Acknowledged { deleted, next } = result else {
            return Err("an acknowledgement was refused".into());
        };
        let Some(state) = self.queues.get_mut(queue) else { return refused(result) };
        let first = state.messages.first().filter(|(id, ..)| id == message).cloned();
        expect(
            *deleted == first.as_ref().map(|(.., marker)| *marker),
            "an acknowledgement of another message",
        )?;
        if let Some((id, ..)) = first {
            expect(asked.acks.contains(&(queue.clone(), id.clone())), "a stranger acknowledged a message")?;
            state.messages.remove(0);
            self.gone.insert(id, at);
        }
        self.expect_first(queue, next.as_ref())
    }

    fn expire(&mut self, at: Place, queue: &EntityId, before: UnixTime) {
        let Some(queue) = self.queues.get_mut(queue) else { return };
        while queue.messages.first().is_some_and(|(_, sent_at, _)| *sent_at < before) {
            self.gone.insert(queue.messages.remove(0).0, at);
        }
    }
}

fn expect(holds: bool, otherwise: &str) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn refused(result: &OpResult) -> Verdict {
    expect(matches!(result, OpResult::Unauthorized), "a command without the right took effect")
}
