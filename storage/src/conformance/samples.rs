//! Queues and operations to test stores with. The numbers in their names choose ids and keys.

use bytes::Bytes;
use smp_core::UnixTime;
use smp_core::crypto::DhSecret;
use smp_core::server::store::{
    Append, NotifierRecord, QueueChange, QueueOp, QueueRecord, QueueStatus, UnixDay,
};
use smp_core::wire::command::LinkData;
use smp_core::wire::error::{BlockingInfo, BlockingReason, Notice};
use smp_core::wire::{AuthPublicKey, EntityId, MessageId, QueueMode, ServiceRole};

/// The recipient id of a queue.
#[must_use]
pub fn recipient(queue: u64) -> EntityId {
    id(b'r', queue)
}

/// The sender id of a queue.
#[must_use]
pub fn sender(queue: u64) -> EntityId {
    id(b's', queue)
}

/// The id of the link data of a queue.
#[must_use]
pub fn link(queue: u64) -> EntityId {
    id(b'l', queue)
}

/// The id of a notifier.
#[must_use]
pub fn notifier_id(notifier: u64) -> EntityId {
    id(b'n', notifier)
}

/// The id of a service.
#[must_use]
pub fn service_id(service: u64) -> EntityId {
    id(b'v', service)
}

/// The fingerprint of a service's certificate.
#[must_use]
pub fn fingerprint(service: u64) -> [u8; 32] {
    bytes(b'f', service)
}

/// The recipient's key of a queue.
#[must_use]
pub fn recipient_key(queue: u64) -> AuthPublicKey {
    AuthPublicKey::Ed25519(bytes(b'k', queue))
}

/// A sender's key.
#[must_use]
pub fn sender_key(key: u64) -> AuthPublicKey {
    AuthPublicKey::X25519(bytes(b'x', key))
}

/// A notifier's key.
#[must_use]
pub fn notifier_key(notifier: u64) -> AuthPublicKey {
    AuthPublicKey::Ed25519(bytes(b'o', notifier))
}

/// The id of a message.
#[must_use]
pub fn message_id(message: u64) -> MessageId {
    let bytes: [u8; 32] = bytes(b'm', message);
    MessageId::new(&bytes[..24]).unwrap_or_default()
}

/// A notifier.
#[must_use]
pub fn notifier(notifier: u64) -> NotifierRecord {
    NotifierRecord {
        id: notifier_id(notifier),
        key: notifier_key(notifier),
        secret: DhSecret::new(bytes(b'e', notifier)),
        service: None,
    }
}

/// A notifier of a service.
#[must_use]
pub fn notifier_of(number: u64, service: u64) -> NotifierRecord {
    NotifierRecord { service: Some(service_id(service)), ..notifier(number) }
}

/// Data of a link, as large as fits into a block.
#[must_use]
pub fn link_data(fixed: u64, user: u64) -> LinkData {
    LinkData { fixed: body(fixed, 2000), user: body(user, 13_000) }
}

/// Why a queue is blocked.
#[must_use]
pub const fn blocking() -> BlockingInfo {
    BlockingInfo { reason: BlockingReason::Content, notice: Some(Notice { ttl: Some(86_400) }) }
}

/// A messaging queue that is not secured, without a link or a notifier.
#[must_use]
pub fn queue(queue: u64) -> QueueRecord {
    QueueRecord {
        recipient: recipient(queue),
        sender: sender(queue),
        recipient_keys: vec![recipient_key(queue)],
        secret: DhSecret::new(bytes(b'd', queue)),
        sender_key: None,
        mode: Some(QueueMode::Messaging),
        status: QueueStatus::Active,
        link: None,
        notifier: None,
        service: None,
        used_on: UnixDay(1),
    }
}

/// Creates a queue.
#[must_use]
pub fn create(number: u64) -> QueueOp {
    create_as(queue(number))
}

/// Creates a queue, with [`link_data`] of number 1 if it has a link id.
#[must_use]
pub fn create_as(record: QueueRecord) -> QueueOp {
    let link = record.link.is_some().then(|| Box::new(link_data(1, 1)));
    QueueOp::Create { record: Box::new(record), link }
}

/// A queue with a link and a notifier, which have its number.
#[must_use]
pub fn full_queue(number: u64) -> QueueRecord {
    QueueRecord { link: Some(link(number)), notifier: Some(notifier(number)), ..queue(number) }
}

/// Appends message `message`, sent in that second, to an unsecured queue. Its body is a function of its
/// number, and odd ones notify.
#[must_use]
pub fn append(queue: u64, message: u64, capacity: u32) -> QueueOp {
    append_as(queue, message, capacity, |_| ())
}

/// Appends a message as [`append`] does, but for what `edit` makes of it.
#[must_use]
pub fn append_as(queue: u64, message: u64, capacity: u32, edit: impl FnOnce(&mut Append)) -> QueueOp {
    let mut append = Append {
        queue: recipient(queue),
        by: None,
        id: message_id(message),
        sent_at: UnixTime::from_secs(i64::try_from(message).unwrap_or(i64::MAX)),
        notification: message % 2 == 1,
        body: body(message, 40),
        capacity,
        notification_capacity: 3,
    };
    edit(&mut append);
    QueueOp::Append(Box::new(append))
}

