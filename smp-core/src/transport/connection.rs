//! The transport machine: shape only, until the block layer and the handshake land.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::crypto::{X25519PrivateKey, padding};
use crate::time::{Now, Timestamp};
use crate::wire::{DhPublicKey, SessionId, Version};

/// What the handshake agreed on.
pub struct Parameters {
    /// The agreed version.
    pub version: Version,
    /// The session id.
    pub session_id: SessionId,
    /// This side's session key.
    pub session_key: Option<X25519PrivateKey>,
    /// The peer's session key.
    pub peer_key: Option<DhPublicKey>,
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
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the connection broke")]
pub struct TransportFault;

/// The transport machine.
#[derive(Default)]
pub struct Transport {
    parameters: Option<Box<Parameters>>,
    deadline: Option<Timestamp>,
    input: Vec<u8>,
    output: VecDeque<Vec<u8>>,
    events: VecDeque<TransportEvent>,
}

impl Transport {
    /// Both ends of a connection in plain blocks: a stand-in for tests, until the block layer and the handshake land.
    #[cfg(test)]
    pub(crate) fn pair(version: Version, now: Now) -> (Self, Self) {
        let key = X25519PrivateKey::from_bytes(&[5; 32]);
        let [client, server] = [None, Some(key.clone())].map(|session_key| {
            let session_id = SessionId::new(&[7; 32]).expect("32 bytes");
            let peer_key = session_key.is_none().then(|| key.public()).filter(|_| version.0 >= 7);
            let parameters = Some(Box::new(Parameters { version, session_id, session_key, peer_key }));
            let deadline = Some(now.mono + core::time::Duration::from_secs(30));
            let mut end = Self { parameters, deadline, ..Self::default() };
            end.send_block(b"hello");
            end
        });
        (client, server)
    }

    /// Bytes from the socket.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn receive(&mut self, _now: Now, bytes: &[u8]) -> Result<(), TransportFault> {
        self.input.extend_from_slice(bytes);
        while self.input.len() >= 16384 {
            let block: Vec<u8> = self.input.drain(..16384).collect();
            let event = match padding::unpad(&block) {
                Ok(content) => TransportEvent::Block(Bytes::copy_from_slice(content)),
                Err(_) => TransportEvent::BadBlock,
            };
            self.deadline = None;
            self.events.push_back(self.parameters.take().map_or(event, TransportEvent::Ready));
        }
        Ok(())
    }
    /// The next event.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }
    /// Sends a block.
    pub fn send_block(&mut self, content: &[u8]) {
        self.output.extend(padding::pad(content, 16384));
    }
    /// Bytes for the socket.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.output.pop_front()
    }
    /// The next deadline.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadline
    }
    /// The deadline came.
    ///
    /// # Errors
    /// When the handshake took too long.
    pub fn handle_timeout(&mut self, _now: Now) -> Result<(), TransportFault> {
        self.deadline = None;
        Err(TransportFault)
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
