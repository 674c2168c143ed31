//! The order of messages that come through several queues.
//!
//! A server sends one message of a queue at a time. So a message whose number is beyond the next one is kept back, neither
//! decrypted nor acknowledged, while another queue of the connection may hold what is missing: until that one brings it, or
//! another SUB there brings nothing, twice: a server sends what waits behind its answer to the first. A server that cannot be
//! reached is waited for at most [`AgentLimits::order_wait`]; what is found there later is told out of its place. The confirmation
//! of the handshake, which comes through the first queue, is waited for however long that takes. Keys for a new
//! ratchet wait in the same way, as they have no number: with them what was encrypted before cannot be read any more.
//!
//! Nothing of this is kept: what was not acknowledged comes again. In memory is one message of a queue at most, whatever the other
//! side does: its server sends no more.
//!
//! [`AgentLimits::order_wait`]: super::AgentLimits::order_wait

use std::collections::{BTreeMap, BTreeSet};

use super::actor::{Attempt, Running};
use super::effect::{Asked, Effect, is_temporary};
use super::establish::FIRST;
use super::step::Step;
use super::store::{Progress, QueueNumber, QueueStage, ReceiveQueue};
use crate::client::{Answer, ReceivedMessage, RequestError};
use crate::time::Timestamp;

/// A message that waits for those before it.
#[derive(Clone)]
pub(super) struct Held {
    message: ReceivedMessage,
    /// The sender's number.
    sender_id: i64,
    since: Timestamp,
}

/// Messages that wait for those before them.
#[derive(Clone, Default)]
pub(super) struct Ordering {
    /// One of a queue.
    held: BTreeMap<QueueNumber, Held>,
    /// Queues that were empty since the first of them came.
    empty: BTreeSet<QueueNumber>,
    /// Queues in which SUB has found nothing once.
    looked: BTreeSet<QueueNumber>,
    /// The look into another queue.
    pub(super) probe: Attempt,
}

impl Ordering {
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// The one that is told first.
    fn next(&self) -> Option<(QueueNumber, &Held)> {
        self.held.iter().map(|(number, held)| (*number, held)).min_by_key(|(_, held)| held.sender_id)
    }
}

