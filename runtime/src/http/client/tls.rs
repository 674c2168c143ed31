//! TLS of a client of the web: whom it trusts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::Runtime;

/// The certificate authorities whose certificates a client of the web accepts. Cheap to clone.
#[derive(Clone)]
pub struct Roots(Arc<RootCertStore>);

/// There is nobody to trust.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The system has no usable certificates of authorities where programs look for them.
    #[error(
        "this system has no certificates of authorities; install them (ca-certificates) or set SSL_CERT_FILE"
    )]
    System,
    /// The text has no usable certificate.
    #[error("holds no certificates of authorities in PEM")]
    Pem,
}

impl Roots {
    /// Those that this system trusts, or those in the file that the environment variable `SSL_CERT_FILE` names. Reads
    /// files.
    ///
    /// # Errors
    /// When there is none.
    pub fn system() -> Result<Self, RootsError> {
        Self::of(rustls_native_certs::load_native_certs().certs, RootsError::System)
    }

    /// Those in a PEM text, and no others.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_pem(text: &[u8]) -> Result<Self, RootsError> {
        let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>();
        Self::of(certificates.map_err(|_| RootsError::Pem)?, RootsError::Pem)
    }

    fn of(certificates: Vec<CertificateDer<'static>>, none: RootsError) -> Result<Self, RootsError> {
        let mut roots = RootCertStore::empty();
        let (added, _unusable) = roots.add_parsable_certificates(certificates);
        if added == 0 { Err(none) } else { Ok(Self(Arc::new(roots))) }
    }

    /// TLS 1.2 and 1.3 with the suites of the web, for HTTP/1.1, by the clock of a runtime.
    pub(crate) fn config<R: Runtime>(&self, runtime: R) -> Result<Arc<ClientConfig>, rustls::Error> {
        let provider = Arc::new(default_provider());
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(Clock(runtime)))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}

/// The time by which certificates are valid.
struct Clock<R>(R);

impl<R: Runtime> TimeProvider for Clock<R> {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.0.now().unix.as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

impl<R> fmt::Debug for Clock<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_to_trust_is_an_error() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "no PEM", broken, &broken[..40]] {
            assert_eq!(Roots::from_pem(text.as_bytes()).err(), Some(RootsError::Pem), "{text:?}");
        }
    }
}
