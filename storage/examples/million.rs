//! Makes many queues, every tenth of them of a service, opens their store again and prints how long that took and
//! how much memory it needs.
//!
//! `cargo run --release -p smp-storage --example million -- FOLDER [QUEUES] [--keep]`; a million queues by
//! default. The folder must be new or empty, and is removed at the end unless it is to be kept.

// It is a program that prints.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use smp_core::server::store::{OpResult, QueueKey, QueueOp, QueueRecord};
use smp_core::wire::ServiceRole;
use smp_storage::conformance::samples;
use smp_storage::{Backend, Embedded, EmbeddedOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let queues: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let keep = arguments.next().as_deref() == Some("--keep");

    let store = Embedded::open(&folder, EmbeddedOptions::default())?;
    let start = Instant::now();
    pollster::block_on(create(&store, queues))?;
    let seconds = start.elapsed().as_secs_f64();
    println!("created {queues} queues in {seconds:.1} s, {:.0} a second", queues as f64 / seconds);
    report("while creating", &folder);
    let start = Instant::now();
    pollster::block_on(store.close())?;
    drop(store);
    println!("closed in {:.2} s", start.elapsed().as_secs_f64());
    report("after closing", &folder);

    let start = Instant::now();
    let store = Embedded::open(&folder, EmbeddedOptions::default())?;
    let results = pollster::block_on(store.run(vec![QueueOp::Count]))?;
    println!("opened in {:.2} s: {:?}", start.elapsed().as_secs_f64(), results[0]);
    report("after opening", &folder);
    if !matches!(&results[0], OpResult::Counts(counts) if counts.queues == queues) {
        return Err("queues are missing".into());
    }
    let (start, look_ups) = (Instant::now(), 100_000);
    for number in 0..look_ups {
        let key = QueueKey::Sender(samples::sender(number * 7919 % queues));
        if !matches!(pollster::block_on(store.look_up(vec![key]))?[..], [Ok(Some(_))]) {
            return Err("a queue is missing".into());
        }
    }
    let micros = start.elapsed().as_secs_f64() * 1e6;
    println!("looked up {look_ups} queues by sender id, {:.1} us each", micros / look_ups as f64);
    report("after looking up", &folder);
    let start = Instant::now();
    let scanned = pollster::block_on(scan(&store))?;
    println!("scanned the service in {:.2} s", start.elapsed().as_secs_f64());
    if scanned != queues.div_ceil(OF_SERVICE_EVERY) {
        return Err("queues of the service are missing".into());
    }
    pollster::block_on(store.close())?;
    if !keep {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

const OF_SERVICE_EVERY: u64 = 10;

/// As many batches as the store takes, 16 queues in each.
async fn create(store: &Embedded, queues: u64) -> Result<(), Box<dyn Error>> {
    store.run(vec![samples::find_service(1, ServiceRole::Messaging)]).await?;
    let create = |number| {
        let service = (number % OF_SERVICE_EVERY == 0).then(|| samples::service_id(1));
        samples::create_as(QueueRecord { service, ..samples::queue(number) })
    };
    let mut replies = std::collections::VecDeque::new();
    for first in (0..queues).step_by(16) {
        store.ready().await;
        replies.push_back(store.run((first..(first + 16).min(queues)).map(create).collect()));
        if replies.len() >= 64
            && let Some(reply) = replies.pop_front()
        {
            reply.await?;
        }
    }
    for reply in replies {
        reply.await?;
    }
    Ok(())
}

/// Visits all queues of the service, which are empty, and returns how many it has.
async fn scan(store: &Embedded) -> Result<u64, Box<dyn Error>> {
    let mut after = None;
    loop {
        let ops = vec![samples::scan_service(1, after, 1000), samples::count_service(1)];
        match &store.run(ops).await?[..] {
            [OpResult::Scanned { next: None, .. }, OpResult::ServiceQueues(set)] => {
                return Ok(set.count.unsigned_abs());
            }
            [OpResult::Scanned { next, .. }, _] => after = next.clone(),
            other => return Err(format!("not scanned: {other:?}").into()),
        }
    }
}

fn report(when: &str, folder: &Path) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or(" unknown").trim();
    println!("  {when}: {resident} of memory, {} MiB on disk", disk(folder) >> 20);
}

/// Bytes of the files in a folder.
fn disk(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
