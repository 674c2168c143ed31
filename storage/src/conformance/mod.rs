//! What every store must do, as functions that the tests of a store call.
//!
//! [`run_scenarios`] tries one promise after the other on a fresh store; [`compare_random`] carries out
//! random operations on a store and on [`MemoryStore`] and compares every result and the state that is left.
//! They panic when the store is wrong, and a failure of the random comparison names its seed. Stores of agents have the same in
//! [`agent`].
//!
//! ```
//! use smp_storage::Memory; // or a store of your own
//! use smp_storage::conformance::{compare_random, run_scenarios};
//!
//! run_scenarios(Memory::new);
//! compare_random(Memory::new(), |store| store, 1, 10); // `reopen` is for stores that keep something
//! ```
//!
//! [`MemoryStore`]: smp_core::server::store::MemoryStore

pub mod agent;
mod random;
pub mod samples;
mod scenarios;
mod visits;

pub use random::{RandomOps, compare_random, compare_state};
pub use scenarios::run_scenarios;
pub use visits::{expire_all, scan};

use std::fmt::Write;

use smp_core::server::store::{
    BatchReply, MessageContent, Notification, NotifierRef, OpResult, QueueCounts, QueueOp, QueueRecord,
    StoredMessage, Waiting,
};
use smp_core::wire::EntityId;

use crate::Backend;

/// Runs operations and waits for the reply.
pub fn run_now(store: &impl Backend, ops: Vec<QueueOp>) -> BatchReply {
    pollster::block_on(store.run(ops))
}

/// Runs one operation, which must not fail, and describes its result.
///
/// # Panics
/// When the store fails, or does not give one result.
pub fn run_one(store: &impl Backend, op: QueueOp) -> String {
    let results = run_now(store, vec![op]).expect("the store works");
    assert_eq!(results.len(), 1, "one result for one operation");
    describe(&results[0])
}

/// All that a result says, as text for comparison. It shows ids, keys and bodies: of samples only.
#[must_use]
pub fn describe(result: &OpResult) -> String {
    match result {
        OpResult::Appended(appended) => format!(
            "appended to empty {}: {}, service {}, another lost {}, notifies {}",
            appended.was_empty,
            describe_waiting(&appended.message),
            describe_id(appended.service.as_ref()),
            appended.notification_lost,
            describe_notifier(appended.notifier.as_ref())
        ),
        OpResult::Message(first) => format!("message {}", describe_next(first.as_ref())),
        OpResult::Acknowledged { deleted, next } => {
            format!("acknowledged {deleted:?}, next {}", describe_next(next.as_ref()))
        }
        OpResult::Inspected(inspected) => format!(
            "inspected: secured {}, notifier {}, {} messages, first {}",
            inspected.secured,
            inspected.has_notifier,
            inspected.messages,
            inspected.first.as_ref().map_or_else(|| "none".into(), describe_message)
        ),
        OpResult::Released { notifier, service } => {
            let of =
                service.as_ref().map_or_else(String::new, |id| format!(", service {}", hex(id.as_bytes())));
            format!("released {}{of}", describe_notifier(notifier.as_ref()))
        }
        OpResult::Subscribed { .. }
        | OpResult::NotifierSubscribed { .. }
        | OpResult::Service(_)
        | OpResult::ServiceQueues(_)
        | OpResult::Scanned { .. } => describe_of_service(result),
        OpResult::Link { sender, data } => {
            format!("link of {}: {} {}", hex(sender.as_bytes()), hex(&data.fixed), hex(&data.user))
        }
        OpResult::Notifications(pending) => {
            let of =
                |of: &Notification| format!("{} at {}", hex(of.message.as_bytes()), of.sent_at.as_millis());
            let all: Vec<_> = pending.notifications.iter().map(of).collect();
            format!("notifications {all:?}, more {}, secret {}", pending.more, hex(pending.secret.as_bytes()))
        }
        OpResult::Expired { deleted, next } => {
            format!("expired {deleted}, next {}", describe_id(next.as_ref()))
        }
        OpResult::Counts(counts) => describe_counts(*counts),
        OpResult::Moderated { service } => format!("moderated, service {}", describe_id(service.as_ref())),
        OpResult::Done
        | OpResult::IdTaken
        | OpResult::Unauthorized
        | OpResult::Blocked(_)
        | OpResult::QuotaExceeded
        | OpResult::Failed => format!("{result:?}"),
    }
}

