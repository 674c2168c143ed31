//! Messages of a connection.

use bytes::Bytes;

use super::QueueNumber;
use crate::agent::{ConnectionId, LocalMessageId};
use crate::crypto::ratchet::MessageKey;
use crate::time::UnixTime;
use crate::wire::agent::{MessageHash, MessageIntegrity};
use crate::wire::command::MessageFlags;
use crate::wire::{MessageId, Version};

/// A message that came and was not acknowledged by the app, or is remembered to be told from others.
#[derive(Clone)]
pub struct Incoming {
    /// The connection.
    pub connection: ConnectionId,
    /// Our number.
    pub id: LocalMessageId,
    /// The queue in which it came.
    pub queue: QueueNumber,
    /// The server's id of it, which ACK names.
    pub server_id: MessageId,
    /// When the server got it.
    pub server_time: UnixTime,
    /// When we got it.
    pub received_at: UnixTime,
    /// The sender's number.
    pub sender_id: i64,
    /// Of the message itself: what a receipt names.
    pub hash: MessageHash,
    /// Whether it came in its place.
    pub integrity: MessageIntegrity,
    /// It was encrypted with a secret of the KEM too.
    pub pq: bool,
    /// As its sender set them.
    pub flags: MessageFlags,
    /// What the app is to get; nothing once it was acknowledged.
    pub body: Option<Bytes>,
    /// How often it came again.
    pub repeats: u32,
}

/// A message that is to be sent.
#[derive(Clone)]
pub struct Outgoing {
    /// The connection.
    pub connection: ConnectionId,
    /// Our number.
    pub id: LocalMessageId,
    /// The number that the other side gets to see; 1 is the confirmation.
    pub sender_id: i64,
    /// When the app asked for it.
    pub created_at: UnixTime,
    /// What the recipient's notification depends on.
    pub flags: MessageFlags,
    /// What goes out.
    pub content: OutgoingContent,
    /// Of the message itself: what a receipt names.
    pub hash: MessageHash,
    /// What receipts have told.
    pub receipt: ReceiptState,
}

/// What a message is, and how it is sealed: never with another content.
#[derive(Clone)]
pub enum OutgoingContent {
    /// Encrypted when it goes out, with the key that the ratchet made for it.
    Ratchet {
        /// What is said, encoded.
        plaintext: Bytes,
        /// The key.
        key: Box<MessageKey>,
        /// To how many bytes it is padded.
        padded_len: usize,
        /// The agent version that the envelope has.
        version: Version,
        /// The whole envelope is a confirmation, with these keys of the ratchet, encoded.
        confirmation: Option<Bytes>,
    },
    /// An envelope that no ratchet encrypts: an invitation to an address, or new keys of the ratchet.
    Plain(Bytes),
    /// It was delivered; only the hash is needed, for receipts.
    Delivered,
}

/// Whether the other side has said that it got a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiptState {
    /// Not yet.
    None,
    /// It is not a message of the app: nobody says that.
    NotExpected,
    /// It got this message.
    Received,
    /// It got another one under this number.
    BadHash,
}

/// A message and a send queue through which it has yet to go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Delivery {
    /// The connection.
    pub connection: ConnectionId,
    /// The queue.
    pub queue: QueueNumber,
    /// The message.
    pub message: LocalMessageId,
}
