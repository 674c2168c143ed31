//! Notifiers and notifications.

use smp_core::UnixTime;
use smp_core::server::store::{OpResult, QueueKey, QueueOp};

use super::{counts, find, first, released, run_now, run_one};
use crate::Backend;
use crate::conformance::expire_all;
use crate::conformance::samples::*;

pub(super) fn keeps_notifications(store: &impl Backend) {
    run_now(store, vec![create(1), create_as(full_queue(2))]).expect("the store works");
    assert!(run_one(store, append(1, 1, 99)).ends_with("notifies none"), "nobody is to be notified");
    assert_eq!(run_one(store, take_notifications(1, 1, 9)), "Unauthorized");
    assert_eq!(run_one(store, set_notifier(1, 2)), "IdTaken");
    assert_eq!(run_one(store, set_notifier(1, 1)), "released none");
    assert_eq!(run_one(store, set_notifier(1, 1)), "IdTaken", "its own");
    assert!(run_one(store, append(1, 2, 99)).ends_with("notifies none"), "the sender did not ask for it");
    for (message, lost) in [(3, false), (5, false), (7, false), (9, true)] {
        let appended = run_one(store, append(1, message, 99));
        assert!(!appended.ends_with("notifies none"));
        assert!(appended.contains(&format!(", another lost {lost}, ")), "{message}: {appended}");
    }
    assert_eq!(taken(store, take_notifications(1, 1, 0)), (vec![], true));
    assert_eq!(taken(store, take_notifications(1, 1, 2)), (vec![5, 7], true), "the oldest went");
    assert_eq!(counts(store), "2 queues, 6 messages, 2 notifiers, 1 notifications");
    for op in [take_notifications(1, 2, 9), take_notifications(2, 1, 9), take_notifications(9, 1, 9)] {
        assert_eq!(run_one(store, op), "Unauthorized");
    }
    assert_eq!(taken(store, take_notifications(1, 1, 9)), (vec![9], false));
    assert_eq!(taken(store, take_notifications(1, 1, 9)), (vec![], false));
    replaces_notifiers(store);
}

/// What waits for a notifier goes with it.
fn replaces_notifiers(store: &impl Backend) {
    run_one(store, append(1, 11, 99));
    assert_eq!(run_one(store, set_notifier(1, 3)), released(1));
    assert!(find(store, QueueKey::Notifier(notifier_id(1))).is_none());
    assert!(find(store, QueueKey::Notifier(notifier_id(3))).is_some_and(|of| of.recipient == recipient(1)));
    assert_eq!(run_one(store, take_notifications(1, 1, 9)), "Unauthorized");
    assert_eq!(taken(store, take_notifications(1, 3, 9)), (vec![], false));
    run_one(store, append(1, 13, 99));
    assert_eq!(counts(store), "2 queues, 8 messages, 2 notifiers, 1 notifications");
    assert_eq!(run_one(store, remove_notifier(1)), released(3));
    assert_eq!(run_one(store, remove_notifier(1)), "released none", "twice is no error");
    assert_eq!(counts(store), "2 queues, 8 messages, 1 notifiers, 0 notifications");
    assert!(find(store, QueueKey::Notifier(notifier_id(3))).is_none());
    assert_eq!(run_one(store, set_notifier(2, 1)), released(2), "the id is free again");
    assert!(first(store, 1).is_some(), "messages stay");
}

pub(super) fn expires_notifications(store: &impl Backend) {
    for number in 0..5 {
        let ops = vec![create_as(full_queue(number)), append(number, 1, 9), append(number, 9, 9)];
        run_now(store, ops).expect("the store works");
    }
    run_now(store, vec![create_as(full_queue(5)), append(0, 3, 9)]).expect("the store works");
    let before = UnixTime::from_secs(9);
    let expired = expire_all(store, |after| QueueOp::ExpireNotifications { before, after, limit: 2 });
    assert_eq!((expired.iter().sum(), expired.len()), (5_u64, 3), "those in front, two queues at a time");
    assert_eq!(counts(store), "6 queues, 11 messages, 6 notifiers, 6 notifications");
    assert_eq!(taken(store, take_notifications(0, 0, 9)), (vec![9, 3], false));
    assert_eq!(taken(store, take_notifications(1, 1, 9)), (vec![9], false));
}

/// The seconds of the notifications that an operation takes, and whether others wait.
fn taken(store: &impl Backend, op: QueueOp) -> (Vec<i64>, bool) {
    let results = run_now(store, vec![op]).expect("the store works");
    let [OpResult::Notifications(pending)] = &results[..] else { panic!("nothing taken: {results:?}") };
    let is_known = (0..9).any(|number| notifier(number).secret.as_bytes() == pending.secret.as_bytes());
    assert!(is_known, "the secret of the notifier");
    for of in &pending.notifications {
        assert!(of.message == message_id(of.sent_at.as_secs().unsigned_abs()), "the id of a message");
    }
    (pending.notifications.iter().map(|of| of.sent_at.as_secs()).collect(), pending.more)
}
