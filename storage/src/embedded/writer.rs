//! The thread that writes: it carries out whatever is queued, syncs once for all of it, and then answers.

use std::sync::Arc;
use std::time::Instant;

use fjall::PersistMode;
use futures_channel::oneshot::Sender;
use smp_core::server::store::{BatchReply, OpResult, QueueOp, StoreFailure};

use super::engine::{Engine, EngineError};
use super::executor::Executor;
use super::queue::Taken;
use super::{Durability, Shared};

/// What the writer is asked for.
pub(super) enum Job {
    /// Carry out a batch.
    Run(Vec<QueueOp>, Sender<BatchReply>),
    /// Put everything on the disk.
    Sync(Sender<Result<(), StoreFailure>>),
    /// Make everything durable and end.
    Close(Sender<Result<(), StoreFailure>>),
}

impl Job {
    /// About how much memory it holds.
    pub(super) fn weight(&self) -> usize {
        let Self::Run(ops, _) = self else { return 0 };
        let op_weight = |op: &QueueOp| match op {
            QueueOp::Append(append) => append.body.len(),
            QueueOp::Create { link: Some(data), .. } | QueueOp::SetLink { data, .. } => {
                data.fixed.len() + data.user.len()
            }
            _ => 0,
        };
        ops.iter().map(|op| 256 + op_weight(op)).sum()
    }
}

/// Works until the queue of jobs is closed, then lets go of the database.
pub(super) fn work(shared: &Shared, durability: Durability) {
    // Also when this thread panics nothing may be accepted that will never be answered.
    let _stop = StopOnDrop(shared);
    let mut closing = Vec::new();
    {
        let engine = shared.engine();
        let Some(engine) = engine.as_ref() else { return };
        match Executor::new(engine) {
            Ok(executor) => {
                Writer { shared, engine, executor, durability, unsynced_since: None }.work(&mut closing)
            }
            Err(error) => shared.fail(&error),
        }
    }
    shared.let_go();
    for reply in closing {
        // Whoever closed may not be waiting any more.
        let _ = reply.send(shared.check());
    }
}

/// The size of a group: large enough that a sync is shared by all that a fast disk lets in between, small
/// enough that the first of a group does not wait long.
const GROUP_WEIGHT: usize = 4 << 20;

struct Writer<'a> {
    shared: &'a Shared,
    engine: &'a Engine,
    executor: Executor<'a>,
    durability: Durability,
    /// Since when there is something that is not synced.
    unsynced_since: Option<Instant>,
}

