//! Reading the columns of a row.

use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};
use smp_core::UnixTime;
use smp_core::agent::ConnectionId;
use smp_core::wire::codec::{Decoded, Reader, decode_all};

use super::failure::{Failure, Result};
use super::words::Word;

/// A row. What cannot be decoded is damage of its table.
pub(super) struct Record<'a> {
    table: &'static str,
    row: &'a Row<'a>,
}

impl<'a> Record<'a> {
    pub(super) const fn new(table: &'static str, row: &'a Row<'a>) -> Self {
        Self { table, row }
    }

    /// A number, a flag or a text; as an `Option`, one that may be missing.
    pub(super) fn plain<T: FromSql>(&self, column: &str) -> Result<T> {
        self.valid(self.row.get(column))
    }

    pub(super) fn time(&self, column: &str) -> Result<UnixTime> {
        self.plain(column).map(UnixTime::from_millis)
    }

    pub(super) fn optional_time(&self, column: &str) -> Result<Option<UnixTime>> {
        Ok(self.plain::<Option<i64>>(column)?.map(UnixTime::from_millis))
    }

    /// Bytes that are not copied: a secret, or what is decoded at once.
    pub(super) fn slice(&self, column: &str) -> Result<&[u8]> {
        self.optional_slice(column)?.ok_or(Failure::Damaged(self.table))
    }

    pub(super) fn optional_slice(&self, column: &str) -> Result<Option<&[u8]>> {
        match self.valid(self.row.get_ref(column))? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(bytes) => Ok(Some(bytes)),
            _ => Err(Failure::Damaged(self.table)),
        }
    }

    pub(super) fn array<const N: usize>(&self, column: &str) -> Result<[u8; N]> {
        self.valid(self.slice(column)?.try_into())
    }

    pub(super) fn bytes(&self, column: &str) -> Result<Bytes> {
        self.slice(column).map(Bytes::copy_from_slice)
    }

    pub(super) fn optional_bytes(&self, column: &str) -> Result<Option<Bytes>> {
        Ok(self.optional_slice(column)?.map(Bytes::copy_from_slice))
    }

    pub(super) fn connection(&self, column: &str) -> Result<ConnectionId> {
        self.array(column).map(ConnectionId::new)
    }

    /// What these bytes are the form of.
    pub(super) fn decoded<T, E>(
        &self,
        column: &str,
        decode: impl FnOnce(&[u8]) -> std::result::Result<T, E>,
    ) -> Result<T> {
        self.valid(decode(self.slice(column)?))
    }

    pub(super) fn optional<T, E>(
        &self,
        column: &str,
        decode: impl FnOnce(&[u8]) -> std::result::Result<T, E>,
    ) -> Result<Option<T>> {
        self.valid(self.optional_slice(column)?.map(decode).transpose())
    }

    /// What these bytes are the form of on the wire. Not for secrets, because the bytes are copied.
    pub(super) fn wire<T>(
        &self,
        column: &str,
        decode: impl FnOnce(&mut Reader<'_>) -> Decoded<T>,
    ) -> Result<T> {
        self.valid(decode_all(&self.bytes(column)?, decode))
    }

    pub(super) fn word<T: Word>(&self, column: &str) -> Result<T> {
        self.optional_word(column)?.ok_or(Failure::Damaged(self.table))
    }

    pub(super) fn optional_word<T: Word>(&self, column: &str) -> Result<Option<T>> {
        self.text(column)?.map(|word| self.valid(T::from_word(word))).transpose()
    }

    pub(super) fn text(&self, column: &str) -> Result<Option<&str>> {
        self.valid(self.valid(self.row.get_ref(column))?.as_str_or_null())
    }

    /// The value, or damage.
    pub(super) fn valid<T, E>(&self, value: std::result::Result<T, E>) -> Result<T> {
        value.map_err(|_| Failure::Damaged(self.table))
    }
}
