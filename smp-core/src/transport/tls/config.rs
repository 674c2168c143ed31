//! What is decided before any connection exists: identities, protocols, whom to trust.

use std::sync::Arc;

use bytes::Bytes;
use core::fmt;
use rustls::client::Resumption;
use rustls::compress::CompressionCache;
use rustls::server::{NoClientAuth, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use super::super::identity::{IdentityKey, ServerIdentity};
use super::provider::{LentTime, provider};
use super::signer::{Shown, certified_key};
use super::verifier::{Pinned, Services};

/// The configuration was refused by rustls, which happens only when it cannot provide TLS 1.3 as this crate asks.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("TLS configuration: {0}")]
pub struct TlsConfigError(String);

/// The names of application protocols (RFC 7301), by preference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alpn(Vec<Vec<u8>>);

impl Alpn {
    /// No extension: such a client gets version 6 only.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// `smp/1`, what clients offer.
    #[must_use]
    pub fn smp() -> Self {
        Self::new(["smp/1"])
    }

    /// `http/1.1`, what clients offer on port 443 so as not to stand out.
    #[must_use]
    pub fn web() -> Self {
        Self::new(["http/1.1"])
    }

    /// `smp/1`, `h2` and `http/1.1`, what servers accept. Which of them was chosen makes no difference to SMP.
    #[must_use]
    pub fn server() -> Self {
        Self::new(["smp/1", "h2", "http/1.1"])
    }

    /// `smp/1` and `http/1.1`, what servers accept for WebSockets, which are not there in `h2`.
    #[must_use]
    pub fn web_socket() -> Self {
        Self::new(["smp/1", "http/1.1"])
    }

    /// Other protocols.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(|name| name.as_bytes().to_vec()).collect())
    }
}

/// How a server does TLS. Cheap to clone, shared by its connections.
#[derive(Clone)]
pub struct ServerTls(pub(super) Arc<ServerConfig>);

impl ServerTls {
    /// A server that shows `identity`, accepts `alpn`, and asks clients for a certificate if it `accepts_services`
    /// (which they may leave out).
    ///
    /// # Errors
    /// When rustls refuses the configuration.
    pub fn new(
        identity: &ServerIdentity,
        alpn: Alpn,
        accepts_services: bool,
    ) -> Result<Self, TlsConfigError> {
        let builder = ServerConfig::builder_with_details(provider(), Arc::new(LentTime))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsConfigError(error.to_string()))?;
        let builder = if accepts_services {
            builder.with_client_cert_verifier(Arc::new(Services))
        } else {
            builder.with_client_cert_verifier(Arc::new(NoClientAuth))
        };
        let certified = certified_key(identity.chain(), identity.key().clone());
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = alpn.0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.cert_compressors.clear();
        config.cert_compression_cache = Arc::new(CompressionCache::Disabled);
        config.cert_decompressors.clear();
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// How a client does TLS with one server. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls(pub(super) Arc<ClientConfig>);

impl ClientTls {
    /// A client of the server whose identity certificate has the SHA-256 `fingerprint`, which shows `certificate` (a
    /// chain, leaf first, and the leaf's key) if the server asks for one.
    ///
    /// # Errors
    /// When rustls refuses the configuration.
    pub fn new(
        fingerprint: [u8; 32],
        alpn: Alpn,
        certificate: Option<(&[Bytes], Arc<IdentityKey>)>,
    ) -> Result<Self, TlsConfigError> {
        let builder = ClientConfig::builder_with_details(provider(), Arc::new(LentTime))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsConfigError(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned(fingerprint)));
        let mut config = match certificate {
            Some((chain, key)) => builder.with_client_cert_resolver(Arc::new(Shown::new(chain, key))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.0;
        config.resumption = Resumption::disabled();
        config.send_ticket_request = None;
        config.enable_sni = false;
        config.cert_compressors.clear();
        config.cert_compression_cache = Arc::new(CompressionCache::Disabled);
        config.cert_decompressors.clear();
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}
