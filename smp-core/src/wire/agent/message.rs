//! What agents say to each other inside the ratchet's encryption.

use core::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

use super::super::codec::{DecodeError, Decoded, Reader, put_large, put_short};
use super::super::queue_uri::QueueInfo;
use super::non_empty::NonEmpty;
use super::queues::{AddedQueue, KeyedQueue, ReadyQueue, SenderQueue};

/// The plaintext of the ratchet (agent protocol "Messages between SMP agents").
///
/// ```text
/// I info                                          tail
/// D list of queues, info                          tail
/// R info                                          tail
/// M i64 id, previous hash as a short string, message
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum AgentMessage {
    /// Who made an invitation confirms the queue for replies, with information about itself.
    ConnInfo(Bytes),
    /// Who accepted an invitation confirms it, with its own queues and information about itself.
    ConnInfoReply {
        /// Where to send replies.
        queues: NonEmpty<QueueInfo>,
        /// Of the app's own.
        info: Bytes,
    },
    /// What comes with new keys of the ratchet: the `info` of that envelope, the only kind that is not encrypted by
    /// a ratchet.
    RatchetInfo(Bytes),
    /// Everything that follows the handshake, in an order that can be checked.
    Message {
        /// The sender's number of this message in the connection: one more than of the last. A confirmation counts
        /// as 1, although it does not say so.
        id: i64,
        /// Of the last message.
        previous_hash: MessageHash,
        /// What is said.
        message: AMessage,
    },
}

impl AgentMessage {
    /// Reads a message, to the end of the bytes.
    ///
    /// After a queue of [`Self::ConnInfoReply`] nothing but a letter tells whether its mode is there. So information
    /// that starts with `M`, `C`, `T` or `F` loses that letter to a queue without a mode, in this implementation as
    /// in all others. Queues of client version 4 have one always; to others, apps send information that starts with
    /// another letter, such as `{`.
    ///
    /// # Errors
    /// When bytes are missing or left over, or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(match reader.u8()? {
            b'I' => Self::ConnInfo(reader.tail()),
            b'D' => Self::ConnInfoReply {
                queues: NonEmpty::decode(reader, QueueInfo::decode)?,
                info: reader.tail(),
            },
            b'R' => Self::RatchetInfo(reader.tail()),
            b'M' => Self::Message {
                id: reader.i64()?,
                previous_hash: MessageHash::decode(reader)?,
                message: AMessage::decode(reader)?,
            },
            _ => return Err(DecodeError),
        })
    }

    /// Writes the message. Its SHA-256 is what the next one has as the hash of the previous.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ConnInfo(info) => put_tagged(out, b'I', info),
            Self::ConnInfoReply { queues, info } => {
                out.push(b'D');
                queues.encode(out, |out, queue| queue.encode(out));
                out.extend_from_slice(info);
            }
            Self::RatchetInfo(info) => put_tagged(out, b'R', info),
            Self::Message { id, previous_hash, message } => {
                out.push(b'M');
                out.extend_from_slice(&id.to_be_bytes());
                previous_hash.encode(out);
                message.encode(out);
            }
        }
    }
}

/// Only the kind.
impl fmt::Debug for AgentMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnInfo(_) => f.write_str("ConnInfo"),
            Self::ConnInfoReply { queues, .. } => write!(f, "ConnInfoReply({queues:?})"),
            Self::RatchetInfo(_) => f.write_str("RatchetInfo"),
            Self::Message { message, .. } => write!(f, "Message({message:?})"),
        }
    }
}

/// What one agent says to another once they are connected.
///
/// ```text
/// H                                               HELLO
/// M body                                          A_MSG, tail
/// V list of receipts                              A_RCVD
/// QC queue                                        A_QCONT
/// QA list of queues                               QADD
/// QK list of queues with keys                     QKEY
/// QU list of queues, each with a bool             QUSE
/// QT list of queues                               QTEST
/// E i64                                           EREADY
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum AMessage {
    /// The first message through a queue that was secured by its recipient.
    Hello,
    /// What the user says.
    Body(Bytes),
    /// The user got messages (version 4).
    Receipts(NonEmpty<Receipt>),
    /// A queue that was full is drained: sending may go on.
    QueueContinue(SenderQueue),
    /// Rotation, from the recipient: send to these queues instead. Only the first counts.
    QueueAdd(NonEmpty<AddedQueue>),
    /// Rotation, from the sender: secure the new queues with these keys. Only the first counts.
    QueueKey(NonEmpty<KeyedQueue>),
    /// Rotation, from the recipient: the new queues are secured. Only the first counts.
    QueueUse(NonEmpty<ReadyQueue>),
    /// Rotation, from the sender: the first message through the new queue.
    QueueTest(NonEmpty<SenderQueue>),
    /// The new ratchet is ready (version 3); the number is that of the last message that was got before.
    RatchetReady(i64),
}

