//! Values that cannot be read: what needs them fails, all else goes on, and the operator is told once.

use std::path::Path;
use std::sync::Mutex;

use smp_core::UnixTime;
use smp_core::server::store::{OpResult, QueueCounts, QueueKey, QueueOp, QueueRecord, StoreFailure};
use smp_core::wire::{EntityId, ServiceRole};
use smp_storage::conformance::{expire_all, run_now, samples, scan};
use smp_storage::{Backend, Embedded, EmbeddedOptions};
use tempfile::TempDir;

fn open(path: &Path) -> Embedded {
    Embedded::open(path, EmbeddedOptions::default()).expect("one bad value does not keep the rest from work")
}

/// A store with queues 1 to 3 of service 1, each with a link, a notifier of service 2, two messages and a
/// notification.
fn intact() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let services = vec![
        samples::find_service(1, ServiceRole::Messaging),
        samples::find_service(2, ServiceRole::Notifier),
    ];
    run_now(&store, services).expect("the store works");
    for number in 1..=3 {
        let append = |message| samples::append(number, 10 * number + message, 9);
        let (service, notifier) = (Some(samples::service_id(1)), Some(samples::notifier_of(number, 2)));
        let record = QueueRecord { notifier, service, ..samples::full_queue(number) };
        run_now(&store, vec![samples::create_as(record), append(0), append(1)]).expect("the store works");
    }
    folder
}

/// That store, of which something is damaged.
fn damaged(keyspace: &str, key: &[u8], value: &[u8]) -> (TempDir, Embedded) {
    let folder = intact();
    write_raw(folder.path(), keyspace, &[(key, value)], true);
    let store = open(folder.path());
    (folder, store)
}

fn write_raw(folder: &Path, keyspace: &str, values: &[(&[u8], &[u8])], are_there: bool) {
    let database = fjall::Database::builder(folder).open().expect("the database below");
    let raw = database.keyspace(keyspace, fjall::KeyspaceCreateOptions::default).expect("a keyspace");
    for (key, value) in values {
        let is_there = raw.contains_key(key).expect("readable");
        assert_eq!(is_there, are_there, "the documented key in {keyspace}");
        raw.insert(*key, *value).expect("written");
    }
}

/// The counters of that store with other messages and notifications.
fn counters(messages: u64, notifications: u64) -> QueueCounts {
    QueueCounts {
        queues: 3,
        messages,
        notifiers: 3,
        notifications,
        services: 2,
        messaging_services: 1,
        messaging_service_queues: 3,
        notifier_services: 1,
        notifier_service_queues: 3,
    }
}

fn damages() -> [(&'static str, Vec<u8>, &'static [u8]); 4] {
    let queue = samples::recipient(2).as_bytes().to_vec();
    let message = |sequence: u64| [&queue[..], &sequence.to_be_bytes()].concat();
    [
        ("queues", queue.clone(), &[1, 2, 3]),
        ("backlogs", queue.clone(), &[2; 22]),
        ("messages", message(0), &[]),
        ("messages", message(1), &[]),
    ]
}

#[test]
fn an_operation_fails_alone() {
    for (keyspace, key, value) in damages() {
        let (_folder, store) = damaged(keyspace, &key, value);
        let acknowledge = samples::acknowledge(2, 20);
        let ops = vec![samples::peek(1), samples::peek(2), acknowledge, samples::peek(3), QueueOp::Count];
        let results = run_now(&store, ops).expect("the store works");
        let counts = counters(6, 3);
        assert!(matches!(results[0], OpResult::Message(Some(_))), "{keyspace}");
        // The first message can be read when the second cannot, but not replaced by it.
        let reads_first = (keyspace, key.last()) == ("messages", Some(&1));
        assert_eq!(matches!(results[1], OpResult::Failed), !reads_first, "{keyspace}");
        assert!(matches!(results[2], OpResult::Failed), "{keyspace}");
        assert!(matches!(results[3], OpResult::Message(Some(_))), "{keyspace}");
        assert!(matches!(results[4], OpResult::Counts(found) if found == counts), "{keyspace}");
    }
}

#[test]
fn a_key_is_not_found_alone() {
    let (keyspace, key, value) = damages()[0].clone();
    let (_folder, store) = damaged(keyspace, &key, value);
    // Few keys are looked up by their caller, many by threads.
    for others in [0, 100] {
        let mut keys: Vec<_> = (1..=3).map(|number| QueueKey::Sender(samples::sender(number))).collect();
        keys.extend((10..10 + others).map(|number| QueueKey::Recipient(samples::recipient(number))));
        let found = pollster::block_on(store.look_up(keys)).expect("the store works");
        assert!(matches!(found[0], Ok(Some(_))) && matches!(found[2], Ok(Some(_))));
        assert!(matches!(found[1], Err(StoreFailure)));
        assert!(found[3..].iter().all(|found| matches!(found, Ok(None))));
    }
}