/// Reads the first message of a queue as its recipient.
#[must_use]
pub fn peek(queue: u64) -> QueueOp {
    QueueOp::Peek { queue: recipient(queue), by: Some(recipient_key(queue)), today: UnixDay(1) }
}

/// Acknowledges a message of a queue as its recipient.
#[must_use]
pub fn acknowledge(queue: u64, message: u64) -> QueueOp {
    QueueOp::Acknowledge {
        queue: recipient(queue),
        by: recipient_key(queue),
        message: message_id(message),
        today: UnixDay(1),
    }
}

/// Inspects a queue as its recipient.
#[must_use]
pub fn inspect(queue: u64) -> QueueOp {
    QueueOp::Inspect { queue: recipient(queue), by: recipient_key(queue) }
}

/// Deletes a queue as its recipient.
#[must_use]
pub fn delete(queue: u64) -> QueueOp {
    QueueOp::Delete { queue: recipient(queue), by: Some(recipient_key(queue)) }
}

/// Changes a queue on day 1.
#[must_use]
pub fn change(queue: u64, change: QueueChange) -> QueueOp {
    QueueOp::Change { queue: recipient(queue), change, today: UnixDay(1) }
}

/// Sets the data of a queue's link as its recipient, on day 1.
#[must_use]
pub fn set_link(queue: u64, link: EntityId, data: LinkData) -> QueueOp {
    QueueOp::SetLink {
        queue: recipient(queue),
        by: recipient_key(queue),
        link,
        data: Box::new(data),
        today: UnixDay(1),
    }
}

/// Deletes the data of a queue's link as its recipient, on day 1.
#[must_use]
pub fn remove_link(queue: u64) -> QueueOp {
    QueueOp::RemoveLink { queue: recipient(queue), by: recipient_key(queue), today: UnixDay(1) }
}

/// Reads the data of the link of a queue, on day 1.
#[must_use]
pub fn read_link(queue: u64, secure: Option<AuthPublicKey>) -> QueueOp {
    QueueOp::ReadLink { queue: recipient(queue), link: link(queue), secure, today: UnixDay(1) }
}

/// Gives a queue a notifier as its recipient, on day 1.
#[must_use]
pub fn set_notifier(queue: u64, number: u64) -> QueueOp {
    set_notifier_as(queue, notifier(number))
}

/// Gives a queue this notifier as its recipient, on day 1.
#[must_use]
pub fn set_notifier_as(queue: u64, notifier: NotifierRecord) -> QueueOp {
    QueueOp::SetNotifier {
        queue: recipient(queue),
        by: recipient_key(queue),
        notifier: Box::new(notifier),
        today: UnixDay(1),
    }
}

/// Takes the notifier of a queue away as its recipient, on day 1.
#[must_use]
pub fn remove_notifier(queue: u64) -> QueueOp {
    QueueOp::RemoveNotifier { queue: recipient(queue), by: recipient_key(queue), today: UnixDay(1) }
}

/// Takes notifications of a queue as its notifier.
#[must_use]
pub fn take_notifications(queue: u64, number: u64, limit: u32) -> QueueOp {
    QueueOp::TakeNotifications { queue: recipient(queue), notifier: notifier_id(number), limit }
}

/// Subscribes to a queue as its recipient, who is this service or none, and reads its first message, on day 1.
#[must_use]
pub fn subscribe(queue: u64, service: Option<u64>) -> QueueOp {
    QueueOp::Subscribe {
        queue: recipient(queue),
        by: recipient_key(queue),
        service: service.map(service_id),
        peek: true,
        today: UnixDay(1),
    }
}

/// Subscribes to the notifications of a queue as its notifier, who is this service or none.
#[must_use]
pub fn subscribe_notifier(queue: u64, number: u64, service: Option<u64>) -> QueueOp {
    QueueOp::SubscribeNotifier {
        queue: recipient(queue),
        notifier: notifier_id(number),
        by: notifier_key(number),
        service: service.map(service_id),
    }
}

/// Finds or makes the service with this number.
#[must_use]
pub fn find_service(number: u64, role: ServiceRole) -> QueueOp {
    QueueOp::FindService { fingerprint: fingerprint(number), role, id: service_id(number), capacity: 100 }
}

/// Reads how many queues a service has.
#[must_use]
pub fn count_service(number: u64) -> QueueOp {
    QueueOp::CountService { service: service_id(number) }
}

/// Visits queues of a service.
#[must_use]
pub fn scan_service(number: u64, after: Option<EntityId>, limit: u32) -> QueueOp {
    QueueOp::ScanService { service: service_id(number), after, limit }
}

/// A body of a message.
#[must_use]
pub fn body(message: u64, length: usize) -> Bytes {
    // A different byte at most places, so that swapped and cut bodies are seen.
    let byte =
        |position: usize| (message as usize).wrapping_mul(31).wrapping_add(position.wrapping_mul(7)) as u8;
    (0..length).map(byte).collect()
}

fn id(kind: u8, number: u64) -> EntityId {
    let bytes: [u8; 32] = bytes(kind, number);
    EntityId::new(&bytes[..24]).unwrap_or_default()
}

/// Bytes that are spread over the whole range, as random ids are.
fn bytes(kind: u8, number: u64) -> [u8; 32] {
    let mut out = [kind; 32];
    out[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).to_be_bytes());
    out[8..16].copy_from_slice(&number.to_be_bytes());
    out
}
