//! Messages and their deliveries.

use rusqlite::{Connection as Database, params};
use smp_core::UnixTime;
use smp_core::agent::store::{Delivery, Incoming, Outgoing, OutgoingContent, QueueNumber};
use smp_core::agent::{ConnectionId, LocalMessageId};
use smp_core::crypto::ratchet::MessageKey;
use smp_core::wire::agent::MessageHash;
use smp_core::wire::command::MessageFlags;
use smp_core::wire::{MessageId, Version};

use super::failure::{Failure, Result};
use super::record::Record;
use super::statement::{all, execute, first, put, require};
use super::words::Word;

pub(super) fn put_incoming(database: &Database, message: &Incoming) -> Result<()> {
    put!(database, incoming, { connection: message.connection.as_bytes(), id: message.id.0 }, {
        queue: message.queue.0,
        server_id: message.server_id.as_bytes(),
        server_time: message.server_time.as_millis(),
        received_at: message.received_at.as_millis(),
        sender_id: message.sender_id,
        hash: message.hash.as_bytes(),
        integrity: message.integrity.to_string(),
        pq: message.pq,
        notification: message.flags.notification,
        body: message.body.as_deref(),
        repeats: message.repeats,
    })?;
    Ok(())
}

pub(super) fn put_outgoing(database: &Database, message: &Outgoing) -> Result<()> {
    let Parts { kind, body, key, padded_len, version, confirmation } = Parts::of(&message.content);
    let key = key.map(MessageKey::to_bytes);
    put!(database, outgoing, { connection: message.connection.as_bytes(), id: message.id.0 }, {
        sender_id: message.sender_id,
        created_at: message.created_at.as_millis(),
        notification: message.flags.notification,
        hash: message.hash.as_bytes(),
        receipt: message.receipt.word(),
        kind: kind,
        body: body,
        key: key.as_ref().map(|key| &key[..]),
        padded_len: padded_len,
        version: version,
        confirmation: confirmation,
    })?;
    Ok(())
}

pub(super) fn put_delivery(database: &Database, delivery: &Delivery) -> Result<()> {
    let sql = "INSERT INTO deliveries (connection, queue, message) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    execute(database, sql, delivery_key(delivery))?;
    Ok(())
}

pub(super) fn move_deliveries(
    database: &Database,
    id: ConnectionId,
    from: QueueNumber,
    to: QueueNumber,
) -> Result<()> {
    require(database, id)?;
    if from != to {
        execute(database, ADD_DELIVERIES, params![id.as_bytes(), from.0, to.0])?;
        let sql = "DELETE FROM deliveries WHERE connection = ? AND queue = ?";
        execute(database, sql, params![id.as_bytes(), from.0])?;
    }
    Ok(())
}

pub(super) fn delete_delivery(database: &Database, delivery: &Delivery) -> Result<()> {
    let sql = "DELETE FROM deliveries WHERE connection = ? AND queue = ? AND message = ?";
    execute(database, sql, delivery_key(delivery))?;
    Ok(())
}

pub(super) fn forget_before(database: &Database, time: UnixTime) -> Result<()> {
    execute(database, FORGET_INCOMING, [time.as_millis()])?;
    execute(database, FORGET_OUTGOING, [time.as_millis()])?;
    execute(database, FORGET_SEEN, [time.as_millis()])?;
    Ok(())
}

pub(super) fn find_incoming(
    database: &Database,
    connection: ConnectionId,
    id: LocalMessageId,
) -> Result<Option<Box<Incoming>>> {
    first(database, "incoming", INCOMING, params![connection.as_bytes(), id.0], incoming)
}

/// The messages that the app did not acknowledge.
pub(super) fn waiting(database: &Database, connection: ConnectionId) -> Result<Vec<Incoming>> {
    all(database, "incoming", WAITING, [connection.as_bytes()], |row| incoming(row).map(|message| *message))
}

pub(super) fn find_next_delivery(
    database: &Database,
    connection: ConnectionId,
    queue: QueueNumber,
) -> Result<Option<Box<Outgoing>>> {
    first(database, "outgoing", NEXT_DELIVERY, params![connection.as_bytes(), queue.0], outgoing)
}

pub(super) fn find_sent(
    database: &Database,
    connection: ConnectionId,
    sender_id: i64,
) -> Result<Option<Box<Outgoing>>> {
    first(database, "outgoing", SENT, params![connection.as_bytes(), sender_id], outgoing)
}

pub(super) fn find_all_sent(
    database: &Database,
    connection: ConnectionId,
    sender_ids: &[i64],
) -> Result<Vec<Outgoing>> {
    let mut sent = Vec::new();
    for sender_id in sender_ids {
        sent.extend(find_sent(database, connection, *sender_id)?.map(|message| *message));
    }
    Ok(sent)
}

pub(super) fn put_seen(
    database: &Database,
    connection: ConnectionId,
    hash: &[u8; 32],
    time: UnixTime,
) -> Result<()> {
    let sql = "INSERT INTO seen (connection, hash, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    execute(database, sql, params![connection.as_bytes(), hash, time.as_millis()])?;
    Ok(())
}

