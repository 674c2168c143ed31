//! Stores of processes that are killed, and of a disk that is full.
//!
//! This test is its own harness, because it runs itself again as the process that dies: the child works on a
//! store and prints the number of each operation that was answered, the parent kills it and looks at what is
//! left.

// This program speaks through its standard output, as a test harness does.
#![allow(clippy::print_stdout, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use smp_core::server::store::{OpResult, QueueCounts, QueueKey, QueueOp, QueueRecord, set_of};
use smp_core::wire::{EntityId, QueueMode, QueueSet, ServiceRole};
use smp_storage::conformance::samples::{
    acknowledge, append_as, body, count_service, create, create_as, find_service, full_queue, link,
    link_data, message_id, read_link, recipient, scan_service, service_id, set_link, subscribe,
    subscribe_notifier, take_notifications,
};
use smp_storage::conformance::{describe, run_now};
use smp_storage::{Backend, Durability, Embedded, EmbeddedOptions};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["work-until-killed", path, policy, start] => work_until_killed(path.as_ref(), policy, parse(start)),
        ["work-until-full", path] => work_until_full(path.as_ref()),
        _ => {
            run_tests();
            ExitCode::SUCCESS
        }
    }
}

fn run_tests() {
    for policy in ["always", "interval", "on-exit"] {
        killed_under_load_loses_nothing(policy, 4);
        println!("test killed_under_load_loses_nothing ({policy}) ... ok");
    }
    full_disk_fails_and_loses_nothing();
    println!("test full_disk_fails_and_loses_nothing ... ok");
    println!("4 passed, 0 failed");
}

const QUEUES: u64 = 10;
/// A message is acknowledged when this many later ones were appended.
const LAG: u64 = 200;

/// Every third message comes with new data for the link of its queue.
const LINK_EVERY: u64 = 3;

/// With every third message another service subscribes to its queue, or none, and to its notifier.
const SERVICE_EVERY: u64 = 3;
/// Services 1 and 2 receive messages, 3 and 4 are notified.
const SERVICES: [(u64, ServiceRole); 4] = [
    (1, ServiceRole::Messaging),
    (2, ServiceRole::Messaging),
    (3, ServiceRole::Notifier),
    (4, ServiceRole::Notifier),
];

