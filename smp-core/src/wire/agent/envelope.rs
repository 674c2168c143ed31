//! The body of a client message: what agents send through a queue.

use core::fmt;

use bytes::Bytes;

use super::super::codec::{DecodeError, Decoded, Reader, put_large, put_optional};
use super::super::link::{ConnectionRequest, E2eParameters};
use super::super::version::Version;

/// What one agent sends to another (agent protocol "Communication between SMP agents"): the body of a
/// [`ClientMessage`](super::super::ClientMessage).
///
/// On the wire: `u16` agent version, then the [`EnvelopeBody`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentEnvelope {
    /// With a confirmation the version that both agreed on, with anything else the highest that the sender speaks.
    pub version: Version,
    /// What is in it.
    pub body: EnvelopeBody,
}

/// What an [`AgentEnvelope`] holds.
///
/// ```text
/// C optional keys, ciphertext                     tail
/// M ciphertext                                    tail
/// I full link as text in a large string, info     tail
/// R keys, info                                    tail
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum EnvelopeBody {
    /// The first envelope through a queue.
    Confirmation {
        /// The keys of who accepted an invitation; who made it sent its own in the link.
        keys: Option<Box<E2eParameters>>,
        /// [`ConnInfo`](super::AgentMessage::ConnInfo) or [`ConnInfoReply`](super::AgentMessage::ConnInfoReply),
        /// encrypted by the ratchet.
        ciphertext: Bytes,
    },
    /// A [`Message`](super::AgentMessage::Message), encrypted by the ratchet.
    Message(Bytes),
    /// A request to a contact address.
    Invitation {
        /// An invitation of who asks. Its text has at most 65535 bytes; an envelope has room for less.
        request: Box<ConnectionRequest>,
        /// Of the app's own, about who asks.
        info: Bytes,
    },
    /// A new ratchet is to be made (version 3).
    RatchetKeys {
        /// The sender's new keys.
        keys: Box<E2eParameters>,
        /// A [`RatchetInfo`](super::AgentMessage::RatchetInfo), which no ratchet encrypts.
        info: Bytes,
    },
}

impl AgentEnvelope {
    /// Reads an envelope, to the end of the bytes.
    ///
    /// # Errors
    /// When bytes are missing, a part is malformed, or the link of an invitation is a contact address.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { version: Version::decode(reader)?, body: EnvelopeBody::decode(reader)? })
    }

    /// Writes the envelope.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.version.encode(out);
        self.body.encode(out);
    }
}

impl EnvelopeBody {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let keys = |reader: &mut Reader<'_>| E2eParameters::decode(reader).map(Box::new);
        Ok(match reader.u8()? {
            b'C' => Self::Confirmation { keys: reader.optional(keys)?, ciphertext: reader.tail() },
            b'M' => Self::Message(reader.tail()),
            b'I' => Self::Invitation { request: decode_request(&reader.large()?)?, info: reader.tail() },
            b'R' => Self::RatchetKeys { keys: keys(reader)?, info: reader.tail() },
            _ => return Err(DecodeError),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let tail = match self {
            Self::Confirmation { keys, ciphertext } => {
                out.push(b'C');
                put_optional(out, keys.as_ref(), |out, keys| keys.encode(out));
                ciphertext
            }
            Self::Message(ciphertext) => {
                out.push(b'M');
                ciphertext
            }
            Self::Invitation { request, info } => {
                out.push(b'I');
                put_large(out, request.to_string().as_bytes());
                info
            }
            Self::RatchetKeys { keys, info } => {
                out.push(b'R');
                keys.encode(out);
                info
            }
        };
        out.extend_from_slice(tail);
    }
}

/// The invitation in `text`. A peer may leave out escapes, so that our text is longer than its own: what could not be
/// written again is refused.
fn decode_request(text: &[u8]) -> Decoded<Box<ConnectionRequest>> {
    let text = core::str::from_utf8(text).map_err(|_| DecodeError)?;
    let request: ConnectionRequest = text.parse().map_err(|_| DecodeError)?;
    if request.ratchet.is_none() || u16::try_from(request.to_string().len()).is_err() {
        return Err(DecodeError);
    }
    Ok(Box::new(request))
}

/// Only the kind.
impl fmt::Debug for EnvelopeBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmation { keys: Some(_), .. } => "Confirmation with keys",
            Self::Confirmation { keys: None, .. } => "Confirmation",
            Self::Message(_) => "Message",
            Self::Invitation { .. } => "Invitation",
            Self::RatchetKeys { .. } => "RatchetKeys",
        })
    }
}
