//! Every store of this crate against one suite.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use smp_core::server::store::{MemoryStore, OpResult, QueueCounts, QueueKey, QueueOp, StoreFailure};
use smp_storage::conformance::{
    RandomOps, compare_random, compare_state, describe, run_now, run_scenarios, samples,
};
use smp_storage::{Backend, Call, CallKind, Durability, Embedded, EmbeddedOptions, Fault, Faulty, Memory};
use tempfile::TempDir;

/// An embedded store in a folder that goes with it.
struct InFolder {
    store: Embedded,
    folder: TempDir,
    durability: Durability,
}

impl InFolder {
    fn new(durability: Durability) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { store: open(folder.path(), durability), folder, durability }
    }

    fn reopen(self) -> Self {
        let Self { store, folder, durability } = self;
        drop(store);
        Self { store: open(folder.path(), durability), folder, durability }
    }
}

fn open(path: &Path, durability: Durability) -> Embedded {
    let options = EmbeddedOptions { durability, cache_bytes: 4 << 20, ..EmbeddedOptions::default() };
    Embedded::open(path, options).expect("a store in a new folder")
}

const POLICIES: [Durability; 3] =
    [Durability::Always, Durability::Interval(Duration::from_millis(5)), Durability::OnExit];

#[test]
fn memory_keeps_the_promises() {
    run_scenarios(Memory::new);
}

#[test]
fn memory_does_as_the_reference() {
    (0..20).for_each(|seed| compare_random(Memory::new(), |store| store, seed, 300));
}

#[test]
fn embedded_keeps_the_promises() {
    let mut folders = Vec::new();
    for durability in POLICIES {
        run_scenarios(|| {
            let InFolder { store, folder, .. } = InFolder::new(durability);
            folders.push(folder);
            store
        });
    }
}

#[test]
fn embedded_does_as_the_reference() {
    for (seed, durability) in (0..6).zip(POLICIES.into_iter().cycle()) {
        let InFolder { store, folder, .. } = InFolder::new(durability);
        let reopen = |store| {
            drop(store);
            open(folder.path(), durability)
        };
        compare_random(store, reopen, seed, 300);
    }
}

#[test]
fn embedded_does_as_the_reference_with_many_batches_in_one_group() {
    let mut place = InFolder::new(Durability::Always);
    let mut reference = MemoryStore::new();
    let mut ops = RandomOps::new(77);
    for round in 0..20 {
        let mut calls = Vec::new();
        for _ in 0..30 {
            let batch = ops.batch(&mut reference);
            let expected = reference.run(batch.clone());
            calls.push((place.store.run(batch), expected));
        }
        for (reply, expected) in calls {
            let results = pollster::block_on(reply).expect("the store works");
            let text = |results: &[_]| results.iter().map(describe).collect::<Vec<_>>();
            assert_eq!(text(&results), text(&expected), "round {round}");
        }
        if round % 7 == 0 {
            place = place.reopen();
        }
    }
    compare_state(&place.store, &mut reference, "at the end");
}

#[test]
fn nothing_is_left_of_deleted_queues() {
    let InFolder { store, folder, .. } = InFolder::new(Durability::OnExit);
    let mut reference = MemoryStore::new();
    let mut ops = RandomOps::new(8);
    for _ in 0..600 {
        let batch = ops.batch(&mut reference);
        reference.run(batch.clone());
        run_now(&store, batch).expect("the store works");
    }
    let delete = |number| QueueOp::Delete { queue: samples::recipient(number), by: None };
    let mut batch: Vec<_> = (0..100).map(delete).collect();
    batch.push(QueueOp::Count);
    let results = run_now(&store, batch).expect("the store works");
    let Some(OpResult::Counts(counts)) = results.last() else { panic!("no counters") };
    // Services are known for good; they have nothing.
    let QueueCounts { services, messaging_services, notifier_services, .. } = *counts;
    let only_services =
        QueueCounts { services, messaging_services, notifier_services, ..QueueCounts::default() };
    assert_eq!(*counts, only_services);
    drop(store);
    let database = fjall::Database::builder(folder.path()).open().expect("the database below");
    let mut names: Vec<_> = database.list_keyspace_names().iter().map(ToString::to_string).collect();
    names.sort_unstable();
    for name in &names {
        let keyspace = database.keyspace(name, fjall::KeyspaceCreateOptions::default).expect("a keyspace");
        let is_empty = keyspace.is_empty().expect("readable");
        let is_kept = ["meta", "services", "certificates"].contains(&name.as_str());
        assert_eq!(is_empty, !is_kept, "{name}");
    }
    assert_eq!(names.len(), 12, "{names:?}");
}

