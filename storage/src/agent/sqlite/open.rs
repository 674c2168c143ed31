//! Opening the file: one process at a time, the right key, the settings, the version.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::key::can_encrypt;
use super::migrations::{MIGRATIONS, MigrationError, migrate};
use super::{AgentOpenError, SqliteOptions};

/// An open database, and the lock that is held as long as it is.
pub(super) fn open(path: &Path, options: &SqliteOptions) -> Result<(Connection, File), AgentOpenError> {
    let fail = |error| AgentOpenError::io(path, error);
    if options.key.is_some() && !can_encrypt() {
        return Err(AgentOpenError::NoEncryption { path: path.into() });
    }
    if !options.create && !path.try_exists().map_err(fail)? {
        return Err(AgentOpenError::Missing { path: path.into() });
    }
    let lock = lock(path)?;
    create_private(path).map_err(fail)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let fail = |error| AgentOpenError::database(path, &error);
    let mut database = Connection::open_with_flags(path, flags).map_err(fail)?;
    if options.key.as_ref().is_some_and(|key| !key.unlock(&database)) {
        return Err(AgentOpenError::Failed { path: path.into(), what: "the key was not taken".into() });
    }
    configure(&database).map_err(fail)?;
    migrate(&mut database, MIGRATIONS).map_err(|error| match error {
        MigrationError::Foreign => AgentOpenError::Foreign { path: path.into() },
        MigrationError::Newer(found) => {
            let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
            AgentOpenError::Newer { path: path.into(), found, known }
        }
        MigrationError::Database(error) => fail(error),
    })?;
    Ok((database, lock))
}

fn configure(database: &Connection) -> rusqlite::Result<()> {
    database.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    database.busy_timeout(BUSY_TIMEOUT)?;
    database.execute_batch(SETTINGS)
}

/// Keeps other processes out, and other stores of this one, before anything of the database is read or written.
fn lock(path: &Path) -> Result<File, AgentOpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::create(PathBuf::from(name)).map_err(|error| AgentOpenError::io(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AgentOpenError::Locked { path: path.into() }),
        // Some systems have no such locks; the one that SQLite takes for good is left.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(AgentOpenError::io(path, error)),
    }
}

/// Makes the file, if it is not there, so that only its owner can read it. SQLite gives its other files the same
/// permissions.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(|_| ()),
    }
}

/// How many statements are kept prepared: more than there are.
const STATEMENTS_MAX: usize = 128;

/// How long to wait for a program that knows nothing of the lock and reads the file, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// * A process has the file alone: also to those that know nothing of the lock.
/// * A commit is on the disk when it returns, also on systems where that takes a special call.
/// * What is deleted is overwritten. The journal holds it until it is written over, or the database is closed; what
///   sorting needs stays in memory.
/// * What a damaged file holds is not believed.
const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA secure_delete = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
";
