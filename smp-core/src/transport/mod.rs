//! From a byte stream to transmissions: TLS, certificates, 16 KiB blocks and the SMP handshake.

pub mod identity;
#[cfg(feature = "tls")]
pub mod tls;

mod connection;

pub use connection::{Parameters, Transport, TransportEvent, TransportFault};
