//! Signs handshakes with the key of a certificate.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::SubjectPublicKeyInfoDer;

use super::super::identity::{Algorithm, IdentityKey, tls_certificates};

/// A chain and its key in the form that rustls serves.
pub(super) fn certified_key(chain: &[Bytes], key: Arc<IdentityKey>) -> CertifiedKey {
    let chain = tls_certificates(chain).into_iter().map(|certificate| certificate.into_owned()).collect();
    CertifiedKey::new(chain, Arc::new(HandshakeKey(key)))
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
        Ok(self.0.sign(message))
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
