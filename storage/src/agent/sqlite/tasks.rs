//! What connections have to do at servers.

use rusqlite::{Connection as Database, params};
use smp_core::agent::ConnectionId;
use smp_core::agent::store::{Origin, QueueNumber, Task, TaskKind};
use smp_core::crypto::AuthPrivateKey;
use smp_core::wire::link::ShortLink;
use smp_core::wire::{AuthPublicKey, EntityId, ServerAddress};

use super::failure::{Failure, Result};
use super::record::Record;
use super::statement::{all, execute, require};
use super::values;

/// Puts tasks in place of those that are there.
pub(super) fn replace(database: &Database, id: ConnectionId, tasks: &[Task]) -> Result<()> {
    require(database, id)?;
    execute(database, "DELETE FROM tasks WHERE connection = ?", [id.as_bytes()])?;
    for (place, task) in tasks.iter().enumerate() {
        insert(database, id, place, task)?;
    }
    Ok(())
}

pub(super) fn find(database: &Database, id: ConnectionId) -> Result<Vec<Task>> {
    let sql = "SELECT * FROM tasks WHERE connection = ? ORDER BY place";
    all(database, "tasks", sql, [id.as_bytes()], |row| Ok(Task { kind: kind(row)?, origin: origin(row)? }))
}

fn insert(database: &Database, id: ConnectionId, place: usize, task: &Task) -> Result<()> {
    let (origin, correlation) = match &task.origin {
        Origin::Call => (CALL, None),
        Origin::Durable(correlation) => (DURABLE, Some(correlation)),
        Origin::Agent => (AGENT, None),
    };
    let place = i64::try_from(place).unwrap_or(i64::MAX);
    match &task.kind {
        TaskKind::SecureSend(queue) => execute(
            database,
            "INSERT INTO tasks (connection, place, kind, queue, origin, correlation) VALUES (?, ?, ?, ?, ?, ?)",
            params![id.as_bytes(), place, SECURE_SEND, queue.0, origin, correlation],
        ),
        TaskKind::CreateReply { info, keys } => execute(
            database,
            "INSERT INTO tasks (connection, place, kind, info, keys, origin, correlation) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![id.as_bytes(), place, CREATE_REPLY, &info[..], &keys[..], origin, correlation],
        ),
        TaskKind::Invite { queue, info } => execute(
            database,
            "INSERT INTO tasks (connection, place, kind, address, info, origin, correlation) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                id.as_bytes(),
                place,
                INVITE,
                values::queues(std::slice::from_ref(queue)),
                &info[..],
                origin,
                correlation
            ],
        ),
        TaskKind::OpenLink { link, key, sender_id } => execute(
            database,
            "INSERT INTO tasks (connection, place, kind, link, key, sender_id, origin, correlation) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                id.as_bytes(),
                place,
                OPEN_LINK,
                values::encoded(|out| link.encode(out)),
                &key.to_pkcs8_der()[..],
                sender_id.as_bytes(),
                origin,
                correlation
            ],
        ),
        TaskKind::SecureReceive(queue, key) => execute(
            database,
            "INSERT INTO tasks (connection, place, kind, queue, sender_key, origin, correlation) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![id.as_bytes(), place, SECURE_RECEIVE, queue.0, key.to_der(), origin, correlation],
        ),
        TaskKind::SecureAdded(queue, key) => execute(
            database,
            "INSERT INTO tasks (connection, place, kind, queue, sender_key, origin, correlation) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![id.as_bytes(), place, SECURE_ADDED, queue.0, key.to_der(), origin, correlation],
        ),
        TaskKind::Retire { queue, attempts } => execute(
            database,
            "INSERT INTO tasks (connection, place, kind, queue, attempts, origin, correlation) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![id.as_bytes(), place, RETIRE, queue.0, attempts, origin, correlation],
        ),
        TaskKind::DeleteQueue { server, recipient_id, key, attempts } => execute(
            database,
            "INSERT INTO tasks (connection, place, kind, server, recipient_id, key, attempts, origin, correlation) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                id.as_bytes(),
                place,
                DELETE_QUEUE,
                values::server(server),
                recipient_id.as_bytes(),
                &key.to_pkcs8_der()[..],
                attempts,
                origin,
                correlation
            ],
        ),
    }?;
    Ok(())
}

fn kind(row: &Record<'_>) -> Result<TaskKind> {
    let queue = || row.plain("queue").map(QueueNumber);
    match row.text("kind")? {
        Some(SECURE_SEND) => Ok(TaskKind::SecureSend(queue()?)),
        Some(CREATE_REPLY) => {
            Ok(TaskKind::CreateReply { info: row.bytes("info")?, keys: row.bytes("keys")? })
        }
        Some(INVITE) => {
            let queue = row.wire("address", values::decode_queues)?.pop();
            let queue = queue.ok_or(Failure::Damaged("tasks"))?;
            Ok(TaskKind::Invite { queue, info: row.bytes("info")? })
        }
        Some(OPEN_LINK) => Ok(TaskKind::OpenLink {
            link: Box::new(row.wire("link", ShortLink::decode)?),
            key: Box::new(row.decoded("key", AuthPrivateKey::from_pkcs8_der)?),
            sender_id: row.decoded("sender_id", EntityId::new)?,
        }),
        Some(SECURE_RECEIVE) => {
            Ok(TaskKind::SecureReceive(queue()?, row.decoded("sender_key", AuthPublicKey::from_der)?))
        }
        Some(SECURE_ADDED) => {
            Ok(TaskKind::SecureAdded(queue()?, row.decoded("sender_key", AuthPublicKey::from_der)?))
        }
        Some(RETIRE) => Ok(TaskKind::Retire { queue: queue()?, attempts: row.plain("attempts")? }),
        Some(DELETE_QUEUE) => Ok(TaskKind::DeleteQueue {
            server: row.wire("server", ServerAddress::decode)?,
            recipient_id: row.decoded("recipient_id", EntityId::new)?,
            key: Box::new(row.decoded("key", AuthPrivateKey::from_pkcs8_der)?),
            attempts: row.plain("attempts")?,
        }),
        _ => Err(Failure::Damaged("tasks")),
    }
}

fn origin(row: &Record<'_>) -> Result<Origin> {
    match (row.text("origin")?, row.text("correlation")?) {
        (Some(CALL), None) => Ok(Origin::Call),
        (Some(DURABLE), Some(correlation)) => Ok(Origin::Durable(correlation.into())),
        (Some(AGENT), None) => Ok(Origin::Agent),
        _ => Err(Failure::Damaged("tasks")),
    }
}

const CALL: &str = "call";
const DURABLE: &str = "durable";
const AGENT: &str = "agent";

const SECURE_SEND: &str = "secure send";
const CREATE_REPLY: &str = "create reply";
const INVITE: &str = "invite";
const OPEN_LINK: &str = "open link";
const SECURE_RECEIVE: &str = "secure receive";
const SECURE_ADDED: &str = "secure added";
const RETIRE: &str = "retire";
const DELETE_QUEUE: &str = "delete queue";
