//! Deleting connections.

use std::future::Future;

use smp_core::agent::{Call, ConnectionId, Reply};
use smp_core::wire::agent::AgentError;

use super::{Agent, done, done_one, other_reply};

impl Agent {
    /// Deletes a connection: when this is done it is gone, whatever happens. What is left of it at servers is deleted as soon as
    /// that can be: [`Event::QueueDeleted`](smp_core::agent::Event::QueueDeleted) tells of each queue, or that it was given up,
    /// then [`Event::Deleted`](smp_core::agent::Event::Deleted).
    ///
    /// With `wait_delivery` messages that were accepted are sent before, for at most two days
    /// ([`AgentLimits::delete_wait`](smp_core::agent::AgentLimits::delete_wait)).
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection.
    pub fn delete(
        &self,
        connection: ConnectionId,
        wait_delivery: bool,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Delete { connection, wait_delivery }))
    }

    /// [`Self::delete`] for many connections, with a result for each. Servers get their commands in common blocks.
    ///
    /// # Errors
    /// When the agent takes no calls.
    pub fn delete_many(
        &self,
        connections: &[ConnectionId],
        wait_delivery: bool,
    ) -> impl Future<Output = Result<Vec<Result<(), AgentError>>, AgentError>> + Send + use<> {
        let calls = connections.iter().map(|id| Call::Delete { connection: *id, wait_delivery });
        let called = self.call(Call::Many(calls.collect()));
        async move {
            match called.await? {
                Reply::Many(replies) => Ok(replies.into_iter().map(done_one).collect()),
                _ => Err(other_reply()),
            }
        }
    }
}
