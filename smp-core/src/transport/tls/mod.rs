//! TLS 1.3 as a pure layer: ciphertext in, ciphertext out, nothing ambient.
//!
//! One suite (ChaCha20-Poly1305 with SHA-256), one group (X25519), Ed25519 and Ed448 certificates, no resumption, no
//! early data, no server name. [rustls](https://docs.rs/rustls) does the protocol through its unbuffered interface, so
//! that an idle connection holds no record buffer. Time and randomness, which rustls would take from the process, are
//! lent to it for the length of each call.

mod ambient;
mod config;
mod fault;
mod key_exchange;
mod provider;
mod signer;
mod stream;
mod verifier;

pub use config::{Alpn, ClientTls, ServerTls, TlsConfigError};
pub use fault::TlsFault;
pub use stream::TlsStream;

#[cfg(test)]
mod tests;
