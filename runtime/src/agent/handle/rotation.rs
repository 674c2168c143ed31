//! Queues that take the place of others, and how a connection is.

use std::future::Future;

use smp_core::agent::{Call, ConnectionDescription, ConnectionId, Reply};
use smp_core::wire::agent::AgentError;

use super::{Agent, done, other_reply};

impl Agent {
    /// Receives through a new queue, on another server of the user's if there is one. When this is done the other side is being
    /// told; [`Event::Switch`](smp_core::agent::Event::Switch) tells what comes of it, on both sides. No message is lost.
    ///
    /// # Errors
    /// `CMD PROHIBITED` while another queue takes the place of one, or messages cannot be sent; errors of the server that was
    /// chosen.
    pub fn switch(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Switch(connection)))
    }

    /// Gives up a [`Self::switch`]: the queue that there was stays.
    ///
    /// # Errors
    /// `CMD PROHIBITED` when there is none, or the other side was told already to use the new queue.
    pub fn abort_switch(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::AbortSwitch(connection)))
    }

    /// How a connection is: its queues, their servers and whether messages come, versions, encryption. `getConnectionServers`.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection.
    pub fn describe(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<ConnectionDescription, AgentError>> + Send + use<> {
        let called = self.call(Call::Describe(connection));
        async move {
            match called.await? {
                Reply::Description(description) => Ok(*description),
                _ => Err(other_reply()),
            }
        }
    }
}
