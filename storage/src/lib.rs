//! Stores for SMP servers, and in [`agent`] for agents. Those for servers carry out the vocabulary of
//! [`smp_core::server::store`] and keep its four promises.
//!
//! | store | for | keeps over a restart |
//! |---|---|---|
//! | [`Memory`] | tests, throw-away relays | nothing |
//! | [`Embedded`] | one machine, up to tens of millions of queues | everything, in one folder |
//! | [`Faulty`] | tests: another store with scripted failures | what the other store keeps |
//!
//! This crate never tells that something is done before it is as durable as its caller asked for, decides nothing about who may do what,
//! and opens no connection. Nothing here depends on an async runtime: replies are plain futures that any executor can poll, and the
//! embedded store works on threads of its own. All stores of servers are a [`Backend`].
//!
//! ```
//! use smp_core::server::store::{OpResult, QueueOp};
//! use smp_storage::{Backend, Memory};
//!
//! # pollster::block_on(async {
//! let store = Memory::new();
//! let reply = store.run(vec![QueueOp::Count]).await;
//! assert!(matches!(reply.as_deref(), Ok([OpResult::Counts(counts)]) if counts.queues == 0));
//! # });
//! ```

pub mod agent;
mod embedded;
mod faulty;
mod memory;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use embedded::{Durability, Embedded, EmbeddedOptions, OpenError};
pub use faulty::{Call, CallKind, Fault, Faulty};
pub use memory::Memory;

use std::sync::Arc;

use smp_core::server::store::{BatchReply, Found, QueueKey, QueueOp, StoreFailure};

/// What a [`Backend`] answers to a look-up: what it found for each key, in order, or a failure of them all.
pub type LookUpReply = Result<Vec<Found>, StoreFailure>;

/// Carries out the vocabulary of [`smp_core::server::store`].
///
/// The futures own what they need, so a shell may spawn them. Dropping a future loses the reply and nothing
/// else: the work is done all the same.
pub trait Backend: Send + Sync {
    /// Carries out the operations of a batch.
    ///
    /// The batch takes its place in the order at the call, not when the future is first polled. The future
    /// completes when everything the batch wrote or could have seen is durable under the store's policy.
    ///
    /// # Errors
    /// The future gives [`StoreFailure`] when that could not be done. Then none, some or all of the
    /// operations may be found done after a restart, but each of them whole.
    fn run(&self, ops: Vec<QueueOp>) -> impl Future<Output = BatchReply> + Send + use<Self>;

    /// Finds queues. Fast: sees every operation that has taken effect and does not wait until they are
    /// durable.
    ///
    /// # Errors
    /// The future gives [`StoreFailure`] when the store failed, now or before.
    fn look_up(&self, keys: Vec<QueueKey>) -> impl Future<Output = LookUpReply> + Send + use<Self>;

    /// Completes when the store can take more batches without holding many: the back-pressure of a shell.
    ///
    /// [`run`](Self::run) never blocks and never waits, so a store that falls behind has to refuse a batch
    /// some time. A shell that awaits this before each batch slows down instead. A store that failed is
    /// always ready.
    fn ready(&self) -> impl Future<Output = ()> + Send + use<Self>;

    /// Puts what was handed over before on the disk, whatever the store's policy; a store in memory has nothing to do.
    ///
    /// # Errors
    /// The future gives [`StoreFailure`] when that could not be done.
    fn sync(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<Self>;

    /// Carries out what was handed over before, makes it durable and lets go of all files and locks. What is
    /// handed over later fails.
    ///
    /// # Errors
    /// The future gives [`StoreFailure`] when something could not be made durable. Files and locks are let go
    /// of nevertheless.
    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<Self>;
}

impl<B: Backend + 'static> Backend for Arc<B> {
    fn run(&self, ops: Vec<QueueOp>) -> impl Future<Output = BatchReply> + Send + use<B> {
        B::run(self, ops)
    }

    fn look_up(&self, keys: Vec<QueueKey>) -> impl Future<Output = LookUpReply> + Send + use<B> {
        B::look_up(self, keys)
    }

    fn ready(&self) -> impl Future<Output = ()> + Send + use<B> {
        B::ready(self)
    }

    fn sync(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<B> {
        B::sync(self)
    }

    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<B> {
        B::close(self)
    }
}
