//! Services in a world: clients with a certificate, several of which may be the same service.
//!
//! The first client of a service receives whatever the others made it receive. When faults end it subscribes to all at once,
//! and to its other queues by their names; the others listen and do nothing, so that they hear what they lose.

use std::sync::{Arc, OnceLock};

use smp_core::crypto::AuthPrivateKey;
use smp_core::transport::identity::{Algorithm, self_signed_client};
use smp_core::transport::{ServiceIdentity, ServiceKey, ServiceParameters};
use smp_core::wire::{BrokerMessage, Command, EntityId, QueueSet, ServiceRole, Version};
use smp_core::{SeededEntropy, UnixTime};

use super::answers::Received;
use super::client::{Link, Mark, Peer};
use super::commands::Sent;
use super::dice::Options;
use super::model::Model;
use super::shared::Shared;

/// Which service a client is.
#[derive(Clone, Copy)]
pub(super) struct Membership {
    pub(super) service: usize,
    /// The first client of the service at its server.
    pub(super) chief: usize,
}

impl Membership {
    /// What a client is: those of a server are numbered in turn with those of others.
    pub(super) fn of(peer: usize, options: &Options) -> Option<Self> {
        let of = |peer: usize| options.features.services.get(peer / options.servers).copied().flatten();
        let service = of(peer)?;
        let chief =
            (peer % options.servers..=peer).step_by(options.servers).find(|at| of(*at) == Some(service));
        Some(Self { service, chief: chief.unwrap_or(peer) })
    }

    pub(super) const fn role(&self) -> ServiceRole {
        role(self.service)
    }
}

/// What a connection is as one of a service.
#[derive(Default)]
pub(super) struct OnService {
    /// It has subscribed to all, and nobody took that over.
    pub(super) has_all: bool,
    /// Everything that waited then was sent.
    pub(super) all_told: bool,
    /// What it was told last that the service has.
    told: Option<QueueSet>,
}

impl Link {
    /// The service that this connection is.
    pub(super) fn service(&self) -> Option<&ServiceParameters> {
        self.parameters.as_ref()?.service.as_ref()
    }

    /// Whether it is subscribed to a queue or notifier as its service.
    pub(super) fn is_served(&self, model: &Model, id: &EntityId) -> bool {
        let service = self.service().filter(|_| self.on_service.has_all);
        service.is_some_and(|service| model.service_of(id) == Some(&service.id))
    }

    /// Whether it was told last what its service has.
    fn is_counted(&self, model: &Model) -> bool {
        let Some((service, told)) = self.service().zip(self.on_service.told) else { return false };
        same(told, model.service_set(&service.id), self.parameters.as_ref().map(|agreed| agreed.version))
    }

    /// What is left to do for a service when there are no faults.
    pub(super) fn left_to_do_as_service(&self, model: &Model) -> Option<&'static str> {
        let service = self.service()?;
        if !self.on_service.has_all {
            return Some("is not subscribed as a service");
        }
        if service.role == ServiceRole::Messaging && !self.on_service.all_told {
            return Some("was not told that all was sent");
        }
        (!self.is_counted(model)).then_some("was told that its service has other queues than it has")
    }
}

impl Peer {
    /// It has left what it does to another client of its service.
    pub(super) fn is_passive(&self) -> bool {
        self.membership.is_some_and(|membership| membership.chief != self.index)
    }

    /// The client that receives from the queues that this one creates.
    pub(super) fn receives_as(&self) -> usize {
        self.membership.map_or(self.index, |membership| membership.chief)
    }

    pub(super) fn is_notifier(&self) -> bool {
        self.membership.is_some_and(|membership| membership.role() == ServiceRole::Notifier)
    }

    /// A notifier does nothing else.
    pub(super) fn draw_notifier(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        match shared.dice.below(10) {
            0..6 => self.subscribe_notifier(shared),
            6..8 => self.subscribe_all(shared),
            8 => {
                let queue = shared.dice.below(shared.queues.len());
                let queue = shared.queues.get(queue)?;
                let (id, key) = (queue.recipient_id.clone(), queue.recipient_key.clone());
                let link = self.link.as_mut()?;
                // A service that is notified has no queues.
                link.service()?;
                link.transmission(shared, Some(&key), &id, &Command::Que, Sent::Attack)
            }
            _ => {
                let link = self.link.as_mut()?;
                link.transmission(shared, None, &EntityId::empty(), &Command::Ping, Sent::Ping)
            }
        }
    }

