//! Authenticators: authorisation that the server can check but not prove to others, because it could have
//! made it.
//!
//! A box of the SHA-512 of the authorised bytes, without padding. Its secret is that of the X25519 key that
//! authorises and the session key of the server, its nonce the correlation id of the command.

use subtle::ConstantTimeEq;

use super::hash::sha512;
use super::secret_box::TAG_LEN;
use super::{BoxKey, Nonce};

/// Bytes of an authenticator: the tag and the hash.
pub const AUTHENTICATOR_LEN: usize = TAG_LEN + 64;

/// The authenticator of `authorized`.
#[must_use]
pub fn authenticate(key: &BoxKey, nonce: &Nonce, authorized: &[u8]) -> [u8; AUTHENTICATOR_LEN] {
    let mut buffer = [0; AUTHENTICATOR_LEN];
    buffer.iter_mut().skip(TAG_LEN).zip(sha512(authorized)).for_each(|(to, from)| *to = from);
    key.seal_in_place(nonce, &mut buffer).expect("there is room for the tag");
    buffer
}

/// True if `authenticator` is that of `authorized`.
///
/// Takes the same steps for a wrong key as for wrong authorised bytes: it makes the authenticator anew and
/// compares.
#[must_use]
#[inline(never)] // So that a test can count the calls.
pub fn verify(
    key: &BoxKey,
    nonce: &Nonce,
    authorized: &[u8],
    authenticator: &[u8; AUTHENTICATOR_LEN],
) -> bool {
    authenticate(key, nonce, authorized).ct_eq(authenticator).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    #[test]
    fn only_the_authorized_bytes_verify() {
        let key = SecretKey::new([1; 32]).box_key();
        let nonce = Nonce::from_slice(b"correlation id");
        let authenticator = authenticate(&key, &nonce, b"authorized");
        assert!(verify(&key, &nonce, b"authorized", &authenticator));
        assert!(!verify(&key, &nonce, b"authorised", &authenticator));
        assert!(!verify(&key, &Nonce::from_slice(b"another"), b"authorized", &authenticator));
        assert!(!verify(&SecretKey::new([2; 32]).box_key(), &nonce, b"authorized", &authenticator));
        for i in 0..AUTHENTICATOR_LEN {
            let mut changed = authenticator;
            changed[i] ^= 1;
            assert!(!verify(&key, &nonce, b"authorized", &changed), "byte {i}");
        }
    }

    #[test]
    fn the_box_holds_the_hash() {
        let key = SecretKey::new([1; 32]).box_key();
        let nonce = Nonce::from_slice(b"correlation id");
        let authenticator = authenticate(&key, &nonce, b"authorized");
        assert_eq!(key.open(&nonce, &authenticator).unwrap(), sha512(b"authorized"));
    }
}
