//! One promise after the other.

mod blocking;
mod links;
mod notifiers;
mod services;

use smp_core::UnixTime;
use smp_core::server::store::{
    NotifierRecord, OpResult, QueueChange, QueueKey, QueueOp, QueueRecord, QueueStatus, UnixDay,
};
use smp_core::wire::{EntityId, QueueMode};

use super::samples::*;
use super::{describe, describe_record, expire_all, run_now, run_one};
use crate::Backend;

/// Runs every scenario, each on a store that `open` gives, which must be empty.
///
/// # Panics
/// When the store breaks a promise.
pub fn run_scenarios<B: Backend>(mut open: impl FnMut() -> B) {
    let scenarios: [(&str, Scenario<B>); 22] = [
        ("a queue is found by its ids", finds_queues),
        ("ids are unique", keeps_ids_unique),
        ("the empty id is never free and leads nowhere", refuses_empty_ids),
        ("ids may be long", takes_long_ids),
        ("messages are first in, first out", delivers_in_order),
        ("a full queue is closed until it is drained", closes_full_queues),
        ("nothing is done without the right", checks_rights),
        ("changes are kept", keeps_changes),
        ("link data stays with its queue", links::keeps_data),
        ("links are read by those for whom they are", links::checks_readers),
        ("a link is gone when it was used", links::deletes_used_links),
        ("notifications wait for their notifier", notifiers::keeps_notifications),
        ("old notifications expire, a few queues at a time", notifiers::expires_notifications),
        ("a service has one certificate and one role", services::finds_services),
        ("queues and notifiers are of the service that subscribes", services::keeps_queues),
        ("what waits for a service is found, a few queues at a time", services::scans_queues),
        ("a blocked queue is closed for all but a few", blocking::blocks_queues),
        ("a deleted queue leaves nothing", deletes_everything),
        ("old messages expire, a few queues at a time", expires_old_messages),
        ("the day of the last use is kept", keeps_last_use),
        ("batches take effect in the order of the calls", keeps_the_order_of_calls),
        ("a closed store fails", fails_when_closed),
    ];
    for (name, scenario) in scenarios {
        let store = open();
        // The name is seen when the scenario panics: the test harness shows what was printed.
        log::info!("{name}");
        scenario(&store);
    }
}

/// Panics when a store, which is empty before, breaks a promise.
type Scenario<B> = fn(&B);

fn find(store: &impl Backend, key: QueueKey) -> Option<QueueRecord> {
    let mut found = pollster::block_on(store.look_up(vec![key])).expect("the store works");
    assert_eq!(found.len(), 1, "one answer for one key");
    found.pop().and_then(|found| found.expect("the record can be read"))
}

fn counts(store: &impl Backend) -> String {
    run_one(store, QueueOp::Count)
}

/// What a recipient sees: the number of the first message, if there is one.
fn first(store: &impl Backend, queue: u64) -> Option<String> {
    let text = run_one(store, peek(queue));
    (text != "message none").then_some(text)
}

/// The result that says that a queue had a notifier.
fn released(notifier: u64) -> String {
    describe(&OpResult::Released {
        notifier: Some((&super::samples::notifier(notifier)).into()),
        service: None,
    })
}

fn finds_queues(store: &impl Backend) {
    assert_eq!(run_one(store, create_as(full_queue(1))), "Done");
    assert_eq!(run_one(store, create(2)), "Done");
    let expected = describe_record(&full_queue(1));
    for key in keys(1) {
        assert_eq!(find(store, key).as_ref().map(describe_record), Some(expected.clone()));
    }
    for key in [QueueKey::Recipient(recipient(2)), QueueKey::Sender(sender(2))] {
        assert!(find(store, key).is_some_and(|found| found.recipient == recipient(2)));
    }
    let wrong = [
        QueueKey::Recipient(sender(1)),
        QueueKey::Sender(recipient(1)),
        QueueKey::Sender(sender(3)),
        QueueKey::Link(recipient(1)),
        QueueKey::Link(link(2)),
        QueueKey::Notifier(link(1)),
        QueueKey::Notifier(notifier_id(2)),
    ];
    for key in wrong {
        assert!(find(store, key).is_none());
    }
    let many = (0..100).map(|number| QueueKey::Sender(sender(number))).collect();
    let found = pollster::block_on(store.look_up(many)).expect("the store works");
    let places: Vec<_> = found
        .iter()
        .enumerate()
        .filter(|(_, found)| matches!(found, Ok(Some(_))))
        .map(|(place, _)| place)
        .collect();
    assert_eq!((found.len(), places), (100, vec![1, 2]), "answers are in the order of the keys");
}

