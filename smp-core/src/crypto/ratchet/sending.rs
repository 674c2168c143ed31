//! Sending: each message has a key of its own, and a header that the other side steps by.

use zeroize::Zeroizing;

use super::chain::BodyKey;
use super::fields::{Fields, put_secret};
use super::header::{EncryptedHeader, MessageHeader, RatchetMessage};
use super::{PqEncryption, Ratchet, RatchetKey, RatchetParts};
use crate::crypto::{aes_gcm, padding};
use crate::wire::Version;
use crate::wire::codec::{Decoded, put_large};
use crate::wire::link::KemParameters;

/// The key of one message that is to be sent, and all else that its bytes depend on. A secret.
///
/// A sender that stores it with the message before it changes its ratchet can encrypt the body when it is delivered, and
/// again when that was interrupted. It must never serve for another body: that would tell the difference of both, and
/// let others make messages.
#[derive(Clone)]
pub struct MessageKey {
    key: BodyKey,
    version: Version,
    header: Vec<u8>,
    associated_data: Vec<u8>,
}

impl MessageKey {
    /// The message with this body, which is padded to `padded_len` bytes.
    ///
    /// # Errors
    /// [`SendFault::TooLarge`] when the body has more than `padded_len - 2` bytes.
    pub fn encrypt(&self, padded_len: usize, body: &[u8]) -> Result<Vec<u8>, SendFault> {
        let mut body = padding::pad(body, padded_len).map_err(|_| SendFault::TooLarge)?;
        let associated = [&self.associated_data[..], &self.header].concat();
        let tag = aes_gcm::seal(&self.key.key, &self.key.iv, &associated, &mut body)
            .map_err(|_| SendFault::TooLarge)?;
        let mut out = Vec::with_capacity(body.len() + self.header.len() + 18);
        RatchetMessage { header: self.header.clone().into(), tag, body: body.into() }
            .encode(&mut out, self.version);
        Ok(out)
    }

    /// The key for storage, in a format of this crate.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let open = self.header.len() + self.associated_data.len();
        let mut out = Zeroizing::new(Vec::with_capacity(64 + open));
        out.push(FORMAT);
        self.version.encode(&mut out);
        out.extend_from_slice(&self.key.key);
        out.extend_from_slice(&self.key.iv);
        put_secret(&mut out, &self.header);
        put_large(&mut out, &self.associated_data);
        out
    }

    /// Reads a stored key.
    ///
    /// # Errors
    /// For another format, or bytes that are malformed.
    pub fn from_bytes(bytes: &[u8]) -> Decoded<Self> {
        let mut fields = Fields::new(bytes);
        fields.tag(FORMAT)?;
        let key = Self {
            version: fields.version()?,
            key: BodyKey { key: fields.array()?, iv: fields.array()? },
            header: fields.large()?.to_vec(),
            associated_data: fields.large()?.to_vec(),
        };
        fields.end()?;
        Ok(key)
    }
}

/// Why there is no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendFault {
    /// Who accepted can send when it has received something.
    #[error("nothing was received yet")]
    NotReady,
    /// The chain has 2³² - 1 messages; an answer of the other side begins another.
    #[error("too many messages without an answer")]
    Exhausted,
    /// The body does not fit.
    #[error("message larger than its padded length")]
    TooLarge,
}

impl<K: RatchetKey> Ratchet<K> {
    /// Takes the key of the next message. The changed ratchet must be stored before the message is sent.
    ///
    /// `pq` switches the KEM on or off, from the next step on: what the keys of this chain come from is settled. Off does
    /// not take the ciphertext out of the headers of this chain (the reference does, but for the first message): it
    /// may be a later one that comes first, and the other side could not follow.
    ///
    /// # Errors
    /// When there can be no message now; the ratchet is as before.
    pub fn encrypt_header(&mut self, pq: Option<PqEncryption>) -> Result<MessageKey, SendFault> {
        let parts = &mut self.0;
        let sent = parts.sent.checked_add(1).ok_or(SendFault::Exhausted)?;
        if parts.sending.is_none() {
            return Err(SendFault::NotReady);
        }
        parts.switch(pq);
        let padded_len = parts.padded_header_len();
        let chain = parts.sending.as_mut().ok_or(SendFault::NotReady)?;
        let header = MessageHeader::<K> {
            max_version: parts.max_version,
            key: parts.key.public(),
            kem: parts.kem.as_ref().map(|key| match &chain.ciphertext {
                Some(ciphertext) => KemParameters::Accepted(ciphertext.clone(), key.public()),
                None => KemParameters::Proposed(key.public()),
            }),
            previous: parts.previous,
            number: parts.sent,
        };
        let (next, key, iv) = chain.chain.step();
        let encrypted = EncryptedHeader::seal(
            &header,
            parts.version,
            padded_len,
            (&chain.header, iv),
            &parts.associated_data,
        );
        chain.chain = next;
        parts.sent = sent;
        let mut header = Vec::new();
        encrypted.encode(&mut header);
        let associated_data = parts.associated_data.clone();
        Ok(MessageKey { key, version: parts.version, header, associated_data })
    }

    /// The next message, with a body that is padded to `padded_len` bytes; [`Self::encrypt_header`] tells the rest.
    ///
    /// # Errors
    /// When there can be no such message now; the ratchet is as before.
    pub fn encrypt(
        &mut self,
        pq: Option<PqEncryption>,
        padded_len: usize,
        body: &[u8],
    ) -> Result<Vec<u8>, SendFault> {
        let mut next = self.clone();
        let message = next.encrypt_header(pq)?.encrypt(padded_len, body)?;
        *self = next;
        Ok(message)
    }
}

impl<K: RatchetKey> RatchetParts<K> {
    fn switch(&mut self, pq: Option<PqEncryption>) {
        match pq {
            None => (),
            Some(PqEncryption::Off) => self.pq_enabled = false,
            Some(PqEncryption::On) => {
                self.pq_enabled = true;
                self.pq_supported = true;
                self.max_version = self.max_version.max(KemParameters::SINCE);
            }
        }
    }

    fn padded_header_len(&self) -> usize {
        if (self.pq_supported || self.kem.is_some()) && self.version >= KemParameters::SINCE {
            MessageHeader::<K>::KEM_PADDED_LEN
        } else {
            MessageHeader::<K>::PADDED_LEN
        }
    }
}

/// The first byte of a stored key.
const FORMAT: u8 = 1;