    /// SUBS or NSUBS; nothing on a connection that is not one of a service.
    pub(super) fn subscribe_all(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        let link = self.link.as_mut()?;
        let service = link.service()?;
        let ServiceKey::Private(key) = &service.key else { return None };
        let (id, key) = (service.id.clone(), AuthPrivateKey::Ed25519(key.clone()));
        let set = link.on_service.told.unwrap_or(QueueSet::UNKNOWN);
        let command = match service.role {
            ServiceRole::Notifier => Command::NSubs(set),
            _ => Command::Subs(set),
        };
        shared.trace.note("client sends SUBS or NSUBS", &[self.index as u64]);
        link.transmission(shared, Some(&key), &id, &command, Sent::SubscribeAll)
    }

    /// What is left to do as a service, if anything, when there are no faults.
    pub(super) fn tidy_up_service(&mut self, shared: &mut Shared, model: &Model) -> Option<Vec<u8>> {
        let link = self.link.as_ref()?;
        let is_done = link.on_service.has_all && link.is_counted(model);
        if is_done || !link.pending.is_empty() {
            return None;
        }
        self.subscribe_all(shared)
    }
}

/// SOKS.
pub(super) fn subscribed(
    shared: &mut Shared,
    model: &Model,
    link: &mut Link,
    answer: &BrokerMessage,
    mark: Mark,
) {
    let BrokerMessage::Soks(set) = answer else {
        return shared.trace.expect(false, || "SUBS was answered wrongly".into());
    };
    shared.trace.note("client hears SOKS: connection, queues", &[link.id.0, set.count.unsigned_abs()]);
    let is_known = link
        .service()
        .is_some_and(|service| model.services.get(&service.id).is_some_and(|at| *at < mark.durable));
    shared.trace.expect(is_known, || "a service subscribed that may be forgotten".into());
    link.on_service.has_all = true;
    link.on_service.told = Some(*set);
}

/// An event about a service, if it is one.
pub(super) fn event(shared: &mut Shared, link: &mut Link, received: &Received) -> bool {
    match &received.message {
        BrokerMessage::Alls => {
            shared.trace.note("client hears ALLS: connection", &[link.id.0]);
            let is_messaging = link.service().is_some_and(|service| service.role == ServiceRole::Messaging);
            let OnService { has_all, all_told, .. } = link.on_service;
            let is_due = received.entity.is_empty() && is_messaging && has_all && !all_told;
            shared.trace.expect(is_due, || "ALLS came to who had not subscribed to all, or twice".into());
            link.on_service.all_told = true;
        }
        BrokerMessage::Ends(_) => {
            shared.trace.note("client hears ENDS: connection", &[link.id.0]);
            let is_own = link.service().is_some_and(|service| service.id == received.entity);
            shared.trace.expect(is_own, || "the subscription of another service ended".into());
            link.on_service = OnService::default();
            link.notifiers.clear();
            for queue in link.queues.values_mut() {
                queue.is_subscribed = false;
                queue.in_flight = None;
            }
        }
        _ => return false,
    }
    true
}

/// Whether two sets are the same as far as a version tells.
fn same(told: QueueSet, set: QueueSet, version: Option<Version>) -> bool {
    told.count == set.count && (told.hash == set.hash || version < Some(Version::SERVICE_SUBS))
}

/// The services of all worlds.
pub(super) fn identity(service: usize) -> ServiceIdentity {
    static IDENTITIES: [OnceLock<ServiceIdentity>; SERVICES] = [const { OnceLock::new() }; SERVICES];
    let make = || {
        let seed = [u8::try_from(service).unwrap_or(0) + 8; 32];
        let (mut entropy, now) = (SeededEntropy::new(seed), UnixTime::from_secs(1_800_000_000));
        let issued =
            self_signed_client("service", Algorithm::Ed25519, &mut entropy, now).expect("a certificate");
        ServiceIdentity {
            role: role(service),
            chain: Arc::new([issued.certificate]),
            key: Arc::new(issued.key),
        }
    };
    IDENTITIES[service].get_or_init(make).clone()
}

const fn role(service: usize) -> ServiceRole {
    if service + 1 == SERVICES { ServiceRole::Notifier } else { ServiceRole::Messaging }
}

/// How many there are, the last of which is notified.
pub(super) const SERVICES: usize = 3;
