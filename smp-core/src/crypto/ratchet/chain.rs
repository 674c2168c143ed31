//! The keys of a ratchet, and how one comes from another (PQDR; Double Ratchet section 4, `KDF_RK_HE` and `KDF_CK`).
//!
//! | from | HKDF-SHA512 | to |
//! |---|---|---|
//! | what X3DH agreed on | salt of 64 zeros, info `SimpleXX3DH` | two header keys, root key |
//! | root key as salt, Diffie-Hellman and KEM secrets | info `SimpleXRootRatchet` | root key, chain key, header key |
//! | chain key, no salt | info `SimpleXChainRatchet` | chain key, message key, vectors of message and header |

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::hash::hkdf_sha512;
use crate::crypto::kem::KemSecret;

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The key of these bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes of the key.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }
    };
}

key! {
    /// What all other keys come from; changes with each step of Diffie-Hellman.
    RootKey
}
key! {
    /// What the keys of the messages of one chain come from; changes with each message.
    ChainKey
}
key! {
    /// What encrypts the headers of one chain.
    HeaderKey
}

/// In constant time.
impl PartialEq for HeaderKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for HeaderKey {}

impl RootKey {
    /// The keys after a step: the next root key, and the chain and next header key of one direction.
    #[must_use]
    pub(super) fn step(&self, agreed: &[u8], kem: Option<&KemSecret>) -> (Self, ChainKey, HeaderKey) {
        let derived = derive3(&self.0, &with_kem(agreed, kem), b"SimpleXRootRatchet");
        let [root, chain, header] = *derived;
        (Self(root), ChainKey(chain), HeaderKey(header))
    }
}

impl ChainKey {
    /// The next chain key, the key of one message and the vector of its header.
    #[must_use]
    pub(super) fn step(&self) -> (Self, BodyKey, [u8; 16]) {
        let derived = derive3(b"", &self.0, b"SimpleXChainRatchet");
        let [chain, key, ivs] = *derived;
        let [mut iv, mut header_iv] = [[0; 16]; 2];
        iv.iter_mut().chain(&mut header_iv).zip(ivs).for_each(|(to, from)| *to = from);
        (Self(chain), BodyKey { key, iv }, header_iv)
    }
}

/// What encrypts the body of one message.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct BodyKey {
    /// The key.
    pub key: [u8; 32],
    /// The initialisation vector.
    pub iv: [u8; 16],
}

/// The keys at the start: of the sender's first headers, of the receiver's first headers, and the first root key.
pub(super) fn agree(secrets: &[u8], kem: Option<&KemSecret>) -> (HeaderKey, HeaderKey, RootKey) {
    let derived = derive3(&[0; 64], &with_kem(secrets, kem), b"SimpleXX3DH");
    let [sending, receiving, root] = *derived;
    (HeaderKey(sending), HeaderKey(receiving), RootKey(root))
}

fn with_kem(secret: &[u8], kem: Option<&KemSecret>) -> Zeroizing<Vec<u8>> {
    // Exact, because a vector that grows leaves an unwiped copy behind.
    let kem = kem.map_or(&[][..], |kem| kem.as_bytes());
    let mut both = Zeroizing::new(Vec::with_capacity(secret.len() + kem.len()));
    both.extend_from_slice(secret);
    both.extend_from_slice(kem);
    both
}

fn derive3(salt: &[u8], secret: &[u8], info: &[u8]) -> Zeroizing<[[u8; 32]; 3]> {
    let mut derived = Zeroizing::new([0; 96]);
    hkdf_sha512(salt, secret, info, &mut derived[..]).expect("96 bytes are within the limit of HKDF");
    let mut keys = Zeroizing::new([[0; 32]; 3]);
    keys.iter_mut().flatten().zip(derived.iter()).for_each(|(to, from)| *to = *from);
    keys
}
