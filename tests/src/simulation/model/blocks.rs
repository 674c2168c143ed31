//! What blocked queues are according to the operations that took effect.

use smp_core::server::store::{OpResult, QueueChange, QueueOp, QueueStatus};
use smp_core::wire::error::BlockingInfo;
use smp_core::wire::{EntityId, QueueMode};

use super::{Model, Place, Queue, Verdict, expect, refused};

impl Model {
    pub(in crate::simulation) fn is_blocked(&self, queue: &EntityId) -> bool {
        self.queues.get(queue).is_some_and(|queue| matches!(queue.status, QueueStatus::Blocked(_)))
    }

    /// The operator blocks a queue, or ends that.
    pub(super) fn block(
        &mut self,
        at: Place,
        id: &EntityId,
        info: Option<BlockingInfo>,
        result: &OpResult,
    ) -> Verdict {
        let Some(queue) = self.queues.get_mut(id) else { return refused(result) };
        match (info, queue.status) {
            (Some(info), _) => queue.status = QueueStatus::Blocked(info),
            (None, QueueStatus::Blocked(_)) => queue.status = QueueStatus::Active,
            (None, _) => {}
        }
        self.blocks.entry(id.clone()).or_default().push((info, at));
        expect(matches!(result, OpResult::Moderated { .. }), "the operator was refused")
    }

    /// The verdict on an operation with the right to it on a queue that is blocked; nothing on others.
    pub(super) fn on_blocked(&self, op: &QueueOp, result: &OpResult) -> Option<Verdict> {
        let (queue, has_right) = self.right(op)?;
        let QueueStatus::Blocked(info) = queue.status else { return None };
        let is_told = matches!(result, OpResult::Blocked(told) if *told == info);
        has_right.then(|| expect(is_told, "a blocked queue was used"))
    }

    /// What an operation that the operator may forbid is about, and whether it is allowed otherwise.
    fn right(&self, op: &QueueOp) -> Option<(&Queue, bool)> {
        let (id, by) = match op {
            QueueOp::SetLink { queue, by, .. }
            | QueueOp::RemoveLink { queue, by, .. }
            | QueueOp::SetNotifier { queue, by, .. }
            | QueueOp::RemoveNotifier { queue, by, .. }
            | QueueOp::Subscribe { queue, by, .. }
            | QueueOp::Acknowledge { queue, by, .. }
            | QueueOp::Inspect { queue, by }
            | QueueOp::Change { queue, change: QueueChange::SecureByRecipient { by, .. }, .. }
            | QueueOp::Change { queue, change: QueueChange::ReplaceRecipientKeys { by, .. }, .. } => {
                (queue, Some(by))
            }
            QueueOp::Peek { queue, by, .. } => (queue, by.as_ref()),
            _ => return self.right_of_sender(op),
        };
        let queue = self.queues.get(id)?;
        Some((queue, by.is_none_or(|by| queue.recipient_keys.contains(by))))
    }

    fn right_of_sender(&self, op: &QueueOp) -> Option<(&Queue, bool)> {
        let may_secure = |queue: &Queue, key| {
            queue.mode == Some(QueueMode::Messaging) && queue.sender_key.is_none_or(|set| set == key)
        };
        match op {
            QueueOp::Change { queue, change: QueueChange::SecureBySender { key }, .. } => {
                let queue = self.queues.get(queue)?;
                Some((queue, may_secure(queue, *key)))
            }
            QueueOp::ReadLink { queue, link, secure, .. } => {
                let queue = self.queues.get(queue)?;
                let is_there = queue.link.as_ref().is_some_and(|(id, _)| id == link);
                let may_read = match (secure, queue.mode) {
                    (Some(key), _) => may_secure(queue, *key),
                    (None, Some(mode)) => mode == QueueMode::Contact,
                    (None, None) => queue.sender_key.is_none(),
                };
                Some((queue, is_there && may_read))
            }
            QueueOp::Append(append) => {
                let queue = self.queues.get(&append.queue)?;
                Some((queue, queue.sender_key == append.by))
            }
            _ => None,
        }
    }
}
