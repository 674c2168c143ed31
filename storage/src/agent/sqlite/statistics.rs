//! What was done at servers.

use std::collections::BTreeMap;

use rusqlite::Connection as Database;
use smp_core::agent::UserId;
use smp_core::agent::store::{ServerCounters, Statistics};
use smp_core::wire::ServerAddress;
use smp_core::wire::codec::{Decoded, Reader};

use super::failure::Result;
use super::statement::{all, execute, first, put};
use super::values;

/// What was kept is forgotten.
pub(super) fn replace(database: &Database, statistics: &Statistics) -> Result<()> {
    put!(database, statistics, { id: 0 }, { since: statistics.since.as_millis() })?;
    execute(database, "DELETE FROM server_counters", [])?;
    for ((user, server), counters) in &statistics.servers {
        put!(database, server_counters, { user: user.0, server: values::server(server) }, {
            counters: encode(counters),
        })?;
    }
    Ok(())
}

pub(super) fn find(database: &Database) -> Result<Option<Box<Statistics>>> {
    let sql = "SELECT since FROM statistics";
    let Some(since) = first(database, "statistics", sql, [], |row| row.time("since"))? else {
        return Ok(None);
    };
    let sql = "SELECT * FROM server_counters";
    let rows = all(database, "server_counters", sql, [], |row| {
        let key = (UserId(row.plain("user")?), row.wire("server", ServerAddress::decode)?);
        Ok((key, row.wire("counters", decode)?))
    })?;
    Ok(Some(Box::new(Statistics { since, servers: BTreeMap::from_iter(rows) })))
}

fn encode(counters: &ServerCounters) -> Vec<u8> {
    counters.all().into_iter().flat_map(|(_, value)| value.to_be_bytes()).collect()
}

/// Counters that are missing came with a later version than the one that wrote this.
fn decode(reader: &mut Reader<'_>) -> Decoded<ServerCounters> {
    let mut values = Vec::new();
    while !reader.is_empty() {
        values.push(u64::from_be_bytes(reader.array()?));
    }
    Ok(ServerCounters::of_values(values))
}
