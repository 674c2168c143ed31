//! What is known of the queues of a server from what it told its peers.

use std::collections::BTreeMap;

use bytes::Bytes;
use smp_core::SeededEntropy;
use smp_core::client::ReceivedMessage;
use smp_core::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey, X25519PrivateKey};
use smp_core::server::ConnectionId;
use smp_core::wire::broker::CreatedQueue;
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
}

/// What a command wants.
pub(super) enum Asked {
    Create(Box<(AuthPrivateKey, X25519PrivateKey, bool)>),
    Subscribe(usize),
    /// The queue, and the number of the message.
    Acknowledge(usize, u64),
    Delete(usize),
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

    pub(super) fn ask(&mut self, id: ConnectionId, correlation_id: CorrelationId, asked: Asked) {
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
    pub(super) fn take(&mut self, id: ConnectionId, from: &ServerTransmission, message: BrokerMessage) {
        let asked = self.asked.remove(&(id, from.correlation_id.clone()));
        if let BrokerMessage::Msg { id: message_id, body } = &message {
            let queue = self.queues.iter_mut().find(|queue| queue.recipient == from.entity_id);
            // The queue of a forgotten answer is not known.
            if let Some(queue) = queue {
                // The answer to SUB may come with the other answers of its block.
                if from.correlation_id.is_empty() && queue.subscriber != Some(id) {
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

    fn created(
        &mut self,
        id: ConnectionId,
        (key, dh, subscribes): (AuthPrivateKey, X25519PrivateKey, bool),
        ids: &CreatedQueue,
    ) {
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
        });
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

const MARK: &[u8] = b"a message of the fuzzer's own: ";
/// Short, the limits of the versions less the mark and the number, and a byte more.
const LENGTHS: [usize; 6] = [0, 100, 16009, 16010, 16025, 16049];
