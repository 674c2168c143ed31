//! Why a store could not be opened.

use std::io;
use std::path::PathBuf;

use super::layout::FORMAT;

/// Why a store could not be opened. The message names the folder and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is nothing at the path, and nothing may be created.
    #[error(
        "there is no message store at {path}: correct the path, or let the server create a new, empty store there"
    )]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds other files.
    #[error("{path} holds files that are not a message store: choose an empty or a new folder")]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error(
        "the message store at {path} is open in another process: stop that one first, or choose another folder"
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// It was written by a newer version.
    #[error(
        "the message store at {path} has format {found}, and this version knows format {FORMAT}: use a newer version"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// The format it has.
        found: u16,
    },
    /// It is damaged.
    #[error(
        "the message store at {path} is damaged ({what}): restore the folder from a backup, or move it \
         away and start with an empty store"
    )]
    Corrupt {
        /// The folder.
        path: PathBuf,
        /// The file or keyspace, and what is wrong with it.
        what: String,
    },
    /// A file operation failed.
    #[error("cannot open the message store at {path}: {source}. {}", advice(source.kind()))]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

const fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => {
            "The folder and all in it must belong to the user that runs the server"
        }
        io::ErrorKind::ReadOnlyFilesystem => "The store must be on a file system that can be written",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "Make room on that file system and try again; the store itself is not damaged"
        }
        io::ErrorKind::NotFound => "The folder above it must exist",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "The path must lead to a folder",
        _ => "Check the disk and the file system, then try again",
    }
}
