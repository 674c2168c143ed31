//! X448 Diffie-Hellman (RFC 7748): the key agreement of conversations, never of servers.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::CryptoError;
use super::pkcs8::{self, Algorithm};
use crate::Entropy;
use crate::wire::DecodeError;
use crate::wire::codec::{Decoded, Reader, put_short};

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

/// A public key: 56 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct X448PublicKey(pub [u8; 56]);

impl X448PublicKey {
    /// The 68 bytes of the DER form.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        [&SPKI[..], &self.0].concat()
    }

    /// Reads the DER form, which has exactly one encoding.
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    pub fn from_der(der: &[u8]) -> Decoded<Self> {
        let raw = der.strip_prefix(&SPKI[..]).ok_or(DecodeError)?;
        raw.try_into().map(Self).map_err(|_| DecodeError)
    }

    /// Reads a key: a short string of the DER form.
    ///
    /// # Errors
    /// When it is not X448.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Self::from_der(reader.short()?)
    }

    /// Writes the key.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_short(out, &self.to_der());
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

/// DER before the raw key: SEQUENCE { SEQUENCE { OID }, BIT STRING (0 unused bits) }.
const SPKI: [u8; 12] = [0x30, 0x42, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6f, 0x03, 0x39, 0x00];

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

    #[test]
    fn the_der_form_of_a_public_key_has_one_encoding() {
        let key = X448PrivateKey::from_bytes(&[7; 56]).public();
        let der = key.to_der();
        assert_eq!(X448PublicKey::from_der(&der), Ok(key));
        for end in 0..der.len() {
            assert!(X448PublicKey::from_der(&der[..end]).is_err(), "{end} bytes");
        }
        assert!(X448PublicKey::from_der(&[&der[..], &[0]].concat()).is_err());
        for i in 0..SPKI.len() {
            let mut changed = der.clone();
            changed[i] ^= 1;
            assert!(X448PublicKey::from_der(&changed).is_err(), "byte {i}");
        }
    }
}
