//! What an app asks of its agent, and what it is answered.

use core::fmt;

use std::time::Duration;

use bytes::Bytes;

use super::{
    AgentStatistics, ConfirmationId, ConnectionDescription, ConnectionId, ConnectionStatus,
    ConnectionSummary, ContactRequest, InvitationId, LinkIdentity, LocalMessageId, PreparedLink,
    QueueOptions, UserId, UserServer,
};
use crate::crypto::Ed25519PrivateKey;
use crate::crypto::link::OpenedLink;
use crate::crypto::ratchet::PqEncryption;
use crate::wire::agent::AgentError;
use crate::wire::broker::QueueStatus;
use crate::wire::command::MessageFlags;
use crate::wire::link::{ContactDetails, ShortLink};
use crate::wire::{ConnectionRequest, Name, NameRecord, ServerAddress};

/// Names a call until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// What an app asks. Each call is answered once, with [`Reply`] or an error.
pub enum Call {
    /// Make an invitation for one person. [`Reply::Invitation`].
    Invite {
        /// Whose.
        user: UserId,
        /// Whether post-quantum encryption is wanted. It is used if whoever joins wants it too; [`Self::SendWithPq`] can switch it on
        /// later.
        pq: InitialKeys,
    },
    /// Make a contact address, which anybody can use who has it. [`Reply::Invitation`]. Whoever does is told of by
    /// [`Event::Request`](super::Event::Request).
    CreateAddress {
        /// Whose.
        user: UserId,
    },
    /// Make an invitation, or a contact address, with a short link. [`Reply::Linked`]; [`Reply::Invitation`], if the server knows no
    /// short links.
    CreateWithLink {
        /// Whose.
        user: UserId,
        /// What the link shows; the details of a contact make it an address.
        content: Box<LinkContent>,
        /// Whether post-quantum encryption is wanted: then the data of the link of an invitation has a key for it, and the full link
        /// stays short.
        pq: bool,
    },
    /// Prepare a contact address: its links and keys, without a network; nothing is kept. [`Reply::Prepared`].
    /// prepareConnectionLink.
    PrepareLink {
        /// Whose.
        user: UserId,
        /// What the app chooses of it.
        identity: Box<LinkIdentity>,
    },
    /// Make an address that was prepared, with the links that it was prepared with. [`Reply::Linked`], also when it was made
    /// before: then what it shows is not changed. createConnectionForLink.
    CreateForLink {
        /// The address.
        prepared: Box<PreparedLink>,
        /// What its link shows; needs the details of a contact.
        content: Box<LinkContent>,
    },
    /// The root key of the short link of an invitation or an address, if it has one: to name further owners.
    /// [`Reply::LinkRoot`]. getConnLinkPrivKey.
    LinkRoot(ConnectionId),
    /// The same as [`Self::SetLink`], signed by one of the owners who are named in it. [`Reply::Link`].
    SetLinkSigned(ConnectionId, Box<LinkContent>, Box<Ed25519PrivateKey>),
    /// Change what the short link of an invitation or an address shows. An address that has none gets one. [`Reply::Link`].
    SetLink(ConnectionId, Box<LinkContent>),
    /// Take what a short link shows from the server: it leads nowhere, until it is set again. [`Reply::Done`].
    DeleteLink(ConnectionId),
    /// Ask what a short link leads to. [`Reply::Opened`]. Of an invitation only who asks first is told, and can use it: by a
    /// [`Self::Join`] of the same connection with the request that came with the answer. May be repeated; of an address nothing is
    /// kept.
    OpenLink {
        /// The connection that is to be, a name that was not used before.
        connection: ConnectionId,
        /// Who asks.
        user: UserId,
        /// The link.
        link: Box<ShortLink>,
    },
    /// Use an invitation or a contact address. [`Reply::Joined`]. If it fails and the failure may pass, the call may be repeated with
    /// [`Self::Rejoin`]; for that, also after a crash, the app chooses the name of the connection and keeps it before.
    Join {
        /// The new connection, a name that was not used before, but to [open](Self::OpenLink) the link of this invitation.
        connection: ConnectionId,
        /// Who uses it.
        user: UserId,
        /// The invitation, or the address: then its owner gets an invitation of ours, and if he uses it
        /// [`Event::Confirmation`](super::Event::Confirmation) tells.
        request: Box<ConnectionRequest>,
        /// What the other side is told of us.
        info: Bytes,
        /// Whether post-quantum encryption is wanted. Both sides have to.
        pq: bool,
    },
    /// Go on with a [`Self::Join`] that failed. [`Reply::Joined`].
    Rejoin(ConnectionId),
    /// Connect to somebody who asked at a contact address: a [`Self::Join`] with his invitation, and like that it goes on with
    /// [`Self::Rejoin`], or when it is repeated. [`Reply::Joined`].
    Accept {
        /// The new connection, a name that was not used before.
        connection: ConnectionId,
        /// Who connects.
        user: UserId,
        /// Whom, as [`Event::Request`](super::Event::Request) named him.
        invitation: InvitationId,
        /// What he is told of us.
        info: Bytes,
        /// Whether post-quantum encryption is wanted. Both sides have to.
        pq: bool,
    },
    /// Forget a request to this address. Whoever asked is told nothing. [`Reply::Done`].
    Reject(ConnectionId, InvitationId),
    /// All requests to this address that were neither accepted nor rejected. [`Reply::Requests`].
    Requests(ConnectionId),
    /// Let somebody who used an invitation connect. [`Reply::Done`].
    Allow {
        /// The connection of the invitation.
        connection: ConnectionId,
        /// Who, as [`Event::Confirmation`](super::Event::Confirmation) named him.
        confirmation: ConfirmationId,
        /// What he is told of us.
        info: Bytes,
    },
    /// Send a message. [`Reply::Accepted`]: it is stored, and goes out as soon as it can.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// The message, at most [`body_len_max`](crate::wire::agent::sizes::body_len_max) bytes.
        body: Bytes,
        /// Whether the recipient is to be notified.
        flags: MessageFlags,
    },
    /// The same as [`Self::Send`], and post-quantum encryption is switched on or off from here on. Both sides have to want it;
    /// it begins after both have sent. Agents before version 5 do not know it, and nothing is switched.
    SendWithPq {
        /// To whom.
        connection: ConnectionId,
        /// The message; shorter once post-quantum encryption was on.
        body: Bytes,
        /// Whether the recipient is to be notified.
        flags: MessageFlags,
        /// Whether it is wanted.
        pq: PqEncryption,
    },
    /// Receive through a new queue, on another server of the user's if there is one. [`Reply::Done`]: there is one and the other
    /// side is being told; [`Event::Switch`](super::Event::Switch) tells what comes of it. SWCH.
    Switch(ConnectionId),
    /// The same in place of the queue on this server: one that is not the first, or that the server lost, as an error told.
    /// [`Reply::Done`].
    SwitchFrom(ConnectionId, Box<ServerAddress>),
    /// Give that up, while the other side was not told to use the new queue, also while the ratchets do not agree. [`Reply::Done`].
    AbortSwitch(ConnectionId),
    /// How the connection is. [`Reply::Description`].
    Describe(ConnectionId),
    /// Agree on a new ratchet with the other side. [`Reply::Done`]: our keys are on their way, and [`Event::RatchetSync`](super::Event::RatchetSync) tells what
    /// comes of it. When both sides ask at once, or in turn, they agree nevertheless; an older agent may have to ask once more,
    /// when it was told that it is needed.
    Synchronize {
        /// The connection.
        connection: ConnectionId,
        /// Also when nothing was wrong, or another agreement is under way.
        force: bool,
    },
    /// The app has a message, and need not get it again. [`Reply::Done`].
    Acknowledge(ConnectionId, LocalMessageId),
    /// The same, and the other side is told so, if it understands receipts. ACK with receipt information.
    AcknowledgeWithReceipt {
        /// Where the message came.
        connection: ConnectionId,
        /// The message.
        message: LocalMessageId,
        /// Of the app's own, for the app of the other side; at most [`receipt_info_len_max`] bytes.
        ///
        /// [`receipt_info_len_max`]: crate::wire::agent::sizes::receipt_info_len_max
        info: Bytes,
    },
    /// Delete a connection. [`Reply::Done`]: for the app it is gone. [`Event::QueueDeleted`] tells of each of its queues, then
    /// [`Event::Deleted`] that nothing is left.
    ///
    /// [`Event::QueueDeleted`]: super::Event::QueueDeleted
    /// [`Event::Deleted`]: super::Event::Deleted
    Delete {
        /// Which.
        connection: ConnectionId,
        /// Whether what was accepted is sent before, for at most
        /// [`AgentLimits::delete_wait`](super::AgentLimits::delete_wait).
        wait_delivery: bool,
    },
    /// Give a connection whose invitation nobody used yet to another user. [`Reply::Done`].
    ChangeUser {
        /// Which.
        connection: ConnectionId,
        /// To whom.
        user: UserId,
    },
    /// Make a user. [`Reply::User`].
    CreateUser {
        /// On which queues are made. They are not kept: the app gives them at each start.
        servers: Vec<UserServer>,
    },
    /// Use other servers for what is new. [`Reply::Done`].
    SetServers {
        /// For whom.
        user: UserId,
        /// Instead of those that were given before.
        servers: Vec<UserServer>,
    },
    /// Delete a user with all connections. [`Event::UserDeleted`](super::Event::UserDeleted) tells when nothing is left.
    /// [`Reply::Done`]: it is being deleted, or it is deleted, if queues are kept.
    DeleteUser {
        /// Which.
        user: UserId,
        /// Servers are not told, because another agent goes on with the queues.
        keep_queues: bool,
    },
    /// Who there is. [`Reply::Users`].
    Users,
    /// Which connections there are, of a user or of all. [`Reply::Connections`].
    Connections(Option<UserId>),
    /// How a connection is, and what of it waits for the app. [`Reply::Status`].
    Status(ConnectionId),
    /// What its server says of the queue from which a connection receives. QUE. [`Reply::QueueInfo`].
    QueueInfo(ConnectionId),
    /// What was done at servers, and how things are there. [`Reply::Statistics`].
    Statistics,
    /// Ask one of a user's servers that resolve names what is registered under a name. [`Reply::Name`].
    Resolve {
        /// Whose servers are asked.
        user: UserId,
        /// The name.
        name: Name,
    },
    /// Begin to count anew. [`Reply::Done`]: it is kept.
    ResetStatistics,
    /// Keep a call and carry it out as soon as it can be, also after a restart: one that makes, joins, accepts or allows a
    /// connection, switches its queue, or opens, sets or deletes a short link. [`Reply::Done`]: it is kept;
    /// [`Event::Finished`](super::Event::Finished) tells how it ended, when it succeeded, or failed so that to try again is of no use.
    /// Such calls of a connection are carried out in their order. When the connection is deleted, they end with it; if the agent
    /// crashes in that moment, no event tells of that. The asynchronous commands.
    Durable {
        /// Of the app's own, repeated in the event.
        correlation: Box<str>,
        /// What is to be done.
        call: Box<Self>,
    },
    /// A call that makes queues, which are made like this: [`Self::Invite`], [`Self::CreateAddress`], [`Self::CreateWithLink`],
    /// [`Self::CreateForLink`], [`Self::Join`], [`Self::Rejoin`], [`Self::Accept`]; or [`Self::PrepareLink`]. Answered as that.
    With(QueueOptions, Box<Self>),
    /// Several calls at once, but none of these. [`Reply::Many`].
    Many(Vec<Self>),
    /// Tell again what waits for the app: who used an invitation and was not allowed, requests to an address, and messages that
    /// were not acknowledged. For an app whose own memory of what it was told ended before the agent did. [`Reply::Done`].
    TellAgain(ConnectionId),
    /// Receive from a connection that is not subscribed, as the app wished; or again, after an event told that its queue was refused
    /// or its subscription ended.
    /// [`Reply::Done`]; then [`Event::Up`](super::Event::Up) or [`Event::Error`](super::Event::Error) tells how it went.
    Resubscribe(ConnectionId),
    /// Ask the servers of a connection that is not subscribed for its messages, until there is one that the app has to
    /// acknowledge, or none is left. [`Reply::Fetched`]. All are told by events, as others are. GET; getConnectionMessages.
    Fetch(ConnectionId),
    /// Have the servers take no more messages for a connection; those that are there still come. Senders are refused, for good.
    /// [`Reply::Done`]. OFF; suspendConnection.
    SuspendQueues(ConnectionId),
    /// Make sessions anew, because the device has another network: those of a user with a server, or all. Requests that are
    /// under way fail. [`Reply::Done`], at once.
    Reconnect(Option<(UserId, ServerAddress)>),
    /// Make the sessions of a user, with servers where the user has queues or makes them, those of a service, or not any more. A
    /// service is subscribed to all of its queues at a server at once, instead of to one after the other. It is known to the
    /// server by a certificate, so the server learns whose queues belong together. Sessions of the user are made anew: requests
    /// that are under way fail. Not kept: to be given at each start. [`Reply::Done`]; `CMD PROHIBITED` when each connection has
    /// sessions of its own ([`SessionMode::Entity`](super::SessionMode::Entity)).
    SetUserService {
        /// The user.
        user: UserId,
        /// They are.
        is_enabled: bool,
    },
    /// Subscribe to the queues of a user's service again, after [`Event::ServiceEnd`](super::Event::ServiceEnd).
    /// [`Reply::Done`]; then [`Event::ServiceUp`](super::Event::ServiceUp) tells. `CMD PROHIBITED` when the user has none.
    ResubscribeService(UserId),
    /// Whether the device has a network. While it has none, servers are tried seldom, see [`AgentLimits::offline_retry`];
    /// when it has one again, at once. [`Reply::Done`].
    ///
    /// [`AgentLimits::offline_retry`]: super::AgentLimits::offline_retry
    Network {
        /// It has.
        online: bool,
    },
    /// The device is about to stop the app: nothing more is received, what is being sent is finished, then all sessions end
    /// and [`Event::Suspended`](super::Event::Suspended) tells. Until [`Self::Resume`] calls that need a server wait. [`Reply::Done`], at once.
    Suspend {
        /// How long that may take; then it is not finished.
        patience: Duration,
    },
    /// The app goes on. [`Reply::Done`], at once.
    Resume,
}

