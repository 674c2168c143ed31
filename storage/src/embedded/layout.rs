//! The bytes of the embedded store: what each keyspace holds.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `queues` | recipient id | a [queue](put_queue) |
//! | `senders` | sender id | recipient id |
//! | `backlogs` | recipient id | a [`Backlog`]; only queues that hold messages have one |
//! | `messages` | recipient id, sequence number `u64` | a [message](put_message) |
//! | `meta` | `format` | `u16`: [`FORMAT`] |
//! | `meta` | `counters` | [counters](put_counters) |
//!
//! Integers are big-endian, so messages are in the order of their keys. Every value of a record starts with
//! the version of its layout, and a decoder takes exactly the versions it knows and every byte of them:
//! another version, a surplus or a missing byte is corruption. Later layouts add fields under a new version
//! and keep the decoders of old ones.

use bytes::Bytes;
use smp_core::UnixTime;
use smp_core::crypto::DhSecret;
use smp_core::server::store::{
    MessageContent, QueueCounts, QueueRecord, QueueStatus, StoredMessage, UnixDay,
};
use smp_core::wire::codec::{DecodeError, Decoded, Reader, decode_all};
use smp_core::wire::{AuthPublicKey, EntityId, MessageId, QueueMode};

/// Version of the whole: which keyspaces there are and what their keys are. Versions of records come on top.
pub(super) const FORMAT: u16 = 1;

/// Which messages of a queue are there: those with the sequence numbers `first .. first + count`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Backlog {
    /// Sequence number of the oldest message. An empty queue starts again at 0.
    pub(super) first: u64,
    /// Messages, quota marker included; at least 1.
    pub(super) count: u32,
    /// False from the quota marker until the queue is empty.
    pub(super) open: bool,
    /// When the oldest message was sent, so that expiry need not read 16 KiB to see it.
    pub(super) first_sent_at: UnixTime,
}

impl Backlog {
    /// 22 bytes: version 1, open `u8` 0 or 1, first `u64`, count `u32`, milliseconds of the oldest message
    /// `i64`.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(22);
        out.extend([1, u8::from(self.open)]);
        out.extend(self.first.to_be_bytes());
        out.extend(self.count.to_be_bytes());
        out.extend(self.first_sent_at.as_millis().to_be_bytes());
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(super) fn decode(bytes: &Bytes) -> Decoded<Self> {
        decode_all(bytes, |reader| {
            version_1(reader)?;
            let open = flag(reader)?;
            let first = u64::from_be_bytes(reader.array()?);
            let count = reader.u32()?;
            let first_sent_at = UnixTime::from_millis(reader.i64()?);
            if count == 0 || first.checked_add(count.into()).is_none() {
                return Err(DecodeError);
            }
            Ok(Self { first, count, open, first_sent_at })
        })
    }

    /// The sequence number of the next message. Cannot overflow: a decoded backlog was checked, and a message
    /// is added at a time.
    pub(super) const fn end(&self) -> u64 {
        self.first.saturating_add(self.count as u64)
    }
}

/// The key of a message: the recipient id and its sequence number. The number has a fixed length, so that the
/// keys of ids of different lengths never meet.
pub(super) fn message_key(queue: &EntityId, sequence: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(queue.as_bytes().len() + 8);
    key.extend(queue.as_bytes());
    key.extend(sequence.to_be_bytes());
    key
}

/// A queue, without its recipient id, which is the key: version 1, sender id (short string), mode `u8` (`M`,
/// `C` or 0), status `u8` (0 active, 1 off), last use `u32` days, secret (32 bytes), sender key (a
/// [key](put_key), or 0), number of recipient keys `u32`, recipient keys.
pub(super) fn put_queue(record: &QueueRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(176);
    out.push(1);
    record.sender.encode(&mut out);
    match record.mode {
        Some(mode) => mode.encode(&mut out),
        None => out.push(0),
    }
    out.push(match record.status {
        QueueStatus::Active => 0,
        QueueStatus::Off => 1,
    });
    out.extend(record.used_on.0.to_be_bytes());
    out.extend(record.secret.as_bytes());
    match &record.sender_key {
        Some(key) => put_key(&mut out, key),
        None => out.push(0),
    }
    // A list of 2^32 keys of at least 33 bytes does not fit into a machine.
    out.extend(u32::try_from(record.recipient_keys.len()).unwrap_or(u32::MAX).to_be_bytes());
    record.recipient_keys.iter().for_each(|key| put_key(&mut out, key));
    out
}