pub(super) fn was_seen(database: &Database, connection: ConnectionId, hash: &[u8; 32]) -> Result<bool> {
    let sql = "SELECT at FROM seen WHERE connection = ? AND hash = ?";
    let at = first(database, "seen", sql, params![connection.as_bytes(), hash], |row| row.time("at"))?;
    Ok(at.is_some())
}

fn delivery_key(delivery: &Delivery) -> ([u8; 12], u32, i64) {
    (*delivery.connection.as_bytes(), delivery.queue.0, delivery.message.0)
}

fn incoming(row: &Record<'_>) -> Result<Box<Incoming>> {
    let integrity = row.text("integrity")?.ok_or(Failure::Damaged("incoming"))?;
    Ok(Box::new(Incoming {
        connection: row.connection("connection")?,
        id: LocalMessageId(row.plain("id")?),
        queue: QueueNumber(row.plain("queue")?),
        server_id: row.decoded("server_id", MessageId::new)?,
        server_time: row.time("server_time")?,
        received_at: row.time("received_at")?,
        sender_id: row.plain("sender_id")?,
        hash: row.decoded("hash", MessageHash::new)?,
        integrity: row.valid(integrity.parse())?,
        pq: row.plain("pq")?,
        flags: MessageFlags { notification: row.plain("notification")? },
        body: row.optional_bytes("body")?,
        repeats: row.plain("repeats")?,
    }))
}

fn outgoing(row: &Record<'_>) -> Result<Box<Outgoing>> {
    Ok(Box::new(Outgoing {
        connection: row.connection("connection")?,
        id: LocalMessageId(row.plain("id")?),
        sender_id: row.plain("sender_id")?,
        created_at: row.time("created_at")?,
        flags: MessageFlags { notification: row.plain("notification")? },
        content: content(row)?,
        hash: row.decoded("hash", MessageHash::new)?,
        receipt: row.word("receipt")?,
    }))
}

fn content(row: &Record<'_>) -> Result<OutgoingContent> {
    match row.text("kind")? {
        Some(RATCHET) => Ok(OutgoingContent::Ratchet {
            plaintext: row.bytes("body")?,
            key: Box::new(row.decoded("key", MessageKey::from_bytes)?),
            padded_len: row.valid(usize::try_from(row.plain::<i64>("padded_len")?))?,
            version: Version(row.plain("version")?),
            confirmation: row.optional_bytes("confirmation")?,
        }),
        Some(PLAIN) => Ok(OutgoingContent::Plain(row.bytes("body")?)),
        Some(DELIVERED) => Ok(OutgoingContent::Delivered),
        _ => Err(Failure::Damaged("outgoing")),
    }
}

/// The content of a message in columns.
struct Parts<'a> {
    kind: &'static str,
    body: Option<&'a [u8]>,
    key: Option<&'a MessageKey>,
    padded_len: Option<i64>,
    version: Option<u16>,
    confirmation: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(content: &'a OutgoingContent) -> Self {
        let none = Self {
            kind: DELIVERED,
            body: None,
            key: None,
            padded_len: None,
            version: None,
            confirmation: None,
        };
        match content {
            OutgoingContent::Delivered => none,
            OutgoingContent::Plain(envelope) => Self { kind: PLAIN, body: Some(envelope), ..none },
            OutgoingContent::Ratchet { plaintext, key, padded_len, version, confirmation } => Self {
                kind: RATCHET,
                body: Some(plaintext),
                key: Some(key),
                padded_len: Some(i64::try_from(*padded_len).unwrap_or(i64::MAX)),
                version: Some(version.0),
                confirmation: confirmation.as_deref(),
            },
        }
    }
}

const RATCHET: &str = "ratchet";
const PLAIN: &str = "plain";
const DELIVERED: &str = "delivered";

const ADD_DELIVERIES: &str = "INSERT INTO deliveries (connection, queue, message) \
     SELECT connection, ?3, message FROM deliveries WHERE connection = ?1 AND queue = ?2 ON CONFLICT DO NOTHING";
const INCOMING: &str = "SELECT * FROM incoming WHERE connection = ? AND id = ?";
const WAITING: &str = "SELECT * FROM incoming WHERE connection = ? AND body IS NOT NULL ORDER BY id";
const NEXT_DELIVERY: &str = "SELECT outgoing.* FROM deliveries \
     JOIN outgoing ON outgoing.connection = deliveries.connection AND outgoing.id = deliveries.message \
     WHERE deliveries.connection = ? AND deliveries.queue = ? ORDER BY deliveries.message LIMIT 1";
const SENT: &str = "SELECT * FROM outgoing WHERE connection = ? AND sender_id = ? ORDER BY id DESC LIMIT 1";

/// These run now and then, and read what is old alone.
const FORGET_INCOMING: &str = "DELETE FROM incoming WHERE received_at < ? AND body IS NULL";
const FORGET_SEEN: &str = "DELETE FROM seen WHERE at < ?";
const FORGET_OUTGOING: &str = "DELETE FROM outgoing WHERE created_at < ? AND NOT EXISTS (\
     SELECT 1 FROM deliveries WHERE deliveries.connection = outgoing.connection AND deliveries.message = outgoing.id)";
