//! Operations and reads.

use super::{
    Agreement, Confirmation, Connection, ConnectionState, Delivery, Incoming, Invitation, Outgoing,
    QueueNumber, ReceiveQueue, SendQueue, ServerNotice, Statistics, Task, User, UserService,
};
use crate::agent::{ConfirmationId, ConnectionId, InvitationId, LocalMessageId, UserId};
use crate::crypto::AuthPrivateKey;
use crate::crypto::ratchet::{SkippedChanges, SkippedKeys};
use crate::time::UnixTime;
use crate::wire::{EntityId, ServerAddress};

/// Names a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BatchId(pub u64);

/// Names a read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadId(pub u64);

/// One transaction.
pub struct Batch {
    /// Repeated in the reply.
    pub id: BatchId,
    /// Carried out in this order, all or none.
    pub ops: Vec<AgentOp>,
}

/// A change of what is kept. What is put takes the place of what has the same name. To delete what is not there does
/// nothing.
///
/// These are refused, and with them the whole batch, because they would mean that the agent is wrong about what is
/// kept:
///
/// * all else that names a connection which is not there: it must be put before what belongs to it;
/// * a connection or a service of a user who is not there, or to delete a user who has connections;
/// * a delivery of a message or through a queue that is not there;
/// * an order that names a queue which is not there, or one twice.
#[derive(Clone)]
pub enum AgentOp {
    /// Keeps a user. Its number is remembered as the last one, if none was higher: see [`AgentQuery::LastUser`].
    PutUser(User),
    /// Forgets a user, who has no connections.
    DeleteUser(UserId),
    /// Keeps the plain values of a connection, which is new if its id is.
    PutConnection(ConnectionId, Box<ConnectionState>),
    /// Forgets a connection with everything that belongs to it.
    DeleteConnection(ConnectionId),
    /// Keeps the keys or the ratchet of a connection.
    PutAgreement(ConnectionId, Agreement),
    /// Changes the keys of skipped messages.
    ChangeSkipped(ConnectionId, SkippedChanges),
    /// Forgets the keys of skipped messages: there is another ratchet.
    ClearSkipped(ConnectionId),
    /// Keeps a receive queue, in the place that it has; a new one behind the others.
    PutReceiveQueue(ConnectionId, Box<ReceiveQueue>),
    /// Forgets a receive queue.
    DeleteReceiveQueue(ConnectionId, QueueNumber),
    /// Keeps a send queue, in the place that it has; a new one behind the others.
    PutSendQueue(ConnectionId, Box<SendQueue>),
    /// Forgets a send queue, with its deliveries.
    DeleteSendQueue(ConnectionId, QueueNumber),
    /// The order of the queues of a connection, receive and send queues. Those that it does not name are behind, by
    /// number.
    OrderQueues(ConnectionId, Vec<QueueNumber>, Vec<QueueNumber>),
    /// Keeps what a connection has to do, in place of what was kept.
    PutTasks(ConnectionId, Vec<Task>),
    /// Keeps a confirmation.
    PutConfirmation(Box<Confirmation>),
    /// Forgets all confirmations of a connection.
    DeleteConfirmations(ConnectionId),
    /// Keeps an invitation.
    PutInvitation(Box<Invitation>),
    /// Forgets an invitation.
    DeleteInvitation(InvitationId),
    /// Keeps a message that came.
    PutIncoming(Box<Incoming>),
    /// Keeps a message that goes out. Its deliveries stay.
    PutOutgoing(Box<Outgoing>),
    /// A message has to go through a queue.
    PutDelivery(Delivery),
    /// What has to go through the first queue has to go through the second one instead.
    MoveDeliveries(ConnectionId, QueueNumber, QueueNumber),
    /// It need not, any more.
    DeleteDelivery(Delivery),
    /// Keeps what makes the sessions of a user, who is there, with a server those of a service.
    PutService(Box<UserService>),
    /// Forgets it. Its queues are not touched.
    DeleteService(UserId, ServerAddress),
    /// Notes of receive queues whether their server counts them among those of the user's service; of a new one it does not.
    /// Queues that are not there are left out. To keep a queue does not change it.
    SetAssociated(Vec<(ConnectionId, QueueNumber)>, bool),
    /// Remembers that something with this SHA-256 came at this time: a message of the ratchet as it was encrypted, or both keys
    /// for a new ratchet. What is remembered already stays as it is.
    PutSeen(ConnectionId, [u8; 32], UnixTime),
    /// Keeps a notice, which has the name of its server and queue.
    PutNotice(Box<ServerNotice>),
    /// Forgets the notice of a server about a queue.
    DeleteNotice(Box<ServerAddress>, EntityId),
    /// Forgets what was seen, and messages that came, or went out, before this time, unless the app has to acknowledge them or a
    /// delivery is left.
    ForgetMessagesBefore(UnixTime),
    /// Keeps the statistics, in place of what was kept. Users who are not there may be among them.
    PutStatistics(Box<Statistics>),
}

