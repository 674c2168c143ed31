//! Redundancy: a connection receives from queues on several servers, and who sends uses another one when the first fails.
//!
//! ```text
//!   recipient                     servers                      sender
//!   announces queues 1 and 2 ────────────────────────────────▶  in the invitation, or in the confirmation
//!                                 queue 1 ◀───────────────────  handshake and messages, as if there were no other
//!                                 queue 2 ◀───────────────────  once connected: SKEY, then an introduction
//!                                 queue 1 ◀─── X ─────────────  fails for longer than `AgentLimits::fail_over`
//!                                 queue 2 ◀───────────────────  all that waits, then what is new
//! ```
//!
//! An introduction is a confirmation with nothing in it: it carries the sender's key for the encryption of the queue, which the
//! recipient takes when the ratchet says that the message is the other side's. It has no number among messages, so that none
//! waits for it. Only a queue that was introduced is used; agents that know one queue never see any of this.
//!
//! Who gets a new ratchet cannot read what was said with the old one: then all that are in use are introduced again, and those
//! whose introduction waits are introduced anew.
//!
//! A message goes out through another queue as it is, sealed with the same key of the ratchet: whoever gets it twice knows
//! it for a duplicate. `ordering` has what keeps the order, `several_queues` how many there are.
//!
//! A queue that failed is tried last, and so again when the others fail. One that is gone (AUTH) is disabled, but kept: its recipient
//! may name it when he rotates, and that is how he gets another one in its place. The queue of a recipient who does not take his
//! messages (QUOTA) does not fail, and the handshake goes through the first alone.

use bytes::Bytes;

use super::LocalMessageId;
use super::effect::{Effect, is_refused, is_temporary};
use super::establish::FIRST;
use super::queues::can_secure;
use super::receive::{PROHIBITED_MESSAGE, Taken};
use super::seal::OpenedMessage;
use super::step::{PROHIBITED, Step};
use super::store::{
    AgentOp, Delivery, Origin, Outgoing, OutgoingContent, Progress, QueueNumber, QueueStage, ReceiptState,
    ReceiveQueue, SendQueue, Task, TaskKind,
};
use crate::client::{Answer, Request, RequestError};
use crate::crypto::hash::sha256;
use crate::wire::agent::{AgentError, AgentMessage, MessageHash};
use crate::wire::codec::decode_all;
use crate::wire::command::MessageFlags;
use crate::wire::error::ErrorType;
use crate::wire::queue_uri::QueueInfo;
use crate::wire::{EntityId, QueueMode, ServerAddress};

