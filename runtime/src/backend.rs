//! Placeholder of the trait in `smp-storage` until that lands.
#![allow(missing_docs)]
use smp_core::server::store::{Batch, BatchReply, QueueKey, QueueRecord, StoreFailure};
use std::future::Future;

pub trait Backend: Send + Sync + 'static {
    fn run(&self, batch: Batch) -> impl Future<Output = BatchReply> + Send + 'static;
    fn look_up(
        &self,
        keys: Vec<QueueKey>,
    ) -> impl Future<Output = Result<Vec<Option<QueueRecord>>, StoreFailure>> + Send + 'static;
    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send;
}
