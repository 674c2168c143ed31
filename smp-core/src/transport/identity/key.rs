//! The private keys behind certificates: Ed25519 and Ed448 (RFC 8032, RFC 8410).

use core::fmt;

use der::asn1::ObjectIdentifier;
use der::pem::{self, LineEnding};
use zeroize::Zeroizing;

use crate::Entropy;
use crate::crypto::{Ed448PrivateKey, Ed25519PrivateKey, ed448, ed25519};
use crate::wire::{AuthPublicKey, KeySignature};

/// The signature algorithms of SMP certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// 32-byte keys, 64-byte signatures.
    Ed25519,
    /// 57-byte keys, 114-byte signatures.
    Ed448,
}

impl Algorithm {
    /// The identifier in certificates (RFC 8410 section 3).
    pub(super) const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Ed25519 => ObjectIdentifier::new_unwrap("1.3.101.112"),
            Self::Ed448 => ObjectIdentifier::new_unwrap("1.3.101.113"),
        }
    }
}

/// Why bytes are not a private key that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a PEM block labelled `PRIVATE KEY`.
    #[error("not a PRIVATE KEY block")]
    Pem,
    /// Not PKCS #8, or a key of another algorithm.
    #[error("not an Ed25519 or Ed448 key in PKCS #8")]
    Key,
}

/// A private key that signs certificates, TLS handshakes and session keys.
#[derive(Clone)]
pub enum IdentityKey {
    /// What most servers have.
    Ed25519(Ed25519PrivateKey),
    /// What the oldest servers have.
    Ed448(Ed448PrivateKey),
}

impl IdentityKey {
    /// A new key.
    #[must_use]
    pub fn generate(algorithm: Algorithm, entropy: &mut dyn Entropy) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(Ed25519PrivateKey::generate(entropy)),
            Algorithm::Ed448 => Self::Ed448(Ed448PrivateKey::generate(entropy)),
        }
    }

    /// Reads a PEM block `PRIVATE KEY`, as `openssl genpkey` writes it.
    ///
    /// # Errors
    /// When it is not one, or of another algorithm.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode_vec(text.as_bytes()).map_err(|_| KeyError::Pem)?;
        let der = Zeroizing::new(der);
        if label == LABEL { Self::from_pkcs8(&der) } else { Err(KeyError::Pem) }
    }

    /// Reads PKCS #8 DER: the short form, or the one of RFC 5958 with attributes or the public key.
    ///
    /// # Errors
    /// When it is not that, or of another algorithm.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Ed25519PrivateKey::from_pkcs8_der(der)
            .map(Self::Ed25519)
            .or_else(|_| Ed448PrivateKey::from_pkcs8_der(der).map(Self::Ed448))
            .map_err(|_| KeyError::Key)
    }

    /// PKCS #8 in the short form, which is what `openssl genpkey` writes.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Ed25519(key) => key.to_pkcs8_der(),
            Self::Ed448(key) => key.to_pkcs8_der(),
        }
    }

    /// The PEM block `PRIVATE KEY` of [`IdentityKey::to_pkcs8`].
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let text = pem::encode_string(LABEL, LineEnding::LF, &self.to_pkcs8());
        Zeroizing::new(text.expect("the label has no character that PEM forbids"))
    }

    /// The algorithm of the key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::Ed448(_) => Algorithm::Ed448,
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> AuthPublicKey {
        match self {
            Self::Ed25519(key) => AuthPublicKey::Ed25519(key.public()),
            Self::Ed448(key) => AuthPublicKey::Ed448(key.public()),
        }
    }

    /// The signature of `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> KeySignature {
        match self {
            Self::Ed25519(key) => KeySignature::Ed25519(key.sign(message)),
            Self::Ed448(key) => KeySignature::Ed448(key.sign(message)),
        }
    }
}

/// Without the key.
impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({:?})", self.algorithm())
    }
}

/// Whether `signature` of `message` was made with the private half of `key`. An X25519 key signs nothing.
#[must_use]
pub fn verify(key: &AuthPublicKey, message: &[u8], signature: &[u8]) -> bool {
    match key {
        AuthPublicKey::Ed25519(key) => {
            signature.try_into().is_ok_and(|raw| ed25519::verify(key, message, raw))
        }
        AuthPublicKey::Ed448(key) => signature.try_into().is_ok_and(|raw| ed448::verify(key, message, raw)),
        AuthPublicKey::X25519(_) => false,
    }
}

/// The bytes of a signature, without its algorithm.
pub(in crate::transport) fn raw_signature(signature: &KeySignature) -> &[u8] {
    match signature {
        KeySignature::Ed25519(raw) => raw,
        KeySignature::Ed448(raw) => raw,
    }
}

const LABEL: &str = "PRIVATE KEY";
