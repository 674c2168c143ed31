//! Answers: those of one block are sent together, errors first; messages and events as they come.

use std::sync::Arc;

use bytes::Bytes;

use super::Session;
use super::counting::Counted;
use super::create::{Creation, NewNotifier};
use super::pipeline::store_failed;
use super::relay::Via;
use crate::crypto::Nonce;
use crate::server::broker::{Answer, Ending, Notified, Reply, SubscriptionInfo, Tag};
use crate::server::statistics::Counter;
use crate::server::store::{Inspected, MessageContent, Waiting};
use crate::wire::batch::item_max;
use crate::wire::broker::{
    BrokerMessage, MessageKind, MessageStatus, QueueStatus, SubscriptionStatus, SubscriptionThread,
};
use crate::wire::command::MessageFlags;
use crate::wire::error::{CommandError, ErrorType};
use crate::wire::message::{NotificationMeta, ReceivedBody};
use crate::wire::transmission::ServerTransmission;
use crate::wire::{CorrelationId, EntityId};

/// Names a block whose commands are answered together.
pub(super) type GroupId = u64;

/// The answers to a block.
#[derive(Default)]
pub(super) struct Group {
    /// Commands that are neither refused nor given to the broker.
    undecided: usize,
    /// Commands that are not answered, and one more while the block is read.
    unanswered: usize,
    errors: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    /// Messages that go with the answers, after them.
    messages: Vec<Vec<u8>>,
    /// How many of the answers are messages.
    deliveries: usize,
    /// Among the answers is that there was no message to acknowledge.
    tells_no_message: bool,
}

impl Group {
    /// What can be sent before the rest is known.
    fn take_held(&mut self) -> Self {
        Self {
            errors: core::mem::take(&mut self.errors),
            answers: core::mem::take(&mut self.answers),
            messages: core::mem::take(&mut self.messages),
            deliveries: core::mem::take(&mut self.deliveries),
            tells_no_message: core::mem::take(&mut self.tells_no_message),
            ..Self::default()
        }
    }
}

/// A command that the broker has.
pub(super) struct Pending {
    pub(super) group: GroupId,
    pub(super) correlation_id: CorrelationId,
    pub(super) entity_id: EntityId,
    pub(super) input_bytes: usize,
    /// How it came, if it was forwarded.
    pub(super) via: Option<Arc<Via>>,
    /// What a refusal of it is counted as.
    pub(super) counted: Counted,
    pub(super) kind: PendingKind,
}

/// What the answer to a command is made of.
pub(super) enum PendingKind {
    Plain,
    Create(Box<Creation>),
    SetNotifier(Box<NewNotifier>),
}

impl Session {
    /// A group for the commands of a block that is being read. [`Self::group_read`] ends it.
    pub(super) fn new_group(&mut self) -> GroupId {
        self.last_group += 1;
        self.groups.insert(self.last_group, Group { undecided: 1, unanswered: 1, ..Group::default() });
        self.last_group
    }

