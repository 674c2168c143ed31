//! What messages are padded to before the ratchet encrypts them, so that servers see one size.
//!
//! What the ratchet and the envelope add fills an [envelope of the client](super::super::ClientMessageEnvelope) up to a
//! few bytes. Headers of a post-quantum ratchet are 2222 bytes longer, and its confirmations carry keys beside that, so
//! there plaintexts are shorter. "Post-quantum" here means that the connection supports it, whether or not it is in use
//! at the moment: once longer headers are sent, they are sent for ever.

use super::super::version::Version;
use super::message::AgentMessage;
use super::version::PQ_RATCHET;

/// The length that [`ConnInfo`](AgentMessage::ConnInfo) and [`ConnInfoReply`](AgentMessage::ConnInfoReply) are padded
/// to, in bytes, on a connection of this agent version.
#[must_use]
pub fn conn_info_padded_len(version: Version, post_quantum: bool) -> usize {
    if post_quantum && version >= PQ_RATCHET { 11_106 } else { 14_832 }
}

/// The length that [`Message`](AgentMessage::Message) is padded to, in bytes, on a connection of this agent version.
#[must_use]
pub fn message_padded_len(version: Version, post_quantum: bool) -> usize {
    if post_quantum && version >= PQ_RATCHET { 13_618 } else { 15_840 }
}

/// The longest information in [`ConnInfo`](AgentMessage::ConnInfo), in bytes, on a connection of this agent version. In
/// [`ConnInfoReply`](AgentMessage::ConnInfoReply) it shares the room with queues.
#[must_use]
pub fn conn_info_len_max(version: Version, post_quantum: bool) -> usize {
    conn_info_padded_len(version, post_quantum) - PADDING_LEN - CONN_INFO_HEAD_LEN
}

/// The longest [`Body`](super::AMessage::Body), in bytes, on a connection of this agent version: the message has its id
/// and the hash of the previous one beside it.
#[must_use]
pub fn body_len_max(version: Version, post_quantum: bool) -> usize {
    message_padded_len(version, post_quantum) - PADDING_LEN - MESSAGE_HEAD_LEN
}

/// The longest information in a [`Receipt`](super::Receipt) that has a message of its own, in bytes, on a connection of this
/// agent version.
#[must_use]
pub fn receipt_info_len_max(version: Version, post_quantum: bool) -> usize {
    body_len_max(version, post_quantum) - RECEIPT_HEAD_LEN
}

impl AgentMessage {
    /// The length that this message is padded to, in bytes, on a connection of this agent version. None for
    /// [`RatchetInfo`](Self::RatchetInfo), which no ratchet encrypts.
    #[must_use]
    pub fn padded_len(&self, version: Version, post_quantum: bool) -> Option<usize> {
        match self {
            Self::ConnInfo(_) | Self::ConnInfoReply { .. } => {
                Some(conn_info_padded_len(version, post_quantum))
            }
            Self::Message { .. } => Some(message_padded_len(version, post_quantum)),
            Self::RatchetInfo(_) => None,
        }
    }
}