/// What a short link shows beside the request to connect.
#[derive(Clone)]
pub struct LinkContent {
    /// What only a contact address has; its absence makes the link that of an invitation.
    pub contact: Option<Box<ContactDetails>>,
    /// Data of the app's own, such as a profile, at most about 13.7 KB.
    pub data: Bytes,
}

/// The root key of a short link: it signs what the link shows, and names owners who may too
/// ([`name_owner`](crate::crypto::link::name_owner)).
#[derive(Clone)]
pub struct LinkRoot(pub Ed25519PrivateKey);

/// Of the same public key.
impl PartialEq for LinkRoot {
    fn eq(&self, other: &Self) -> bool {
        self.0.public() == other.0.public()
    }
}

impl Eq for LinkRoot {}

/// The answer to a call.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// An invitation or an address was made.
    Invitation(ConnectionId, Box<ConnectionRequest>),
    /// An invitation or an address was made, with a short link.
    Linked(ConnectionId, Box<ConnectionRequest>, Box<ShortLink>),
    /// This address was prepared.
    Prepared(Box<PreparedLink>),
    /// The root key of a link, if there is one.
    LinkRoot(Option<Box<LinkRoot>>),
    /// This link leads there now.
    Link(Box<ShortLink>),
    /// What a link leads to, verified: the request to use, and what its owner shows.
    Opened(Box<OpenedLink>),
    /// An invitation was used, which the other side has still to allow; or an address, whose owner has still to accept.
    Joined {
        /// The new connection.
        connection: ConnectionId,
        /// Messages may be sent at once: the other side will be able to read them.
        can_send: bool,
    },
    /// These requests wait, oldest first.
    Requests(Vec<ContactRequest>),
    /// The message has this number.
    Accepted(LocalMessageId),
    /// How a connection is.
    Description(Box<ConnectionDescription>),
    /// It was done, or is kept and will be.
    Done,
    /// This message waits for the app to acknowledge it, then there may be more; or no message is left.
    Fetched(Option<LocalMessageId>),
    /// The number of a new user.
    User(UserId),
    /// All users, by number.
    Users(Vec<UserId>),
    /// Connections, by id.
    Connections(Vec<ConnectionSummary>),
    /// How a connection is.
    Status(Box<ConnectionStatus>),
    /// What a server says of a queue.
    QueueInfo(Box<QueueStatus>),
    /// What was done at servers.
    Statistics(Box<AgentStatistics>),
    /// What is registered under a name.
    Name(Box<NameRecord>),
    /// The answers to several calls, in their order.
    Many(Vec<Result<Self, AgentError>>),
}

