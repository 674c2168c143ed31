//! AES-256-GCM (NIST SP 800-38D): the encryption of ratchet messages and their headers.
//!
//! The ratchet has initialisation vectors of 16 bytes. A vector that is not of 12 bytes goes through GHASH to become the
//! first counter block (section 7.1), so that it is another cipher than one with 12 bytes that are filled up.

use aes_gcm::aead::{AeadInOut, KeyInit, consts};
use aes_gcm::{AesGcm, aes::Aes256};

use super::CryptoError;

/// Bytes of a tag.
pub const TAG_LEN: usize = 16;

/// Encrypts `buffer` in place and returns the tag, which covers `associated` as well.
///
/// `iv` has 12 or 16 bytes, and serves for one message of a key only.
///
/// # Errors
/// [`CryptoError::TooLarge`] for more than 64 GiB.
pub fn seal(
    key: &[u8; 32],
    iv: &impl Iv,
    associated: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; TAG_LEN], CryptoError> {
    iv.seal(key, associated, buffer)
}

/// Decrypts `buffer` in place.
///
/// # Errors
/// [`CryptoError::Open`] when it was not encrypted with this key, vector and `associated`, or was changed. The buffer then
/// holds nothing of use.
pub fn open(
    key: &[u8; 32],
    iv: &impl Iv,
    associated: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), CryptoError> {
    iv.open(key, associated, buffer, tag)
}

/// An initialisation vector: 12 or 16 bytes.
pub trait Iv: private::Iv {}

impl Iv for [u8; 12] {}
impl Iv for [u8; 16] {}

mod private {
    use super::*;

    pub trait Iv {
        fn seal(&self, key: &[u8; 32], associated: &[u8], buffer: &mut [u8])
        -> Result<[u8; 16], CryptoError>;
        fn open(
            &self,
            key: &[u8; 32],
            associated: &[u8],
            buffer: &mut [u8],
            tag: &[u8; 16],
        ) -> Result<(), CryptoError>;
    }

    macro_rules! iv {
        ($len:literal, $size:ty) => {
            impl Iv for [u8; $len] {
                fn seal(
                    &self,
                    key: &[u8; 32],
                    associated: &[u8],
                    buffer: &mut [u8],
                ) -> Result<[u8; 16], CryptoError> {
                    AesGcm::<Aes256, $size>::new(key.into())
                        .encrypt_inout_detached(self.into(), associated, buffer.into())
                        .map(Into::into)
                        .map_err(|_| CryptoError::TooLarge)
                }

                fn open(
                    &self,
                    key: &[u8; 32],
                    associated: &[u8],
                    buffer: &mut [u8],
                    tag: &[u8; 16],
                ) -> Result<(), CryptoError> {
                    AesGcm::<Aes256, $size>::new(key.into())
                        .decrypt_inout_detached(self.into(), associated, buffer.into(), tag.into())
                        .map_err(|_| CryptoError::Open)
                }
            }
        };
    }

    iv!(12, consts::U12);
    iv!(16, consts::U16);
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    #[test]
    fn empty_text_of_the_specification() {
        // The GCM specification, test case 13: all zero.
        let tag = seal(&[0; 32], &[0; 12], b"", &mut []).unwrap();
        let expected =
            [0x53, 0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9, 0xa9, 0x63, 0xb4, 0xf1, 0xc4, 0xcb, 0x73, 0x8b];
        assert_eq!(tag, expected);
        assert_ne!(seal(&[0; 32], &[0; 16], b"", &mut []).unwrap(), expected);
    }

    quickcheck! {
        fn a_changed_bit_does_not_open(message: Vec<u8>, associated: Vec<u8>, at: usize) -> bool {
            let mut sealed = message.clone();
            let tag = seal(&[1; 32], &[2; 16], &associated, &mut sealed).unwrap();
            let mut opened = sealed.clone();
            open(&[1; 32], &[2; 16], &associated, &mut opened, &tag).unwrap();
            let mut all = [&sealed[..], &tag, &associated].concat();
            let at = at % (all.len() * 8);
            all[at / 8] ^= 1 << (at % 8);
            let (changed, rest) = all.split_at_mut(sealed.len());
            let (tag, associated) = rest.split_first_chunk().unwrap();
            opened == message && open(&[1; 32], &[2; 16], associated, changed, tag) == Err(CryptoError::Open)
        }
    }
}
