//! Every store of agents against one suite.

use std::path::Path;

use smp_storage::agent::{MemoryAgentStore, SqliteAgentStore, SqliteOptions};
use smp_storage::conformance::agent::{compare_random, run_scenarios};

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
