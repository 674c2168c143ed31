//! Carries out what operators ask.

use std::fmt::Write as _;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use smp_core::server::Moderation;
use smp_core::server::statistics::Counter;
use smp_core::server::store::{OpResult, QueueOp, QueueRecord, QueueStatus, StoreFailure};
use smp_core::wire::VersionRange;
use smp_core::wire::error::BlockingInfo;
use smp_runtime::server::ServerHandle;
use smp_runtime_tokio::TokioRuntime;
use smp_storage::Backend;

use super::access::Role;
use super::command::Command;
use super::quota::{Counted, Quota};
use super::session::Answer;
use super::target::Target;

/// What the server says about itself.
pub(crate) struct About {
    /// The versions that it offers.
    pub(crate) versions: VersionRange,
    /// Where the queues are.
    pub(crate) store: String,
    /// Since when it serves.
    pub(crate) started: Instant,
}

/// Takes one command after the other to the server.
pub(super) struct Desk<'a, B: Backend + 'static> {
    server: &'a ServerHandle<TokioRuntime, B>,
    about: About,
    quota: Counted,
}

impl<'a, B: Backend + 'static> Desk<'a, B> {
    pub(super) const fn new(server: &'a ServerHandle<TokioRuntime, B>, about: About, quota: Quota) -> Self {
        Self { server, about, quota: Counted::new(quota) }
    }

    /// The answer to a command, which the role has the right to.
    pub(super) async fn carry_out(&mut self, role: Role, command: Command) -> Answer {
        match command {
            Command::ServerInfo => Ok(self.server_info(role)),
            Command::Stats => self.stats().await,
            Command::Clients => Ok(self.clients()),
            Command::Sockets => Ok(self.sockets()),
            Command::Status(target) => Ok(status(&self.find(target).await?)),
            Command::Block(target, info) => self.block(role, target, info).await,
            Command::Unblock(target) => {
                self.moderate(role, target, "unblocked", |record| Moderation::Unblock(record.recipient)).await
            }
            Command::Delete(target) => {
                self.moderate(role, target, "deleted", |record| Moderation::Delete(record.recipient)).await
            }
            Command::Save => self.server.backend().sync().await.map(|()| String::new()).map_err(failed),
        }
    }

    async fn block(&mut self, role: Role, target: Target, info: BlockingInfo) -> Answer {
        if role == Role::User && !self.quota.is_left(today()) {
            return Err("users may block no more queues today (daily_block_queue_quota)".to_owned());
        }
        let block = |record: QueueRecord| Moderation::Block(record.recipient, info);
        let done = self.moderate(role, target, "blocked", block).await;
        if role == Role::User && done.is_ok() {
            self.quota.count();
        }
        done
    }

    async fn moderate(
        &self,
        role: Role,
        target: Target,
        what: &str,
        how: impl FnOnce(QueueRecord) -> Moderation,
    ) -> Answer {
        let record = self.find(target).await?;
        if !self.server.moderate(how(record)).await.map_err(failed)? {
            return Err(NO_QUEUE.to_owned());
        }
        // What happened, for whoever has to account for it; which queue is nobody's business who reads logs.
        log::info!("a queue was {what} over the control port ({role})");
        Ok(String::new())
    }

    async fn find(&self, target: Target) -> Result<QueueRecord, String> {
        for key in target.keys() {
            if let Some(record) = self.server.queue(key).await.map_err(failed)? {
                return Ok(record);
            }
        }
        Err(NO_QUEUE.to_owned())
    }

    fn server_info(&self, role: Role) -> String {
        let About { versions, store, started } = &self.about;
        let mut out = String::new();
        line(&mut out, "version", env!("CARGO_PKG_VERSION"));
        line(&mut out, "SMP versions", versions);
        line(&mut out, "serving for seconds", started.elapsed().as_secs());
        if role == Role::Admin {
            line(&mut out, "store", store);
            line(&mut out, "bytes that wait for connections", self.server.queued_bytes());
            line(&mut out, "relays connected", self.server.relays());
            line(&mut out, "commands at relays", self.server.forwards());
        }
        out
    }

    async fn stats(&self) -> Answer {
        let results = self.server.backend().run(vec![QueueOp::Count]).await.map_err(failed)?;
        let Some(OpResult::Counts(counts)) = results.first() else { return Err(failed(StoreFailure)) };
        let statistics = self.server.statistics();
        let mut out = String::new();
        line(&mut out, "queues", counts.queues);
        line(&mut out, "messages", counts.messages);
        line(&mut out, "subscriptions", self.server.subscriptions());
        line(&mut out, "queues used today", statistics.active.day.count());
        line(&mut out, "counted since (seconds since 1970)", statistics.since.as_millis() / 1000);
        for (counter, name) in Counter::all() {
            line(&mut out, &name, statistics.counts.of(counter));
        }
        Ok(out)
    }

    fn clients(&self) -> String {
        let mut out = String::new();
        line(&mut out, "connections", self.server.connections());
        line(&mut out, "subscriptions", self.server.subscriptions());
        out
    }

    fn sockets(&self) -> String {
        let counters = self.server.counters();
        let mut out = String::new();
        line(&mut out, "accepted", counters.accepted);
        line(&mut out, "closed", counters.closed);
        line(&mut out, "active", counters.open());
        line(&mut out, "refused", counters.refused);
        line(&mut out, "handshakes", counters.handshakes);
        line(&mut out, "failed handshakes", counters.failed_handshakes);
        out
    }
}

fn status(record: &QueueRecord) -> String {
    let mut out = String::new();
    match record.status {
        QueueStatus::Active => line(&mut out, "status", "active"),
        QueueStatus::Off => line(&mut out, "status", "off"),
        QueueStatus::Blocked(info) => line(&mut out, "status", format_args!("blocked {info}")),
    }
    out
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{name}: {value}");
}

fn failed(_: StoreFailure) -> String {
    "the store failed; the log of the server says why".to_owned()
}

/// Days since 1970.
fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400
}

const NO_QUEUE: &str = "there is no queue with this id or link";
