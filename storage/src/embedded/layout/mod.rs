//! The bytes of the embedded store: what each keyspace holds.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `queues` | recipient id | a [queue](put_queue) |
//! | `senders` | sender id | recipient id |
//! | `links` | link id | recipient id |
//! | `link_data` | recipient id | [data of a link](put_link_data); only queues with a link id have some |
//! | `notifiers` | notifier id | recipient id |
//! | `notifications` | recipient id | [notifications](put_notifications); only queues for whose notifier some wait |
//! | `services` | service id | a [service](put_service) |
//! | `certificates` | SHA-256 of a service's identity certificate | service id |
//! | `service_queues` | service id (short string), recipient id | nothing: the queue, or its notifier, is the service's |
//! | `backlogs` | recipient id | a [`Backlog`]; only queues that hold messages have one |
//! | `messages` | recipient id, sequence number `u64` | a [message](put_message) |
//! | `meta` | `format` | `u16`: [`FORMAT`] |
//! | `meta` | `counters` | [counters](put_counters) |
//!
//! Integers are big-endian, so messages are in the order of their keys. Every value of a record starts with
//! the version of its layout, and a decoder takes exactly the versions it knows and every byte of them:
//! another version, a surplus or a missing byte is corruption. Later layouts add fields under a new version
//! and keep the decoders of old ones.
//!
//! Format 1 had no links, notifiers and services, and with them neither their keyspaces nor their fields.

mod message;
mod queue;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use message::{Backlog, message, message_key, notifications, put_message, put_notifications};
pub(crate) use queue::{put_queue, queue};
pub(crate) use service::{Service, put_service, service, service_key, service_queue};

use bytes::Bytes;
use smp_core::server::store::QueueCounts;
use smp_core::wire::codec::{DecodeError, Decoded, Reader, decode_all};
use smp_core::wire::command::LinkData;

/// Version of the whole: which keyspaces there are and what their keys are. Versions of records come on top.
pub(crate) const FORMAT: u16 = 2;
/// The format before, whose stores are opened too.
pub(crate) const FORMER_FORMAT: u16 = 1;

/// Data of a link: version 1, length of the fixed data `u32`, fixed data, user data (all that is left).
pub(crate) fn put_link_data(data: &LinkData) -> Vec<u8> {
    let mut out = Vec::with_capacity(5 + data.fixed.len() + data.user.len());
    out.push(1);
    // Both come from the wire, where they are at most 65535 bytes long.
    out.extend(u32::try_from(data.fixed.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(&data.fixed);
    out.extend(&data.user);
    out
}

/// Reads what [`put_link_data`] wrote. Both parts share `bytes`.
pub(crate) fn link_data(bytes: &Bytes) -> Decoded<LinkData> {
    decode_all(bytes, |reader| {
        version_1(reader)?;
        let length = usize::try_from(reader.u32()?).map_err(|_| DecodeError)?;
        let mut user = reader.tail();
        if length > user.len() {
            return Err(DecodeError);
        }
        Ok(LinkData { fixed: user.split_to(length), user })
    })
}

/// 73 bytes: version 2, then `u64` each: queues, messages, notifiers, notifications, services, those that receive messages,
/// their queues, services that are notified, their notifiers.
pub(crate) fn put_counters(counts: QueueCounts) -> Vec<u8> {
    let mut out = Vec::with_capacity(73);
    out.push(2);
    for count in [
        counts.queues,
        counts.messages,
        counts.notifiers,
        counts.notifications,
        counts.services,
        counts.messaging_services,
        counts.messaging_service_queues,
        counts.notifier_services,
        counts.notifier_service_queues,
    ] {
        out.extend(count.to_be_bytes());
    }
    out
}

/// Reads what [`put_counters`] wrote. Version 1 has only queues and messages.
pub(crate) fn counters(bytes: &Bytes) -> Decoded<QueueCounts> {
    decode_all(bytes, |reader| {
        let version = version_up_to_2(reader)?;
        let mut counts =
            QueueCounts { queues: u64(reader)?, messages: u64(reader)?, ..QueueCounts::default() };
        if version == 2 {
            counts.notifiers = u64(reader)?;
            counts.notifications = u64(reader)?;
            counts.services = u64(reader)?;
            counts.messaging_services = u64(reader)?;
            counts.messaging_service_queues = u64(reader)?;
            counts.notifier_services = u64(reader)?;
            counts.notifier_service_queues = u64(reader)?;
        }
        Ok(counts)
    })
}

fn version_1(reader: &mut Reader<'_>) -> Decoded<()> {
    reader.tag(&[1])
}

fn version_up_to_2(reader: &mut Reader<'_>) -> Decoded<u8> {
    match reader.u8()? {
        version @ (1 | 2) => Ok(version),
        _ => Err(DecodeError),
    }
}

fn u64(reader: &mut Reader<'_>) -> Decoded<u64> {
    reader.array().map(u64::from_be_bytes)
}

fn flag(reader: &mut Reader<'_>) -> Decoded<bool> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError),
    }
}
