//! What is known of the queues of a server from what it told its peers.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use smp_core::SeededEntropy;
use smp_core::client::{Notification, ReceivedMessage};
use smp_core::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey, X25519PrivateKey};
use smp_core::server::ConnectionId;
use smp_core::wire::broker::{CreatedNotifier, CreatedQueue};
use smp_core::wire::{
    BrokerMessage, Command, CorrelationId, EntityId, MessageId, ReceivedBody, ServerTransmission,
};

use crate::input::Input;

pub(super) struct Queue {
    pub(super) recipient: EntityId,
    pub(super) sender: EntityId,
    pub(super) key: AuthPrivateKey,
    pub(super) sender_key: Option<AuthPrivateKey>,
    secret: DhSecret,
    /// The number of the last message that was tried to send.
    pub(super) sent: u64,
    /// ACK of messages up to this number was answered before this step. A message on its way to one connection may be
    /// written after an answer to another, in the same step.
    acknowledged: u64,
    /// The same for each connection that asked, at once.
    acknowledged_by: BTreeMap<ConnectionId, u64>,
    subscriber: Option<ConnectionId>,
    /// The same at the end of the last step: to whom a message goes that was sent before somebody else subscribed.
    former: Option<ConnectionId>,
    /// The last message that each connection got.
    pub(super) received: BTreeMap<ConnectionId, (MessageId, u64)>,
    /// DEL was answered.
    pub(super) is_deleted: bool,
    /// To whom DEL was answered.
    deleted_by: Option<ConnectionId>,
    /// DEL was answered before this step.
    is_gone: bool,
    /// The id of its link, whether it has one or not.
    pub(super) link: EntityId,
    /// Its last notifier: id, key, secret and what that was told of.
    notifier: Option<Notifier>,
    /// The operator blocked it, and how often that was ended.
    is_blocked: bool,
    unblocked: usize,
}

struct Notifier {
    id: EntityId,
    key: AuthPrivateKey,
    secret: DhSecret,
    told: BTreeSet<MessageId>,
}

/// The keys of a queue that is being created, and what else is asked for.
pub(super) struct NewKeys {
    pub(super) key: AuthPrivateKey,
    pub(super) dh: X25519PrivateKey,
    pub(super) subscribes: bool,
    /// Whether it has to have a link.
    pub(super) has_link: Option<bool>,
    pub(super) notifier: Option<(AuthPrivateKey, X25519PrivateKey)>,
}

/// What the operator did to a queue.
pub(super) enum Fate {
    Blocked,
    Unblocked,
    Deleted,
}

/// What a command wants.
pub(super) enum Asked {
    Create(Box<NewKeys>),
    Subscribe(usize),
    /// The queue, and the number of the message.
    Acknowledge(usize, u64),
    Delete(usize),
    SetNotifier(usize, Box<(AuthPrivateKey, X25519PrivateKey)>),
    ReadLink(usize),
    Other,
}

impl Asked {
    /// What a command about a queue wants that the input wrote itself.
    pub(super) const fn of(command: &Command, queue: usize) -> Self {
        match command {
            Command::Sub => Self::Subscribe(queue),
            Command::Del => Self::Delete(queue),
            _ => Self::Other,
        }
    }
}

#[derive(Default)]
pub(super) struct Queues {
    queues: Vec<Queue>,
    asked: BTreeMap<(ConnectionId, CorrelationId), Asked>,
    /// Commands to blocked queues, which are refused unless that was ended meanwhile: how often it had been.
    forbidden: BTreeMap<CorrelationId, (usize, usize)>,
    /// Messages that came as events to who was not subscribed yet: checked when all answers of the step are known.
    events: Vec<(ConnectionId, EntityId)>,
}

impl Queues {
    pub(super) const fn len(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter()
    }

    pub(super) fn at_mut(&mut self, index: usize) -> Option<&mut Queue> {
        self.queues.get_mut(index)
    }

    /// The notifier of a queue.
    pub(super) fn notifier(&self, index: usize) -> Option<(EntityId, AuthPrivateKey)> {
        let notifier = self.queues.get(index)?.notifier.as_ref()?;
        Some((notifier.id.clone(), notifier.key.clone()))
    }

    /// The operator did something to a queue.
    pub(super) fn moderated(&mut self, index: usize, fate: Fate) {
        let queue = &mut self.queues[index];
        match fate {
            Fate::Blocked => queue.is_blocked = true,
            Fate::Unblocked => {
                queue.is_blocked = false;
                queue.unblocked += 1;
            }
            Fate::Deleted => queue.is_deleted = true,
        }
    }

