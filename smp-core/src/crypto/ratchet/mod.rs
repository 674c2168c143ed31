//! The double ratchet of a conversation: encrypted headers, and a post-quantum KEM beside Diffie-Hellman in each step
//! (simplexmq `protocol/pqdr.md`; Signal, "The Double Ratchet Algorithm" and "X3DH").
//!
//! | file | what |
//! |---|---|
//! | `x3dh` | the keys of both sides at the start, and the two ratchets that they make |
//! | `sending`, `receiving` | the two things that a ratchet does |
//! | `skipped` | keys of messages that may come late |
//! | `parts` | the state, and how it is stored |
//! | `header` | the bytes of messages |
//! | `chain`, `key`, `fields` | derivation of keys, key types, stored secrets |
//!
//! ```
//! use smp_core::SeededEntropy;
//! use smp_core::crypto::X448PrivateKey;
//! use smp_core::crypto::ratchet::{KemOffer, MAX_VERSION, MIN_VERSION, Ratchet, SkippedKeys, X3dhKeys};
//! use smp_core::wire::VersionRange;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut entropy = SeededEntropy::new([0; 32]); // Of the operating system in production.
//! // Alice makes an invitation and stores the private keys; Bob reads it.
//! let alice: X3dhKeys = X3dhKeys::generate(MAX_VERSION, KemOffer::Propose, &mut entropy);
//! let link = alice.for_link(VersionRange::new(MIN_VERSION, MAX_VERSION)?);
//! let theirs = link.for_version(MAX_VERSION)?;
//! let offer = theirs.kem.as_ref().map_or(KemOffer::Propose, |kem| KemOffer::Accept(kem.key()));
//! let bob = X3dhKeys::<X448PrivateKey>::generate(MAX_VERSION, offer, &mut entropy);
//! let mut ratchet = Ratchet::initiate(&bob, &theirs, MAX_VERSION, &mut entropy)?;
//! let message = ratchet.encrypt(None, 1000, b"hello")?;
//! // The ratchet is stored; then the message goes to Alice, with Bob's public keys beside it.
//! let mut skipped = SkippedKeys::new();
//! let ratchet = Ratchet::accept(&alice, &bob.public(), MAX_VERSION, true)?;
//! let decrypted = ratchet.decrypt(&skipped, &message.into(), &mut entropy)?;
//! // First what is to be stored, then the body.
//! let stored = decrypted.ratchet.to_bytes();
//! skipped.apply(decrypted.skipped);
//! assert_eq!(decrypted.body?, b"hello");
//! assert!(Ratchet::<X448PrivateKey>::from_bytes(&stored)?.pq_receiving());
//! # Ok(())
//! # }
//! ```
//!
//! # Post-quantum encryption
//!
//! A side *proposes* with a KEM key in its headers; the other *accepts* at its next step, with a secret that it encapsulates
//! to that key and a key of its own for the step after. From then on each step in each direction has a secret of
//! the KEM beside that of Diffie-Hellman. A side that does not want it leaves the KEM out of its next step, and the other
//! follows at the one after; either may propose again. Once a ratchet had it its headers stay large.
//!
//! # Versions
//!
//! A ratchet starts with the version of the keys that were exchanged. Each header tells the newest version of its sender, and
//! the receiver takes the newest of both. Version 3 brought the KEM.
//!
//! # Who steps
//!
//! A ratchet is not changed by messages that come, see [`Ratchet::decrypt`]; when it sends, it is, and is
//! stored before the message goes out: a key that served twice would break the encryption of both messages.

mod chain;
mod fields;
mod header;
mod key;
mod parts;
mod receiving;
mod sending;
mod skipped;
mod x3dh;

pub use chain::{BodyKey, ChainKey, HeaderKey, RootKey};
pub use header::{EncryptedHeader, MessageHeader, RatchetMessage};
pub use key::RatchetKey;
pub use parts::{RatchetParts, ReceivingChain, SendingChain};
pub use receiving::{Decrypted, RatchetFault};
pub use sending::{MessageKey, SendFault};
pub use skipped::{SkippedChanges, SkippedKey, SkippedKeys};
pub use x3dh::{KemOffer, MAX_VERSION, MIN_VERSION, ResyncRole, X3dhError, X3dhKem, X3dhKeys, keys_hash};

use super::hash::sha256;
use super::kem::{self, KemCiphertext, KemPrivateKey, KemPublicKey, KemSecret};
use super::x448::X448PrivateKey;
use crate::Entropy;

/// One end of a conversation. A secret.
#[derive(Clone)]
pub struct Ratchet<K: RatchetKey = X448PrivateKey>(RatchetParts<K>);

impl<K: RatchetKey> Ratchet<K> {
    /// True if what is sent now is encrypted with a secret of the KEM too.
    #[must_use]
    pub const fn pq_sending(&self) -> bool {
        self.0.pq_sending
    }

    /// True if what is received now is encrypted with a secret of the KEM too.
    #[must_use]
    pub const fn pq_receiving(&self) -> bool {
        self.0.pq_receiving
    }

    /// True if headers are large, so that they can tell of a KEM; bodies are shorter then.
    #[must_use]
    pub const fn pq_supported(&self) -> bool {
        self.0.pq_supported
    }

    /// SHA-256 of the associated data: the same at both ends, and at no others, so that two people can compare it to
    /// see that nobody is between them.
    #[must_use]
    pub fn associated_data_hash(&self) -> [u8; 32] {
        sha256(&self.0.associated_data)
    }
}

/// Whether a side wants post-quantum encryption.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PqEncryption {
    /// It does, and proposes it.
    On,
    /// It does not.
    Off,
}

/// What a ratchet draws at random: any [`Entropy`], or recorded keys, with which a run can be repeated.
pub trait FreshKeys<K> {
    /// A new key for Diffie-Hellman.
    fn key(&mut self) -> K;

    /// A new key for the KEM.
    fn kem_key(&mut self) -> KemPrivateKey;

    /// A new secret and its form for the owner of `theirs`.
    fn encapsulate(&mut self, theirs: &KemPublicKey) -> (KemCiphertext, KemSecret);
}

impl<K: RatchetKey, E: Entropy + ?Sized> FreshKeys<K> for E {
    fn key(&mut self) -> K {
        K::generate(self)
    }

    fn kem_key(&mut self) -> KemPrivateKey {
        KemPrivateKey::generate(self)
    }

    fn encapsulate(&mut self, theirs: &KemPublicKey) -> (KemCiphertext, KemSecret) {
        kem::encapsulate(theirs, self)
    }
}

#[cfg(test)]
mod tests;
