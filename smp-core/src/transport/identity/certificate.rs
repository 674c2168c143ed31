//! What SMP reads in a certificate: its dates, its key, and which of a chain is the identity.

use bytes::Bytes;
use der::{Decode, Encode};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::time::Time;

use crate::UnixTime;
use crate::wire::AuthPublicKey;

/// Why bytes are not a certificate that SMP can use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not an X.509 certificate in DER.
    #[error("not an X.509 certificate")]
    Malformed,
    /// The certificate's key is neither Ed25519 nor Ed448.
    #[error("the key of the certificate is neither Ed25519 nor Ed448")]
    Algorithm,
    /// A chain has no place for an identity: it is empty or longer than four certificates.
    #[error("a chain of {0} certificates")]
    ChainLength(usize),
}

/// The SHA-256 of a certificate: what an address says of the identity certificate, the "key hash".
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Which certificate of a chain (leaf first) is the identity: of one the only one, of two to four the second.
///
/// The forms are `[leaf]` (services only), `[leaf, identity]`, `[leaf, identity, root]` and
/// `[leaf, identity, other, root]`; the identity always signs the leaf.
///
/// # Errors
/// For another number of certificates.
pub fn identity_certificate<C>(chain: &[C]) -> Result<&C, CertificateError> {
    match chain {
        [only] => Ok(only),
        [_, identity] | [_, identity, _] | [_, identity, _, _] => Ok(identity),
        _ => Err(CertificateError::ChainLength(chain.len())),
    }
}

/// The key of the first certificate, which signs for the peer.
///
/// # Errors
/// For an empty chain, a malformed certificate or a key of another algorithm.
pub fn leaf_key(chain: &[Bytes]) -> Result<AuthPublicKey, CertificateError> {
    let leaf = chain.first().ok_or(CertificateError::ChainLength(0))?;
    Parsed::new(leaf)?.key()
}

/// A certificate that was read.
pub(super) struct Parsed(Certificate);

impl Parsed {
    /// Reads DER, all of it.
    pub(super) fn new(der: &[u8]) -> Result<Self, CertificateError> {
        Certificate::from_der(der).map(Self).map_err(|_| CertificateError::Malformed)
    }

    /// The key that the certificate is about.
    pub(super) fn key(&self) -> Result<AuthPublicKey, CertificateError> {
        let info = self.0.tbs_certificate().subject_public_key_info();
        let der = info.to_der().map_err(|_| CertificateError::Malformed)?;
        match AuthPublicKey::from_der(&der) {
            Ok(key @ (AuthPublicKey::Ed25519(_) | AuthPublicKey::Ed448(_))) => Ok(key),
            Ok(AuthPublicKey::X25519(_)) | Err(_) => Err(CertificateError::Algorithm),
        }
    }

    /// The first and the last moment of validity.
    pub(super) fn validity(&self) -> (UnixTime, UnixTime) {
        let validity = self.0.tbs_certificate().validity();
        (unix_time(validity.not_before), unix_time(validity.not_after))
    }

    /// Who signed the certificate, in DER.
    pub(super) const fn certificate(&self) -> &Certificate {
        &self.0
    }

    /// Whether the certificate was signed with `key`.
    pub(super) fn is_signed_by(&self, key: &AuthPublicKey) -> bool {
        let Ok(signed) = self.0.tbs_certificate().to_der() else { return false };
        self.0.signature().as_bytes().is_some_and(|signature| super::verify(key, &signed, signature))
    }
}

fn unix_time(time: Time) -> UnixTime {
    UnixTime::from_secs(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}