/// Reads what [`put_queue`] wrote.
pub(super) fn queue(recipient: EntityId, bytes: &Bytes) -> Decoded<QueueRecord> {
    decode_all(bytes, |reader| {
        version_1(reader)?;
        let sender = EntityId::decode(reader)?;
        let mode = match reader.u8()? {
            0 => None,
            b'M' => Some(QueueMode::Messaging),
            b'C' => Some(QueueMode::Contact),
            _ => return Err(DecodeError),
        };
        let status = match reader.u8()? {
            0 => QueueStatus::Active,
            1 => QueueStatus::Off,
            _ => return Err(DecodeError),
        };
        let used_on = UnixDay(reader.u32()?);
        let secret = DhSecret::new(reader.array()?);
        let sender_key = key(reader)?;
        let count = reader.u32()?;
        let recipient_keys =
            (0..count).map(|_| key(reader)?.ok_or(DecodeError)).collect::<Decoded<Vec<_>>>()?;
        Ok(QueueRecord { recipient, sender, recipient_keys, secret, sender_key, mode, status, used_on })
    })
}

/// A message: version 1, kind `u8` (0 quota marker, 1 message, 2 message that notifies), time in milliseconds
/// `i64`, id (short string), body (all that is left; none for a marker).
pub(super) fn put_message(message: &StoredMessage) -> Vec<u8> {
    let (kind, body) = match &message.content {
        MessageContent::Quota => (0, &[][..]),
        MessageContent::Message { notification, body } => (1 + u8::from(*notification), &body[..]),
    };
    let mut out = Vec::with_capacity(11 + message.id.as_bytes().len() + body.len());
    out.extend([1, kind]);
    out.extend(message.sent_at.as_millis().to_be_bytes());
    message.id.encode(&mut out);
    out.extend(body);
    out
}

/// Reads what [`put_message`] wrote. The body shares `bytes`.
pub(super) fn message(bytes: &Bytes) -> Decoded<StoredMessage> {
    decode_all(bytes, |reader| {
        version_1(reader)?;
        let kind = reader.u8()?;
        let sent_at = UnixTime::from_millis(reader.i64()?);
        let id = MessageId::decode(reader)?;
        let content = match kind {
            0 => MessageContent::Quota,
            1 | 2 => MessageContent::Message { notification: kind == 2, body: reader.tail() },
            _ => return Err(DecodeError),
        };
        Ok(StoredMessage { id, sent_at, content })
    })
}

/// 17 bytes: version 1, queues `u64`, messages `u64`.
pub(super) fn put_counters(counts: QueueCounts) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(counts.queues.to_be_bytes());
    out.extend(counts.messages.to_be_bytes());
    out
}

/// Reads what [`put_counters`] wrote.
pub(super) fn counters(bytes: &Bytes) -> Decoded<QueueCounts> {
    decode_all(bytes, |reader| {
        version_1(reader)?;
        let queues = u64::from_be_bytes(reader.array()?);
        let messages = u64::from_be_bytes(reader.array()?);
        Ok(QueueCounts { queues, messages })
    })
}

/// A key: algorithm `u8` (1 Ed25519, 2 Ed448, 3 X25519), then its 32, 57 or 32 bytes.
fn put_key(out: &mut Vec<u8>, key: &AuthPublicKey) {
    let (algorithm, raw) = match key {
        AuthPublicKey::Ed25519(raw) => (1, &raw[..]),
        AuthPublicKey::Ed448(raw) => (2, &raw[..]),
        AuthPublicKey::X25519(raw) => (3, &raw[..]),
    };
    out.push(algorithm);
    out.extend(raw);
}

/// A key, or 0 for none.
fn key(reader: &mut Reader<'_>) -> Decoded<Option<AuthPublicKey>> {
    Ok(match reader.u8()? {
        0 => None,
        1 => Some(AuthPublicKey::Ed25519(reader.array()?)),
        2 => Some(AuthPublicKey::Ed448(reader.array()?)),
        3 => Some(AuthPublicKey::X25519(reader.array()?)),
        _ => return Err(DecodeError),
    })
}

fn version_1(reader: &mut Reader<'_>) -> Decoded<()> {
    reader.tag(&[1])
}

fn flag(reader: &mut Reader<'_>) -> Decoded<bool> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError),
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