/// All ways to a queue with a link and a notifier.
fn keys(number: u64) -> [QueueKey; 4] {
    [
        QueueKey::Recipient(recipient(number)),
        QueueKey::Sender(sender(number)),
        QueueKey::Link(link(number)),
        QueueKey::Notifier(notifier_id(number)),
    ]
}

fn keeps_ids_unique(store: &impl Backend) {
    run_one(store, create_as(full_queue(1)));
    let records = [
        QueueRecord { sender: sender(1), ..full_queue(2) },
        QueueRecord { recipient: recipient(1), ..full_queue(2) },
        QueueRecord { link: Some(link(1)), ..full_queue(2) },
        QueueRecord { notifier: Some(notifier(1)), ..full_queue(2) },
    ];
    for record in records {
        assert_eq!(run_one(store, create_as(record)), "IdTaken");
        assert!(keys(2).into_iter().all(|key| find(store, key).is_none()), "half a queue was made");
    }
    assert_eq!(counts(store), "1 queues, 0 messages, 1 notifiers, 0 notifications");
    let equal = QueueRecord {
        sender: recipient(3),
        link: Some(recipient(3)),
        notifier: Some(NotifierRecord { id: recipient(3), ..notifier(3) }),
        ..queue(3)
    };
    assert_eq!(run_one(store, create_as(equal)), "Done", "ids of different kinds may be equal");
}

fn refuses_empty_ids(store: &impl Backend) {
    let nobody = NotifierRecord { id: EntityId::empty(), ..notifier(1) };
    let records = [
        QueueRecord { sender: EntityId::empty(), ..full_queue(1) },
        QueueRecord { recipient: EntityId::empty(), ..full_queue(1) },
        QueueRecord { link: Some(EntityId::empty()), ..full_queue(1) },
        QueueRecord { notifier: Some(nobody.clone()), ..full_queue(1) },
    ];
    for record in records {
        assert_eq!(run_one(store, create_as(record)), "IdTaken");
    }
    run_one(store, create(1));
    assert_eq!(run_one(store, set_link(1, EntityId::empty(), link_data(1, 1))), "Unauthorized");
    assert_eq!(run_one(store, set_notifier_as(1, nobody)), "IdTaken");
    let id = EntityId::empty;
    for key in
        [QueueKey::Recipient(id()), QueueKey::Sender(id()), QueueKey::Link(id()), QueueKey::Notifier(id())]
    {
        assert!(find(store, key).is_none());
    }
    let (notifier, queue) = (id(), id());
    let take = QueueOp::TakeNotifications { queue, notifier, limit: 1 };
    assert_eq!(run_one(store, take), "Unauthorized");
    assert_eq!(counts(store), "1 queues, 0 messages");
}

fn takes_long_ids(store: &impl Backend) {
    let long = |byte: u8| EntityId::new(&[byte; 255]).expect("the longest id");
    let record = QueueRecord {
        recipient: long(1),
        sender: long(2),
        link: Some(long(3)),
        notifier: Some(NotifierRecord { id: long(4), ..notifier(1) }),
        ..queue(1)
    };
    assert_eq!(run_one(store, create_as(record.clone())), "Done");
    run_one(store, append_as(1, 1, 10, |op| op.queue = long(1)));
    for key in [
        QueueKey::Recipient(long(1)),
        QueueKey::Sender(long(2)),
        QueueKey::Link(long(3)),
        QueueKey::Notifier(long(4)),
    ] {
        assert!(find(store, key).is_some_and(|found| found.recipient == long(1)));
    }
    let take = QueueOp::TakeNotifications { queue: long(1), notifier: long(4), limit: 9 };
    assert!(run_one(store, take).contains("at 1000"));
    let delete = QueueOp::Delete { queue: long(1), by: None };
    assert_eq!(run_one(store, delete), format!("released {}", "04".repeat(255)));
    assert_eq!(counts(store), "0 queues, 0 messages");
}

