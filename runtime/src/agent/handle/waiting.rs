//! What waits for the app.

use std::future::Future;

use smp_core::agent::{Call, ConnectionId};
use smp_core::wire::agent::AgentError;

use super::{Agent, done};

impl Agent {
    /// Tells again what of a connection waits for the app: who used its invitation and was not allowed
    /// ([`Event::Confirmation`](smp_core::agent::Event::Confirmation)), requests to an address
    /// ([`Event::Request`](smp_core::agent::Event::Request)), and messages that were not acknowledged
    /// ([`Event::Message`](smp_core::agent::Event::Message)). For an app whose own memory of its events ended before the agent
    /// did; after a start of the agent messages are told again without it. What still waits among the events may then be there
    /// twice, but for messages.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection.
    pub fn tell_again(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::TellAgain(connection)))
    }
}
