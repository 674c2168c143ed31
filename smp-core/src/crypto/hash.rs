//! Digests and key derivation.

use hkdf::Hkdf;
use sha2::{Digest, Sha256, Sha512};

use super::CryptoError;
use crate::wire::{CorrelationId, EntityId};

/// SHA-256 of `bytes`: fingerprints of certificates.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-512 of `bytes`: what an authenticator covers.
#[must_use]
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    Sha512::digest(bytes).into()
}

/// SHA3-256 of `bytes`: the key of a short link.
#[must_use]
pub fn sha3_256(bytes: &[u8]) -> [u8; 32] {
    sha3::Sha3_256::digest(bytes).into()
}

/// SHA3-384 of `bytes`: its first 24 bytes make a sender id that the client chose.
#[must_use]
pub fn sha3_384(bytes: &[u8]) -> [u8; 48] {
    sha3::Sha3_384::digest(bytes).into()
}

/// The sender id of a queue that is created with link data: the first 24 bytes of SHA3-384 of the correlation id of its NEW.
/// The creator knows it before, so that the data can be bound to it, and cannot choose it to be another's.
#[must_use]
pub fn chosen_sender_id(correlation: &CorrelationId) -> EntityId {
    let mut id = [0; 24];
    id.iter_mut().zip(sha3_384(correlation.as_bytes())).for_each(|(to, from)| *to = from);
    id.into()
}

/// MD5 of `bytes`, only for the checksum of queue ids that services compare from version 19 on.
///
/// The exclusive or of these digests shows that two sides hold the same set of ids, to find mistakes. It
/// protects nothing: MD5 must not be used for anything else.
#[must_use]
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    md5::Md5::digest(bytes).into()
}

/// Fills `out` with HKDF-SHA512 (RFC 5869).
///
/// # Errors
/// [`CryptoError::Length`] for more than 16320 bytes, the most that HKDF gives.
pub fn hkdf_sha512(salt: &[u8], secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
    Hkdf::<Sha512>::new(Some(salt), secret).expand(info, out).map_err(|_| CryptoError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_has_a_limit() {
        let mut out = vec![0; 255 * 64 + 1];
        assert_eq!(hkdf_sha512(b"", b"secret", b"", &mut out), Err(CryptoError::Length));
        assert_eq!(hkdf_sha512(b"", b"secret", b"", &mut out[1..]), Ok(()));
        assert_ne!(out[1..65], [0; 64]);
    }

    #[test]
    fn md5_of_the_rfc() {
        // RFC 1321, appendix A.5; the reference's vectors have no plain MD5.
        let expected =
            [0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72];
        assert_eq!(md5(b"abc"), expected);
    }
}
