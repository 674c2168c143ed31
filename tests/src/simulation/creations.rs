//! NEW in a world: queues, in some worlds with data of a link and with a notifier.

use bytes::Bytes;
use smp_core::crypto::{AuthPrivateKey, X25519PrivateKey, chosen_sender_id};
use smp_core::wire::command::{
    ContactLink, LinkData, MessagingLink, NewQueue, NotifierKeys, QueueRequestData, SubscriptionMode,
};
use smp_core::wire::{BrokerMessage, Command, CorrelationId, EntityId, QueueMode, Version};

use super::client::{Link, Mark, Peer, new_dh_key, new_key};
use super::commands::Sent;
use super::model::{AskedQueue, Model};
use super::notifiers;
use super::setup::password;
use super::shared::{Shared, SimQueue};

/// A queue that a client asked for.
pub(super) struct Creation {
    recipient_key: AuthPrivateKey,
    dh_key: X25519PrivateKey,
    subscribe: bool,
    link: Option<ChosenLink>,
    notifier: Option<(AuthPrivateKey, X25519PrivateKey)>,
    /// The service that it is to be one of.
    service: Option<EntityId>,
}

/// Data of a link, and the ids that go with it.
struct ChosenLink {
    sender: EntityId,
    /// Of contact queues; that of others is the server's choice.
    id: Option<EntityId>,
    data: LinkData,
}

impl Peer {
    pub(super) fn create(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        let (recipient_key, dh_key) = (new_key(shared), new_dh_key(shared));
        let subscribe = shared.dice.chance(5_000);
        let mode = if shared.dice.chance(2_500) { QueueMode::Contact } else { QueueMode::Messaging };
        let correlation = shared
            .options
            .features
            .creations
            .then(|| CorrelationId::from(shared.dice.entropy().bytes::<24>()));
        let service = self.link.as_ref()?.service().map(|service| service.id.clone());
        let version = self.link.as_ref()?.parameters.as_ref()?.version;
        let link = correlation.as_ref().and_then(|id| choose_link(shared, version, mode, id));
        let has_notifier =
            correlation.is_some() && version >= Version::NEW_NOTIFIER && shared.dice.chance(4_000);
        let creation = Creation {
            notifier: has_notifier.then(|| (new_key(shared), new_dh_key(shared))),
            recipient_key,
            dh_key,
            subscribe: subscribe || service.is_some(),
            link,
            service,
        };
        shared.trace.note("client sends NEW", &[self.index as u64, subscribe.into()]);
        self.send_creation(shared, creation, mode, correlation)
    }

    fn send_creation(
        &mut self,
        shared: &mut Shared,
        creation: Creation,
        mode: QueueMode,
        correlation: Option<CorrelationId>,
    ) -> Option<Vec<u8>> {
        let notifier = creation.notifier.as_ref();
        let new = NewQueue {
            recipient_key: creation.recipient_key.public(),
            dh_key: creation.dh_key.public(),
            password: shared.options.password.then(password),
            subscribe: match creation.subscribe {
                true => SubscriptionMode::Subscribe,
                false => SubscriptionMode::OnlyCreate,
            },
            queue_data: Some(queue_data(mode, creation.link.as_ref())),
            notifier: notifier.map(|(key, dh)| NotifierKeys { auth_key: key.public(), dh_key: dh.public() }),
        };
        let link = creation.link.as_ref();
        let is_derived =
            link.zip(correlation.as_ref()).is_none_or(|(link, id)| link.sender == chosen_sender_id(id));
        let key = creation.recipient_key.clone();
        let asked = AskedQueue {
            link: link.map(|link| (link.sender.clone(), link.id.clone(), link.data.clone())),
            notifier: notifier.map(|(key, _)| key.public()),
            service: creation.service.clone(),
        };
        // An id that does not follow from the correlation id is refused.
        let sent = if is_derived {
            shared.asked.creations.insert(key.public(), asked);
            Sent::New(Box::new(creation))
        } else {
            Sent::Attack
        };
        let correlation =
            correlation.unwrap_or_else(|| CorrelationId::from(shared.dice.entropy().bytes::<24>()));
        let command = Command::New(Box::new(new));
        let link = self.link.as_mut()?;
        link.transmission_as(shared, correlation, Some(&key), &EntityId::empty(), &command, sent)
    }
}

