//! Why a batch or a query was not carried out.

use rusqlite::ErrorCode;

/// Why a batch or a query was not carried out. None of this says what is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// An operation names what is not there. Nothing has changed.
    #[error("it names what is not there")]
    Refused,
    /// A record is not what its table should hold. Others are not touched by that.
    #[error("a record in table {0} is damaged")]
    Damaged(&'static str),
    /// The key of the database was not changed.
    #[error("the key was not changed")]
    Key,
    /// The database cannot read or write its files.
    #[error("{0}")]
    Database(rusqlite::Error),
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

/// Only foreign keys constrain what an operation may bring.
impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Refused,
            _ => Self::Database(error),
        }
    }
}
