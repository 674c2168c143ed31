//! Users whose sessions with servers are those of a service.

use std::future::Future;

use smp_core::agent::{Call, UserId};
use smp_core::wire::agent::AgentError;

use super::{Agent, done};

impl Agent {
    /// Makes the sessions of a user those of a service, or not any more: for programs with many connections. A service is
    /// subscribed to all of its queues at a server at once, by their count and a hash, instead of to one after the other, so a
    /// start costs the same with ten queues and with a hundred thousand. The server must know version 19; with others nothing
    /// changes.
    ///
    /// A service is known to each server where the user has or makes queues by a certificate, which the agent makes and keeps, so
    /// **the server learns which queues belong together**, also over restarts. Switching it off removes the certificates, and the
    /// server forgets the service of each queue when it is subscribed the next time.
    ///
    /// Sessions of the user are made anew: what is under way there fails, and is tried again if no call waits for it. This is
    /// not kept: it is to be given at each start, here or by [`AgentBuilder::service`](super::super::AgentBuilder::service).
    /// [`Event::ServiceUp`](smp_core::agent::Event::ServiceUp) and its like tell how it goes; which connections are subscribed
    /// [`Event::Up`](smp_core::agent::Event::Up) and [`Event::Down`](smp_core::agent::Event::Down) tell as ever.
    ///
    /// # Errors
    /// [`AgentError::NoUser`]; `CMD PROHIBITED` when each connection has sessions of its own
    /// ([`SessionMode::Entity`](smp_core::agent::SessionMode::Entity)).
    pub fn set_user_service(
        &self,
        user: UserId,
        is_enabled: bool,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::SetUserService { user, is_enabled }))
    }

    /// Subscribes to the queues of a user's service again, after
    /// [`Event::ServiceEnd`](smp_core::agent::Event::ServiceEnd) told that another agent took them.
    ///
    /// # Errors
    /// `CMD PROHIBITED` when the user has no service.
    pub fn resubscribe_service(
        &self,
        user: UserId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::ResubscribeService(user)))
    }
}