fn delivers_in_order(store: &impl Backend) {
    let large = append_as(1, 2, 10, |op| op.body = body(2, 16_048));
    let results =
        run_now(store, vec![create(1), append(1, 1, 10), large, append(1, 3, 10)]).expect("the store works");
    assert!(matches!(&results[1], OpResult::Appended(appended) if appended.was_empty));
    assert!(matches!(&results[2], OpResult::Appended(appended) if !appended.was_empty));
    let sees = |id: u64, result: &OpResult| {
        let (OpResult::Message(Some(waiting)) | OpResult::Acknowledged { next: Some(waiting), .. }) = result
        else {
            return false;
        };
        waiting.message.id == message_id(id) && waiting.secret.as_bytes() == queue(1).secret.as_bytes()
    };
    let results =
        run_now(store, vec![peek(1), acknowledge(1, 2), acknowledge(1, 1)]).expect("the store works");
    assert!(sees(1, &results[0]));
    assert!(sees(1, &results[1]) && matches!(results[1], OpResult::Acknowledged { deleted: None, .. }));
    assert!(
        sees(2, &results[2]) && matches!(results[2], OpResult::Acknowledged { deleted: Some(false), .. })
    );
    let OpResult::Acknowledged { next: Some(next), .. } = &results[2] else { unreachable!("seen above") };
    let content = &next.message.content;
    let expected = body(2, 16_048);
    let is_whole =
        matches!(content, smp_core::server::store::MessageContent::Message { body, .. } if *body == expected);
    assert!(is_whole, "a body of full size");
    run_now(store, vec![acknowledge(1, 2), acknowledge(1, 3)]).expect("the store works");
    assert_eq!(first(store, 1), None);
    assert_eq!(run_one(store, acknowledge(1, 3)), "acknowledged None, next none", "twice is no error");
    assert_eq!(counts(store), "1 queues, 0 messages");
}

fn closes_full_queues(store: &impl Backend) {
    run_now(store, vec![create(1), append(1, 1, 2), append(1, 2, 2)]).expect("the store works");
    assert_eq!(run_one(store, append(1, 3, 2)), "QuotaExceeded");
    assert_eq!(counts(store), "1 queues, 3 messages", "the marker counts");
    assert_eq!(run_one(store, append(1, 4, 2)), "QuotaExceeded");
    assert_eq!(counts(store), "1 queues, 3 messages", "there is one marker");
    run_one(store, acknowledge(1, 1));
    assert_eq!(run_one(store, append(1, 5, 2)), "QuotaExceeded", "closed until it is empty");
    run_one(store, acknowledge(1, 2));
    assert!(first(store, 1).is_some_and(|text| text.contains("at 3000: quota")));
    assert_eq!(run_one(store, append(1, 6, 2)), "QuotaExceeded", "the marker is in it");
    assert_eq!(run_one(store, acknowledge(1, 3)), "acknowledged Some(true), next none");
    assert!(run_one(store, append(1, 7, 2)).starts_with("appended to empty true"));
}

fn checks_rights(store: &impl Backend) {
    let day = UnixDay(9);
    run_now(store, vec![create(1), append(1, 1, 10)]).expect("the store works");
    let before = find(store, QueueKey::Recipient(recipient(1))).as_ref().map(describe_record);
    for (id, by) in
        [(recipient(1), recipient_key(2)), (recipient(2), recipient_key(2)), (sender(1), recipient_key(1))]
    {
        let queue = || id.clone();
        let ops = vec![
            QueueOp::Peek { queue: queue(), by: Some(by), today: day },
            QueueOp::Subscribe { queue: queue(), by, service: None, peek: true, today: day },
            QueueOp::Acknowledge { queue: queue(), by, message: message_id(1), today: day },
            QueueOp::Inspect { queue: queue(), by },
            QueueOp::Delete { queue: queue(), by: Some(by) },
            QueueOp::Change { queue: queue(), change: QueueChange::Suspend { by }, today: day },
            QueueOp::SetLink {
                queue: queue(),
                by,
                link: link(9),
                data: Box::new(link_data(1, 1)),
                today: day,
            },
            QueueOp::RemoveLink { queue: queue(), by, today: day },
            QueueOp::SetNotifier { queue: queue(), by, notifier: Box::new(notifier(9)), today: day },
            QueueOp::RemoveNotifier { queue: queue(), by, today: day },
        ];
        for (op, result) in ops.clone().iter().zip(run_now(store, ops).expect("the store works")) {
            assert_eq!(describe(&result), "Unauthorized", "{op:?}");
        }
    }
    let signed = append_as(1, 2, 10, |op| op.by = Some(sender_key(1)));
    assert_eq!(run_one(store, signed), "Unauthorized", "a key on an unsecured queue");
    assert_eq!(run_one(store, append(2, 2, 10)), "Unauthorized", "no such queue");
    let after = find(store, QueueKey::Recipient(recipient(1))).as_ref().map(describe_record);
    assert_eq!((after, counts(store)), (before, "1 queues, 1 messages".into()));
}

