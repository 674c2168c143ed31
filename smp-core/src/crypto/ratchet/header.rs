//! The bytes of a ratchet message and its header (PQDR "Ratchet message wire format").
//!
//! ```text
//! message           length, encrypted header, tag (16), encrypted body to the end
//! encrypted header  u16 version of the ratchet, vector (16), tag (16), length, encrypted padded header
//! header            u16 newest version of the sender, key as a short string, from version 3 on optional: what is said of
//!                   the KEM, u32 messages in the chain before, u32 number in this chain
//! ```
//!
//! A length has two bytes from version 3 on and one before. Who reads tells them apart by the first byte: no header
//! is of less than 32 bytes, and none of 8192 or more.

use bytes::Bytes;

use super::{HeaderKey, RatchetFault, RatchetKey};
use crate::crypto::{aes_gcm, padding};
use crate::wire::Version;
use crate::wire::codec::{Decoded, Reader, decode_all, put_large, put_optional, put_short};
use crate::wire::link::KemParameters;

/// A header: what the other side needs for its step, and the number of the message.
pub struct MessageHeader<K: RatchetKey> {
    /// The newest version that the sender speaks.
    pub max_version: Version,
    /// The key of the sender's chain.
    pub key: K::Public,
    /// What the sender says of the KEM.
    pub kem: Option<KemParameters>,
    /// How many messages the sender's chain before this had.
    pub previous: u32,
    /// How many messages of this chain came before.
    pub number: u32,
}

impl<K: RatchetKey> MessageHeader<K> {
    /// Bytes of a padded header without a KEM.
    pub const PADDED_LEN: usize = 88;
    /// Bytes of a padded header where a KEM is possible.
    pub const KEM_PADDED_LEN: usize = 2310;

    /// Reads a header of a ratchet of `version`.
    ///
    /// # Errors
    /// When bytes are missing or a key is malformed.
    pub fn decode(reader: &mut Reader<'_>, version: Version) -> Decoded<Self> {
        Ok(Self {
            max_version: Version::decode(reader)?,
            key: K::decode(reader)?,
            kem: if version >= KemParameters::SINCE { reader.optional(KemParameters::decode)? } else { None },
            previous: reader.u32()?,
            number: reader.u32()?,
        })
    }

    /// Writes the header for a ratchet of `version`.
    pub fn encode(&self, out: &mut Vec<u8>, version: Version) {
        self.max_version.encode(out);
        K::encode(&self.key, out);
        if version >= KemParameters::SINCE {
            put_optional(out, self.kem.as_ref(), |out, kem| kem.encode(out));
        }
        out.extend_from_slice(&self.previous.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
    }
}

/// A header as it is sent. Its bytes are covered by the tag of the body.
pub struct EncryptedHeader {
    /// The version of the sender's ratchet.
    pub version: Version,
    /// The initialisation vector.
    pub iv: [u8; 16],
    /// The tag, which covers the associated data of the ratchet.
    pub tag: [u8; 16],
    /// The encrypted padded header.
    pub body: Bytes,
}

impl EncryptedHeader {
    /// `header`, padded and encrypted.
    pub(super) fn seal<K: RatchetKey>(
        header: &MessageHeader<K>,
        version: Version,
        padded_len: usize,
        (key, iv): (&HeaderKey, [u8; 16]),
        associated: &[u8],
    ) -> Self {
        let mut text = Vec::with_capacity(padded_len);
        header.encode(&mut text, version);
        let mut body =
            padding::pad(&text, padded_len).expect("padded headers have room for all that they hold");
        let tag = aes_gcm::seal(key.as_bytes(), &iv, associated, &mut body).expect("a header is short");
        Self { version, iv, tag, body: body.into() }
    }

    /// The header, or nothing when it was not encrypted with `key`.
    ///
    /// Nothing may follow it: its tag does not cover the version, and a header that is read as one of another version would
    /// have other numbers.
    pub(super) fn open<K: RatchetKey>(
        &self,
        key: &HeaderKey,
        associated: &[u8],
    ) -> Option<Result<MessageHeader<K>, RatchetFault>> {
        let mut text = self.body.to_vec();
        aes_gcm::open(key.as_bytes(), &self.iv, associated, &mut text, &self.tag).ok()?;
        let text = padding::unpad(&text).map(Bytes::copy_from_slice);
        let header = text.map(|text| decode_all(&text, |reader| MessageHeader::decode(reader, self.version)));
        Some(header.ok().and_then(Result::ok).ok_or(RatchetFault::Malformed))
    }

    /// Reads the encrypted header.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            version: Version::decode(reader)?,
            iv: reader.array()?,
            tag: reader.array()?,
            body: decode_sized(reader)?,
        })
    }

    /// Writes the encrypted header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        out.extend_from_slice(&self.iv);
        out.extend_from_slice(&self.tag);
        put_sized(out, &self.body, self.version);
    }
}

/// A message as it is sent.
pub struct RatchetMessage {
    /// The bytes of the [`EncryptedHeader`].
    pub header: Bytes,
    /// The tag of the body, which covers the associated data of the ratchet and the encrypted header.
    pub tag: [u8; 16],
    /// The encrypted padded body.
    pub body: Bytes,
}

impl RatchetMessage {
    /// Reads a message, which goes to the end of the bytes, and its header.
    ///
    /// # Errors
    /// When bytes are missing, or left over in the header.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<(Self, EncryptedHeader)> {
        let header = decode_sized(reader)?;
        let encrypted = decode_all(&header, EncryptedHeader::decode)?;
        Ok((Self { header, tag: reader.array()?, body: reader.tail() }, encrypted))
    }

    /// Writes the message of a ratchet of `version`.
    pub fn encode(&self, out: &mut Vec<u8>, version: Version) {
        put_sized(out, &self.header, version);
        out.extend_from_slice(&self.tag);
        out.extend_from_slice(&self.body);
    }
}

fn decode_sized(reader: &mut Reader<'_>) -> Decoded<Bytes> {
    match reader.rest().first() {
        Some(..LONG) => reader.large(),
        _ => reader.short().map(Bytes::copy_from_slice),
    }
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8], version: Version) {
    // No header of ours has a length without a short form; one that others made up may.
    match u8::try_from(bytes.len()) {
        Ok(LONG..) if version < KemParameters::SINCE => put_short(out, bytes),
        _ => put_large(out, bytes),
    }
}

/// First bytes below this are of a length of two bytes.
const LONG: u8 = 32;
