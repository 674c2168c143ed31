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

/// What a kind of task has beside its name.
#[derive(Default)]
struct Columns<'a> {
    queue: Option<u32>,
    sender_key: Option<Vec<u8>>,
    info: Option<&'a [u8]>,
    keys: Option<&'a [u8]>,
    server: Option<Vec<u8>>,
    recipient_id: Option<&'a [u8]>,
    key: Option<&'a AuthPrivateKey>,
    attempts: Option<u32>,
    address: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    sender_id: Option<&'a [u8]>,
}

fn columns(kind: &TaskKind) -> (&'static str, Columns<'_>) {
    let none = Columns::default();
    match kind {
        TaskKind::SecureSend(queue) => (SECURE_SEND, Columns { queue: Some(queue.0), ..none }),
        TaskKind::CreateReply { info, keys } => {
            (CREATE_REPLY, Columns { info: Some(info), keys: Some(keys), ..none })
        }
        TaskKind::Invite { queue, info } => {
            let address = Some(values::queues(std::slice::from_ref(queue)));
            (INVITE, Columns { address, info: Some(info), ..none })
        }
        TaskKind::OpenLink { link, key, sender_id } => {
            let link = Some(values::encoded(|out| link.encode(out)));
            (OPEN_LINK, Columns { link, key: Some(key), sender_id: Some(sender_id.as_bytes()), ..none })
        }
        TaskKind::SecureReceive(queue, key) => {
            (SECURE_RECEIVE, Columns { queue: Some(queue.0), sender_key: Some(key.to_der()), ..none })
        }
        TaskKind::SecureAdded(queue, key) => {
            (SECURE_ADDED, Columns { queue: Some(queue.0), sender_key: Some(key.to_der()), ..none })
        }
        TaskKind::SecureSpare(queue) => (SECURE_SPARE, Columns { queue: Some(queue.0), ..none }),
        TaskKind::Retire { queue, attempts } => {
            (RETIRE, Columns { queue: Some(queue.0), attempts: Some(*attempts), ..none })
        }
        TaskKind::Command(call) => (COMMAND, Columns { info: Some(call), ..none }),
        TaskKind::Tell => (TELL, none),
        TaskKind::DeleteQueue { server, recipient_id, key, attempts } => {
            let (server, recipient_id) = (Some(values::server(server)), Some(recipient_id.as_bytes()));
            (
                DELETE_QUEUE,
                Columns { server, recipient_id, key: Some(key), attempts: Some(*attempts), ..none },
            )
        }
    }
}

fn insert(database: &Database, id: ConnectionId, place: usize, task: &Task) -> Result<()> {
    let (origin, correlation) = match &task.origin {
        Origin::Call => (CALL, None),
        Origin::Durable(correlation) => (DURABLE, Some(correlation)),
        Origin::Agent => (AGENT, None),
    };
    let place = i64::try_from(place).unwrap_or(i64::MAX);
    let (kind, columns) = columns(&task.kind);
    let key = columns.key.map(AuthPrivateKey::to_pkcs8_der);
    execute(
        database,
        "INSERT INTO tasks (connection, place, kind, origin, correlation, queue, sender_key, info, keys, server, \
         recipient_id, key, attempts, address, link, sender_id) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            id.as_bytes(),
            place,
            kind,
            origin,
            correlation,
            columns.queue,
            columns.sender_key,
            columns.info,
            columns.keys,
            columns.server,
            columns.recipient_id,
            key.as_ref().map(|key| &key[..]),
            columns.attempts,
            columns.address,
            columns.link,
            columns.sender_id,
        ],
    )?;
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
        Some(SECURE_SPARE) => Ok(TaskKind::SecureSpare(queue()?)),
        Some(RETIRE) => Ok(TaskKind::Retire { queue: queue()?, attempts: row.plain("attempts")? }),
        Some(COMMAND) => Ok(TaskKind::Command(row.bytes("info")?)),
        Some(TELL) => Ok(TaskKind::Tell),
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
const SECURE_SPARE: &str = "secure spare";
const RETIRE: &str = "retire";
const COMMAND: &str = "command";
const TELL: &str = "tell";
const DELETE_QUEUE: &str = "delete queue";