fn keeps_changes(store: &impl Backend) {
    let contact = QueueRecord { mode: Some(QueueMode::Contact), ..queue(2) };
    run_now(store, vec![create(1), create_as(contact)]).expect("the store works");
    let secure = |key| change(1, QueueChange::SecureBySender { key: sender_key(key) });
    assert_eq!(run_one(store, secure(1)), "Done");
    assert_eq!(run_one(store, secure(1)), "Done", "the same again");
    assert_eq!(run_one(store, secure(2)), "Unauthorized", "another key");
    assert_eq!(run_one(store, append(1, 1, 10)), "Unauthorized", "no key on a secured queue");
    let keys = vec![recipient_key(7), recipient_key(8)];
    let replace = QueueChange::ReplaceRecipientKeys { by: recipient_key(2), keys: keys.clone() };
    assert_eq!(run_one(store, change(2, replace.clone())), "Done");
    assert_eq!(run_one(store, change(2, replace)), "Unauthorized", "the old key has no right any more");
    assert_eq!(run_one(store, change(1, QueueChange::Suspend { by: recipient_key(1) })), "Done");
    let record = |number| find(store, QueueKey::Recipient(recipient(number))).expect("the queue is there");
    assert_eq!(record(1).sender_key, Some(sender_key(1)));
    assert_eq!(record(1).status, QueueStatus::Off);
    let signed = append_as(1, 1, 10, |op| op.by = Some(sender_key(1)));
    assert_eq!(run_one(store, signed), "Unauthorized", "it is suspended");
    assert_eq!(record(2).recipient_keys, keys);
}

fn deletes_everything(store: &impl Backend) {
    let appends = vec![append(1, 1, 10), append(1, 2, 10), append(2, 3, 10)];
    for operator in [false, true] {
        run_now(store, vec![create_as(full_queue(1)), create_as(full_queue(2))]).expect("the store works");
        run_now(store, appends.clone()).expect("the store works");
        let [first, second] = [1, 2].map(|number| match operator {
            true => QueueOp::Delete { queue: recipient(number), by: None },
            false => delete(number),
        });
        assert_eq!(run_one(store, first.clone()), released(1));
        assert_eq!(run_one(store, first), "Unauthorized", "the second time");
        assert!(keys(1).into_iter().all(|key| find(store, key).is_none()));
        assert_eq!(counts(store), "1 queues, 1 messages, 1 notifiers, 1 notifications");
        assert_eq!(run_one(store, create_as(full_queue(1))), "Done", "the ids are free again");
        assert_eq!(self::first(store, 1), None, "no old message comes back");
        assert!(run_one(store, take_notifications(1, 1, 9)).starts_with("notifications [], more false"));
        run_now(store, vec![delete(1), second]).expect("the store works");
        assert_eq!(counts(store), "0 queues, 0 messages");
    }
    run_one(store, create(1));
    assert_eq!(run_one(store, delete(1)), "released none");
}

fn expires_old_messages(store: &impl Backend) {
    for number in 0..5 {
        let ops = vec![create(number), append(number, 1, 10), append(number, 9, 10), append(number, 2, 10)];
        run_now(store, ops).expect("the store works");
    }
    run_one(store, create(5));
    let before = UnixTime::from_secs(5);
    let expired = expire_all(store, |after| QueueOp::Expire { before, after, limit: 2 });
    assert_eq!((expired.iter().sum(), expired.len()), (5_u64, 3), "those in front, two queues at a time");
    assert_eq!(counts(store), "6 queues, 10 messages");
    let all = QueueOp::ExpireQueue { queue: recipient(0), before: UnixTime::from_secs(100) };
    assert_eq!(run_one(store, all.clone()), "expired 2, next none");
    assert_eq!(run_one(store, all), "expired 0, next none");
    assert_eq!(counts(store), "6 queues, 8 messages");
}

