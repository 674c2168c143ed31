//! Data of links.

use smp_core::server::store::{OpResult, QueueKey, QueueOp, QueueRecord, UnixDay};
use smp_core::wire::QueueMode;

use super::{describe, find, run_now, run_one};
use crate::Backend;
use crate::conformance::samples::*;

pub(super) fn keeps_data(store: &impl Backend) {
    let contact = |number| QueueRecord { mode: Some(QueueMode::Contact), ..queue(number) };
    run_now(store, vec![create_as(contact(1)), create_as(contact(2))]).expect("the store works");
    assert_eq!(run_one(store, read_link(1, None)), "Unauthorized", "there is none");
    assert_eq!(run_one(store, remove_link(1)), "Done", "and it can be removed");
    assert_eq!(run_one(store, set_link(1, link(1), link_data(1, 1))), "Done");
    let read = run_one(store, read_link(1, None));
    assert_eq!(read, link_text(1, 1, 1));
    for (queue, id, data, why) in [
        (1, link(2), link_data(1, 1), "a queue has one link"),
        (1, link(1), link_data(2, 1), "fixed data stays"),
        (2, link(1), link_data(1, 1), "the id is in use"),
    ] {
        assert_eq!(run_one(store, set_link(queue, id, data)), "Unauthorized", "{why}");
    }
    assert_eq!(run_one(store, read_link(1, None)), read, "refusals change nothing");
    let found = find(store, QueueKey::Link(link(1)));
    assert!(found.is_some_and(|found| found.recipient == recipient(1) && found.link == Some(link(1))));
    assert_eq!(run_one(store, set_link(1, link(1), link_data(1, 2))), "Done");
    assert_eq!(run_one(store, read_link(1, None)), link_text(1, 1, 2));
    assert_eq!(run_one(store, remove_link(1)), "Done");
    assert_eq!(run_one(store, read_link(1, None)), "Unauthorized");
    assert!(find(store, QueueKey::Link(link(1))).is_none());
    assert_eq!(run_one(store, set_link(2, link(1), link_data(3, 3))), "Done", "the id is free again");
    assert_eq!(run_one(store, set_link(1, link(2), link_data(4, 4))), "Done", "with other fixed data");
    let op = QueueOp::ReadLink { queue: recipient(2), link: link(1), secure: None, today: UnixDay(1) };
    assert_eq!(run_one(store, op), link_text(2, 3, 3));
}

pub(super) fn checks_readers(store: &impl Backend) {
    let key = sender_key(1);
    let record = |number, mode, sender_key| QueueRecord {
        mode,
        sender_key,
        link: Some(link(number)),
        ..queue(number)
    };
    let (messaging, contact) = (Some(QueueMode::Messaging), Some(QueueMode::Contact));
    let cases = [
        (record(1, messaging, None), false, true),
        (record(2, messaging, Some(key)), false, true),
        (record(3, messaging, Some(sender_key(2))), false, false),
        (record(4, contact, None), true, false),
        (record(5, contact, Some(key)), true, false),
        (record(6, None, None), true, false),
        (record(7, None, Some(key)), false, false),
    ];
    for (record, anybody, sender) in cases {
        let number = record.recipient.clone();
        run_one(store, create_as(record.clone()));
        let read = |link, secure| {
            run_one(store, QueueOp::ReadLink { queue: number.clone(), link, secure, today: UnixDay(1) })
        };
        let own = || record.link.clone().unwrap_or_default();
        assert_eq!(read(own(), None).starts_with("link of"), anybody, "{record:?}");
        assert_eq!(read(link(99), Some(key)), "Unauthorized", "another link secures nothing");
        let found = find(store, QueueKey::Recipient(number.clone()));
        assert_eq!(found.and_then(|found| found.sender_key), record.sender_key);
        assert_eq!(read(own(), Some(key)).starts_with("link of"), sender, "{record:?}");
        assert_eq!(read(own(), Some(key)).starts_with("link of"), sender, "again, {record:?}");
        let found = find(store, QueueKey::Recipient(number.clone()));
        let expected = if sender { Some(key) } else { record.sender_key };
        assert_eq!(found.and_then(|found| found.sender_key), expected, "{record:?}");
    }
    assert_eq!(run_one(store, set_link(1, link(1), link_data(1, 2))), "Unauthorized", "it is secured");
    assert_eq!(run_one(store, set_link(5, link(5), link_data(1, 2))), "Done", "a contact queue");
}

pub(super) fn deletes_used_links(store: &impl Backend) {
    let signed =
        |number, message, capacity| append_as(number, message, capacity, |op| op.by = Some(sender_key(1)));
    let mode = Some(QueueMode::Contact);
    let contact = QueueRecord { mode, sender_key: Some(sender_key(1)), ..full_queue(2) };
    run_now(store, vec![create_as(full_queue(1)), create_as(contact), create_as(full_queue(3))])
        .expect("the store works");
    let is_there = |number| find(store, QueueKey::Link(link(number))).is_some();
    run_now(store, vec![append(1, 1, 10), append(3, 2, 1)]).expect("the store works");
    assert!(is_there(1), "it is not secured");
    for number in [1, 3] {
        assert_eq!(run_one(store, read_link(number, Some(sender_key(1)))), link_text(number, 1, 1));
        assert_eq!(run_one(store, append(number, 3, 10)), "Unauthorized");
        assert!(is_there(number), "the sender may ask again");
    }
    assert!(run_one(store, signed(1, 4, 10)).starts_with("appended"));
    assert_eq!(run_one(store, signed(3, 4, 1)), "QuotaExceeded");
    for number in [1, 3] {
        assert!(!is_there(number));
        assert_eq!(run_one(store, read_link(number, Some(sender_key(1)))), "Unauthorized");
        let record = find(store, QueueKey::Recipient(recipient(number)));
        assert!(record.is_some_and(|record| record.link.is_none() && record.notifier.is_some()));
    }
    assert!(run_one(store, signed(2, 5, 10)).starts_with("appended"));
    assert!(is_there(2), "who has the link of a contact queue may be one of many");
}

/// The result that shows link data of queue `number`.
fn link_text(number: u64, fixed: u64, user: u64) -> String {
    let data = Box::new(link_data(fixed, user));
    describe(&OpResult::Link { sender: sender(number), data })
}