    pub(super) fn ask(&mut self, id: ConnectionId, correlation_id: CorrelationId, asked: Asked) {
        if let Asked::Subscribe(index) | Asked::Acknowledge(index, _) | Asked::ReadLink(index) = asked
            && let Some(queue) = self.queues.get(index).filter(|queue| queue.is_blocked)
        {
            self.forbidden.insert(correlation_id.clone(), (index, queue.unblocked));
        }
        self.asked.insert((id, correlation_id), asked);
    }

    pub(super) fn forget_answers(&mut self, id: ConnectionId) {
        self.asked.retain(|(asker, _), _| *asker != id);
    }

    pub(super) fn unanswered(&self, id: ConnectionId) -> usize {
        self.asked.keys().filter(|(asker, _)| *asker == id).count()
    }

    pub(super) fn retain_subscribers(&mut self, is_open: impl Fn(ConnectionId) -> bool) {
        for queue in &mut self.queues {
            queue.subscriber = queue.subscriber.filter(|id| is_open(*id));
        }
        self.events.retain(|(id, _)| is_open(*id));
    }

    /// Takes a message of the server.
    pub(super) fn take(
        &mut self,
        (id, is_service): (ConnectionId, bool),
        from: &ServerTransmission,
        message: BrokerMessage,
    ) {
        let asked = self.asked.remove(&(id, from.correlation_id.clone()));
        if let Some((index, unblocked)) = self.forbidden.remove(&from.correlation_id) {
            let is_refused =
                matches!(message, BrokerMessage::Err(_)) || self.queues[index].unblocked > unblocked;
            assert!(is_refused, "a blocked queue was used");
        }
        if let BrokerMessage::Msg { id: message_id, body } = &message {
            let queue = self.queues.iter_mut().find(|queue| queue.recipient == from.entity_id);
            // The queue of a forgotten answer is not known.
            if let Some(queue) = queue {
                // The answer to SUB may come with the other answers of its block.
                if from.correlation_id.is_empty() && queue.subscriber != Some(id) && !is_service {
                    self.events.push((id, from.entity_id.clone()));
                }
                queue.message(id, message_id, body, &asked);
                return;
            }
        }
        match (asked, message) {
            (Some(Asked::Create(keys)), BrokerMessage::Ids(ids)) => self.created(id, *keys, &ids),
            (Some(Asked::Subscribe(queue)), BrokerMessage::Ok | BrokerMessage::Sok(_)) => {
                self.queues[queue].subscriber = Some(id);
            }
            (Some(Asked::Acknowledge(queue, number)), BrokerMessage::Ok) => {
                self.queues[queue].acknowledge(id, number);
            }
            (Some(Asked::Delete(queue)), BrokerMessage::Ok) => {
                let queue = &mut self.queues[queue];
                (queue.is_deleted, queue.deleted_by) = (true, Some(id));
            }
            (Some(Asked::SetNotifier(queue, keys)), BrokerMessage::Nid(created)) => {
                self.queues[queue].notifier = Some(Notifier::new(*keys, &created));
            }
            (Some(Asked::ReadLink(index)), BrokerMessage::Lnk { sender_id, data }) => {
                let queue = &self.queues[index];
                assert!(sender_id == queue.sender || data.fixed != LINK, "a link leads to another queue");
            }
            (None, BrokerMessage::NMsg { nonce, metadata }) => {
                self.notified(&from.entity_id, &Notification { nonce, encrypted: metadata });
            }
            _ => {}
        }
    }

    /// At the end of a step: only the subscriber gets messages without asking.
    pub(super) fn check_messages(&mut self) {
        for (id, entity) in self.events.drain(..) {
            if let Some(queue) = self.queues.iter().find(|queue| queue.recipient == entity) {
                let known = [queue.subscriber, queue.former].contains(&Some(id));
                assert!(known, "a message for somebody who is not subscribed");
            }
        }
        for queue in &mut self.queues {
            queue.is_gone = queue.is_deleted;
            queue.acknowledged =
                queue.acknowledged.max(queue.acknowledged_by.values().copied().max().unwrap_or(0));
            queue.former = queue.subscriber;
        }
    }

