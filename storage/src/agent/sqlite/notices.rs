//! Notices of servers.

use rusqlite::{Connection as Database, params};
use smp_core::agent::store::ServerNotice;
use smp_core::wire::{EntityId, ServerAddress};

use super::failure::Result;
use super::statement::{all, execute, put};
use super::values;

pub(super) fn put_one(database: &Database, notice: &ServerNotice) -> Result<()> {
    let server = values::server(&notice.server);
    put!(database, notices, { server: server, queue: notice.queue.as_bytes() }, {
        created_at: notice.created_at.as_millis(),
        ttl: notice.ttl,
    })?;
    Ok(())
}

pub(super) fn delete(database: &Database, server: &ServerAddress, queue: &EntityId) -> Result<()> {
    let sql = "DELETE FROM notices WHERE server = ? AND queue = ?";
    execute(database, sql, params![values::server(server), queue.as_bytes()])?;
    Ok(())
}

pub(super) fn all_kept(database: &Database) -> Result<Vec<ServerNotice>> {
    all(database, "notices", "SELECT * FROM notices ORDER BY server, queue", [], |row| {
        Ok(ServerNotice {
            server: row.wire("server", ServerAddress::decode)?,
            queue: row.decoded("queue", EntityId::new)?,
            created_at: row.time("created_at")?,
            ttl: row.plain("ttl")?,
        })
    })
}
