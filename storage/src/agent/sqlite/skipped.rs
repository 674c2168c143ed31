//! Keys of skipped messages. Their chains are numbered, so that they keep the order of their age.

use rusqlite::{Connection as Database, params};
use smp_core::agent::ConnectionId;
use smp_core::crypto::ratchet::{BodyKey, HeaderKey, SkippedChanges, SkippedKey, SkippedKeys};

use super::failure::Result;
use super::statement::{all, execute, require};

pub(super) fn change(database: &Database, id: ConnectionId, changes: &SkippedChanges) -> Result<()> {
    require(database, id)?;
    for (header, number) in &changes.removed {
        execute(database, REMOVE, params![id.as_bytes(), header.as_bytes(), number])?;
    }
    for SkippedKey { header, number, key } in &changes.added {
        execute(database, ADD, params![id.as_bytes(), number, header.as_bytes(), key.key, key.iv])?;
    }
    Ok(())
}

pub(super) fn clear(database: &Database, id: ConnectionId) -> Result<()> {
    execute(database, "DELETE FROM skipped_keys WHERE connection = ?", [id.as_bytes()])?;
    Ok(())
}

pub(super) fn find(database: &Database, id: ConnectionId) -> Result<SkippedKeys> {
    let mut keys = SkippedKeys::new();
    let sql = "SELECT * FROM skipped_keys WHERE connection = ? ORDER BY chain, number";
    all(database, "skipped_keys", sql, [id.as_bytes()], |row| {
        let header = HeaderKey::new(row.array("header")?);
        let key = BodyKey { key: row.array("key")?, iv: row.array("iv")? };
        keys.insert(SkippedKey { header, number: row.plain("number")?, key });
        Ok(())
    })?;
    Ok(keys)
}

const REMOVE: &str = "DELETE FROM skipped_keys WHERE connection = ? AND header = ? AND number = ?";

/// Into the chain with this header, or a new one behind the others.
const ADD: &str = "INSERT INTO skipped_keys (connection, chain, number, header, key, iv) VALUES (?1, COALESCE(
    (SELECT chain FROM skipped_keys WHERE connection = ?1 AND header = ?3 LIMIT 1),
    (SELECT COALESCE(MAX(chain), 0) + 1 FROM skipped_keys WHERE connection = ?1)
), ?2, ?3, ?4, ?5) ON CONFLICT (connection, chain, number) DO UPDATE SET key = excluded.key, iv = excluded.iv";
