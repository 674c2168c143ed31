//! Commands of clients: what each asks of the agent.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use smp_core::agent::{self, InitialKeys, LocalMessageId, UserId};
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError};
use smp_core::wire::agent_text::{
    AgentCommand, AgentEvent, TextConfirmationId, TextConnectionId, TextInvitationId,
};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::link::{ConnectionLink, ConnectionMode};
use smp_runtime::agent::{Joined, Linked, new_connection_id};

use crate::desk::{ClientId, Desk, Matter};
use crate::translate::{agent_id, connection_id, statistics, status};

/// An answer that is waited for: which connection it is about, and what it says.
pub(crate) type Answer = Pin<Box<dyn Future<Output = (TextConnectionId, AgentEvent)> + Send>>;

/// Begins what a command asks for. So commands of one client for one connection take effect in their order.
pub(crate) fn begin(
    desk: &Arc<Desk>,
    client: ClientId,
    name: TextConnectionId,
    command: AgentCommand,
) -> Answer {
    let begun = Begun { desk: Arc::clone(desk), client, name: name.clone() };
    let done = match command {
        AgentCommand::New { mode, short_link: None } => return begun.link(mode),
        AgentCommand::New { mode, short_link: Some(data) } => return begun.short_link(mode, data),
        AgentCommand::Join { link, info } => match *link {
            ConnectionLink::Full(request) => begun.join(*request, info),
            ConnectionLink::Short(link) => begun.join_by_short_link(*link, info),
        },
        AgentCommand::SetLink(data) => begun.set_link(data),
        AgentCommand::DeleteLink => begun.delete_link(),
        AgentCommand::LookUpLink(link) => begun.look_up(*link),
        AgentCommand::Let { confirmation, info } => begun.allow(&confirmation, info),
        AgentCommand::Accept { request, info } => begun.accept(&request, info),
        AgentCommand::Reject { request } => begun.reject(&request),
        AgentCommand::Subscribe => begun.subscribe(),
        AgentCommand::Send(body) => begun.send(body),
        AgentCommand::Acknowledge { message, receipt } => begun.acknowledge(message, receipt),
        AgentCommand::Suspend => begun.suspend(),
        AgentCommand::Delete => begun.delete(),
        AgentCommand::Switch => begun.switch(),
        AgentCommand::SyncRatchet { force } => begun.sync_ratchet(force),
        AgentCommand::Status => begun.status(),
        AgentCommand::Statistics => return begun.statistics(),
        AgentCommand::ResetStatistics => {
            let reset = begun.desk.agent.reset_statistics();
            return begun.answer(reset, |_| ());
        }
        // A word that this program does not know.
        _ => Err(AgentError::Command(AgentCommandError::Prohibited)),
    };
    done.unwrap_or_else(|error| Box::pin(ready((name, AgentEvent::Error(error)))))
}

/// A command that is being begun.
#[derive(Clone)]
pub(crate) struct Begun {
    pub(crate) desk: Arc<Desk>,
    pub(crate) client: ClientId,
    pub(crate) name: TextConnectionId,
}

pub(crate) type Done = Result<Answer, AgentError>;

impl Begun {
    /// The connection that the command names.
    pub(crate) fn connection(&self) -> Result<agent::ConnectionId, AgentError> {
        agent_id(self.name.as_bytes(), agent::ConnectionId::new).ok_or(NOT_FOUND)
    }

    fn link(self, mode: ConnectionMode) -> Answer {
        let agent = &self.desk.agent;
        let linked =
            |(connection, request): (_, ConnectionRequest)| Linked { connection, request, link: None };
        match mode {
            ConnectionMode::Invitation => {
                let made = agent.invite(USER, InitialKeys::Later);
                self.linked(async move { made.await.map(linked) })
            }
            ConnectionMode::Contact => {
                let made = agent.create_address(USER);
                self.linked(async move { made.await.map(linked) })
            }
        }
    }

    pub(crate) fn linked(
        &self,
        made: impl Future<Output = Result<Linked, AgentError>> + Send + 'static,
    ) -> Answer {
        let Self { desk, client, name } = self.clone();
        Box::pin(async move {
            match made.await {
                Ok(Linked { connection, request, link }) => {
                    // It is new, so nobody had its events before.
                    desk.subscribe(client, connection);
                    let (full, short) = (ConnectionLink::Full(Box::new(request)), link.map(Box::new));
                    let event = AgentEvent::Invitation { link: Box::new(full), short };
                    (connection_id(connection), event)
                }
                Err(error) => (name, AgentEvent::Error(error)),
            }
        })
    }

    /// A connection that was named by the client may be there: then a JOIN that failed goes on.
    fn join(self, request: ConnectionRequest, info: Bytes) -> Done {
        let connection = self.new_connection()?;
        let former = self.desk.subscribe(self.client, connection);
        let joined = self.desk.agent.join(connection, USER, request, info, true);
        Ok(self.joined(connection, former, joined))
    }

    /// As a JOIN. The connection is a new one, not the address: whoever asked can be known by the request alone.
    fn accept(self, request: &TextInvitationId, info: Bytes) -> Done {
        let request = agent_id(request.as_bytes(), agent::InvitationId::new).ok_or(NOT_FOUND)?;
        let connection = self.new_connection()?;
        let former = self.desk.subscribe(self.client, connection);
        let accepted = self.desk.agent.accept(connection, USER, request, info, true);
        Ok(self.joined(connection, former, accepted))
    }

