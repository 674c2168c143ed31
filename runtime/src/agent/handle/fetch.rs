//! Messages that are taken only when the app asks, and queues that take no more.

use std::future::Future;

use smp_core::agent::{Call, ConnectionId, LocalMessageId, QueueOptions, Reply};
use smp_core::wire::agent::AgentError;

use super::{Agent, done, other_reply};

impl Agent {
    /// The same agent, whose [`Self::invite`], [`Self::create_address`], both with a link too, [`Self::create_for_link`], [`Self::join`], [`Self::rejoin`]
    /// and [`Self::accept`] make queues like this, also when they are [kept](Self::run_durably), and whose [`Self::prepare_link`] heeds notices
    /// of servers if they do.
    #[must_use]
    pub fn making(&self, options: QueueOptions) -> Self {
        Self(std::sync::Arc::clone(&self.0), options)
    }

    /// Asks the servers of a connection that is not subscribed for its messages, until there is one that the app has to
    /// acknowledge, or none is left. All of them are told by [`Events`](super::super::Events), as others are.
    ///
    /// The reply names the message that is to be [acknowledged](Self::acknowledge); then there may be more.
    ///
    /// # Errors
    /// `CMD PROHIBITED` when its messages come by themselves, `CONN NOT_FOUND` when there is no such connection, `CONN SIMPLEX` when
    /// it has no queue to receive from yet, errors of its server.
    pub fn fetch(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<Option<LocalMessageId>, AgentError>> + Send + use<> {
        let called = self.call(Call::Fetch(connection));
        async move {
            match called.await? {
                Reply::Fetched(message) => Ok(message),
                _ => Err(other_reply()),
            }
        }
    }

    /// Has the servers of a connection take no more messages for it, for good. Those that are there still come; who sends
    /// is refused. May be repeated.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection, `CONN SIMPLEX` when it has no queue to receive from yet, errors of its
    /// server.
    pub fn suspend_queues(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::SuspendQueues(connection)))
    }
}

/// A call whose queues are made like this, if it makes some.
pub(super) fn with(options: QueueOptions, call: Call) -> Call {
    match call {
        call if options == QueueOptions::default() => call,
        Call::Durable { correlation, call } => {
            Call::Durable { correlation, call: Box::new(with(options, *call)) }
        }
        call if call.makes_queues() => Call::With(options, Box::new(call)),
        call => call,
    }
}
