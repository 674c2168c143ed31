//! What an operator does to queues.

use super::request::{Context, Reply};
use super::{Broker, BrokerOutput};
use crate::server::statistics::Counter;
use crate::server::store::{OpResult, QueueOp, StoreFailure};
use crate::wire::EntityId;
use crate::wire::error::BlockingInfo;

/// Names a [`Moderation`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ModerationId(pub u64);

/// What an operator does to a queue, which is named by its recipient id.
#[derive(Clone)]
pub enum Moderation {
    /// Blocks it, or changes why it is blocked. Who is subscribed to it is told.
    Block(EntityId, BlockingInfo),
    /// Ends that. Messages that waited are delivered.
    Unblock(EntityId),
    /// Deletes it. Who is subscribed to it is told.
    Delete(EntityId),
}

impl Moderation {
    const fn queue(&self) -> &EntityId {
        match self {
            Self::Block(queue, _) | Self::Unblock(queue) | Self::Delete(queue) => queue,
        }
    }
}

impl Broker {
    pub(super) fn moderate(&mut self, id: ModerationId, moderation: Moderation) {
        let queue = moderation.queue().clone();
        let op = match &moderation {
            Moderation::Block(_, info) => QueueOp::Block { queue, info: Some(*info) },
            Moderation::Unblock(_) => QueueOp::Block { queue, info: None },
            Moderation::Delete(_) => QueueOp::Delete { queue, by: None },
        };
        self.store(op, Context::Moderate { id, moderation: Box::new(moderation) });
    }

    pub(super) fn moderated(&mut self, id: ModerationId, moderation: &Moderation, result: &OpResult) {
        let done = match result {
            OpResult::Unauthorized => Ok(false),
            OpResult::Moderated { .. } | OpResult::Released { .. } => Ok(true),
            _ => Err(StoreFailure),
        };
        let service = match result {
            OpResult::Moderated { service } => service.as_ref(),
            _ => None,
        };
        match moderation {
            Moderation::Block(queue, info) if done == Ok(true) => {
                self.count(Counter::QueuesBlocked, 1);
                let subscriber = self.subscriptions.get(queue).map(|subscription| subscription.connection);
                if let Some(connection) = subscriber.or_else(|| self.service_connection(service)) {
                    self.reply(connection, Reply::Blocked(queue.clone(), *info));
                }
            }
            Moderation::Unblock(queue) if done == Ok(true) => match self.service_connection(service) {
                Some(connection) if !self.subscriptions.contains_key(queue) => {
                    if self.has_room_for_service(connection) {
                        self.deliver_to_service(connection, queue);
                    }
                }
                _ => self.wake_subscription(queue),
            },
            Moderation::Delete(queue) => self.queue_deleted(None, queue, result),
            Moderation::Block(..) | Moderation::Unblock(_) => {}
        }
        self.outputs.push_back(BrokerOutput::Moderated(id, done));
    }
}
