//! Connections that receive from several queues.

use std::future::Future;

use smp_core::agent::{Call, ConnectionId, QueueOptions};
use smp_core::wire::ServerAddress;
use smp_core::wire::agent::AgentError;

use super::{Agent, done};

impl Agent {
    /// A handle of the same agent. Connections and addresses that are made with it receive from so many queues, one at least, each on
    /// another server, as far as the user has so many that can be used. With other handles it is
    /// [`AgentLimits::receive_queues`](smp_core::agent::AgentLimits::receive_queues).
    ///
    /// ```
    /// # use smp_core::agent::UserId;
    /// # use smp_core::wire::agent::AgentError;
    /// # async fn example(agent: smp_runtime::agent::Agent) -> Result<(), AgentError> {
    /// let (connection, invitation) = agent.with_queues(2).invite(UserId(1), false).await?;
    /// assert!(invitation.queues().len() <= 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// When a server fails, others who have such an agent too send through the next queue; older agents know the first alone.
    #[must_use]
    pub fn with_queues(&self, queues: u8) -> Self {
        self.making(QueueOptions { queues: Some(queues), ..self.1 })
    }

    /// As [`Self::switch`], in place of the queue on this server, which may be another one than the first. This is how a connection
    /// gets as many queues as it had when a server has lost one, of which an [`Event::Error`](smp_core::agent::Event::Error) of the
    /// connection, `SMP AUTH`, tells.
    ///
    /// # Errors
    /// As [`Self::switch`]; `CMD PROHIBITED` when there is no such queue, or the other side does not know of it.
    pub fn switch_from(
        &self,
        connection: ConnectionId,
        server: ServerAddress,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::SwitchFrom(connection, Box::new(server))))
    }
}