impl Step<'_> {
    /// Send queues for all but the first that the other side announced, as far as they can be used.
    pub(super) fn spare_send_queues(&mut self, announced: &[QueueInfo]) -> Vec<SendQueue> {
        let max = self.shared.config.limits.send_queues;
        let versions = self.shared.config.versions.client;
        let mut known: Vec<(_, EntityId)> = Vec::new();
        let mut queues = Vec::new();
        for queue in announced {
            let address = (queue.address.server.clone(), queue.address.sender_id.clone());
            let is_usable = queue.address.mode.is_some_and(QueueMode::sender_can_secure)
                && versions.contains(queue.version)
                && !known.contains(&address);
            // The first is in use already.
            let is_first = known.is_empty();
            known.push(address);
            if is_first || !is_usable || queues.len() + 1 >= max {
                continue;
            }
            let number = u32::try_from(queues.len()).unwrap_or(u32::MAX).saturating_add(FIRST.0 + 1);
            queues.extend(self.new_send_queue(QueueNumber(number), queue));
        }
        queues
    }

    /// Both sides can send: queues that were announced beside the first are made ready.
    pub(super) fn prepare_spares(&mut self) {
        let Some(connection) = &self.connection else { return };
        let has_task = |number| {
            let is_its = |task: &Task| matches!(task.kind, TaskKind::SecureSpare(of) if of == number);
            connection.tasks.iter().any(is_its)
        };
        let spares = connection.send.iter().filter(|queue| is_untried(queue) && !has_task(queue.number));
        let tasks: Vec<_> = spares
            .map(|queue| Task { kind: TaskKind::SecureSpare(queue.number), origin: Origin::Agent })
            .collect();
        if !tasks.is_empty() {
            self.tasks_mut().into_iter().for_each(|known| known.extend(tasks.iter().cloned()));
            self.effects.push(Effect::Tasks);
        }
    }

    /// SKEY of a queue that was announced beside the first was done, or was not.
    pub(super) fn spare_answered(&mut self, number: QueueNumber, answer: &Result<Answer, RequestError>) {
        match answer {
            Ok(_) if !self.can_send() => self.spare_later(),
            Ok(_) => {
                self.background_done();
                self.send_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Secured);
                if let Err(error) = self.introduce(number) {
                    self.error(error);
                }
            }
            Err(error) if is_temporary(error) => self.spare_later(),
            Err(_) => {
                self.background_done();
                self.forget_spare(number);
            }
        }
    }

    /// The first background task is tried again after the others.
    fn spare_later(&mut self) {
        if let Some(tasks) = self.tasks_mut()
            && let Some(place) = tasks.iter().position(|task| task.kind.is_background())
        {
            let task = tasks.remove(place);
            tasks.push(task);
        }
        self.background_later();
    }

    /// Tells the recipient our key for the encryption of a queue.
    fn introduce(&mut self, queue: QueueNumber) -> Result<(), AgentError> {
        let created_at = self.now();
        let connection = self.agreement_mut().ok_or(PROHIBITED)?;
        let ratchet = connection.agreement.ratchet_mut().ok_or(PROHIBITED)?;
        let key = ratchet.encrypt_header(None).map_err(|_| PROHIBITED)?;
        let state = &mut connection.state;
        let message = AgentMessage::ConnInfo(Bytes::new());
        let padded_len = message.padded_len(state.version, state.pq_support).ok_or(PROHIBITED)?;
        let mut plaintext = Vec::new();
        message.encode(&mut plaintext);
        state.counters.last = LocalMessageId(state.counters.last.0 + 1);
        let (connection, id) = (connection.id, state.counters.last);
        let outgoing = Outgoing {
            connection,
            id,
            sender_id: INTRODUCTION,
            created_at,
            flags: MessageFlags { notification: false },
            hash: MessageHash::from(sha256(&plaintext)),
            content: OutgoingContent::Ratchet {
                plaintext: plaintext.into(),
                key: Box::new(key),
                padded_len,
                version: state.version,
                confirmation: Some(Bytes::new()),
            },
            receipt: ReceiptState::NotExpected,
        };
        self.ops.push(AgentOp::PutOutgoing(Box::new(outgoing)));
        self.ops.push(AgentOp::PutDelivery(Delivery { connection, queue, message: id }));
        self.effects.push(Effect::Deliver(queue));
        Ok(())
    }

    /// A message was not delivered: whether another queue takes it, and what waits behind it.
    pub(super) fn fails_over(
        &mut self,
        number: QueueNumber,
        message: &Outgoing,
        error: &RequestError,
    ) -> bool {
        if message.sender_id == INTRODUCTION {
            let is_hopeless = !is_temporary(error);
            let is_in_use = self.send_queue(number).is_some_and(|queue| queue.stage == QueueStage::Active);
            match is_hopeless {
                // What goes through it next is told the same.
                true if is_in_use => self.dealt_with(number, message),
                true => self.forget_spare(number),
                false => {}
            }
            return is_hopeless;
        }
        let now = self.shared.now.mono;
        let patience = self.shared.config.limits.fail_over;
        let attempt = self.running.queues.entry(number).or_default();
        let since = *attempt.since.get_or_insert(now);
        let is_full =
            matches!(error, RequestError::Server(ErrorType::Quota) | RequestError::Relay(ErrorType::Quota));
        let is_over = is_temporary(error) && !is_full && now.since(since) >= patience;
        // A queue that takes the place of another is not left before it is tested, or that would never end.
        let is_in_test = self.send_queue(number).is_some_and(|queue| queue.switch.is_some());
        let Some(next) = self.next_send_queue(number).filter(|_| !is_in_test) else { return false };
        let is_gone = is_refused(error);
        if !is_gone && !is_over {
            return false;
        }
        match &message.content {
            // What answers a confirmation goes through the first queue alone, and nothing overtakes it.
            OutgoingContent::Ratchet { confirmation: Some(keys), .. } if keys.is_empty() => return false,
            // It was answered, or we would not be connected: the other side has it, and only the server was not heard.
            OutgoingContent::Ratchet { confirmation: Some(_), .. } => self.dealt_with(number, message),
            _ => {}
        }
        self.ops.push(AgentOp::MoveDeliveries(self.id, number, next));
        if is_gone {
            self.lose_send(number);
        } else {
            self.running.queues.remove(&number);
            self.send_last(number);
        }
        self.send_first(next);
        self.effects.push(Effect::Deliver(next));
        true
    }

    /// Another queue that was introduced.
    fn next_send_queue(&self, number: QueueNumber) -> Option<QueueNumber> {
        let connection = self.connection.as_ref().filter(|of| of.state.progress == Progress::Connected)?;
        let is_ready = |queue: &&SendQueue| {
            // The first one is in use from the beginning.
            let is_tried = queue.number == FIRST || queue.stage == QueueStage::Active;
            let is_tried = is_tried && queue.stage != QueueStage::Disabled;
            let is_left = self.successor(queue.number).is_some();
            queue.number != number
                && is_tried
                && !is_left
                && queue.replaces.is_none()
                && queue.switch.is_none()
        };
        connection.send.iter().find(is_ready).map(|queue| queue.number)
    }

    /// There is a new ratchet: an introduction that waits is made anew when it can be, because nobody could read it.
    pub(super) fn take_back_introductions(&mut self) {
        let send = self.connection.iter().flat_map(|connection| &connection.send);
        let waiting = send.filter(|queue| is_untried(queue) && queue.stage == QueueStage::Secured);
        let waiting: Vec<_> = waiting.map(|queue| queue.number).collect();
        for number in waiting {
            self.send_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::New);
        }
        if self.connection.as_ref().is_some_and(|of| of.state.progress == Progress::Connected) {
            self.prepare_spares();
        }
    }

    /// Introduces us again in queues where that was done: with the old ratchet, which the recipient may not have had any more when
    /// it came.
    pub(super) fn introduce_again(&mut self) -> Result<(), AgentError> {
        let Some(connection) = self.connection.as_ref().filter(|of| of.send.len() > 1) else { return Ok(()) };
        let is_introduced = |queue: &&SendQueue| queue.stage == QueueStage::Active && is_spare(queue);
        let known: Vec<_> = connection.send.iter().filter(is_introduced).map(|queue| queue.number).collect();
        known.into_iter().try_for_each(|queue| self.introduce(queue))
    }

    /// A queue that was in use is gone: kept, because its recipient may name it when he wants another one in its place.
    fn lose_send(&mut self, number: QueueNumber) {
        self.send_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Disabled);
        self.send_last(number);
        self.running.queues.remove(&number);
    }

    /// A send queue that was never used is gone.
    fn forget_spare(&mut self, number: QueueNumber) {
        self.ops.push(AgentOp::DeleteSendQueue(self.id, number));
        self.remove_send(number);
        self.running.queues.remove(&number);
    }

    /// The other side introduces itself in a queue of ours that was announced beside the first.
    pub(super) fn introduced(
        &mut self,
        number: QueueNumber,
        opened: &OpenedMessage,
        ciphertext: &Bytes,
    ) -> Result<Taken, AgentError> {
        if opened.e2e_key.is_none() || opened.sender_key.is_some() {
            return Err(PROHIBITED_MESSAGE);
        }
        let Some(message) = self.decrypt_once(ciphertext)? else { return Ok(Taken::Done) };
        let content = decode_all(&message.plaintext.into(), AgentMessage::decode);
        if !matches!(content, Ok(AgentMessage::ConnInfo(_))) {
            return Err(PROHIBITED_MESSAGE);
        }
        // The first introduction counts: what is on its way is encrypted as that says.
        if let Some(queue) = self.receive_mut(number).filter(|queue| is_unknown(queue)) {
            queue.e2e_secret = Some(opened.e2e_secret.clone());
            queue.stage = QueueStage::Active;
        }
        Ok(Taken::Done)
    }

    /// SKEY of a queue that was announced beside the first.
    pub(super) fn spare_request(&self, number: QueueNumber) -> Option<(ServerAddress, Request)> {
        let queue = self.send_queue(number)?;
        let request = Request::secure_by_sender(queue.sender_id.clone(), queue.key.clone());
        Some((queue.server.clone(), request))
    }
}

