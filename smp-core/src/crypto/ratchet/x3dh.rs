//! How two ratchets start: the agreement of two key pairs of each side (X3DH, without signed keys, because the link that
//! carries the first ones is trusted), with an optional KEM.
//!
//! Who made the invitation *accepts*, who used it *initiates*:
//!
//! ```text
//! secret           DH(accepter's first, initiator's second) ‖ DH(accepter's second, initiator's first)
//!                  ‖ DH(accepter's second, initiator's second) ‖ KEM secret, if any
//! associated data  initiator's first key ‖ accepter's first key
//! ```

use zeroize::Zeroizing;

use super::chain::agree;
use super::fields::{Fields, put_secret};
use super::{FreshKeys, HeaderKey, Ratchet, RatchetKey, RatchetParts, ReceivingChain, RootKey, SendingChain};
use crate::crypto::hash::sha256;
use crate::crypto::{CryptoError, KemPrivateKey, KemSecret, X448PrivateKey};
use crate::wire::codec::{Decoded, put_short};
use crate::wire::link::{E2eParameters, KemCiphertext, KemParameters, KemPublicKey, RatchetKeys};
use crate::wire::{Version, VersionRange};

/// The private keys of one side, which make one ratchet and are then dropped.
#[derive(Clone)]
pub struct X3dhKeys<K: RatchetKey = X448PrivateKey> {
    /// The version of the ratchet that they are for.
    pub version: Version,
    /// The first key.
    pub first: K,
    /// The second key, which also is the first key of the accepter's ratchet.
    pub second: K,
    /// What is said of the KEM; nothing before version 3.
    pub kem: Option<X3dhKem>,
}

/// The private half of [`KemParameters`].
#[derive(Clone)]
pub enum X3dhKem {
    /// The key that was proposed.
    Proposed(KemPrivateKey),
    /// The key for the next step, and what was encapsulated to the other side's key.
    Accepted(KemPrivateKey, KemCiphertext, KemSecret),
}

/// What to say of the KEM.
#[derive(Clone, Copy)]
pub enum KemOffer<'a> {
    /// Nothing: no post-quantum ratchet for now.
    Nothing,
    /// A key to encapsulate to. Both sides may do so at once, when they make a new ratchet for a connection; the first
    /// messages agree on the KEM then.
    Propose,
    /// The answer to this key of the other side.
    Accept(&'a KemPublicKey),
}

impl<K: RatchetKey> X3dhKeys<K> {
    /// New keys. Before version 3 nothing is said of the KEM.
    pub fn generate(version: Version, kem: KemOffer<'_>, fresh: &mut (impl FreshKeys<K> + ?Sized)) -> Self {
        let (first, second) = (fresh.key(), fresh.key());
        let kem = match kem {
            _ if version < KemParameters::SINCE => None,
            KemOffer::Nothing => None,
            KemOffer::Propose => Some(X3dhKem::Proposed(fresh.kem_key())),
            KemOffer::Accept(theirs) => {
                let (ciphertext, secret) = fresh.encapsulate(theirs);
                Some(X3dhKem::Accepted(fresh.kem_key(), ciphertext, secret))
            }
        };
        Self { version, first, second, kem }
    }

    /// The public keys, for the other side.
    #[must_use]
    pub fn public(&self) -> E2eParameters<K::Public> {
        let kem = self.kem.as_ref().map(|kem| match kem {
            X3dhKem::Proposed(key) => KemParameters::Proposed(key.public()),
            X3dhKem::Accepted(key, ciphertext, _) => {
                KemParameters::Accepted(ciphertext.clone(), key.public())
            }
        });
        E2eParameters { version: self.version, first: self.first.public(), second: self.second.public(), kem }
    }

