//! TLS of the web site. It has nothing to do with that of SMP but the port.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// How the web site does TLS: versions 1.2 and 1.3 with the suites that browsers have, HTTP/1.1, no resumption. Cheap to
/// clone.
#[derive(Clone)]
pub struct WebTls(pub(crate) Arc<ServerConfig>);

/// Why certificates and a key cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebTlsError {
    /// The certificates are not PEM, or there is none.
    #[error("holds no certificates in PEM")]
    Certificates,
    /// The key is not PEM, or of no known form.
    #[error("holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)")]
    Key,
    /// They do not belong together, or the key is of an algorithm that TLS does not have here.
    #[error("certificate and key cannot be used together: {0}")]
    Mismatch(String),
}

impl WebTls {
    /// The chain in `certificates`, leaf first, and its `key`, both PEM.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, WebTlsError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| WebTlsError::Certificates)?;
        if chain.is_empty() {
            return Err(WebTlsError::Certificates);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| WebTlsError::Key)?;
        let unusable = |error: rustls::Error| WebTlsError::Mismatch(error.to_string());
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for WebTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebTls")
    }
}
