//! What comes while a connection begins: who used an invitation, who made it, and that they can hear each other.

use super::effect::Effect;
use super::receive::{PROHIBITED_MESSAGE, Taken, fault};
use super::seal::OpenedMessage;
use super::step::Step;
use super::store::{
    AgentOp, Agreement, Confirmation, Connection, Found, Origin, Progress, QueueNumber, QueueStage, Task,
    TaskKind,
};
use super::{ConfirmationId, Event};
use crate::crypto::hash::sha256;
use crate::crypto::ratchet::{Decrypted, Ratchet, SkippedKeys};
use crate::wire::agent::{AMessage, AgentError, AgentMessage, MessageHash, PeerError, RatchetError, version};
use crate::wire::codec::decode_all;
use crate::wire::command::MessageFlags;
use crate::wire::link::{E2eParameters, KemParameters};

impl Connection {
    /// Whether somebody used an invitation, and others still can.
    pub(super) const fn is_asked_for(&self) -> bool {
        matches!((self.state.progress, &self.agreement), (Progress::Confirmed, Agreement::Offered(_)))
    }
}

impl Step<'_> {
    /// Somebody uses our invitation.
    pub(super) fn confirmation(
        &mut self,
        number: QueueNumber,
        opened: &OpenedMessage,
        keys: &E2eParameters,
        ciphertext: &bytes::Bytes,
    ) -> Result<Taken, AgentError> {
        let versions = self.shared.config.versions;
        let connection = self.connection()?;
        let Agreement::Offered(ours) = &connection.agreement else {
            // The confirmation came again: its sender did not hear that the server had it.
            return Ok(Taken::Done);
        };
        let version = versions.agent.max().min(opened.envelope.version);
        // Whoever made the invitation and whoever uses it both have to want it.
        let pq = connection.state.pq_support
            && keys.version >= KemParameters::SINCE
            && version >= version::PQ_RATCHET;
        let bad = |_| AgentError::Peer(PeerError::Crypto(RatchetError::Sync));
        let ratchet = Ratchet::accept(ours, keys, versions.ratchet.max(), pq).map_err(bad)?;
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
        if let Some(Found::Waiting { confirmations, .. }) = &self.found {
            if confirmations.iter().any(|of| of.hash == confirmation.hash) {
                // It came again.
                return Ok(Taken::Done);
            }
            if confirmations.len() >= self.shared.config.limits.confirmations {
                return Err(PROHIBITED_MESSAGE);
            }
        }
        if opened.sender_key.is_none() {
            self.settle_on(number, opened, &confirmation);
        }
        if let Some(connection) = &mut self.connection {
            connection.state.progress = Progress::Confirmed;
            connection.state.pq_support = pq;
        }
        self.tell_confirmation(&confirmation);
        self.ops.push(AgentOp::PutConfirmation(Box::new(confirmation)));
        Ok(Taken::Done)
    }

    pub(super) fn tell_confirmation(&mut self, confirmation: &Confirmation) {
        self.event(Event::Confirmation {
            connection: self.id,
            confirmation: confirmation.id,
            servers: confirmation.queues.iter().map(|queue| queue.address.server.clone()).collect(),
            info: confirmation.info.clone(),
        });
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
    pub(super) fn reply_confirmed(
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
        // He has our confirmation, although its server may not have said so.
        connection.state.progress = Progress::Joined;
        connection.state.counters.received = 1;
        connection.state.counters.received_hash = MessageHash::from(sha256(plaintext));
        if let Some(queue) = self.receive_mut(number) {
            queue.e2e_secret = Some(opened.e2e_secret.clone());
            queue.stage = QueueStage::Confirmed;
        }
        self.call_joined();
        // What waited for a call that was to be repeated may go.
        self.effects.push(Effect::Tasks);
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
                self.enqueue(AMessage::Hello, MessageFlags { notification: false })?;
            }
        }
        Ok(Taken::Done)
    }

    /// The other side can send to us; if it waits for the same, it is told.
    pub(super) fn hello(&mut self) -> Result<Taken, AgentError> {
        match self.connection()?.state.progress {
            Progress::Allowed => {
                self.enqueue(AMessage::Hello, MessageFlags { notification: false })?;
            }
            Progress::Joined => self.connected(),
            _ => {}
        }
        Ok(Taken::Done)
    }
}