impl AMessage {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(match reader.u8()? {
            b'H' => Self::Hello,
            b'M' => Self::Body(reader.tail()),
            b'V' => Self::Receipts(NonEmpty::decode(reader, Receipt::decode)?),
            b'E' => Self::RatchetReady(reader.i64()?),
            b'Q' => match reader.u8()? {
                b'C' => Self::QueueContinue(SenderQueue::decode(reader)?),
                b'A' => Self::QueueAdd(NonEmpty::decode(reader, AddedQueue::decode)?),
                b'K' => Self::QueueKey(NonEmpty::decode(reader, KeyedQueue::decode)?),
                b'U' => Self::QueueUse(NonEmpty::decode(reader, ReadyQueue::decode)?),
                b'T' => Self::QueueTest(NonEmpty::decode(reader, SenderQueue::decode)?),
                _ => return Err(DecodeError),
            },
            _ => return Err(DecodeError),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello => out.push(b'H'),
            Self::Body(body) => put_tagged(out, b'M', body),
            Self::Receipts(receipts) => {
                out.push(b'V');
                receipts.encode(out, |out, receipt| receipt.encode(out));
            }
            Self::QueueContinue(queue) => {
                out.extend_from_slice(b"QC");
                queue.encode(out);
            }
            Self::QueueAdd(queues) => put_queues(out, b"QA", queues, AddedQueue::encode),
            Self::QueueKey(queues) => put_queues(out, b"QK", queues, KeyedQueue::encode),
            Self::QueueUse(queues) => put_queues(out, b"QU", queues, ReadyQueue::encode),
            Self::QueueTest(queues) => put_queues(out, b"QT", queues, SenderQueue::encode),
            Self::RatchetReady(last) => {
                out.push(b'E');
                out.extend_from_slice(&last.to_be_bytes());
            }
        }
    }
}

/// Only the kind.
impl fmt::Debug for AMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello => "Hello",
            Self::Body(_) => "Body",
            Self::Receipts(_) => "Receipts",
            Self::QueueContinue(_) => "QueueContinue",
            Self::QueueAdd(_) => "QueueAdd",
            Self::QueueKey(_) => "QueueKey",
            Self::QueueUse(_) => "QueueUse",
            Self::QueueTest(_) => "QueueTest",
            Self::RatchetReady(_) => "RatchetReady",
        })
    }
}

/// The user got a message.
///
/// On the wire: `i64` id, hash as a short string, info as a large string.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The number that the message's sender gave it.
    pub message_id: i64,
    /// Of the message as it was got.
    pub hash: MessageHash,
    /// Of the app's own, at most 65535 bytes; a longer one is cut.
    pub info: Bytes,
}

opaque_debug!(Receipt);

impl Receipt {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { message_id: reader.i64()?, hash: MessageHash::decode(reader)?, info: reader.large()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.message_id.to_be_bytes());
        self.hash.encode(out);
        put_large(out, &self.info);
    }
}

/// The SHA-256 of an [`AgentMessage`] as it was encoded, or nothing before the first. On the wire a short string.
///
/// What peers send may be of any length up to 255 bytes: only whether it is equal counts.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct MessageHash(SmallVec<[u8; 32]>);

opaque_debug!(MessageHash);

impl MessageHash {
    /// The hash before the first message.
    pub const NONE: Self = Self(SmallVec::new_const());

    /// A hash of these bytes, as a store kept it.
    ///
    /// # Errors
    /// For more than 255 bytes.
    pub fn new(bytes: &[u8]) -> Decoded<Self> {
        if bytes.len() > 255 { Err(DecodeError) } else { Ok(Self(SmallVec::from_slice(bytes))) }
    }

    /// The bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        reader.short().map(|bytes| Self(SmallVec::from_slice(bytes)))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_short(out, &self.0);
    }
}

impl From<[u8; 32]> for MessageHash {
    fn from(hash: [u8; 32]) -> Self {
        Self(SmallVec::from_buf(hash))
    }
}

fn put_tagged(out: &mut Vec<u8>, tag: u8, tail: &[u8]) {
    out.push(tag);
    out.extend_from_slice(tail);
}

fn put_queues<T>(out: &mut Vec<u8>, tag: &[u8], queues: &NonEmpty<T>, put: fn(&T, &mut Vec<u8>)) {
    out.extend_from_slice(tag);
    queues.encode(out, |out, queue| put(queue, out));
}
