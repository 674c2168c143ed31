//! What is going to happen.

use smp_core::agent::{AgentInput, LinkId};
use smp_core::server::proxy::{ProxyReply, ProxyRequest, RelayId};
use smp_core::server::store::{Found, QueueKey, StoreFailure};
use smp_core::server::{BrokerReply, BrokerRequest, ConnectionId, LookUpId};

use super::relays::News;
use super::site::Released;

/// What is going to happen, in order.
pub(super) type Schedule = super::super::schedule::Schedule<Event, Lane>;

/// Something that is going to happen.
pub(super) enum Event {
    /// The app of this person does something.
    Act(usize),
    ToServer(ConnectionId, Vec<u8>),
    ToClient(ConnectionId, Vec<u8>),
    /// The server's socket took this many bytes.
    Taken(ConnectionId, usize),
    /// An end learns that the connection ended.
    ServerEof(ConnectionId),
    ClientEof(ConnectionId),
    StartServer(usize),
    StartAgent(usize),
    /// Something within a server, unless there is another one by then.
    Server(usize, u64, InServer),
    /// Something within a person's process, unless there is another one by then.
    Person(usize, u64, InPerson),
}

/// Something between a broker, its sessions and its store.
pub(super) enum InServer {
    ToBroker(ConnectionId, BrokerRequest),
    FromBroker(ConnectionId, BrokerReply),
    Disconnected(ConnectionId),
    /// The store carries out a batch.
    Apply,
    StoreDone(Released),
    LookedUp(ConnectionId, LookUpId, LookUp),
    ToProxy(ConnectionId, ProxyRequest),
    FromProxy(ConnectionId, ProxyReply),
    /// A link tells the proxy of its relay.
    Relay(RelayId, News),
    /// The socket of a link took this many bytes.
    RelaySent(RelayId, usize),
}

/// A look-up of a server that is under way.
pub(super) enum LookUp {
    Later(Vec<QueueKey>),
    Failed(StoreFailure),
}

impl LookUp {
    /// The result, when it is told.
    pub(super) fn found(
        self,
        look_up: impl FnOnce(&[QueueKey]) -> Vec<Found>,
    ) -> Result<Vec<Found>, StoreFailure> {
        match self {
            Self::Later(keys) => Ok(look_up(&keys)),
            Self::Failed(failure) => Err(failure),
        }
    }
}

/// Something between an agent, its store and its clients.
pub(super) enum InPerson {
    /// The store carries out what waits longest.
    Keep,
    Agent(AgentInput),
    /// A client tells something, unless its link has another one by then.
    Link(LinkId, ConnectionId, AgentInput),
    /// The socket of a client took this many bytes.
    Taken(LinkId, ConnectionId, usize),
}

/// A way on which nothing overtakes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    ToServer(ConnectionId),
    ToClient(ConnectionId),
    Taken(ConnectionId),
    TakenByClient(ConnectionId),
    ToBroker(ConnectionId),
    FromBroker(ConnectionId),
    FromLink(ConnectionId),
    Store(usize),
    Keep(usize),
    Kept(usize),
    ToProxy(ConnectionId),
    FromProxy(ConnectionId),
}

impl Event {
    /// Whether it is what apps do of themselves.
    pub(super) const fn is_of_itself(&self) -> bool {
        matches!(self, Self::Act(_))
    }
}
