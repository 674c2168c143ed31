//! From a byte stream to transmissions: TLS, certificates, 16 KiB blocks and the SMP handshake.
//!
//! [`Transport`] is the machine that joins them. It is driven like every machine of this crate: bytes in by
//! [`Transport::receive`], events and bytes out by [`Transport::poll_event`] and [`Transport::poll_transmit`] until both
//! are empty, and time by [`Transport::poll_timeout`] and [`Transport::handle_timeout`].

//!
//! Two ends in one process:
//!
//! ```
//! # #[cfg(feature = "tls")] {
//! use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
//! use smp_core::transport::{
//!     ClientOptions, ClientTransportConfig, ServerOptions, ServerTransportConfig, Transport, TransportEvent,
//! };
//! use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};
//!
//! let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
//! let mut entropy = SeededEntropy::new([0; 32]);
//! let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now.unix).unwrap();
//! let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
//! let issued = authority.issue(subject, &mut entropy, now.unix).unwrap();
//! let chain = vec![issued.certificate, authority.certificate().clone()];
//! let identity = ServerIdentity::new(chain, issued.key, now.unix).unwrap();
//!
//! let client = ClientTransportConfig::new(*identity.fingerprint(), ClientOptions::default()).unwrap();
//! let server = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
//! let mut client = Transport::client(client, entropy.fork_seed(), now);
//! let mut server = Transport::server(server, entropy.fork_seed(), now);
//! let mut received = None;
//! while received.is_none() {
//!     while let Some(bytes) = client.poll_transmit() {
//!         server.receive(now, &bytes).unwrap();
//!     }
//!     while let Some(bytes) = server.poll_transmit() {
//!         client.receive(now, &bytes).unwrap();
//!     }
//!     while let Some(event) = client.poll_event() {
//!         if let TransportEvent::Ready(parameters) = event {
//!             assert!(parameters.encrypts_blocks);
//!             client.send_block(b"the content of a block");
//!         }
//!     }
//!     while let Some(event) = server.poll_event() {
//!         if let TransportEvent::Block(content) = event {
//!             received = Some(content);
//!         }
//!     }
//! }
//! assert_eq!(received.unwrap(), "the content of a block");
//! # }
//! ```

pub mod block;
mod config;
mod connection;
mod fault;
mod handshake;
pub mod identity;
mod pipe;
#[cfg(feature = "tls")]
#[cfg(test)]
mod testing;
#[cfg(feature = "tls")]
pub mod tls;
pub mod web_socket;

pub use config::{
    ClientOptions, ClientTransportConfig, HANDSHAKE_TIMEOUT, ServerOptions, ServerTransportConfig,
    ServiceIdentity,
};
pub use connection::{Transport, TransportEvent};
pub use fault::TransportFault;
pub use handshake::{Parameters, ServiceKey, ServiceParameters, ServiceRequest, relay_key};
pub use pipe::PlainPeer;
