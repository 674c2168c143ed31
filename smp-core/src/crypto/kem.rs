//! sntrup761 (Streamlined NTRU Prime), the key encapsulation that makes the ratchet hold against quantum computers.
//!
//! One side encapsulates a secret to the other's public key; who has the private key takes it out again. A ciphertext that
//! was changed gives another secret and no error (implicit rejection), so that nothing is told to who changed it.
//!
//! The arithmetic is that of the `sntrup` crate: pure Rust, constant-time by design, wiped buffers, kernels for AVX2,
//! AVX-512 and NEON that are chosen at run time. `pqcrypto-ntruprime` binds C that nobody maintains, and versions of
//! `sntrup` before 0.4 may encode a few keys and ciphertexts wrongly. It is young and was not audited; that is why the
//! recorded secrets of another implementation are tests of ours, and why Diffie-Hellman is always beside it.

use rand_chacha::rand_core::{TryCryptoRng, TryRng};
use sntrup::sntrup761;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::CryptoError;
use crate::Entropy;
pub use crate::wire::link::{KemCiphertext, KemPublicKey};

/// A private key: 1763 bytes, its public key among them.
#[derive(Clone)]
pub struct KemPrivateKey(sntrup761::DecapsulationKey);

impl KemPrivateKey {
    /// Bytes of a key.
    pub const LEN: usize = sntrup761::SECRET_KEY_SIZE;

    /// A new key.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        Self(sntrup761::generate_key(&mut Source(entropy)).1)
    }

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`CryptoError::Key`] for another length, and for bytes that are of no key: its last 32 bytes are a hash of its
    /// public key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        let key = sntrup761::DecapsulationKey::try_from(bytes).map_err(|_| CryptoError::Key)?;
        let hash = super::hash::sha512(&[&[4], key.encapsulation_key().as_ref()].concat());
        if bytes.iter().rev().zip(hash.iter().take(32).rev()).all(|(byte, expected)| byte == expected) {
            Ok(Self(key))
        } else {
            Err(CryptoError::Key)
        }
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> KemPublicKey {
        KemPublicKey::new(self.0.encapsulation_key().as_ref()).expect("a public key has its length")
    }

    /// The secret that was encapsulated to this key, or another one that nobody knows.
    #[must_use]
    pub fn decapsulate(&self, ciphertext: &KemCiphertext) -> KemSecret {
        let ciphertext = sntrup761::Ciphertext::try_from(ciphertext.as_bytes());
        KemSecret::of(&self.0.decapsulate(&ciphertext.expect("a ciphertext has its length")))
    }
}

/// A new secret and its form that only the owner of `theirs` can read.
pub fn encapsulate(
    theirs: &KemPublicKey,
    entropy: &mut (impl Entropy + ?Sized),
) -> (KemCiphertext, KemSecret) {
    let theirs = sntrup761::EncapsulationKey::try_from(theirs.as_bytes());
    let (ciphertext, secret) = theirs.expect("a public key has its length").encapsulate(&mut Source(entropy));
    let ciphertext = KemCiphertext::new(ciphertext.as_ref()).expect("a ciphertext has its length");
    (ciphertext, KemSecret::of(&secret))
}

/// What was encapsulated: 32 bytes, an input of key derivation.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KemSecret([u8; 32]);

impl KemSecret {
    /// The secret of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the secret.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(secret: &sntrup761::SharedSecret) -> Self {
        Self(secret.as_ref().try_into().expect("a secret has 32 bytes"))
    }
}

/// Our randomness in the form that the crate takes.
struct Source<'a, E: ?Sized>(&'a mut E);

impl<E: Entropy + ?Sized> TryRng for Source<'_, E> {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(dest);
        Ok(())
    }
}

impl<E: Entropy + ?Sized> TryCryptoRng for Source<'_, E> {}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn both_sides_get_the_same_secret() {
        for seed in 0..20 {
            let mut entropy = SeededEntropy::new([seed; 32]);
            let key = KemPrivateKey::generate(&mut entropy);
            let (ciphertext, secret) = encapsulate(&key.public(), &mut entropy);
            let again = KemPrivateKey::from_bytes(key.as_bytes()).unwrap();
            assert_eq!(again.decapsulate(&ciphertext).as_bytes(), secret.as_bytes());
            assert!(again.public() == key.public());
            let other = KemPrivateKey::generate(&mut entropy);
            assert_ne!(other.decapsulate(&ciphertext).as_bytes(), secret.as_bytes());
        }
    }

    #[test]
    fn a_changed_ciphertext_gives_another_secret() {
        let mut entropy = SeededEntropy::new([1; 32]);
        let key = KemPrivateKey::generate(&mut entropy);
        let (ciphertext, secret) = encapsulate(&key.public(), &mut entropy);
        for at in (0..KemCiphertext::LEN).step_by(37) {
            let mut changed = ciphertext.as_bytes().to_vec();
            changed[at] ^= 1;
            let changed = key.decapsulate(&KemCiphertext::new(&changed).unwrap());
            assert_ne!(changed.as_bytes(), secret.as_bytes(), "byte {at}");
        }
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        let key = KemPrivateKey::generate(&mut SeededEntropy::new([1; 32]));
        let mut bytes = key.as_bytes().to_vec();
        assert!(KemPrivateKey::from_bytes(&bytes[1..]).is_err());
        bytes[KemPrivateKey::LEN - 1] ^= 1;
        assert!(KemPrivateKey::from_bytes(&bytes).is_err());
    }

    quickcheck! {
        fn any_key_and_ciphertext_are_taken(seed: u64, fill: u8) -> bool {
            let mut entropy = SeededEntropy::new([fill; 32]);
            let (mut theirs, mut ciphertext) = (vec![fill; KemPublicKey::LEN], vec![fill; KemCiphertext::LEN]);
            if !seed.is_multiple_of(4) {
                entropy.fill(&mut theirs);
                entropy.fill(&mut ciphertext);
            }
            encapsulate(&KemPublicKey::new(&theirs).unwrap(), &mut entropy);
            let key = KemPrivateKey::generate(&mut entropy);
            let ciphertext = KemCiphertext::new(&ciphertext).unwrap();
            // The first bytes, which are the secret polynomials, have no check.
            let mut wild = key.as_bytes().to_vec();
            entropy.fill(&mut wild[..382]);
            let wild = KemPrivateKey::from_bytes(&wild).unwrap();
            // Both reject it, and what they say then comes of bytes that they share.
            wild.decapsulate(&ciphertext).as_bytes() == key.decapsulate(&ciphertext).as_bytes()
        }
    }
}