    pub(crate) fn joined(
        self,
        connection: agent::ConnectionId,
        former: Option<ClientId>,
        joined: impl Future<Output = Result<Joined, AgentError>> + Send + 'static,
    ) -> Answer {
        Box::pin(async move {
            let mut joined = joined.await;
            if joined == Err(AgentError::Connection(ConnectionError::Duplicate)) {
                joined = self.desk.agent.rejoin(connection).await;
            }
            let event = joined.map_or_else(AgentEvent::Error, |_| AgentEvent::Ok);
            self.desk.subscribed(self.client, connection, former, event == AgentEvent::Ok);
            (connection_id(connection), event)
        })
    }

    /// The name that the client chose for a new connection, or one that is drawn.
    pub(crate) fn new_connection(&self) -> Result<agent::ConnectionId, AgentError> {
        if self.name.is_empty() {
            return draw_connection();
        }
        self.connection().map_err(|_| AgentError::Command(AgentCommandError::Syntax))
    }

    /// The address of the request is the connection of the command.
    fn reject(self, request: &TextInvitationId) -> Done {
        if self.name.is_empty() {
            return Err(AgentError::Command(AgentCommandError::NoConnection));
        }
        let address = self.connection()?;
        let request = agent_id(request.as_bytes(), agent::InvitationId::new).ok_or(NOT_FOUND)?;
        let rejected = self.desk.agent.reject(address, request);
        Ok(self.answer(rejected, move |begun| begun.desk.settled(address, Matter::Request(request))))
    }

    fn allow(self, confirmation: &TextConfirmationId, info: Bytes) -> Done {
        let connection = self.connection()?;
        let confirmation = agent_id(confirmation.as_bytes(), agent::ConfirmationId::new).ok_or(NOT_FOUND)?;
        let allowed = self.desk.agent.allow(connection, confirmation, info);
        Ok(self.answer(allowed, move |begun| {
            begun.desk.settled(connection, Matter::Confirmation(confirmation));
        }))
    }

    fn subscribe(self) -> Done {
        let connection = self.connection()?;
        let former = self.desk.subscribe(self.client, connection);
        let told = self.desk.agent.tell_again(connection);
        Ok(Box::pin(async move {
            let event = told.await.map_or_else(AgentEvent::Error, |()| AgentEvent::Ok);
            self.desk.subscribed(self.client, connection, former, event == AgentEvent::Ok);
            (self.name, event)
        }))
    }

    fn send(self, body: Bytes) -> Done {
        let sent = self.desk.agent.send(self.connection()?, body, MessageFlags { notification: true });
        Ok(Box::pin(async move {
            let event = sent.await.map_or_else(AgentEvent::Error, |id| AgentEvent::MessageId(id.0));
            (self.name, event)
        }))
    }

    fn acknowledge(self, message: i64, receipt: Option<Bytes>) -> Done {
        let (connection, message) = (self.connection()?, LocalMessageId(message));
        let settle = move |begun: &Self| begun.desk.settled(connection, Matter::Message(message));
        Ok(match receipt {
            None => {
                let acknowledged = self.desk.agent.acknowledge(connection, message);
                self.answer(acknowledged, settle)
            }
            Some(info) => {
                let acknowledged = self.desk.agent.acknowledge_with_receipt(connection, message, info);
                self.answer(acknowledged, settle)
            }
        })
    }

    fn delete(self) -> Done {
        let deleted = self.desk.agent.delete(self.connection()?, false);
        Ok(self.answer(deleted, |_| ()))
    }

    fn suspend(self) -> Done {
        let suspended = self.desk.agent.suspend_queues(self.connection()?);
        Ok(self.answer(suspended, |_| ()))
    }

    fn switch(self) -> Done {
        let switched = self.desk.agent.switch(self.connection()?);
        Ok(self.answer(switched, |_| ()))
    }

    fn sync_ratchet(self, force: bool) -> Done {
        let begun = self.desk.agent.synchronize_ratchet(self.connection()?, force);
        Ok(self.answer(begun, |_| ()))
    }

    fn status(self) -> Done {
        let described = self.desk.agent.describe(self.connection()?);
        Ok(Box::pin(async move {
            let event = match described.await {
                Ok(connection) => AgentEvent::Status(Box::new(status(connection))),
                Err(error) => AgentEvent::Error(error),
            };
            (self.name, event)
        }))
    }

    fn statistics(self) -> Answer {
        let told = self.desk.agent.statistics();
        Box::pin(
            async move { (self.name, told.await.map_or_else(AgentEvent::Error, |told| statistics(&told))) },
        )
    }

    /// OK and what follows from it, or the error.
    pub(crate) fn answer(
        self,
        done: impl Future<Output = Result<(), AgentError>> + Send + 'static,
        then: impl FnOnce(&Self) + Send + 'static,
    ) -> Answer {
        Box::pin(async move {
            match done.await {
                Ok(()) => {
                    then(&self);
                    (self.name, AgentEvent::Ok)
                }
                Err(error) => (self.name, AgentEvent::Error(error)),
            }
        })
    }
}

/// A name that no connection has.
pub(crate) fn draw_connection() -> Result<agent::ConnectionId, AgentError> {
    new_connection_id().map_err(|e| AgentError::Internal(format!("no randomness: {e}")))
}

/// The one user of this agent.
pub(crate) const USER: UserId = UserId(1);
const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);