/// Runs operations, of which those fail that need what is damaged and no others. That nothing was left of them
/// the counters show.
fn only_these_fail(damage: (&str, Vec<u8>, &[u8]), ops: Vec<(QueueOp, bool)>) {
    let (_folder, store) = damaged(damage.0, &damage.1, damage.2);
    for (op, fails) in ops {
        let text = format!("{op:?}");
        let results = run_now(&store, vec![QueueOp::Count, op, QueueOp::Count]).expect("the store works");
        assert_eq!(matches!(results[1], OpResult::Failed), fails, "{text}: {:?}", results[1]);
        if fails {
            assert_eq!(format!("{:?}", results[0]), format!("{:?}", results[2]), "{text}");
        }
    }
}

fn notified(number: u64, message: u64) -> QueueOp {
    samples::append_as(number, message, 9, |op| op.notification = true)
}

#[test]
fn damaged_link_data_fails_only_who_needs_it() {
    let key = samples::recipient(2).as_bytes().to_vec();
    let read = |number| samples::read_link(number, Some(samples::sender_key(1)));
    let set = |user| samples::set_link(2, samples::link(2), samples::link_data(1, user));
    let ops = vec![
        (read(2), true),
        (read(1), false),
        (set(2), true),
        (samples::peek(2), false),
        (notified(2, 30), false),
        (samples::inspect(2), false),
        // The way out: without the damaged data the link can be set again.
        (samples::remove_link(2), false),
        (set(2), false),
        (read(2), false),
    ];
    only_these_fail(("link_data", key.clone(), &[9]), ops);
    only_these_fail(("link_data", key, &[9]), vec![(samples::delete(2), false), (samples::delete(1), false)]);
}

#[test]
fn a_damaged_way_to_a_queue_fails_only_who_takes_it() {
    let ways = [
        ("senders", samples::sender(2), QueueKey::Sender as fn(_) -> _),
        ("links", samples::link(2), QueueKey::Link),
        ("notifiers", samples::notifier_id(2), QueueKey::Notifier),
    ];
    for (keyspace, id, to_key) in ways {
        let (_folder, store) = damaged(keyspace, id.as_bytes(), &[1; 256]);
        let keys = vec![to_key(id), QueueKey::Recipient(samples::recipient(2))];
        let found = pollster::block_on(store.look_up(keys)).expect("the store works");
        assert!(matches!(found[..], [Err(StoreFailure), Ok(Some(_))]), "{keyspace}");
        let ops = vec![samples::peek(2), samples::take_notifications(2, 2, 0), samples::delete(2)];
        let results = run_now(&store, ops).expect("the store works");
        assert!(!results.iter().any(|result| matches!(result, OpResult::Failed)), "{keyspace}: {results:?}");
    }
    let used = samples::set_link(1, samples::link(2), samples::link_data(1, 1));
    let ops = vec![(samples::remove_link(1), false), (used, true), (samples::create(4), false)];
    only_these_fail(("links", samples::link(2).as_bytes().to_vec(), &[1; 256]), ops);
}

#[test]
fn damaged_notifications_fail_only_who_needs_them() {
    let key = samples::recipient(2).as_bytes().to_vec();
    let ops = vec![
        (samples::take_notifications(2, 2, 1), true),
        (samples::take_notifications(1, 1, 1), false),
        (notified(2, 30), true),
        (samples::append(2, 32, 9), false),
        (samples::peek(2), false),
        (samples::acknowledge(2, 20), false),
        (samples::set_notifier(2, 7), true),
        (samples::remove_notifier(2), true),
        (samples::delete(2), true),
        (samples::set_notifier(3, 7), false),
        (samples::delete(1), false),
    ];
    only_these_fail(("notifications", key.clone(), &[1, 0]), ops);
    let (_folder, store) = damaged("notifications", &key, &[1, 0]);
    let before = UnixTime::from_millis(i64::MAX);
    let mut deleted = expire_all(&store, |after| QueueOp::ExpireNotifications { before, after, limit: 1 });
    deleted.sort_unstable();
    // The last visit finds nothing any more.
    assert_eq!(deleted, [0, 0, 1, 1], "expiry goes on behind it");
    let counts = run_now(&store, vec![QueueOp::Count]).expect("the store works");
    let expected = counters(6, 1);
    assert!(matches!(counts[0], OpResult::Counts(found) if found == expected), "{counts:?}");
}

#[test]
fn a_damaged_service_fails_only_who_needs_it() {
    let find = |number, role| samples::find_service(number, role);
    let id = samples::service_id(1);
    let ops = vec![
        (samples::count_service(1), true),
        (samples::scan_service(1, None, 9), true),
        (find(1, ServiceRole::Messaging), true),
        (samples::subscribe(2, None), true),
        (samples::delete(2), true),
        (samples::subscribe(2, Some(1)), false),
        (notified(2, 30), false),
        (samples::peek(2), false),
        (samples::subscribe_notifier(2, 2, None), false),
        (samples::create(4), false),
        (samples::subscribe(4, Some(1)), true),
        (samples::count_service(2), false),
        (find(2, ServiceRole::Notifier), false),
        (find(3, ServiceRole::Messaging), false),
        (samples::subscribe(4, Some(3)), false),
    ];
    only_these_fail(("services", id.as_bytes().to_vec(), &[1, b'X']), ops);
    let ops = vec![
        (find(1, ServiceRole::Messaging), true),
        (find(2, ServiceRole::Notifier), false),
        (samples::count_service(1), false),
        (samples::subscribe(2, None), false),
    ];
    only_these_fail(("certificates", samples::fingerprint(1).to_vec(), &[1; 256]), ops);
}

