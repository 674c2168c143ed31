//! The cryptography of SMP: what a key, a signature, a box and a chain of block keys are.
//!
//! Primitives come from other crates; the constructions of the protocol are here, one file for each.
//! Functions take raw bytes and the key types of [`crate::wire::key`], so that this module knows no message
//! format. Randomness is an argument ([`Entropy`](crate::Entropy)); secrets are wiped when dropped and have
//! no `Debug`.
//!
//! | file | construction | source |
//! |---|---|---|
//! | [`ed25519`], [`ed448`] | signatures | RFC 8032 |
//! | [`x25519`], [`x448`] | Diffie-Hellman | RFC 7748 |
//! | [`secret_box`] | XSalsa20-Poly1305 boxes and their nonces | NaCl, SMP "Cryptographic algorithms" |
//! | [`padding`] | plaintext of a fixed size | SMP "Transport" |
//! | [`authenticator`] | deniable authorisation of a command | SMP "Deniable client authentication scheme" |
//! | [`auth`] | any authorisation of a command | SMP "Transmission" |
//! | [`block_chain`] | keys that encrypt the blocks of a session | SMP "Transport", from version 11 |
//! | [`forward`] | the layers around a forwarded command | SMP "Protocol for forwarding commands" |
//! | [`aes_gcm`] | encryption with associated data | NIST SP 800-38D |
//! | [`kem`] | post-quantum key encapsulation: sntrup761 | NTRU Prime |
//! | [`ratchet`] | end-to-end encryption of conversations | PQDR, Signal "Double Ratchet" and "X3DH" |
//! | [`link`] | the data of short links: signed, encrypted, bound to the link | agent protocol "Short links" |
//! | [`hash`] | digests and key derivation | FIPS 180-4, FIPS 202, RFC 1321, RFC 5869 |
//!
//! ```
//! use smp_core::SeededEntropy;
//! use smp_core::crypto::{Ed25519PrivateKey, Nonce, X25519PrivateKey, ed25519};
//!
//! let mut entropy = SeededEntropy::new([42; 32]); // a program takes the seed from the operating system
//! let (alice, bob) = (X25519PrivateKey::generate(&mut entropy), X25519PrivateKey::generate(&mut entropy));
//! let nonce = Nonce::generate(&mut entropy);
//! let sealed = alice.diffie_hellman(&bob.public())?.box_key().seal_padded(&nonce, b"hello", 100)?;
//! assert_eq!(bob.diffie_hellman(&alice.public())?.box_key().open_padded(&nonce, &sealed)?, b"hello");
//!
//! let key = Ed25519PrivateKey::generate(&mut entropy);
//! assert!(ed25519::verify(&key.public(), b"a command", &key.sign(b"a command")));
//! # Ok::<(), smp_core::crypto::CryptoError>(())
//! ```

pub mod aes_gcm;
pub mod auth;
pub mod authenticator;
pub mod block_chain;
pub mod ed25519;
pub mod ed448;
pub mod forward;
pub mod hash;
pub mod kem;
pub mod link;
pub mod padding;
mod pkcs8;
pub mod ratchet;
pub mod secret_box;
pub mod x25519;
pub mod x448;

pub use auth::{AuthPrivateKey, AuthorizationRef};
pub use block_chain::BlockChain;
pub use ed448::Ed448PrivateKey;
pub use ed25519::Ed25519PrivateKey;
pub use forward::ForwardLayer;
pub use hash::chosen_sender_id;
pub use kem::{KemPrivateKey, KemSecret};
pub use link::{LinkFault, OpenedLink, OwnedLink};
pub use secret_box::{BoxKey, DhSecret, Nonce, SecretKey};
pub use x448::{X448PrivateKey, X448PublicKey, X448Secret};
pub use x25519::X25519PrivateKey;

/// Why a cryptographic operation gave no result. Carries no data, so that it can be logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// Bytes that are not a key of the kind asked for.
    #[error("malformed key")]
    Key,
    /// The peer's point makes the shared secret zero for every private key (RFC 7748 section 6).
    #[error("public key of low order")]
    LowOrder,
    /// A box that was not sealed with this key and nonce, was changed, or is shorter than its tag.
    #[error("box does not open")]
    Open,
    /// A message that does not fit into the padded length.
    #[error("message larger than its padded length")]
    TooLarge,
    /// Padded bytes without a length, or with one that exceeds them.
    #[error("malformed padding")]
    Padding,
    /// A buffer without room for the tag, or more key material than the derivation can give.
    #[error("buffer of a wrong length")]
    Length,
    /// An X25519 key authorises only in a session whose server has a session key (version 7 and later).
    #[error("no session key to authenticate with")]
    NoSessionKey,
}
