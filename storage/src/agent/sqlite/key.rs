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
    /// What SQLCipher is told, in quotes. Its form in hexadecimal digits would do without them, but ends after 40 bytes.
    literal: Zeroizing<String>,
}

impl DatabaseKey {
    /// A key that is derived from a passphrase, with PBKDF2-HMAC-SHA512 and 256,000 rounds: opening takes part of a
    /// second. `None` for an empty one, with which nothing would be encrypted, and for one with a character U+0000,
    /// which would be its end.
    #[must_use]
    pub fn passphrase(text: &str) -> Option<Self> {
        if text.is_empty() || text.contains('\0') {
            return None;
        }
        // Room for quotes only. Never to grow, because a string that grows leaves a copy behind.
        let mut literal = Zeroizing::new(String::with_capacity(2 * text.len() + 2));
        literal.push('\'');
        for character in text.chars() {
            literal.push(character);
            if character == '\'' {
                literal.push(character);
            }
        }
        literal.push('\'');
        Some(Self { literal })
    }

    /// A key that was drawn at random, from a keychain for example. Nothing is derived.
    #[must_use]
    pub fn random(key: &[u8; 32]) -> Self {
        let mut literal = Zeroizing::new(String::with_capacity(2 * key.len() + 5));
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
        literal.push_str("\"x'");
        key.iter().for_each(|byte| literal.extend([digit(byte >> 4), digit(byte & 15)]));
        literal.push_str("'\"");
        Self { literal }
    }

    /// Tells SQLCipher the key, before anything is read. False if it was not taken.
    pub(super) fn unlock(&self, database: &Connection) -> bool {
        self.tell(database, "PRAGMA key = ")
    }

    /// Encrypts all of an open database with this key in place of the one that it has. False if that was not done.
    pub(super) fn replace(&self, database: &Connection) -> bool {
        can_encrypt() && self.tell(database, "PRAGMA rekey = ")
    }

    /// Errors are dropped, because they would show the statement, which has the key.
    fn tell(&self, database: &Connection, what: &str) -> bool {
        let capacity = QUIET.len() + what.len() + self.literal.len();
        let mut statement = Zeroizing::new(String::with_capacity(capacity));
        statement.push_str(QUIET);
        statement.push_str(what);
        statement.push_str(&self.literal);
        database.execute_batch(&statement).is_ok()
    }
}

/// Whether this SQLite can encrypt. If it cannot it ignores keys, and everything would be written for all to read.
pub(super) fn can_encrypt() -> bool {
    let version = Connection::open_in_memory()
        .and_then(|database| database.query_row("PRAGMA cipher_version", [], |row| row.get::<_, String>(0)));
    version.is_ok()
}

/// The log of SQLCipher goes to the standard error output, whatever the program does with its own.
const QUIET: &str = "PRAGMA cipher_log_level = NONE; ";
