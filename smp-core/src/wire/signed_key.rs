//! A session key signed by the key of a certificate.
//!
//! ```text
//! SEQUENCE {
//!   SEQUENCE { SubjectPublicKeyInfo }   -- the signature covers these 46 bytes, header included
//!   AlgorithmIdentifier                 -- Ed25519 or Ed448, without parameters (RFC 8410)
//!   BIT STRING                          -- the raw signature
//! }
//! ```
//!
//! Both kinds of key have 44 bytes and both kinds of signature a fixed length, so each of the four
//! combinations has exactly one encoding. It is compared with the expected bytes; there is no general DER
//! parser to attack.

use core::fmt;

use super::codec::{DecodeError, Decoded};
use super::key::{AuthPublicKey, DhPublicKey};

/// A session key and the signature of the certificate's owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedKey {
    /// What was signed.
    pub key: SessionKey,
    /// By the leaf key of the chain that comes with it. Not verified here.
    pub signature: KeySignature,
}

/// A key for one session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SessionKey {
    /// Of a server, for key agreement with its clients.
    X25519(DhPublicKey),
    /// Of a service, which signs commands with it.
    Ed25519([u8; 32]),
}

/// A raw signature by the leaf key of a certificate chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeySignature {
    /// RFC 8032, section 5.1.
    Ed25519([u8; 64]),
    /// RFC 8032, section 5.2, with an empty context.
    Ed448([u8; 114]),
}

impl SignedKey {
    /// Reads the DER form.
    ///
    /// # Errors
    /// For anything but the one encoding of an X25519 or Ed25519 key with an Ed25519 or Ed448 signature.
    pub fn from_der(der: &[u8]) -> Decoded<Self> {
        let (content, middle) = if let Some(content) = der.strip_prefix(&ED25519_HEADER) {
            (content, &ED25519_MIDDLE)
        } else if let Some(content) = der.strip_prefix(&ED448_HEADER) {
            (content, &ED448_MIDDLE)
        } else {
            return Err(DecodeError);
        };
        let content = content.strip_prefix(&KEY_HEADER).ok_or(DecodeError)?;
        let (spki, rest) = content.split_at_checked(SPKI_LENGTH).ok_or(DecodeError)?;
        let raw = rest.strip_prefix(middle).ok_or(DecodeError)?;
        let signature = if middle == &ED25519_MIDDLE {
            KeySignature::Ed25519(raw.try_into().map_err(|_| DecodeError)?)
        } else {
            KeySignature::Ed448(raw.try_into().map_err(|_| DecodeError)?)
        };
        Ok(Self { key: SessionKey::from_spki(spki)?, signature })
    }

    /// The DER form: 122 bytes, 173 with an Ed448 signature.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let signed = self.key.signed_bytes();
        match &self.signature {
            KeySignature::Ed25519(raw) => [&ED25519_HEADER[..], &signed, &ED25519_MIDDLE, raw].concat(),
            KeySignature::Ed448(raw) => [&ED448_HEADER[..], &signed, &ED448_MIDDLE, raw].concat(),
        }
    }
}

impl SessionKey {
    /// The 46 bytes that are signed: the key's SubjectPublicKeyInfo inside one more SEQUENCE.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let spki = match self {
            Self::X25519(key) => key.to_der(),
            Self::Ed25519(raw) => AuthPublicKey::Ed25519(*raw).to_der(),
        };
        [&KEY_HEADER[..], &spki].concat()
    }

    fn from_spki(spki: &[u8]) -> Decoded<Self> {
        match AuthPublicKey::from_der(spki)? {
            AuthPublicKey::X25519(raw) => Ok(Self::X25519(DhPublicKey(raw))),
            AuthPublicKey::Ed25519(raw) => Ok(Self::Ed25519(raw)),
            AuthPublicKey::Ed448(_) => Err(DecodeError),
        }
    }
}

/// Only the kind.
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X25519(_) => "X25519",
            Self::Ed25519(_) => "Ed25519",
        })
    }
}

/// Only the kind.
impl fmt::Debug for KeySignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519(_) => "Ed25519",
            Self::Ed448(_) => "Ed448",
        })
    }
}

/// The length of the SubjectPublicKeyInfo of either kind of key.
const SPKI_LENGTH: usize = 44;
/// SEQUENCE around the SubjectPublicKeyInfo.
const KEY_HEADER: [u8; 2] = [0x30, 0x2c];
/// SEQUENCE around everything.
const ED25519_HEADER: [u8; 2] = [0x30, 0x78];
const ED448_HEADER: [u8; 3] = [0x30, 0x81, 0xaa];
/// AlgorithmIdentifier { OID }, then BIT STRING (0 unused bits).
const ED25519_MIDDLE: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x41, 0x00];
const ED448_MIDDLE: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x03, 0x73, 0x00];

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<(SignedKey, usize)> {
        let keys = [SessionKey::X25519(DhPublicKey([1; 32])), SessionKey::Ed25519([2; 32])];
        let signatures = [(KeySignature::Ed25519([3; 64]), 122), (KeySignature::Ed448([4; 114]), 173)];
        keys.iter()
            .flat_map(|&key| signatures.map(|(signature, length)| (SignedKey { key, signature }, length)))
            .collect()
    }

    #[test]
    fn der_lengths_are_right() {
        for (value, length) in examples() {
            let der = value.to_der();
            assert_eq!(der.len(), length);
            // The lengths in the headers, read independently of the constants.
            let (content, header) = if der[1] < 0x80 { (der[1], 2) } else { (der[2], 3) };
            assert_eq!(usize::from(content) + header, length);
            assert_eq!(usize::from(der[header + 1]), SPKI_LENGTH);
            let bits = header + 2 + SPKI_LENGTH + 7;
            assert_eq!((der[bits], usize::from(der[bits + 1]) + bits + 2), (0x03, length));
            assert_eq!(der[header..header + 46], value.key.signed_bytes());
        }
    }

    #[test]
    fn der_both_ways_and_nothing_else() {
        for (value, _) in examples() {
            let der = value.to_der();
            assert_eq!(SignedKey::from_der(&der), Ok(value.clone()));
            for cut in 0..der.len() {
                assert_eq!(SignedKey::from_der(&der[..cut]), Err(DecodeError));
            }
            assert_eq!(SignedKey::from_der(&[&der[..], &[0]].concat()), Err(DecodeError));
            for position in 0..der.len() {
                let mut changed = der.clone();
                changed[position] ^= 1;
                // Either the change is in the raw key, the raw signature or the key's kind, and then it is
                // read as what it is, or it is refused.
                if let Ok(read) = SignedKey::from_der(&changed) {
                    assert_ne!(read, value);
                    assert_eq!(read.to_der(), changed);
                }
            }
        }
    }

    quickcheck::quickcheck! {
        fn any_bytes_are_read_as_what_they_are_or_refused(der: Vec<u8>) -> bool {
            SignedKey::from_der(&der).map_or(true, |read| read.to_der() == der)
        }
    }
}
