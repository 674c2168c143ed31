//! Connections, and who wants to have one.

use bytes::Bytes;

use super::{Origin, QueueNumber, ReceiveQueue, SendQueue, Task};
use crate::agent::{ConfirmationId, ConnectionId, InvitationId, LocalMessageId, UserId};
use crate::crypto::Ed25519PrivateKey;
use crate::crypto::ratchet::{Ratchet, X3dhKeys};
use crate::time::UnixTime;
use crate::wire::agent::MessageHash;
use crate::wire::link::LinkKey;
use crate::wire::queue_uri::QueueInfo;
use crate::wire::{AuthPublicKey, ConnectionRequest, DhPublicKey, EntityId, Version};

/// A local user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Being deleted: gone when its connections are.
    pub is_deleted: bool,
}

/// Everything that is kept of one connection, except its messages and the keys of skipped ones.
#[derive(Clone)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// What changes often.
    pub state: ConnectionState,
    /// What both sides have agreed on for encryption.
    pub agreement: Agreement,
    /// Queues from which it receives, the first is the one to name to others.
    pub receive: Vec<ReceiveQueue>,
    /// Queues to which it sends, best first.
    pub send: Vec<SendQueue>,
    /// What is left to do at servers, in this order.
    pub tasks: Vec<Task>,
}

/// The plain values of a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionState {
    /// Whose it is.
    pub user: UserId,
    /// How far it is.
    pub progress: Progress,
    /// The agent version that both sides speak, as far as is known.
    pub version: Version,
    /// Headers of the ratchet are large, so that it may be post-quantum.
    pub pq_support: bool,
    /// Numbers and hashes of messages.
    pub counters: Counters,
    /// Whether the ratchets of both sides agree.
    pub sync: SyncState,
    /// When the app asked to delete it.
    pub deleted_at: Option<UnixTime>,
    /// Delete it only when everything was delivered.
    pub delete_after_delivery: bool,
    /// How many keys of skipped messages are kept.
    pub skipped: u32,
    /// The highest number of a queue that was removed, so that none is used again.
    pub queues: u32,
    /// From how many queues it is to receive when it is made; 0 for as many as the settings say. Not more than there are, once
    /// others were told of them.
    pub receive_queues: u32,
}

/// How far a connection is, and on which side.
///
/// ```text
/// Created ──CONF──▶ Confirmed ──LET──▶ Allowed ──▶ Connected      who made the invitation
/// Joining ────────▶ Joined ──────────────────────▶ Connected      who used it
/// Joining ────────▶ Requested ──CONF──▶ Confirmed ──LET──▶ …      who sent an invitation to an address
/// Opened ─────────▶ Joining                                       who looked at the short link of an invitation before
/// Prepared ───────▶ Created, Joining, Opened, Contact             what a kept command is to make
/// Contact                                                         an address, to which others send invitations
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Progress {
    /// An invitation was made, or is being made.
    Created,
    /// Somebody used it and waits to be allowed.
    Confirmed,
    /// He was allowed; he was not told, or has not answered.
    Allowed,
    /// The short link of an invitation was opened, or is being opened: the queue is secured with a key of ours.
    Opened,
    /// An invitation or an address is being used; the other side was not told.
    Joining,
    /// The owner of an address got an invitation, and has not used it.
    Requested,
    /// It was told; it has not answered.
    Joined,
    /// Both sides can send.
    Connected,
    /// An address.
    Contact,
    /// There is nothing but commands, the first of which is to make it.
    Prepared,
}

/// Numbers and hashes of the messages of a connection.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// The last number that was given to a message of either direction.
    pub last: LocalMessageId,
    /// The sender's number of the last message that we sent.
    pub sent: i64,
    /// Of that message.
    pub sent_hash: MessageHash,
    /// The sender's number of the last message that came.
    pub received: i64,
    /// Of that message.
    pub received_hash: MessageHash,
}

