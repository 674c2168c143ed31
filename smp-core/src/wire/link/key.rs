//! The secret in a short link.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::super::codec::{DecodeError, Decoded, Reader, put_short};
use super::super::text::{from_base64url_any, to_base64url_unpadded};

/// The key of a short link: SHA3-256 of the fixed part of the data that the link leads to.
///
/// It both decrypts the data and tells whether it is the right data. 32 bytes, on the wire a short string, as text
/// base64url without padding. Compared in constant time, erased when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LinkKey([u8; 32]);

impl LinkKey {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When it is not a short string of 32 bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        reader.short()?.try_into().map(Self).map_err(|_| DecodeError)
    }

    /// Writes the key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_short(out, &self.0);
    }

    /// The key in the text of a link; other programs may have padded it.
    pub(super) fn from_text(text: &str) -> Decoded<Self> {
        let bytes = Zeroizing::new(from_base64url_any(text)?);
        bytes.as_slice().try_into().map(Self).map_err(|_| DecodeError)
    }

    /// The key as it stands in the text of a link.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(to_base64url_unpadded(&self.0))
    }
}

impl PartialEq for LinkKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for LinkKey {}
