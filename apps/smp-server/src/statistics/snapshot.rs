//! All numbers of a server, at about one moment.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use smp_core::server::statistics::{Statistics, Survey};
use smp_core::server::store::{OpResult, QueueCounts, QueueOp};
use smp_runtime::server::{ServerHandle, SocketCounters};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::Backend;

/// What is counted and what is the case.
pub(crate) struct Snapshot {
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) statistics: Statistics,
    pub(crate) counts: QueueCounts,
    pub(crate) survey: Survey,
    pub(crate) sockets: Vec<(SocketAddr, SocketCounters)>,
    pub(crate) connections: usize,
    /// Tasks of the runtime.
    pub(crate) tasks: usize,
    /// The queues are in memory.
    pub(crate) in_memory: bool,
}

impl Snapshot {
    /// `None` when the store cannot even count.
    pub(crate) async fn take<B: Backend + 'static>(
        handle: &ServerHandle<TokioRuntime, B>,
        in_memory: bool,
    ) -> Option<Self> {
        let results = handle.backend().run(vec![QueueOp::Count]).await.ok()?;
        let Some(OpResult::Counts(counts)) = results.first() else { return None };
        let mut survey = Survey::default();
        while handle.survey(&mut survey, SURVEY_STEPS) {
            tokio::task::yield_now().await;
        }
        Some(Self {
            now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            statistics: handle.statistics(),
            counts: *counts,
            survey,
            sockets: handle.sockets(),
            connections: handle.connections(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            in_memory,
        })
    }
}

/// Subscriptions that are looked at while the broker waits: some ten microseconds.
const SURVEY_STEPS: usize = 500;
