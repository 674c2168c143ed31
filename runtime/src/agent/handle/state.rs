//! What there is.

use std::future::Future;

use bytes::Bytes;
use smp_core::agent::{
    Call, ConnectionId, ConnectionStatus, ConnectionSummary, LocalMessageId, Reply, UserId,
};
use smp_core::wire::agent::AgentError;
use smp_core::wire::broker::QueueStatus;
use smp_core::wire::command::MessageFlags;

use super::{Agent, other_reply};

impl Agent {
    /// All connections, or those of one user, by id; not those that are deleted.
    ///
    /// # Errors
    /// When the store fails.
    pub fn connections(
        &self,
        of: Option<UserId>,
    ) -> impl Future<Output = Result<Vec<ConnectionSummary>, AgentError>> + Send + use<> {
        let called = self.call(Call::Connections(of));
        async move {
            match called.await? {
                Reply::Connections(connections) => Ok(connections),
                _ => Err(other_reply()),
            }
        }
    }

    /// How a connection is, and what waits for the app. Events are told once: an app that lost some, because it ended or missed
    /// them, finds here what they led to.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection.
    pub fn status(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<ConnectionStatus, AgentError>> + Send + use<> {
        let called = self.call(Call::Status(connection));
        async move {
            match called.await? {
                Reply::Status(status) => Ok(*status),
                _ => Err(other_reply()),
            }
        }
    }

    /// What the server says of the queue of a connection, for whoever looks for faults.
    ///
    /// # Errors
    /// `CONN NOT_FOUND`, `CONN SIMPLEX` when there is no queue yet, errors of the server.
    pub fn queue_info(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<QueueStatus, AgentError>> + Send + use<> {
        let called = self.call(Call::QueueInfo(connection));
        async move {
            match called.await? {
                Reply::QueueInfo(info) => Ok(*info),
                _ => Err(other_reply()),
            }
        }
    }

    /// [`Self::send`] of many messages, with a result for each. Messages of one connection go in this order. A body that goes to
    /// many is in memory once, and in the store once for each: it is kept with what encrypts it.
    ///
    /// # Errors
    /// When the agent takes no calls.
    pub fn send_many(
        &self,
        messages: Vec<(ConnectionId, Bytes, MessageFlags)>,
    ) -> impl Future<Output = Result<Vec<Result<LocalMessageId, AgentError>>, AgentError>> + Send + use<>
    {
        let calls =
            messages.into_iter().map(|(connection, body, flags)| Call::Send { connection, body, flags });
        let called = self.call(Call::Many(calls.collect()));
        let accepted = |outcome: Result<Reply, AgentError>| match outcome? {
            Reply::Accepted(id) => Ok(id),
            _ => Err(other_reply()),
        };
        async move {
            match called.await? {
                Reply::Many(replies) => Ok(replies.into_iter().map(accepted).collect()),
                _ => Err(other_reply()),
            }
        }
    }
}
