//! The Diffie-Hellman keys that a ratchet can have.

use zeroize::Zeroizing;

use crate::Entropy;
use crate::crypto::{CryptoError, X448PrivateKey, X25519PrivateKey};
use crate::wire::codec::{Decoded, Reader};
use crate::wire::{DhPublicKey, X448PublicKey};

/// A private key for the ratchet: X448, which is what conversations have, or X25519.
pub trait RatchetKey: Clone + private::Sealed {
    /// Its public key.
    type Public: Copy + PartialEq;

    /// A new key.
    fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self;

    /// The public key.
    fn public(&self) -> Self::Public;

    /// The secret shared with the owner of `theirs`.
    ///
    /// # Errors
    /// [`CryptoError::LowOrder`] when it would be zero.
    fn agree(&self, theirs: &Self::Public) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

    /// The DER form (PKCS #8).
    fn to_der(&self) -> Zeroizing<Vec<u8>>;

    /// The key in its DER form.
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    fn from_der(der: &[u8]) -> Result<Self, CryptoError>;

    /// The bytes of a public key, without DER.
    fn raw(public: &Self::Public) -> &[u8];

    /// Reads a public key: a short string of its DER form.
    ///
    /// # Errors
    /// When it is malformed or of another algorithm.
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self::Public>;

    /// Writes a public key.
    fn encode(public: &Self::Public, out: &mut Vec<u8>);
}

mod private {
    pub trait Sealed {}
}

macro_rules! ratchet_key {
    ($private:ident, $public:ident) => {
        impl private::Sealed for $private {}

        impl RatchetKey for $private {
            type Public = $public;

            fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
                Self::generate(entropy)
            }

            fn public(&self) -> $public {
                self.public()
            }

            fn agree(&self, theirs: &$public) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
                self.diffie_hellman(theirs).map(|secret| Zeroizing::new(secret.as_bytes().to_vec()))
            }

            fn to_der(&self) -> Zeroizing<Vec<u8>> {
                self.to_pkcs8_der()
            }

            fn from_der(der: &[u8]) -> Result<Self, CryptoError> {
                Self::from_pkcs8_der(der)
            }

            fn raw(public: &$public) -> &[u8] {
                &public.0
            }

            fn decode(reader: &mut Reader<'_>) -> Decoded<$public> {
                $public::decode(reader)
            }

            fn encode(public: &$public, out: &mut Vec<u8>) {
                public.encode(out);
            }
        }
    };
}

ratchet_key!(X448PrivateKey, X448PublicKey);
ratchet_key!(X25519PrivateKey, DhPublicKey);
