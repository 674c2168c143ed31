//! Services: who they are, and which queues or notifiers are theirs.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::MemoryStore;
use crate::server::store::{OpResult, Refusal, UnixDay, set_of};
use crate::wire::{AuthPublicKey, EntityId, QueueSet, ServiceRole};

/// A service.
pub(super) struct Service {
    pub(super) role: ServiceRole,
    /// Recipient ids of its queues, or of those whose notifiers are its own.
    pub(super) queues: BTreeSet<EntityId>,
    pub(super) set: QueueSet,
}

impl MemoryStore {
    pub(super) fn find_service(
        &mut self,
        fingerprint: [u8; 32],
        role: ServiceRole,
        id: EntityId,
        capacity: u64,
    ) -> Result<OpResult, Refusal> {
        if let Some(known) = self.certificates.get(&fingerprint) {
            let same_role = self.services.get(known).is_some_and(|service| service.role == role);
            return if same_role { Ok(OpResult::Service(known.clone())) } else { Err(Refusal::Unauthorized) };
        }
        if id.is_empty() || self.services.contains_key(&id) {
            return Ok(OpResult::IdTaken);
        }
        if self.services.len() as u64 >= capacity {
            return Ok(OpResult::QuotaExceeded);
        }
        self.certificates.insert(fingerprint, id.clone());
        let service = Service { role, queues: BTreeSet::new(), set: QueueSet::EMPTY };
        self.services.insert(id.clone(), service);
        Ok(OpResult::Service(id))
    }

    pub(super) fn count_service(&self, service: &EntityId) -> Result<OpResult, Refusal> {
        let service = self.services.get(service).ok_or(Refusal::Unauthorized)?;
        Ok(OpResult::ServiceQueues(service.set))
    }

    pub(super) fn scan_service(
        &self,
        id: &EntityId,
        after: Option<EntityId>,
        limit: u32,
    ) -> Result<OpResult, Refusal> {
        let service = self.services.get(id).ok_or(Refusal::Unauthorized)?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = service.queues.range((start, Bound::Unbounded));
        let visited: Vec<_> = rest.by_ref().take(limit.max(1) as usize).collect();
        let next = visited.last().filter(|_| rest.next().is_some()).map(|last| (*last).clone());
        let queues = visited.into_iter().filter_map(|id| {
            let queue = self.queues.get(id)?;
            if service.role == ServiceRole::Notifier {
                let notifier = queue.record.notifier.as_ref().filter(|_| !queue.notifications.is_empty());
                return notifier.map(|notifier| (id.clone(), Some(notifier.id.clone())));
            }
            (!queue.messages.is_empty()).then(|| (id.clone(), None))
        });
        Ok(OpResult::Scanned { queues: queues.collect(), next })
    }

    pub(super) fn subscribe(
        &mut self,
        id: &EntityId,
        by: &AuthPublicKey,
        service: Option<EntityId>,
        peek: bool,
        today: UnixDay,
    ) -> Result<OpResult, Refusal> {
        self.queue(id)?.record.recipient_may_use(Some(by))?;
        self.may_join(service.as_ref(), ServiceRole::Messaging)?;
        let queue = self.used_queue(id, Some(by), today)?;
        let former = core::mem::replace(&mut queue.record.service, service.clone());
        let has_messages = !queue.messages.is_empty();
        let message = queue.first().filter(|_| peek);
        if former != service {
            self.leave_service(former.as_ref(), id, id);
            self.join_service(service.as_ref(), id, id);
        }
        Ok(OpResult::Subscribed { message, has_messages, former })
    }

    pub(super) fn subscribe_notifier(
        &mut self,
        id: &EntityId,
        notifier: &EntityId,
        by: &AuthPublicKey,
        service: Option<EntityId>,
    ) -> Result<OpResult, Refusal> {
        self.queue(id)?.record.notifier_may_use(notifier, Some(by))?;
        self.may_join(service.as_ref(), ServiceRole::Notifier)?;
        let queue = self.queue(id)?;
        let record = queue.record.notifier.as_mut().ok_or(Refusal::Unauthorized)?;
        let former = core::mem::replace(&mut record.service, service.clone());
        let has_notifications = !queue.notifications.is_empty();
        if former != service {
            self.leave_service(former.as_ref(), id, notifier);
            self.join_service(service.as_ref(), id, notifier);
        }
        Ok(OpResult::NotifierSubscribed { has_notifications, former })
    }

    /// Whether queues or notifiers may be those of a service: it must be known, and in this role.
    pub(super) fn may_join(&self, service: Option<&EntityId>, role: ServiceRole) -> Result<(), Refusal> {
        let has_role = |id| self.services.get(id).is_some_and(|service| service.role == role);
        if service.is_none_or(has_role) { Ok(()) } else { Err(Refusal::Unauthorized) }
    }

    /// `counted` is the id that the service counts the queue by.
    pub(super) fn join_service(&mut self, service: Option<&EntityId>, queue: &EntityId, counted: &EntityId) {
        if let Some(service) = service.and_then(|id| self.services.get_mut(id)) {
            service.queues.insert(queue.clone());
            service.set = service.set.plus(set_of(counted));
        }
    }

    pub(super) fn leave_service(&mut self, service: Option<&EntityId>, queue: &EntityId, counted: &EntityId) {
        if let Some(service) = service.and_then(|id| self.services.get_mut(id)) {
            service.queues.remove(queue);
            service.set = service.set.minus(set_of(counted));
        }
    }

    /// How many services with a role there are, and how many queues they have.
    pub(super) fn service_counts(&self, role: ServiceRole) -> (u64, u64) {
        let services = self.services.values().filter(|service| service.role == role);
        services.fold((0, 0), |(count, queues), service| (count + 1, queues + service.queues.len() as u64))
    }
}
