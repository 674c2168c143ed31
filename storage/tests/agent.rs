//! Every store of agents against one suite.
#![cfg(feature = "sqlite")]

use std::fs;
use std::path::Path;

use quickcheck::{Arbitrary, Gen};
use smp_core::agent::store::MemoryAgentStore;
use smp_storage::agent::{AgentStore, SqliteAgentStore, SqliteOptions};
use smp_storage::conformance::agent::{RandomBatches, compare_random, compare_state, run_scenarios};

fn open(folder: &Path) -> SqliteAgentStore {
    SqliteAgentStore::open(folder.join("agent.db"), &SqliteOptions::default()).expect("a database")
}

#[test]
fn memory_keeps_the_promises() {
    run_scenarios(MemoryAgentStore::new);
}

#[test]
fn sqlite_keeps_the_promises() {
    let mut folders = Vec::new();
    run_scenarios(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        folders.push(folder);
        store
    });
}

#[test]
fn sqlite_does_as_the_reference() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().expect("a folder");
        let reopen = |store| {
            drop(store);
            open(folder.path())
        };
        let taken = compare_random(open(folder.path()), reopen, seed, 300);
        assert!(taken.done > 100 && taken.refused > 20, "{taken:?}");
    }
}

/// A failure names its seed.
#[test]
fn sqlite_does_as_the_reference_for_any_seed() {
    let random = &mut Gen::new(1);
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let reopen = |store| {
            drop(store);
            open(folder.path())
        };
        compare_random(open(folder.path()), reopen, u64::arbitrary(random), 40);
    }
}

/// The files of a store that is open are what a process leaves that is killed there.
#[test]
fn what_was_answered_is_there_after_a_crash() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, mut reference) = (open(folder.path()), MemoryAgentStore::new());
    let mut batches = RandomBatches::new(11);
    for number in 0..200 {
        let ops = batches.next_batch();
        assert_eq!(store.run(ops.clone()), reference.run(ops), "batch {number}");
        if number % 20 == 0 {
            let copy = tempfile::tempdir().expect("a folder");
            for name in ["agent.db", "agent.db-wal"] {
                fs::copy(folder.path().join(name), copy.path().join(name)).expect("a copy");
            }
            compare_state(&mut open(copy.path()), &reference, &format!("batch {number}"));
        }
    }
}
