//! Identifiers: opaque byte strings of at most 255 bytes, sent as short strings.

use core::fmt;

use smallvec::SmallVec;

use super::codec::{DecodeError, Decoded, Reader, put_short};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Servers make ids of 24 bytes, which are held without an allocation.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(SmallVec<[u8; 24]>);

        impl $name {
            /// The empty id: "none".
            #[must_use]
            pub const fn empty() -> Self {
                Self(SmallVec::new_const())
            }

            /// An id of these bytes.
            ///
            /// # Errors
            /// For more than 255 bytes.
            pub fn new(bytes: &[u8]) -> Result<Self, DecodeError> {
                if bytes.len() > 255 { Err(DecodeError) } else { Ok(Self(SmallVec::from_slice(bytes))) }
            }

            /// The bytes of the id.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// True for the empty id.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// Reads an id.
            ///
            /// # Errors
            /// When bytes are missing.
            pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
                reader.short().map(|bytes| Self(SmallVec::from_slice(bytes)))
            }

            /// Writes the id.
            pub fn encode(&self, out: &mut Vec<u8>) {
                put_short(out, &self.0);
            }
        }

        impl From<[u8; 24]> for $name {
            fn from(bytes: [u8; 24]) -> Self {
                Self(SmallVec::from_buf(bytes))
            }
        }

        /// Only the length: logs must not link a person's actions.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }
    };
}

identifier! {
    /// What a command is about or an event comes from: a queue's recipient, sender, notifier or link id, or
    /// the id of a service or of a relay session.
    EntityId
}
identifier! {
    /// Joins a command and its answer; empty on events. Clients send 24 random bytes that also serve as a
    /// nonce.
    CorrelationId
}
identifier! {
    /// A message in a queue, chosen by the server.
    MessageId
}
identifier! {
    /// Names one TLS connection: what its two ends agree on as the channel binding, 32 bytes with TLS 1.3 and
    /// 12 with TLS 1.2.
    SessionId
}
identifier! {
    /// What an agent and its user call a connection in the [text protocol](super::agent_text); known to nobody else.
    TextConnectionId
}
identifier! {
    /// What they call a confirmation there, which the user may let continue; chosen by the agent.
    TextConfirmationId
}
identifier! {
    /// What they call a request to a contact address there, which the user may accept or reject; chosen by the agent.
    TextInvitationId
}
