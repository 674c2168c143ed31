//! Notifiers and the notifications that wait for them.

use smp_core::server::store::{
    Notification, NotifierRecord, NotifierRef, OpResult, PendingNotifications, Refusal, UnixDay,
};
use smp_core::wire::{AuthPublicKey, EntityId, ServiceRole};

use super::engine::{Engine, Result, decoded};
use super::executor::{Batch, Executor, Outcome, is_taken};
use super::layout;

impl Executor<'_> {
    /// Sets a notifier in place of the former, or none.
    pub(super) fn set_notifier(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        notifier: Option<NotifierRecord>,
        today: UnixDay,
    ) -> Outcome {
        let engine = self.engine;
        let mut record = self.queue(queue)?;
        record.recipient_may_use(Some(by))?;
        let mut batch = self.batch();
        if let Some(new) = &notifier {
            if is_taken(&engine.notifiers, &new.id)? {
                return Ok(OpResult::IdTaken);
            }
            batch.put_id(&engine.notifiers, &new.id, queue);
            batch.counts.notifiers += 1;
        }
        let new = notifier.as_ref().map(NotifierRef::from);
        let is_changed = record.notifier.is_some() || notifier.is_some();
        let former = std::mem::replace(&mut record.notifier, notifier).as_ref().map(NotifierRef::from);
        if let Some(former) = &former {
            self.delete_notifier(&mut batch, queue, former)?;
        }
        // After the former has left: both may be of one service, which has one entry for the queue.
        if let Some(new) = &new {
            let service = (new.service.as_ref(), ServiceRole::Notifier);
            self.join_service(&mut batch, service, queue, &new.id)?;
        }
        batch.put_used(engine, &mut record, today, is_changed);
        self.commit(batch)?;
        Ok(OpResult::Released { notifier: former, service: None })
    }

    pub(super) fn subscribe_notifier(
        &mut self,
        queue: &EntityId,
        notifier: &EntityId,
        by: &AuthPublicKey,
        service: Option<EntityId>,
    ) -> Outcome {
        let mut record = self.queue(queue)?;
        record.notifier_may_use(notifier, Some(by))?;
        let has_notifications = self.engine.notifications.contains_key(queue.as_bytes())?;
        let known = record.notifier.as_mut().ok_or(Refusal::Unauthorized)?;
        let former = std::mem::replace(&mut known.service, service.clone());
        if former != service {
            let mut batch = self.batch();
            self.leave_service(&mut batch, former.as_ref(), queue, notifier)?;
            self.join_service(&mut batch, (service.as_ref(), ServiceRole::Notifier), queue, notifier)?;
            batch.put_queue(self.engine, &record);
            self.commit(batch)?;
        }
        Ok(OpResult::NotifierSubscribed { has_notifications, former })
    }

    pub(super) fn take_notifications(
        &mut self,
        queue: &EntityId,
        notifier: &EntityId,
        limit: u32,
    ) -> Outcome {
        let record = self.queue(queue)?;
        record.notifier_may_use(notifier, None)?;
        let secret = record.notifier.ok_or(Refusal::Unauthorized)?.secret;
        let mut notifications = self.notifications(queue)?;
        let count = notifications.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        let rest = notifications.split_off(count);
        let mut batch = self.batch();
        if count > 0 {
            self.put_rest(&mut batch, queue, &rest, count)?;
        }
        self.commit(batch)?;
        let more = !rest.is_empty();
        Ok(OpResult::Notifications(PendingNotifications { notifications, secret, more }))
    }

    /// Has a notification wait. When too many do, the oldest go, which is told.
    pub(super) fn put_notification(
        &self,
        batch: &mut Batch,
        queue: &EntityId,
        notification: Notification,
        capacity: u32,
    ) -> Result<bool> {
        let mut notifications = self.notifications(queue)?;
        notifications.push(notification);
        batch.counts.notifications += 1;
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let surplus = notifications.len().saturating_sub(capacity);
        self.put_rest(batch, queue, &notifications[surplus..], surplus)?;
        Ok(surplus > 0)
    }

    /// Deletes the way from a notifier to its queue, and what waits for it.
    pub(super) fn delete_notifier(
        &self,
        batch: &mut Batch,
        queue: &EntityId,
        notifier: &NotifierRef,
    ) -> Result<()> {
        batch.delete(&self.engine.notifiers, notifier.id.as_bytes());
        self.leave_service(batch, notifier.service.as_ref(), queue, &notifier.id)?;
        batch.subtract(|counts| &mut counts.notifiers, 1)?;
        match self.notifications(queue)?.len() {
            0 => Ok(()),
            waiting => self.put_rest(batch, queue, &[], waiting),
        }
    }

    /// Writes the notifications that are left of a queue when the `deleted` oldest are not.
    pub(super) fn put_rest(
        &self,
        batch: &mut Batch,
        queue: &EntityId,
        rest: &[Notification],
        deleted: usize,
    ) -> Result<()> {
        let (keyspace, key) = (&self.engine.notifications, queue.as_bytes());
        if rest.is_empty() {
            batch.delete(keyspace, key);
        } else {
            batch.put(keyspace, key, layout::put_notifications(rest));
        }
        batch.subtract(|counts| &mut counts.notifications, deleted as u64)
    }

    /// The notifications that wait for the notifier of a queue.
    fn notifications(&self, queue: &EntityId) -> Result<Vec<Notification>> {
        let bytes = Engine::value(&self.engine.notifications, queue.as_bytes())?;
        bytes.map_or(Ok(Vec::new()), |bytes| decoded("notifications", layout::notifications(&bytes)))
    }
}
