//! Sessions of services: one SUBS in place of a SUB for each queue.
//!
//! ```text
//!            the first batch         as expected
//!   New ───────────────────▶ Asked ─────────────▶ Settled ◀── nothing to ask for
//!                              │ another set         ▲
//!                              ▼                     │ SOKS: what is beyond ours is kept
//!                           Counting ──────────▶ Counted
//!                              SUB for each queue
//! ```
//!
//! The server tells a count and a hash. If they are not those that are expected, nothing is known of any queue, so each gets a SUB;
//! then the server is asked once more, to know what to expect the next time.

use super::link::Link;
use super::subscriptions::{Counts, SubscriptionState};
use super::{LinkId, Links, UserId};
use crate::wire::{EntityId, QueueSet};

/// The service that a session is of.
pub(in super::super) struct ServiceSession {
    id: EntityId,
    stage: Stage,
    /// The app holds the service for subscribed.
    is_told: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was subscribed.
    New,
    /// SUBS was sent; this is expected.
    Asked(QueueSet),
    /// Queues are subscribed one by one.
    Counting,
    /// SUBS was sent to learn what there is.
    Counted,
    /// Queues that are to be subscribed are one by one.
    Settled,
}

/// What the answer to SUBS means.
pub(in super::super) enum ServiceOutcome {
    /// This was expected, and this subscribed.
    Subscribed(QueueSet, QueueSet),
    /// So much is beyond our queues.
    Surplus(QueueSet),
    /// Queues are subscribed one by one.
    Failed,
    /// The session has ended, or was not asked.
    Nothing,
}

impl Links {
    /// A session is one of this service; whether another one had the queues.
    pub(in super::super) fn begin_service(&mut self, id: LinkId, service: EntityId, is_other: bool) {
        if let Some(link) = self.links.get_mut(&id) {
            if is_other {
                link.queues.dissociate_all();
            }
            link.service = Some(ServiceSession { id: service, stage: Stage::New, is_told: false });
        }
    }

    /// Whether what a server says belongs to a service belongs to that of the session.
    pub(in super::super) fn is_of_service(&self, id: LinkId, service: Option<&EntityId>) -> bool {
        let ours = self.links.get(&id).and_then(|link| link.service.as_ref());
        ours.is_some_and(|ours| service == Some(&ours.id))
    }

    /// Whether the session is one of a service.
    pub(in super::super) fn has_service(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.service.is_some())
    }

    /// The service, and its queues as far as is known, when it is time to ask for them.
    pub(in super::super) fn ask_for_service(
        &mut self,
        id: LinkId,
        surplus: QueueSet,
    ) -> Option<(EntityId, QueueSet)> {
        let is_receiving = self.is_receiving;
        let link = self.links.get_mut(&id).filter(|_| is_receiving)?;
        let (service, counts) = (link.service.as_mut()?, link.queues.counts());
        let set = link.queues.service_set();
        let expected = set.plus(surplus);
        service.stage = match service.stage {
            Stage::New if set == QueueSet::EMPTY => Stage::Settled,
            Stage::New if counts.in_flight == 0 => {
                link.queues.ask_for_service();
                Stage::Asked(expected)
            }
            Stage::Counting if counts.wanted + counts.in_flight == 0 => Stage::Counted,
            _ => return None,
        };
        let is_asked = service.stage != Stage::Settled;
        let asked = is_asked.then(|| (service.id.clone(), expected));
        self.settle(id);
        asked
    }

    /// SUBS was answered with this set, or failed.
    pub(in super::super) fn service_subscribed(
        &mut self,
        id: LinkId,
        surplus: QueueSet,
        set: Option<QueueSet>,
    ) -> ServiceOutcome {
        // A session that ended answers nothing.
        let Some(link) = self.links.get_mut(&id) else { return ServiceOutcome::Nothing };
        let Some(service) = &mut link.service else { return ServiceOutcome::Nothing };
        let ours = link.queues.service_set();
        let (stage, outcome) = match (service.stage, set) {
            // A queue that was made meanwhile may be among them.
            (Stage::Asked(expected), Some(set)) if set == expected || set == ours.plus(surplus) => {
                link.queues.subscribed_with_service();
                service.is_told = true;
                (Stage::Settled, ServiceOutcome::Subscribed(expected, set))
            }
            (Stage::Asked(expected), Some(set)) => {
                link.queues.not_with_service();
                service.is_told = true;
                (Stage::Counting, ServiceOutcome::Subscribed(expected, set))
            }
            (Stage::Counted, Some(set)) => (Stage::Settled, ServiceOutcome::Surplus(set.minus(ours))),
            (Stage::Asked(_), None) => {
                link.queues.not_with_service();
                (Stage::Settled, ServiceOutcome::Failed)
            }
            (Stage::Counted, None) => (Stage::Settled, ServiceOutcome::Failed),
            (stage, _) => (stage, ServiceOutcome::Nothing),
        };
        service.stage = stage;
        self.settle(id);
        outcome
    }

    /// Another connection of the service has all of its queues, which are these; none, if the session is not of this service, or
    /// has nothing that could be taken: servers may say it as often as they want.
    pub(in super::super) fn service_ended(
        &mut self,
        id: LinkId,
        service: &EntityId,
    ) -> Option<Vec<EntityId>> {
        let link = self.links.get_mut(&id)?;
        let has_queues = link.queues.counts() != Counts::default();
        let ours = link.service.as_mut().filter(|ours| has_queues && ours.id == *service)?;
        (ours.stage, ours.is_told) = (Stage::Settled, false);
        let ended = link.queues.end_service();
        self.settle(id);
        Some(ended)
    }

    /// The queues of the service are to be subscribed again. Without a session they are wanted for the next one.
    pub(in super::super) fn want_service(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.queues.want_service();
            if let Some(service) = &mut link.service {
                service.stage = Stage::New;
            }
        }
        self.settle(id);
    }

    /// The server told an error of a queue of the service: whether the queue is subscribed, which is asked for.
    pub(in super::super) fn doubt_queue(&mut self, id: LinkId, queue: &EntityId) -> bool {
        let link = self.links.get(&id).filter(|link| link.service.is_some());
        let state = link.and_then(|link| link.queues.state(queue));
        let is_doubtful = state == Some(SubscriptionState::Subscribed);
        if is_doubtful {
            self.later(id, queue);
        }
        is_doubtful
    }

    /// The links of a user.
    pub(in super::super) fn of_user(&self, user: UserId) -> Vec<LinkId> {
        let links = self.links.iter().filter(|(_, link)| link.place.user == user);
        links.map(|(id, _)| *id).collect()
    }
}

impl Link {
    /// The user whose service the app holds for subscribed, and its queues.
    pub(in super::super) fn told_service(&self) -> Option<(UserId, QueueSet)> {
        let is_told = self.service.as_ref().is_some_and(|service| service.is_told);
        is_told.then(|| (self.place.user, self.queues.service_set()))
    }
}
