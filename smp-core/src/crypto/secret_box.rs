//! Boxes: XSalsa20-Poly1305 with a 16-byte tag before the ciphertext.
//!
//! SMP has two names for one function. A *crypto box* takes a Diffie-Hellman secret and is NaCl's. A *secret
//! box* takes any 32-byte key and is **not** NaCl's: the reference puts such a key through HSalsa20 with a
//! zero input too, as if it were a Diffie-Hellman secret. Both secrets therefore turn into a [`BoxKey`] in
//! the same way; where a secret serves for many messages, keep the box key.
//!
//! The cipher is that of the `dryoc` crate, chosen by measurement: it vectorises Salsa20 with AVX2, AVX-512
//! or NEON, found out at run time. The tests compare it with an independent implementation at every length
//! that its code treats apart.

use core::fmt;
use core::ops::Range;

use dryoc::classic::crypto_box::{
    crypto_box_detached_afternm_inplace, crypto_box_open_detached_afternm_inplace,
};
use dryoc::classic::crypto_core::crypto_core_hsalsa20;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{CryptoError, padding};
use crate::Entropy;

/// Bytes by which a box exceeds its message.
pub const TAG_LEN: usize = 16;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
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

            /// The key that seals and opens boxes: HSalsa20 of the secret and a zero input.
            #[must_use]
            pub fn box_key(&self) -> BoxKey {
                let mut key = BoxKey([0; 32]);
                crypto_core_hsalsa20(&mut key.0, &[0; 16], &self.0, None);
                key
            }
        }
    };
}

secret! {
    /// What two X25519 keys agree on.
    DhSecret
}
secret! {
    /// A key that both sides derived or were given, as for the blocks of a session.
    SecretKey
}

/// Seals and opens boxes. Made by [`DhSecret::box_key`] and [`SecretKey::box_key`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct BoxKey([u8; 32]);

impl BoxKey {
    /// Turns a buffer of [`TAG_LEN`] bytes of any content and a message into a box, in place.
    ///
    /// A nonce must serve for one message only.
    ///
    /// # Errors
    /// [`CryptoError::Length`] when there is no room for the tag.
    pub fn seal_in_place(&self, nonce: &Nonce, buffer: &mut [u8]) -> Result<(), CryptoError> {
        let (tag, message) = buffer.split_first_chunk_mut::<TAG_LEN>().ok_or(CryptoError::Length)?;
        crypto_box_detached_afternm_inplace(message, tag, &nonce.0, &self.0);
        Ok(())
    }

    /// Opens a box in place: the message is what follows the first [`TAG_LEN`] bytes.
    ///
    /// # Errors
    /// [`CryptoError::Open`] when the box is not one of this key and nonce; the buffer is unchanged.
    pub fn open_in_place(&self, nonce: &Nonce, sealed: &mut [u8]) -> Result<(), CryptoError> {
        let (tag, message) = sealed.split_first_chunk_mut::<TAG_LEN>().ok_or(CryptoError::Open)?;
        crypto_box_open_detached_afternm_inplace(message, tag, &nonce.0, &self.0)
            .map_err(|_| CryptoError::Open)
    }

    /// Opens a box with padding in place and tells where in the buffer the message is.
    ///
    /// # Errors
    /// [`CryptoError::Open`] as [`Self::open_in_place`], [`CryptoError::Padding`] as [`padding::unpad`].
    pub fn open_padded_in_place(
        &self,
        nonce: &Nonce,
        sealed: &mut [u8],
    ) -> Result<Range<usize>, CryptoError> {
        self.open_in_place(nonce, sealed)?;
        let message = padding::unpad(sealed.get(TAG_LEN..).unwrap_or_default())?;
        let start = TAG_LEN + padding::LENGTH_LEN;
        Ok(start..start + message.len())
    }

    /// `message` in a box.
    #[must_use]
    pub fn seal(&self, nonce: &Nonce, message: &[u8]) -> Vec<u8> {
        let mut sealed = [&[0; TAG_LEN][..], message].concat();
        self.seal_in_place(nonce, &mut sealed).expect("there is room for the tag");
        sealed
    }

    /// `message`, padded to `padded_len` bytes, in a box of `padded_len + 16`.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] when the message does not fit, see [`padding::pad_into`].
    pub fn seal_padded(
        &self,
        nonce: &Nonce,
        message: &[u8],
        padded_len: usize,
    ) -> Result<Vec<u8>, CryptoError> {
        let mut sealed = Vec::with_capacity(TAG_LEN + padded_len);
        sealed.resize(TAG_LEN, 0);
        padding::pad_into(&mut sealed, message, padded_len)?;
        self.seal_in_place(nonce, &mut sealed)?;
        Ok(sealed)
    }

    /// The message in a box.
    ///
    /// # Errors
    /// [`CryptoError::Open`] when the box is not one of this key and nonce.
    pub fn open(&self, nonce: &Nonce, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut buffer = sealed.to_vec();
        self.open_in_place(nonce, &mut buffer)?;
        buffer.drain(..TAG_LEN);
        Ok(buffer)
    }

    /// The message in a box with padding.
    ///
    /// # Errors
    /// [`CryptoError::Open`] when the box is not one of this key and nonce, [`CryptoError::Padding`] when the
    /// padding in it is malformed.
    pub fn open_padded(&self, nonce: &Nonce, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut buffer = sealed.to_vec();
        let message = self.open_padded_in_place(nonce, &mut buffer)?;
        buffer.truncate(message.end);
        buffer.drain(..message.start);
        Ok(buffer)
    }
}

/// What makes the boxes of one key differ: 24 bytes, sent openly. On the wire they have no length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; 24]);

