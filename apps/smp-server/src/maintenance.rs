//! What is due, done without serving.

use std::time::{SystemTime, UNIX_EPOCH};

use smp_core::UnixTime;
use smp_core::server::store::{OpResult, QueueOp};
use smp_storage::Backend;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::terminal::say;

/// Deletes old messages, if the settings ask for it at the start, and closes the store.
pub(crate) async fn run(settings: &Settings, store: &impl Backend) -> Result<(), Failure> {
    let failed = |_| Failure::new("the store failed; the log says why");
    if let Some(ttl) = settings.server.message_ttl.filter(|_| settings.server.expire_on_start) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = i64::try_from(since_1970.saturating_sub(ttl).as_millis()).unwrap_or(i64::MAX);
        let (mut after, mut deleted) = (None, 0);
        loop {
            let limit = settings.server.limits.expiry_queues;
            let visit = QueueOp::Expire { before: UnixTime::from_millis(before), after, limit };
            let results = store.run(vec![visit]).await.map_err(failed)?;
            let Some(OpResult::Expired { deleted: messages, next }) = results.into_iter().next() else {
                return Err(Failure::new("the store gave no answer, which is a defect"));
            };
            deleted += messages;
            after = next;
            if after.is_none() {
                break;
            }
        }
        say(&format!("Old messages deleted: {deleted}"));
    }
    let results = store.run(vec![QueueOp::Count]).await.map_err(failed)?;
    if let Some(OpResult::Counts(counts)) = results.first() {
        say(&format!("Queues: {}, messages: {}", counts.queues, counts.messages));
    }
    store.close().await.map_err(failed)
}
