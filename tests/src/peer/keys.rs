//! Keys and random bytes, other ones at each call.

use std::sync::atomic::{AtomicU64, Ordering};

use smp_core::SeededEntropy;
use smp_core::crypto::{AuthPrivateKey, Ed448PrivateKey, Ed25519PrivateKey, X25519PrivateKey};

/// A kind of key that authorises commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Signs.
    Ed25519,
    /// Signs.
    Ed448,
    /// Authenticates, from version 7.
    X25519,
}

/// A source that no other call got.
#[must_use]
pub fn entropy() -> SeededEntropy {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let mut seed = [0; 32];
    let (number, _) = seed.split_at_mut(8);
    number.copy_from_slice(&CALLS.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    SeededEntropy::new(seed)
}

/// Bytes that no other call got.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    entropy().bytes()
}

/// A new key of a kind.
#[must_use]
pub fn key(kind: Kind) -> AuthPrivateKey {
    let mut entropy = entropy();
    match kind {
        Kind::Ed25519 => AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy)),
        Kind::Ed448 => AuthPrivateKey::Ed448(Ed448PrivateKey::generate(&mut entropy)),
        Kind::X25519 => AuthPrivateKey::X25519(X25519PrivateKey::generate(&mut entropy)),
    }
}

/// A new key for a Diffie-Hellman agreement.
#[must_use]
pub fn dh_key() -> X25519PrivateKey {
    X25519PrivateKey::generate(&mut entropy())
}
