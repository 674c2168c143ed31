//! What an app is told.

use core::fmt;

use bytes::Bytes;

use super::{ConfirmationId, ConnectionId, LocalMessageId, UserId};
use crate::time::UnixTime;
use crate::wire::agent::{AgentError, MessageIntegrity};
use crate::wire::command::MessageFlags;
use crate::wire::{EntityId, MessageId, ServerAddress};

/// Something that happened.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody used an invitation. CONF.
    Confirmation {
        /// The invitation.
        connection: ConnectionId,
        /// Names him in [`Call::Allow`](super::Call::Allow).
        confirmation: ConfirmationId,
        /// The servers of his queues.
        servers: Vec<ServerAddress>,
        /// What he says of himself.
        info: Bytes,
    },
    /// What the other side says of itself. INFO.
    Info(ConnectionId, Bytes),
    /// Both sides can send. CON.
    Connected(ConnectionId),
    /// A message; the next one comes after this one is acknowledged. MSG.
    Message(Box<MessageEvent>),
    /// A message is with the server of the other side. SENT.
    Sent(ConnectionId, LocalMessageId),
    /// A message was not sent, and will not be. MERR.
    NotSent(ConnectionId, LocalMessageId, AgentError),
    /// The server of a deleted connection has deleted a receive queue, or will not: it was tried often, or refuses.
    /// DEL_RCVQS.
    QueueDeleted {
        /// The connection.
        connection: ConnectionId,
        /// The server.
        server: ServerAddress,
        /// The server's id of the queue for us.
        queue: EntityId,
        /// Why it will not.
        error: Option<AgentError>,
    },
    /// Nothing is left of a deleted connection. DEL_CONNS.
    Deleted(ConnectionId),
    /// The other side has messages of ours. RCVD.
    Received(ConnectionId, Vec<ReceivedReceipt>),
    /// Nothing is left of a deleted user. DEL_USER.
    UserDeleted(UserId),
    /// Something went wrong that no call waits for. ERR.
    Error(Option<ConnectionId>, AgentError),
    /// The queues of these connections at a server are subscribed. UP.
    Up(ServerAddress, Vec<ConnectionId>),
    /// They are not, until the server can be reached again. DOWN.
    Down(ServerAddress, Vec<ConnectionId>),
    /// The app took its events so slowly that so many were thrown away here: confirmations, errors, and which connections are up
    /// or down. Made by shells, which bound what waits for the app.
    Missed(u64),
}

/// A message that came.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageEvent {
    /// The connection.
    pub connection: ConnectionId,
    /// Our number.
    pub id: LocalMessageId,
    /// The sender's number.
    pub sender_id: i64,
    /// Whether it came in its place.
    pub integrity: MessageIntegrity,
    /// When we got it.
    pub received_at: UnixTime,
    /// The server's id of it.
    pub server_id: MessageId,
    /// When the server got it.
    pub server_time: UnixTime,
    /// It was encrypted with a secret of the KEM too.
    pub pq: bool,
    /// As its sender set them.
    pub flags: MessageFlags,
    /// What was sent.
    pub body: Bytes,
}

/// The other side has a message of ours, or what came in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceivedReceipt {
    /// Our number of the message.
    pub message: LocalMessageId,
    /// It is the message that we sent; if not, somebody changed it, or one of the two agents was set back to an earlier state.
    pub is_intact: bool,
}

/// The name alone.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmation { .. } => "Confirmation",
            Self::Info(..) => "Info",
            Self::Connected(_) => "Connected",
            Self::Message(_) => "Message",
            Self::Sent(..) => "Sent",
            Self::NotSent(..) => "NotSent",
            Self::QueueDeleted { .. } => "QueueDeleted",
            Self::Deleted(_) => "Deleted",
            Self::Received(..) => "Received",
            Self::UserDeleted(_) => "UserDeleted",
            Self::Error(..) => "Error",
            Self::Up(..) => "Up",
            Self::Down(..) => "Down",
            Self::Missed(_) => "Missed",
        })
    }
}
