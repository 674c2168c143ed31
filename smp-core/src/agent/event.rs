//! What an app is told.

use core::fmt;

use bytes::Bytes;

use super::store::SyncState;
use super::{ConfirmationId, ConnectionId, InvitationId, LocalMessageId, Reply, UserId};
use crate::time::UnixTime;
use crate::wire::agent::{AgentError, MessageIntegrity, RatchetError};
use crate::wire::command::MessageFlags;
use crate::wire::{EntityId, MessageId, QueueSet, ServerAddress};

/// Something that happened.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Somebody wants to connect to a contact address. REQ. Kept until it is accepted or rejected, see [`Call::Requests`](super::Call::Requests).
    Request(Box<ContactRequest>),
    /// What the other side says of itself. INFO.
    Info(ConnectionId, Bytes),
    /// Both sides can send. CON.
    Connected(ConnectionId),
    /// A message; the next one comes after this one is acknowledged. MSG.
    Message(Box<MessageEvent>),
    /// A message is with the server of the other side, and the proxy that it went through. SENT.
    Sent(ConnectionId, LocalMessageId, Option<ServerAddress>),
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
    /// A queue of a connection is taking the place of another. SWITCH.
    Switch {
        /// The connection.
        connection: ConnectionId,
        /// Whether we receive through it, or send.
        side: SwitchSide,
        /// How far that is.
        phase: SwitchPhase,
    },
    /// The ratchets of both sides agree again, or do not. RSYNC.
    RatchetSync {
        /// The connection.
        connection: ConnectionId,
        /// How it is now. From `Required` to `Agreed` no messages can be sent.
        state: SyncState,
        /// What went wrong, if something did.
        error: Option<RatchetError>,
    },
    /// Nothing is left of a deleted user. DEL_USER.
    UserDeleted(UserId),
    /// Something went wrong that no call waits for. ERR.
    Error(Option<ConnectionId>, AgentError),
    /// A [durable](super::Call::Durable) call ended. INV, LINK, LDATA, JOINED, OK or ERR, with the correlation of the call. After a
    /// crash it may be told a second time.
    Finished {
        /// As the call said.
        correlation: Box<str>,
        /// The connection that it was about, or made.
        connection: ConnectionId,
        /// What the call would have been answered.
        result: Box<Result<Reply, AgentError>>,
    },
    /// The queues of these connections at a server are subscribed. UP.
    Up(ServerAddress, Vec<ConnectionId>),
    /// They are not, until the server can be reached again. DOWN.
    Down(ServerAddress, Vec<ConnectionId>),
    /// The queues of a user's service at a server are subscribed, or those of them that the server still counts among the
    /// service's; the others are subscribed one by one. Which connections are, [`Self::Up`] tells. SERVICE_UP.
    ServiceUp {
        /// Whose service it is.
        user: UserId,
        /// The server.
        server: ServerAddress,
        /// What was expected to be subscribed.
        expected: QueueSet,
        /// What the server subscribed. When it is another set than expected, all queues are subscribed one by one.
        subscribed: QueueSet,
    },
    /// The queues of a user's service at a server are not subscribed, until the server can be reached again. Beside
    /// [`Self::Down`]. SERVICE_DOWN.
    ServiceDown {
        /// Whose service it is.
        user: UserId,
        /// The server.
        server: ServerAddress,
        /// What was subscribed.
        queues: QueueSet,
    },
    /// All messages that waited in the queues of a user's service when they were subscribed were sent. SERVICE_ALL.
    ServiceAll {
        /// Whose service it is.
        user: UserId,
        /// The server.
        server: ServerAddress,
    },
    /// Another agent with the same certificate took over the queues of a user's service, see [`Call::ResubscribeService`]. Beside
    /// [`Self::Down`]. SERVICE_END.
    ///
    /// [`Call::ResubscribeService`]: super::Call::ResubscribeService
    ServiceEnd {
        /// Whose service it is.
        user: UserId,
        /// The server.
        server: ServerAddress,
        /// What was taken over, as the server says.
        queues: QueueSet,
    },
    /// The agent rests, as it was told to. SUSPENDED.
    Suspended,
    /// The app took its events so slowly that so many were thrown away here: confirmations, requests, errors, and which connections are up
    /// or down. Made by shells, which bound what waits for the app.
    Missed(u64),
}

/// Somebody who wants to connect to a contact address.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContactRequest {
    /// The address.
    pub connection: ConnectionId,
    /// Names him in [`Call::Accept`](super::Call::Accept) and [`Call::Reject`](super::Call::Reject).
    pub invitation: InvitationId,
    /// The servers of his queues.
    pub servers: Vec<ServerAddress>,
    /// What he says of himself.
    pub info: Bytes,
    /// Whether post-quantum encryption is possible with him.
    pub pq: bool,
    /// When he asked.
    pub received_at: UnixTime,
}

/// Nothing: it tells who wants to connect with whom.
impl fmt::Debug for ContactRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContactRequest")
    }
}

/// A message that came.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
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

/// Which end of a new queue is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SwitchSide {
    /// We receive through it: the app wanted it.
    Receive,
    /// We send to it: the other side wants it.
    Send,
}

/// How far a queue is in taking the place of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SwitchPhase {
    /// Whoever sends was told of it. Whoever receives knows it from the reply to [`Call::Switch`](super::Call::Switch).
    Started,
    /// The keys of who sends are with the server, or came.
    Confirmed,
    /// Whoever sends may use it.
    Secured,
    /// The other queue is gone.
    Completed,
}

/// The other side has a message of ours, or what came in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
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
            Self::Request(_) => "Request",
            Self::Info(..) => "Info",
            Self::Connected(_) => "Connected",
            Self::Message(_) => "Message",
            Self::Sent(..) => "Sent",
            Self::NotSent(..) => "NotSent",
            Self::QueueDeleted { .. } => "QueueDeleted",
            Self::Deleted(_) => "Deleted",
            Self::Received(..) => "Received",
            Self::Switch { .. } => "Switch",
            Self::RatchetSync { .. } => "RatchetSync",
            Self::UserDeleted(_) => "UserDeleted",
            Self::Error(..) => "Error",
            Self::Up(..) => "Up",
            Self::Down(..) => "Down",
            Self::Finished { .. } => "Finished",
            Self::ServiceUp { .. } => "ServiceUp",
            Self::ServiceDown { .. } => "ServiceDown",
            Self::ServiceAll { .. } => "ServiceAll",
            Self::ServiceEnd { .. } => "ServiceEnd",
            Self::Suspended => "Suspended",
            Self::Missed(_) => "Missed",
        })
    }
}
