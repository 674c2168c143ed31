//! Calls about sessions with servers.

use std::future::Future;
use std::time::Duration;

use smp_core::agent::{Call, ConnectionId, UserId};
use smp_core::wire::ServerAddress;
use smp_core::wire::agent::AgentError;

use super::{Agent, done};

impl Agent {
    /// Receives from a connection that is not subscribed, because the app wished so ([`Self::making`],
    /// [`AgentBuilder::on_demand`](super::super::AgentBuilder::on_demand)). Afterwards
    /// [`Event::Up`](smp_core::agent::Event::Up) or an error tells how it went.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection.
    pub fn subscribe(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        self.resubscribe(connection)
    }

    /// Receives from a connection again, after an error told that its server refused its queue, or
    /// [`Event::Down`](smp_core::agent::Event::Down) that another agent took the subscription. Afterwards
    /// [`Event::Up`](smp_core::agent::Event::Up) or an error tells how it went.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection.
    pub fn resubscribe(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Resubscribe(connection)))
    }

    /// Makes sessions anew, because the device has another network: those of a user with a server, or all. What is under way
    /// there fails, and is tried again if no call waits for it.
    ///
    /// # Errors
    /// None but that the agent has stopped.
    pub fn reconnect(
        &self,
        server: Option<(UserId, ServerAddress)>,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Reconnect(server)))
    }

    /// Tells whether the device has a network. While it has none, servers are tried every half hour only; when it has one again,
    /// everything that waits is tried at once.
    ///
    /// # Errors
    /// None but that the agent has stopped.
    pub fn set_online(&self, online: bool) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Network { online }))
    }

    /// Prepares for the device to stop the app: nothing more is received, what is being sent is finished, for `patience` at
    /// most, then [`Event::Suspended`](smp_core::agent::Event::Suspended) tells that the agent does nothing any more. What calls
    /// begin from then on waits for [`Self::resume`].
    ///
    /// # Errors
    /// None but that the agent has stopped.
    pub fn suspend(&self, patience: Duration) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Suspend { patience }))
    }

    /// Goes on after [`Self::suspend`].
    ///
    /// # Errors
    /// None but that the agent has stopped.
    pub fn resume(&self) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Resume))
    }
}
