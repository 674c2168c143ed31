//! Public keys on the wire: a short string of the DER SubjectPublicKeyInfo (RFC 8410).
//!
//! These types carry the raw key and no arithmetic; [`crate::crypto`] gives them meaning. A public key names
//! its owner, so `Debug` shows only the kind.

use core::fmt;

use super::codec::{DecodeError, Decoded, Reader, put_short};

/// DER before the raw key: SEQUENCE { SEQUENCE { OID }, BIT STRING (0 unused bits) }.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const X25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
const ED448: [u8; 12] = [0x30, 0x43, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x03, 0x3a, 0x00];

/// A key that authorises commands: by signature (Ed25519, Ed448) or by authenticator (X25519).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthPublicKey {
    /// 32 bytes.
    Ed25519([u8; 32]),
    /// 57 bytes.
    Ed448([u8; 57]),
    /// 32 bytes.
    X25519([u8; 32]),
}

impl AuthPublicKey {
    /// The DER form: 44 bytes, 69 for Ed448.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(raw) => [&ED25519[..], raw].concat(),
            Self::Ed448(raw) => [&ED448[..], raw].concat(),
            Self::X25519(raw) => [&X25519[..], raw].concat(),
        }
    }

    /// Reads the DER form, which has exactly one encoding.
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    pub fn from_der(der: &[u8]) -> Decoded<Self> {
        let (head, raw) = der.split_at_checked(12).ok_or(DecodeError)?;
        if head == ED25519 {
            raw.try_into().map(Self::Ed25519).map_err(|_| DecodeError)
        } else if head == X25519 {
            raw.try_into().map(Self::X25519).map_err(|_| DecodeError)
        } else if head == ED448 {
            raw.try_into().map(Self::Ed448).map_err(|_| DecodeError)
        } else {
            Err(DecodeError)
        }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When it is not one of the three.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Self::from_der(reader.short()?)
    }

    /// Writes the key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_short(out, &self.to_der());
    }
}

impl fmt::Debug for AuthPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519(_) => "Ed25519",
            Self::Ed448(_) => "Ed448",
            Self::X25519(_) => "X25519",
        })
    }
}

/// An X25519 key for Diffie-Hellman.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DhPublicKey(pub [u8; 32]);

impl DhPublicKey {
    /// The 44 bytes of the DER form.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        [&X25519[..], &self.0].concat()
    }

    /// Reads the DER form.
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    pub fn from_der(der: &[u8]) -> Decoded<Self> {
        match AuthPublicKey::from_der(der)? {
            AuthPublicKey::X25519(raw) => Ok(Self(raw)),
            AuthPublicKey::Ed25519(_) | AuthPublicKey::Ed448(_) => Err(DecodeError),
        }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When it is not X25519.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Self::from_der(reader.short()?)
    }

    /// Writes the key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_short(out, &self.to_der());
    }
}

impl fmt::Debug for DhPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519")
    }
}
