//! Blocked queues.

use smp_core::server::store::{OpResult, QueueChange, QueueKey, QueueOp, QueueRecord, QueueStatus, UnixDay};
use smp_core::wire::QueueMode;

use super::{find, first, run_now, run_one};
use crate::Backend;
use crate::conformance::describe;
use crate::conformance::samples::*;

pub(super) fn blocks_queues(store: &impl Backend) {
    let status = |number| find(store, QueueKey::Recipient(recipient(number))).map(|record| record.status);
    let block = |number, info| QueueOp::Block { queue: recipient(number), info };
    let contact = QueueRecord { mode: Some(QueueMode::Contact), ..full_queue(2) };
    run_now(store, vec![create_as(full_queue(1)), create_as(contact), append(1, 1, 9)])
        .expect("the store works");
    assert_eq!(run_one(store, block(9, Some(blocking()))), "Unauthorized", "no such queue");
    for number in [1, 2] {
        assert_eq!(run_one(store, block(number, None)), MODERATED);
        assert_eq!(status(number), Some(QueueStatus::Active), "it was not blocked");
        assert_eq!(run_one(store, block(number, Some(blocking()))), MODERATED);
        assert_eq!(status(number), Some(QueueStatus::Blocked(blocking())));
    }
    let blocked = describe(&OpResult::Blocked(blocking()));
    for (other, expected) in [(0, &*blocked), (9, "Unauthorized")] {
        let ops = [messaging_ops(other), contact_ops(other)].concat();
        for (op, result) in ops.iter().zip(run_now(store, ops.clone()).expect("the store works")) {
            assert_eq!(describe(&result), expected, "{op:?}");
        }
    }
    assert_eq!(run_one(store, read_link(2, None)), blocked);
    let by_subscription = QueueOp::Peek { queue: recipient(1), by: None, today: UnixDay(1) };
    assert_eq!(run_one(store, by_subscription), blocked);
    assert_eq!(run_one(store, change(1, QueueChange::Suspend { by: recipient_key(1) })), "Done");
    assert_eq!(status(1), Some(QueueStatus::Blocked(blocking())), "suspended or not, it stays blocked");
    assert!(run_one(store, take_notifications(1, 1, 9)).contains("at 1000"), "for the notifier");
    assert_eq!(run_one(store, block(1, None)), MODERATED);
    assert_eq!(status(1), Some(QueueStatus::Active));
    assert!(first(store, 1).is_some(), "nothing was lost");
    assert!(run_one(store, delete(2)).starts_with("released"), "a blocked queue can be deleted");
    run_one(store, change(1, QueueChange::Suspend { by: recipient_key(1) }));
    assert_eq!(run_one(store, block(1, None)), MODERATED);
    assert_eq!(status(1), Some(QueueStatus::Off), "it was not blocked");
}

/// What becomes of a queue of no service.
const MODERATED: &str = "moderated, service none";

/// What recipient and sender do with messaging queue 1; with 0 they have the right keys.
fn messaging_ops(other: u64) -> Vec<QueueOp> {
    let by = recipient_key(1 + other);
    let sender_by = (other > 0).then(|| sender_key(1));
    let (queue, today) = (|| recipient(1), UnixDay(1));
    let mut ops = vec![
        append_as(1, 2, 9, |op| op.by = sender_by),
        QueueOp::Peek { queue: queue(), by: Some(by), today },
        QueueOp::Subscribe { queue: queue(), by, service: None, peek: true, today },
        QueueOp::Acknowledge { queue: queue(), by, message: message_id(1), today },
        QueueOp::Inspect { queue: queue(), by },
        QueueOp::SetLink { queue: queue(), by, link: link(1), data: Box::new(link_data(1, 2)), today },
        QueueOp::RemoveLink { queue: queue(), by, today },
        QueueOp::SetNotifier { queue: queue(), by, notifier: Box::new(notifier(7)), today },
        QueueOp::RemoveNotifier { queue: queue(), by, today },
        change(1, QueueChange::SecureByRecipient { by, key: sender_key(1) }),
    ];
    if other == 0 {
        // Anybody's key is right as long as the queue has none.
        let key = sender_key(1);
        ops.extend([change(1, QueueChange::SecureBySender { key }), read_link(1, Some(key))]);
    }
    ops
}

/// What only the recipient of contact queue 2 can do.
fn contact_ops(other: u64) -> Vec<QueueOp> {
    let by = recipient_key(2 + other);
    vec![change(2, QueueChange::ReplaceRecipientKeys { by, keys: vec![by] })]
}
