//! Look-ups: a few keys are read at the call, many by threads of their own.

use std::sync::Arc;
use std::thread::JoinHandle;

use futures_channel::oneshot::Sender;
use smp_core::server::store::{QueueKey, StoreFailure};

use super::Shared;
use super::engine::EngineError;
use super::queue::Taken;
use crate::LookUpReply;

/// Keys to find, and whom to tell.
pub(super) struct LookUp {
    pub(super) keys: Vec<QueueKey>,
    pub(super) reply: Sender<LookUpReply>,
}

impl LookUp {
    /// Finds the keys and replies.
    pub(super) fn answer(self, shared: &Shared) {
        let found = look_up(shared, &self.keys);
        // Whoever asked may have gone.
        let _ = self.reply.send(found);
    }
}

/// A look-up of at most this many keys is made by its caller. From memory a key takes about 5 microseconds,
/// less than it takes to wake a thread; from a disk these keep an executor for less than a write of one block
/// would.
pub(super) const INLINE_KEYS: usize = 4;
/// How many threads look up.
pub(super) const THREADS: usize = 2;
/// How many keys may wait for them. The look-ups after those are made by their callers, which slows these
/// down.
pub(super) const QUEUED_KEYS: usize = 1 << 16;

/// Starts a reader.
pub(super) fn spawn(shared: &Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("store-reader".into()).spawn(move || {
        while let Taken::Items(look_ups) = shared.look_ups.take(1, None) {
            look_ups.into_iter().for_each(|look_up| look_up.answer(&shared));
        }
    })
}

fn look_up(shared: &Shared, keys: &[QueueKey]) -> LookUpReply {
    let engine = shared.engine();
    let engine = engine.as_ref().ok_or(StoreFailure)?;
    shared.check()?;
    let look_up = |key| match engine.look_up(key) {
        Ok(found) => Ok(Ok(found)),
        Err(EngineError::Corrupt(keyspace)) => {
            shared.report_damage(keyspace);
            Ok(Err(StoreFailure))
        }
        Err(EngineError::Database(error)) => {
            shared.report(&error);
            Err(StoreFailure)
        }
    };
    keys.iter().map(look_up).collect()
}
