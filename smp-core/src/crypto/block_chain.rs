//! The keys that encrypt the blocks of a session, from version 11 on: each block of each direction has its
//! own, and a key tells nothing about the ones before it.
//!
//! HKDF-SHA512 turns the Diffie-Hellman secret of the session, salted with the session identifier, into two
//! chain keys (info `SimpleXSbChainInit`); and a chain key, without salt, into the next chain key, a box key
//! and a nonce (info `SimpleXSbChain`, 32, 32 and 24 bytes).

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::hash::hkdf_sha512;
use super::{DhSecret, Nonce, SecretKey};

/// The keys of one direction.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct BlockChain([u8; 32]);

impl BlockChain {
    /// The chains of both directions: first what the server sends, then what it receives.
    #[must_use]
    pub fn pair(session_id: &[u8], secret: &DhSecret) -> (Self, Self) {
        let mut derived = Zeroizing::new([0; 64]);
        hkdf_sha512(session_id, secret.as_bytes(), b"SimpleXSbChainInit", &mut derived[..])
            .expect("64 bytes are within the limit of HKDF");
        let (first, second) = derived.split_at(32);
        (Self(array(first)), Self(array(second)))
    }

    /// The key and the nonce of the next block. The chain moves on even if that block is then found to be
    /// bad, as the peer's does.
    #[must_use]
    pub fn step(&mut self) -> (SecretKey, Nonce) {
        let mut derived = Zeroizing::new([0; 88]);
        hkdf_sha512(b"", &self.0, b"SimpleXSbChain", &mut derived[..])
            .expect("88 bytes are within the limit of HKDF");
        let (chain, rest) = derived.split_at(32);
        let (key, nonce) = rest.split_at(32);
        self.0.copy_from_slice(chain);
        (SecretKey::new(array(key)), Nonce::from_slice(nonce))
    }
}

fn array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("split at 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_step_direction_session_and_secret() {
        let secrets = [[1; 32], [2; 32]].map(DhSecret::new);
        let mut seen = Vec::new();
        for secret in &secrets {
            for session_id in [&b"session"[..], b"another", b""] {
                let (mut first, mut second) = BlockChain::pair(session_id, secret);
                for _ in 0..4 {
                    seen.extend(
                        [first.step(), second.step()]
                            .map(|(key, nonce)| (*key.as_bytes(), *nonce.as_bytes())),
                    );
                }
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup_by_key(|(key, _)| *key);
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn both_sides_step_alike() {
        let secret = DhSecret::new([1; 32]);
        let (mut ours, _) = BlockChain::pair(b"session", &secret);
        let (mut theirs, _) = BlockChain::pair(b"session", &secret);
        for _ in 0..3 {
            let ((ours, our_nonce), (theirs, their_nonce)) = (ours.step(), theirs.step());
            assert_eq!((ours.as_bytes(), our_nonce), (theirs.as_bytes(), their_nonce));
        }
    }
}
