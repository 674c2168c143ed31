//! The key of an encrypted database.

use rusqlite::Connection;
use zeroize::Zeroizing;

/// What a database is encrypted with: all of the file but a salt of 16 bytes, by AES-256-CBC and HMAC-SHA512 (SQLCipher 4).
///
/// SQLCipher holds the key in memory while the database is open.
pub struct DatabaseKey(Zeroizing<String>);

impl DatabaseKey {
    /// A key that is derived from a passphrase, with PBKDF2-HMAC-SHA512 and 256,000 rounds: opening takes part of a second.
    #[must_use]
    pub fn passphrase(text: &str) -> Self {
        // Twice as long if every character is a quote. Never to grow, because a string that grows leaves a copy behind.
        let mut literal = Zeroizing::new(String::with_capacity(2 * text.len() + 2));
        literal.push('\'');
        for character in text.chars() {
            literal.push(character);
            if character == '\'' {
                literal.push(character);
            }
        }
        literal.push('\'');
        Self(literal)
    }

    /// A key that was drawn at random, from a keychain for example. Nothing is derived.
    #[must_use]
    pub fn random(key: &[u8; 32]) -> Self {
        let mut literal = Zeroizing::new(String::with_capacity(2 * key.len() + 5));
        literal.push_str("\"x'");
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
        key.iter().for_each(|byte| literal.extend([digit(byte >> 4), digit(byte & 15)]));
        literal.push_str("'\"");
        Self(literal)
    }

    /// Tells SQLite the key, before anything is read.
    pub(super) fn unlock(&self, database: &Connection) -> rusqlite::Result<()> {
        let mut statement = Zeroizing::new(String::with_capacity(self.0.len() + 16));
        statement.push_str("PRAGMA key = ");
        statement.push_str(&self.0);
        database.execute_batch(&statement)
    }
}
