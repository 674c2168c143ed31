//! Users and connections.

use rusqlite::Connection as Database;
use smp_core::agent::store::{Agreement, Connection, ConnectionState, Counters, User};
use smp_core::agent::{ConnectionId, LocalMessageId, UserId};
use smp_core::crypto::ratchet::{Ratchet, X3dhKeys};
use smp_core::wire::Version;
use smp_core::wire::agent::MessageHash;

use super::failure::{Failure, Result};
use super::record::Record;
use super::statement::{all, execute, first, put, require};
use super::words::Word;
use super::{queues, tasks};

pub(super) fn put_user(database: &Database, user: &User) -> Result<()> {
    put!(database, users, { id: user.id.0 }, { is_deleted: user.is_deleted })?;
    execute(database, "UPDATE last_user SET number = ?1 WHERE number < ?1", [user.id.0])?;
    Ok(())
}

pub(super) fn delete_user(database: &Database, id: UserId) -> Result<()> {
    execute(database, "DELETE FROM users WHERE id = ?", [id.0])?;
    Ok(())
}

pub(super) fn users(database: &Database) -> Result<Vec<User>> {
    all(database, "users", "SELECT * FROM users ORDER BY id", [], |row| {
        Ok(User { id: UserId(row.plain("id")?), is_deleted: row.plain("is_deleted")? })
    })
}

/// The highest number that a user ever had.
pub(super) fn last_user(database: &Database) -> Result<UserId> {
    let last = first(database, "last_user", "SELECT number FROM last_user", [], |row| row.plain("number"))?;
    Ok(UserId(last.ok_or(Failure::Damaged("last_user"))?))
}

pub(super) fn put(database: &Database, id: ConnectionId, state: &ConnectionState) -> Result<()> {
    put!(database, connections, { id: id.as_bytes() }, {
        user: state.user.0,
        progress: state.progress.word(),
        version: state.version.0,
        pq_support: state.pq_support,
        last: state.counters.last.0,
        sent: state.counters.sent,
        sent_hash: state.counters.sent_hash.as_bytes(),
        received: state.counters.received,
        received_hash: state.counters.received_hash.as_bytes(),
        sync: state.sync.word(),
        deleted_at: state.deleted_at.map(|time| time.as_millis()),
        delete_after_delivery: state.delete_after_delivery,
        skipped: state.skipped,
        queues: state.queues,
        receive_queues: state.receive_queues,
    })?;
    Ok(())
}

pub(super) fn delete(database: &Database, id: ConnectionId) -> Result<()> {
    execute(database, "DELETE FROM connections WHERE id = ?", [id.as_bytes()])?;
    Ok(())
}

pub(super) fn find(database: &Database, id: ConnectionId) -> Result<Option<Box<Connection>>> {
    let sql = "SELECT * FROM connections WHERE id = ?";
    let Some(state) = first(database, "connections", sql, [id.as_bytes()], state)? else { return Ok(None) };
    Ok(Some(Box::new(Connection {
        id,
        state,
        agreement: agreement(database, id)?,
        receive: queues::receive_queues(database, id)?,
        send: queues::send_queues(database, id)?,
        tasks: tasks::find(database, id)?,
    })))
}

/// Of all connections.
pub(super) fn states(database: &Database) -> Result<Vec<(ConnectionId, ConnectionState)>> {
    let sql = "SELECT * FROM connections ORDER BY id";
    all(database, "connections", sql, [], |row| Ok((row.connection("id")?, state(row)?)))
}

fn state(row: &Record<'_>) -> Result<ConnectionState> {
    Ok(ConnectionState {
        user: UserId(row.plain("user")?),
        progress: row.word("progress")?,
        version: Version(row.plain("version")?),
        pq_support: row.plain("pq_support")?,
        counters: Counters {
            last: LocalMessageId(row.plain("last")?),
            sent: row.plain("sent")?,
            sent_hash: row.decoded("sent_hash", MessageHash::new)?,
            received: row.plain("received")?,
            received_hash: row.decoded("received_hash", MessageHash::new)?,
        },
        sync: row.word("sync")?,
        deleted_at: row.optional_time("deleted_at")?,
        delete_after_delivery: row.plain("delete_after_delivery")?,
        skipped: row.plain("skipped")?,
        queues: row.plain("queues")?,
        receive_queues: row.plain("receive_queues")?,
    })
}

/// With tasks, deliveries, confirmations, or deleted.
pub(super) fn unfinished(database: &Database) -> Result<Vec<ConnectionId>> {
    let sql = "SELECT id FROM connections WHERE deleted_at IS NOT NULL \
               UNION SELECT connection FROM tasks UNION SELECT connection FROM deliveries \
               UNION SELECT connection FROM confirmations ORDER BY id";
    all(database, "connections", sql, [], |row| row.connection("id"))
}

pub(super) fn put_agreement(database: &Database, id: ConnectionId, agreement: &Agreement) -> Result<()> {
    let (kind, secret, keys) = match agreement {
        Agreement::None => {
            require(database, id)?;
            execute(database, "DELETE FROM agreements WHERE connection = ?", [id.as_bytes()])?;
            return Ok(());
        }
        Agreement::Offered(keys) => (OFFERED, keys.to_bytes(), None),
        Agreement::Ratchet(ratchet) => (RATCHET, ratchet.to_bytes(), None),
        Agreement::Renewing(ratchet, keys) => (RENEWING, ratchet.to_bytes(), Some(keys.to_bytes())),
    };
    put!(database, agreements, { connection: id.as_bytes() }, {
        kind: kind,
        secret: &secret[..],
        keys: keys.as_ref().map(|keys| &keys[..]),
    })?;
    Ok(())
}

fn agreement(database: &Database, id: ConnectionId) -> Result<Agreement> {
    let sql = "SELECT * FROM agreements WHERE connection = ?";
    let found = first(database, "agreements", sql, [id.as_bytes()], |row| match row.text("kind")? {
        Some(OFFERED) => Ok(Agreement::Offered(Box::new(row.decoded("secret", X3dhKeys::from_bytes)?))),
        Some(RATCHET) => Ok(Agreement::Ratchet(Box::new(row.decoded("secret", Ratchet::from_bytes)?))),
        Some(RENEWING) => Ok(Agreement::Renewing(
            Box::new(row.decoded("secret", Ratchet::from_bytes)?),
            Box::new(row.decoded("keys", X3dhKeys::from_bytes)?),
        )),
        _ => Err(Failure::Damaged("agreements")),
    })?;
    Ok(found.unwrap_or(Agreement::None))
}

const OFFERED: &str = "offered";
const RATCHET: &str = "ratchet";
const RENEWING: &str = "renewing";
