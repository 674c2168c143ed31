//! Operations that take several visits.

use smp_core::server::store::{OpResult, QueueOp};
use smp_core::wire::EntityId;

use super::run_now;
use super::samples::scan_service;
use crate::Backend;

/// What a whole scan of a service finds, in the order in which it came, and in how many visits.
///
/// # Panics
/// When the store fails, gives more than it may, or never comes to an end.
pub fn scan(store: &impl Backend, service: u64, limit: u32) -> (Vec<(EntityId, Option<EntityId>)>, u32) {
    let (mut found, mut after) = (Vec::new(), None);
    for visits in 1..VISITS_MAX {
        let results = run_now(store, vec![scan_service(service, after, limit)]).expect("the store works");
        let [OpResult::Scanned { queues, next }] = &results[..] else { panic!("not scanned: {results:?}") };
        assert!(queues.len() <= limit.max(1) as usize);
        found.extend(queues.iter().cloned());
        after = next.clone();
        if after.is_none() {
            return (found, visits);
        }
    }
    panic!("the scan does not end");
}

/// How much each visit of a whole expiry deleted. `visit` makes its operation, with where it goes on.
///
/// # Panics
/// When the store fails or never comes to an end.
pub fn expire_all(store: &impl Backend, mut visit: impl FnMut(Option<EntityId>) -> QueueOp) -> Vec<u64> {
    let (mut expired, mut after) = (Vec::new(), None);
    for _ in 1..VISITS_MAX {
        let results = run_now(store, vec![visit(after)]).expect("the store works");
        let [OpResult::Expired { deleted, next }] = &results[..] else { panic!("not expired: {results:?}") };
        expired.push(*deleted);
        after = next.clone();
        if after.is_none() {
            return expired;
        }
    }
    panic!("the expiry does not end");
}

/// More than there are queues in any test.
const VISITS_MAX: u32 = 100;
