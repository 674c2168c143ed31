//! Queues and operations to test stores with. The numbers in their names choose ids and keys.

use bytes::Bytes;
use smp_core::UnixTime;
use smp_core::crypto::DhSecret;
use smp_core::server::store::{Append, QueueChange, QueueOp, QueueRecord, QueueStatus, UnixDay};
use smp_core::wire::{AuthPublicKey, EntityId, MessageId, QueueMode};

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

/// The id of a message.
#[must_use]
pub fn message_id(message: u64) -> MessageId {
    let bytes: [u8; 32] = bytes(b'm', message);
    MessageId::new(&bytes[..24]).unwrap_or_default()
}

/// A messaging queue that is not secured.
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
        used_on: UnixDay(1),
    }
}

/// Creates a queue.
#[must_use]
pub fn create(number: u64) -> QueueOp {
    QueueOp::Create(Box::new(queue(number)))
}

/// Appends message `message`, sent in that second, to an unsecured queue. Its body is a function of its
/// number.
#[must_use]
pub fn append(queue: u64, message: u64, capacity: u32) -> QueueOp {
    QueueOp::Append(Box::new(Append {
        queue: recipient(queue),
        by: None,
        id: message_id(message),
        sent_at: UnixTime::from_secs(i64::try_from(message).unwrap_or(i64::MAX)),
        notification: message % 2 == 1,
        body: body(message, 40),
        capacity,
    }))
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
    QueueOp::Delete { queue: recipient(queue), by: recipient_key(queue) }
}

/// Changes a queue on day 1.
#[must_use]
pub fn change(queue: u64, change: QueueChange) -> QueueOp {
    QueueOp::Change { queue: recipient(queue), change, today: UnixDay(1) }
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