    /// The keys as an agent stores them until the other side answers: a format of this crate.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        // Exact enough never to grow, because a vector that grows leaves an unwiped copy behind.
        let mut out = Zeroizing::new(Vec::with_capacity(5000));
        out.push(FORMAT);
        self.version.encode(&mut out);
        put_short(&mut out, &self.first.to_der());
        put_short(&mut out, &self.second.to_der());
        match &self.kem {
            None => out.push(b'0'),
            Some(X3dhKem::Proposed(key)) => {
                out.push(b'P');
                put_secret(&mut out, key.as_bytes());
            }
            Some(X3dhKem::Accepted(key, ciphertext, secret)) => {
                out.push(b'A');
                put_secret(&mut out, key.as_bytes());
                put_secret(&mut out, ciphertext.as_bytes());
                out.extend_from_slice(secret.as_bytes());
            }
        }
        out
    }

    /// Reads stored keys.
    ///
    /// # Errors
    /// For another format, or bytes that are malformed.
    pub fn from_bytes(bytes: &[u8]) -> Decoded<Self> {
        let mut fields = Fields::new(bytes);
        fields.tag(FORMAT)?;
        let version = fields.version()?;
        let (first, second) = (fields.key()?, fields.key()?);
        let kem = match fields.u8()? {
            b'0' => None,
            b'P' => Some(X3dhKem::Proposed(fields.kem_key()?)),
            b'A' => {
                let key = fields.kem_key()?;
                Some(X3dhKem::Accepted(key, fields.ciphertext()?, KemSecret::new(fields.array()?)))
            }
            _ => return Err(crate::wire::codec::DecodeError),
        };
        fields.end()?;
        Ok(Self { version, first, second, kem })
    }
}

impl X3dhKeys {
    /// The public keys for a link: they are for all of `versions`.
    ///
    /// A link proposes a KEM or says nothing of it; an answer to another's key has no place there and is left out.
    #[must_use]
    pub fn for_link(&self, versions: VersionRange) -> RatchetKeys {
        let kem = match &self.kem {
            Some(X3dhKem::Proposed(key)) => Some(key.public()),
            _ => None,
        };
        RatchetKeys { versions, first: self.first.public(), second: self.second.public(), kem }
    }
}

/// Why there is no ratchet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum X3dhError {
    /// The other side's version is older than 2 or newer than what this side speaks.
    #[error("version of the ratchet not supported")]
    Version,
    /// A KEM key was answered that was not proposed.
    #[error("unexpected answer to a KEM key")]
    Kem,
    /// A key of the other side is of low order.
    #[error("malformed key")]
    Key,
}

impl From<CryptoError> for X3dhError {
    fn from(_: CryptoError) -> Self {
        Self::Key
    }
}

impl<K: RatchetKey> Ratchet<K> {
    /// The ratchet of who used an invitation. It can send at once.
    ///
    /// `max_version` is the newest version that this side speaks; the ratchet starts with that of `ours`. It is for a
    /// post-quantum connection if `ours` says something of the KEM.
    ///
    /// # Errors
    /// When the keys do not go together, see [`X3dhError`].
    pub fn initiate(
        ours: &X3dhKeys<K>,
        theirs: &E2eParameters<K::Public>,
        max_version: Version,
        fresh: &mut (impl FreshKeys<K> + ?Sized),
    ) -> Result<Self, X3dhError> {
        check_version(ours.version, max_version)?;
        if matches!(theirs.kem, Some(KemParameters::Accepted(..))) {
            return Err(X3dhError::Kem);
        }
        let (kem, ciphertext, secret) = match &ours.kem {
            None => (None, None, None),
            Some(X3dhKem::Proposed(key)) => (Some(key.clone()), None, None),
            Some(X3dhKem::Accepted(key, ciphertext, secret)) => {
                (Some(key.clone()), Some(ciphertext.clone()), Some(secret))
            }
        };
        let secrets = [
            ours.second.agree(&theirs.first)?,
            ours.first.agree(&theirs.second)?,
            ours.second.agree(&theirs.second)?,
        ];
        let start = Start::new(&secrets, secret, K::raw(&ours.first.public()), K::raw(&theirs.first));
        let key = fresh.key();
        let (root, chain, next_sending_header) = start.root.step(&key.agree(&theirs.second)?, secret);
        let pq = kem.is_some();
        Ok(Self(RatchetParts {
            version: ours.version,
            max_version,
            associated_data: start.associated_data,
            root,
            key,
            sending: Some(SendingChain {
                chain,
                header: start.initiator_header,
                theirs: theirs.second,
                ciphertext,
            }),
            receiving: None,
            next_sending_header,
            next_receiving_header: start.accepter_header,
            sent: 0,
            received: 0,
            previous: 0,
            kem,
            pq_supported: pq,
            pq_enabled: pq,
            pq_sending: secret.is_some(),
            pq_receiving: false,
        }))
    }

