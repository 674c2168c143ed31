//! Running statements, which are prepared once.

use rusqlite::{Connection, Params};
use smp_core::agent::ConnectionId;

use super::failure::{Failure, Result};
use super::record::Record;

/// Puts a row into a table, in place of the one with the same key, which stays the same row: nothing that refers to
/// it is deleted. `put!(database, table, { key: value, .. }, { column: value, .. })`.
macro_rules! put {
    (
        $database:expr, $table:ident,
        { $key:ident: $key_value:expr $(, $more_key:ident: $more_key_value:expr)* $(,)? },
        { $column:ident: $value:expr $(, $more:ident: $more_value:expr)* $(,)? } $(,)?
    ) => {
        $crate::agent::sqlite::statement::execute(
            $database,
            concat!(
                "INSERT INTO ", stringify!($table),
                " (", stringify!($key), $(", ", stringify!($more_key),)*
                ", ", stringify!($column), $(", ", stringify!($more),)*
                ") VALUES (:", stringify!($key), $(", :", stringify!($more_key),)*
                ", :", stringify!($column), $(", :", stringify!($more),)*
                ") ON CONFLICT (", stringify!($key), $(", ", stringify!($more_key),)*
                ") DO UPDATE SET ", stringify!($column), " = excluded.", stringify!($column),
                $(", ", stringify!($more), " = excluded.", stringify!($more),)*
            ),
            rusqlite::params![
                $key_value, $($more_key_value,)* $value, $($more_value,)*
            ],
        )
    };
}
pub(super) use put;

/// Runs a statement and says how many rows it changed.
pub(super) fn execute(database: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    Ok(database.prepare_cached(sql)?.execute(params)?)
}

/// The first row, if there is one.
pub(super) fn first<T>(
    database: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Record<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = database.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(|row| read(&Record::new(table, row))).transpose()
}

/// All rows.
pub(super) fn all<T>(
    database: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Record<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = database.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&Record::new(table, row))?);
    }
    Ok(found)
}

/// Refuses what is about a connection that is not there, where no foreign key would.
pub(super) fn require(database: &Connection, connection: ConnectionId) -> Result<()> {
    let sql = "SELECT 1 FROM connections WHERE id = ?";
    let found = first(database, "connections", sql, [connection.as_bytes()], |_| Ok(()))?;
    found.ok_or(Failure::Refused)
}
