//! Local users.

use std::future::Future;

use smp_core::agent::{Call, ConnectionId, Reply, UserId, UserServer};
use smp_core::wire::agent::AgentError;

use super::{Agent, done, other_reply};

impl Agent {
    /// Makes a user, whose queues are made on these servers; the agent chooses the number and keeps it. The servers are not
    /// kept: the app gives them at each start, by [`AgentBuilder::user`](super::super::AgentBuilder::user) or
    /// [`Self::set_servers`].
    ///
    /// # Errors
    /// When the store fails.
    pub fn create_user(
        &self,
        servers: Vec<UserServer>,
    ) -> impl Future<Output = Result<UserId, AgentError>> + Send + use<> {
        let called = self.call(Call::CreateUser { servers });
        async move {
            match called.await? {
                Reply::User(user) => Ok(user),
                _ => Err(other_reply()),
            }
        }
    }

    /// Uses other servers for what a user makes from now on. Queues that are there stay where they are.
    ///
    /// # Errors
    /// [`AgentError::NoUser`] when there is no such user.
    pub fn set_servers(
        &self,
        user: UserId,
        servers: Vec<UserServer>,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::SetServers { user, servers }))
    }

    /// Deletes a user with all connections, as [`Self::delete`] does;
    /// [`Event::UserDeleted`](smp_core::agent::Event::UserDeleted) tells when nothing is left. With `keep_queues` servers
    /// are not told, for somebody who goes on with them elsewhere, and when this is done nothing is left here.
    ///
    /// # Errors
    /// [`AgentError::NoUser`] when there is no such user.
    pub fn delete_user(
        &self,
        user: UserId,
        keep_queues: bool,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::DeleteUser { user, keep_queues }))
    }

    /// All users but those who are being deleted, by number.
    ///
    /// # Errors
    /// When the agent takes no calls.
    pub fn users(&self) -> impl Future<Output = Result<Vec<UserId>, AgentError>> + Send + use<> {
        let called = self.call(Call::Users);
        async move {
            match called.await? {
                Reply::Users(users) => Ok(users),
                _ => Err(other_reply()),
            }
        }
    }

    /// Gives a connection to another user, as long as nobody used its invitation. Its queue stays where it is.
    ///
    /// # Errors
    /// [`AgentError::NoUser`]; `CMD PROHIBITED` when somebody used it.
    pub fn change_user(
        &self,
        connection: ConnectionId,
        user: UserId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::ChangeUser { connection, user }))
    }
}