impl Nonce {
    /// A random nonce.
    pub fn generate(entropy: &mut (impl Entropy + ?Sized)) -> Self {
        let mut bytes = [0; 24];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The nonce of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 24]) -> Self {
        Self(bytes)
    }

    /// The nonce of an identifier of any length, a correlation or a message id: cut or filled up with zeros
    /// to 24 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut nonce = [0; 24];
        nonce.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(nonce)
    }

    /// The bytes of the nonce.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }

    /// The bytes in reverse order: the nonce of the answer to a forwarded command, which has the same key.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.0.reverse();
        self
    }
}

/// Nothing of the bytes: they may be an identifier, and logs must not link a person's actions.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;
    use salsa20::XSalsa20;
    use salsa20::cipher::consts::U10;
    use salsa20::cipher::{KeyIvInit, StreamCipher};

    use super::*;

    /// The box, written down again over the implementations of the RustCrypto project.
    fn reference(secret: [u8; 32], nonce: Nonce, message: &[u8]) -> Vec<u8> {
        use poly1305::Poly1305;
        use poly1305::universal_hash::KeyInit;

        let key = salsa20::hsalsa::<U10>(&secret.into(), &[0; 16].into());
        let mut cipher = XSalsa20::new(&key, &nonce.0.into());
        let mut tag_key = [0; 32];
        cipher.apply_keystream(&mut tag_key);
        let mut ciphertext = message.to_vec();
        cipher.apply_keystream(&mut ciphertext);
        let tag = Poly1305::new(&tag_key.into()).compute_unpadded(&ciphertext);
        [&tag[..], &ciphertext].concat()
    }

    #[test]
    fn equals_an_independent_implementation_at_every_length() {
        // Blocks of 64 bytes in runs of 8 and 16: everything up to three runs, and the sizes that the
        // protocol has.
        let message: Vec<u8> =
            (0..16384u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        for len in (0..3200usize).chain([3904, 4096, 8191, 15904, 16000, 16106, 16226, 16368, 16383, 16384]) {
            let nonce = Nonce::from_slice(&len.to_le_bytes());
            let secret = [len.to_le_bytes()[0]; 32];
            let expected = reference(secret, nonce, &message[..len]);
            let key = SecretKey::new(secret).box_key();
            assert_eq!(key.seal(&nonce, &message[..len]), expected, "{len} bytes");
            assert_eq!(key.open(&nonce, &expected).unwrap(), message[..len], "{len} bytes");
        }
    }

    quickcheck! {
        fn round_trip(secret: u128, nonce: Vec<u8>, message: Vec<u8>, room: u8) -> bool {
            let secret: [u8; 32] = core::array::from_fn(|i| secret.to_le_bytes()[i % 16]);
            let nonce = Nonce::from_slice(&nonce);
            let [ours, theirs] = [DhSecret::new(secret).box_key(), SecretKey::new(secret).box_key()];
            let sealed = ours.seal(&nonce, &message);
            let padded_len = message.len() + padding::LENGTH_LEN + usize::from(room);
            let padded = ours.seal_padded(&nonce, &message, padded_len).unwrap();
            padded.len() == padded_len + TAG_LEN
                && theirs.open(&nonce, &sealed).as_ref() == Ok(&message)
                && theirs.open_padded(&nonce, &padded).as_ref() == Ok(&message)
        }

        fn a_changed_bit_does_not_open(message: Vec<u8>, at: usize) -> bool {
            let key = SecretKey::new([1; 32]).box_key();
            let nonce = Nonce::from_slice(b"nonce");
            let mut sealed = key.seal(&nonce, &message);
            let bits = sealed.len() * 8;
            sealed[at % bits / 8] ^= 1 << (at % 8);
            let before = sealed.clone();
            key.open_in_place(&nonce, &mut sealed) == Err(CryptoError::Open) && sealed == before
        }
    }

    #[test]
    fn opens_only_with_its_key_and_nonce_and_whole() {
        let key = SecretKey::new([1; 32]).box_key();
        let nonce = Nonce::from_bytes([2; 24]);
        let sealed = key.seal(&nonce, b"message");
        assert_eq!(key.open(&nonce, &sealed).unwrap(), b"message");
        assert_eq!(key.open(&Nonce::from_slice(&[2; 23]), &sealed), Err(CryptoError::Open));
        assert_eq!(SecretKey::new([3; 32]).box_key().open(&nonce, &sealed), Err(CryptoError::Open));
        for end in 0..sealed.len() {
            assert_eq!(key.open(&nonce, &sealed[..end]), Err(CryptoError::Open), "{end} bytes");
        }
        assert_eq!(key.seal_in_place(&nonce, &mut [0; TAG_LEN - 1]), Err(CryptoError::Length));
    }

    #[test]
    fn bad_padding_inside_a_good_box_is_an_error() {
        let key = SecretKey::new([1; 32]).box_key();
        let nonce = Nonce::from_bytes([2; 24]);
        for padded in [&b""[..], b"\0", b"\0\x02a"] {
            assert_eq!(key.open_padded(&nonce, &key.seal(&nonce, padded)), Err(CryptoError::Padding));
        }
        assert_eq!(key.seal_padded(&nonce, b"message", 8), Err(CryptoError::TooLarge));
    }

    #[test]
    fn nonces_are_cut_filled_up_and_reversed() {
        let counting: Vec<u8> = (1..=30).collect();
        let nonce = Nonce::from_slice(&counting);
        assert_eq!(nonce.as_bytes()[..], counting[..24]);
        assert_eq!(nonce.reversed().as_bytes()[0], 24);
        assert_eq!(nonce.reversed().reversed(), nonce);
        assert_eq!(Nonce::from_slice(&[5]).as_bytes()[..2], [5, 0]);
    }
}