#[test]
fn faulty_stores_without_faults_keep_the_promises() {
    run_scenarios(|| Faulty::from(Memory::new()));
    let mut folders = Vec::new();
    run_scenarios(|| {
        let InFolder { store, folder, .. } = InFolder::new(Durability::Always);
        folders.push(folder);
        Faulty::from(store)
    });
}

/// Scripted failures, by the number of the call: the effect and the reply of each must be as documented.
fn check_faults<B: Backend + 'static>(inner: B) {
    let mut reference = MemoryStore::new();
    let mut ops = RandomOps::new(5);
    let script = |call: Call<'_>| match (call.kind, call.number % 5) {
        (CallKind::Run(_), 1) => Fault::FailBefore,
        (CallKind::Run(_), 2) => Fault::LoseReply,
        (CallKind::Run(_), 3) => Fault::Delay(Box::pin(std::future::ready(()))),
        (CallKind::Run(ops), 4) => Fault::Crash { after_ops: ops.len() / 2 },
        _ => Fault::None,
    };
    let store = Faulty::new(inner, script);
    for number in 0..200 {
        let mut batch = ops.batch(&mut reference);
        let reply = run_now(&store, batch.clone());
        match number % 5 {
            1 => assert!(reply.is_err(), "call {number} fails"),
            fault @ (2 | 4) => {
                assert!(reply.is_err(), "the reply to call {number} is lost");
                batch.truncate(if fault == 4 { batch.len() / 2 } else { batch.len() });
                reference.run(batch);
            }
            _ => {
                let expected = reference.run(batch);
                let text = |results: &[_]| results.iter().map(describe).collect::<Vec<_>>();
                assert_eq!(reply.as_deref().map(text), Ok(text(&expected)), "call {number}");
            }
        }
        if number % 5 == 4 {
            assert!(store.has_crashed());
            assert!(run_now(&store, Vec::new()).is_err(), "nothing works after a crash");
            assert!(pollster::block_on(store.look_up(Vec::new())).is_err());
            store.restart();
        }
        compare_state(store.inner(), &mut reference, &format!("after call {number}"));
    }
}

#[test]
fn faults_of_a_store_in_memory_are_as_scripted() {
    check_faults(Memory::new());
}

#[test]
fn faults_of_an_embedded_store_are_as_scripted() {
    let InFolder { store, folder, .. } = InFolder::new(Durability::OnExit);
    check_faults(store);
    drop(folder);
}

#[test]
fn faults_of_syncs_are_as_scripted() {
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&syncs);
    // A store in which nothing fails, and which counts.
    let inner = Faulty::new(Memory::new(), move |call| {
        counted.fetch_add(matches!(call.kind, CallKind::Sync).into(), Ordering::Relaxed);
        Fault::None
    });
    let store = Faulty::new(inner, |call| match (call.kind, call.number) {
        (CallKind::Sync, 0) => Fault::FailBefore,
        (CallKind::Sync, 1) => Fault::LoseReply,
        (CallKind::Sync, 3) => Fault::Crash { after_ops: usize::MAX },
        _ => Fault::None,
    });
    let failed = Err(StoreFailure);
    for (reply, reached) in [(failed, 0), (failed, 1), (Ok(()), 2), (failed, 2), (failed, 2)] {
        assert_eq!(pollster::block_on(store.sync()), reply, "{reached}");
        assert_eq!(syncs.load(Ordering::Relaxed), reached);
    }
    store.restart();
    assert_eq!(pollster::block_on(store.sync()), Ok(()));
}

#[test]
fn a_delay_holds_the_reply_and_not_the_effect() {
    let (release, released) = futures_channel::oneshot::channel::<()>();
    let mut released = Some(released);
    let script = move |call: Call<'_>| match (call.kind, released.take()) {
        (CallKind::Run(_), Some(released)) => Fault::Delay(Box::pin(async move {
            // Both a message and a dropped sender release it.
            let _ = released.await;
        })),
        _ => Fault::None,
    };
    let store = Arc::new(Faulty::new(Memory::new(), script));
    let mut slow = Box::pin(store.run(vec![samples::create(1)]));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(slow.as_mut().poll(&mut context).is_pending());
    let key = QueueKey::Recipient(samples::recipient(1));
    let found = pollster::block_on(store.look_up(vec![key])).expect("the store works");
    assert!(matches!(found[0], Ok(Some(_))), "the effect is there");
    release.send(()).expect("someone waits");
    assert!(slow.as_mut().poll(&mut context).is_ready());
}