/// Whether post-quantum encryption is wanted of an invitation, and where its first key is. `InitialKeys`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitialKeys {
    /// It is not.
    Off,
    /// It is, but the link has no key for it, and stays short: whoever joins sends the first one. What he sends until he hears of us
    /// is not encrypted like this. `IKLinkPQ PQSupportOn`.
    Later,
    /// It is, and the link has a key, which makes it about 1.6 KB longer: everything is encrypted like this. `IKUsePQ`.
    InLink,
}

/// Not at all, or from the beginning.
impl From<bool> for InitialKeys {
    fn from(pq: bool) -> Self {
        if pq { Self::InLink } else { Self::Off }
    }
}

impl Call {
    /// The connection that the call is about, if there is one already.
    pub(super) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Invite { .. }
            | Self::CreateAddress { .. }
            | Self::CreateWithLink { .. }
            | Self::PrepareLink { .. }
            | Self::Many(_)
            | Self::CreateUser { .. }
            | Self::SetServers { .. }
            | Self::DeleteUser { .. }
            | Self::Users
            | Self::Connections(_)
            | Self::Statistics
            | Self::ResetStatistics
            | Self::Resolve { .. }
            | Self::Reconnect(_)
            | Self::SetUserService { .. }
            | Self::ResubscribeService(_)
            | Self::Network { .. }
            | Self::Suspend { .. }
            | Self::Resume => None,
            Self::Durable { call, .. } | Self::With(_, call) => call.connection(),
            Self::CreateForLink { prepared, .. } => Some(prepared.connection()),
            Self::Status(connection) | Self::QueueInfo(connection) => Some(*connection),
            Self::Join { connection, .. }
            | Self::Rejoin(connection)
            | Self::TellAgain(connection)
            | Self::ChangeUser { connection, .. }
            | Self::Accept { connection, .. }
            | Self::SetLink(connection, _)
            | Self::SetLinkSigned(connection, ..)
            | Self::LinkRoot(connection)
            | Self::DeleteLink(connection)
            | Self::OpenLink { connection, .. }
            | Self::Reject(connection, _)
            | Self::Requests(connection)
            | Self::Allow { connection, .. }
            | Self::Send { connection, .. }
            | Self::SendWithPq { connection, .. }
            | Self::Switch(connection)
            | Self::SwitchFrom(connection, _)
            | Self::AbortSwitch(connection)
            | Self::Describe(connection)
            | Self::Synchronize { connection, .. }
            | Self::Acknowledge(connection, _)
            | Self::Delete { connection, .. }
            | Self::AcknowledgeWithReceipt { connection, .. }
            | Self::Fetch(connection)
            | Self::SuspendQueues(connection)
            | Self::Resubscribe(connection) => Some(*connection),
        }
    }

    /// Whether it is about sessions, and not about a connection.
    pub(super) const fn is_of_sessions(&self) -> bool {
        matches!(self, Self::Reconnect(_) | Self::Network { .. } | Self::Suspend { .. } | Self::Resume)
    }
}

/// The name alone.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invitation(..) => "Invitation",
            Self::Linked(..) => "Linked",
            Self::Prepared(_) => "Prepared",
            Self::LinkRoot(_) => "LinkRoot",
            Self::Link(_) => "Link",
            Self::Opened(_) => "Opened",
            Self::Joined { .. } => "Joined",
            Self::Requests(_) => "Requests",
            Self::Accepted(_) => "Accepted",
            Self::Description(_) => "Description",
            Self::Done => "Done",
            Self::Fetched(_) => "Fetched",
            Self::User(_) => "User",
            Self::Users(_) => "Users",
            Self::Connections(_) => "Connections",
            Self::Status(_) => "Status",
            Self::QueueInfo(_) => "QueueInfo",
            Self::Statistics(_) => "Statistics",
            Self::Name(_) => "Name",
            Self::Many(_) => "Many",
        })
    }
}
