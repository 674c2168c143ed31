//! What a server sent.

use core::fmt;

use bytes::Bytes;
use smp_core::wire::{BrokerMessage, CorrelationId, EntityId, Version};

/// A transmission of the server. Compares with the text of its message.
#[derive(Clone)]
pub struct Received {
    /// That of the command; empty for an event.
    pub correlation_id: CorrelationId,
    /// What the message is about.
    pub entity_id: EntityId,
    /// The message.
    pub message: Bytes,
    /// The version of the connection.
    pub version: Version,
}

impl Received {
    /// True for what no command asked for.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.correlation_id.is_empty()
    }

    /// The first word of the message.
    #[must_use]
    pub fn tag(&self) -> String {
        let end = self.message.iter().position(|byte| *byte == b' ').unwrap_or(self.message.len());
        String::from_utf8_lossy(&self.message[..end]).into_owned()
    }

    /// The message as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }

    /// The message, which must be one of its version and carry an entity id where it must and only there.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    #[must_use]
    pub fn decode(&self) -> BrokerMessage {
        let message = BrokerMessage::decode(self.version, &self.message).expect("a message of this version");
        message.check_entity(&self.entity_id).expect("an entity id where there must be one");
        message
    }
}

impl PartialEq<&str> for Received {
    fn eq(&self, text: &&str) -> bool {
        self.message == text.as_bytes()
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.message[..self.message.len().min(60)];
        let event = if self.is_event() { "event " } else { "" };
        write!(f, "{event}{:?}", String::from_utf8_lossy(start))
    }
}
