//! The store: the reference store behind delays and faults, with a log that says what a crash may lose.
//!
//! Operations take effect in the order of their batches. They are durable when a reply of their batch or a later one is
//! given; a crash keeps those, and any number of those after them, from the front.

use std::collections::VecDeque;

use smp_core::server::store::{
    Batch, BatchId, BatchReply, Found, MemoryStore, OpResult, QueueKey, QueueOp, StoreFailure,
};

use super::model::{Asked, Model, Place};

/// What becomes of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// It has no effect.
    Fails,
    /// One of its operations has no effect.
    FailsAt(usize),
    /// It has its effect, and is said to have failed.
    LosesReply,
}

/// The reply to a batch, and how much of the log is durable when it is given.
pub(super) struct Released {
    pub(super) id: BatchId,
    pub(super) reply: BatchReply,
    pub(super) durable: Place,
}

/// A store of one server.
#[derive(Default)]
pub(super) struct SimStore {
    live: MemoryStore,
    pub(super) model: Model,
    log: Vec<QueueOp>,
    /// How much of the log no crash can take back.
    pub(super) durable: Place,
    handed: VecDeque<(Batch, Fate)>,
}

impl SimStore {
    /// Takes a batch over. [`Self::apply`] carries it out, once for each.
    pub(super) fn hand(&mut self, batch: Batch, fate: Fate) {
        self.handed.push_back((batch, fate));
    }

    /// Carries out the oldest batch.
    pub(super) fn apply(&mut self, asked: &Asked) -> Result<Option<Released>, String> {
        let Some((batch, fate)) = self.handed.pop_front() else { return Ok(None) };
        let mut reply = Err(StoreFailure);
        let mut durable = 0;
        if fate != Fate::Fails {
            let results = self.carry_out(batch.ops, fate, asked)?;
            if fate != Fate::LosesReply {
                reply = Ok(results);
                durable = self.log.len();
            }
        }
        Ok(Some(Released { id: batch.id, reply, durable }))
    }

    /// A reply is given to the server.
    pub(super) fn release(&mut self, durable: Place) {
        self.durable = self.durable.max(durable);
    }

    pub(super) fn look_up(&self, keys: &[QueueKey]) -> Vec<Found> {
        keys.iter().map(|key| Ok(self.live.look_up(key))).collect()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.handed.is_empty()
    }

    /// How many operations have taken effect and may be lost.
    pub(super) fn losable(&self) -> usize {
        self.log.len() - self.durable
    }

    /// The process dies. Of the operations that may be lost this many survive.
    pub(super) fn crash(&mut self, survive: usize, asked: &Asked) -> Result<(), String> {
        let mut log = std::mem::take(&mut self.log);
        log.truncate(self.durable + survive);
        *self = Self { durable: log.len(), ..Self::default() };
        self.carry_out(log, Fate::Done, asked).map(|_| ())
    }

    fn carry_out(&mut self, ops: Vec<QueueOp>, fate: Fate, asked: &Asked) -> Result<Vec<OpResult>, String> {
        let mut results = Vec::with_capacity(ops.len());
        for (index, op) in ops.into_iter().enumerate() {
            if fate == Fate::FailsAt(index) {
                results.push(OpResult::Failed);
                continue;
            }
            let result = self.live.run(vec![op.clone()]).remove(0);
            self.model.apply(self.log.len(), &op, &result, asked)?;
            if fate == Fate::LosesReply {
                self.model.reply_lost(&op);
            }
            self.log.push(op);
            results.push(result);
        }
        Ok(results)
    }
}
