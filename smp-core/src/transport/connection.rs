//! The transport machine: shape only, until the block layer and the handshake land.

use bytes::Bytes;

use crate::crypto::X25519PrivateKey;
use crate::time::{Now, Timestamp};
use crate::wire::{SessionId, Version};

/// What the handshake agreed on.
pub struct Parameters {
    /// The agreed version.
    pub version: Version,
    /// The session id.
    pub session_id: SessionId,
    /// This side's session key.
    pub session_key: Option<X25519PrivateKey>,
}

/// What the transport tells its user.
pub enum TransportEvent {
    /// The handshake is done.
    Ready(Box<Parameters>),
    /// The content of a block.
    Block(Bytes),
    /// A block that could not be read.
    BadBlock,
    /// A service identifies itself.
    Service([u8; 32]),
    /// The peer closed.
    Closed,
}

/// A connection that broke.
#[derive(Debug)]
pub struct TransportFault;

/// The transport machine.
pub struct Transport {}

impl Transport {
    /// Bytes from the socket.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn receive(&mut self, _now: Now, _bytes: &[u8]) -> Result<(), TransportFault> {
        Ok(())
    }
    /// The next event.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        None
    }
    /// Sends a block.
    pub fn send_block(&mut self, _content: &[u8]) {}
    /// Bytes for the socket.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        None
    }
    /// The next deadline.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }
    /// The deadline came.
    ///
    /// # Errors
    /// When the handshake took too long.
    pub fn handle_timeout(&mut self, _now: Now) -> Result<(), TransportFault> {
        Ok(())
    }
    /// The longest content of a block.
    pub fn content_max(&self) -> usize {
        16382
    }
    /// Refuses a service.
    pub fn refuse_service(&mut self, _request: [u8; 32]) {}
    /// Closes.
    pub fn close(&mut self) {}
}
