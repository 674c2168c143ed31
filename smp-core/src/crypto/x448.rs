//! X448 Diffie-Hellman (RFC 7748): the key agreement of conversations, never of servers.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::CryptoError;
use super::pkcs8::{self, Algorithm};
use crate::Entropy;
pub use crate::wire::key::X448PublicKey;

/// A private key: 56 bytes.
#[derive(Clone)]
pub struct X448PrivateKey(Zeroizing<[u8; 56]>);

impl X448PrivateKey {
    /// A new key.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        let mut scalar = Zeroizing::new([0; 56]);
        entropy.fill(&mut scalar[..]);
        Self(scalar)
    }

    /// The key of these bytes; every 56 bytes are one.
    #[must_use]
    pub fn from_bytes(scalar: &[u8; 56]) -> Self {
        Self(Zeroizing::new(*scalar))
    }

    /// The key in its DER form (PKCS #8, RFC 8410).
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, CryptoError> {
        pkcs8::decode(Algorithm::X448, der).map(Self)
    }

    /// The 72 bytes of the DER form.
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::encode(Algorithm::X448, &self.0[..])
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> X448PublicKey {
        X448PublicKey(crrl::x448::x448_base(&self.0))
    }

    /// The secret shared with the owner of `theirs`.
    ///
    /// # Errors
    /// [`CryptoError::LowOrder`] when the secret would be zero (RFC 7748 section 6.2).
    pub fn diffie_hellman(&self, theirs: &X448PublicKey) -> Result<X448Secret, CryptoError> {
        let secret = X448Secret(crrl::x448::x448(&theirs.0, &self.0));
        if bool::from(secret.0.ct_eq(&[0; 56])) { Err(CryptoError::LowOrder) } else { Ok(secret) }
    }
}

/// What two X448 keys agree on: 56 bytes, an input of key derivation.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct X448Secret([u8; 56]);

impl X448Secret {
    /// The bytes of the secret.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 56] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn both_sides_get_the_same_secret() {
        let mut entropy = SeededEntropy::new([1; 32]);
        let [ours, theirs] = [(); 2].map(|()| X448PrivateKey::generate(&mut entropy));
        let secret = ours.diffie_hellman(&theirs.public()).unwrap();
        assert_eq!(secret.as_bytes(), theirs.diffie_hellman(&ours.public()).unwrap().as_bytes());
    }

    #[test]
    fn points_of_low_order_are_refused() {
        let key = X448PrivateKey::from_bytes(&[7; 56]);
        let one = core::array::from_fn(|i| u8::from(i == 0));
        // p = 2^448 - 2^224 - 1, and p - 1.
        let p: [u8; 56] = core::array::from_fn(|i| if i == 28 { 0xfe } else { 0xff });
        let mut minus_one = p;
        minus_one[0] = 0xfe;
        for point in [[0; 56], one, minus_one, p] {
            assert_eq!(key.diffie_hellman(&X448PublicKey(point)).err(), Some(CryptoError::LowOrder));
        }
    }
}
