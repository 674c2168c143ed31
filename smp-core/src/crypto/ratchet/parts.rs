//! The state of a ratchet, and its form in storage.

use zeroize::Zeroizing;

use super::fields::{Fields, put_secret};
use super::{ChainKey, HeaderKey, Ratchet, RatchetKey, RootKey};
use crate::crypto::{KemPrivateKey, X448PrivateKey};
use crate::wire::Version;
use crate::wire::codec::{Decoded, decode_all, put_bool, put_large, put_optional, put_short};
use crate::wire::link::KemCiphertext;

/// Everything that a ratchet remembers, but for the keys of messages that it skipped.
///
/// | here | in the specification |
/// |---|---|
/// | `root`, `key`, `kem` | RK, DHRs, PQRs |
/// | `sending`: `chain`, `header`, `theirs`, `ciphertext` | CKs, HKs, DHRr, PQRct |
/// | `receiving`: `chain`, `header` | CKr, HKr |
/// | `next_sending_header`, `next_receiving_header` | NHKs, NHKr |
/// | `sent`, `received`, `previous` | Ns, Nr, PN |
///
/// What the specification calls PQRr and PQRss is used in one step and not kept.
#[derive(Clone)]
pub struct RatchetParts<K: RatchetKey = X448PrivateKey> {
    /// The version that the ratchet has now.
    pub version: Version,
    /// The newest version that this side speaks.
    pub max_version: Version,
    /// What all tags cover: the first public keys of both sides. At most 65535 bytes.
    pub associated_data: Vec<u8>,
    /// The root key.
    pub root: RootKey,
    /// The key of the sending chain.
    pub key: K,
    /// The KEM key that the headers of the sending chain tell.
    pub kem: Option<KemPrivateKey>,
    /// The chain that this side sends with; none before it received something, if it accepted.
    pub sending: Option<SendingChain<K>>,
    /// The chain that it receives with.
    pub receiving: Option<ReceivingChain>,
    /// The header key of the next sending chain.
    pub next_sending_header: HeaderKey,
    /// The header key of the next receiving chain.
    pub next_receiving_header: HeaderKey,
    /// How many messages the sending chain has.
    pub sent: u32,
    /// How many messages of the receiving chain were received or skipped.
    pub received: u32,
    /// How many messages the sending chain before this one had.
    pub previous: u32,
    /// Headers are large, so that they can tell of a KEM. Never taken back.
    pub pq_supported: bool,
    /// This side wants the KEM.
    pub pq_enabled: bool,
    /// The sending chain comes from a KEM secret.
    pub pq_sending: bool,
    /// The receiving chain comes from a KEM secret.
    pub pq_receiving: bool,
}

/// The chain of messages that are sent until the other side answers.
#[derive(Clone)]
pub struct SendingChain<K: RatchetKey = X448PrivateKey> {
    /// The chain key.
    pub chain: ChainKey,
    /// The header key.
    pub header: HeaderKey,
    /// The other side's key that the chain was agreed on with.
    pub theirs: K::Public,
    /// What was encapsulated for this chain.
    pub ciphertext: Option<KemCiphertext>,
}

/// The chain of messages that the other side sends.
#[derive(Clone)]
pub struct ReceivingChain {
    /// The chain key.
    pub chain: ChainKey,
    /// The header key.
    pub header: HeaderKey,
}

impl<K: RatchetKey> Ratchet<K> {
    /// The ratchet in this state.
    #[must_use]
    pub const fn from_parts(parts: RatchetParts<K>) -> Self {
        Self(parts)
    }

    /// The state.
    #[must_use]
    pub const fn parts(&self) -> &RatchetParts<K> {
        &self.0
    }

    /// The state for storage, in a format of this crate that begins with its version.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let parts = &self.0;
        // Never to grow, because a vector that grows leaves an unwiped copy behind.
        let mut out = Zeroizing::new(Vec::with_capacity(4096 + parts.associated_data.len()));
        out.push(FORMAT);
        parts.version.encode(&mut out);
        parts.max_version.encode(&mut out);
        put_large(&mut out, &parts.associated_data);
        out.extend_from_slice(parts.root.as_bytes());
        put_short(&mut out, &parts.key.to_der());
        put_optional(&mut out, parts.kem.as_ref(), |out, key| put_secret(out, key.as_bytes()));
        put_optional(&mut out, parts.sending.as_ref(), |out, chain| {
            out.extend_from_slice(chain.chain.as_bytes());
            out.extend_from_slice(chain.header.as_bytes());
            let mut theirs = Vec::new();
            K::encode(&chain.theirs, &mut theirs);
            put_large(out, &theirs);
            put_optional(out, chain.ciphertext.as_ref(), |out, bytes| put_large(out, bytes.as_bytes()));
        });
        put_optional(&mut out, parts.receiving.as_ref(), |out, chain| {
            out.extend_from_slice(chain.chain.as_bytes());
            out.extend_from_slice(chain.header.as_bytes());
        });
        out.extend_from_slice(parts.next_sending_header.as_bytes());
        out.extend_from_slice(parts.next_receiving_header.as_bytes());
        for count in [parts.sent, parts.received, parts.previous] {
            out.extend_from_slice(&count.to_be_bytes());
        }
        for flag in [parts.pq_supported, parts.pq_enabled, parts.pq_sending, parts.pq_receiving] {
            put_bool(&mut out, flag);
        }
        out
    }

    /// Reads a stored state.
    ///
    /// # Errors
    /// For another format, or bytes that are malformed.
    pub fn from_bytes(bytes: &[u8]) -> Decoded<Self> {
        let mut fields = Fields::new(bytes);
        fields.tag(FORMAT)?;
        let parts = RatchetParts {
            version: fields.version()?,
            max_version: fields.version()?,
            associated_data: fields.large()?.to_vec(),
            root: RootKey::new(fields.array()?),
            key: fields.key()?,
            kem: fields.optional(Fields::kem_key)?,
            sending: fields.optional(sending_chain)?,
            receiving: fields.optional(|fields| {
                let chain = ChainKey::new(fields.array()?);
                Ok(ReceivingChain { chain, header: HeaderKey::new(fields.array()?) })
            })?,
            next_sending_header: HeaderKey::new(fields.array()?),
            next_receiving_header: HeaderKey::new(fields.array()?),
            sent: fields.u32()?,
            received: fields.u32()?,
            previous: fields.u32()?,
            pq_supported: fields.bool()?,
            pq_enabled: fields.bool()?,
            pq_sending: fields.bool()?,
            pq_receiving: fields.bool()?,
        };
        fields.end()?;
        Ok(Self(parts))
    }
}

fn sending_chain<K: RatchetKey>(fields: &mut Fields<'_>) -> Decoded<SendingChain<K>> {
    Ok(SendingChain {
        chain: ChainKey::new(fields.array()?),
        header: HeaderKey::new(fields.array()?),
        theirs: decode_all(&fields.large()?.to_vec().into(), K::decode)?,
        ciphertext: fields.optional(Fields::ciphertext)?,
    })
}

/// The first byte of a stored state.
const FORMAT: u8 = 1;
