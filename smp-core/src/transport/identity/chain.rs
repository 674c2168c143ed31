//! The rules of a certificate chain: dates, signatures, who may sign, and the pinned identity.

use bytes::Bytes;
use core::time::Duration;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    UnixTime as PkiTime,
};
use subtle::ConstantTimeEq;
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath, anchor_from_trusted_cert,
};

use super::certificate::{CertificateError, Parsed, fingerprint, identity_certificate};
use super::verify;
use crate::UnixTime;
use crate::wire::AuthPublicKey;

/// Why a chain was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A certificate cannot be read, or the chain has the wrong length.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The identity certificate is not the one that the address names: the peer is somebody else.
    #[error("the identity certificate is not the expected one")]
    Identity,
    /// A certificate's last day has passed.
    #[error("a certificate has expired")]
    Expired,
    /// A certificate's first day has not come.
    #[error("a certificate is not valid yet")]
    NotYetValid,
    /// A signature does not match.
    #[error("a signature of the chain is wrong")]
    Signature,
    /// The certificates do not sign each other in their order, or one signs that must not.
    #[error("the certificates are not a chain")]
    Structure,
}

/// Checks a server's chain (leaf first, 2 to 4 certificates) and that its identity is `expected`.
///
/// The host name is not looked at: the fingerprint is the name.
///
/// # Errors
/// When the server is somebody else, or the chain is not in order at the time `now`.
pub fn verify_server_chain(chain: &[Bytes], expected: &[u8; 32], now: UnixTime) -> Result<(), ChainError> {
    if chain.len() < 2 {
        return Err(CertificateError::ChainLength(chain.len()).into());
    }
    let identity = fingerprint(identity_certificate(chain)?);
    if !bool::from(identity.ct_eq(expected)) {
        return Err(ChainError::Identity);
    }
    verify_chain(chain, now)
}

/// Checks the chain of a service client: a single self-signed certificate, or 2 to 4 as a server's. Returns the
/// fingerprint of its identity, by which the server knows the service.
///
/// # Errors
/// When the chain is not in order at the time `now`.
pub fn verify_client_chain(chain: &[Bytes], now: UnixTime) -> Result<[u8; 32], ChainError> {
    let identity = fingerprint(identity_certificate(chain)?);
    match chain {
        [only] => verify_self_signed(only, now)?,
        _ => verify_chain(chain, now)?,
    }
    Ok(identity)
}

/// Checks that each certificate is signed by the next, in the order given.
///
/// The order matters: with `[leaf, identity, root]` a path from the leaf straight to the root would make the pinned
/// certificate a bystander, and anybody can own a root.
fn verify_chain(chain: &[Bytes], now: UnixTime) -> Result<(), ChainError> {
    for certificate in chain {
        let certificate = Parsed::new(certificate)?;
        verify_dates(&certificate, now)?;
        certificate.key()?;
    }
    let chain = tls_certificates(chain);
    let [leaf, authorities @ ..] = chain.as_slice() else { return Err(ChainError::Structure) };
    let [intermediates @ .., root] = authorities else { return Err(ChainError::Structure) };
    let leaf = EndEntityCert::try_from(leaf).map_err(ChainError::of)?;
    let anchors = [anchor_from_trusted_cert(root).map_err(ChainError::of)?];
    let in_order = |path: &VerifiedPath<'_>| {
        let used = path.intermediate_certificates().map(|certificate| certificate.der());
        let in_order = used.eq(intermediates.iter().cloned());
        if in_order { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
    };
    leaf.verify_for_usage(
        &[&ED25519, &ED448],
        &anchors,
        intermediates,
        PkiTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_secs()).unwrap_or(0))),
        AnyUsage,
        None,
        Some(&in_order),
    )
    .map_err(ChainError::of)?;
    Ok(())
}

/// webpki knows no self-signed end entities, and `openssl req -x509` marks them as authorities. All that matters of
/// one is that its owner has the key.
fn verify_self_signed(certificate: &[u8], now: UnixTime) -> Result<(), ChainError> {
    let certificate = Parsed::new(certificate)?;
    verify_dates(&certificate, now)?;
    if certificate.is_signed_by(&certificate.key()?) { Ok(()) } else { Err(ChainError::Signature) }
}

pub(super) fn verify_dates(certificate: &Parsed, now: UnixTime) -> Result<(), ChainError> {
    let (first, last) = certificate.validity();
    if now < first {
        Err(ChainError::NotYetValid)
    } else if now > last {
        Err(ChainError::Expired)
    } else {
        Ok(())
    }
}

/// The chain in the type that webpki and rustls take.
pub(in crate::transport) fn tls_certificates(chain: &[Bytes]) -> Vec<CertificateDer<'_>> {
    chain.iter().map(|certificate| CertificateDer::from(certificate.as_ref())).collect()
}

impl ChainError {
    /// Not `From`: what checks the chain is no part of the interface.
    fn of(error: webpki::Error) -> Self {
        match error {
            webpki::Error::CertExpired { .. } => Self::Expired,
            webpki::Error::CertNotValidYet { .. } => Self::NotYetValid,
            webpki::Error::InvalidSignatureForPublicKey => Self::Signature,
            webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
                Self::Certificate(CertificateError::Malformed)
            }
            _ => Self::Structure,
        }
    }
}

/// Peers do not agree on the extended key usages of these certificates, so none is asked for.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Ed25519 for webpki and rustls.
pub(in crate::transport) const ED25519: Verification = Verification {
    oid: &[0x06, 0x03, 0x2b, 0x65, 0x70],
    key: |raw| raw.try_into().ok().map(AuthPublicKey::Ed25519),
};

/// Ed448 for webpki and rustls.
pub(in crate::transport) const ED448: Verification = Verification {
    oid: &[0x06, 0x03, 0x2b, 0x65, 0x71],
    key: |raw| raw.try_into().ok().map(AuthPublicKey::Ed448),
};

/// A signature algorithm whose key and signature have the same identifier (RFC 8410), as DER without the SEQUENCE.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport) struct Verification {
    oid: &'static [u8],
    key: fn(&[u8]) -> Option<AuthPublicKey>,
}

impl SignatureVerificationAlgorithm for Verification {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = (self.key)(key).ok_or(InvalidSignature)?;
        if verify(&key, message, signature) { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::from_slice(self.oid)
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::from_slice(self.oid)
    }
}
