//! What messages say of queues when one takes the place of another (agent protocol "Rotating messaging queue").

use super::super::address::ServerAddress;
use super::super::codec::{Decoded, Reader, put_bool, put_optional};
use super::super::id::EntityId;
use super::super::key::AuthPublicKey;
use super::super::queue_uri::{QueueInfo, QueueUri};

/// A queue that both sides know, named as its sender does.
///
/// On the wire: server, sender id as a short string.
#[derive(Clone, PartialEq, Eq)]
pub struct SenderQueue {
    /// The server that holds the queue.
    pub server: ServerAddress,
    /// The queue's id for its sender.
    pub sender_id: EntityId,
}

opaque_debug!(SenderQueue);

impl SenderQueue {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { server: ServerAddress::decode(reader)?, sender_id: EntityId::decode(reader)? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.server.encode(out);
        self.sender_id.encode(out);
    }
}

/// A new queue of the recipient's, to which the other side is to send.
///
/// On the wire: queue address, optional: the queue that it is to replace.
#[derive(Clone, PartialEq, Eq)]
pub struct AddedQueue {
    /// The new queue.
    pub queue: QueueUri,
    /// The queue whose place it takes. Agents refuse a queue that replaces none.
    pub replaced: Option<SenderQueue>,
}

opaque_debug!(AddedQueue);

impl AddedQueue {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { queue: QueueUri::decode(reader)?, replaced: reader.optional(SenderQueue::decode)? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.queue.encode(out);
        put_optional(out, self.replaced.as_ref(), |out, replaced| replaced.encode(out));
    }
}

/// A new queue, with the key that its sender will authorise SEND with.
///
/// On the wire: queue, key as a short string. The queue has the other side's key for the encryption of the queue
/// replaced by the sender's own.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyedQueue {
    /// The new queue, at the client version that both speak.
    pub queue: QueueInfo,
    /// What the recipient secures it with.
    pub sender_key: AuthPublicKey,
}

opaque_debug!(KeyedQueue);

impl KeyedQueue {
    // The length of a key, 44 or 69, is none of the letters of a mode: the queue ends where it should.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { queue: QueueInfo::decode(reader)?, sender_key: AuthPublicKey::decode(reader)? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.queue.encode(out);
        self.sender_key.encode(out);
    }
}

/// A new queue that is secured: its sender may use it.
///
/// On the wire: queue, bool.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadyQueue {
    /// The new queue.
    pub queue: SenderQueue,
    /// Whether it is the one to send to first.
    pub primary: bool,
}

opaque_debug!(ReadyQueue);

impl ReadyQueue {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { queue: SenderQueue::decode(reader)?, primary: reader.bool()? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.queue.encode(out);
        put_bool(out, self.primary);
    }
}
