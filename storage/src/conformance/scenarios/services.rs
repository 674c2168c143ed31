//! Services, and the queues and notifiers that are theirs.

use smp_core::server::store::{OpResult, QueueKey, QueueOp, QueueRecord, UnixDay, set_of};
use smp_core::wire::ServiceRole::{Messaging, Notifier, Proxy};
use smp_core::wire::{EntityId, QueueSet};

use super::{counts, find, first, run_now, run_one};
use crate::Backend;
use crate::conformance::samples::*;
use crate::conformance::{describe, describe_record, scan};

pub(super) fn finds_services(store: &impl Backend) {
    let found = |number| describe(&OpResult::Service(service_id(number)));
    for (number, role) in [(1, Messaging), (2, Notifier), (3, Proxy)] {
        assert_eq!(run_one(store, count_service(number)), "Unauthorized", "there is no such service");
        assert_eq!(run_one(store, scan_service(number, None, 9)), "Unauthorized", "there is no such service");
        assert_eq!(run_one(store, find_service(number, role)), found(number));
        assert_eq!(run_one(store, find_service(number, role)), found(number), "the same again");
        let offered =
            QueueOp::FindService { fingerprint: fingerprint(number), role, id: service_id(9), capacity: 9 };
        assert_eq!(run_one(store, offered), found(number), "it keeps its id");
        for other in [Messaging, Notifier, Proxy].into_iter().filter(|other| *other != role) {
            assert_eq!(run_one(store, find_service(number, other)), "Unauthorized", "another role");
            let taken = QueueOp::FindService {
                fingerprint: fingerprint(7),
                role: other,
                id: service_id(number),
                capacity: 9,
            };
            assert_eq!(run_one(store, taken), "IdTaken");
        }
        assert_eq!(set(store, number), QueueSet::EMPTY);
        assert_eq!(scan(store, number, 9), (vec![], 1));
    }
    let nameless =
        QueueOp::FindService { fingerprint: fingerprint(7), role: Proxy, id: EntityId::empty(), capacity: 9 };
    assert_eq!(run_one(store, nameless), "IdTaken");
    assert_eq!(run_one(store, find_service(9, Messaging)), found(9), "what was offered is free");
    assert_eq!(run_one(store, find_service(7, Proxy)), found(7), "nothing was left of the refusals");
    let find = |number| {
        let (fingerprint, id) = (fingerprint(number), service_id(number));
        QueueOp::FindService { fingerprint, role: Notifier, id, capacity: 5 }
    };
    assert_eq!(run_one(store, find(10)), "QuotaExceeded", "five are known");
    assert_eq!(run_one(store, find(2)), found(2), "also when too many are");
    let long = EntityId::new(&[7; 255]).expect("the longest id");
    let find =
        QueueOp::FindService { fingerprint: fingerprint(8), role: Notifier, id: long.clone(), capacity: 9 };
    assert_eq!(run_one(store, find), describe(&OpResult::Service(long)));
    assert_eq!(counts(store), no_queues(2));
}

/// The counters of two services that receive messages, two that are notified, and these that forward.
fn no_queues(proxies: u32) -> String {
    format!(
        "0 queues, 0 messages, 2 messaging services, 0 queues of theirs, \
         2 notifier services, 0 notifiers of theirs, {proxies} proxies"
    )
}

/// Services 1 and 2 receive messages, 3 and 4 are notified, 5 forwards, and there is no service 6.
fn make_services(store: &impl Backend) {
    let roles = [(1, Messaging), (2, Messaging), (3, Notifier), (4, Notifier), (5, Proxy)];
    let ops = roles.map(|(number, role)| find_service(number, role)).to_vec();
    let results = run_now(store, ops).expect("the store works");
    assert!(results.iter().all(|result| matches!(result, OpResult::Service(_))));
}

/// The queue with this number, of a service, with a notifier of another.
fn queue_of(number: u64, service: u64, notifier_service: u64) -> QueueRecord {
    let notifier = Some(notifier_of(number, notifier_service));
    QueueRecord { service: Some(service_id(service)), notifier, ..queue(number) }
}

pub(super) fn keeps_queues(store: &impl Backend) {
    make_services(store);
    run_now(store, vec![create(1), create_as(full_queue(2)), append(2, 1, 9)]).expect("the store works");
    assert_eq!(run_one(store, create_as(queue_of(3, 1, 3))), "Done");
    let text = run_one(store, append(3, 3, 9));
    assert!(text.contains(&format!("service {}", hex_of(1))), "{text}");
    assert!(text.ends_with(&format!("of service {}", hex_of(3))), "{text}");
    refuses_other_services(store);
    assert_eq!((set(store, 1), set(store, 3)), (queues(&[3]), notifiers(&[3])));
    moves_queues(store);
    moves_notifiers(store);
    let of_two = run_one(store, create_as(queue_of(4, 1, 3)));
    assert_eq!((of_two, set(store, 1), set(store, 3)), ("Done".into(), queues(&[1, 4]), notifiers(&[4, 9])));
    let released = run_one(store, delete(4));
    assert!(released.ends_with(&format!("of service {}, service {}", hex_of(3), hex_of(1))), "{released}");
    let by_operator = QueueOp::Delete { queue: recipient(2), by: None };
    run_now(store, vec![delete(1), by_operator, delete(3)]).expect("the store works");
    assert!((1..=5).all(|number| set(store, number) == QueueSet::EMPTY));
    assert_eq!(counts(store), no_queues(1));
}

