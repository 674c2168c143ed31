//! The end-to-end layer between two clients: what SEND carries, opaque to servers.

use core::fmt;

use bytes::Bytes;

use super::codec::{DecodeError, Decoded, Reader, put_optional};
use super::key::{AuthPublicKey, DhPublicKey};
use super::version::Version;

/// The body of SEND: an encrypted [`ClientMessage`] and what its recipient needs to decrypt it.
///
/// On the wire: `u16` client version, optional key, 24 bytes of nonce, tail.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientMessageEnvelope {
    /// The client version that both agreed on, 1 to 4.
    pub version: Version,
    /// The sender's key for this queue, with a confirmation and with every message to a contact address;
    /// later messages to the same queue rely on it.
    pub dh_key: Option<DhPublicKey>,
    /// For the encryption of `encrypted` with the secret of `dh_key` and the queue's key.
    pub nonce: [u8; 24],
    /// The padded and encrypted message.
    pub encrypted: Bytes,
}

impl ClientMessageEnvelope {
    /// The length that a message is padded to before it is encrypted, when the envelope has no key.
    pub const MESSAGE_PADDED_LENGTH: usize = 16_000;
    /// The length that a message is padded to before it is encrypted, when the envelope has a key.
    pub const CONFIRMATION_PADDED_LENGTH: usize = 15_904;

    /// Reads an envelope.
    ///
    /// # Errors
    /// When bytes are missing or the key is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            version: Version::decode(reader)?,
            dh_key: reader.optional(DhPublicKey::decode)?,
            nonce: reader.array()?,
            encrypted: reader.tail(),
        })
    }

    /// Writes the envelope.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        put_optional(out, self.dh_key, |out, key| key.encode(out));
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.encrypted);
    }
}

/// Only what the envelope is for.
impl fmt::Debug for ClientMessageEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientMessageEnvelope")
            .field("version", &self.version)
            .field("dh_key", &self.dh_key)
            .finish_non_exhaustive()
    }
}

/// What one client says to another through a queue.
///
/// On the wire: `_` and the body, or `K`, a key and the body.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientMessage {
    /// The key with which the sender will authorise SEND, for the recipient to secure the queue with; absent
    /// when the sender did that himself.
    pub sender_key: Option<AuthPublicKey>,
    /// For the layer above.
    pub body: Bytes,
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// When the first byte is unknown or the key is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let sender_key = match reader.u8()? {
            b'_' => None,
            b'K' => Some(AuthPublicKey::decode(reader)?),
            _ => return Err(DecodeError),
        };
        Ok(Self { sender_key, body: reader.tail() })
    }

    /// Writes the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.sender_key {
            None => out.push(b'_'),
            Some(key) => {
                out.push(b'K');
                key.encode(out);
            }
        }
        out.extend_from_slice(&self.body);
    }
}

/// Without the body.
impl fmt::Debug for ClientMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientMessage").field("sender_key", &self.sender_key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::decode_all;
    use super::*;

    const X25519: &[u8] = b"\x2c\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";

    fn envelope_bytes(envelope: &ClientMessageEnvelope) -> Vec<u8> {
        let mut out = Vec::new();
        envelope.encode(&mut out);
        out
    }

    fn message_bytes(message: &ClientMessage) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn envelopes() {
        let key_bytes = [X25519, &[2; 32]].concat();
        for (dh_key, key_part) in
            [(None, &b"0"[..]), (Some(DhPublicKey([2; 32])), &[b"1", &key_bytes[..]].concat())]
        {
            let encrypted = Bytes::from_static(b"encrypted");
            let envelope = ClientMessageEnvelope { version: Version(4), dh_key, nonce: [3; 24], encrypted };
            let bytes = [&[0, 4], key_part, &[3; 24], b"encrypted"].concat();
            assert_eq!(envelope_bytes(&envelope), bytes);
            assert_eq!(decode_all(&bytes.clone().into(), ClientMessageEnvelope::decode), Ok(envelope));
            for cut in 0..bytes.len() {
                let read = decode_all(&bytes[..cut].to_vec().into(), ClientMessageEnvelope::decode);
                assert_eq!(read.is_ok(), cut >= bytes.len() - b"encrypted".len());
            }
        }
    }

    #[test]
    fn messages() {
        let keys =
            [AuthPublicKey::X25519([2; 32]), AuthPublicKey::Ed25519([3; 32]), AuthPublicKey::Ed448([4; 57])];
        for sender_key in keys.map(Some).into_iter().chain([None]) {
            let message = ClientMessage { sender_key, body: Bytes::from_static(b"body") };
            let bytes = message_bytes(&message);
            assert_eq!(bytes.starts_with(b"K"), sender_key.is_some());
            assert_eq!(decode_all(&bytes.clone().into(), ClientMessage::decode), Ok(message));
            for cut in 0..bytes.len() {
                let read = decode_all(&bytes[..cut].to_vec().into(), ClientMessage::decode);
                assert_eq!(read.is_ok(), cut >= bytes.len() - b"body".len());
            }
        }
        let with_key = [b"K", X25519, &[2; 32], b"body"].concat();
        let key = Some(AuthPublicKey::X25519([2; 32]));
        let message = ClientMessage { sender_key: key, body: Bytes::from_static(b"body") };
        assert_eq!(message_bytes(&message), with_key);
        assert_eq!(message_bytes(&ClientMessage { sender_key: None, ..message }), b"_body");
        assert_eq!(decode_all(&b"xbody".to_vec().into(), ClientMessage::decode), Err(DecodeError));
    }

    quickcheck::quickcheck! {
        fn any_bytes_are_read_as_what_they_are_or_refused(kind: u8, bytes: Vec<u8>) -> bool {
            let head = [&b"_"[..], b"K", b"\0\x040", b"\0\x041"][usize::from(kind % 4)];
            let bytes: Bytes = [head, &bytes].concat().into();
            decode_all(&bytes, ClientMessage::decode).map_or(true, |read| message_bytes(&read) == bytes)
                && decode_all(&bytes, ClientMessageEnvelope::decode)
                    .map_or(true, |read| envelope_bytes(&read) == bytes)
        }
    }
}