    pub(super) fn group_expects(&mut self, group: GroupId) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.undecided += 1;
            group.unanswered += 1;
        }
    }

    /// A command of the block is answered apart from the others.
    pub(super) fn group_gives_up(&mut self, group: GroupId) {
        if let Some(state) = self.groups.get_mut(&group) {
            state.unanswered -= 1;
        }
        self.group_decided(group);
    }

    /// The block is read: all of its commands are known.
    pub(super) fn group_read(&mut self, group: GroupId) {
        if let Some(state) = self.groups.get_mut(&group) {
            state.unanswered -= 1;
        }
        self.group_decided(group);
    }

    /// One more command of the block is refused, answered or given to the broker. After the last the errors are sent.
    pub(super) fn group_decided(&mut self, group: GroupId) {
        let Some(state) = self.groups.get_mut(&group) else { return };
        state.undecided -= 1;
        if state.undecided == 0 {
            let errors = core::mem::take(&mut state.errors);
            self.send_transmissions(errors, 0);
        }
        self.group_sent(group);
    }

    /// An error that was found before the command was carried out.
    pub(super) fn refuse(
        &mut self,
        group: GroupId,
        correlation: &CorrelationId,
        entity: &EntityId,
        error: ErrorType,
    ) {
        let bytes = self.encode(correlation, entity, &BrokerMessage::Err(error));
        if let Some(group) = self.groups.get_mut(&group) {
            group.errors.push(bytes);
        }
    }

    /// The answer to a command that was expected. It goes back the way `via` on which the command came.
    pub(super) fn group_answer(
        &mut self,
        group: GroupId,
        correlation: &CorrelationId,
        entity: &EntityId,
        via: Option<&Via>,
        answer: &BrokerMessage,
    ) {
        let bytes = match via {
            Some(via) => self.encode_via(via, correlation, entity, answer),
            None => self.encode(correlation, entity, answer),
        };
        if let Some(state) = self.groups.get_mut(&group) {
            state.unanswered -= 1;
            state.tells_no_message |= matches!(answer, BrokerMessage::Err(ErrorType::NoMessage));
            match answer {
                BrokerMessage::Err(_) if via.is_none() && state.undecided > 0 => state.errors.push(bytes),
                BrokerMessage::Msg { .. } => {
                    state.deliveries += 1;
                    state.answers.push(bytes);
                }
                _ => state.answers.push(bytes),
            }
        }
    }

    /// Sends the answers of a block when they are complete.
    pub(super) fn group_sent(&mut self, group: GroupId) {
        if !self.groups.get(&group).is_some_and(|state| state.undecided == 0 && state.unanswered == 0) {
            return;
        }
        if let Some(state) = self.groups.remove(&group) {
            self.send_group(state);
        }
    }

    /// Sends what is held if it may take every slot: a command that waits for a slot, and the rest of its block with
    /// it, would wait for ever.
    pub(super) fn free_slots(&mut self) {
        let held: usize = self.groups.values().map(|group| group.deliveries).sum();
        if held >= self.config.limits.deliveries_in_flight.max(1) {
            self.send_held();
        }
    }

    /// Before a message: an ACK may have come too early for it, and would be taken for its own if its answer came after it.
    fn tell_no_message(&mut self) {
        if self.groups.values().any(|group| group.tells_no_message) {
            self.send_held();
        }
    }

    /// Sends what blocks that are not answered completely have so far.
    fn send_held(&mut self) {
        let held: Vec<_> = self.groups.values_mut().map(Group::take_held).collect();
        held.into_iter().for_each(|held| self.send_group(held));
    }

    fn send_group(&mut self, state: Group) {
        self.send_transmissions(state.errors, 0);
        let mut answers = state.answers;
        if !state.messages.is_empty() {
            // The last answers share the block of the first message, so that one SUB is answered in one block.
            let mut last = answers.split_off(answers.len().saturating_sub(ANSWERS_BESIDE_MESSAGE));
            last.extend(state.messages);
            self.send_transmissions(answers, 0);
            answers = last;
        }
        self.send_transmissions(answers, state.deliveries);
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Answer(tag, answer) => self.broker_answered(tag, answer),
            Reply::Message(queue, message) => {
                self.tell_no_message();
                let message = message_of(&message);
                let bytes = self.encode(&CorrelationId::empty(), &queue, &message);
                self.send_transmissions(vec![bytes], 1);
            }
            Reply::Notifications(notifications) => {
                // Among the answers may be that to the NSUB of what is told, which the peer must see first.
                self.send_held();
                let mut transmissions = Vec::with_capacity(notifications.len());
                for notified in &notifications {
                    let message = notification_of(notified, self.entropy.bytes());
                    transmissions.push(self.encode(&CorrelationId::empty(), &notified.notifier, &message));
                }
                self.send_transmissions(transmissions, 1);
            }
            Reply::Ended(ended) => {
                // Among the answers may be that to the SUB of what ended, which the peer must see first.
                self.send_held();
                self.count(Counter::SubscriptionsEnded, ended.len() as u64);
                self.count(Counter::EndBatches, 1);
                let transmissions = ended.into_iter().map(|(queue, ending)| {
                    let event = match ending {
                        Ending::TakenOver => BrokerMessage::End,
                        Ending::Deleted => BrokerMessage::Deld,
                    };
                    self.encode(&CorrelationId::empty(), &queue, &event)
                });
                let transmissions = transmissions.collect();
                self.send_transmissions(transmissions, 1);
            }
            Reply::Blocked(queue, info) => {
                let event = BrokerMessage::Err(ErrorType::Blocked(info));
                self.send_event(&queue, &event);
            }
            Reply::Service(id) => self.service_found(id),
            Reply::ServiceEnded(queues) => {
                self.send_held();
                let service = self.service_id().unwrap_or_default();
                self.send_event(&service, &BrokerMessage::Ends(queues));
            }
            Reply::AllDelivered => {
                // Among the answers may be that to the SUBS of which this is the end.
                self.send_held();
                self.send_event(&EntityId::empty(), &BrokerMessage::Alls);
            }
            Reply::Unsubscribed => self.close_if_idle(),
        }
    }

    /// An event that takes no slot.
    fn send_event(&mut self, entity: &EntityId, event: &BrokerMessage) {
        let bytes = self.encode(&CorrelationId::empty(), entity, event);
        self.send_transmissions(vec![bytes], 0);
    }

    fn broker_answered(&mut self, tag: Tag, answer: Answer) {
        let Some(mut pending) = self.pending.remove(&tag) else { return };
        let again = match (&answer, &mut pending.kind) {
            (Answer::IdTaken, PendingKind::Create(creation)) => self.create_again(tag, creation),
            (Answer::IdTaken, PendingKind::SetNotifier(notifier)) => {
                self.create_notifier_again(tag, notifier)
            }
            _ => None,
        };
        if let Some(request) = again {
            self.requests.push(request);
            self.pending.insert(tag, pending);
            return;
        }
        self.input_bytes -= pending.input_bytes;
        if !matches!(answer, Answer::Subscribed(_))
            && self.groups.values().any(|group| !group.messages.is_empty())
        {
            // This may acknowledge a message that a SUB before it delivers, or delete its queue: the message comes first.
            self.send_held();
        }
        if matches!(answer, Answer::Message(_) | Answer::Subscribed(Some(_))) {
            self.tell_no_message();
        }
        let message = match answer {
            Answer::Done => match pending.kind {
                PendingKind::Create(creation) => BrokerMessage::Ids(Box::new(creation.created)),
                PendingKind::SetNotifier(notifier) => BrokerMessage::Nid(notifier.created),
                PendingKind::Plain => BrokerMessage::Ok,
            },
            Answer::Subscribed(message) => {
                if let Some(message) = message {
                    self.group_message(pending.group, &pending.entity_id, &message_of(&message));
                }
                BrokerMessage::Sok(self.service_id())
            }
            Answer::Message(message) => message_of(&message),
            Answer::Inspected(inspected, subscription) => {
                BrokerMessage::Info(Box::new(queue_status(inspected, subscription)))
            }
            Answer::Unauthorized => BrokerMessage::Err(ErrorType::Auth),
            Answer::QuotaExceeded => BrokerMessage::Err(ErrorType::Quota),
            Answer::NoMessage => BrokerMessage::Err(ErrorType::NoMessage),
            Answer::Prohibited => BrokerMessage::Err(ErrorType::Command(CommandError::Prohibited)),
            Answer::ServiceQueues(queues) => BrokerMessage::Soks(queues),
            Answer::Link(sender_id, data) => BrokerMessage::Lnk { sender_id, data: *data },
            Answer::Blocked(info) => BrokerMessage::Err(ErrorType::Blocked(info)),
            Answer::IdTaken => BrokerMessage::Err(match pending.kind {
                PendingKind::Create(creation) => creation.id_taken(),
                _ => ErrorType::Internal,
            }),
            Answer::LimitReached => BrokerMessage::Err(ErrorType::Internal),
            Answer::StoreFailed => BrokerMessage::Err(store_failed()),
        };
        self.count_refusal(pending.counted, &message);
        let (correlation, entity) = (&pending.correlation_id, &pending.entity_id);
        self.group_answer(pending.group, correlation, entity, pending.via.as_deref(), &message);
        self.group_sent(pending.group);
    }

    /// A message that goes with the answers of a block.
    fn group_message(&mut self, group: GroupId, queue: &EntityId, message: &BrokerMessage) {
        let bytes = self.encode(&CorrelationId::empty(), queue, message);
        if let Some(group) = self.groups.get_mut(&group) {
            group.messages.push(bytes);
            group.deliveries += 1;
        }
    }

    /// A transmission that fits into a block. A message beside a correlation id of an unusual length may not: then the
    /// client is told so, and gets the message when it subscribes again.
    pub(super) fn encode(
        &self,
        correlation: &CorrelationId,
        entity: &EntityId,
        message: &BrokerMessage,
    ) -> Vec<u8> {
        let bytes = self.encode_any(correlation, entity, message);
        if bytes.len() <= item_max(self.transport.content_max()) {
            return bytes;
        }
        self.encode_any(correlation, entity, &BrokerMessage::Err(ErrorType::LargeMessage))
    }

    fn encode_any(&self, correlation: &CorrelationId, entity: &EntityId, message: &BrokerMessage) -> Vec<u8> {
        let Some(verifier) = &self.verifier else { return Vec::new() };
        let mut bytes = Vec::new();
        message.encode(verifier.version(), &mut bytes);
        let transmission = ServerTransmission {
            correlation_id: correlation.clone(),
            entity_id: entity.clone(),
            message: bytes.into(),
        };
        let mut out = Vec::with_capacity(transmission.message.len() + 128);
        transmission.encode(verifier.version(), verifier.session_id(), &mut out);
        out
    }
}

