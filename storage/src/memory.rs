//! The reference executor of the vocabulary as a [`Backend`].

use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smp_core::server::store::{BatchReply, MemoryStore, QueueKey, QueueOp, StoreFailure};

use crate::{Backend, LookUpReply};

/// Queues and messages in memory, gone when it is dropped.
///
/// Every operation is carried out at the call; the futures are ready at once.
///
/// ```
/// use smp_core::server::store::QueueKey;
/// use smp_core::wire::EntityId;
/// use smp_storage::{Backend, Memory};
///
/// # pollster::block_on(async {
/// let found = Memory::new().look_up(vec![QueueKey::Sender(EntityId::from([7; 24]))]).await;
/// assert!(matches!(found.as_deref(), Ok([Ok(None)])), "nobody has such a queue");
/// # });
/// ```
#[derive(Default)]
pub struct Memory {
    /// `None` once it is closed.
    store: Mutex<Option<MemoryStore>>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { store: Mutex::new(Some(MemoryStore::new())) }
    }

    fn store(&self) -> MutexGuard<'_, Option<MemoryStore>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Memory {
    fn run(&self, ops: Vec<QueueOp>) -> impl Future<Output = BatchReply> + Send + use<> {
        ready(self.store().as_mut().map(|store| store.run(ops)).ok_or(StoreFailure))
    }

    fn look_up(&self, keys: Vec<QueueKey>) -> impl Future<Output = LookUpReply> + Send + use<> {
        let store = self.store();
        let found = store.as_ref().map(|store| keys.iter().map(|key| Ok(store.look_up(key))).collect());
        ready(found.ok_or(StoreFailure))
    }

    fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        ready(())
    }

    fn sync(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<> {
        ready(self.store().as_ref().map(|_| ()).ok_or(StoreFailure))
    }

    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<> {
        *self.store() = None;
        ready(Ok(()))
    }
}
