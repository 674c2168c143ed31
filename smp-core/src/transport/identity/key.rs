//! The private keys behind certificates: Ed25519 and Ed448 (RFC 8032, RFC 8410).

use core::fmt;

use der::asn1::OctetStringRef;
use der::pem::LineEnding;
use der::{Decode, Encode};
use ed25519_dalek::Signer as _;
use pkcs8::spki::AlgorithmIdentifier;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use crate::Entropy;
use crate::wire::AuthPublicKey;

/// The signature algorithms of SMP certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// 32-byte keys, 64-byte signatures.
    Ed25519,
    /// 57-byte keys, 114-byte signatures.
    Ed448,
}

impl Algorithm {
    /// The identifier in certificates and keys (RFC 8410 section 3).
    pub(super) const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Ed25519 => ObjectIdentifier::new_unwrap("1.3.101.112"),
            Self::Ed448 => ObjectIdentifier::new_unwrap("1.3.101.113"),
        }
    }

    const fn seed_len(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::Ed448 => 57,
        }
    }
}

/// Why bytes are not a private key that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a PEM block labelled `PRIVATE KEY`, or not PKCS #8 inside.
    #[error("not a PKCS #8 private key")]
    Malformed,
    /// A key of another algorithm than Ed25519 and Ed448.
    #[error("the key is neither Ed25519 nor Ed448")]
    Algorithm,
}

/// A private key that signs certificates, TLS handshakes and session keys.
pub struct IdentityKey {
    algorithm: Algorithm,
    /// The 32 or 57 bytes from which everything else is derived.
    seed: Zeroizing<Vec<u8>>,
    signer: Signer,
}

impl IdentityKey {
    /// A new key.
    #[must_use]
    pub fn generate(algorithm: Algorithm, entropy: &mut dyn Entropy) -> Self {
        let mut seed = Zeroizing::new(vec![0; algorithm.seed_len()]);
        entropy.fill(&mut seed);
        Self::from_seed(algorithm, seed).expect("the seed has the length that the algorithm asks for")
    }

    /// Reads a PEM block `PRIVATE KEY`, as `openssl genpkey` writes it.
    ///
    /// # Errors
    /// When it is not one, or of another algorithm.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, document) = SecretDocument::from_pem(text).map_err(|_| KeyError::Malformed)?;
        if label != "PRIVATE KEY" {
            return Err(KeyError::Malformed);
        }
        Self::from_pkcs8(document.as_bytes())
    }

    /// Reads PKCS #8 DER: version 1, or version 2 that carries the public key too.
    ///
    /// # Errors
    /// When it is not that, of another algorithm, or with a public key that is not the key's own.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        let algorithm = if info.algorithm.oid == Algorithm::Ed25519.oid() {
            Algorithm::Ed25519
        } else if info.algorithm.oid == Algorithm::Ed448.oid() {
            Algorithm::Ed448
        } else {
            return Err(KeyError::Algorithm);
        };
        let seed =
            <&OctetStringRef>::from_der(info.private_key.as_bytes()).map_err(|_| KeyError::Malformed)?;
        let key = Self::from_seed(algorithm, Zeroizing::new(seed.as_bytes().to_vec()))
            .ok_or(KeyError::Malformed)?;
        match info.public_key {
            Some(public) if public.as_bytes() != Some(raw(&key.public_key())) => Err(KeyError::Malformed),
            _ => Ok(key),
        }
    }

    /// PKCS #8 version 1, which is what `openssl genpkey` writes.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.document().as_bytes().to_vec())
    }

    /// The PEM block `PRIVATE KEY` of [`IdentityKey::to_pkcs8`].
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.document()
            .to_pem("PRIVATE KEY", LineEnding::LF)
            .expect("the label has no character that PEM forbids")
    }

    /// The algorithm of the key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> AuthPublicKey {
        match &self.signer {
            Signer::Ed25519(key) => AuthPublicKey::Ed25519(key.verifying_key().to_bytes()),
            Signer::Ed448(key) => AuthPublicKey::Ed448(key.public_key.encode()),
        }
    }

    /// The signature of `message`: 64 or 114 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.signer {
            Signer::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Signer::Ed448(key) => key.sign_raw(message).to_vec(),
        }
    }

    fn from_seed(algorithm: Algorithm, seed: Zeroizing<Vec<u8>>) -> Option<Self> {
        let signer = match algorithm {
            Algorithm::Ed25519 => {
                let bytes = Zeroizing::new(<[u8; 32]>::try_from(seed.as_slice()).ok()?);
                Signer::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&bytes)))
            }
            Algorithm::Ed448 => Signer::Ed448(Box::new(crrl::ed448::PrivateKey::decode(&seed)?)),
        };
        Some(Self { algorithm, seed, signer })
    }

    fn document(&self) -> SecretDocument {
        let inner = OctetStringRef::new(&self.seed).and_then(|seed| seed.to_der()).map(Zeroizing::new);
        let inner = inner.expect("57 bytes fit an OCTET STRING");
        let private_key = OctetStringRef::new(&inner).expect("59 bytes fit an OCTET STRING");
        let algorithm = AlgorithmIdentifier { oid: self.algorithm.oid(), parameters: None };
        SecretDocument::encode_msg(&PrivateKeyInfoRef::new(algorithm, private_key))
            .expect("a key of 59 bytes is far below what DER can carry")
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({:?})", self.algorithm)
    }
}

/// Boxed, so that a key moves without leaving copies of itself behind.
enum Signer {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Ed448(Box<crrl::ed448::PrivateKey>),
}

/// Whether `signature` of `message` was made with the private half of `key`. An X25519 key signs nothing.
#[must_use]
pub fn verify(key: &AuthPublicKey, message: &[u8], signature: &[u8]) -> bool {
    match key {
        AuthPublicKey::Ed25519(raw) => ed25519_dalek::VerifyingKey::from_bytes(raw)
            .and_then(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_slice(signature)?))
            .is_ok(),
        AuthPublicKey::Ed448(raw) => {
            crrl::ed448::PublicKey::decode(raw).is_some_and(|key| key.verify_raw(signature, message))
        }
        AuthPublicKey::X25519(_) => false,
    }
}

fn raw(key: &AuthPublicKey) -> &[u8] {
    match key {
        AuthPublicKey::Ed25519(raw) | AuthPublicKey::X25519(raw) => raw,
        AuthPublicKey::Ed448(raw) => raw,
    }
}
