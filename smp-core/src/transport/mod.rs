//! From a byte stream to transmissions: TLS, certificates, 16 KiB blocks and the SMP handshake.
//!
//! [`Transport`] is the machine that joins them. It is driven like every machine of this crate: bytes in by
//! [`Transport::receive`], events and bytes out by [`Transport::poll_event`] and [`Transport::poll_transmit`] until both
//! are empty, and time by [`Transport::poll_timeout`] and [`Transport::handle_timeout`].

pub mod block;
mod config;
mod connection;
mod fault;
mod handshake;
pub mod identity;
mod pipe;
#[cfg(test)]
mod testing;
#[cfg(feature = "tls")]
pub mod tls;

pub use config::{
    ClientOptions, ClientTransportConfig, ServerOptions, ServerTransportConfig, ServiceIdentity,
};
pub use connection::{Transport, TransportEvent};
pub use fault::TransportFault;
pub use handshake::{Parameters, ServiceKey, ServiceParameters, ServiceRequest};
pub use pipe::PlainPeer;
