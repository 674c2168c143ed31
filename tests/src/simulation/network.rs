//! Connections: bytes on their way, cuts, silence, slow readers.

use std::collections::VecDeque;

use smp_core::Timestamp;
use smp_core::server::proxy::{ProxyReply, ProxyRequest, RelayId};
use smp_core::server::store::{Found, QueueKey, StoreFailure};
use smp_core::server::{
    BrokerReply, BrokerRequest, ConnectionId, LookUpId, Moderation, ModerationId, ResolveId,
};
use smp_core::wire::names::Name;

use super::client::Mark;
use super::relays::News;
use super::store::Released;

/// What is going to happen, in order.
pub(super) type Schedule = super::schedule::Schedule<Event, Lane>;

/// Something that is going to happen.
pub(super) enum Event {
    /// A client does something.
    Act(usize),
    ToServer(ConnectionId, Vec<u8>),
    ToClient(ConnectionId, Vec<u8>, Mark),
    /// The server's socket took this many bytes.
    Taken(ConnectionId, usize),
    /// The server learns that the connection ended.
    ServerEof(ConnectionId),
    /// The client learns that the connection ended.
    ClientEof(ConnectionId),
    /// Something within a site, unless the server there is another one by then.
    Inside(Life, Inside),
    /// The server of this site starts.
    Restart(usize),
}

/// A server from its start to its end: which site's, and the how manieth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) site: usize,
    pub(super) number: u64,
}

/// Something between a server, its sessions and its store.
pub(super) enum Inside {
    ToBroker(ConnectionId, BrokerRequest),
    FromBroker(ConnectionId, BrokerReply),
    Disconnected(ConnectionId),
    /// The store carries out a batch.
    Apply,
    StoreDone(Released),
    /// The store looks up, if that was not done when it was asked.
    LookedUp(ConnectionId, LookUpId, LookUp),
    Moderate(ModerationId, Moderation),
    ToProxy(ConnectionId, ProxyRequest),
    FromProxy(ConnectionId, ProxyReply),
    /// A link tells the proxy of its relay.
    Relay(RelayId, News),
    /// The socket of a link took this many bytes.
    RelaySent(RelayId, usize),
    /// The resolver is done.
    Resolved(ConnectionId, ResolveId, Name),
    /// A task of the shell is polled.
    Step,
    /// The store takes batches again.
    StoreReady,
}

/// A look-up that is under way.
pub(super) enum LookUp {
    Later(Vec<QueueKey>),
    Done(Result<Vec<Found>, StoreFailure>),
}

/// A way on which nothing overtakes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    ToServer(ConnectionId),
    ToClient(ConnectionId),
    Taken(ConnectionId),
    ToBroker(ConnectionId),
    FromBroker(ConnectionId),
    Store(usize),
    ToProxy(ConnectionId),
    FromProxy(ConnectionId),
    /// What a link tells of its beginning and its end.
    FromRelay(ConnectionId),
    RelaySent(ConnectionId),
}

/// Who is at the client's end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Peer(usize),
    /// A server, as a proxy.
    Relay(Life, RelayId),
}

impl Default for End {
    fn default() -> Self {
        Self::Peer(0)
    }
}

/// A connection.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) client: End,
    /// Where the server is.
    pub(super) site: usize,
    /// Nothing passes any more; whether anybody learns of it is another matter.
    pub(super) is_dead: bool,
    /// What the server does not want to read yet.
    pub(super) inbox: VecDeque<Vec<u8>>,
    pub(super) eof: bool,
    /// The client reads nothing before this time.
    pub(super) stalled_until: Timestamp,
}

impl Event {
    /// Whether it is what clients do of themselves.
    pub(super) const fn is_of_itself(&self) -> bool {
        matches!(self, Self::Act(_))
    }
}
