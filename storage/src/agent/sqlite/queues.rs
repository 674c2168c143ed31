//! The queues of connections.

use rusqlite::{Connection as Database, params};
use smp_core::agent::store::{
    LinkCredentials, QueueNumber, QueueStage, ReceiveQueue, SendQueue, WaitingQueue,
};
use smp_core::agent::{ConnectionId, LocalMessageId, UserId};
use smp_core::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey, X25519PrivateKey};
use smp_core::wire::link::LinkKey;
use smp_core::wire::{DhPublicKey, EntityId, MessageId, ServerAddress, Version};

use super::failure::{Failure, Result};
use super::record::Record;
use super::statement::{all, execute, put, require};
use super::values;
use super::words::Word;

pub(super) fn put_receive(database: &Database, id: ConnectionId, queue: &ReceiveQueue) -> Result<()> {
    let link = queue.link.as_deref();
    let root = link.map(|link| link.root.to_pkcs8_der());
    put!(database, receive_queues, { connection: id.as_bytes(), number: queue.number.0 }, {
        server: values::server(&queue.server),
        recipient_id: queue.recipient_id.as_bytes(),
        sender_id: queue.sender_id.as_bytes(),
        key: &queue.key.to_pkcs8_der()[..],
        server_secret: queue.server_secret.as_bytes(),
        e2e_key: &queue.e2e_key.to_pkcs8_der()[..],
        e2e_secret: queue.e2e_secret.as_ref().map(DhSecret::as_bytes),
        stage: queue.stage.word(),
        mode: queue.mode.map(|mode| mode.word()),
        version: queue.version.0,
        link_id: link.map(|link| link.link_id.as_bytes()),
        link_key: link.map(|link| link.key.as_bytes()),
        link_fixed: link.map(|link| &link.fixed[..]),
        link_root: root.as_ref().map(|root| &root[..]),
        replaces: queue.replaces.map(|number| number.0),
        switch: queue.switch.map(|switch| switch.word()),
        last_told_server_id: queue.last_told.as_ref().map(|(server_id, _)| server_id.as_bytes()),
        last_told: queue.last_told.as_ref().map(|(_, message)| message.0),
    })?;
    Ok(())
}

pub(super) fn put_send(database: &Database, id: ConnectionId, queue: &SendQueue) -> Result<()> {
    put!(database, send_queues, { connection: id.as_bytes(), number: queue.number.0 }, {
        server: values::server(&queue.server),
        sender_id: queue.sender_id.as_bytes(),
        key: &queue.key.to_pkcs8_der()[..],
        e2e_key: queue.e2e_key.0,
        e2e_secret: queue.e2e_secret.as_bytes(),
        stage: queue.stage.word(),
        mode: queue.mode.map(|mode| mode.word()),
        version: queue.version.0,
        replaces: queue.replaces.map(|number| number.0),
        switch: queue.switch.map(|switch| switch.word()),
    })?;
    Ok(())
}

pub(super) fn delete_receive(database: &Database, id: ConnectionId, number: QueueNumber) -> Result<()> {
    let sql = "DELETE FROM receive_queues WHERE connection = ? AND number = ?";
    execute(database, sql, params![id.as_bytes(), number.0])?;
    Ok(())
}

pub(super) fn delete_send(database: &Database, id: ConnectionId, number: QueueNumber) -> Result<()> {
    let sql = "DELETE FROM send_queues WHERE connection = ? AND number = ?";
    execute(database, sql, params![id.as_bytes(), number.0])?;
    Ok(())
}

pub(super) fn order(
    database: &Database,
    id: ConnectionId,
    receive: &[QueueNumber],
    send: &[QueueNumber],
) -> Result<()> {
    require(database, id)?;
    place(database, id, receive, FORGET_RECEIVE_PLACES, PLACE_RECEIVE)?;
    place(database, id, send, FORGET_SEND_PLACES, PLACE_SEND)
}

/// Each queue can be given a place once, so that one that is not there or named twice is noticed.
fn place(
    database: &Database,
    id: ConnectionId,
    numbers: &[QueueNumber],
    forget: &str,
    place_one: &str,
) -> Result<()> {
    execute(database, forget, [id.as_bytes()])?;
    for (place, number) in numbers.iter().enumerate() {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        if execute(database, place_one, params![place, id.as_bytes(), number.0])? != 1 {
            return Err(Failure::Refused);
        }
    }
    Ok(())
}

pub(super) fn receive_queues(database: &Database, id: ConnectionId) -> Result<Vec<ReceiveQueue>> {
    let sql = "SELECT * FROM receive_queues WHERE connection = ? ORDER BY place IS NULL, place, number";
    all(database, "receive_queues", sql, [id.as_bytes()], receive_queue)
}

