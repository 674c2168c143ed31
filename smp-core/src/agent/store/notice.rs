//! Notices of servers.

use crate::time::UnixTime;
use crate::wire::{EntityId, ServerAddress};

/// A server blocked a queue of ours, and gave notice that it takes no new contact address for some time.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerNotice {
    /// The server.
    pub server: ServerAddress,
    /// Its id of the queue for us.
    pub queue: EntityId,
    /// When it said so first.
    pub created_at: UnixTime,
    /// For how many seconds; none, for good.
    pub ttl: Option<i64>,
}
