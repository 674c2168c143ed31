//! Public keys on the wire: a short string of the DER SubjectPublicKeyInfo (RFC 8410).
//!
//! These types carry the raw key and no arithmetic; [`crate::crypto`] gives them meaning. A public key names
//! its owner, so `Debug` shows only the kind.

use core::fmt;

use super::codec::{DecodeError, Decoded, Reader, put_short};

/// DER before the raw key: SEQUENCE { SEQUENCE { OID }, BIT STRING (0 unused bits) }.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const X25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
const X448: [u8; 12] = [0x30, 0x42, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6f, 0x03, 0x39, 0x00];
const ED448: [u8; 12] = [0x30, 0x43, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x03, 0x3a, 0x00];

/// A key of one algorithm: its raw bytes.
macro_rules! raw_key {
    ($(#[$doc:meta])* $name:ident, $head:ident, $kind:literal, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The DER form: 12 bytes more than the raw key.
            #[must_use]
            pub fn to_der(&self) -> Vec<u8> {
                [&$head[..], &self.0].concat()
            }

            /// Reads the DER form, which has exactly one encoding.
            ///
            /// # Errors
            /// For other bytes, or another algorithm.
            pub fn from_der(der: &[u8]) -> Decoded<Self> {
                let raw = der.strip_prefix(&$head[..]).ok_or(DecodeError)?;
                raw.try_into().map(Self).map_err(|_| DecodeError)
            }

            #[doc = concat!("Reads a key.\n\n# Errors\nWhen it is not ", $kind, ".")]
            pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
                Self::from_der(reader.short()?)
            }

            /// Writes the key.
            pub fn encode(&self, out: &mut Vec<u8>) {
                put_short(out, &self.to_der());
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($kind)
            }
        }
    };
}

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

raw_key! {
    /// An X25519 key for Diffie-Hellman.
    DhPublicKey, X25519, "X25519", 32
}
raw_key! {
    /// An Ed25519 key that signs what is not a command: the data of links.
    Ed25519PublicKey, ED25519, "Ed25519", 32
}
raw_key! {
    /// An X448 key for Diffie-Hellman between the two ends of a conversation.
    X448PublicKey, X448, "X448", 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_der_form_of_a_key_has_one_encoding() {
        let key = X448PublicKey([7; 56]);
        let der = key.to_der();
        assert_eq!(X448PublicKey::from_der(&der), Ok(key));
        for end in 0..der.len() {
            assert!(X448PublicKey::from_der(&der[..end]).is_err(), "{end} bytes");
        }
        assert!(X448PublicKey::from_der(&[&der[..], &[0]].concat()).is_err());
        for i in 0..X448.len() {
            let mut changed = der.clone();
            changed[i] ^= 1;
            assert!(X448PublicKey::from_der(&changed).is_err(), "byte {i}");
        }
    }

    #[test]
    fn a_key_of_another_algorithm_is_refused() {
        let (x25519, ed25519) = (DhPublicKey([1; 32]), Ed25519PublicKey([1; 32]));
        assert_eq!(DhPublicKey::from_der(&ed25519.to_der()), Err(DecodeError));
        assert_eq!(Ed25519PublicKey::from_der(&x25519.to_der()), Err(DecodeError));
        assert_eq!(AuthPublicKey::from_der(&ed25519.to_der()), Ok(AuthPublicKey::Ed25519([1; 32])));
        assert_eq!(AuthPublicKey::from_der(&X448PublicKey([1; 56]).to_der()), Err(DecodeError));
        assert_eq!(format!("{x25519:?} {ed25519:?} {:?}", X448PublicKey([1; 56])), "X25519 Ed25519 X448");
    }
}
