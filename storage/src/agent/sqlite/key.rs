//! The key of an encrypted database.

use rusqlite::Connection;
use zeroize::Zeroizing;

/// What a database is encrypted with: all of the file but a salt of 16 bytes, by AES-256-CBC and HMAC-SHA512
/// (SQLCipher 4).
///
/// Needs feature `sqlcipher`; without it databases with a key are refused.
///
/// SQLCipher holds the key in memory while the database is open.
pub struct DatabaseKey {
    /// What SQLCipher is told, as hexadecimal digits.
    digits: Zeroizing<String>,
}

impl DatabaseKey {
    /// A key that is derived from a passphrase, with PBKDF2-HMAC-SHA512 and 256,000 rounds: opening takes part of a
    /// second.
    /// `None` for an empty one, with which nothing would be encrypted.
    #[must_use]
    pub fn passphrase(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self { digits: digits(text.as_bytes()) })
    }

    /// A key that was drawn at random, from a keychain for example. Nothing is derived.
    #[must_use]
    pub fn random(key: &[u8; 32]) -> Self {
        // This form tells SQLCipher that it is a key.
        let mut form = Zeroizing::new(String::with_capacity(2 * key.len() + 3));
        form.push_str("x'");
        form.push_str(&digits(key));
        form.push('\'');
        Self { digits: digits(form.as_bytes()) }
    }

    /// Tells SQLCipher the key, before anything is read. False if it was not taken; an error would show the
    /// statement, which has the key.
    pub(super) fn unlock(&self, database: &Connection) -> bool {
        let mut statement = Zeroizing::new(String::with_capacity(self.digits.len() + 32));
        statement.push_str("PRAGMA hexkey = '");
        statement.push_str(&self.digits);
        statement.push('\'');
        database.execute_batch(&statement).is_ok()
    }
}

/// Whether this SQLite can encrypt. If it cannot it ignores keys, and everything would be written for all to read.
pub(super) fn can_encrypt() -> bool {
    let version = Connection::open_in_memory()
        .and_then(|database| database.query_row("PRAGMA cipher_version", [], |row| row.get::<_, String>(0)));
    version.is_ok()
}

/// Never to grow, because a string that grows leaves a copy behind.
fn digits(bytes: &[u8]) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    bytes.iter().for_each(|byte| digits.extend([digit(byte >> 4), digit(byte & 15)]));
    digits
}
