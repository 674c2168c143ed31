//! Why a database could not be opened.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the database of an agent could not be opened. The message names the file and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentOpenError {
    /// There is nothing at the path, and nothing may be created.
    #[error("there is no database at {path}: correct the path, or let a new one be created there")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There is a key, and this program cannot encrypt.
    #[error(
        "cannot open {path} with a key: this program was built without encryption (feature sqlcipher of smp-storage)"
    )]
    NoEncryption {
        /// The file.
        path: PathBuf,
    },
    /// The file is encrypted with another key or not encrypted at all, or it is no database.
    #[error("cannot read {path}: wrong key, or not a database of this program")]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("{path} is a database of another program: choose another file")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it open, or another store in this one.
    #[error("the database at {path} is in use: stop the other program that uses it, or choose another file")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer version.
    #[error(
        "the database at {path} has version {found}, and this program knows version {known}: use a newer program"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its tables.
        found: u32,
        /// The newest version of tables that this program knows.
        known: u32,
    },
    /// It is damaged.
    #[error("the database at {path} is damaged ({what}): restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// A file operation failed.
    #[error("cannot open the database at {path}: {source}. Check the folder, its permissions and the disk")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file operation of SQLite failed.
    #[error("cannot open the database at {path}: {what}. Check the folder, its permissions and the disk")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
}

impl AgentOpenError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(super) fn database(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.into();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Unreadable { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory,
            ) => Self::Failed { path, what: error.to_string() },
            _ => Self::Damaged { path, what: error.to_string() },
        }
    }
}
