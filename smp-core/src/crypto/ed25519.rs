//! Ed25519 signatures (RFC 8032): queue keys of most clients, keys of service sessions, certificates.

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use zeroize::Zeroizing;

use super::CryptoError;
use super::pkcs8::{self, Algorithm};
use crate::Entropy;

/// A private key: 32 bytes, from which the scalar and the public key follow.
#[derive(Clone)]
pub struct Ed25519PrivateKey(SigningKey);

impl Ed25519PrivateKey {
    /// A new key.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut seed[..]);
        Self::from_bytes(&seed)
    }

    /// The key of these bytes; every 32 bytes are one.
    #[must_use]
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The key in its DER form (PKCS #8, RFC 8410).
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, CryptoError> {
        pkcs8::decode(Algorithm::Ed25519, der).map(|seed| Self::from_bytes(&seed))
    }

    /// The 48 bytes of the DER form.
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::encode(Algorithm::Ed25519, self.0.as_bytes())
    }

    /// The 32 bytes of the public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The signature of `message`; the same for the same message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// True if `signature` is one of `message` by the owner of `public`.
///
/// The check of RFC 8032 section 5.1.7 without its cofactor: the scalar must be below the order of the group,
/// but keys and commitments of low order pass. Stricter rules only protect parties who share one signature
/// and must agree on it; here each queue has one verifier, and who registers a weak key weakens only their
/// own queue. The reference is laxer: it takes a scalar above the order too, which no signer makes.
#[must_use]
#[inline(never)] // So that a test can count the calls.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public)
        .is_ok_and(|key| key.verify(message, &Signature::from_bytes(signature)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn signs_and_verifies() {
        let key = Ed25519PrivateKey::generate(&mut SeededEntropy::new([1; 32]));
        let public = key.public();
        let signature = key.sign(b"message");
        assert!(verify(&public, b"message", &signature));
        assert!(!verify(&public, b"messagf", &signature));
        for i in 0..64 {
            let mut changed = signature;
            changed[i] ^= 1;
            assert!(!verify(&public, b"message", &changed), "byte {i}");
        }
    }

    #[test]
    fn refuses_a_scalar_above_the_order() {
        // The order of the group, little-endian: adding it gives the same point.
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let key = Ed25519PrivateKey::from_bytes(&[2; 32]);
        let mut signature = key.sign(b"message");
        let mut carry = 0u16;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert!(!verify(&key.public(), b"message", &signature));
    }

    #[test]
    fn bytes_that_are_no_point_verify_nothing() {
        let mut public = [0; 32];
        public[0] = 2;
        assert!(VerifyingKey::from_bytes(&public).is_err(), "the test needs y without an x");
        assert!(!verify(&public, b"message", &Ed25519PrivateKey::from_bytes(&[3; 32]).sign(b"message")));
    }
}