/// A notification as the recipient will read it: encrypted, so that its notifier learns only that there is one.
fn notification_of(notified: &Notified, nonce: [u8; 24]) -> BrokerMessage {
    let notification = &notified.notification;
    let mut plain = Vec::with_capacity(NotificationMeta::PADDED_LENGTH);
    NotificationMeta { message_id: notification.message.clone(), received_at: notification.sent_at }
        .encode(&mut plain);
    let sealed = notified.secret.box_key().seal_padded(
        &Nonce::from_bytes(nonce),
        &plain,
        NotificationMeta::PADDED_LENGTH,
    );
    match sealed {
        Ok(metadata) => BrokerMessage::NMsg { nonce, metadata: metadata.into() },
        // Only for a message id longer than this server makes.
        Err(_) => BrokerMessage::Err(ErrorType::Internal),
    }
}

/// A message as its recipient gets it: encrypted, with the id as the nonce.
fn message_of(waiting: &Waiting) -> BrokerMessage {
    let message = &waiting.message;
    let received_at = message.sent_at;
    let body = match &message.content {
        MessageContent::Message { notification, body } => {
            let flags = MessageFlags { notification: *notification };
            ReceivedBody::Message { received_at, flags, body: body.clone() }
        }
        MessageContent::Quota => ReceivedBody::QuotaExceeded { received_at },
    };
    let mut plain = Vec::with_capacity(ReceivedBody::PADDED_LENGTH);
    body.encode(&mut plain);
    let nonce = Nonce::from_slice(message.id.as_bytes());
    let sealed = waiting.secret.box_key().seal_padded(&nonce, &plain, ReceivedBody::PADDED_LENGTH);
    match sealed {
        Ok(body) => BrokerMessage::Msg { id: message.id.clone(), body: Bytes::from(body) },
        // Only for a message longer than any version allows, which was never accepted.
        Err(_) => BrokerMessage::Err(ErrorType::Internal),
    }
}

fn queue_status(inspected: Inspected, subscription: Option<SubscriptionInfo>) -> QueueStatus {
    QueueStatus {
        sender_secured: inspected.secured,
        notifier: inspected.has_notifier,
        subscription: subscription.map(|subscription| SubscriptionStatus {
            thread: match subscription.prohibited {
                true => SubscriptionThread::ProhibitSub,
                false => SubscriptionThread::NoSub,
            },
            delivered: subscription.delivered,
        }),
        size: inspected.messages.into(),
        message: inspected.first.map(|message| MessageStatus {
            id: message.id,
            received_at: message.sent_at,
            kind: match message.content {
                MessageContent::Message { .. } => MessageKind::Message,
                MessageContent::Quota => MessageKind::Quota,
            },
        }),
    }
}

/// As many answers to SUB as fit beside a message.
const ANSWERS_BESIDE_MESSAGE: usize = 3;
