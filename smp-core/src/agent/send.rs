//! Messages on their way out: first to the store, then through a queue, one after another, until its server has them.

use std::time::Duration;

use bytes::Bytes;

use super::actor::Attempt;
use super::effect::{Doing, Effect, is_refused, is_temporary, to_error};
use super::queues::can_secure;
use super::redundancy::{is_taken_back, is_to_introduce};
use super::seal::seal;
use super::step::{PROHIBITED, Step};
use super::store::{
    AgentOp, Delivery, Found, Outgoing, OutgoingContent, Progress, QueueNumber, QueueStage, ReceiptState,
    SyncState,
};
use super::{CallId, Event, LocalMessageId, Reply};
use crate::client::{Answer, Request, RequestError};
use crate::crypto::hash::sha256;
use crate::crypto::ratchet::PqEncryption;
use crate::time::Timestamp;
use crate::wire::ServerAddress;
use crate::wire::agent::{
    AMessage, AgentCommandError, AgentError, AgentMessage, ConnectionError, MessageHash, sizes, version,
};
use crate::wire::codec::decode_all;
use crate::wire::command::MessageFlags;
use crate::wire::error::{BrokerErrorType, ErrorType};

impl Step<'_> {
    /// A message of the app.
    pub(super) fn send_body(
        &mut self,
        id: CallId,
        body: &Bytes,
        flags: MessageFlags,
        pq: Option<PqEncryption>,
    ) -> Result<(), AgentError> {
        let state = &self.connection()?.state;
        let pq = pq.filter(|_| state.version >= version::PQ_RATCHET);
        let pq_support = state.pq_support || pq == Some(PqEncryption::On);
        if body.len() > sizes::body_len_max(state.version, pq_support) {
            return Err(AgentError::Command(AgentCommandError::Large));
        }
        if state.progress == Progress::Contact {
            return Err(AgentError::Connection(ConnectionError::Simplex));
        }
        if !self.can_send() {
            return Err(PROHIBITED);
        }
        let message = self.enqueue_with(AMessage::Body(body.clone()), flags, pq)?;
        self.reply(id, Ok(Reply::Accepted(message)));
        Ok(())
    }

    /// Whether messages that follow the handshake may be sent: the other side will be able to read them.
    pub(super) fn can_send(&self) -> bool {
        let sync = self.connection.as_ref().map(|connection| connection.state.sync);
        self.can_send_when_agreed() && sync.is_some_and(|sync| sync <= SyncState::Allowed)
    }

    /// The same when the ratchets agree, or if they do.
    pub(super) fn can_send_when_agreed(&self) -> bool {
        let Some(connection) = &self.connection else { return false };
        let state = &connection.state;
        match state.progress {
            Progress::Connected => true,
            // The other side has the ratchet as soon as it has the confirmation, which goes before.
            Progress::Joined | Progress::Allowed => {
                state.version >= version::RATCHET_ON_CONFIRMATION && connection.send.iter().all(can_secure)
            }
            Progress::Created
            | Progress::Confirmed
            | Progress::Joining
            | Progress::Requested
            | Progress::Opened
            | Progress::Contact
            | Progress::Prepared => false,
        }
    }

    /// A message that follows the handshake, through the best queue.
    pub(super) fn enqueue(
        &mut self,
        message: AMessage,
        flags: MessageFlags,
    ) -> Result<LocalMessageId, AgentError> {
        self.enqueue_with(message, flags, None)
    }

    /// The same, and post-quantum encryption is switched.
    fn enqueue_with(
        &mut self,
        message: AMessage,
        flags: MessageFlags,
        pq: Option<PqEncryption>,
    ) -> Result<LocalMessageId, AgentError> {
        let connection = self.connection()?;
        let counters = &connection.state.counters;
        let (id, previous_hash) = (counters.sent + 1, counters.sent_hash.clone());
        let queue = connection.send.first().ok_or(AgentError::Connection(ConnectionError::Simplex))?.number;
        self.put_outgoing(queue, &AgentMessage::Message { id, previous_hash, message }, flags, None, pq)
    }

    /// The message that tells the other side who we are, and our keys of the ratchet if it does not have them.
    pub(super) fn enqueue_confirmation(
        &mut self,
        queue: QueueNumber,
        message: AgentMessage,
        keys: Bytes,
    ) -> Result<(), AgentError> {
        let flags = MessageFlags { notification: true };
        self.put_outgoing(queue, &message, flags, Some(keys), None).map(|_| ())
    }

    /// Seals a message with the next key of the ratchet, which from then on is used for nothing else.
    fn put_outgoing(
        &mut self,
        queue: QueueNumber,
        message: &AgentMessage,
        flags: MessageFlags,
        confirmation: Option<Bytes>,
        pq: Option<PqEncryption>,
    ) -> Result<LocalMessageId, AgentError> {
        let created_at = self.now();
        let max_version = self.shared.config.versions.agent.max();
        let connection = self.agreement_mut().ok_or(PROHIBITED)?;
        let ratchet = connection.agreement.ratchet_mut().ok_or(PROHIBITED)?;
        let key = ratchet.encrypt_header(pq).map_err(|_| PROHIBITED)?;
        let state = &mut connection.state;
        // Once headers are large, they stay so.
        state.pq_support |= pq.is_some() && ratchet.pq_supported();
        let padded_len = message.padded_len(state.version, state.pq_support).ok_or(PROHIBITED)?;
        let mut plaintext = Vec::new();
        message.encode(&mut plaintext);
        if plaintext.len() + 2 > padded_len {
            return Err(AgentError::Command(AgentCommandError::Large));
        }
        let hash = MessageHash::from(sha256(&plaintext));
        // Confirmations have the version that both speak, others tell the newest that we do.
        let version = if confirmation.is_some() { state.version } else { max_version };
        let counters = &mut state.counters;
        counters.last = LocalMessageId(counters.last.0 + 1);
        counters.sent += 1;
        counters.sent_hash = hash.clone();
        let (id, sender_id) = (counters.last, counters.sent);
        let content = OutgoingContent::Ratchet {
            plaintext: plaintext.into(),
            key: Box::new(key),
            padded_len,
            version,
            confirmation,
        };
        let is_body = matches!(message, AgentMessage::Message { message: AMessage::Body(_), .. });
        let receipt = if is_body { ReceiptState::None } else { ReceiptState::NotExpected };
        let connection = self.id;
        let outgoing = Outgoing { connection, id, sender_id, created_at, flags, content, hash, receipt };
        self.ops.push(AgentOp::PutOutgoing(Box::new(outgoing)));
        self.ops.push(AgentOp::PutDelivery(Delivery { connection, queue, message: id }));
        self.effects.push(Effect::Deliver(queue));
        Ok(id)
    }

    /// Sends what is next in a queue, unless something is on its way, or has to be done first.
    pub(super) fn deliver(&mut self, number: QueueNumber) {
        let Some(Found::Outgoing(Some(message))) = self.found.take() else { return };
        let attempt = self.running.queues.entry(number).or_default();
        if attempt.is_busy() || self.waits_for_old(number) {
            return;
        }
        let Some(connection) = self.connection.as_ref().filter(|connection| !connection.holds_messages())
        else {
            return;
        };
        if connection.state.progress == Progress::Joining && self.running.call.is_none() {
            // Until the call is repeated.
            return;
        }
        let Some(queue) = connection.send.iter().find(|queue| queue.number == number).cloned() else {
            return;
        };
        if is_taken_back(&queue, &message) {
            return self.dealt_with(number, &message);
        }
        let Some(body) = seal(&queue, &message, &mut self.shared.entropy) else {
            let error = AgentError::Internal("a message cannot be sealed".to_owned());
            return self.not_sent(number, &message, error);
        };
        let is_first = is_confirmation(&message);
        let attempt = self.running.queues.entry(number).or_default();
        let key = (can_secure(&queue) || !is_first || attempt.is_signed).then(|| queue.key.clone());
        attempt.is_under_way = true;
        let request = Request::send(queue.sender_id.clone(), key, message.flags, body);
        self.request(queue.server, request, Doing::Deliver(self.id, number, message, None));
    }

    /// A server has a message, or not.
    pub(super) fn delivered(
        &mut self,
        number: QueueNumber,
        message: &Outgoing,
        proxy: Option<&ServerAddress>,
        answer: &Result<Answer, RequestError>,
    ) {
        let limits = self.shared.config.limits.clone();
        let age = self.now().as_millis() - message.created_at.as_millis();
        let is_older = |than: Duration| i64::try_from(than.as_millis()).is_ok_and(|than| age >= than);
        let now = self.shared.now.mono;
        let attempt = self.running.queues.entry(number).or_default();
        attempt.is_under_way = false;
        if self.running.heard.remove(&message.id) {
            *attempt = Attempt::default();
            // What is next may go through the queue that takes the place of this one, and has waited for this message alone.
            let next = self.successor(number).unwrap_or(number);
            return self.effects.push(Effect::Deliver(next));
        }
        let error = match answer {
            Ok(_) => {
                *attempt = Attempt::default();
                return self.sent(number, message, proxy);
            }
            Err(error) => error.clone(),
        };
        if let Some(new) = self.successor(number) {
            return self.effects.push(Effect::Deliver(new));
        }
        if self.is_switched_back(number, &error) || self.fails_over(number, message, &error) {
            return;
        }
        let is_full =
            matches!(error, RequestError::Server(ErrorType::Quota) | RequestError::Relay(ErrorType::Quota));
        let expiry = if is_full { limits.full_expiry } else { limits.message_expiry };
        let is_first = is_confirmation(message);
        let is_called_for = is_first && self.running.call.is_some();
        if is_temporary(&error) && !is_older(expiry) && !is_called_for {
            let (min, max) = match is_full {
                true => (limits.full_retry, limits.full_retry_max),
                false => (limits.retry_min, limits.retry_max),
            };
            return self.running.queues.entry(number).or_default().later(now, min, max);
        }
        let is_unsigned = is_first && !self.send_queue(number).is_some_and(can_secure);
        if is_refused(&error) && is_unsigned && self.sign_next(number) {
            return;
        }
        let server = self.send_queue(number).map(|queue| queue.server.clone());
        if is_temporary(&error) && !is_called_for {
            self.count(server.clone(), |of| &mut of.send_expired);
        }
        let error = match server {
            Some(_) if is_refused(&error) && !is_body(message) => AgentError::Connection(self.unreachable()),
            Some(server) => to_error(server, error),
            None => return,
        };
        if is_called_for {
            // The message stays for the repeated call.
            return self.fail_call(error);
        }
        self.not_sent(number, message, error);
    }

    /// A confirmation was refused without a signature: if it came to its recipient before, he may have secured the queue with
    /// the key in it, and it is sent again signed. False if that was done.
    fn sign_next(&mut self, number: QueueNumber) -> bool {
        let attempt = self.running.queues.entry(number).or_default();
        attempt.is_signed = !attempt.is_signed;
        let may = attempt.is_signed;
        if may {
            self.effects.push(Effect::Deliver(number));
        }
        may
    }

    /// Why nobody hears what belongs to the handshake: who let us in did not, or is gone.
    fn unreachable(&self) -> ConnectionError {
        match self.connection.as_ref().map(|connection| connection.state.progress) {
            Some(Progress::Joined) => ConnectionError::NotAccepted,
            _ => ConnectionError::NotAvailable,
        }
    }

    /// A message will not be sent; the next one may. The app knows the numbers of its own messages alone.
    fn not_sent(&mut self, number: QueueNumber, message: &Outgoing, error: AgentError) {
        let connection = self.id;
        self.dealt_with(number, message);
        match is_body(message) {
            true => self.event(Event::NotSent(connection, message.id, error)),
            false => self.error(error),
        }
    }

    /// The connection is deleted, and there is no more time for this message.
    pub(super) fn too_late(&mut self, number: QueueNumber, message: &Outgoing) {
        self.dealt_with(number, message);
        let server = self.send_queue(number).map(|queue| Box::new(queue.server.clone()));
        if let Some(server) = server.filter(|_| is_body(message)) {
            let error = AgentError::Broker { server, error: BrokerErrorType::Timeout };
            self.event(Event::NotSent(self.id, message.id, error));
        }
    }

    /// What a message was sealed with is not needed any more, and the next one may go.
    pub(super) fn dealt_with(&mut self, number: QueueNumber, message: &Outgoing) {
        self.undeliver(number, message);
        let kept = Outgoing { content: OutgoingContent::Delivered, ..message.clone() };
        self.ops.push(AgentOp::PutOutgoing(Box::new(kept)));
    }

    /// The other side has a message of which its server has not said so, or said so and was not heard.
    pub(super) fn heard_of(&mut self, message: &mut Outgoing) {
        if matches!(message.content, OutgoingContent::Delivered) {
            return;
        }
        message.content = OutgoingContent::Delivered;
        let queues = self.connection.iter().flat_map(|connection| &connection.send);
        let queues: Vec<_> = queues.map(|queue| queue.number).collect();
        for queue in queues {
            let delivery = Delivery { connection: self.id, queue, message: message.id };
            self.ops.push(AgentOp::DeleteDelivery(delivery));
            self.effects.push(Effect::Deliver(queue));
        }
        if self.running.queues.values().any(|attempt| attempt.is_under_way) {
            self.running.heard.insert(message.id);
        }
        self.event(Event::Sent(self.id, message.id, None));
    }

    /// A message is with the server.
    fn sent(&mut self, number: QueueNumber, message: &Outgoing, proxy: Option<&ServerAddress>) {
        let connection = self.id;
        self.dealt_with(number, message);
        let OutgoingContent::Ratchet { plaintext, .. } = &message.content else { return };
        match decode_all(plaintext, AgentMessage::decode) {
            Ok(AgentMessage::ConnInfoReply { .. }) => self.confirmation_sent(),
            Ok(AgentMessage::ConnInfo(_)) => self.info_sent(number),
            Ok(AgentMessage::Message { message: AMessage::Hello, .. }) => self.hello_sent(number),
            Ok(AgentMessage::Message { message: AMessage::QueueKey(_), .. }) => self.queue_key_sent(),
            Ok(AgentMessage::Message { message: AMessage::QueueTest(_), .. }) => self.queue_tested(number),
            Ok(AgentMessage::Message { message: AMessage::Body(_), .. }) => {
                self.event(Event::Sent(connection, message.id, proxy.cloned()));
            }
            _ => {}
        }
    }

    fn confirmation_sent(&mut self) {
        if let Some(connection) = &mut self.connection
            && connection.state.progress == Progress::Joining
        {
            connection.state.progress = Progress::Joined;
        }
        self.call_joined();
    }

    /// The call that waits for the confirmation has what it waits for.
    pub(super) fn call_joined(&mut self) {
        if let Some(call) = self.running.call.take() {
            let reply = self.joined();
            self.reply(call, Ok(reply));
        }
    }

    /// Who was let in was told of us. If we secured his queue, he needs nothing more.
    fn info_sent(&mut self, number: QueueNumber) {
        if self.send_queue(number).is_some_and(is_to_introduce) {
            // This was taken back.
            return;
        }
        let is_ready = self.send_queue(number).is_some_and(can_secure);
        let stage = if is_ready { QueueStage::Active } else { QueueStage::Confirmed };
        self.send_mut(number).into_iter().for_each(|queue| queue.stage = stage);
        if is_ready {
            self.connected();
        }
    }

    /// HELLO was the last thing that was missing for who was asked by the other side's.
    fn hello_sent(&mut self, number: QueueNumber) {
        self.send_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Active);
        let progress = self.connection.as_ref().map(|connection| connection.state.progress);
        if progress == Some(Progress::Allowed) {
            self.connected();
        }
    }

    /// Both sides can send; said once.
    pub(super) fn connected(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if connection.state.progress != Progress::Connected {
            connection.state.progress = Progress::Connected;
            let server = connection.receive.first().map(|queue| queue.server.clone());
            self.count(server, |of| &mut of.connected);
            self.event(Event::Connected(self.id));
            self.prepare_spares();
        }
    }
}

/// Whether the whole envelope is a confirmation: of the handshake, or one that introduces us in another queue.
pub(super) const fn is_confirmation(message: &Outgoing) -> bool {
    matches!(message.content, OutgoingContent::Ratchet { confirmation: Some(_), .. })
}

/// Whether it is a message of the app.
fn is_body(message: &Outgoing) -> bool {
    let OutgoingContent::Ratchet { plaintext, .. } = &message.content else { return false };
    let decoded = decode_all(plaintext, AgentMessage::decode);
    matches!(decoded, Ok(AgentMessage::Message { message: AMessage::Body(_), .. }))
}

impl Attempt {
    /// True if it is under way, or waits to be tried again.
    pub(super) const fn is_busy(&self) -> bool {
        self.is_under_way || self.again_at.is_some()
    }

    /// It failed: it is tried again after a pause, half as long again as the last.
    pub(super) fn later(&mut self, now: Timestamp, min: Duration, max: Duration) {
        self.is_under_way = false;
        self.pause = (self.pause * 3 / 2).clamp(min, max);
        self.again_at = Some(now + self.pause);
    }
}
