//! One promise after the other.

use smp_core::UnixTime;
use smp_core::server::store::{Append, OpResult, QueueChange, QueueKey, QueueOp, QueueRecord, UnixDay};
use smp_core::wire::QueueMode;

use super::samples::*;
use super::{describe, describe_record, run_now, run_one};
use crate::Backend;

/// Runs every scenario, each on a store that `open` gives, which must be empty.
///
/// # Panics
/// When the store breaks a promise.
pub fn run_scenarios<B: Backend>(mut open: impl FnMut() -> B) {
    let scenarios: [(&str, Scenario<B>); 11] = [
        ("a queue is found by both ids", finds_queues),
        ("ids are unique", keeps_ids_unique),
        ("messages are first in, first out", delivers_in_order),
        ("a full queue is closed until it is drained", closes_full_queues),
        ("nothing is done without the right", checks_rights),
        ("changes are kept", keeps_changes),
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

fn finds_queues(store: &impl Backend) {
    assert_eq!(run_one(store, create(1)), "Done");
    let expected = describe_record(&queue(1));
    for key in [QueueKey::Recipient(recipient(1)), QueueKey::Sender(sender(1))] {
        assert_eq!(find(store, key).as_ref().map(describe_record), Some(expected.clone()));
    }
    for key in [QueueKey::Recipient(sender(1)), QueueKey::Sender(recipient(1)), QueueKey::Sender(sender(2))] {
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
    assert_eq!((found.len(), places), (100, vec![1]), "answers are in the order of the keys");
}

fn keeps_ids_unique(store: &impl Backend) {
    run_one(store, create(1));
    let same_sender = QueueRecord { sender: sender(1), ..queue(2) };
    let same_recipient = QueueRecord { recipient: recipient(1), ..queue(2) };
    for record in [same_sender, same_recipient] {
        assert_eq!(run_one(store, QueueOp::Create(Box::new(record))), "IdTaken");
    }
    assert!(find(store, QueueKey::Recipient(recipient(2))).is_none(), "half a queue was made");
    assert!(find(store, QueueKey::Sender(sender(2))).is_none(), "half a queue was made");
    assert_eq!(counts(store), "1 queues, 0 messages");
}

fn delivers_in_order(store: &impl Backend) {
    let mut large = append(1, 2, 10);
    if let QueueOp::Append(append) = &mut large {
        append.body = body(2, 16_048);
    }
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
            QueueOp::Check { queue: queue(), by, today: day },
            QueueOp::Acknowledge { queue: queue(), by, message: message_id(1), today: day },
            QueueOp::Inspect { queue: queue(), by },
            QueueOp::Delete { queue: queue(), by },
            QueueOp::Change { queue: queue(), change: QueueChange::Suspend { by }, today: day },
        ];
        for (op, result) in ops.clone().iter().zip(run_now(store, ops).expect("the store works")) {
            assert_eq!(describe(&result), "Unauthorized", "{op:?}");
        }
    }
    let QueueOp::Append(signed) = append(1, 2, 10) else { unreachable!("it is an append") };
    let signed = Append { by: Some(sender_key(1)), ..*signed };
    assert_eq!(
        run_one(store, QueueOp::Append(Box::new(signed))),
        "Unauthorized",
        "a key on an unsecured queue"
    );
    assert_eq!(run_one(store, append(2, 2, 10)), "Unauthorized", "no such queue");
    let after = find(store, QueueKey::Recipient(recipient(1))).as_ref().map(describe_record);
    assert_eq!((after, counts(store)), (before, "1 queues, 1 messages".into()));
}

fn keeps_changes(store: &impl Backend) {
    let contact = QueueRecord { mode: Some(QueueMode::Contact), ..queue(2) };
    run_now(store, vec![create(1), QueueOp::Create(Box::new(contact))]).expect("the store works");
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
    assert!(!record(1).accepts_messages_by(Some(&sender_key(1))), "it is suspended");
    assert_eq!(record(2).recipient_keys, keys);
}

fn deletes_everything(store: &impl Backend) {
    run_now(store, vec![create(1), create(2), append(1, 1, 10), append(1, 2, 10), append(2, 3, 10)])
        .expect("the store works");
    assert_eq!(run_one(store, delete(1)), "Done");
    assert_eq!(run_one(store, delete(1)), "Unauthorized", "the second time");
    assert!(find(store, QueueKey::Recipient(recipient(1))).is_none());
    assert!(find(store, QueueKey::Sender(sender(1))).is_none());
    assert_eq!(counts(store), "1 queues, 1 messages");
    assert_eq!(run_one(store, create(1)), "Done", "the ids are free again");
    assert_eq!(first(store, 1), None, "no old message comes back");
}

fn expires_old_messages(store: &impl Backend) {
    for number in 0..5 {
        let ops = vec![create(number), append(number, 1, 10), append(number, 9, 10), append(number, 2, 10)];
        run_now(store, ops).expect("the store works");
    }
    run_one(store, create(5));
    let (mut after, mut visits, mut expired) = (None, 0, 0);
    loop {
        let op = QueueOp::Expire { before: UnixTime::from_secs(5), after, limit: 2 };
        let results = run_now(store, vec![op]).expect("the store works");
        let [OpResult::Expired { messages, next }] = &results[..] else { panic!("not expired: {results:?}") };
        expired += messages;
        visits += 1;
        after = next.clone();
        if after.is_none() {
            break;
        }
    }
    assert_eq!((expired, visits), (5, 3), "those in front, two queues at a time");
    assert_eq!(counts(store), "6 queues, 10 messages");
    let all = QueueOp::ExpireQueue { queue: recipient(0), before: UnixTime::from_secs(100) };
    assert_eq!(run_one(store, all.clone()), "expired 2, next None");
    assert_eq!(run_one(store, all), "expired 0, next None");
    assert_eq!(counts(store), "6 queues, 8 messages");
}

fn keeps_last_use(store: &impl Backend) {
    let used = || find(store, QueueKey::Recipient(recipient(1))).map(|record| record.used_on.0);
    let (queue, by, today) = (recipient(1), recipient_key(1), UnixDay);
    run_one(store, create(1));
    let ops = [
        (QueueOp::Peek { queue: queue.clone(), by: Some(by), today: today(2) }, 2),
        (QueueOp::Check { queue: queue.clone(), by, today: today(3) }, 3),
        (QueueOp::Inspect { queue: queue.clone(), by }, 3),
        (QueueOp::Acknowledge { queue: queue.clone(), by, message: message_id(1), today: today(4) }, 4),
        (append(1, 5 * 86_400, 1), 5),
        (append(1, 6 * 86_400, 1), 6),
        (append(1, 7 * 86_400, 1), 7),
        (QueueOp::Peek { queue: queue.clone(), by: None, today: today(8) }, 8),
        (QueueOp::Change { queue, change: QueueChange::Suspend { by }, today: today(9) }, 9),
    ];
    for (op, day) in ops {
        let text = format!("{op:?}");
        run_one(store, op);
        assert_eq!(used(), Some(day), "{text}");
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
    pollster::block_on(store.close()).expect("everything is durable");
    assert!(pollster::block_on(before).is_ok(), "what came before the close was carried out");
    assert!(run_now(store, vec![QueueOp::Count]).is_err());
    assert!(pollster::block_on(store.look_up(vec![QueueKey::Recipient(recipient(1))])).is_err());
    pollster::block_on(store.ready());
}
