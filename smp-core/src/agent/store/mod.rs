//! What an agent keeps, and what it asks of its store.
//!
//! One agent owns its store: nobody else writes there, so the agent is the authority on what it keeps, and the store
//! only keeps it. The agent hands over a [`Batch`] for each step; whoever carries batches out keeps three promises:
//!
//! 1. **Order.** Batches take effect in the order in which they were handed over; a read sees all batches before it.
//! 2. **Atomicity.** A batch takes effect whole or not at all, also when the process dies.
//! 3. **Honesty.** A reply is given when the batch is durable; [`StoreFailure`] when it had no effect.
//!
//! What a batch makes possible, such as a message that goes out or an event for the app, happens after its reply. So
//! after a crash the records tell where to go on.

mod connection;
mod memory;
mod message;
mod notice;
mod op;
mod queue;
mod service;
mod statistics;
mod task;

pub use connection::{
    Agreement, Confirmation, Connection, ConnectionState, Counters, Invitation, LinkCredentials, Progress,
    SyncState, User,
};
pub use memory::MemoryAgentStore;
pub use message::{Delivery, Incoming, Outgoing, OutgoingContent, ReceiptState};
pub use notice::ServerNotice;
pub use op::{AgentOp, AgentQuery, Batch, BatchId, Found, ReadId, WaitingQueue};
pub use queue::{QueueNumber, QueueStage, ReceiveQueue, ReceiveSwitch, SendQueue, SendSwitch};
pub use service::UserService;
pub use statistics::{ServerCounters, Statistics};
pub use task::{Origin, Task, TaskKind};

use crate::wire::agent::AgentError;

/// The store could not carry out a batch or a read. The cause is logged where it happened.
///
/// After a batch that was refused, see [`AgentOp`], the store goes on without it. When the disk failed, a durable
/// store refuses everything from then on: the last batch may be there whole when it is opened again, or not at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store of the agent failed")]
pub struct StoreFailure;

/// What a call is told that could not be carried out for it.
impl From<StoreFailure> for AgentError {
    fn from(failure: StoreFailure) -> Self {
        Self::Internal(failure.to_string())
    }
}
