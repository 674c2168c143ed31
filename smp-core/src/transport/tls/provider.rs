//! The cryptography that rustls is given: one suite of ring, and everything ambient replaced.

use std::sync::{Arc, LazyLock};

use rustls::crypto::hmac::Tag;
use rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock};
use rustls::crypto::{
    ActiveKeyExchange, CipherSuiteCommon, CryptoProvider, GetRandomFailed, SecureRandom,
    WebPkiSupportedAlgorithms,
};
use rustls::time_provider::TimeProvider;
use rustls::{Error, SignatureScheme, SupportedCipherSuite, Tls13CipherSuite};
use rustls_pki_types::UnixTime as PkiTime;

use super::super::identity::{ED448, ED25519};
use super::{ambient, key_exchange};

/// The provider of every configuration.
pub(super) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// The signatures that certificates and handshakes may have, in the order in which they are offered.
pub(super) static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[&ED448, &ED25519],
    mapping: &[(SignatureScheme::ED448, &[&ED448]), (SignatureScheme::ED25519, &[&ED25519])],
};

/// The time of the current call; `None` outside of one, which rustls answers with an error.
#[derive(Debug)]
pub(super) struct LentTime;

impl TimeProvider for LentTime {
    fn current_time(&self) -> Option<PkiTime> {
        ambient::time()
    }
}

/// The randomness of the connection whose call this is.
#[derive(Debug)]
struct LentRandom;

impl SecureRandom for LentRandom {
    fn fill(&self, dest: &mut [u8]) -> Result<(), GetRandomFailed> {
        ambient::fill(dest)
    }
}

/// The HKDF of the suite, with an ear on its HMAC: TLS 1.3 uses that for Finished messages and, with resumption,
/// for binders, of which there are none here. rustls has no other way to learn the Finished of a connection.
struct FinishedTap(&'static dyn Hkdf);

impl Hkdf for FinishedTap {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.0.extract_from_zero_ikm(salt)
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        self.0.extract_from_secret(salt, secret)
    }

    fn extract_from_kx_shared_secret(
        &self,
        salt: Option<&[u8]>,
        exchange: Box<dyn ActiveKeyExchange>,
        peer_key: &[u8],
    ) -> Result<Box<dyn HkdfExpander>, Error> {
        self.0.extract_from_kx_shared_secret(salt, exchange, peer_key)
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        self.0.expander_for_okm(okm)
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        let tag = self.0.hmac_sign(key, message);
        ambient::finished(tag.as_ref());
        tag
    }
}

static RING_SUITE: LazyLock<&'static Tls13CipherSuite> =
    LazyLock::new(|| TLS13_CHACHA20_POLY1305_SHA256.tls13().expect("a TLS13 suite is one of TLS 1.3"));

static FINISHED_TAP: LazyLock<FinishedTap> = LazyLock::new(|| FinishedTap(RING_SUITE.hkdf_provider));

static SUITE: LazyLock<Tls13CipherSuite> = LazyLock::new(|| Tls13CipherSuite {
    common: CipherSuiteCommon { ..RING_SUITE.common },
    hkdf_provider: &*FINISHED_TAP,
    aead_alg: RING_SUITE.aead_alg,
    quic: None,
});

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls13(&SUITE)],
        kx_groups: vec![&key_exchange::X25519],
        signature_verification_algorithms: SIGNATURES,
        secure_random: &LentRandom,
        ..rustls::crypto::ring::default_provider()
    })
});
