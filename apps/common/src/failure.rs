//! Why the program ends without having done what it was asked for.

use std::fmt;
use std::path::Path;

/// A message for who runs the program: what is wrong, where, and the way out.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A failure with a file: `<file>: <what>: <cause>`.
#[must_use]
pub fn because(file: &Path, what: &str, cause: &dyn fmt::Display) -> Failure {
    Failure(format!("{}: {what}: {cause}", file.display()))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
