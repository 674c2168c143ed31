//! Access to the vector files: JSON with hex strings.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;

/// The folder that `SMP_VECTORS_DIR` names, else the copy in this package.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("SMP_VECTORS_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors"), PathBuf::from)
}

/// The parsed content of one vector file.
///
/// # Panics
/// When the file cannot be read or is not JSON, naming it.
#[must_use]
pub fn load(file: &str) -> Value {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Reads fields of vector values; every method panics with the name of the field when it is not of the kind
/// asked for.
pub trait Fields {
    /// The field itself.
    fn field(&self, name: &str) -> &Value;

    /// The items of a list.
    fn items(&self, name: &str) -> &[Value] {
        self.field(name).as_array().unwrap_or_else(|| panic!("{name}: not a list"))
    }

    /// A string.
    fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap_or_else(|| panic!("{name}: not a string"))
    }

    /// A number.
    fn number(&self, name: &str) -> u64 {
        self.field(name).as_u64().unwrap_or_else(|| panic!("{name}: not a number"))
    }

    /// A hex string.
    fn hex(&self, name: &str) -> Bytes {
        unhex(self.text(name))
    }
}

impl Fields for Value {
    fn field(&self, name: &str) -> &Value {
        self.get(name).unwrap_or_else(|| panic!("no field {name}"))
    }
}

/// The bytes of a hex string.
///
/// # Panics
/// When it is not hex.
#[must_use]
pub fn unhex(text: &str) -> Bytes {
    assert!(text.len().is_multiple_of(2), "odd hex: {text}");
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap_or_else(|e| panic!("{e} in {text}")))
        .collect()
}

/// Compares bytes with a value that stands for long ones: `len` and `sha256`.
///
/// # Panics
/// When they differ, or a field is missing.
pub fn assert_digest(bytes: &[u8], digest: &Value) {
    assert_eq!(u64::try_from(bytes.len()).ok(), Some(digest.number("len")));
    assert_eq!(smp_core::crypto::hash::sha256(bytes)[..], digest.hex("sha256"), "bytes differ");
}