/// The results that services may have.
fn describe_of_service(result: &OpResult) -> String {
    match result {
        OpResult::Subscribed { message, has_messages, former } => format!(
            "subscribed: {has_messages} {}, former {}",
            describe_next(message.as_ref()),
            describe_id(former.as_ref())
        ),
        OpResult::NotifierSubscribed { has_notifications, former } => {
            format!("notifier subscribed: {has_notifications}, former {}", describe_id(former.as_ref()))
        }
        OpResult::Service(id) => format!("service {}", hex(id.as_bytes())),
        OpResult::ServiceQueues(set) => format!("{} queues, hash {}", set.count, hex(&set.hash.0)),
        OpResult::Scanned { queues, next } => {
            let of = |(queue, notifier): &(EntityId, Option<EntityId>)| {
                format!("{} {}", hex(queue.as_bytes()), describe_id(notifier.as_ref()))
            };
            let all: Vec<_> = queues.iter().map(of).collect();
            format!("scanned {all:?}, next {}", describe_id(next.as_ref()))
        }
        other => format!("{other:?}"),
    }
}

/// What there is none of is left out: of most tests.
fn describe_counts(counts: QueueCounts) -> String {
    let mut text = format!("{} queues, {} messages", counts.queues, counts.messages);
    let mut add = |numbers: [u64; 2], names: [&str; 2]| {
        if numbers != [0, 0] {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {} {}, {} {}", numbers[0], names[0], numbers[1], names[1]);
        }
    };
    add([counts.notifiers, counts.notifications], ["notifiers", "notifications"]);
    let (services, queues) = (counts.messaging_services, counts.messaging_service_queues);
    add([services, queues], ["messaging services", "queues of theirs"]);
    let (services, notifiers) = (counts.notifier_services, counts.notifier_service_queues);
    add([services, notifiers], ["notifier services", "notifiers of theirs"]);
    let proxies = i128::from(counts.services)
        - i128::from(counts.messaging_services)
        - i128::from(counts.notifier_services);
    if proxies != 0 {
        let _ = write!(text, ", {proxies} proxies");
    }
    text
}

/// All that a record says, as text for comparison.
#[must_use]
pub fn describe_record(record: &QueueRecord) -> String {
    format!(
        "{} {} {:?} {} {:?} {:?} {:?} {:?} {} {:?} {:?} {}",
        hex(record.recipient.as_bytes()),
        hex(record.sender.as_bytes()),
        record.recipient_keys,
        hex(record.secret.as_bytes()),
        record.sender_key,
        record.mode,
        record.status,
        record.used_on,
        describe_id(record.link.as_ref()),
        record.notifier.as_ref().map(|of| (hex(of.id.as_bytes()), of.key, hex(of.secret.as_bytes()))),
        record.notifier.as_ref().map(|of| describe_id(of.service.as_ref())),
        describe_id(record.service.as_ref())
    )
}

fn describe_notifier(notifier: Option<&NotifierRef>) -> String {
    let id = describe_id(notifier.map(|notifier| &notifier.id));
    match notifier.and_then(|notifier| notifier.service.as_ref()) {
        Some(service) => format!("{id} of service {}", hex(service.as_bytes())),
        None => id,
    }
}

fn describe_id(id: Option<&EntityId>) -> String {
    id.map_or_else(|| "none".into(), |id| hex(id.as_bytes()))
}

fn describe_next(waiting: Option<&Waiting>) -> String {
    waiting.map_or_else(|| "none".into(), describe_waiting)
}

fn describe_waiting(waiting: &Waiting) -> String {
    format!("{} with secret {}", describe_message(&waiting.message), hex(waiting.secret.as_bytes()))
}

fn describe_message(message: &StoredMessage) -> String {
    let content = match &message.content {
        MessageContent::Quota => "quota".into(),
        MessageContent::Message { notification, body } => {
            format!("notify {notification}, body {}", hex(body))
        }
    };
    format!("{} at {}: {content}", hex(message.id.as_bytes()), message.sent_at.as_millis())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
