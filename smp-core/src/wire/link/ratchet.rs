//! The public keys that start a ratchet: of an invitation, and of the answer to it.

use core::fmt;

use super::super::codec::{DecodeError, Decoded, Reader, put_large, put_optional};
use super::super::key::X448PublicKey;
use super::super::text::{Query, from_base64url, to_base64url};
use super::super::version::{Version, VersionRange};

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

    /// The keys for one of the versions, with which who uses the link makes its ratchet.
    ///
    /// # Errors
    /// For a version that their owner does not speak.
    pub fn for_version(&self, version: Version) -> Decoded<E2eParameters> {
        if !self.versions.contains(version) {
            return Err(DecodeError);
        }
        let kem = self.kem.clone().filter(|_| version >= KemParameters::SINCE).map(KemParameters::Proposed);
        Ok(E2eParameters { version, first: self.first, second: self.second, kem })
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

/// The public keys of one side for one version of the ratchet (agent protocol "E2E ratchet parameters"): what who
/// accepts an invitation sends in its confirmation, and both sides when they make a new ratchet for a connection.
///
/// ```text
/// u16 version, two keys as short strings, from version 3 on optional: what is said of the KEM
/// ```
///
/// Keys are X448 on the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct E2eParameters<K = X448PublicKey> {
    /// The version of the ratchet.
    pub version: Version,
    /// The first key.
    pub first: K,
    /// The second key.
    pub second: K,
    /// What is said of the KEM; nothing before version 3.
    pub kem: Option<KemParameters>,
}

opaque_debug!(E2eParameters);

impl E2eParameters {
    /// Reads the keys.
    ///
    /// # Errors
    /// When bytes are missing or a key is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let version = Version::decode(reader)?;
        let (first, second) = (X448PublicKey::decode(reader)?, X448PublicKey::decode(reader)?);
        let kem =
            if version >= KemParameters::SINCE { reader.optional(KemParameters::decode)? } else { None };
        Ok(Self { version, first, second, kem })
    }

    /// Writes the keys. What is said of the KEM has no place before version 3.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        self.first.encode(out);
        self.second.encode(out);
        if self.version >= KemParameters::SINCE {
            put_optional(out, self.kem.as_ref(), |out, kem| kem.encode(out));
        }
    }
}

/// What one side says of the KEM, in [`E2eParameters`] and in the header of each message.
///
/// ```text
/// P, a KEM key as a large string
/// A, a ciphertext, a KEM key, both as large strings
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum KemParameters {
    /// The side would use it, and this is its key.
    Proposed(KemPublicKey),
    /// The side encapsulated a secret to the key that it was given, and this is its own key for the next step.
    Accepted(KemCiphertext, KemPublicKey),
}

opaque_debug!(KemParameters);

impl KemParameters {
    /// The version of the ratchet from which on it has a KEM beside Diffie-Hellman.
    pub const SINCE: Version = Version(3);

    /// Reads what is said.
    ///
    /// # Errors
    /// For a byte that is neither `P` nor `A`, or a key or ciphertext of a wrong length.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.u8()? {
            b'P' => Ok(Self::Proposed(KemPublicKey::new(&reader.large()?)?)),
            b'A' => {
                let ciphertext = KemCiphertext::new(&reader.large()?)?;
                Ok(Self::Accepted(ciphertext, KemPublicKey::new(&reader.large()?)?))
            }
            _ => Err(DecodeError),
        }
    }

    /// Writes what is said.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Proposed(key) => {
                out.push(b'P');
                put_large(out, key.as_bytes());
            }
            Self::Accepted(ciphertext, key) => {
                out.push(b'A');
                put_large(out, ciphertext.as_bytes());
                put_large(out, key.as_bytes());
            }
        }
    }

    /// The key to encapsulate to.
    #[must_use]
    pub const fn key(&self) -> &KemPublicKey {
        match self {
            Self::Proposed(key) | Self::Accepted(_, key) => key,
        }
    }
}

/// Bytes of one length that the KEM sntrup761 makes.
macro_rules! kem_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Box<[u8]>);

        opaque_debug!($name);

        impl $name {
            /// How many bytes.
            pub const LEN: usize = $len;

            /// The value of these bytes.
            ///
            /// # Errors
            /// For another length.
            pub fn new(bytes: &[u8]) -> Decoded<Self> {
                if bytes.len() == Self::LEN { Ok(Self(bytes.into())) } else { Err(DecodeError) }
            }

            /// The bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

kem_bytes! {
    /// A public key of the KEM sntrup761: 1158 bytes.
    KemPublicKey, 1158
}
kem_bytes! {
    /// A secret that was encapsulated to a key of the KEM sntrup761: 1039 bytes.
    KemCiphertext, 1039
}
