//! The few messages that carry JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{DecodeError, Decoded, Reader};

/// Reads all that is left as one JSON object; unknown keys are ignored, white space around it is allowed.
///
/// # Errors
/// When it is not such an object.
pub(super) fn decode<T: DeserializeOwned>(reader: &mut Reader<'_>) -> Decoded<T> {
    let bytes = reader.tail();
    // A derived decoder would take the list of the values as well.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(DecodeError);
    }
    serde_json::from_slice(&bytes).map_err(|_| DecodeError)
}

/// Writes a value with its keys in the order of its declaration.
pub(super) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing text keys and values to memory does not fail");
}