pub(super) fn send_queues(database: &Database, id: ConnectionId) -> Result<Vec<SendQueue>> {
    let sql = "SELECT * FROM send_queues WHERE connection = ? ORDER BY place IS NULL, place, number";
    all(database, "send_queues", sql, [id.as_bytes()], send_queue)
}

/// Receive queues in use, of connections that are not deleted.
pub(super) fn waiting(database: &Database) -> Result<Vec<WaitingQueue>> {
    let sql = "SELECT queue.connection, queue.number, queue.server, queue.recipient_id, queue.key, \
               queue.is_associated, connections.user \
               FROM receive_queues AS queue JOIN connections ON connections.id = queue.connection \
               WHERE connections.deleted_at IS NULL AND queue.stage <> ? \
               ORDER BY queue.connection, queue.number";
    all(database, "receive_queues", sql, [QueueStage::Disabled.word()], |row| {
        Ok(WaitingQueue {
            connection: row.connection("connection")?,
            user: UserId(row.plain("user")?),
            number: QueueNumber(row.plain("number")?),
            server: row.wire("server", ServerAddress::decode)?,
            recipient_id: row.decoded("recipient_id", EntityId::new)?,
            key: row.decoded("key", AuthPrivateKey::from_pkcs8_der)?,
            is_associated: row.plain("is_associated")?,
        })
    })
}

fn receive_queue(row: &Record<'_>) -> Result<ReceiveQueue> {
    Ok(ReceiveQueue {
        number: QueueNumber(row.plain("number")?),
        server: row.wire("server", ServerAddress::decode)?,
        recipient_id: row.decoded("recipient_id", EntityId::new)?,
        sender_id: row.decoded("sender_id", EntityId::new)?,
        key: row.decoded("key", AuthPrivateKey::from_pkcs8_der)?,
        server_secret: row.array("server_secret").map(DhSecret::new)?,
        e2e_key: row.decoded("e2e_key", X25519PrivateKey::from_pkcs8_der)?,
        e2e_secret: row.optional("e2e_secret", |bytes| bytes.try_into().map(DhSecret::new))?,
        stage: row.word("stage")?,
        mode: row.optional_word("mode")?,
        version: Version(row.plain("version")?),
        link: link(row)?,
        replaces: row.plain::<Option<u32>>("replaces")?.map(QueueNumber),
        switch: row.optional_word("switch")?,
        last_told: last_told(row)?,
    })
}

fn link(row: &Record<'_>) -> Result<Option<Box<LinkCredentials>>> {
    let Some(link_id) = row.optional("link_id", EntityId::new)? else { return Ok(None) };
    Ok(Some(Box::new(LinkCredentials {
        link_id,
        key: row.array("link_key").map(LinkKey::new)?,
        fixed: row.bytes("link_fixed")?,
        root: row.decoded("link_root", Ed25519PrivateKey::from_pkcs8_der)?,
    })))
}

fn last_told(row: &Record<'_>) -> Result<Option<(MessageId, LocalMessageId)>> {
    let Some(server_id) = row.optional("last_told_server_id", MessageId::new)? else { return Ok(None) };
    Ok(Some((server_id, LocalMessageId(row.plain("last_told")?))))
}

fn send_queue(row: &Record<'_>) -> Result<SendQueue> {
    Ok(SendQueue {
        number: QueueNumber(row.plain("number")?),
        server: row.wire("server", ServerAddress::decode)?,
        sender_id: row.decoded("sender_id", EntityId::new)?,
        key: row.decoded("key", AuthPrivateKey::from_pkcs8_der)?,
        e2e_key: DhPublicKey(row.array("e2e_key")?),
        e2e_secret: row.array("e2e_secret").map(DhSecret::new)?,
        stage: row.word("stage")?,
        mode: row.optional_word("mode")?,
        version: Version(row.plain("version")?),
        replaces: row.plain::<Option<u32>>("replaces")?.map(QueueNumber),
        switch: row.optional_word("switch")?,
    })
}

const FORGET_RECEIVE_PLACES: &str =
    "UPDATE receive_queues SET place = NULL WHERE connection = ? AND place IS NOT NULL";
const FORGET_SEND_PLACES: &str =
    "UPDATE send_queues SET place = NULL WHERE connection = ? AND place IS NOT NULL";
const PLACE_RECEIVE: &str =
    "UPDATE receive_queues SET place = ? WHERE connection = ? AND number = ? AND place IS NULL";
const PLACE_SEND: &str =
    "UPDATE send_queues SET place = ? WHERE connection = ? AND number = ? AND place IS NULL";
