//! Services: who they are, and which queues or notifiers are theirs.

use std::collections::BTreeMap;
use std::ops::Bound;

use smp_core::server::store::{OpResult, QueueCounts, Refusal, UnixDay, Waiting, set_of};
use smp_core::wire::{AuthPublicKey, EntityId, QueueSet, ServiceRole};

use super::engine::{Engine, EngineError, Result, decoded};
use super::executor::{Batch, Executor, Outcome};
use super::layout::{self, Service, service_key};

impl Executor<'_> {
    pub(super) fn find_service(
        &mut self,
        fingerprint: &[u8; 32],
        role: ServiceRole,
        id: EntityId,
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
        let service = Service { role, set: QueueSet::EMPTY };
        batch.put(&engine.services, id.as_bytes(), layout::put_service(&service));
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

    pub(super) fn scan_service(&self, id: &EntityId, after: Option<&EntityId>, limit: u32) -> Outcome {
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
            visited += 1;
            let queue = decoded("service_queues", layout::service_queue(&key.into()))?;
            queues.extend(self.waits_for(service.role, &queue)?.map(|notifier| (queue.clone(), notifier)));
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
        self.change_service(&mut batch, (former.as_ref(), service.as_ref()), queue, queue)?;
        batch.put_used(self.engine, &mut record, today, former != service);
        let backlog = self.backlog(queue)?;
        let first = backlog.filter(|_| peek).map(|backlog| self.message(queue, backlog.first)).transpose()?;
        self.commit(batch)?;
        let message = first.map(|message| Waiting { message, secret: record.secret.clone() });
        Ok(OpResult::Subscribed { message, has_messages: backlog.is_some(), former })
    }

    /// A queue or notifier goes from one service to another. `counted` is the id that services count it by.
    pub(super) fn change_service(
        &self,
        batch: &mut Batch,
        (former, new): (Option<&EntityId>, Option<&EntityId>),
        queue: &EntityId,
        counted: &EntityId,
    ) -> Result<()> {
        if former == new {
            return Ok(());
        }
        let engine = self.engine;
        if let Some(id) = former
            && let Some(mut service) = self.service_of(batch, id)?
            && engine.service_queues.contains_key(service_key(id, Some(queue)))?
        {
            batch.delete(&engine.service_queues, &service_key(id, Some(queue)));
            service.set = service.set.minus(set_of(counted));
            batch.subtract(queues_of(service.role), 1)?;
            batch.put_service(engine, id, service);
        }
        if let Some(id) = new
            && let Some(mut service) = self.service_of(batch, id)?
        {
            batch.put(&engine.service_queues, &service_key(id, Some(queue)), Vec::new());
            service.set = service.set.plus(set_of(counted));
            *queues_of(service.role)(&mut batch.counts) += 1;
            batch.put_service(engine, id, service);
        }
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

/// Services that a batch changes.
pub(super) type Services = BTreeMap<EntityId, Service>;

impl Batch {
    fn put_service(&mut self, engine: &Engine, id: &EntityId, service: Service) {
        self.put(&engine.services, id.as_bytes(), layout::put_service(&service));
        self.services.insert(id.clone(), service);
    }
}

/// The counter of the queues of services with a role. Proxies have none.
fn queues_of(role: ServiceRole) -> fn(&mut QueueCounts) -> &mut u64 {
    match role {
        ServiceRole::Notifier => |counts| &mut counts.notifier_service_queues,
        ServiceRole::Messaging | ServiceRole::Proxy => |counts| &mut counts.messaging_service_queues,
    }
}
