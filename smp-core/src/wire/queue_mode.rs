//! What a queue is for, which decides who may secure it and what its link leads to.

use super::codec::{DecodeError, Decoded, Reader};

/// What a queue is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueMode {
    /// `M`: one sender, who may secure the queue.
    Messaging,
    /// `C`: many senders, never secured by them.
    Contact,
}

impl QueueMode {
    /// Reads `M` or `C`.
    ///
    /// # Errors
    /// For any other byte.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.u8()? {
            b'M' => Ok(Self::Messaging),
            b'C' => Ok(Self::Contact),
            _ => Err(DecodeError),
        }
    }

    /// Writes `M` or `C`.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Messaging => b'M',
            Self::Contact => b'C',
        });
    }
}
