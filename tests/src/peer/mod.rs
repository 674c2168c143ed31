//! A client of raw bytes: blocking sockets, and a hand on everything that it sends.
//!
//! It shares the codecs, the keys and the TLS layer with the server under test, and nothing above them: no client
//! machine, no block layer, no timers. So it can say what a well-behaved client never says.

mod clock;
mod handshake;
mod keys;
mod link;
mod queue;
mod received;
mod routing;
mod session;

pub use clock::{GUARD, now, wait_until};
pub use handshake::{Form, Greeting, Service};
pub use keys::{Kind, bytes, dh_key, entropy, key};
pub use link::{Ended, Link};
pub use queue::{Creation, Message, Queue};
pub use received::Received;
pub use routing::{Forwarded, Relay};
pub use session::{Auth, Peer, Request, ServiceSession};

use std::net::SocketAddr;

/// Where a server is and who it must be.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// Its socket.
    pub socket: SocketAddr,
    /// The SHA-256 of its identity certificate.
    pub fingerprint: [u8; 32],
}
