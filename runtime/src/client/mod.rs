//! Using SMP servers: a task for each connection, handles for its commands, and one stream of its events.
//!
//! ```text
//!   Client ── commands ─▶ Shared ─▶ Driver (task)  ◀─ bytes ─▶ socket
//!   Events ◀── events ──  Shared ◀─ machine, Link
//! ```
//!
//! | | bound |
//! |---|---|
//! | commands of a connection | [`ClientLimits`]`::commands`; further ones are rejected |
//! | bytes of commands that wait | [`ClientLimits`]`::waiting_bytes`; further commands are rejected |
//! | bytes that the socket has not taken | [`ClientLimits`]`::output_bytes` |
//! | events that wait for the caller | [`EventLimits`]; then the connection is not read |
//! | the time of an answer | [`ClientLimits`]`::answer` |
//! | connecting to a host | [`ConnectLimits::tcp`] and the time of the handshakes |
//! | closing | [`ConnectLimits::closing`] |
//! | attempts to reconnect | one at a time, [`ReconnectLimits`] apart |
//!
//! [`ClientLimits`]: smp_core::client::ClientLimits

mod broker_error;
mod connector;
mod dial;
mod driver;
mod events;
mod handle;
mod reconnect;
mod server_test;
mod shared;
#[cfg(test)]
mod tests;

pub(crate) use connector::Connected;
pub use connector::{ConnectError, ConnectLimits, Connector};
pub use dial::HostMode;
pub use events::Events;
pub(crate) use handle::BATCH;
pub use handle::{Client, PendingAnswer, RelayClient};
pub use reconnect::{ReconnectEvent, ReconnectLimits, Reconnecting, ReconnectingClient};
pub use server_test::ServerTestFailure;
pub use shared::EventLimits;

use std::io;

use smp_core::client::CloseReason;

/// How a connection ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// One of the two sides ended it.
    #[error(transparent)]
    Closed(CloseReason),
    /// The socket failed.
    #[error("socket: {0}")]
    Io(io::ErrorKind),
    /// The task of the connection is gone: the runtime shut down, or there is a defect.
    #[error("the connection's task is gone")]
    Cut,
}
