//! Notifiers in a world: of any queue, subscribed to by any client of its server.

use std::collections::BTreeSet;

use smp_core::client::Notification;
use smp_core::crypto::{AuthPrivateKey, DhSecret, X25519PrivateKey};
use smp_core::wire::broker::CreatedNotifier;
use smp_core::wire::command::NotifierKeys;
use smp_core::wire::{BrokerMessage, Command, EntityId, MessageId, ServiceRole};

use super::client::{Link, Mark, Peer, new_dh_key, new_key};
use super::commands::Sent;
use super::model::Model;
use super::shared::Shared;

/// A notifier, as its users know it.
pub(super) struct SimNotifier {
    pub(super) id: EntityId,
    pub(super) site: usize,
    pub(super) key: AuthPrivateKey,
    secret: DhSecret,
    queue: usize,
    /// Messages of which somebody was notified.
    told: BTreeSet<MessageId>,
}

/// NKEY.
pub(super) fn set_notifier(keys: &(AuthPrivateKey, X25519PrivateKey)) -> Command {
    Command::NKey(NotifierKeys { auth_key: keys.0.public(), dh_key: keys.1.public() })
}

impl Peer {
    pub(super) fn set_notifier(&mut self, shared: &mut Shared, index: usize) -> Option<Vec<u8>> {
        let keys = (new_key(shared), new_dh_key(shared));
        self.recipient(shared, index, Sent::SetNotifier(index, Box::new(keys)))
    }

    pub(super) fn subscribe_notifier(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        let here: Vec<_> = (0..shared.notifiers.len())
            .filter(|notifier| shared.notifiers[*notifier].site == self.site)
            .collect();
        let drawn = shared.dice.below(here.len());
        let index = *here.get(drawn)?;
        let (id, key) = (shared.notifiers[index].id.clone(), shared.notifiers[index].key.clone());
        shared.trace.note("client sends NSUB: notifier", &[self.index as u64, index as u64]);
        let link = self.link.as_mut()?;
        if let Some(service) = link.service() {
            if service.role != ServiceRole::Notifier {
                return link.transmission(shared, Some(&key), &id, &Command::NSub, Sent::Attack);
            }
            shared.asked.joins.insert((id.clone(), service.id.clone()));
        }
        link.transmission(shared, Some(&key), &id, &Command::NSub, Sent::SubscribeNotifier(index))
    }
}

/// NID.
pub(super) fn created(
    shared: &mut Shared,
    model: &Model,
    site: usize,
    (queue, keys): (usize, (AuthPrivateKey, X25519PrivateKey)),
    answer: &BrokerMessage,
    mark: Mark,
) {
    let BrokerMessage::Nid(created) = answer else {
        return shared.trace.expect(false, || "NKEY was answered wrongly".into());
    };
    added(shared, model, site, (queue, keys), created, mark);
}

/// A queue has a notifier, which is there for good.
pub(super) fn added(
    shared: &mut Shared,
    model: &Model,
    site: usize,
    (queue, keys): (usize, (AuthPrivateKey, X25519PrivateKey)),
    created: &CreatedNotifier,
    mark: Mark,
) {
    let is_durable = model.notified.get(&created.notifier_id).is_some_and(|at| *at < mark.durable);
    shared
        .trace
        .expect(is_durable, || format!("the notifier of queue {queue} was told of before it was durable"));
    let is_new = shared.ids.insert(created.notifier_id.clone());
    shared.trace.expect(is_new, || "an id was given out twice".into());
    let (key, dh_key) = keys;
    let Ok(secret) = dh_key.diffie_hellman(&created.dh_key) else { return };
    let id = created.notifier_id.clone();
    shared.notifiers.push(SimNotifier { id, site, key, secret, queue, told: BTreeSet::new() });
}

/// An event about a notifier, if it is one.
pub(super) fn event(
    shared: &mut Shared,
    model: &Model,
    site: usize,
    link: &mut Link,
    (entity, message): (&EntityId, &BrokerMessage),
    mark: Mark,
) -> bool {
    let of_site = |notifier: &SimNotifier| notifier.id == *entity && notifier.site == site;
    let Some(index) = shared.notifiers.iter().position(of_site) else { return false };
    match message {
        BrokerMessage::End | BrokerMessage::Deld => {
            shared.trace.note("client hears END or DELD: notifier", &[index as u64]);
            link.notifiers.remove(&index);
        }
        BrokerMessage::NMsg { nonce, metadata } => {
            let notification = Notification { nonce: *nonce, encrypted: metadata.clone() };
            told(shared, model, index, &notification, mark);
            let is_subscribed = link.notifiers.contains(&index) || link.service().is_some();
            shared
                .trace
                .expect(is_subscribed, || format!("notifier {index} was told where it is not subscribed"));
        }
        _ => shared.trace.expect(false, || "an event that is none".into()),
    }
    true
}

/// NMSG: of a message that is stored for good, for the first time.
fn told(shared: &mut Shared, model: &Model, index: usize, notification: &Notification, mark: Mark) {
    shared.trace.note("client hears NMSG: notifier", &[index as u64]);
    let notifier = &mut shared.notifiers[index];
    let Ok(meta) = notification.open(&notifier.secret) else {
        return shared.trace.expect(false, || format!("a notification of notifier {index} cannot be opened"));
    };
    let is_new = notifier.told.insert(meta.message_id.clone());
    let history = model.history.get(&shared.queues[notifier.queue].recipient_id);
    let is_stored = history.is_some_and(|history| {
        history.iter().any(|(message, at)| *message == meta.message_id && *at < mark.durable)
    });
    shared.trace.expect(is_new, || format!("notifier {index} was told twice of a message"));
    shared.trace.expect(is_stored, || format!("notifier {index} was told of a message that is not stored"));
}

/// What must hold when everything has come to its end: at most one subscriber, and nothing waits for one.
pub(super) fn check_settled(shared: &mut Shared, model_of: &[&Model], links: &[&Link]) {
    for index in 0..shared.notifiers.len() {
        let notifier = &shared.notifiers[index];
        let is_subscribed = |link: &Link| {
            link.notifiers.contains(&index) || link.is_served(model_of[notifier.site], &notifier.id)
        };
        let subscribers = links.iter().filter(|link| is_subscribed(link)).count();
        let waiting = model_of[notifier.site].notifications(&notifier.id);
        shared.trace.expect(subscribers <= 1, || {
            format!("{subscribers} clients think that they are subscribed to notifier {index}")
        });
        shared.trace.expect(subscribers == 0 || waiting == 0, || {
            format!("{waiting} notifications wait for notifier {index}, which is subscribed")
        });
    }
}