/// Whether the ratchets of both sides agree (agent protocol "Ratchet synchronization").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum SyncState {
    /// They do.
    #[default]
    Ok,
    /// A message could not be read; a new agreement may help.
    Allowed,
    /// Nothing can be read; a new agreement is needed.
    Required,
    /// Our new keys are on their way.
    Started,
    /// Both sides have the new keys; no message has shown yet that they work.
    Agreed,
}

/// What both sides have agreed on.
#[derive(Clone)]
pub enum Agreement {
    /// Nothing, and nothing is offered.
    None,
    /// Keys were given away in an invitation.
    Offered(Box<X3dhKeys>),
    /// There is a ratchet.
    Ratchet(Box<Ratchet>),
    /// There is a ratchet, and our keys for a new one are on their way.
    Renewing(Box<Ratchet>, Box<X3dhKeys>),
}

impl Agreement {
    /// The ratchet, if there is one.
    #[must_use]
    pub const fn ratchet(&self) -> Option<&Ratchet> {
        match self {
            Self::Ratchet(ratchet) | Self::Renewing(ratchet, _) => Some(ratchet),
            Self::None | Self::Offered(_) => None,
        }
    }

    /// The ratchet, if there is one, to be changed.
    pub const fn ratchet_mut(&mut self) -> Option<&mut Ratchet> {
        match self {
            Self::Ratchet(ratchet) | Self::Renewing(ratchet, _) => Some(ratchet),
            Self::None | Self::Offered(_) => None,
        }
    }
}

/// What the owner of a short link needs to change what it leads to.
#[derive(Clone)]
pub struct LinkCredentials {
    /// The server's name of the data.
    pub link_id: EntityId,
    /// What the link itself carries.
    pub key: LinkKey,
    /// The fixed part, as it was sealed: the server takes no other.
    pub fixed: Bytes,
    /// Signs the user's part.
    pub root: Ed25519PrivateKey,
}

/// Somebody used an invitation of ours, while its queue could be used by anybody.
#[derive(Clone)]
pub struct Confirmation {
    /// Its id.
    pub id: ConfirmationId,
    /// The connection whose invitation was used.
    pub connection: ConnectionId,
    /// The key to secure our queue with, if the sender did not do that himself.
    pub sender_key: Option<AuthPublicKey>,
    /// The sender's key for the encryption of our queue.
    pub e2e_key: DhPublicKey,
    /// The ratchet that his keys made.
    pub ratchet: Box<Ratchet>,
    /// Of his message.
    pub hash: MessageHash,
    /// Where to send to.
    pub queues: Vec<QueueInfo>,
    /// The agent version that both sides speak.
    pub version: Version,
    /// What he says of himself.
    pub info: Bytes,
}

/// Somebody wants to connect to a contact address of ours.
#[derive(Clone)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The address.
    pub connection: ConnectionId,
    /// His own invitation.
    pub request: ConnectionRequest,
    /// What he says of himself.
    pub info: Bytes,
    /// When it came.
    pub received_at: UnixTime,
}

impl Connection {
    /// The number of the next receive queue.
    #[must_use]
    pub fn next_receive_number(&self) -> QueueNumber {
        let last = self.receive.iter().map(|queue| queue.number.0).max().unwrap_or(0);
        QueueNumber(last.max(self.state.queues) + 1)
    }

    /// The number of the next send queue.
    #[must_use]
    pub fn next_send_number(&self) -> QueueNumber {
        let last = self.send.iter().map(|queue| queue.number.0).max().unwrap_or(0);
        QueueNumber(last.max(self.state.queues) + 1)
    }

    /// The task that is next, if there is one. Queues are deleted, and take the place of others, beside these.
    #[must_use]
    pub fn next_task(&self) -> Option<&Task> {
        self.tasks.iter().find(|task| task.holds_others())
    }

    /// Whether some of what is left was asked for by a call that waits.
    #[must_use]
    pub fn has_calls(&self) -> bool {
        self.tasks.iter().any(|task| matches!(task.origin, Origin::Call))
    }
}
