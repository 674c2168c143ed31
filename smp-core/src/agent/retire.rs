//! Queues that are left: what is in them is taken before anything comes through the queue that took their place, then they are
//! deleted.
//!
//! A server sends one message of a queue at a time. So the first message of the new queue is kept back until the old one is
//! empty, as its server says when it is asked (QUE): after each message that was acknowledged and has none behind it, and now
//! and then. When the old server cannot be reached nobody waits for it: what is left there is told when it comes, out of its
//! place, until the queue is given up.

use super::effect::{Effect, is_temporary, to_error};
use super::step::Step;
use super::store::{AgentOp, Origin, QueueNumber, QueueStage, ReceiveSwitch, Task, TaskKind};
use super::{SwitchPhase, SwitchSide};
use crate::client::{Answer, ReceivedMessage, Request, RequestError};
use crate::wire::ServerAddress;
use crate::wire::error::ErrorType;

impl Step<'_> {
    /// Leaves a queue that nobody sent to.
    pub(super) fn retire(&mut self, number: QueueNumber) {
        self.unwatch(number);
        self.retire_later(number);
    }

    fn retire_later(&mut self, number: QueueNumber) {
        let task = Task { kind: TaskKind::Retire { queue: number, attempts: 0 }, origin: Origin::Agent };
        self.tasks_mut().into_iter().for_each(|tasks| tasks.push(task.clone()));
        self.effects.push(Effect::Tasks);
    }

    /// A message came through a queue that takes the place of another. True if it waits until the other is empty.
    pub(super) fn is_early(&mut self, number: QueueNumber, message: &ReceivedMessage) -> bool {
        let Some(queue) = self.receive_queue(number) else { return false };
        let Some(old) = queue.replaces else { return false };
        let is_left = self.receive_queue(old).is_none_or(|old| old.stage == QueueStage::Disabled);
        match queue.switch {
            Some(ReceiveSwitch::Using) => {
                if let Some(queue) = self.receive_mut(number) {
                    queue.stage = QueueStage::Active;
                    queue.switch = Some(ReceiveSwitch::Received);
                }
                self.retire_later(old);
            }
            Some(ReceiveSwitch::Received) => {}
            _ => return false,
        }
        if is_left || self.running.opened.contains(&number) {
            return false;
        }
        self.running.early.insert(number, message.clone());
        true
    }

    /// What is next in leaving a queue: to see whether it is empty, or to delete it.
    pub(super) fn retire_request(&self, number: QueueNumber) -> Option<(ServerAddress, Request)> {
        let queue = self.receive_queue(number)?;
        let (id, key) = (queue.recipient_id.clone(), queue.key.clone());
        let request = match queue.stage {
            QueueStage::Disabled => Request::delete(id, key),
            _ => Request::queue_info(id, key),
        };
        Some((queue.server.clone(), request))
    }

    pub(super) fn retire_answered(
        &mut self,
        number: QueueNumber,
        attempts: u32,
        answer: &Result<Answer, RequestError>,
    ) {
        let is_empty = self.receive_queue(number).is_none_or(|queue| queue.stage == QueueStage::Disabled);
        match answer {
            Ok(Answer::Info(status)) if !is_empty && status.size > 0 => self.retire_waits(number),
            // Whoever does not know the question does not hold it up.
            Ok(_) | Err(RequestError::Server(ErrorType::Command(_))) if !is_empty => {
                self.unwatch(number);
                self.open_successor(number);
                self.effects.push(Effect::Tasks);
            }
            Err(error) if is_temporary(error) && attempts + 1 < self.shared.config.limits.retire_attempts => {
                self.open_successor(number);
                self.retire_failed(number, attempts + 1);
                self.background_later();
            }
            Ok(_) => self.retired(number),
            Err(error) => {
                let server = self.receive_queue(number).map(|queue| queue.server.clone());
                if is_temporary(error) {
                    server.into_iter().for_each(|server| self.error(to_error(server, error.clone())));
                }
                self.open_successor(number);
                self.unwatch(number);
                self.retired(number);
            }
        }
    }

    /// A message of the queue was acknowledged, and there is none behind it.
    pub(super) fn acknowledged_last(&mut self, number: QueueNumber) {
        let is_its = |task: &Task| matches!(task.kind, TaskKind::Retire { queue, .. } if queue == number);
        if self.connection.as_ref().is_some_and(|connection| connection.tasks.iter().any(is_its)) {
            self.running.background.again_at = None;
            self.effects.push(Effect::Tasks);
        }
    }

    /// Something is left in the queue. If nothing of it comes for long, though the app has acknowledged everything, nobody waits
    /// for it any longer; but it is not deleted.
    fn retire_waits(&mut self, number: QueueNumber) {
        self.background_later();
        let is_long = self.running.background.pause >= self.shared.config.limits.retry_max;
        if is_long && self.running.told.is_empty() {
            self.open_successor(number);
        }
    }

    /// Nothing is received from the queue any more.
    fn unwatch(&mut self, number: QueueNumber) {
        let Some(queue) = self.receive_mut(number).filter(|queue| queue.stage != QueueStage::Disabled) else {
            return;
        };
        queue.stage = QueueStage::Disabled;
        let (server, id) = (queue.server.clone(), queue.recipient_id.clone());
        let Some(user) = self.connection.as_ref().map(|connection| connection.state.user) else { return };
        self.effects.push(Effect::Unwatch(user, server, id));
    }

    /// What came through the queue that takes the place of this one need not wait any longer.
    fn open_successor(&mut self, old: QueueNumber) {
        let Some(connection) = &self.connection else { return };
        let new = connection.receive.iter().find(|queue| queue.replaces == Some(old));
        let Some(new) = new.map(|queue| queue.number) else { return };
        self.running.opened.insert(new);
        if let Some(message) = self.running.early.remove(&new) {
            self.receive_next(new, &message);
        }
    }

    fn retire_failed(&mut self, number: QueueNumber, failed: u32) {
        for task in self.tasks_mut().into_iter().flatten() {
            if let TaskKind::Retire { queue, attempts } = &mut task.kind
                && *queue == number
            {
                *attempts = failed;
            }
        }
    }

    /// The queue is not in the connection any more.
    fn retired(&mut self, number: QueueNumber) {
        self.background_done();
        self.ops.push(AgentOp::DeleteReceiveQueue(self.id, number));
        let Some(connection) = &self.connection else { return };
        let new = connection.receive.iter().find(|queue| queue.replaces == Some(number));
        let new = new.map(|queue| queue.number);
        new.into_iter().for_each(|new| self.replace_receive(number, new));
        self.remove_receive(number);
        self.is_removed(number);
        let Some(new) = new else { return };
        if let Some(queue) = self.receive_mut(new) {
            (queue.replaces, queue.switch) = (None, None);
        }
        self.running.opened.remove(&new);
        self.switched(SwitchSide::Receive, SwitchPhase::Completed);
    }
}
