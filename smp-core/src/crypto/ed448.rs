//! Ed448 signatures (RFC 8032): certificates of official servers, and queue keys of old clients.

use crrl::ed448::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::CryptoError;
use super::pkcs8::{self, Algorithm};
use crate::Entropy;

/// A private key: 57 bytes, from which the scalar and the public key follow.
///
/// Only those bytes are kept, because the expanded key of the library cannot be wiped: a signature takes the
/// time of two instead.
#[derive(Clone)]
pub struct Ed448PrivateKey(Zeroizing<[u8; 57]>);

impl Ed448PrivateKey {
    /// A new key.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; 57]);
        entropy.fill(&mut seed[..]);
        Self(seed)
    }

    /// The key of these bytes; every 57 bytes are one.
    #[must_use]
    pub fn from_bytes(seed: &[u8; 57]) -> Self {
        Self(Zeroizing::new(*seed))
    }

    /// The key in its DER form (PKCS #8, RFC 8410).
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, CryptoError> {
        pkcs8::decode(Algorithm::Ed448, der).map(Self)
    }

    /// The 73 bytes of the DER form.
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::encode(Algorithm::Ed448, &self.0[..])
    }

    /// The 57 bytes of the public key.
    #[must_use]
    pub fn public(&self) -> [u8; 57] {
        self.expand().public_key.encode()
    }

    /// The signature of `message`, without a context; the same for the same message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 114] {
        self.expand().sign_raw(message)
    }

    fn expand(&self) -> PrivateKey {
        PrivateKey::from_seed(&self.0[..])
    }
}

/// True if `signature` is one of `message` by the owner of `public`: the check of RFC 8032 section 5.2.7,
/// with its cofactor and an empty context.
#[must_use]
#[inline(never)] // So that a test can count the calls.
pub fn verify(public: &[u8; 57], message: &[u8], signature: &[u8; 114]) -> bool {
    PublicKey::decode(public).is_some_and(|key| key.verify_raw(signature, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn signs_and_verifies() {
        let key = Ed448PrivateKey::generate(&mut SeededEntropy::new([1; 32]));
        let public = key.public();
        let signature = key.sign(b"message");
        assert!(verify(&public, b"message", &signature));
        assert!(!verify(&public, b"messagf", &signature));
        for i in 0..114 {
            let mut changed = signature;
            changed[i] ^= 1;
            assert!(!verify(&public, b"message", &changed), "byte {i}");
        }
    }

    #[test]
    fn bytes_that_are_no_point_verify_nothing() {
        let signature = Ed448PrivateKey::from_bytes(&[2; 57]).sign(b"message");
        assert!(!verify(&[0xff; 57], b"message", &signature));
    }
}
