//! Placeholder of the trait in `smp-storage` until that lands.
#![allow(missing_docs)]
use smp_core::server::store::{BatchReply, QueueKey, QueueOp, QueueRecord, StoreFailure};
use std::future::Future;

pub type LookUpReply = Result<Vec<Option<QueueRecord>>, StoreFailure>;

pub trait Backend: Send + Sync {
    fn run(&self, ops: Vec<QueueOp>) -> impl Future<Output = BatchReply> + Send + use<Self>;
    fn look_up(&self, keys: Vec<QueueKey>) -> impl Future<Output = LookUpReply> + Send + use<Self>;
    fn ready(&self) -> impl Future<Output = ()> + Send + use<Self>;
    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<Self>;
}