impl Writer<'_> {
    fn work(mut self, closing: &mut Vec<Sender<Result<(), StoreFailure>>>) {
        loop {
            let jobs = match self.shared.jobs.take(GROUP_WEIGHT, self.sync_due()) {
                Taken::Items(jobs) => jobs,
                Taken::Nothing => Vec::new(),
                Taken::Closed => break,
            };
            self.carry_out(jobs, closing);
        }
        if self.shared.check().is_ok() {
            self.persist(PersistMode::SyncAll);
        }
    }

    /// Carries out a group and answers it. Those who close are answered when the files are closed.
    fn carry_out(&mut self, jobs: Vec<Job>, closing: &mut Vec<Sender<Result<(), StoreFailure>>>) {
        let mut replies = Vec::with_capacity(jobs.len());
        let mut syncing = Vec::new();
        for job in jobs {
            match job {
                Job::Run(ops, reply) => replies.push((reply, self.run(ops))),
                Job::Sync(reply) => syncing.push(reply),
                Job::Close(reply) => closing.push(reply),
            }
        }
        self.finish_group(!syncing.is_empty());
        for (reply, result) in replies {
            // One failed sync fails the whole group. A caller may have gone, which is its own affair.
            let _ = reply.send(self.shared.check().and(result));
        }
        for reply in syncing {
            let _ = reply.send(self.shared.check());
        }
    }

    fn run(&mut self, ops: Vec<QueueOp>) -> BatchReply {
        self.shared.check()?;
        ops.into_iter().map(|op| self.run_one(op)).collect()
    }

    fn run_one(&mut self, op: QueueOp) -> Result<OpResult, StoreFailure> {
        let result = self.executor.run(op);
        if let Some(keyspace) = self.executor.take_damage() {
            self.shared.report_damage(keyspace);
        }
        match result {
            Ok(result) => Ok(result),
            // The rest of the store is as good as before.
            Err(EngineError::Corrupt(keyspace)) => {
                self.shared.report_damage(keyspace);
                Ok(OpResult::Failed)
            }
            Err(error @ EngineError::Database(_)) => {
                self.shared.fail(&error);
                Err(StoreFailure)
            }
        }
    }

    /// Makes the group durable as the policy says, or on the disk if somebody asked for that.
    fn finish_group(&mut self, on_disk: bool) {
        if self.executor.take_written() {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        // A group that wrote nothing saw nothing but what earlier groups made durable.
        if self.shared.check().is_err() || self.unsynced_since.is_none() {
            return;
        }
        match self.durability {
            Durability::Always => self.persist(PersistMode::SyncData),
            _ if on_disk => self.persist(PersistMode::SyncData),
            _ if self.sync_due().is_some_and(|due| due <= Instant::now()) => {
                self.persist(PersistMode::SyncData);
            }
            _ => self.persist(PersistMode::Buffer),
        }
    }

    fn persist(&mut self, mode: PersistMode) {
        match self.engine.database.persist(mode) {
            Ok(()) if mode == PersistMode::Buffer => {}
            Ok(()) => self.unsynced_since = None,
            Err(error) => self.shared.fail(&error.into()),
        }
    }

    /// When the next sync must be, without more jobs.
    fn sync_due(&self) -> Option<Instant> {
        match self.durability {
            Durability::Interval(interval) if self.shared.check().is_ok() => {
                self.unsynced_since.and_then(|since| since.checked_add(interval))
            }
            _ => None,
        }
    }
}

struct StopOnDrop<'a>(&'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.mark_failed();
        }
        self.0.jobs.close();
        // Dropping the jobs tells their callers.
        while let Taken::Items(jobs) = self.0.jobs.take(usize::MAX, None) {
            drop(jobs);
        }
    }
}

/// Starts the writer.
pub(super) fn spawn(
    shared: &Arc<Shared>,
    durability: Durability,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("store-writer".into()).spawn(move || work(&shared, durability))
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use std::time::Duration;

    use futures_channel::oneshot::channel;

    use super::*;
    use crate::conformance::samples;
    use crate::{Embedded, EmbeddedOptions};

    /// Whatever the policy, nothing that was written before is not on the disk when who asked for that is answered.
    #[test]
    fn what_is_synced_is_on_the_disk() {
        for durability in [Durability::OnExit, Durability::Interval(Duration::from_secs(3600))] {
            let folder = tempfile::tempdir().expect("a folder");
            let options = EmbeddedOptions { durability, ..EmbeddedOptions::default() };
            let store = Embedded::open(folder.path().join("store"), options).expect("a store");
            {
                // The store's own writer has nothing to do meanwhile.
                let engine = store.shared.engine();
                let engine = engine.as_ref().expect("it is open");
                let executor = Executor::new(engine).expect("it can be read");
                let mut writer =
                    Writer { shared: &store.shared, engine, executor, durability, unsynced_since: None };
                let (run, mut result) = channel();
                writer.carry_out(vec![Job::Run(vec![samples::create(1)], run)], &mut Vec::new());
                assert!(matches!(result.try_recv(), Ok(Some(Ok(_)))), "it works");
                assert!(writer.unsynced_since.is_some());
                let (sync, mut synced) = channel();
                writer.carry_out(vec![Job::Sync(sync)], &mut Vec::new());
                assert!(writer.unsynced_since.is_none());
                assert_eq!(synced.try_recv(), Ok(Some(Ok(()))));
            }
        }
    }
}
