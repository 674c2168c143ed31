//! Notifiers and the notifications that wait for them.

use super::{MemoryStore, Queue, is_taken};
use crate::server::store::{
    Notification, NotifierRecord, NotifierRef, OpResult, PendingNotifications, Refusal, UnixDay,
};
use crate::time::UnixTime;
use crate::wire::{AuthPublicKey, EntityId, ServiceRole};

impl MemoryStore {
    pub(super) fn set_notifier(
        &mut self,
        id: &EntityId,
        by: &AuthPublicKey,
        notifier: Option<NotifierRecord>,
        today: UnixDay,
    ) -> Result<OpResult, Refusal> {
        self.queue(id)?.record.recipient_may_use(Some(by))?;
        if notifier.as_ref().is_some_and(|notifier| is_taken(&self.notifiers, &notifier.id)) {
            return Ok(OpResult::IdTaken);
        }
        let new = notifier.as_ref().map(NotifierRef::from);
        let service = new.as_ref().and_then(|new| new.service.as_ref());
        self.may_join(service, ServiceRole::Notifier)?;
        let queue = self.used_queue(id, Some(by), today)?;
        let former = core::mem::replace(&mut queue.record.notifier, notifier);
        let former = former.as_ref().map(NotifierRef::from);
        let waiting = core::mem::take(&mut queue.notifications).len();
        self.notifications -= waiting as u64;
        if let Some(former) = &former {
            self.notifiers.remove(&former.id);
            self.leave_service(former.service.as_ref(), id, &former.id);
        }
        if let Some(new) = new {
            self.join_service(new.service.as_ref(), id, &new.id);
            self.notifiers.insert(new.id, id.clone());
        }
        Ok(OpResult::Released { notifier: former, service: None })
    }

    pub(super) fn take_notifications(
        &mut self,
        queue: &EntityId,
        notifier: &EntityId,
        limit: u32,
    ) -> Result<OpResult, Refusal> {
        let queue = self.queue(queue)?;
        queue.record.notifier_may_use(notifier, None)?;
        let secret = queue.record.notifier.as_ref().map(|notifier| notifier.secret.clone());
        let secret = secret.ok_or(Refusal::Unauthorized)?;
        let count = queue.notifications.len().min(limit as usize);
        let notifications: Vec<_> = queue.notifications.drain(..count).collect();
        let more = !queue.notifications.is_empty();
        self.notifications -= notifications.len() as u64;
        Ok(OpResult::Notifications(PendingNotifications { notifications, secret, more }))
    }

    pub(super) fn expire_notifications(
        &mut self,
        before: UnixTime,
        after: Option<EntityId>,
        limit: u32,
    ) -> OpResult {
        let (deleted, next) = self.visit(after, limit, |queue| {
            (!queue.notifications.is_empty()).then(|| queue.expire_notifications(before))
        });
        self.notifications -= deleted;
        OpResult::Expired { deleted, next }
    }

    /// Has a notification wait. When too many do, the oldest goes, which is told.
    pub(super) fn notify(
        &mut self,
        queue: &EntityId,
        notification: Notification,
        capacity: u32,
    ) -> Result<bool, Refusal> {
        let queue = self.queue(queue)?;
        queue.notifications.push_back(notification);
        let surplus = queue.notifications.len().saturating_sub(capacity as usize);
        queue.notifications.drain(..surplus);
        self.notifications = self.notifications + 1 - surplus as u64;
        Ok(surplus > 0)
    }
}

impl Queue {
    fn expire_notifications(&mut self, before: UnixTime) -> u64 {
        let old = self.notifications.iter().take_while(|waiting| waiting.sent_at < before).count();
        self.notifications.drain(..old);
        old as u64
    }
}