impl Step<'_> {
    /// Whether a message with this number of the sender's waits for others.
    pub(super) fn must_wait(&self, number: QueueNumber, sender_id: i64) -> bool {
        let Some(connection) = &self.connection else { return false };
        // Before the confirmation nobody is known whose message it could be.
        if number != FIRST && matches!(connection.state.progress, Progress::Joining | Progress::Joined) {
            return true;
        }
        if sender_id <= connection.state.counters.received.saturating_add(1) {
            return false;
        }
        let Ordering { held, empty, .. } = &self.running.ordering;
        let patience = self.shared.config.limits.order_wait;
        let is_long =
            held.get(&number).is_some_and(|held| self.shared.now.mono.since(held.since) >= patience);
        self.others(number).any(|queue| match held.get(&queue.number) {
            Some(other) => other.sender_id < sender_id,
            // What the app has not acknowledged is waited for however long that takes.
            None if is_long => is_told(self.running, queue),
            None => !empty.contains(&queue.number),
        })
    }

    /// The queues that may hold what comes before the messages of this one.
    fn others(&self, number: QueueNumber) -> impl Iterator<Item = &ReceiveQueue> {
        let replaced = self.receive_queue(number).and_then(|queue| queue.replaces);
        let queues = self.connection.iter().flat_map(|connection| &connection.receive);
        queues.filter(move |queue| {
            let is_known = queue.e2e_secret.is_some() || queue.number == FIRST;
            let is_used = queue.stage != QueueStage::Disabled && is_known;
            is_used && queue.number != number && queue.replaces.is_none() && Some(queue.number) != replaced
        })
    }

    /// A message came before its turn: the step is as if it had not come.
    pub(super) fn hold(&mut self, number: QueueNumber, message: &ReceivedMessage, sender_id: i64) {
        self.undo();
        let now = self.shared.now.mono;
        let held = &mut self.running.ordering.held;
        let since = held.get(&number).map_or(now, |held| held.since);
        held.insert(number, Held { message: message.clone(), sender_id, since });
        match self.running.ordering.next() {
            // It may have waited for this queue alone.
            Some((first, _)) if first != number => self.release(),
            _ => self.probe(number),
        }
    }

    /// Looks whether another queue is empty.
    fn probe(&mut self, number: QueueNumber) {
        if self.running.ordering.probe.is_busy() {
            return;
        }
        let Ordering { held, empty, .. } = &self.running.ordering;
        let next = self.others(number).find(|queue| {
            let is_known = held.contains_key(&queue.number) || empty.contains(&queue.number);
            !is_known && !is_told(self.running, queue)
        });
        let connection = self.connection.as_ref();
        let next = next.map(|queue| queue.number).zip(connection);
        let Some(queue) = next.and_then(|(number, of)| of.waiting_queue(number)) else { return };
        self.running.ordering.probe.is_under_way = true;
        self.effects.push(Effect::Ask(Box::new(queue), Asked::Probe));
    }

    /// Another queue is empty, or not, or is not known to be.
    pub(super) fn probed(&mut self, number: QueueNumber, answer: &Result<Answer, RequestError>) {
        let limits = self.shared.config.limits.clone();
        let now = self.shared.now.mono;
        let ordering = &mut self.running.ordering;
        ordering.probe.is_under_way = false;
        match answer {
            Ok(Answer::Subscribed { message: Some(message), .. } | Answer::Message(Some(message))) => {
                ordering.probe = Attempt::default();
                self.receive_next(number, message);
            }
            Err(error) if is_temporary(error) => {
                let deadline = ordering.next().map(|(_, held)| held.since + limits.order_wait);
                ordering.probe.later(now, limits.retry_min, limits.retry_max);
                // What waits for the confirmation has none.
                if let Some(deadline) = deadline.filter(|at| *at > now) {
                    ordering.probe.again_at = ordering.probe.again_at.map(|at| at.min(deadline));
                }
            }
            Ok(_) if ordering.looked.insert(number) => {
                ordering.probe = Attempt::default();
                self.release();
            }
            // A queue that is gone brings nothing either.
            _ => {
                ordering.probe = Attempt::default();
                self.is_drained(number);
            }
        }
    }

    /// Nothing is left in a queue.
    pub(super) fn is_drained(&mut self, number: QueueNumber) {
        if !self.receive_queue(number).is_some_and(|queue| is_told(self.running, queue)) {
            self.running.ordering.empty.insert(number);
        }
        self.release();
    }

    /// A message came through a queue.
    pub(super) fn is_not_drained(&mut self, number: QueueNumber) {
        let ordering = &mut self.running.ordering;
        ordering.empty.remove(&number);
        ordering.looked.remove(&number);
    }

    /// A queue is not in the connection any more, nor what came there and waited.
    pub(super) fn is_removed(&mut self, number: QueueNumber) {
        self.is_not_drained(number);
        self.was_taken(number);
    }

    /// A message was taken: whatever waits for it is looked at again.
    pub(super) fn was_taken(&mut self, number: QueueNumber) {
        let ordering = &mut self.running.ordering;
        ordering.held.remove(&number);
        self.release();
    }

    /// The first message that waits comes again.
    pub(super) fn release(&mut self) {
        let ordering = &mut self.running.ordering;
        match ordering.next().map(|(number, held)| (number, held.message.clone())) {
            Some((number, message)) => self.effects.push(Effect::Received(number, message)),
            None => *ordering = Ordering { probe: ordering.probe, ..Ordering::default() },
        }
    }

    /// The time to look again has come.
    pub(super) fn run_ordering(&mut self) {
        if !self.running.ordering.probe.is_busy() {
            self.release();
        }
    }
}

/// Whether the app has a message of the queue that it did not acknowledge.
fn is_told(running: &Running, queue: &ReceiveQueue) -> bool {
    queue.last_told.as_ref().is_some_and(|(_, told)| running.told.contains(told))
}
