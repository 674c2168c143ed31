//! What an app is told of its connections when it asks, so that it can find again what it lost: events are told once, and may
//! be lost when the app ends or is slow.

use bytes::Bytes;

use super::effect::{Doing, to_error};
use super::step::Step;
use super::store::{AgentQuery, Agreement, Confirmation, ConnectionState, Found, Progress, StoreFailure};
use super::{Agent, CallId, ConfirmationId, ConnectionId, LocalMessageId, Reader, Reply, UserId};
use crate::client::{Answer, Request, RequestError};
use crate::wire::agent::{AgentError, ConnectionError};
use crate::wire::{ConnectionRequest, ServerAddress};

/// A connection of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ConnectionSummary {
    /// Its id.
    pub id: ConnectionId,
    /// Whose it is.
    pub user: UserId,
    /// How far it is.
    pub progress: Progress,
}

/// How a connection is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStatus {
    /// Whose it is, and how far.
    pub summary: ConnectionSummary,
    /// What others connect with: the invitation, as long as nobody was let in, or the address.
    pub invitation: Option<Box<ConnectionRequest>>,
    /// Who used the invitation and waits to be allowed.
    pub confirmations: Vec<WaitingConfirmation>,
    /// Messages that the app has to acknowledge.
    pub messages: Vec<LocalMessageId>,
}

/// Somebody who used an invitation and waits to be allowed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitingConfirmation {
    /// Names him in [`Call::Allow`](super::Call::Allow).
    pub id: ConfirmationId,
    /// The servers of his queues.
    pub servers: Vec<ServerAddress>,
    /// What he says of himself.
    pub info: Bytes,
}

impl Step<'_> {
    /// The app asks how a connection is.
    pub(super) fn tell_status(&mut self, id: CallId) -> Result<(), AgentError> {
        let not_found = AgentError::Connection(ConnectionError::NotFound);
        let found = self.found.take();
        let invitation = self.open_invitation();
        let connection = self.connection()?;
        let Some(Found::Waiting { confirmations, messages }) = found else { return Err(not_found) };
        let state = &connection.state;
        let status = ConnectionStatus {
            summary: ConnectionSummary { id: connection.id, user: state.user, progress: state.progress },
            invitation,
            confirmations: confirmations.iter().map(WaitingConfirmation::of).collect(),
            messages: messages.iter().map(|message| message.id).collect(),
        };
        self.reply(id, Ok(Reply::Status(Box::new(status))));
        Ok(())
    }

    /// What others connect with.
    fn open_invitation(&self) -> Option<Box<ConnectionRequest>> {
        let connection = self.connection.as_ref()?;
        if let Some(request) = self.request_of_link() {
            return Some(Box::new(request));
        }
        let is_open = matches!(connection.agreement, Agreement::Offered(_))
            || connection.state.progress == Progress::Contact;
        self.request_to(self.addresses()).ok().filter(|_| is_open).map(Box::new)
    }

    /// QUE of the queue that others are told of. The answer is for whoever looks for faults.
    pub(super) fn ask_queue(&mut self, id: CallId) -> Result<(), AgentError> {
        let connection = self.connection()?;
        let queue = connection.receive.first().ok_or(AgentError::Connection(ConnectionError::Simplex))?;
        let (server, recipient, key) = (queue.server.clone(), queue.recipient_id.clone(), queue.key.clone());
        let doing = Doing::QueueInfo(id, Box::new(server.clone()));
        self.request(server, Request::queue_info(recipient, key), doing);
        Ok(())
    }
}

impl WaitingConfirmation {
    fn of(confirmation: &Confirmation) -> Self {
        Self {
            id: confirmation.id,
            servers: confirmation.queues.iter().map(|queue| queue.address.server.clone()).collect(),
            info: confirmation.info.clone(),
        }
    }
}

impl Agent {
    /// All connections that are not deleted were read for a call.
    pub(super) fn connections_found(
        &mut self,
        call: CallId,
        of: Option<UserId>,
        result: Result<Found, StoreFailure>,
    ) {
        let reply = match result {
            Ok(Found::States(states)) => {
                let wanted = states.into_iter().filter(|(_, state)| {
                    state.deleted_at.is_none() && of.is_none_or(|user| state.user == user)
                });
                let summary = |(id, state): (_, ConnectionState)| ConnectionSummary {
                    id,
                    user: state.user,
                    progress: state.progress,
                };
                Ok(Reply::Connections(wanted.map(summary).collect()))
            }
            _ => Err(StoreFailure.into()),
        };
        self.reply(call, reply);
    }

    /// What a server said of a queue is for a call, whatever became of the connection.
    pub(super) fn queue_told(
        &mut self,
        call: CallId,
        server: ServerAddress,
        answer: Result<Answer, RequestError>,
    ) {
        let reply = match answer {
            Ok(Answer::Info(info)) => Ok(Reply::QueueInfo(info)),
            Ok(_) => Err(to_error(server, RequestError::Unexpected)),
            Err(error) => Err(to_error(server, error)),
        };
        self.reply(call, reply);
    }

    pub(super) fn list_connections(&mut self, call: CallId, of: Option<UserId>) {
        self.read(Reader::List(call, of), AgentQuery::Connections);
    }
}
