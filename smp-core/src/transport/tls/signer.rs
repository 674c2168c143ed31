//! Signs handshakes with the key of a certificate.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rustls::client::ResolvesClientCert;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::SubjectPublicKeyInfoDer;

use super::super::identity::{Algorithm, IdentityKey, raw_signature, tls_certificates};
use super::ambient;

/// A chain and its key in the form that rustls serves.
pub(super) fn certified_key(chain: &[Bytes], key: Arc<IdentityKey>) -> CertifiedKey {
    let chain = tls_certificates(chain).into_iter().map(|certificate| certificate.into_owned()).collect();
    CertifiedKey::new(chain, Arc::new(HandshakeKey(key)))
}

/// Shows a client's certificate to a server that asks, and takes note of it.
#[derive(Debug)]
pub(super) struct Shown(Arc<CertifiedKey>);

impl Shown {
    pub(super) fn new(chain: &[Bytes], key: Arc<IdentityKey>) -> Self {
        Self(Arc::new(certified_key(chain, key)))
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes)?;
        ambient::certificate_shown();
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Clone)]
struct HandshakeKey(Arc<IdentityKey>);

impl HandshakeKey {
    fn only_scheme(&self) -> SignatureScheme {
        match self.0.algorithm() {
            Algorithm::Ed25519 => SignatureScheme::ED25519,
            Algorithm::Ed448 => SignatureScheme::ED448,
        }
    }
}

impl SigningKey for HandshakeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.only_scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.0.public_key().to_der()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.algorithm() {
            Algorithm::Ed25519 => SignatureAlgorithm::ED25519,
            Algorithm::Ed448 => SignatureAlgorithm::ED448,
        }
    }
}

impl Signer for HandshakeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(raw_signature(&self.0.sign(message)).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        self.only_scheme()
    }
}

impl fmt::Debug for HandshakeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