/// The queues with these numbers, in the order of their ids.
fn in_order(numbers: &[u64], has_notifiers: bool) -> Vec<(EntityId, Option<EntityId>)> {
    let entry = |number: &u64| {
        let notifier = has_notifiers.then(|| samples::notifier_id(*number));
        (samples::recipient(*number), notifier)
    };
    let mut entries: Vec<_> = numbers.iter().map(entry).collect();
    entries.sort();
    entries
}

#[test]
fn scans_go_on_behind_it() {
    let queue = samples::recipient(2).as_bytes().to_vec();
    // Of a notifier the record is needed; what only shows when messages are read fails then.
    for (keyspace, notifiers) in
        [("queues", &[1, 3][..]), ("backlogs", &[1, 2, 3]), ("notifications", &[1, 2, 3])]
    {
        let (_folder, store) = damaged(keyspace, &queue, &[9]);
        for (limit, visits) in [(0, 3), (1, 3), (2, 2), (3, 1)] {
            assert_eq!(scan(&store, 1, limit), (in_order(&[1, 2, 3], false), visits), "{keyspace}");
            assert_eq!(scan(&store, 2, limit), (in_order(notifiers, true), visits), "{keyspace}");
        }
    }
}

#[test]
fn scans_go_on_behind_damaged_entries() {
    let folder = intact();
    let of_services = [1, 2].map(|service| [&[24], samples::service_id(service).as_bytes()].concat());
    for service in &of_services {
        let long = [0, 0x80, 0xff].map(|byte| [&service[..], &[byte; 256]].concat());
        let keys: Vec<&[u8]> = vec![service, &long[0], &long[1], &long[2]];
        let values: Vec<_> = keys.into_iter().map(|key| (key, &[][..])).collect();
        write_raw(folder.path(), "service_queues", &values, false);
    }
    let store = open(folder.path());
    for limit in [0, 1, 2, 3, 100] {
        assert_eq!(scan(&store, 1, limit).0, in_order(&[1, 2, 3], false), "limit {limit}");
        assert_eq!(scan(&store, 2, limit).0, in_order(&[1, 2, 3], true), "limit {limit}");
    }
}

#[test]
fn expiry_goes_on_behind_it() {
    for (keyspace, key, value) in damages() {
        let (_folder, store) = damaged(keyspace, &key, value);
        let before = UnixTime::from_millis(i64::MAX);
        // Visits of one queue each, and one of all.
        let mut limits = [1, 1, 100].into_iter();
        let expired = expire_all(&store, |after| {
            let limit = limits.next().expect("the third visit is of all that are left");
            QueueOp::Expire { before, after, limit }
        });
        // Expiry needs the backlog, and the messages behind the one that it deletes.
        let kept = match (keyspace, key.last()) {
            ("backlogs", _) | ("messages", Some(1)) => 2,
            _ => 0,
        };
        let counts = run_now(&store, vec![QueueOp::Count]).expect("the store works");
        let expected = counters(kept, 3);
        assert!(matches!(counts[0], OpResult::Counts(found) if found == expected), "{keyspace}: {counts:?}");
        assert_eq!(expired.iter().sum::<u64>(), 6 - kept, "{keyspace}");
    }
}

#[test]
fn the_operator_is_told_once() {
    log::set_logger(&LOG).expect("the only logger");
    log::set_max_level(log::LevelFilter::Trace);
    let (keyspace, key, value) = damages()[0].clone();
    let (folder, store) = damaged(keyspace, &key, value);
    for _ in 0..3 {
        run_now(&store, vec![samples::peek(2)]).expect("the store works");
        let keys = vec![QueueKey::Recipient(samples::recipient(2))];
        pollster::block_on(store.look_up(keys)).expect("the store works");
    }
    check_line(folder.path());
    // What a scan leaves behind is damage as well.
    let (folder, store) = damaged(keyspace, &key, value);
    assert_eq!(scan(&store, 2, 1).0, in_order(&[1, 3], true));
    check_line(folder.path());
}

/// One line was logged of the store in this folder.
fn check_line(folder: &Path) {
    let place = folder.display().to_string();
    let lines = LOG.0.lock().expect("no test panics with it").clone();
    let lines: Vec<_> = lines.iter().filter(|(_, text)| text.contains(&place)).collect();
    let [(level, text)] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(*level, log::Level::Error);
    assert!(text.contains("restore the folder from a backup"), "{text}");
}

struct Lines(Mutex<Vec<(log::Level, String)>>);

static LOG: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("smp_storage") {
            let line = (record.level(), record.args().to_string());
            self.0.lock().expect("no test panics with it").push(line);
        }
    }

    fn flush(&self) {}
}
