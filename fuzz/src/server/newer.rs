//! Commands of links, notifiers and services, and NEW with either.

use bytes::Bytes;
use smp_core::crypto::chosen_sender_id;
use smp_core::server::ConnectionId;
use smp_core::wire::command::{
    ContactLink, LinkData, MessagingLink, NewQueue, NotifierKeys, QueueRequestData, SubscriptionMode,
};
use smp_core::wire::{Command, CorrelationId, EntityId, QueueSet, ServiceRole, Version};

use super::queues::{self, Asked, LINK, NewKeys};
use super::{NO_ENTITY, Run};
use crate::input::Input;

impl Run {
    pub(super) fn newer_command(&mut self, id: ConnectionId, kind: u8, input: &mut Input<'_>) -> Vec<u8> {
        match kind % 16 {
            0..3 => return self.create_whole(id, input),
            3 | 4 => {
                if let Some(item) = self.subscribe_all(id) {
                    return item;
                }
            }
            _ => {}
        }
        let index = input.below(self.queues.len().max(1));
        let Some(queue) = self.queues.at_mut(index) else { return self.create_whole(id, input) };
        let (mut key, mut entity, mut asked) =
            (Some(queue.key.clone()), queue.recipient.clone(), Asked::Other);
        let command = match kind % 16 {
            5 | 6 => {
                let data = LinkData { fixed: LINK.into(), user: Bytes::copy_from_slice(input.slice()) };
                Command::LSet { link_id: queue.link.clone(), data }
            }
            7 => Command::LDel,
            8 | 9 => {
                let new_key = || queues::new_key(&mut self.world.entropy);
                let sender_key = queue.sender_key.get_or_insert_with(new_key);
                (key, entity, asked) = (Some(sender_key.clone()), queue.link.clone(), Asked::ReadLink(index));
                Command::LKey(sender_key.public())
            }
            10 => {
                (key, entity, asked) = (None, queue.link.clone(), Asked::ReadLink(index));
                Command::LGet
            }
            11 | 12 => {
                let (auth, dh) = queues::new_keys(&mut self.world.entropy);
                let keys = NotifierKeys { auth_key: auth.public(), dh_key: dh.public() };
                asked = Asked::SetNotifier(index, Box::new((auth, dh)));
                Command::NKey(keys)
            }
            _ => match self.queues.notifier(index) {
                Some((notifier, notifier_key)) => {
                    (key, entity) = (Some(notifier_key), notifier);
                    Command::NSub
                }
                None => Command::NDel,
            },
        };
        self.transmission(id, key.as_ref(), &entity, &command, asked)
    }

    /// SUBS or NSUBS.
    fn subscribe_all(&mut self, id: ConnectionId) -> Option<Vec<u8>> {
        let service = self.peers.get(&id)?.service.as_ref()?;
        let command = match service.role {
            ServiceRole::Notifier => Command::NSubs(QueueSet::UNKNOWN),
            _ => Command::Subs(QueueSet::UNKNOWN),
        };
        let (key, entity) = (service.key(), service.id.clone());
        Some(self.transmission(id, Some(&key), &entity, &command, Asked::Other))
    }

    /// NEW with data of a link, a notifier, or both.
    fn create_whole(&mut self, id: ConnectionId, input: &mut Input<'_>) -> Vec<u8> {
        let (key, dh) = queues::new_keys(&mut self.world.entropy);
        let peer = self.peers.get(&id).expect("it was chosen");
        let (version, is_service) = (peer.version, peer.service.is_some());
        let choice = input.u8();
        let (subscribes, is_contact) = (choice & 1 == 1 || is_service, choice & 2 == 2);
        let correlation_id = CorrelationId::from(self.world.entropy.bytes::<24>());
        let link = (choice & 4 == 4).then(|| {
            let data = LinkData { fixed: LINK.into(), user: Bytes::new() };
            (chosen_sender_id(&correlation_id), EntityId::from(self.world.entropy.bytes::<24>()), data)
        });
        let notifier = (choice & 8 == 8).then(|| queues::new_keys(&mut self.world.entropy));
        let has_link = link.is_some() && version >= Version::SHORT_LINKS;
        let has_notifier = notifier.is_some() && version >= Version::NEW_NOTIFIER;
        let queue_data = match (is_contact, link) {
            (true, link) => QueueRequestData::Contact(link.map(|(sender_id, link_id, data)| ContactLink {
                link_id,
                sender_id,
                data,
            })),
            (false, link) => QueueRequestData::Messaging(
                link.map(|(sender_id, _, data)| MessagingLink { sender_id, data }),
            ),
        };
        let new = NewQueue {
            recipient_key: key.public(),
            dh_key: dh.public(),
            password: None,
            subscribe: if subscribes { SubscriptionMode::Subscribe } else { SubscriptionMode::OnlyCreate },
            queue_data: Some(queue_data),
            notifier: notifier
                .as_ref()
                .map(|(key, dh)| NotifierKeys { auth_key: key.public(), dh_key: dh.public() }),
        };
        let keys = NewKeys {
            key: key.clone(),
            dh,
            subscribes,
            has_link: Some(has_link),
            notifier: notifier.filter(|_| has_notifier),
        };
        let mut bytes = Vec::new();
        Command::New(Box::new(new)).encode(version, &mut bytes);
        let peer = self.peers.get(&id).expect("it was chosen");
        let item = peer.transmission_as(&correlation_id, Some(&key), &NO_ENTITY, &bytes);
        self.ask(id, correlation_id, Asked::Create(Box::new(keys)));
        item
    }
}