fn keeps_last_use(store: &impl Backend) {
    let used = || find(store, QueueKey::Recipient(recipient(1))).map(|record| record.used_on.0);
    let (queue, by, today) = (recipient(1), recipient_key(1), UnixDay);
    let (secure, notifier) = (Some(sender_key(1)), || Box::new(notifier(1)));
    let data = |user| Box::new(link_data(1, user));
    run_one(store, create(1));
    let ops = [
        (QueueOp::Peek { queue: queue.clone(), by: Some(by), today: today(2) }, 2),
        (QueueOp::Subscribe { queue: queue.clone(), by, service: None, peek: false, today: today(3) }, 3),
        (QueueOp::Inspect { queue: queue.clone(), by }, 3),
        (QueueOp::Acknowledge { queue: queue.clone(), by, message: message_id(1), today: today(4) }, 4),
        (append(1, 5 * 86_400, 1), 5),
        (append(1, 6 * 86_400, 1), 6),
        (append(1, 7 * 86_400, 1), 7),
        (QueueOp::Peek { queue: queue.clone(), by: None, today: today(8) }, 8),
        (QueueOp::SetLink { queue: queue.clone(), by, link: link(1), data: data(1), today: today(9) }, 9),
        (QueueOp::SetLink { queue: queue.clone(), by, link: link(1), data: data(2), today: today(10) }, 10),
        (QueueOp::SetLink { queue: queue.clone(), by, link: link(2), data: data(2), today: today(99) }, 10),
        (QueueOp::ReadLink { queue: queue.clone(), link: link(1), secure: None, today: today(99) }, 10),
        (QueueOp::ReadLink { queue: queue.clone(), link: link(1), secure, today: today(11) }, 11),
        (QueueOp::ReadLink { queue: queue.clone(), link: link(1), secure, today: today(12) }, 12),
        (QueueOp::RemoveLink { queue: queue.clone(), by, today: today(13) }, 13),
        (QueueOp::RemoveLink { queue: queue.clone(), by, today: today(14) }, 14),
        (QueueOp::SetNotifier { queue: queue.clone(), by, notifier: notifier(), today: today(15) }, 15),
        (QueueOp::SetNotifier { queue: queue.clone(), by, notifier: notifier(), today: today(99) }, 15),
        (subscribe_notifier(1, 1, None), 15),
        (take_notifications(1, 1, 9), 15),
        (QueueOp::RemoveNotifier { queue: queue.clone(), by, today: today(16) }, 16),
        (QueueOp::RemoveNotifier { queue: queue.clone(), by, today: today(17) }, 17),
        (QueueOp::Block { queue: queue.clone(), info: Some(blocking()) }, 17),
        (QueueOp::Block { queue: queue.clone(), info: None }, 17),
        (QueueOp::Change { queue, change: QueueChange::Suspend { by }, today: today(18) }, 18),
    ];
    for (op, day) in ops {
        let text = format!("{op:?}");
        let result = run_one(store, op);
        assert_eq!(used(), Some(day), "{text}: {result}");
    }
}

fn keeps_the_order_of_calls(store: &impl Backend) {
    run_one(store, create(1));
    // Not one of them is polled before the last call was made; the second reply is never waited for.
    let mut replies: Vec<_> = (1..=50).map(|message| store.run(vec![append(1, message, 100)])).collect();
    drop(replies.remove(1));
    for reply in replies.into_iter().rev() {
        pollster::block_on(reply).expect("the store works");
    }
    for message in 1..=50 {
        let expected =
            if message == 50 { "acknowledged Some(false), next none" } else { "acknowledged Some(false)" };
        assert!(run_one(store, acknowledge(1, message)).starts_with(expected), "message {message}");
    }
}

fn fails_when_closed(store: &impl Backend) {
    run_one(store, create(1));
    let before = store.run(vec![append(1, 1, 10)]);
    pollster::block_on(store.sync()).expect("everything is on the disk");
    pollster::block_on(store.close()).expect("everything is durable");
    assert!(pollster::block_on(before).is_ok(), "what came before the close was carried out");
    assert!(run_now(store, vec![QueueOp::Count]).is_err());
    assert!(pollster::block_on(store.sync()).is_err());
    assert!(pollster::block_on(store.look_up(vec![QueueKey::Recipient(recipient(1))])).is_err());
    pollster::block_on(store.ready());
}
