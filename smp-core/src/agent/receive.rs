//! Messages that come: opened with a copy of the ratchet, kept, told to the app, and then acknowledged.
//!
//! A server holds a message until it is acknowledged and sends no other one of the queue meanwhile. What is not for the app is
//! acknowledged when the step is durable, what is for the app when the app has acknowledged it.

use std::time::Duration;

use super::effect::{Doing, Effect};
use super::seal::{self, Opened, OpenedMessage, SealFault};
use super::step::Step;
use super::store::{
    AgentOp, Agreement, Confirmation, Found, Incoming, Origin, Progress, QueueNumber, QueueStage, SendQueue,
    SyncState, Task, TaskKind,
};
use super::{CallId, ConfirmationId, Event, LocalMessageId, MessageEvent, Reply};
use crate::client::{ReceivedMessage, Request};
use crate::crypto::hash::sha256;
use crate::crypto::ratchet::{self, Decrypted, Ratchet, RatchetFault, SkippedKeys};
use crate::wire::MessageId;
use crate::wire::agent::{
    AMessage, AgentError, AgentMessage, ConnectionError, EnvelopeBody, MessageHash, MessageIntegrity,
    PeerError, RatchetError, SenderQueue, version,
};
use crate::wire::codec::decode_all;
use crate::wire::command::MessageFlags;
use crate::wire::link::E2eParameters;