/// The length before the plaintext: see [`crate::crypto::padding`].
const PADDING_LEN: usize = 2;
/// `I`.
const CONN_INFO_HEAD_LEN: usize = 1;
/// `M`, id, SHA-256 as a short string, `M`.
const MESSAGE_HEAD_LEN: usize = 1 + 8 + 1 + 32 + 1;
/// The count of receipts, id, SHA-256 as a short string, the length of the information.
const RECEIPT_HEAD_LEN: usize = 1 + 8 + 1 + 32 + 2;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::ClientMessageEnvelope;
    use super::super::super::link::{E2eParameters, KemCiphertext, KemParameters, KemPublicKey};
    use super::super::{AMessage, AgentEnvelope, EnvelopeBody};
    use super::*;
    use crate::crypto::padding::pad;
    use crate::wire::{AuthPublicKey, ClientMessage, X448PublicKey};

    fn encoded(message: &AgentMessage) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    fn body(len: usize) -> AgentMessage {
        let message = AMessage::Body(vec![b'b'; len].into());
        AgentMessage::Message { id: i64::MAX, previous_hash: [1; 32].into(), message }
    }

    #[test]
    fn sizes_by_version() {
        for (version, post_quantum, conn_info, message) in [
            (4, false, 14_832, 15_840),
            (4, true, 14_832, 15_840),
            (5, false, 14_832, 15_840),
            (5, true, 11_106, 13_618),
            (7, true, 11_106, 13_618),
        ] {
            let version = Version(version);
            assert_eq!(conn_info_padded_len(version, post_quantum), conn_info);
            assert_eq!(message_padded_len(version, post_quantum), message);
            assert_eq!(body(0).padded_len(version, post_quantum), Some(message));
            let info = AgentMessage::ConnInfo(Bytes::new());
            assert_eq!(info.padded_len(version, post_quantum), Some(conn_info));
            assert_eq!(AgentMessage::RatchetInfo(Bytes::new()).padded_len(version, post_quantum), None);
        }
    }

    #[test]
    fn the_longest_message_fits_and_one_byte_more_does_not() {
        for post_quantum in [false, true] {
            let version = Version(7);
            let padded = message_padded_len(version, post_quantum);
            let longest = body_len_max(version, post_quantum);
            assert!(pad(&encoded(&body(longest)), padded).is_ok());
            assert!(pad(&encoded(&body(longest + 1)), padded).is_err());

            let padded = conn_info_padded_len(version, post_quantum);
            let longest = conn_info_len_max(version, post_quantum);
            let info = |len| AgentMessage::ConnInfo(vec![b'i'; len].into());
            assert!(pad(&encoded(&info(longest)), padded).is_ok());
            assert!(pad(&encoded(&info(longest + 1)), padded).is_err());
        }
        assert_eq!((body_len_max(Version(7), false), body_len_max(Version(7), true)), (15_795, 13_573));
    }

    /// What the ratchet adds to a padded plaintext: two lengths of a header that holds a version, an IV, a tag, and
    /// the padded plain header; and the tag of the body.
    fn ratchet_message(padded: usize, post_quantum: bool) -> Bytes {
        let header = 2 + 16 + 16 + 2 + if post_quantum { 2310 } else { 88 };
        vec![0; 2 + header + 16 + padded].into()
    }

    fn fits(body: EnvelopeBody, sender_key: Option<AuthPublicKey>, padded: usize) -> bool {
        let mut out = Vec::new();
        AgentEnvelope { version: Version(7), body }.encode(&mut out);
        let message = ClientMessage { sender_key, body: out.into() };
        let mut out = Vec::new();
        message.encode(&mut out);
        pad(&out, padded).is_ok()
    }

    #[test]
    fn padded_messages_fit_the_envelopes_of_the_client() {
        for post_quantum in [false, true] {
            let kem = post_quantum.then(|| {
                let (key, secret) = (KemPublicKey::new(&[1; 1158]), KemCiphertext::new(&[2; 1039]));
                KemParameters::Accepted(secret.unwrap(), key.unwrap())
            });
            let key = X448PublicKey([3; 56]);
            let keys = Some(Box::new(E2eParameters { version: Version(3), first: key, second: key, kem }));
            let ciphertext = ratchet_message(conn_info_padded_len(Version(7), post_quantum), post_quantum);
            let confirmation = EnvelopeBody::Confirmation { keys, ciphertext };
            let padded = ClientMessageEnvelope::CONFIRMATION_PADDED_LENGTH;
            assert!(fits(confirmation, Some(AuthPublicKey::Ed448([4; 57])), padded));

            let ciphertext = ratchet_message(message_padded_len(Version(7), post_quantum), post_quantum);
            let padded = ClientMessageEnvelope::MESSAGE_PADDED_LENGTH;
            assert!(fits(EnvelopeBody::Message(ciphertext), None, padded));
        }
    }
}
