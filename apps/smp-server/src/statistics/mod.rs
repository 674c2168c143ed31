//! Statistics: kept over restarts, written every day, and shown to whatever watches the server.
//!
//! | file in the data folder | what |
//! |---|---|
//! | `smp-server-statistics` | what was counted, to go on from after a restart; written each minute and at the end |
//! | `smp-server-stats.daily.log` | a line of comma-separated values for each day (`log_stats`) |
//! | `smp-server-metrics.txt` | metrics in the text format of Prometheus (`prometheus_interval`) |
//!
//! The same metrics are at `/metrics` on `metrics_port`, with `/healthz` and `/readyz` beside them.
//!
//! Nothing here names a queue, a client or an address of one.

mod daily;
mod files;
mod page;
mod prometheus;
mod snapshot;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smp_core::server::statistics::{Day, Statistics};
use smp_runtime::http::Handler;
use smp_runtime::server::ServerHandle;
use smp_runtime_tokio::TokioRuntime;
use smp_storage::Backend;

use crate::folders::Folders;
use crate::settings::{Settings, Store};
use files::Files;
use page::Page;
pub(crate) use snapshot::Snapshot;

/// Writes what the server counts.
pub(crate) struct Keeper {
    chosen: crate::settings::Statistics,
    files: Files,
    page: Arc<Page>,
    /// The queues are in memory.
    in_memory: bool,
}

impl Keeper {
    /// In these folders.
    pub(crate) fn new(settings: &Settings, folders: &Folders) -> Self {
        let in_memory = settings.store == Store::Memory;
        Self {
            chosen: settings.statistics,
            files: Files::new(folders, !in_memory),
            page: Arc::default(),
            in_memory,
        }
    }

    /// What was counted before the last stop.
    pub(crate) fn kept(&self) -> Option<Statistics> {
        self.files.load()
    }

    /// What answers on `metrics_port`.
    pub(crate) fn handler(&self) -> Handler {
        let page = Arc::clone(&self.page);
        Arc::new(move |request| page.answer(request.path()))
    }

    /// Writes what is due, until it is dropped.
    pub(crate) async fn run<B: Backend + 'static>(
        &self,
        handle: &ServerHandle<TokioRuntime, B>,
    ) -> Infallible {
        let mut work = Work { keeper: self, handle, ended: None, saved: None, wrote: None, shown: None };
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            work.tick().await;
        }
    }

    /// Keeps what was counted to the end.
    pub(crate) fn finish(&self, statistics: &Statistics) {
        self.files.save(statistics);
    }
}

/// What is written when.
struct Work<'a, B: Backend + 'static> {
    keeper: &'a Keeper,
    handle: &'a ServerHandle<TokioRuntime, B>,
    /// A day that ended and has no line yet.
    ended: Option<Day>,
    saved: Option<Instant>,
    wrote: Option<Instant>,
    shown: Option<Instant>,
}

impl<B: Backend + 'static> Work<'_, B> {
    async fn tick(&mut self) {
        let Keeper { chosen, files, page, in_memory } = self.keeper;
        if self.ended.is_none() {
            self.ended = self.handle.end_day(chosen.daily).filter(|_| chosen.daily);
        }
        let writes = chosen.interval.is_some_and(|interval| is_due(self.wrote, interval));
        let shows = chosen.port.is_some() && is_due(self.shown, SHOW_INTERVAL);
        let saves = self.ended.is_some() || is_due(self.saved, SAVE_INTERVAL);
        if !(writes || shows || saves) {
            return;
        }
        let snapshot = Snapshot::take(self.handle, *in_memory).await;
        page.set_ready(snapshot.is_some());
        let Some(snapshot) = snapshot else { return };
        let now = Some(Instant::now());
        if let Some(day) = self.ended.take() {
            files.add_line(daily::line(&day, &snapshot.counts));
        }
        files.write_lines();
        if saves {
            self.saved = now;
            files.save(&snapshot.statistics);
        }
        if writes || shows {
            let metrics = prometheus::render(&snapshot);
            if writes {
                self.wrote = now;
                files.write_metrics(&metrics);
            }
            self.shown = now;
            page.set_metrics(metrics);
        }
    }
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() + TICK / 2 >= interval)
}

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_secs(1);
/// How old the metrics on `metrics_port` may become.
const SHOW_INTERVAL: Duration = Duration::from_secs(5);
/// How often what was counted is kept.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