/// Something to be read.
#[derive(Clone, Debug)]
pub enum AgentQuery {
    /// All users, by id. [`Found::Users`].
    Users,
    /// The highest number that a user ever had, 0 if it would be lower. [`Found::LastUser`].
    LastUser,
    /// All receive queues that are not [`QueueStage::Disabled`](super::QueueStage::Disabled), of connections that are
    /// not deleted, by connection and number. [`Found::Queues`].
    Queues,
    /// What makes sessions those of services, by user and the bytes of the server's address. [`Found::Services`].
    Services,
    /// All notices, by server, as it is on the wire, and queue. [`Found::Notices`].
    Notices,
    /// All connections with tasks, deliveries, confirmations, or deleted, by id. [`Found::Connections`].
    Unfinished,
    /// The plain values of all connections, by id. [`Found::States`].
    Connections,
    /// A connection. [`Found::Connection`].
    Connection(ConnectionId),
    /// The keys of its skipped messages. [`Found::Skipped`].
    Skipped(ConnectionId),
    /// A confirmation. [`Found::Confirmation`].
    Confirmation(ConfirmationId),
    /// An invitation. [`Found::Invitation`].
    Invitation(InvitationId),
    /// All invitations that were sent to an address, by time and id. [`Found::Invitations`].
    Invitations(ConnectionId),
    /// Their ids alone. [`Found::InvitationIds`].
    InvitationIds(ConnectionId),
    /// A message that came. [`Found::Incoming`].
    Incoming(ConnectionId, LocalMessageId),
    /// What of a connection waits for the app: confirmations, by id, and messages that the app did not acknowledge, by number.
    /// [`Found::Waiting`].
    Waiting(ConnectionId),
    /// The message that is to go through a queue next: the one with the lowest number. [`Found::Outgoing`].
    NextDelivery(ConnectionId, QueueNumber),
    /// Whether something with this SHA-256 came before: [`AgentOp::PutSeen`]. [`Found::Seen`].
    Seen(ConnectionId, [u8; 32]),
    /// The last message that went out with this number of the sender's. [`Found::Outgoing`].
    Sent(ConnectionId, i64),
    /// The same for each of several numbers, in their order; nothing for one of which there is none. [`Found::SentAll`].
    SentAll(ConnectionId, Vec<i64>),
    /// The statistics. [`Found::Statistics`].
    Statistics,
}

/// What was read.
#[derive(Clone)]
pub enum Found {
    /// Users.
    Users(Vec<User>),
    /// The number of a user, who may be gone.
    LastUser(UserId),
    /// Receive queues.
    Queues(Vec<WaitingQueue>),
    /// What makes sessions those of services.
    Services(Vec<UserService>),
    /// Notices of servers.
    Notices(Vec<ServerNotice>),
    /// Connections.
    Connections(Vec<ConnectionId>),
    /// The plain values of connections.
    States(Vec<(ConnectionId, ConnectionState)>),
    /// A connection, if there is one.
    Connection(Option<Box<Connection>>),
    /// Keys.
    Skipped(SkippedKeys),
    /// A confirmation, if there is one.
    Confirmation(Option<Box<Confirmation>>),
    /// An invitation, if there is one.
    Invitation(Option<Box<Invitation>>),
    /// Invitations.
    Invitations(Vec<Invitation>),
    /// Ids of invitations, in order.
    InvitationIds(Vec<InvitationId>),
    /// A message that came, if there is one.
    Incoming(Option<Box<Incoming>>),
    /// What waits for the app.
    Waiting {
        /// Who used an invitation.
        confirmations: Vec<Confirmation>,
        /// What came.
        messages: Vec<Incoming>,
    },
    /// A message that goes out, if there is one.
    Outgoing(Option<Box<Outgoing>>),
    /// Whether it came.
    Seen(bool),
    /// Messages that went out.
    SentAll(Vec<Outgoing>),
    /// Statistics, if any were kept.
    Statistics(Option<Box<Statistics>>),
}

/// What an agent holds in memory of a receive queue while nothing happens in it.
#[derive(Clone)]
pub struct WaitingQueue {
    /// Its connection.
    pub connection: ConnectionId,
    /// The connection's user.
    pub user: UserId,
    /// Its name in the connection.
    pub number: QueueNumber,
    /// The server that holds it.
    pub server: ServerAddress,
    /// Its id for us.
    pub recipient_id: EntityId,
    /// Authorises the subscription.
    pub key: AuthPrivateKey,
    /// The server counts it among those of the user's service: [`AgentOp::SetAssociated`].
    pub is_associated: bool,
}
