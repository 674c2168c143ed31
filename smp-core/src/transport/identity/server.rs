//! What a server needs to be somebody: its chain and the key of its leaf, checked against each other.

use bytes::Bytes;
use core::fmt;
use std::sync::Arc;

use super::certificate::{CertificateError, Parsed, fingerprint, identity_certificate};
use super::chain::{ChainError, verify_server_chain};
use super::{IdentityKey, KeyError, PemError, certificates_from_pem};
use crate::UnixTime;

/// The files that make up an identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The certificate shown in TLS (`server.crt`).
    Certificate,
    /// The identity certificate (`ca.crt`).
    Authority,
    /// The key of the certificate (`server.key`).
    Key,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "server certificate",
            Self::Authority => "CA certificate",
            Self::Key => "server key",
        })
    }
}

/// Why an identity cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file is not UTF-8 text.
    #[error("{0}: not a text file")]
    NotText(Part),
    /// A certificate file cannot be read.
    #[error("{0}: {1}")]
    Pem(Part, PemError),
    /// The key file cannot be read.
    #[error("server key: {0}")]
    Key(KeyError),
    /// A certificate is malformed or has a key that SMP does not know.
    #[error("{0}: {1}")]
    Certificate(Part, CertificateError),
    /// The key is not the one of the certificate.
    #[error("the server key does not belong to the server certificate")]
    KeyMismatch,
    /// The server certificate was not signed by the CA, or one of the two is out of date.
    #[error("the certificates do not form a chain: {0}")]
    Chain(ChainError),
}

/// A server's certificates and key. Cheap to clone.
#[derive(Clone)]
pub struct ServerIdentity {
    chain: Arc<[Bytes]>,
    key: Arc<IdentityKey>,
    fingerprint: [u8; 32],
}

impl ServerIdentity {
    /// Joins a chain (leaf first, 2 to 4 certificates) and the key of the leaf.
    ///
    /// # Errors
    /// When they do not fit, or are not valid at the time `now`.
    pub fn new(chain: Vec<Bytes>, key: IdentityKey, now: UnixTime) -> Result<Self, IdentityError> {
        let identity = identity_certificate(&chain).map_err(|error| IdentityError::Chain(error.into()))?;
        let fingerprint = fingerprint(identity);
        for (position, certificate) in chain.iter().enumerate() {
            let part = if position == 0 { Part::Certificate } else { Part::Authority };
            let certificate =
                Parsed::new(certificate).map_err(|error| IdentityError::Certificate(part, error))?;
            let certified = certificate.key().map_err(|error| IdentityError::Certificate(part, error))?;
            if position == 0 && certified != key.public_key() {
                return Err(IdentityError::KeyMismatch);
            }
        }
        verify_server_chain(&chain, &fingerprint, now).map_err(IdentityError::Chain)?;
        Ok(Self { chain: chain.into(), key: Arc::new(key), fingerprint })
    }

    /// Reads the files that SMP servers keep: `server.crt`, `ca.crt` and `server.key`.
    ///
    /// `server.crt` may already hold the whole chain; certificates of `ca.crt` that are in it are not repeated.
    ///
    /// # Errors
    /// Says which file is wrong and how.
    pub fn from_pem(
        certificate: &[u8],
        authority: &[u8],
        key: &[u8],
        now: UnixTime,
    ) -> Result<Self, IdentityError> {
        let mut chain = read_certificates(Part::Certificate, certificate)?;
        for authority in read_certificates(Part::Authority, authority)? {
            if !chain.contains(&authority) {
                chain.push(authority);
            }
        }
        let key = core::str::from_utf8(key).map_err(|_| IdentityError::NotText(Part::Key))?;
        Self::new(chain, IdentityKey::from_pem(key).map_err(IdentityError::Key)?, now)
    }

    /// Leaf first.
    #[must_use]
    pub fn chain(&self) -> &[Bytes] {
        &self.chain
    }

    /// The key of the leaf.
    #[must_use]
    pub const fn key(&self) -> &Arc<IdentityKey> {
        &self.key
    }

    /// The SHA-256 of the identity certificate, which the server's address carries.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerIdentity({} certificates, {:?})", self.chain.len(), self.key)
    }
}

fn read_certificates(part: Part, file: &[u8]) -> Result<Vec<Bytes>, IdentityError> {
    let text = core::str::from_utf8(file).map_err(|_| IdentityError::NotText(part))?;
    certificates_from_pem(text).map_err(|error| IdentityError::Pem(part, error))
}
