//! Messages that follow the handshake: in which place they come, and what the app is told of them.

use std::time::Duration;

use super::effect::Effect;
use super::receive::{PROHIBITED_MESSAGE, Plain, Taken};
use super::seal::OpenedMessage;
use super::step::Step;
use super::store::{AgentOp, Found, Incoming, Progress, QueueNumber, QueueStage, SendQueue, SyncState};
use super::{CallId, Event, LocalMessageId, MessageEvent, Reply};
use crate::crypto::hash::sha256;
use crate::wire::MessageId;
use crate::wire::agent::{
    AMessage, AgentError, AgentMessage, ConnectionError, MessageHash, MessageIntegrity, PeerError,
    SenderQueue,
};
use crate::wire::codec::decode_all;
use crate::wire::command::MessageFlags;

impl Step<'_> {
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

    /// A message that follows the handshake.
    pub(super) fn message(
        &mut self,
        number: QueueNumber,
        id: &MessageId,
        opened: &OpenedMessage,
        message: Plain,
        could_send: bool,
    ) -> Result<Taken, AgentError> {
        let malformed = |_| AgentError::Peer(PeerError::Message);
        let content = message.plaintext.clone().into();
        let AgentMessage::Message { id: sender_id, previous_hash, message: content } =
            decode_all(&content, AgentMessage::decode).map_err(malformed)?
        else {
            return Err(PROHIBITED_MESSAGE);
        };
        if self.must_wait(number, sender_id) {
            return Ok(Taken::Early(sender_id));
        }
        let hash = MessageHash::from(sha256(&message.plaintext));
        let counters = &mut self.connection()?.state.counters;
        let integrity =
            MessageIntegrity::check(counters.received, &counters.received_hash, sender_id, &previous_hash);
        let is_late = sender_id < counters.received;
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
            AMessage::Receipts(receipts) => self.receipts(receipts),
            AMessage::RatchetReady(_) => self.ratchet_ready(could_send),
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
            AMessage::QueueAdd(added) => self.queue_added(added, is_late),
            AMessage::QueueKey(keyed) => self.queue_keyed(keyed),
            AMessage::QueueUse(ready) => self.queue_ready(ready),
            // That it came through the new queue is what counts.
            AMessage::QueueTest(_) => Ok(Taken::Done),
        }
    }

    /// A message came once more because the app did not acknowledge it. It is told again if the agent was started since; after many
    /// times and a long while it is dropped, so that it does not hold up the others for ever.
    pub(super) fn repeated(&mut self, mut incoming: Incoming) {
        let limits = &self.shared.config.limits;
        incoming.repeats = incoming.repeats.saturating_add(1);
        let age = self.shared.now.unix.as_millis() - incoming.received_at.as_millis();
        let is_old = u64::try_from(age).is_ok_and(|age| Duration::from_millis(age) >= limits.repeats_time);
        if incoming.repeats >= limits.repeats && is_old {
            incoming.body = None;
            self.running.told.remove(&incoming.id);
            self.acknowledge_now(incoming.queue, &incoming.server_id);
            self.error(AgentError::Peer(PeerError::Duplicate));
        } else if !self.running.told.contains(&incoming.id) {
            self.tell(&incoming);
        }
        self.ops.push(AgentOp::PutIncoming(Box::new(incoming)));
    }

    /// A queue of ours was full. The other side need not wait any longer, if it can be told. Where the queues of both sides are full
    /// at once, neither can: the server refuses this too, and it waits behind what was refused before. Then both try again
    /// when [`AgentLimits::full_retry`](super::AgentLimits::full_retry) is over, as other agents do.
    pub(super) fn drained(&mut self, number: QueueNumber) -> Result<Taken, AgentError> {
        let state = &self.connection()?.state;
        let (is_connected, sync) = (state.progress == Progress::Connected, state.sync);
        let Some(queue) = self.receive_queue(number).filter(|_| is_connected) else { return Ok(Taken::Done) };
        let queue = SenderQueue { server: queue.server.clone(), sender_id: queue.sender_id.clone() };
        if sync <= SyncState::Allowed || sync == SyncState::Agreed && self.has_sending_chain() {
            self.enqueue(AMessage::QueueContinue(queue), MessageFlags { notification: false })?;
        } else {
            self.repeat_keys()?;
        }
        Ok(Taken::Done)
    }

    /// A queue of the other side was full, and is not any more.
    fn go_on(&mut self, queue: &SenderQueue) -> Result<Taken, AgentError> {
        let is_it = |of: &&SendQueue| of.server == queue.server && of.sender_id == queue.sender_id;
        let number = self.connection()?.send.iter().find(is_it).map(|queue| queue.number);
        number.into_iter().for_each(|number| self.go_on_in(number));
        Ok(Taken::Done)
    }

    /// The other side sent keys, or has a new ratchet. Without one it could not say that its queues are not full any more.
    pub(super) fn go_on_everywhere(&mut self) -> Result<(), AgentError> {
        let numbers: Vec<_> = self.connection()?.send.iter().map(|queue| queue.number).collect();
        numbers.into_iter().for_each(|number| self.go_on_in(number));
        Ok(())
    }

    fn go_on_in(&mut self, number: QueueNumber) {
        let attempt = self.running.queues.entry(number).or_default();
        (attempt.again_at, attempt.pause) = (None, Duration::ZERO);
        self.effects.push(Effect::Deliver(number));
    }

    pub(super) fn tell(&mut self, incoming: &Incoming) {
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
}