/// Whether a queue was announced beside the first, and its recipient does not know our key.
pub(super) fn is_untried(queue: &SendQueue) -> bool {
    !matches!(queue.stage, QueueStage::Active | QueueStage::Disabled) && is_spare(queue)
}

/// Whether a queue was announced beside the first, or is in use in its place.
fn is_spare(queue: &SendQueue) -> bool {
    queue.number != FIRST && queue.replaces.is_none() && queue.switch.is_none() && can_secure(queue)
}

/// Whether a queue was announced beside the first, and nothing that was sent to it counts.
pub(super) fn is_to_introduce(queue: &SendQueue) -> bool {
    queue.stage == QueueStage::New && is_spare(queue)
}

/// Whether a message is an introduction in a queue where we are to introduce ourselves anew.
pub(super) fn is_taken_back(queue: &SendQueue, message: &Outgoing) -> bool {
    message.sender_id == INTRODUCTION && is_to_introduce(queue)
}

/// Whether a queue was announced beside the first, and nobody has introduced himself in it.
pub(super) fn is_unknown(queue: &ReceiveQueue) -> bool {
    queue.number != FIRST && queue.replaces.is_none() && queue.e2e_secret.is_none()
}

/// In place of a number among the messages of the sender.
const INTRODUCTION: i64 = 0;
