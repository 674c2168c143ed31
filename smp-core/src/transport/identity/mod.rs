//! Who a peer is: certificates, the keys behind them, and the rules of a chain.
//!
//! A server is named by the SHA-256 of its *identity certificate*, a certificate authority of its own that signs the
//! certificate it shows in TLS. An address carries this fingerprint, so that no public authority has a say in it.
//! A service (a client that acts for many queues) has such a certificate too, or a single self-signed one.
//!
//! Everything here works on bytes; files are the business of the program.

mod certificate;
mod chain;
mod issue;
mod key;
mod pem;
mod server;

pub use certificate::{CertificateError, fingerprint, identity_certificate, leaf_key};
pub use chain::{ChainError, verify_client_chain, verify_server_chain};
#[cfg(feature = "tls")]
pub(in crate::transport) use chain::{ED448, ED25519, tls_certificates};
pub use issue::{Authority, IssueError, Issued, Subject, self_signed_client};
pub(in crate::transport) use key::raw_signature;
pub use key::{Algorithm, IdentityKey, KeyError, verify};
pub use pem::{PemError, certificates_from_pem, certificates_to_pem, fingerprint_text};
pub use server::{IdentityError, Part, ServerIdentity};

#[cfg(test)]
mod tests;
