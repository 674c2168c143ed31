//! Services: who they are, and which queues or notifiers are theirs.

use std::ops::Bound;

use smp_core::server::store::{OpResult, QueueCounts, Refusal, UnixDay, Waiting, set_of};
use smp_core::wire::{AuthPublicKey, EntityId, QueueSet, ServiceRole};

use super::engine::{Engine, EngineError, Result, decoded};
use super::executor::{Batch, Executor, Outcome, Stop};
use super::layout::{self, Service, service_key};

impl Executor<'_> {
    pub(super) fn find_service(
        &mut self,
        fingerprint: &[u8; 32],
        role: ServiceRole,
        id: EntityId,
        capacity: u64,
    ) -> Outcome {
        let engine = self.engine;
        if let Some(known) = engine.certificates.get(fingerprint)? {
            let known = decoded("certificates", EntityId::new(&known))?;
            let service = self.service(&known)?.ok_or(EngineError::Corrupt("services"))?;
            let same_role = service.role == role;
            return if same_role { Ok(OpResult::Service(known)) } else { Err(Refusal::Unauthorized.into()) };
        }
        if id.is_empty() || engine.services.contains_key(id.as_bytes())? {
            return Ok(OpResult::IdTaken);
        }
        let mut batch = self.batch();
        if batch.counts.services >= capacity {
            return Ok(OpResult::QuotaExceeded);
        }
        batch.counts.services += 1;
        batch.services.insert(id.clone(), Service { role, set: QueueSet::EMPTY });
        batch.put(&engine.certificates, fingerprint, id.as_bytes().to_vec());
        match role {
            ServiceRole::Messaging => batch.counts.messaging_services += 1,
            ServiceRole::Notifier => batch.counts.notifier_services += 1,
            ServiceRole::Proxy => {}
        }
        self.commit(batch)?;
        Ok(OpResult::Service(id))
    }

    pub(super) fn count_service(&self, service: &EntityId) -> Outcome {
        let service = self.service(service)?.ok_or(Refusal::Unauthorized)?;
        Ok(OpResult::ServiceQueues(service.set))
    }

    /// Goes on behind what cannot be read.
    pub(super) fn scan_service(&mut self, id: &EntityId, after: Option<&EntityId>, limit: u32) -> Outcome {
        let service = self.service(id)?.ok_or(Refusal::Unauthorized)?;
        let all = service_key(id, None);
        let start = match after {
            Some(after) => Bound::Excluded(service_key(id, Some(after))),
            None => Bound::Included(all.clone()),
        };
        let (mut queues, mut last, mut visited) = (Vec::new(), None, 0);
        for entry in self.engine.service_queues.range::<Vec<u8>, _>((start, Bound::Unbounded)) {
            let key = entry.key()?;
            if !key.starts_with(&all) {
                break;
            }
            if visited >= limit.max(1) {
                return Ok(OpResult::Scanned { queues, next: last });
            }
            let Ok(queue) = layout::service_queue(&key.into()) else {
                self.damage = Some("service_queues");
                continue;
            };
            visited += 1;
            match self.waits_for(service.role, &queue) {
                Ok(Some(notifier)) => queues.push((queue.clone(), notifier)),
                Ok(None) => {}
                Err(EngineError::Corrupt(keyspace)) => self.damage = Some(keyspace),
                Err(error) => return Err(error.into()),
            }
            last = Some(queue);
        }
        Ok(OpResult::Scanned { queues, next: None })
    }

    pub(super) fn subscribe(
        &mut self,
        queue: &EntityId,
        by: &AuthPublicKey,
        service: Option<EntityId>,
        peek: bool,
        today: UnixDay,
    ) -> Outcome {
        let mut record = self.queue(queue)?;
        record.recipient_may_use(Some(by))?;
        let mut batch = self.batch();
        let former = std::mem::replace(&mut record.service, service.clone());
        let is_changed = former != service;
        if is_changed {
            self.leave_service(&mut batch, former.as_ref(), queue, queue)?;
            self.join_service(&mut batch, (service.as_ref(), ServiceRole::Messaging), queue, queue)?;
        }
        batch.put_used(self.engine, &mut record, today, is_changed);
        let backlog = self.backlog(queue)?;
        let first = backlog.filter(|_| peek).map(|backlog| self.message(queue, backlog.first)).transpose()?;
        self.commit(batch)?;
        let message = first.map(|message| Waiting { message, secret: record.secret.clone() });
        Ok(OpResult::Subscribed { message, has_messages: backlog.is_some(), former })
    }

    /// A queue or notifier becomes one of a service, if that is known in this role. The service counts it by the id
    /// `counted`.
    pub(super) fn join_service(
        &self,
        batch: &mut Batch,
        (service, role): (Option<&EntityId>, ServiceRole),
        queue: &EntityId,
        counted: &EntityId,
    ) -> std::result::Result<(), Stop> {
        let Some(id) = service else { return Ok(()) };
        let known = self.service_of(batch, id)?.filter(|known| known.role == role);
        let mut known = known.ok_or(Refusal::Unauthorized)?;
        batch.put(&self.engine.service_queues, &service_key(id, Some(queue)), Vec::new());
        *queues_of(role)(&mut batch.counts) += 1;
        known.set = known.set.plus(set_of(counted));
        batch.services.insert(id.clone(), known);
        Ok(())
    }

    /// A queue or notifier is no longer one of its service.
    pub(super) fn leave_service(
        &self,
        batch: &mut Batch,
        service: Option<&EntityId>,
        queue: &EntityId,
        counted: &EntityId,
    ) -> Result<()> {
        let Some(id) = service else { return Ok(()) };
        let mut known = self.service_of(batch, id)?.ok_or(EngineError::Corrupt("services"))?;
        batch.delete(&self.engine.service_queues, &service_key(id, Some(queue)));
        batch.subtract(queues_of(known.role), 1)?;
        known.set = known.set.minus(set_of(counted));
        batch.services.insert(id.clone(), known);
        Ok(())
    }

    /// What waits in a queue of a service: the notifier for a service that is notified.
    fn waits_for(&self, role: ServiceRole, queue: &EntityId) -> Result<Option<Option<EntityId>>> {
        let engine = self.engine;
        if role != ServiceRole::Notifier {
            return Ok(engine.backlogs.contains_key(queue.as_bytes())?.then_some(None));
        }
        if !engine.notifications.contains_key(queue.as_bytes())? {
            return Ok(None);
        }
        let notifier = engine.queue(queue)?.and_then(|record| record.notifier);
        Ok(notifier.map(|notifier| Some(notifier.id)))
    }

    /// A service as the batch leaves it, which may change it more than once.
    fn service_of(&self, batch: &Batch, id: &EntityId) -> Result<Option<Service>> {
        match batch.services.get(id) {
            Some(service) => Ok(Some(*service)),
            None => self.service(id),
        }
    }

    fn service(&self, id: &EntityId) -> Result<Option<Service>> {
        let bytes = Engine::value(&self.engine.services, id.as_bytes())?;
        bytes.map(|bytes| decoded("services", layout::service(&bytes))).transpose()
    }
}

/// The counter of the queues of services with a role. Proxies have none.
fn queues_of(role: ServiceRole) -> fn(&mut QueueCounts) -> &mut u64 {
    match role {
        ServiceRole::Notifier => |counts| &mut counts.notifier_service_queues,
        ServiceRole::Messaging | ServiceRole::Proxy => |counts| &mut counts.messaging_service_queues,
    }
}
