//! What opening refuses, and with which words.

use std::fs;
use std::path::Path;

use smp_core::server::store::{OpResult, QueueCounts, QueueOp};
use smp_storage::conformance::{run_now, samples};
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
    meta.insert("format", 2_u16.to_be_bytes()).expect("written");
    drop((meta, database));
    let error = refusal(folder.path(), EmbeddedOptions::default(), "use a newer version");
    assert!(matches!(error, OpenError::Newer { found: 2, .. }));
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
