//! What opening refuses, and with which words.

use std::fs;
use std::path::Path;

use smp_core::server::store::{OpResult, QueueCounts, QueueKey, QueueOp, QueueRecord, QueueStatus, set_of};
use smp_core::wire::{AuthPublicKey, QueueMode, ServiceRole};
use smp_storage::conformance::{describe, describe_record, run_now, run_one, samples};
use smp_storage::{Backend, Embedded, EmbeddedOptions, OpenError};

fn open(path: &Path) -> Result<Embedded, OpenError> {
    Embedded::open(path, EmbeddedOptions::default())
}

/// The error, which must name the path and a way out.
fn refusal(path: &Path, options: EmbeddedOptions, way_out: &str) -> OpenError {
    let error = Embedded::open(path, options).err().expect("this must not be opened");
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "no path in: {message}");
    assert!(message.contains(way_out), "no way out in: {message}");
    error
}

fn counts(store: &impl Backend) -> QueueCounts {
    match run_now(store, vec![QueueOp::Count]).as_deref() {
        Ok([OpResult::Counts(counts)]) => *counts,
        other => panic!("not counted: {other:?}"),
    }
}

#[test]
fn a_missing_store_is_created_only_when_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let never = EmbeddedOptions { create: false, ..EmbeddedOptions::default() };
    assert!(matches!(refusal(&path, never.clone(), "correct the path"), OpenError::Missing { .. }));
    assert!(!path.exists(), "nothing is made");
    refusal(&folder.path().join("no/store"), EmbeddedOptions::default(), "folder above it must exist");
    drop(open(&path).expect("it is created"));
    drop(Embedded::open(&path, never).expect("it is there now"));
}

#[test]
fn other_files_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("letter.txt"), "dear").expect("a file");
    let error = refusal(folder.path(), EmbeddedOptions::default(), "choose an empty or a new folder");
    assert!(matches!(error, OpenError::NotAStore { .. }));
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing is added");
    refusal(&folder.path().join("letter.txt"), EmbeddedOptions::default(), "must lead to a folder");
}

#[test]
fn a_store_is_opened_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("a new store");
    let error = refusal(folder.path(), EmbeddedOptions::default(), "stop that one first");
    assert!(matches!(error, OpenError::Locked { .. }));
    pollster::block_on(store.close()).expect("everything is durable");
    open(folder.path()).expect("a closed store can be opened, though the old handle is there");
}

#[test]
fn a_creation_that_was_interrupted_is_finished() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("keyspaces")).expect("a folder");
    for name in ["store.lock", "lock", "0.jnl"] {
        fs::write(folder.path().join(name), "").expect("a file");
    }
    let store = open(folder.path()).expect("nothing can be lost here");
    assert_eq!(counts(&store), QueueCounts::default());
}

#[test]
fn a_folder_that_takes_no_new_files_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()).expect("a new store"));
    let probe = folder.path().join("store.probe");
    fs::write(&probe, "").expect("a file");
    drop(open(folder.path()).expect("what a crash left behind is in nobody's way"));
    assert!(!probe.exists());
    // Root can write into every folder, so the probe is made impossible in another way.
    fs::create_dir(&probe).expect("a folder");
    refusal(folder.path(), EmbeddedOptions::default(), "Check the disk and the file system");
    fs::remove_dir(&probe).expect("a folder");
    drop(open(folder.path()).expect("nothing was changed"));
}

#[test]
fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()).expect("a new store"));
    let database = fjall::Database::builder(folder.path()).open().expect("the database below");
    let meta = database.keyspace("meta", fjall::KeyspaceCreateOptions::default).expect("a keyspace");
    meta.insert("format", 3_u16.to_be_bytes()).expect("written");
    drop((meta, database));
    let error = refusal(folder.path(), EmbeddedOptions::default(), "use a newer version");
    assert!(matches!(error, OpenError::Newer { found: 3, .. }));
}

