//! Why the program ends without having done what it was asked for.

use std::fmt;
use std::path::Path;

/// A message for the operator: what is wrong, where, and the way out.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A failure with a file.
pub(crate) fn because(file: &Path, what: &str, cause: &dyn fmt::Display) -> Failure {
    Failure(format!("{}: {what}: {cause}", file.display()))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<crate::ini::IniError> for Failure {
    fn from(error: crate::ini::IniError) -> Self {
        Self(error.to_string())
    }
}
