//! X25519 Diffie-Hellman (RFC 7748): session keys, queue keys, forwarded commands.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::pkcs8::{self, Algorithm};
use super::{CryptoError, DhSecret};
use crate::Entropy;
use crate::wire::DhPublicKey;

/// A private key: 32 bytes.
#[derive(Clone)]
pub struct X25519PrivateKey(StaticSecret);

impl X25519PrivateKey {
    /// A new key.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        let mut scalar = Zeroizing::new([0; 32]);
        entropy.fill(&mut scalar[..]);
        Self::from_bytes(&scalar)
    }

    /// The key of these bytes; every 32 bytes are one.
    #[must_use]
    pub fn from_bytes(scalar: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*scalar))
    }

    /// The key in its DER form (PKCS #8, RFC 8410).
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, CryptoError> {
        pkcs8::decode(Algorithm::X25519, der).map(|scalar| Self::from_bytes(&scalar))
    }

    /// The 48 bytes of the DER form.
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::encode(Algorithm::X25519, self.0.as_bytes())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> DhPublicKey {
        DhPublicKey(PublicKey::from(&self.0).to_bytes())
    }

    /// The secret shared with the owner of `theirs`.
    ///
    /// # Errors
    /// [`CryptoError::LowOrder`] when the secret would be zero, as RFC 7748 section 6.1 advises: the peer
    /// chose a key that takes ours out of the result, so that anyone could read what it encrypts. No honest
    /// client has such a key.
    #[inline(never)] // So that a test can count the calls.
    pub fn diffie_hellman(&self, theirs: &DhPublicKey) -> Result<DhSecret, CryptoError> {
        let secret = self.0.diffie_hellman(&PublicKey::from(theirs.0));
        if secret.was_contributory() {
            Ok(DhSecret::new(secret.to_bytes()))
        } else {
            Err(CryptoError::LowOrder)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn both_sides_get_the_same_secret() {
        let mut entropy = SeededEntropy::new([1; 32]);
        let [ours, theirs] = [(); 2].map(|()| X25519PrivateKey::generate(&mut entropy));
        let secret = ours.diffie_hellman(&theirs.public()).unwrap();
        assert_eq!(secret.as_bytes(), theirs.diffie_hellman(&ours.public()).unwrap().as_bytes());
    }

    #[test]
    fn points_of_low_order_are_refused() {
        // All of them and their non-canonical forms: 0, 1, -1, the points of order 8, p and p + 1.
        let others = [
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        let mut points: Vec<[u8; 32]> = others
            .iter()
            .map(|text| core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()))
            .collect();
        points.push([0; 32]);
        points.push(core::array::from_fn(|i| u8::from(i == 0)));
        let key = X25519PrivateKey::from_bytes(&[7; 32]);
        for point in points {
            for top_bit in [0, 0x80] {
                let mut point = point;
                point[31] |= top_bit;
                assert_eq!(key.diffie_hellman(&DhPublicKey(point)).err(), Some(CryptoError::LowOrder));
            }
        }
    }
}