/// Makes what the first version of this crate left behind: five keyspaces, a suspended contact queue of two keys, and
/// messaging queue 1 with a message.
fn make_format_1(path: &Path) {
    let database = fjall::Database::builder(path).open().expect("the database below");
    let [queues, senders, backlogs, messages, meta] = ["queues", "senders", "backlogs", "messages", "meta"]
        .map(|name| {
            let separation = (name == "messages").then(fjall::KvSeparationOptions::default);
            let options = || fjall::KeyspaceCreateOptions::default().with_kv_separation(separation);
            database.keyspace(name, options).expect("a keyspace")
        });
    for (number, head) in [(1, b"M\0"), (2, b"C\x01")] {
        let record = samples::queue(number);
        let key = |number| match samples::recipient_key(number) {
            AuthPublicKey::Ed25519(raw) => [&[1][..], &raw].concat(),
            _ => unreachable!("samples have keys of one kind"),
        };
        let value = [
            &[1, 24][..],
            record.sender.as_bytes(),
            head,
            &[0, 0, 0, 1],
            record.secret.as_bytes(),
            &[0, 0, 0, 0, 2],
            &key(number),
            &key(100),
        ];
        queues.insert(record.recipient.as_bytes(), value.concat()).expect("written");
        senders.insert(record.sender.as_bytes(), record.recipient.as_bytes()).expect("written");
    }
    let key = samples::recipient(1).as_bytes().to_vec();
    let sent_at = 7000_u64.to_be_bytes();
    let backlog = [&[1, 1][..], &0_u64.to_be_bytes(), &1_u32.to_be_bytes(), &sent_at].concat();
    backlogs.insert(&key, backlog).expect("written");
    let id = samples::message_id(7);
    let message = [&[1, 2][..], &sent_at, &[24], id.as_bytes(), &samples::body(7, 40)].concat();
    messages.insert([&key[..], &[0; 8]].concat(), message).expect("written");
    let counters = [&[1][..], &2_u64.to_be_bytes(), &1_u64.to_be_bytes()].concat();
    meta.insert("counters", counters).expect("written");
    meta.insert("format", 1_u16.to_be_bytes()).expect("written");
}

#[test]
fn a_store_of_format_1_that_is_damaged_stays_one() {
    let folder = tempfile::tempdir().expect("a folder");
    make_format_1(folder.path());
    let raw = || {
        let database = fjall::Database::builder(folder.path()).open().expect("the database below");
        let meta = database.keyspace("meta", fjall::KeyspaceCreateOptions::default).expect("a keyspace");
        (meta, database)
    };
    let (meta, database) = raw();
    let counters = meta.get("counters").expect("readable").expect("they are there");
    meta.insert("counters", [9]).expect("written");
    drop((meta, database));
    let error = refusal(folder.path(), EmbeddedOptions::default(), "from a backup");
    assert!(matches!(error, OpenError::Corrupt { .. }));
    let (meta, database) = raw();
    assert_eq!(meta.get("format").expect("readable").as_deref(), Some(&[0, 1][..]));
    meta.insert("counters", counters).expect("written");
    drop((meta, database));
    assert_eq!(counts(&open(folder.path()).expect("it is whole again")).queues, 2);
}

#[test]
fn a_store_of_format_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    make_format_1(folder.path());
    let keys = |number| vec![samples::recipient_key(number), samples::recipient_key(100)];
    let first = QueueRecord { recipient_keys: keys(1), ..samples::queue(1) };
    let second = QueueRecord {
        recipient_keys: keys(2),
        mode: Some(QueueMode::Contact),
        status: QueueStatus::Off,
        ..samples::queue(2)
    };
    // The second time it is of the new format, with the old records in it.
    for time in 1..=2 {
        let store = open(folder.path()).expect("a former format can be opened");
        let expected = QueueCounts { queues: 2, messages: 1, ..QueueCounts::default() };
        assert_eq!(counts(&store), expected, "time {time}");
        for record in [&first, &second] {
            let keys =
                vec![QueueKey::Recipient(record.recipient.clone()), QueueKey::Sender(record.sender.clone())];
            for found in pollster::block_on(store.look_up(keys)).expect("the store works") {
                let found = found.expect("readable").expect("the queue is there");
                assert_eq!(describe_record(&found), describe_record(record), "time {time}");
            }
        }
    }
    let database = fjall::Database::builder(folder.path()).open().expect("the database below");
    let meta = database.keyspace("meta", fjall::KeyspaceCreateOptions::default).expect("a keyspace");
    assert_eq!(meta.get("format").expect("readable").as_deref(), Some(&[0, 2][..]));
    drop((meta, database));
    let store = open(folder.path()).expect("the new format");
    let ops = vec![
        samples::set_link(1, samples::link(1), samples::link_data(1, 1)),
        samples::set_notifier(1, 1),
        samples::append(1, 9, 9),
        samples::acknowledge(1, 7),
        samples::find_service(1, ServiceRole::Messaging),
        samples::subscribe(1, Some(1)),
    ];
    let results = run_now(&store, ops).expect("the store works");
    assert!(
        matches!(&results[..2], [OpResult::Done, OpResult::Released { notifier: None, service: None }]),
        "{results:?}"
    );
    assert!(matches!(&results[3], OpResult::Acknowledged { deleted: Some(false), next: Some(_) }));
    assert!(matches!(&results[5], OpResult::Subscribed { has_messages: true, former: None, .. }));
    drop(store);
    let store = open(folder.path()).expect("old and new records");
    let expected = QueueCounts {
        queues: 2,
        messages: 1,
        notifiers: 1,
        notifications: 1,
        services: 1,
        messaging_services: 1,
        messaging_service_queues: 1,
        ..QueueCounts::default()
    };
    assert_eq!(counts(&store), expected);
    let text = run_one(&store, samples::take_notifications(1, 1, 9));
    assert!(text.contains("at 9000"), "{text}");
}