impl Step<'_> {
    /// A message of a server.
    pub(super) fn receive(&mut self, number: QueueNumber, message: &ReceivedMessage) {
        if let Some(Found::Incoming(incoming)) = &self.found {
            // It came before.
            return match incoming.clone() {
                Some(incoming) if incoming.body.is_some() => {
                    if !self.running.told.contains(&incoming.id) {
                        self.tell(&incoming);
                    }
                }
                _ => self.acknowledge_now(number, &message.id),
            };
        }
        let Some(queue) = self.receive_queue(number) else { return };
        let taken = match seal::open(queue, message) {
            Ok(Opened::Message(opened)) => self.opened(number, &message.id, &opened),
            Ok(Opened::QuotaExceeded) => self.drained(number),
            Err(SealFault::Crypto | SealFault::NoKey) => {
                Err(AgentError::Peer(PeerError::Crypto(RatchetError::Queue)))
            }
            Err(SealFault::Malformed) => Err(AgentError::Peer(PeerError::Message)),
        };
        match taken {
            Ok(Taken::ByApp) => {}
            Ok(Taken::Done) => self.acknowledge_now(number, &message.id),
            Err(error) => {
                self.error(error);
                self.acknowledge_now(number, &message.id);
            }
        }
    }

    /// The app has a message.
    pub(super) fn acknowledge(&mut self, id: CallId) -> Result<(), AgentError> {
        let not_found = AgentError::Connection(ConnectionError::NotFound);
        let Some(Found::Incoming(Some(mut incoming))) = self.found.take() else { return Err(not_found) };
        // Once more is no fault: the answer to the first may have been lost.
        self.running.told.remove(&incoming.id);
        if incoming.body.take().is_some() {
            let (queue, server_id) = (incoming.queue, incoming.server_id.clone());
            self.ops.push(AgentOp::PutIncoming(incoming));
            self.acknowledge_now(queue, &server_id);
        }
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }

    fn acknowledge_now(&mut self, number: QueueNumber, message: &MessageId) {
        let Some(queue) = self.receive_queue(number).cloned() else { return };
        let request = Request::acknowledge(queue.recipient_id, queue.key, message.clone());
        self.request(queue.server, request, Doing::Acknowledge(self.id, number));
    }

    fn opened(
        &mut self,
        number: QueueNumber,
        id: &MessageId,
        opened: &OpenedMessage,
    ) -> Result<Taken, AgentError> {
        match &opened.envelope.body {
            EnvelopeBody::Confirmation { keys: Some(keys), ciphertext } => {
                self.confirmation(number, opened, keys, ciphertext)
            }
            EnvelopeBody::Confirmation { keys: None, ciphertext } => {
                let Some(Ok(message)) = self.decrypt(ciphertext)? else { return Ok(Taken::Done) };
                self.reply_confirmed(number, opened, &message.plaintext)
            }
            EnvelopeBody::Message(ciphertext) => {
                self.raise_version(opened);
                match self.decrypt(ciphertext)? {
                    Some(Ok(message)) => self.message(number, id, opened, message),
                    Some(Err(error)) => Err(error),
                    None => Ok(Taken::Done),
                }
            }
            EnvelopeBody::Invitation { .. } | EnvelopeBody::RatchetKeys { .. } => Err(PROHIBITED_MESSAGE),
        }
    }

    /// Somebody uses our invitation.
    fn confirmation(
        &mut self,
        number: QueueNumber,
        opened: &OpenedMessage,
        keys: &E2eParameters,
        ciphertext: &bytes::Bytes,
    ) -> Result<Taken, AgentError> {
        let connection = self.connection()?;
        let Agreement::Offered(ours) = &connection.agreement else {
            // The confirmation came again: its sender did not hear that the server had it.
            return Ok(Taken::Done);
        };
        let version = version::SUPPORTED.max().min(opened.envelope.version);
        let pq = keys.kem.is_some() && version >= version::PQ_RATCHET;
        let bad = |_| AgentError::Peer(PeerError::Crypto(RatchetError::Sync));
        let ratchet = Ratchet::accept(ours, keys, ratchet::MAX_VERSION, pq).map_err(bad)?;
        let decrypted = ratchet.decrypt(&SkippedKeys::new(), ciphertext, &mut self.shared.entropy);
        let Decrypted { ratchet, body, .. } = decrypted.map_err(fault)?;
        let plaintext = body.map_err(fault)?;
        let malformed = |_| AgentError::Peer(PeerError::Message);
        let message = decode_all(&plaintext.clone().into(), AgentMessage::decode).map_err(malformed)?;
        let AgentMessage::ConnInfoReply { queues, info } = message else { return Err(PROHIBITED_MESSAGE) };
        let Some(e2e_key) = opened.e2e_key else { return Err(PROHIBITED_MESSAGE) };
        let confirmation = Confirmation {
            id: ConfirmationId::generate(&mut self.shared.entropy),
            connection: self.id,
            sender_key: opened.sender_key,
            e2e_key,
            ratchet: Box::new(ratchet),
            hash: MessageHash::from(sha256(&plaintext)),
            queues: queues.into_vec(),
            version,
            info,
        };
        if opened.sender_key.is_none() {
            self.settle_on(number, opened, &confirmation);
        }
        if let Some(connection) = &mut self.connection {
            connection.state.progress = Progress::Confirmed;
            connection.state.pq_support = pq;
        }
        self.event(Event::Confirmation {
            connection: self.id,
            confirmation: confirmation.id,
            servers: confirmation.queues.iter().map(|queue| queue.address.server.clone()).collect(),
            info: confirmation.info.clone(),
        });
        self.ops.push(AgentOp::PutConfirmation(Box::new(confirmation)));
        Ok(Taken::Done)
    }

    /// Whoever secured our queue is the only one who can send: his messages may follow at once.
    fn settle_on(&mut self, number: QueueNumber, opened: &OpenedMessage, confirmation: &Confirmation) {
        if let Some(queue) = self.receive_mut(number) {
            queue.e2e_secret = Some(opened.e2e_secret.clone());
            queue.stage = QueueStage::Confirmed;
        }
        if let Some(connection) = self.agreement_mut() {
            connection.agreement = Agreement::Ratchet(confirmation.ratchet.clone());
            connection.state.version = confirmation.version;
            connection.state.counters.received = 1;
            connection.state.counters.received_hash = confirmation.hash.clone();
        }
    }

    /// Whoever made the invitation that we used answers.
    fn reply_confirmed(
        &mut self,
        number: QueueNumber,
        opened: &OpenedMessage,
        plaintext: &[u8],
    ) -> Result<Taken, AgentError> {
        let malformed = |_| AgentError::Peer(PeerError::Message);
        let content = plaintext.to_vec().into();
        let message = decode_all(&content, AgentMessage::decode).map_err(malformed)?;
        let AgentMessage::ConnInfo(info) = message else { return Err(PROHIBITED_MESSAGE) };
        let is_first = self.receive_queue(number).is_some_and(|queue| queue.stage == QueueStage::New);
        let connection = self.connection()?;
        if !is_first || !matches!(connection.state.progress, Progress::Joining | Progress::Joined) {
            return Err(PROHIBITED_MESSAGE);
        }
        connection.state.counters.received = 1;
        connection.state.counters.received_hash = MessageHash::from(sha256(plaintext));
        if let Some(queue) = self.receive_mut(number) {
            queue.e2e_secret = Some(opened.e2e_secret.clone());
            queue.stage = QueueStage::Confirmed;
        }
        self.event(Event::Info(self.id, info));
        match opened.sender_key {
            // He secured our queue.
            None => {
                self.receive_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Active);
                self.connected();
            }
            Some(key) => {
                let task = Task { kind: TaskKind::SecureReceive(number, key), origin: Origin::Agent };
                self.tasks_mut().into_iter().for_each(|tasks| tasks.push(task.clone()));
                self.effects.push(Effect::Tasks);
                self.enqueue(AMessage::Hello, MessageFlags { notification: false })?;
            }
        }
        Ok(Taken::Done)
    }

    /// A message that follows the handshake.
    fn message(
        &mut self,
        number: QueueNumber,
        id: &MessageId,
        opened: &OpenedMessage,
        message: Plain,
    ) -> Result<Taken, AgentError> {
        let malformed = |_| AgentError::Peer(PeerError::Message);
        let content = message.plaintext.clone().into();
        let AgentMessage::Message { id: sender_id, previous_hash, message: content } =
            decode_all(&content, AgentMessage::decode).map_err(malformed)?
        else {
            return Err(PROHIBITED_MESSAGE);
        };
        let hash = MessageHash::from(sha256(&message.plaintext));
        let counters = &mut self.connection()?.state.counters;
        let integrity =
            MessageIntegrity::check(counters.received, &counters.received_hash, sender_id, &previous_hash);
        if sender_id > counters.received {
            counters.received = sender_id;
            counters.received_hash = hash.clone();
        }
        if let Some(queue) = self.receive_mut(number).filter(|queue| queue.stage != QueueStage::Active) {
            queue.stage = QueueStage::Active;
        }
        match content {
            AMessage::Hello => self.hello(),
            AMessage::QueueContinue(queue) => self.go_on(&queue),
            AMessage::Body(body) => {
                let counters = &mut self.connection()?.state.counters;
                counters.last = LocalMessageId(counters.last.0 + 1);
                let local = counters.last;
                let incoming = Incoming {
                    connection: self.id,
                    id: local,
                    queue: number,
                    server_id: id.clone(),
                    server_time: opened.server_time,
                    received_at: self.now(),
                    sender_id,
                    hash,
                    integrity,
                    pq: message.pq,
                    flags: opened.flags,
                    body: Some(body),
                    repeats: 0,
                };
                let told = (id.clone(), local);
                self.receive_mut(number).into_iter().for_each(|queue| queue.last_told = Some(told.clone()));
                self.tell(&incoming);
                self.ops.push(AgentOp::PutIncoming(Box::new(incoming)));
                Ok(Taken::ByApp)
            }
            _ => Err(PROHIBITED_MESSAGE),
        }
    }

    /// A queue of ours was full. The other side need not wait any longer, if it can be told.
    fn drained(&mut self, number: QueueNumber) -> Result<Taken, AgentError> {
        let state = &self.connection()?.state;
        let may = state.progress == Progress::Connected && state.sync <= SyncState::Allowed;
        if let Some(queue) = self.receive_queue(number).filter(|_| may) {
            let queue = SenderQueue { server: queue.server.clone(), sender_id: queue.sender_id.clone() };
            self.enqueue(AMessage::QueueContinue(queue), MessageFlags { notification: false })?;
        }
        Ok(Taken::Done)
    }

    /// A queue of the other side was full, and is not any more.
    fn go_on(&mut self, queue: &SenderQueue) -> Result<Taken, AgentError> {
        let is_it = |of: &&SendQueue| of.server == queue.server && of.sender_id == queue.sender_id;
        let number = self.connection()?.send.iter().find(is_it).map(|queue| queue.number);
        if let Some(number) = number {
            let attempt = self.running.queues.entry(number).or_default();
            (attempt.again_at, attempt.pause) = (None, Duration::ZERO);
            self.effects.push(Effect::Deliver(number));
        }
        Ok(Taken::Done)
    }

    /// The other side can send to us; if it waits for the same, it is told.
    fn hello(&mut self) -> Result<Taken, AgentError> {
        match self.connection()?.state.progress {
            Progress::Allowed => {
                self.enqueue(AMessage::Hello, MessageFlags { notification: false })?;
            }
            Progress::Joined => self.connected(),
            _ => {}
        }
        Ok(Taken::Done)
    }

    fn tell(&mut self, incoming: &Incoming) {
        let Some(body) = incoming.body.clone() else { return };
        self.running.told.insert(incoming.id);
        self.event(Event::Message(Box::new(MessageEvent {
            connection: self.id,
            id: incoming.id,
            sender_id: incoming.sender_id,
            integrity: incoming.integrity,
            received_at: incoming.received_at,
            server_id: incoming.server_id.clone(),
            server_time: incoming.server_time,
            pq: incoming.pq,
            flags: incoming.flags,
            body,
        })));
    }

    /// Takes off the ratchet's encryption. The ratchet goes on even when the body cannot be read: see [`Ratchet::decrypt`].
    /// Nothing, if the message was received before.
    fn decrypt(
        &mut self,
        ciphertext: &bytes::Bytes,
    ) -> Result<Option<Result<Plain, AgentError>>, AgentError> {
        let skipped = match self.found.take() {
            Some(Found::Skipped(skipped)) => skipped,
            _ => SkippedKeys::new(),
        };
        let Agreement::Ratchet(ratchet) = &self.connection()?.agreement else {
            return Err(PROHIBITED_MESSAGE);
        };
        let ratchet = ratchet.clone();
        let decrypted = match ratchet.decrypt(&skipped, ciphertext, &mut self.shared.entropy) {
            Ok(decrypted) => decrypted,
            Err(RatchetFault::Duplicate) => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let Decrypted { ratchet, skipped: changes, body } = decrypted;
        let pq = ratchet.pq_receiving();
        let (added, removed) = (changes.added.len(), changes.removed.len());
        if let Some(connection) = self.agreement_mut() {
            connection.agreement = Agreement::Ratchet(Box::new(ratchet));
            let kept = usize::try_from(connection.state.skipped).unwrap_or(0) + added;
            connection.state.skipped = u32::try_from(kept.saturating_sub(removed)).unwrap_or(u32::MAX);
        }
        if added + removed > 0 {
            self.ops.push(AgentOp::ChangeSkipped(self.id, changes));
        }
        Ok(Some(body.map(|plaintext| Plain { plaintext, pq }).map_err(fault)))
    }

    /// The other side may speak a newer version by now.
    fn raise_version(&mut self, opened: &OpenedMessage) {
        if let Some(connection) = &mut self.connection {
            let theirs = version::SUPPORTED.max().min(opened.envelope.version);
            connection.state.version = connection.state.version.max(theirs);
        }
    }

    /// The next message of a queue came with the answer to an acknowledgement.
    pub(super) fn receive_next(&mut self, number: QueueNumber, message: &ReceivedMessage) {
        self.effects.push(Effect::Received(number, message.clone()));
    }
}

/// Who is to acknowledge a message.
enum Taken {
    ByApp,
    Done,
}

/// What was in the ratchet's encryption.
struct Plain {
    plaintext: Vec<u8>,
    pq: bool,
}

/// A message that does not belong here.
const PROHIBITED_MESSAGE: AgentError = AgentError::Peer(PeerError::Prohibited);

fn fault(fault: RatchetFault) -> AgentError {
    AgentError::Peer(match fault {
        RatchetFault::Malformed => PeerError::Message,
        RatchetFault::Decrypt => PeerError::Crypto(RatchetError::Body),
        RatchetFault::Earlier(count) => PeerError::Crypto(RatchetError::Earlier(count)),
        RatchetFault::Duplicate => PeerError::Duplicate,
        RatchetFault::Skipped(count) => PeerError::Crypto(RatchetError::Skipped(count)),
        RatchetFault::Header | RatchetFault::Kem | RatchetFault::Key => {
            PeerError::Crypto(RatchetError::Header)
        }
    })
}