/// What names a service that is not known or not for that has no effect. There are queues 1 to 3.
fn refuses_other_services(store: &impl Backend) {
    let record = |number| {
        find(store, QueueKey::Recipient(recipient(number))).as_ref().map(describe_record).unwrap_or_default()
    };
    let (before, counted) = ([1, 2, 3].map(record), counts(store));
    for service in [3, 5, 6] {
        assert_eq!(run_one(store, create_as(queue_of(4, service, 3))), "Unauthorized", "service {service}");
        assert_eq!(run_one(store, subscribe(1, Some(service))), "Unauthorized", "service {service}");
        assert_eq!(run_one(store, subscribe(3, Some(service))), "Unauthorized", "service {service}");
    }
    for service in [1, 5, 6] {
        assert_eq!(run_one(store, create_as(queue_of(4, 1, service))), "Unauthorized", "service {service}");
        assert_eq!(
            run_one(store, set_notifier_as(2, notifier_of(9, service))),
            "Unauthorized",
            "service {service}"
        );
        for number in [2, 3] {
            let op = subscribe_notifier(number, number, Some(service));
            assert_eq!(run_one(store, op), "Unauthorized", "service {service}");
        }
    }
    let (queue, notifier, by) = (recipient(3), notifier_id(3), notifier_key(2));
    let by_other = QueueOp::SubscribeNotifier { queue, notifier, by, service: None };
    let of_none = subscribe_notifier(1, 1, None);
    for op in [by_other, of_none, subscribe_notifier(3, 2, None), subscribe_notifier(9, 3, None)] {
        assert_eq!(run_one(store, op), "Unauthorized");
    }
    assert_eq!(([1, 2, 3].map(record), counts(store)), (before, counted), "nothing has changed");
    assert!(super::keys(4).into_iter().all(|key| find(store, key).is_none()), "half a queue was made");
}

/// Queues 1 to 3 are there, 3 is of service 1. At the end only 1 is.
fn moves_queues(store: &impl Backend) {
    let former = |op| {
        let results = run_now(store, vec![op]).expect("the store works");
        let [OpResult::Subscribed { former, .. }] = &results[..] else { panic!("{results:?}") };
        former.clone()
    };
    assert_eq!(former(subscribe(1, Some(1))), None);
    assert_eq!(set(store, 1), queues(&[1, 3]));
    assert_eq!(former(subscribe(1, Some(1))), Some(service_id(1)), "the same again");
    assert_eq!(set(store, 1), queues(&[1, 3]));
    assert_eq!(former(subscribe(3, Some(2))), Some(service_id(1)));
    assert_eq!((set(store, 1), set(store, 2)), (queues(&[1]), queues(&[3])));
    assert_eq!(former(subscribe(3, None)), Some(service_id(2)));
    assert_eq!(former(subscribe(3, None)), None);
    assert_eq!(set(store, 2), QueueSet::EMPTY);
    let service = |number| find(store, QueueKey::Sender(sender(number))).and_then(|record| record.service);
    assert_eq!([service(1), service(2), service(3)], [Some(service_id(1)), None, None]);

    let (queue, by, today) = (recipient(2), recipient_key(2), UnixDay(1));
    for (op, has_message) in [
        (subscribe(2, None), true),
        (QueueOp::Subscribe { queue, by, service: None, peek: false, today }, false),
    ] {
        let results = run_now(store, vec![op]).expect("the store works");
        let [OpResult::Subscribed { message, has_messages: true, former: None }] = &results[..] else {
            panic!("{results:?}")
        };
        assert_eq!(message.as_ref().map(|of| of.message.id == message_id(1)), has_message.then_some(true));
    }
    assert!(first(store, 2).is_some(), "the message stays");
}

