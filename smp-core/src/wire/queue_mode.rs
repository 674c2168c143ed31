//! What a queue is for, which decides how its sender may use it.

use super::codec::{DecodeError, Decoded, Reader};

/// The kind of a queue. On the wire `M` or `C`, in the text of an address `m` or `c`.
///
/// Queues made before version 15 have no mode; their address says at most that the sender can secure them,
/// which only messaging queues allow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum QueueMode {
    /// Has one sender, who may secure the queue with his own key.
    Messaging,
    /// A contact address: stays open to anyone who knows it.
    Contact,
}

impl QueueMode {
    /// True when a sender may secure a queue of this kind himself.
    #[must_use]
    pub const fn sender_can_secure(self) -> bool {
        matches!(self, Self::Messaging)
    }

    /// The mode that versions 9 to 14 told with a bool: whether the sender can secure the queue.
    #[must_use]
    pub const fn from_sender_can_secure(can_secure: bool) -> Self {
        if can_secure { Self::Messaging } else { Self::Contact }
    }

    /// Reads a mode.
    ///
    /// # Errors
    /// For a byte that is neither `M` nor `C`.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.u8()? {
            b'M' => Ok(Self::Messaging),
            b'C' => Ok(Self::Contact),
            _ => Err(DecodeError),
        }
    }

    /// Writes the mode.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Messaging => b'M',
            Self::Contact => b'C',
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::decode_all;
    use super::*;

    #[test]
    fn bytes_both_ways() {
        for (mode, byte) in [(QueueMode::Messaging, b'M'), (QueueMode::Contact, b'C')] {
            let mut out = Vec::new();
            mode.encode(&mut out);
            assert_eq!(out, [byte]);
            assert_eq!(decode_all(&out.into(), QueueMode::decode), Ok(mode));
            assert_eq!(QueueMode::from_sender_can_secure(mode.sender_can_secure()), mode);
        }
        for bytes in [&b""[..], b"T", b"m", b"MM"] {
            assert_eq!(decode_all(&bytes.to_vec().into(), QueueMode::decode), Err(DecodeError));
        }
    }
}
