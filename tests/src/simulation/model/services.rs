//! What services are and have according to the operations that took effect.

use smp_core::server::store::{OpResult, QueueOp, set_of};
use smp_core::wire::{EntityId, QueueSet, ServiceRole};

use super::{Model, Place, Queue, Verdict, expect, refused};

impl Model {
    /// The service that a queue or a notifier is one of.
    pub(in crate::simulation) fn service_of(&self, id: &EntityId) -> Option<&EntityId> {
        if let Some(queue) = self.queues.get(id) {
            return queue.service.as_ref();
        }
        self.queues.values().find(|queue| queue.is_notified_by(id))?.notifier_service.as_ref()
    }

    /// What a service has.
    pub(in crate::simulation) fn service_set(&self, service: &EntityId) -> QueueSet {
        let queues = self.queues.iter().filter_map(|(id, queue)| queue.counted(id, service));
        queues.fold(QueueSet::EMPTY, |set, id| set.plus(set_of(id)))
    }

    pub(super) fn service(&mut self, at: Place, op: &QueueOp, result: &OpResult) -> Verdict {
        match op {
            QueueOp::FindService { fingerprint, role, id, .. } => {
                let known = self.certificates.get(fingerprint);
                if known.is_some_and(|(_, known)| known != role) {
                    return refused(result);
                }
                let (known, _) = self.certificates.entry(*fingerprint).or_insert_with(|| (id.clone(), *role));
                self.services.entry(known.clone()).or_insert(at);
                expect(matches!(result, OpResult::Service(id) if id == known), "a service is another one")
            }
            QueueOp::CountService { service } => {
                let set = self.service_set(service);
                expect(
                    matches!(result, OpResult::ServiceQueues(told) if *told == set),
                    "a service has other queues than those that became its own",
                )
            }
            QueueOp::ScanService { service, after, limit } => {
                let (expected, expected_next) = self.scan(service, after.as_ref(), *limit as usize);
                let OpResult::Scanned { queues, next } = result else {
                    return Err("the queues of a service were not visited".into());
                };
                expect(
                    *queues == expected && *next == expected_next,
                    "other queues of a service were found than those with something in them",
                )
            }
            _ => Err("an operation that nobody asked for".into()),
        }
    }

    fn scan(
        &self,
        service: &EntityId,
        after: Option<&EntityId>,
        limit: usize,
    ) -> (Vec<(EntityId, Option<EntityId>)>, Option<EntityId>) {
        let is_notified =
            self.certificates.values().any(|(id, role)| id == service && *role == ServiceRole::Notifier);
        let queues = self.queues.iter().filter(|(id, queue)| queue.counted(id, service).is_some());
        let mut rest = queues.filter(|(id, _)| after.is_none_or(|after| *id > after));
        let visited: Vec<_> = rest.by_ref().take(limit.max(1)).collect();
        let next = visited.last().filter(|_| rest.next().is_some()).map(|(id, _)| (*id).clone());
        let found = visited.into_iter().filter_map(|(id, queue)| {
            let notifier = queue.notifier.as_ref().map(|(id, _)| id.clone());
            let has_some =
                if is_notified { !queue.notifications.is_empty() } else { !queue.messages.is_empty() };
            has_some.then(|| (id.clone(), notifier.filter(|_| is_notified)))
        });
        (found.collect(), next)
    }
}

impl Queue {
    fn is_notified_by(&self, notifier: &EntityId) -> bool {
        self.notifier.as_ref().is_some_and(|(id, _)| id == notifier)
    }

    /// The id by which a service counts this queue, if it is one of the service's.
    fn counted<'a>(&'a self, id: &'a EntityId, service: &EntityId) -> Option<&'a EntityId> {
        let of_notifier = || {
            let (id, _) =
                self.notifier.as_ref().filter(|_| self.notifier_service.as_ref() == Some(service))?;
            Some(id)
        };
        if self.service.as_ref() == Some(service) { Some(id) } else { of_notifier() }
    }
}