/// Notifiers 2 and 3 are there, 3 is of service 3. At the end only notifier 9 of queue 3 is.
fn moves_notifiers(store: &impl Backend) {
    let subscribed = |op| {
        let results = run_now(store, vec![op]).expect("the store works");
        let [OpResult::NotifierSubscribed { has_notifications, former }] = &results[..] else {
            panic!("{results:?}")
        };
        (*has_notifications, former.clone())
    };
    assert_eq!(subscribed(subscribe_notifier(2, 2, Some(3))), (true, None));
    assert_eq!(set(store, 3), notifiers(&[2, 3]));
    assert_eq!(subscribed(subscribe_notifier(2, 2, Some(3))), (true, Some(service_id(3))), "the same again");
    assert_eq!(subscribed(subscribe_notifier(3, 3, Some(4))), (true, Some(service_id(3))));
    assert_eq!((set(store, 3), set(store, 4)), (notifiers(&[2]), notifiers(&[3])));
    assert_eq!(subscribed(subscribe_notifier(2, 2, None)), (true, Some(service_id(3))));
    run_one(store, take_notifications(2, 2, 9));
    assert_eq!(subscribed(subscribe_notifier(2, 2, None)), (false, None));
    assert_eq!((set(store, 3), set(store, 4)), (QueueSet::EMPTY, notifiers(&[3])));
    // In place of one of the same service: the service has one entry for the queue before and after.
    for (number, service) in [(8, 4), (9, 4), (3, 3), (9, 3)] {
        let released = run_one(store, set_notifier_as(3, notifier_of(number, service)));
        assert!(released.contains("of service"), "{released}");
        assert_eq!(set(store, service), notifiers(&[number]));
        run_one(store, append(3, 10 + 2 * number + 1, 99));
        let expected = vec![(recipient(3), Some(notifier_id(number)))];
        assert_eq!(scan(store, service, 9), (expected, 1), "notifier {number}");
    }
    assert_eq!(set(store, 4), QueueSet::EMPTY);
    run_one(store, set_notifier_as(2, notifier_of(7, 4)));
    assert_eq!(set(store, 4), notifiers(&[7]));
    assert!(run_one(store, remove_notifier(2)).contains("of service"));
    assert_eq!(set(store, 4), QueueSet::EMPTY);
}

pub(super) fn scans_queues(store: &impl Backend) {
    make_services(store);
    for number in 0..6 {
        let ops = vec![create_as(queue_of(number, 1, 3)), create_as(queue_of(10 + number, 2, 4))];
        run_now(store, ops).expect("the store works");
    }
    // Queues 2 and 12 stay empty, and nobody is notified of what is in 4 and 14.
    for number in [0, 1, 3, 5, 10, 11, 13, 15] {
        run_now(store, vec![append(number, 1, 9), append(number, 2, 9)]).expect("the store works");
    }
    run_now(store, vec![append(4, 2, 9), append(14, 2, 9)]).expect("the store works");
    let of = |numbers: &[u64], has_notifiers: bool| {
        let mut all: Vec<_> = numbers
            .iter()
            .map(|number| (recipient(*number), has_notifiers.then(|| notifier_id(*number))))
            .collect();
        all.sort();
        all
    };
    for (limit, visits) in [(0, 6), (1, 6), (2, 3), (4, 2), (5, 2), (6, 1), (7, 1)] {
        assert_eq!(scan(store, 1, limit), (of(&[0, 1, 3, 4, 5], false), visits), "limit {limit}");
        assert_eq!(scan(store, 2, limit), (of(&[10, 11, 13, 14, 15], false), visits), "limit {limit}");
        assert_eq!(scan(store, 3, limit), (of(&[0, 1, 3, 5], true), visits), "limit {limit}");
        assert_eq!(scan(store, 4, limit), (of(&[10, 11, 13, 15], true), visits), "limit {limit}");
    }
    let ops = vec![
        take_notifications(0, 0, 9),
        acknowledge(4, 2),
        subscribe(5, Some(2)),
        subscribe_notifier(5, 5, Some(4)),
        remove_notifier(1),
        delete(3),
    ];
    run_now(store, ops).expect("the store works");
    assert_eq!(scan(store, 1, 2).0, of(&[0, 1], false));
    assert_eq!(scan(store, 2, 2).0, of(&[5, 10, 11, 13, 14, 15], false));
    assert_eq!(scan(store, 3, 2).0, of(&[], true));
    assert_eq!(scan(store, 4, 2).0, of(&[5, 10, 11, 13, 15], true));
    let expected = (queues(&[0, 1, 2, 4]), notifiers(&[0, 2, 4]));
    assert_eq!((set(store, 1), set(store, 3)), expected);
    let text = counts(store);
    let expected =
        "2 messaging services, 11 queues of theirs, 2 notifier services, 10 notifiers of theirs, 1 proxies";
    assert!(text.ends_with(expected), "{text}");
}

fn set(store: &impl Backend, service: u64) -> QueueSet {
    let results = run_now(store, vec![count_service(service)]).expect("the store works");
    let [OpResult::ServiceQueues(set)] = &results[..] else { panic!("not counted: {results:?}") };
    *set
}

fn queues(numbers: &[u64]) -> QueueSet {
    numbers.iter().fold(QueueSet::EMPTY, |set, number| set.plus(set_of(&recipient(*number))))
}

fn notifiers(numbers: &[u64]) -> QueueSet {
    numbers.iter().fold(QueueSet::EMPTY, |set, number| set.plus(set_of(&notifier_id(*number))))
}

/// The id of a service as results show it.
fn hex_of(service: u64) -> String {
    crate::conformance::hex(service_id(service).as_bytes())
}