fn choose_link(
    shared: &mut Shared,
    version: Version,
    mode: QueueMode,
    correlation: &CorrelationId,
) -> Option<ChosenLink> {
    if version < Version::SHORT_LINKS || !shared.dice.chance(6_000) {
        return None;
    }
    let is_wrong = shared.dice.fault(1_000);
    let number = shared.counts.commands;
    let data = LinkData {
        fixed: Bytes::from(format!("link made by {number}")),
        user: Bytes::from(format!("data {number}")),
    };
    let id = (mode == QueueMode::Contact).then(|| EntityId::from(shared.dice.entropy().bytes::<24>()));
    let other = CorrelationId::from(shared.dice.entropy().bytes::<24>());
    let sender = chosen_sender_id(if is_wrong { &other } else { correlation });
    Some(ChosenLink { sender, id, data })
}

fn queue_data(mode: QueueMode, link: Option<&ChosenLink>) -> QueueRequestData {
    let contact = |link: &ChosenLink| ContactLink {
        link_id: link.id.clone().unwrap_or_default(),
        sender_id: link.sender.clone(),
        data: link.data.clone(),
    };
    let messaging =
        |link: &ChosenLink| MessagingLink { sender_id: link.sender.clone(), data: link.data.clone() };
    match mode {
        QueueMode::Contact => QueueRequestData::Contact(link.map(contact)),
        QueueMode::Messaging => QueueRequestData::Messaging(link.map(messaging)),
    }
}

/// IDS: the queue is there for good, with what was asked for.
pub(super) fn created(
    shared: &mut Shared,
    model: &Model,
    (peer, site): (usize, usize),
    link: &mut Link,
    creation: Creation,
    answer: &BrokerMessage,
    mark: Mark,
) {
    let wrong = |shared: &mut Shared| shared.trace.expect(false, || "NEW was answered wrongly".into());
    let BrokerMessage::Ids(ids) = answer else { return wrong(shared) };
    let is_durable = model.created.get(&ids.recipient_id).is_some_and(|at| *at < mark.durable);
    shared.trace.expect(is_durable, || "NEW was answered before it was durable".into());
    for id in [&ids.recipient_id, &ids.sender_id].into_iter().chain(&ids.link_id) {
        let is_new = shared.ids.insert(id.clone());
        shared.trace.expect(is_new, || "an id was given out twice".into());
    }
    let Ok(secret) = creation.dh_key.diffie_hellman(&ids.dh_key) else { return wrong(shared) };
    let index = shared.queues.len();
    shared.trace.note("client hears IDS: queue", &[peer as u64, index as u64]);
    link.queues.entry(index).or_default().is_subscribed = creation.subscribe;
    if creation.subscribe {
        shared.asked.reads.insert(ids.recipient_id.clone());
    }
    let (recipient, sender) = (ids.recipient_id.clone(), ids.sender_id.clone());
    let version = link.parameters.as_ref().map(|parameters| parameters.version);
    let mode = ids.mode.filter(|_| version >= Some(Version::SKEY));
    let same = model.mode(&recipient) == mode;
    shared
        .trace
        .expect(same || version < Some(Version::SKEY), || "a queue is not what it was created for".into());
    let chosen = creation.link.as_ref();
    let same = chosen.is_some() == ids.link_id.is_some()
        && chosen.is_none_or(|link| {
            link.sender == sender && link.id.iter().all(|id| ids.link_id.as_ref() == Some(id))
        })
        && creation.notifier.is_some() == ids.notifier.is_some()
        && creation.service == ids.service_id;
    shared
        .trace
        .expect(same, || "a queue has another link, notifier or service than it was created with".into());
    let link_id = ids.link_id.clone();
    let link_id = link_id.unwrap_or_else(|| EntityId::from(shared.dice.entropy().bytes::<24>()));
    let fixed = chosen.map_or_else(|| format!("link of {index}").into(), |link| link.data.fixed.clone());
    let key = creation.recipient_key;
    let link = (link_id, fixed);
    shared.queues.push(SimQueue::new(recipient, sender, key, (secret, link), (peer, site), mode));
    if let Some((notifier, keys)) = ids.notifier.as_ref().zip(creation.notifier) {
        notifiers::added(shared, model, site, (index, keys), notifier, mark);
    }
}
