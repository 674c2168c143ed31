//! What an embedder may want to count.

use std::io;
use std::sync::Arc;

use smp_core::server::proxy::ProxyEvent;
use smp_core::server::{CloseReason, ConnectionId, SessionEvent};

/// Something that happened to a server. It names no addresses, queues or keys.
///
/// The callback that receives events runs on the task where they happen, with no lock held. It must return
/// soon.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A connection was accepted. [`ServerEvent::Closed`] will follow.
    Accepted(ConnectionId),
    /// A connection was closed at once, because a limit is reached.
    Refused(Refusal),
    /// Something happened in a session.
    Session(ConnectionId, SessionEvent),
    /// A connection ended.
    Closed(ConnectionId, Disconnect),
    /// Accepting failed and pauses; the server goes on.
    AcceptFailed(io::ErrorKind),
    /// A request to the proxy was answered.
    Proxy(ProxyEvent),
    /// The store could not carry out a batch; the clients that asked were told.
    StoreFailed,
    /// The server ended because of a defect: the broker panicked. See
    /// [`ServerHandle::failed`](super::ServerHandle::failed).
    Failed,
}

/// Why a connection was not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// `Limits::connections` is reached.
    Full,
    /// `Limits::handshakes` is reached.
    Handshakes,
    /// `Limits::connections_per_address` is reached for its address.
    AddressFull,
    /// `Limits::new_connections_per_address` is reached for its address.
    AddressTooFast,
    /// `Limits::http_connections` is reached.
    Web,
    /// The operating system gave no randomness.
    NoEntropy,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Disconnect {
    /// The session ended it.
    Session(CloseReason),
    /// It was one of the web, and is over.
    Web,
    /// A limit was found to be reached when the connection had said what it is.
    Refused(Refusal),
    /// It did not begin with the header of the proxy that all connections of its port come through.
    NoProxyHeader,
    /// The socket failed.
    Io(io::ErrorKind),
    /// The server ended before the session did.
    Cut,
    /// The task of the connection panicked, which is a defect. Others were not touched.
    Panicked,
}

/// The callback that receives events.
pub(crate) type Watcher = Arc<dyn Fn(ServerEvent) + Send + Sync>;