#[test]
fn services_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = QueueRecord {
        service: Some(samples::service_id(1)),
        notifier: Some(samples::notifier_of(1, 2)),
        ..samples::queue(1)
    };
    let ops = vec![
        samples::find_service(1, ServiceRole::Messaging),
        samples::find_service(2, ServiceRole::Notifier),
        samples::create_as(record),
        // Its service loses and gains the same queue in one operation.
        samples::set_notifier_as(1, samples::notifier_of(7, 2)),
        samples::append(1, 9, 9),
    ];
    run_now(&open(folder.path()).expect("a new store"), ops).expect("the store works");
    let store = open(folder.path()).expect("it is there");
    let ops = vec![
        samples::find_service(1, ServiceRole::Messaging),
        samples::find_service(2, ServiceRole::Messaging),
        samples::count_service(1),
        samples::count_service(2),
        samples::scan_service(1, None, 9),
        samples::scan_service(2, None, 9),
    ];
    let results = run_now(&store, ops).expect("the store works");
    let queue = samples::recipient(1);
    let scanned = |notifier| OpResult::Scanned { queues: vec![(queue.clone(), notifier)], next: None };
    let expected = [
        OpResult::Service(samples::service_id(1)),
        OpResult::Unauthorized,
        OpResult::ServiceQueues(set_of(&queue)),
        OpResult::ServiceQueues(set_of(&samples::notifier_id(7))),
        scanned(None),
        scanned(Some(samples::notifier_id(7))),
    ];
    assert_eq!(
        results.iter().map(describe).collect::<Vec<_>>(),
        expected.iter().map(describe).collect::<Vec<_>>()
    );
}

#[test]
fn damaged_files_are_refused() {
    let damages: [(&str, &[u8]); 4] = [
        ("version", b"???"),
        ("version", b"FJL\x09"),
        ("keyspaces/0/current", b"?"),
        ("keyspaces/0/current", b""),
    ];
    for (name, bytes) in damages {
        let folder = tempfile::tempdir().expect("a folder");
        drop(open(folder.path()).expect("a new store"));
        fs::write(folder.path().join(name), bytes).expect("written");
        let error = Embedded::open(folder.path(), EmbeddedOptions::default()).err();
        let error = error.unwrap_or_else(|| panic!("{name} with {bytes:?} was opened"));
        let message = error.to_string();
        assert!(message.contains(&folder.path().display().to_string()), "{message}");
    }
}

#[test]
fn who_waits_for_readiness_is_never_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = EmbeddedOptions { queue_bytes: 1, ..EmbeddedOptions::default() };
    let store = Embedded::open(folder.path(), options).expect("a new store");
    for number in 0..50 {
        pollster::block_on(store.ready());
        let reply = store.run(vec![samples::create(number)]);
        pollster::block_on(reply).expect("there was room");
    }
    assert_eq!(counts(&store).queues, 50);
}

#[cfg(unix)]
#[test]
fn the_folder_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    drop(open(&path).expect("a new store"));
    let mode = fs::metadata(path).expect("the folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
