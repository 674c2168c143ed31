//! What links and notifiers are according to the operations that took effect.

use smp_core::server::store::{NotifierRef, OpResult, QueueOp};
use smp_core::wire::{EntityId, QueueMode};

use super::{Asked, Model, Place, Verdict, expect, refused};

impl Model {
    /// How many notifications wait for a notifier that should have been told.
    pub(in crate::simulation) fn notifications(&self, notifier: &EntityId) -> usize {
        let has = |(id, _): &(EntityId, _)| id == notifier;
        let mut queues = self.queues.iter().filter(|(id, _)| !self.unheard.contains(*id));
        let queue = queues.find(|(_, queue)| queue.notifier.as_ref().is_some_and(has));
        queue.map_or(0, |(_, queue)| queue.notifications.len())
    }

    /// An operation took effect, and the server does not know.
    pub(in crate::simulation) fn reply_lost(&mut self, op: &QueueOp) {
        if let QueueOp::Append(append) = op {
            self.unheard.insert(append.queue.clone());
        }
    }

    /// Whether this is what the queue has for a notifier.
    pub(super) fn is_notifier(&self, queue: &EntityId, notifier: Option<&NotifierRef>) -> bool {
        let Some(queue) = self.queues.get(queue) else { return false };
        let own = queue.notifier.as_ref().map(|(id, _)| (id, queue.notifier_service.as_ref()));
        notifier.map(|notifier| (&notifier.id, notifier.service.as_ref())) == own
    }

    pub(super) fn link(&mut self, at: Place, op: &QueueOp, result: &OpResult, asked: &Asked) -> Verdict {
        match op {
            QueueOp::SetLink { queue, by, link, data, .. } => {
                let Some(state) = self.queues.get_mut(queue) else { return refused(result) };
                let is_free =
                    state.link.as_ref().is_none_or(|(id, known)| id == link && known.fixed == data.fixed);
                let is_secured = state.mode == Some(QueueMode::Messaging) && state.sender_key.is_some();
                if !state.recipient_keys.contains(by) || !is_free || is_secured {
                    return refused(result);
                }
                expect(matches!(result, OpResult::Done), "LSET of the recipient was refused")?;
                let key = (queue.clone(), data.user.clone());
                expect(asked.links.contains(&key), "a stranger set the data of a link")?;
                state.link = Some((link.clone(), (**data).clone()));
                self.linked.entry((queue.clone(), data.user.to_vec())).or_insert(at);
                Ok(())
            }
            QueueOp::RemoveLink { queue, by, .. } => {
                let Some(state) = self.queues.get_mut(queue) else { return refused(result) };
                if !state.recipient_keys.contains(by) {
                    return refused(result);
                }
                expect(asked.removed_links.contains(queue), "a stranger removed a link")?;
                state.link = None;
                expect(matches!(result, OpResult::Done), "LDEL of the recipient was refused")
            }
            QueueOp::ReadLink { queue, link, secure, .. } => {
                let Some(state) = self.queues.get_mut(queue) else { return refused(result) };
                let data = state.link.as_ref().filter(|(id, _)| id == link).map(|(_, data)| data.clone());
                let is_allowed = match (secure, state.mode) {
                    (Some(key), Some(QueueMode::Messaging)) => state.sender_key.is_none_or(|set| set == *key),
                    (None, Some(QueueMode::Contact)) => true,
                    (None, None) => state.sender_key.is_none(),
                    _ => false,
                };
                let Some(data) = data.filter(|_| is_allowed) else { return refused(result) };
                if let Some(key) = secure {
                    state.sender_key = Some(*key);
                    self.secured.entry((queue.clone(), *key)).or_insert(at);
                    let is_asked = asked.keys.contains(&(queue.clone(), *key));
                    expect(is_asked, "a queue was secured with a stranger's key")?;
                }
                let is_same = matches!(result, OpResult::Link { data: read, .. } if **read == data);
                expect(is_same, "a link was read otherwise than set")
            }
            _ => Err("an operation that nobody asked for".into()),
        }
    }

    pub(super) fn notifier(&mut self, at: Place, op: &QueueOp, result: &OpResult, asked: &Asked) -> Verdict {
        let (queue, by, new) = match op {
            QueueOp::SetNotifier { queue, by, notifier, .. } => (queue, by, Some(notifier)),
            QueueOp::RemoveNotifier { queue, by, .. } => (queue, by, None),
            QueueOp::SubscribeNotifier { queue, notifier, by, service } => {
                let state = self.queues.get_mut(queue).filter(|queue| {
                    queue.notifier.as_ref().is_some_and(|(id, key)| id == notifier && key == by)
                });
                let Some(state) = state else { return refused(result) };
                let waits = !state.notifications.is_empty();
                let known = std::mem::replace(&mut state.notifier_service, service.clone());
                let is_right = matches!(result,
                    OpResult::NotifierSubscribed { has_notifications, former }
                        if *has_notifications == waits && *former == known);
                expect(is_right, "NSUB found other notifications, or another service")?;
                return self.expect_join(notifier, service.as_ref(), asked);
            }
            QueueOp::TakeNotifications { queue, notifier, limit } => {
                return self.take_notifications((queue, notifier), *limit, result);
            }
            _ => return Err("an operation that nobody asked for".into()),
        };
        if !self.is_recipient(queue, Some(by)) {
            return refused(result);
        }
        let OpResult::Released { notifier: former, service: None } = result else {
            return Err("NKEY or NDEL of the recipient was refused".into());
        };
        expect(self.is_notifier(queue, former.as_ref()), "another notifier was replaced")?;
        let is_asked = match new {
            Some(new) => asked.notifiers.contains(&(queue.clone(), new.key)),
            None => asked.removed_notifiers.contains(queue),
        };
        expect(is_asked, "a stranger changed a notifier")?;
        if let Some(new) = new {
            self.notified.insert(new.id.clone(), at);
        }
        if let Some(state) = self.queues.get_mut(queue) {
            state.notifier = new.map(|new| (new.id.clone(), new.key));
            state.notifier_service = None;
            state.notifications.clear();
        }
        Ok(())
    }

    fn take_notifications(
        &mut self,
        (queue, notifier): (&EntityId, &EntityId),
        limit: u32,
        result: &OpResult,
    ) -> Verdict {
        let of_notifier = |id: &EntityId| id == notifier;
        let state = self.queues.get_mut(queue);
        let state = state.filter(|queue| queue.notifier.as_ref().is_some_and(|(id, _)| of_notifier(id)));
        let Some(state) = state else { return refused(result) };
        let count = state.notifications.len().min(limit as usize);
        let taken: Vec<_> = state.notifications.drain(..count).collect();
        let OpResult::Notifications(pending) = result else {
            return Err("notifications could not be taken".into());
        };
        let same = pending.notifications.iter().map(|one| (one.message.clone(), one.sent_at)).eq(taken);
        expect(same && pending.more != state.notifications.is_empty(), "other notifications were taken")
    }
}