    /// The ratchet of who made the invitation. It can send when it has received.
    ///
    /// `max_version` is the newest version that this side speaks; the ratchet starts with that of `theirs`. `pq` tells
    /// whether the connection is to become post-quantum, and its headers large; it is so if the keys agree on a KEM.
    ///
    /// # Errors
    /// When the keys do not go together, see [`X3dhError`].
    pub fn accept(
        ours: &X3dhKeys<K>,
        theirs: &E2eParameters<K::Public>,
        max_version: Version,
        pq: bool,
    ) -> Result<Self, X3dhError> {
        check_version(theirs.version, max_version)?;
        let (kem, secret) = match (&ours.kem, &theirs.kem) {
            (Some(X3dhKem::Proposed(key)), Some(KemParameters::Accepted(ciphertext, _))) => {
                (Some(key.clone()), Some(key.decapsulate(ciphertext)))
            }
            (_, Some(KemParameters::Accepted(..))) | (Some(X3dhKem::Accepted(..)), _) => {
                return Err(X3dhError::Kem);
            }
            // What the other side proposes comes in its headers again.
            (None | Some(X3dhKem::Proposed(_)), None | Some(KemParameters::Proposed(_))) => (None, None),
        };
        let pq = pq || kem.is_some();
        let secrets = [
            ours.first.agree(&theirs.second)?,
            ours.second.agree(&theirs.first)?,
            ours.second.agree(&theirs.second)?,
        ];
        let start =
            Start::new(&secrets, secret.as_ref(), K::raw(&theirs.first), K::raw(&ours.first.public()));
        Ok(Self(RatchetParts {
            version: theirs.version,
            max_version,
            associated_data: start.associated_data,
            root: start.root,
            key: ours.second.clone(),
            sending: None,
            receiving: None::<ReceivingChain>,
            next_sending_header: start.accepter_header,
            next_receiving_header: start.initiator_header,
            sent: 0,
            received: 0,
            previous: 0,
            kem,
            pq_supported: pq,
            pq_enabled: pq,
            pq_sending: false,
            pq_receiving: false,
        }))
    }
}

/// What both sides know then.
struct Start {
    associated_data: Vec<u8>,
    root: RootKey,
    initiator_header: HeaderKey,
    accepter_header: HeaderKey,
}

impl Start {
    fn new(
        secrets: &[Zeroizing<Vec<u8>>; 3],
        kem: Option<&KemSecret>,
        initiator: &[u8],
        accepter: &[u8],
    ) -> Self {
        let mut all = Zeroizing::new(Vec::with_capacity(secrets.iter().map(|secret| secret.len()).sum()));
        secrets.iter().for_each(|secret| all.extend_from_slice(secret));
        let (initiator_header, accepter_header, root) = agree(&all, kem);
        Self { associated_data: [initiator, accepter].concat(), root, initiator_header, accepter_header }
    }
}

/// Which side a connection's end is when both have sent new keys to each other at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResyncRole {
    /// It uses [`Ratchet::accept`].
    Accept,
    /// It uses [`Ratchet::initiate`], and tells the other when it is ready.
    Initiate,
}

impl ResyncRole {
    /// The role of who has `ours`: it accepts if the hash of its keys is not the greater one.
    #[must_use]
    pub fn of<K: RatchetKey>(ours: &E2eParameters<K::Public>, theirs: &E2eParameters<K::Public>) -> Self {
        let greater = keys_hash::<K>(ours) > keys_hash::<K>(theirs);
        if greater { Self::Initiate } else { Self::Accept }
    }
}

/// SHA-256 of both public keys: by it ends that send new keys decide who does what, and know keys that came before.
#[must_use]
pub fn keys_hash<K: RatchetKey>(keys: &E2eParameters<K::Public>) -> [u8; 32] {
    sha256(&[K::raw(&keys.first), K::raw(&keys.second)].concat())
}

fn check_version(version: Version, max: Version) -> Result<(), X3dhError> {
    if (MIN_VERSION..=max).contains(&version) { Ok(()) } else { Err(X3dhError::Version) }
}

/// The oldest version of the ratchet that is still spoken.
pub const MIN_VERSION: Version = Version(2);
/// The newest version of the ratchet that this crate speaks.
pub const MAX_VERSION: Version = Version(3);
/// The first byte of stored keys.
const FORMAT: u8 = 1;
