//! What is due, done without serving.

use std::time::Duration;

use smp_core::UnixTime;
use smp_core::server::ServerConfig;
use smp_core::server::store::{OpResult, QueueOp};
use smp_core::wire::EntityId;
use smp_storage::Backend;

use crate::failure::Failure;
use crate::identity::now;
use crate::settings::Settings;
use crate::terminal::say;

/// Deletes what a server would delete when it starts, old messages if the settings ask for that, and closes the store.
pub(crate) async fn run(settings: &Settings, store: &impl Backend) -> Result<(), Failure> {
    let ServerConfig { message_ttl, expire_on_start, notification_ttl, ref limits, .. } = settings.server;
    let limit = limits.expiry_queues;
    if let Some(ttl) = message_ttl.filter(|_| expire_on_start) {
        let before = before(ttl);
        let deleted = expire(store, |after| QueueOp::Expire { before, after, limit }).await?;
        say(&format!("Old messages deleted: {deleted}"));
    }
    if let Some(ttl) = notification_ttl {
        let before = before(ttl);
        let deleted = expire(store, |after| QueueOp::ExpireNotifications { before, after, limit }).await?;
        say(&format!("Old notifications deleted: {deleted}"));
    }
    let results = store.run(vec![QueueOp::Count]).await.map_err(|_| failed())?;
    if let Some(OpResult::Counts(counts)) = results.first() {
        say(&format!("Queues: {}, messages: {}", counts.queues, counts.messages));
    }
    store.close().await.map_err(|_| failed())
}

/// Visits all queues, from where the visit before ended. Returns how much was deleted.
async fn expire(store: &impl Backend, visit: impl Fn(Option<EntityId>) -> QueueOp) -> Result<u64, Failure> {
    let (mut after, mut all) = (None, 0);
    loop {
        let results = store.run(vec![visit(after)]).await.map_err(|_| failed())?;
        let Some(OpResult::Expired { deleted, next }) = results.into_iter().next() else {
            return Err(Failure::new("the store gave no answer, which is a defect"));
        };
        all += deleted;
        if next.is_none() {
            return Ok(all);
        }
        after = next;
    }
}

fn before(ttl: Duration) -> UnixTime {
    let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    UnixTime::from_millis(now().as_millis().saturating_sub(ttl))
}

fn failed() -> Failure {
    Failure::new("the store failed; the log says why")
}
