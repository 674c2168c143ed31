//! Stores for agents: they carry out the vocabulary of [`smp_core::agent::store`] and keep its promises.
//!
//! | store | for | keeps over a restart |
//! |---|---|---|
//! | [`MemoryAgentStore`] | tests, agents that live as long as their process | nothing |
//! | [`SqliteAgentStore`] | all others (feature `sqlite`, which is on by default) | everything, in one file |
//!
//! ```
//! use smp_core::agent::UserId;
//! use smp_core::agent::store::{AgentOp, AgentQuery, Found, User};
//! use smp_storage::agent::{AgentStore, MemoryAgentStore};
//!
//! let mut store = MemoryAgentStore::new();
//! let user = User { id: UserId(1), is_deleted: false };
//! AgentStore::run(&mut store, vec![AgentOp::PutUser(user)])?;
//! let found = AgentStore::read(&mut store, &AgentQuery::Users)?;
//! assert!(matches!(found, Found::Users(users) if users.len() == 1));
//! # Ok::<(), smp_core::agent::store::StoreFailure>(())
//! ```

#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
pub use sqlite::{AgentOpenError, DatabaseKey, SqliteAgentStore, SqliteOptions};

pub use smp_core::agent::store::MemoryAgentStore;
use smp_core::agent::store::{AgentOp, AgentQuery, Found, StoreFailure};

/// Carries out the vocabulary of [`smp_core::agent::store`].
///
/// Calls block until they are done, so an asynchronous shell gives the store a thread of its own.
pub trait AgentStore: Send {
    /// Carries out the operations of a batch in order, all or none, and returns when they are durable.
    ///
    /// # Errors
    /// [`StoreFailure`] when one of them is refused (see [`AgentOp`]), or the disk fails. The cause is logged.
    fn run(&mut self, ops: Vec<AgentOp>) -> Result<(), StoreFailure>;

    /// Finds what all batches before have left.
    ///
    /// # Errors
    /// [`StoreFailure`] when the disk fails, or failed before, and when what is there cannot be decoded.
    fn read(&mut self, query: &AgentQuery) -> Result<Found, StoreFailure>;
}

impl AgentStore for MemoryAgentStore {
    fn run(&mut self, ops: Vec<AgentOp>) -> Result<(), StoreFailure> {
        Self::run(self, ops)
    }

    fn read(&mut self, query: &AgentQuery) -> Result<Found, StoreFailure> {
        Ok(Self::read(self, query))
    }
}