/// Message `n` goes to queue `n % QUEUES`, and odd ones are notified, but nobody takes the notifications. Several batches
/// are always under way, so that groups form.
fn work_until_killed(path: &Path, policy: &str, start: u64) -> ExitCode {
    let store = open(path, policy);
    if start == 0 {
        let queue = |number| QueueRecord { mode: Some(QueueMode::Contact), ..full_queue(number) };
        run_now(&store, (0..QUEUES).map(queue).map(create_as).collect()).expect("the store works");
        let services = SERVICES.map(|(number, role)| find_service(number, role));
        run_now(&store, services.to_vec()).expect("the store works");
    }
    let mut under_way = std::collections::VecDeque::new();
    let mut moved = 0;
    let mut out = std::io::stdout().lock();
    for number in start.. {
        let mut ops = vec![large(number)];
        if let Some(old) = number.checked_sub(LAG) {
            ops.push(acknowledge(old % QUEUES, old));
        }
        if number % LINK_EVERY == 0 {
            ops.push(set_link(number % QUEUES, link(number % QUEUES), link_data(1, number)));
        }
        if let Some([messaging, notifier]) = subscribers(number) {
            let queue = number % QUEUES;
            ops.push(subscribe(queue, messaging));
            ops.push(subscribe_notifier(queue, queue, notifier));
        }
        under_way.push_back((number, store.run(ops)));
        if under_way.len() > 8
            && let Some((number, reply)) = under_way.pop_front()
        {
            let results = pollster::block_on(reply).expect("the store works");
            assert!(matches!(results[0], OpResult::Appended(_)), "{}", describe(&results[0]));
            let is_refused = |result: &OpResult| matches!(result, OpResult::Unauthorized | OpResult::Failed);
            assert!(!results.iter().any(is_refused), "message {number}: {results:?}");
            moved += moves(number, &results);
            // The pipe is full or broken when the parent has gone.
            if writeln!(out, "{number} {moved}").and_then(|()| out.flush()).is_err() {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Who subscribes with a message to its queue, and who to its notifier.
fn subscribers(number: u64) -> Option<[Option<u64>; 2]> {
    let steps = [[None, Some(3)], [Some(1), Some(4)], [Some(2), None]];
    number.is_multiple_of(SERVICE_EVERY).then(|| steps[(number / SERVICE_EVERY % 3) as usize])
}

/// How many queues and notifiers went from one service to another with a message.
fn moves(number: u64, results: &[OpResult]) -> usize {
    let [messaging, notifier] = subscribers(number).unwrap_or_default();
    let is_move = |former: &Option<EntityId>, service: Option<u64>| {
        former.is_some() && service.is_some_and(|service| *former != Some(service_id(service)))
    };
    let moves = results.iter().filter(|result| match result {
        OpResult::Subscribed { former, .. } => is_move(former, messaging),
        OpResult::NotifierSubscribed { former, .. } => is_move(former, notifier),
        _ => false,
    });
    moves.count()
}

fn killed_under_load_loses_nothing(policy: &str, rounds: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut start = 0;
    for round in 0..rounds {
        let path = folder.path().to_str().expect("a path in UTF-8");
        let mut child = spawn(&["work-until-killed", path, policy, &start.to_string()]);
        let mut answered = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        // So many operations, whatever time they take; then the child dies in the middle of others.
        let count = 150 + 67 * round;
        let mut last = None;
        for _ in 0..count {
            last = answer(&answered.next().expect("the child works").expect("readable"));
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        last = answered.map_while(Result::ok).filter_map(|line| answer(&line)).last().or(last);
        let (last, moved) = last.expect("a number, and how many moved");
        // Each queue had each of its services at least once.
        assert!(moved >= 2 * QUEUES, "{moved} queues and notifiers went from one service to another");
        start = verify(folder.path(), policy, last);
    }
}

/// What the child prints of an answer; nothing if it died meanwhile.
fn answer(line: &str) -> Option<(u64, u64)> {
    let (number, moved) = line.split_once(' ')?;
    Some((number.parse().ok()?, moved.parse().ok()?))
}

/// Every answered message that was not acknowledged is there, whole and in order. Returns the first number
/// that is free.
fn verify(path: &Path, policy: &str, last_answered: u64) -> u64 {
    let store = open(path, policy);
    let queues: Vec<_> = (0..QUEUES).map(|queue| drain(&store, queue)).collect();
    let mut messages = queues.concat();
    messages.sort_unstable();
    let (first, end) = (messages[0], messages[messages.len() - 1] + 1);
    assert!(
        end > last_answered,
        "message {last_answered} was answered, and the last one there is {}",
        end - 1
    );
    // An acknowledgement that was under way may have taken effect, but none that was not handed over.
    assert!(first <= (last_answered + 10).saturating_sub(LAG), "message {first} is the first that is left");
    assert_eq!(messages, (first..end).collect::<Vec<_>>(), "there is a gap");
    for (queue, numbers) in (0..).zip(&queues) {
        assert!(numbers.is_sorted(), "the order of queue {queue}");
        check_notifications(&store, queue, numbers);
        check_link(&store, queue, numbers, end - 1);
    }
    let [messaging_service_queues, notifier_service_queues] = check_services(&store);
    let expected = QueueCounts {
        queues: QUEUES,
        notifiers: QUEUES,
        services: 4,
        messaging_services: 2,
        messaging_service_queues,
        notifier_services: 2,
        notifier_service_queues,
        ..QueueCounts::default()
    };
    assert_eq!(count(&store), expected, "the counters agree with what was there");
    // The next round acknowledges what it finds, so it is put back.
    let refill = messages.iter().map(|&number| large(number)).collect();
    run_now(&store, refill).expect("the store works");
    check_scans(&store);
    pollster::block_on(store.close()).expect("everything is durable");
    end
}

/// The last messages were notified with their messages, or neither is there. Deletes the notifications.
fn check_notifications(store: &Embedded, queue: u64, messages: &[u64]) {
    let odd: Vec<_> = messages.iter().copied().filter(|number| number % 2 == 1).collect();
    let results = run_now(store, vec![take_notifications(queue, queue, 9)]).expect("the store works");
    let [OpResult::Notifications(pending)] = &results[..] else { panic!("no notifications: {results:?}") };
    let notified: Vec<_> =
        pending.notifications.iter().map(|of| of.sent_at.as_secs().unsigned_abs()).collect();
    assert_eq!(notified, odd[odd.len().saturating_sub(3)..], "the notifications of queue {queue}");
}

/// The link shows the data that came with a message, which only for the very last one may be missing.
fn check_link(store: &Embedded, queue: u64, messages: &[u64], last: u64) {
    let results = run_now(store, vec![read_link(queue, None)]).expect("the store works");
    let [OpResult::Link { data, .. }] = &results[..] else { panic!("no link: {results:?}") };
    let with_data: Vec<_> = messages.iter().copied().filter(|number| number % LINK_EVERY == 0).collect();
    let number = with_data.iter().rev().find(|&&number| **data == link_data(1, number));
    let number = number.unwrap_or_else(|| panic!("queue {queue} shows what was never set"));
    let newer: Vec<_> = with_data.iter().filter(|other| *other > number).collect();
    assert!(newer.is_empty() || newer == [&last], "queue {queue} shows {number}, and {newer:?} came later");
}

/// Each service has the queues or notifiers whose records name it: a record and the set of its service changed
/// together. How many there are of each role.
fn check_services(store: &Embedded) -> [u64; 2] {
    let mut counted = [0, 0];
    for (number, role) in SERVICES {
        let of_it = of_service(store, number, role);
        let ids = of_it.iter().map(|(queue, notifier)| notifier.as_ref().unwrap_or(queue));
        let set = ids.fold(QueueSet::EMPTY, |set, id| set.plus(set_of(id)));
        counted[usize::from(role == ServiceRole::Notifier)] += of_it.len() as u64;
        let ops = vec![count_service(number), find_service(number, role)];
        let results = run_now(store, ops).expect("the store works");
        let [OpResult::ServiceQueues(found), OpResult::Service(id)] = &results[..] else {
            panic!("{results:?}")
        };
        assert_eq!((*found, id), (set, &service_id(number)), "the queues of service {number}");
    }
    counted
}

/// Something waits in each queue, and odd messages, which go to queues with odd numbers, were notified: scans find
/// these.
fn check_scans(store: &Embedded) {
    for (number, role) in SERVICES {
        let mut expected = of_service(store, number, role);
        let is_odd = |queue: &EntityId| (1..QUEUES).step_by(2).any(|odd| recipient(odd) == *queue);
        expected.retain(|(queue, notifier)| notifier.is_none() || is_odd(queue));
        expected.sort();
        let results = run_now(store, vec![scan_service(number, None, 100)]).expect("the store works");
        let [OpResult::Scanned { queues, next: None }] = &results[..] else { panic!("{results:?}") };
        assert_eq!(*queues, expected, "what waits for service {number}");
    }
}

/// The queues whose records name a service, with their notifiers if it is these that it has.
fn of_service(store: &Embedded, number: u64, role: ServiceRole) -> Vec<(EntityId, Option<EntityId>)> {
    let keys = (0..QUEUES).map(|number| QueueKey::Recipient(recipient(number))).collect();
    let found = pollster::block_on(store.look_up(keys)).expect("the store works");
    let service = Some(service_id(number));
    let entry = |record: QueueRecord| {
        let notifier = record.notifier.expect("all have one");
        match role {
            ServiceRole::Notifier => {
                (notifier.service == service).then_some((record.recipient, Some(notifier.id)))
            }
            _ => (record.service == service).then_some((record.recipient, None)),
        }
    };
    found.into_iter().filter_map(|found| entry(found.expect("readable").expect("it is there"))).collect()
}

/// Reads and deletes all messages of a queue, and returns their numbers.
fn drain(store: &Embedded, queue: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut next = first_message(store, queue);
    while let Some(number) = next {
        numbers.push(number);
        let mut results = run_now(store, vec![acknowledge(queue, number)]).expect("the store works");
        next = match results.pop() {
            Some(OpResult::Acknowledged { deleted: Some(false), next }) => {
                next.map(|next| check(&next.message))
            }
            other => panic!("not acknowledged: {}", other.as_ref().map(describe).unwrap_or_default()),
        };
    }
    numbers
}

fn first_message(store: &Embedded, queue: u64) -> Option<u64> {
    let results =
        run_now(store, vec![smp_storage::conformance::samples::peek(queue)]).expect("the store works");
    match &results[..] {
        [OpResult::Message(first)] => first.as_ref().map(|first| check(&first.message)),
        other => panic!("not read: {other:?}"),
    }
}

/// The number of a message, which must be as it was sent.
fn check(message: &smp_core::server::store::StoredMessage) -> u64 {
    let number = u64::try_from(message.sent_at.as_secs()).expect("a number");
    assert!(message.id == message_id(number), "the id of message {number}");
    let smp_core::server::store::MessageContent::Message { body, .. } = &message.content else {
        panic!("message {number} is a marker");
    };
    assert!(*body == large_body(number), "the body of message {number}");
    number
}

/// Appends until the file system takes no more: here a limit on the size of files, which needs no rights.
fn work_until_full(path: &Path) -> ExitCode {
    let store = open(path, "always");
    run_now(&store, (0..QUEUES).map(create).collect()).expect("the store works");
    let limit = rustix::process::Rlimit { current: Some(2 << 20), maximum: Some(2 << 20) };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).expect("a limit may be lowered");
    let mut answered = None;
    for number in 0..1000 {
        match run_now(&store, vec![large(number)]) {
            Ok(_) => answered = Some(number),
            Err(_) => break,
        }
    }
    let answered = answered.expect("there was room for one message");
    assert!(answered < 200, "the limit was reached");
    assert!(run_now(&store, vec![QueueOp::Count]).is_err(), "everything after a failure fails");
    assert!(pollster::block_on(store.look_up(Vec::new())).is_err(), "look-ups too");
    assert!(pollster::block_on(store.close()).is_err(), "a close says that something was not written");
    println!("{answered}");
    ExitCode::SUCCESS
}

fn full_disk_fails_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    // The signal that comes with the limit would end the child; ignoring it is inherited.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" work-until-full \"$1\""])
        .arg(std::env::current_exe().expect("this program"))
        .arg(folder.path())
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
    let answered = parse(text.trim());
    let store = open(folder.path(), "always");
    let mut messages: Vec<u64> = (0..QUEUES).flat_map(|queue| drain(&store, queue)).collect();
    messages.sort_unstable();
    let end = messages.len() as u64;
    assert_eq!(messages, (0..end).collect::<Vec<_>>());
    assert!(end > answered, "message {answered} was answered, and {end} are there");
    assert!(end <= answered + 2, "at most the message that failed is there besides");
}

fn open(path: &Path, policy: &str) -> Embedded {
    let durability = match policy {
        "always" => Durability::Always,
        "interval" => Durability::Interval(Duration::from_millis(20)),
        _ => Durability::OnExit,
    };
    let options = EmbeddedOptions { durability, ..EmbeddedOptions::default() };
    Embedded::open(path, options).expect("a store can be opened after whatever happened")
}

/// Message `number` with a body of full size.
fn large(number: u64) -> QueueOp {
    append_as(number % QUEUES, number, 1000, |op| op.body = large_body(number))
}

fn large_body(number: u64) -> bytes::Bytes {
    body(number, 16_048)
}

fn count(store: &Embedded) -> QueueCounts {
    match run_now(store, vec![QueueOp::Count]).as_deref() {
        Ok([OpResult::Counts(counts)]) => *counts,
        other => panic!("not counted: {other:?}"),
    }
}

fn spawn(arguments: &[&str]) -> Child {
    let this = std::env::current_exe().expect("this program");
    Command::new(this).args(arguments).stdout(Stdio::piped()).spawn().expect("a child")
}

fn parse(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}
