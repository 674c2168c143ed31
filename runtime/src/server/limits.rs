//! What the shell of a server bounds. What the protocol bounds is in `smp_core::server::Limits`.

use std::time::Duration;

/// How many connections a server holds, and how long it waits for them.
///
/// The listening backlog is the runtime's. The number of open files that the system allows must be above
/// `connections`, or accepting pauses before the limit is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ServeLimits {
    /// Connections in all. Further ones are closed when they are accepted. Default: 100,000.
    pub connections: usize,
    /// Connections from one IPv4 address or one IPv6 /64 network. Further ones are closed when they are
    /// accepted.
    ///
    /// Addresses of this machine are not counted: an onion service, a proxy or a load balancer on it brings
    /// all of its clients from one address. Default: 10,000, a tenth of all, because a provider may have
    /// thousands of people behind one address.
    pub connections_per_address: usize,
    /// Bytes that wait to be written to one connection, over which no more is read from it. The session has a
    /// limit of its own above that; this one makes the shell prefer writing. Default: 64 KiB, four blocks.
    pub queued_output: usize,
    /// After the end of a session, how long the last output may take, and how long the peer has to end its
    /// side. Stopping waits for it. Default: 2 seconds.
    pub closing: Duration,
    /// The pause after accepting failed, as it does when no files are left; each failure after another
    /// doubles it. Default: 10 milliseconds.
    pub accept_pause_min: Duration,
    /// The longest such pause. Default: 1 second.
    pub accept_pause_max: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            connections_per_address: 10_000,
            queued_output: 64 * 1024,
            closing: Duration::from_secs(2),
            accept_pause_min: Duration::from_millis(10),
            accept_pause_max: Duration::from_secs(1),
        }
    }
}