    /// NMSG: a message is told of once.
    fn notified(&mut self, entity: &EntityId, notification: &Notification) {
        let notifiers = self.queues.iter_mut().filter_map(|queue| queue.notifier.as_mut());
        // That of a forgotten answer is not known.
        let Some(notifier) = notifiers.into_iter().find(|notifier| notifier.id == *entity) else { return };
        let meta = notification.open(&notifier.secret).expect("a notification of this queue");
        assert!(notifier.told.insert(meta.message_id), "told twice of a message");
    }

    fn created(&mut self, id: ConnectionId, keys: NewKeys, ids: &CreatedQueue) {
        let NewKeys { key, dh, subscribes, has_link, notifier } = keys;
        assert!(
            has_link.is_none_or(|has| has == ids.link_id.is_some()),
            "a link that was not asked for, or none"
        );
        assert!(notifier.is_some() == ids.notifier.is_some(), "a notifier that was not asked for, or none");
        let notifier = notifier.zip(ids.notifier.as_ref());
        let known = |known: &Queue| {
            [&known.recipient, &known.sender]
                .iter()
                .any(|id| **id == ids.recipient_id || **id == ids.sender_id)
        };
        assert!(!self.queues.iter().any(known) && ids.recipient_id != ids.sender_id, "an id twice");
        self.queues.push(Queue {
            recipient: ids.recipient_id.clone(),
            sender: ids.sender_id.clone(),
            key,
            sender_key: None,
            secret: dh.diffie_hellman(&ids.dh_key).expect("a good key"),
            sent: 0,
            acknowledged: 0,
            acknowledged_by: BTreeMap::new(),
            subscriber: subscribes.then_some(id),
            former: None,
            received: BTreeMap::new(),
            is_deleted: false,
            deleted_by: None,
            is_gone: false,
            // As good as any that no queue has.
            link: ids.link_id.clone().unwrap_or_else(|| ids.recipient_id.clone()),
            notifier: notifier.map(|(keys, created)| Notifier::new(keys, created)),
            is_blocked: false,
            unblocked: 0,
        });
    }
}

impl Notifier {
    fn new((key, dh): (AuthPrivateKey, X25519PrivateKey), created: &CreatedNotifier) -> Self {
        let secret = dh.diffie_hellman(&created.dh_key).expect("a good key");
        Self { id: created.notifier_id.clone(), key, secret, told: BTreeSet::new() }
    }
}

impl Queue {
    fn message(&mut self, id: ConnectionId, message_id: &MessageId, body: &Bytes, asked: &Option<Asked>) {
        assert!(!self.is_gone && self.deleted_by != Some(id), "a message of a deleted queue");
        if let Some(Asked::Acknowledge(_, number)) = asked {
            self.acknowledge(id, *number);
        }
        let message = ReceivedMessage { id: message_id.clone(), encrypted: body.clone() };
        let number = match message.open(&self.secret).expect("a message of this queue") {
            ReceivedBody::Message { body, .. } => number(&body),
            ReceivedBody::QuotaExceeded { .. } => None,
        };
        if let Some(number) = number {
            let answered = self.acknowledged_by.get(&id).copied().unwrap_or_default().max(self.acknowledged);
            assert!(answered < number, "{number} came after {answered} was acknowledged");
            assert!(number <= self.sent, "nobody sent {number}");
        }
        self.received.insert(id, (message_id.clone(), number.unwrap_or_default()));
    }

    fn acknowledge(&mut self, id: ConnectionId, number: u64) {
        let answered = self.acknowledged_by.entry(id).or_default();
        *answered = number.max(*answered);
    }
}

/// The body of a message that tells its number, with a length of the input's choice.
pub(super) fn body(number: u64, input: &mut Input<'_>) -> Bytes {
    let mut body = [MARK, &number.to_be_bytes()].concat();
    body.resize(body.len() + LENGTHS[input.below(LENGTHS.len())], 0);
    body.into()
}

fn number(body: &[u8]) -> Option<u64> {
    let number = body.strip_prefix(MARK)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*number))
}

pub(super) fn new_key(entropy: &mut SeededEntropy) -> AuthPrivateKey {
    AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(entropy))
}

pub(super) fn new_keys(entropy: &mut SeededEntropy) -> (AuthPrivateKey, X25519PrivateKey) {
    (new_key(entropy), X25519PrivateKey::generate(entropy))
}

/// The part of the data of links that never changes.
pub(super) const LINK: &[u8] = b"a link of the fuzzer's own";
const MARK: &[u8] = b"a message of the fuzzer's own: ";
/// Short, the limits of the versions less the mark and the number, and a byte more.
const LENGTHS: [usize; 6] = [0, 100, 16009, 16010, 16025, 16049];
