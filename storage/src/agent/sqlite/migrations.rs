//! The versions of the tables, and how a database gets from one to the next.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// The tables of version 1, then what makes each later version of the one before. None is ever changed.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
    include_str!("schema_10.sql"),
];

/// Why the tables cannot be used.
#[derive(Debug)]
pub(super) enum MigrationError {
    /// The database belongs to another program.
    Foreign,
    /// It has this version, and the newest known one is lower.
    Newer(u32),
    /// It cannot be read or written.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrationError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Brings a database to the version of the last of `migrations`, in one transaction.
pub(super) fn migrate(database: &mut Connection, migrations: &[&str]) -> Result<(), MigrationError> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let pending = migrations.get(version as usize..).ok_or(MigrationError::Newer(version))?;
    for (migration, done) in pending.iter().zip(version..) {
        transaction.execute_batch(migration)?;
        transaction.execute("INSERT INTO migrations (version) VALUES (?)", [done + 1])?;
    }
    Ok(transaction.commit()?)
}

/// The version of the tables, 0 in a new database, which is marked as ours.
fn version(database: &Connection) -> Result<u32, MigrationError> {
    let is_empty = database.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i64 = database.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    match (application, is_empty) {
        (0, true) => {
            database.pragma_update(None, "application_id", APPLICATION_ID)?;
            database.execute_batch("CREATE TABLE migrations (version INTEGER PRIMARY KEY) STRICT")?;
            Ok(0)
        }
        (APPLICATION_ID, false) => {
            let last = database
                .query_row("SELECT version FROM migrations ORDER BY version DESC LIMIT 1", [], |row| {
                    row.get(0)
                })
                .optional()?;
            Ok(last.unwrap_or(0))
        }
        _ => Err(MigrationError::Foreign),
    }
}

/// In the header of the file: the letters `SMPA`.
const APPLICATION_ID: i64 = 0x534d_5041;

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE one (a INTEGER) STRICT; INSERT INTO one VALUES (7);";
    const SECOND: &str = "ALTER TABLE one ADD COLUMN b INTEGER; UPDATE one SET b = 2 * a;";
    const BROKEN: &str = "CREATE TABLE two (a INTEGER) STRICT; INSERT INTO nothing VALUES (1);";

    fn versions(database: &Connection) -> Vec<u32> {
        let mut statement = database.prepare("SELECT version FROM migrations").expect("the table is there");
        let rows = statement.query_map([], |row| row.get(0)).expect("it can be read");
        rows.map(|row| row.expect("a number")).collect()
    }

    #[test]
    fn each_version_is_reached_from_the_one_before() {
        let mut database = Connection::open_in_memory().expect("a database");
        migrate(&mut database, &[FIRST]).expect("version 1");
        migrate(&mut database, &[FIRST, SECOND]).expect("version 2");
        migrate(&mut database, &[FIRST, SECOND]).expect("nothing is done twice");
        assert_eq!(versions(&database), [1, 2]);
        let doubled: i64 = database.query_row("SELECT b FROM one", [], |row| row.get(0)).expect("a row");
        assert_eq!(doubled, 14);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_former_version() {
        let mut database = Connection::open_in_memory().expect("a database");
        migrate(&mut database, &[FIRST]).expect("version 1");
        let failed = migrate(&mut database, &[FIRST, SECOND, BROKEN]);
        assert!(matches!(failed, Err(MigrationError::Database(_))));
        assert_eq!(versions(&database), [1]);
        let columns = database.prepare("SELECT * FROM one").expect("the table is there").column_count();
        assert_eq!(columns, 1, "nothing is left of version 2");
    }

    #[test]
    fn newer_and_foreign_databases_are_refused() {
        let mut database = Connection::open_in_memory().expect("a database");
        migrate(&mut database, &[FIRST, SECOND]).expect("version 2");
        assert!(matches!(migrate(&mut database, &[FIRST]), Err(MigrationError::Newer(2))));
        let mut foreign = Connection::open_in_memory().expect("a database");
        foreign.execute_batch(FIRST).expect("a table");
        assert!(matches!(migrate(&mut foreign, &[FIRST]), Err(MigrationError::Foreign)));
    }
}
