//! The keys of an invitation, with which who accepts it starts the ratchet.

use core::fmt;

use super::super::codec::{DecodeError, Decoded, Reader, put_large, put_optional};
use super::super::key::X448PublicKey;
use super::super::text::{Query, from_base64url, to_base64url};
use super::super::version::VersionRange;

/// The public keys of who made an invitation (agent protocol "E2E ratchet parameters": X3DH, with a KEM key for the
/// post-quantum ratchet).
///
/// ```text
/// bytes  range of ratchet versions, two keys as short strings, optional: P and the KEM key as a large string
/// text   v=2-3&x3dh=<key>,<key>[&kem_key=<key>]        (keys in base64url with padding)
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RatchetKeys {
    /// The versions of the ratchet that their owner speaks.
    pub versions: VersionRange,
    /// The first key.
    pub first: X448PublicKey,
    /// The second key, which also is the first key of the ratchet.
    pub second: X448PublicKey,
    /// What the other side may encapsulate a secret to, when a post-quantum ratchet is proposed.
    pub kem: Option<KemPublicKey>,
}

opaque_debug!(RatchetKeys);

impl RatchetKeys {
    /// Reads the keys.
    ///
    /// # Errors
    /// When bytes are missing or a key is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            versions: VersionRange::decode(reader)?,
            first: X448PublicKey::decode(reader)?,
            second: X448PublicKey::decode(reader)?,
            kem: reader.optional(|reader| {
                reader.tag(b"P")?;
                KemPublicKey::new(&reader.large()?)
            })?,
        })
    }

    /// Writes the keys.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.versions.encode(out);
        self.first.encode(out);
        self.second.encode(out);
        put_optional(out, self.kem.as_ref(), |out, key| {
            out.push(b'P');
            put_large(out, key.as_bytes());
        });
    }

    /// The keys in the text of a link, after percent-decoding. A ciphertext beside the KEM key is of an answer, never
    /// of an invitation.
    pub(super) fn from_text(text: &str) -> Decoded<Self> {
        let query = Query::parse(text)?;
        if query.value("kem_ct").is_some() {
            return Err(DecodeError);
        }
        let (first, second) = query.value("x3dh").and_then(|keys| keys.split_once(',')).ok_or(DecodeError)?;
        let key = |text| X448PublicKey::from_der(&from_base64url(text)?);
        let kem = query.value("kem_key").map(|text| KemPublicKey::new(&from_base64url(text)?)).transpose()?;
        let versions = query.value("v").ok_or(DecodeError)?.parse()?;
        Ok(Self { versions, first: key(first)?, second: key(second)?, kem })
    }
}

/// Writes the text form, whose values are not escaped.
impl fmt::Display for RatchetKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = [self.first, self.second].map(|key| to_base64url(&key.to_der()));
        write!(f, "v={}&x3dh={first},{second}", self.versions)?;
        self.kem.as_ref().map_or(Ok(()), |key| write!(f, "&kem_key={}", to_base64url(key.as_bytes())))
    }
}

/// A public key of the KEM sntrup761: 1158 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey(Box<[u8]>);

opaque_debug!(KemPublicKey);

impl KemPublicKey {
    /// Bytes of a key.
    pub const LEN: usize = 1158;

    /// The key of these bytes.
    ///
    /// # Errors
    /// For another length.
    pub fn new(bytes: &[u8]) -> Decoded<Self> {
        if bytes.len() == Self::LEN { Ok(Self(bytes.into())) } else { Err(DecodeError) }
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
