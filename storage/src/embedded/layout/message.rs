//! Messages, the backlogs that say which are there, and notifications of them.

use bytes::Bytes;
use smp_core::UnixTime;
use smp_core::server::store::{MessageContent, Notification, StoredMessage};
use smp_core::wire::codec::{DecodeError, Decoded, decode_all};
use smp_core::wire::{EntityId, MessageId};

use super::{flag, u64, version_1};

/// Which messages of a queue are there: those with the sequence numbers `first .. first + count`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Backlog {
    /// Sequence number of the oldest message. An empty queue starts again at 0.
    pub(crate) first: u64,
    /// Messages, quota marker included; at least 1.
    pub(crate) count: u32,
    /// False from the quota marker until the queue is empty.
    pub(crate) open: bool,
    /// When the oldest message was sent, so that expiry need not read 16 KiB to see it.
    pub(crate) first_sent_at: UnixTime,
}

impl Backlog {
    /// 22 bytes: version 1, open `u8` 0 or 1, first `u64`, count `u32`, milliseconds of the oldest message
    /// `i64`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(22);
        out.extend([1, u8::from(self.open)]);
        out.extend(self.first.to_be_bytes());
        out.extend(self.count.to_be_bytes());
        out.extend(self.first_sent_at.as_millis().to_be_bytes());
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &Bytes) -> Decoded<Self> {
        decode_all(bytes, |reader| {
            version_1(reader)?;
            let open = flag(reader)?;
            let first = u64(reader)?;
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
    pub(crate) const fn end(&self) -> u64 {
        self.first.saturating_add(self.count as u64)
    }
}

/// The key of a message: the recipient id and its sequence number. The number has a fixed length, so that the
/// keys of ids of different lengths never meet.
pub(crate) fn message_key(queue: &EntityId, sequence: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(queue.as_bytes().len() + 8);
    key.extend(queue.as_bytes());
    key.extend(sequence.to_be_bytes());
    key
}

/// A message: version 1, kind `u8` (0 quota marker, 1 message, 2 message that notifies), time in milliseconds
/// `i64`, id (short string), body (all that is left; none for a marker).
pub(crate) fn put_message(message: &StoredMessage) -> Vec<u8> {
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
pub(crate) fn message(bytes: &Bytes) -> Decoded<StoredMessage> {
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

/// Notifications, the oldest first: version 1, then of each the time of its message in milliseconds `i64` and the
/// message's id (short string). There is at least one.
pub(crate) fn put_notifications(notifications: &[Notification]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + 33 * notifications.len());
    out.push(1);
    for notification in notifications {
        out.extend(notification.sent_at.as_millis().to_be_bytes());
        notification.message.encode(&mut out);
    }
    out
}

/// Reads what [`put_notifications`] wrote.
pub(crate) fn notifications(bytes: &Bytes) -> Decoded<Vec<Notification>> {
    decode_all(bytes, |reader| {
        version_1(reader)?;
        let mut notifications = Vec::new();
        while notifications.is_empty() || !reader.is_empty() {
            let sent_at = UnixTime::from_millis(reader.i64()?);
            notifications.push(Notification { message: MessageId::decode(reader)?, sent_at });
        }
        Ok(notifications)
    })
}
