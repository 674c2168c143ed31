//! Which peers rustls accepts: servers with the pinned identity, services with a chain in order.

use bytes::Bytes;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError as TlsCertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime as PkiTime};
use std::sync::Arc;

use super::super::identity::{CertificateError, ChainError, verify_client_chain, verify_server_chain};
use super::provider::SIGNATURES;
use crate::UnixTime;

/// Accepts the server whose identity certificate has this fingerprint.
#[derive(Debug)]
pub(super) struct Pinned(pub(super) [u8; 32]);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: PkiTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_chain(&chain(leaf, others), &self.0, unix_time(now)).map_err(refusal)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &SIGNATURES)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }
}

/// Accepts clients without a certificate, and services with any chain that is in order.
#[derive(Debug)]
pub(super) struct Services;

impl ClientCertVerifier for Services {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: PkiTime,
    ) -> Result<ClientCertVerified, Error> {
        verify_client_chain(&chain(leaf, others), unix_time(now)).map_err(refusal)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &SIGNATURES)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }
}

fn chain(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Vec<Bytes> {
    core::iter::once(leaf).chain(others).map(|certificate| Bytes::copy_from_slice(certificate)).collect()
}

fn unix_time(now: PkiTime) -> UnixTime {
    UnixTime::from_secs(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

/// The rustls error that makes it send the right alert. Only a wrong identity becomes `UnknownIssuer` (alert
/// `unknown_ca`), by which [`super::TlsFault`] knows it again.
fn refusal(error: ChainError) -> Error {
    Error::InvalidCertificate(match error {
        ChainError::Identity => TlsCertificateError::UnknownIssuer,
        ChainError::Expired => TlsCertificateError::Expired,
        ChainError::NotYetValid => TlsCertificateError::NotValidYet,
        ChainError::Signature => TlsCertificateError::BadSignature,
        ChainError::Certificate(CertificateError::Malformed | CertificateError::ChainLength(_)) => {
            TlsCertificateError::BadEncoding
        }
        ChainError::Certificate(CertificateError::Algorithm) | ChainError::Structure => {
            TlsCertificateError::Other(OtherError(Arc::new(error)))
        }
    })
}
