//! What each end decides before it connects.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;

use super::identity::{IdentityKey, ServerIdentity};
#[cfg(feature = "tls")]
use super::tls::{Alpn, ClientTls, ServerTls, TlsConfigError};
use crate::wire::{ServiceRole, VersionRange};

/// What a server offers to those who connect. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTransportConfig(pub(super) Arc<ServerSide>);

#[derive(Debug)]
pub(super) struct ServerSide {
    pub(super) identity: ServerIdentity,
    pub(super) options: ServerOptions,
    #[cfg(feature = "tls")]
    pub(super) tls: ServerTls,
}

/// The choices of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The versions that it offers to clients that negotiate an application protocol; others get version 6 only.
    pub versions: VersionRange,
    /// The application protocols that it accepts.
    #[cfg(feature = "tls")]
    pub alpn: Alpn,
    /// Whether clients may be services, for which they are asked for a certificate.
    pub accepts_services: bool,
    /// Whether blocks are messages of a WebSocket (RFC 6455) inside TLS, which clients ask for with the path `/`. Those that
    /// negotiate an application protocol for it offer `http/1.1`: see [`Alpn::web_socket`].
    pub web_socket: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            versions: VersionRange::SUPPORTED,
            #[cfg(feature = "tls")]
            alpn: Alpn::server(),
            accepts_services: true,
            web_socket: false,
        }
    }
}

impl ServerTransportConfig {
    /// A server with this identity.
    ///
    /// # Errors
    /// When TLS refuses the configuration.
    #[cfg(feature = "tls")]
    pub fn new(identity: ServerIdentity, options: ServerOptions) -> Result<Self, TlsConfigError> {
        let tls = ServerTls::new(&identity, options.alpn.clone(), options.accepts_services)?;
        Ok(Self(Arc::new(ServerSide { identity, options, tls })))
    }

    /// A server with this identity, without TLS.
    #[cfg(not(feature = "tls"))]
    #[must_use]
    pub fn new(identity: ServerIdentity, options: ServerOptions) -> Self {
        Self(Arc::new(ServerSide { identity, options }))
    }
}

impl ServerTransportConfig {
    /// The versions that the server offers.
    #[must_use]
    pub fn versions(&self) -> VersionRange {
        self.0.options.versions
    }
}

/// How a client connects to one server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTransportConfig(pub(super) Arc<ClientSide>);

#[derive(Debug)]
pub(super) struct ClientSide {
    pub(super) key_hash: [u8; 32],
    pub(super) options: ClientOptions,
    #[cfg(feature = "tls")]
    pub(super) tls: ClientTls,
}

/// The choices of a client.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The versions that it speaks.
    pub versions: VersionRange,
    /// The application protocols that it offers.
    #[cfg(feature = "tls")]
    pub alpn: Alpn,
    /// Whether it sends a session key. Without one blocks are not encrypted, whatever the version.
    pub sends_key: bool,
    /// True for a server that forwards for others: blocks are not encrypted, because what they carry is.
    pub proxy_server: bool,
    /// The service that it is.
    pub service: Option<ServiceIdentity>,
    /// How long TLS and SMP handshake may take together. Default: [`HANDSHAKE_TIMEOUT`].
    pub handshake_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            versions: VersionRange::SUPPORTED,
            #[cfg(feature = "tls")]
            alpn: Alpn::smp(),
            sends_key: true,
            proxy_server: false,
            service: None,
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }
}

impl ClientTransportConfig {
    /// A client of the server whose identity certificate has the SHA-256 `key_hash`.
    ///
    /// # Errors
    /// When TLS refuses the configuration.
    #[cfg(feature = "tls")]
    pub fn new(key_hash: [u8; 32], options: ClientOptions) -> Result<Self, TlsConfigError> {
        let certificate = options.service.as_ref().map(|service| (&service.chain[..], service.key.clone()));
        let tls = ClientTls::new(key_hash, options.alpn.clone(), certificate)?;
        Ok(Self(Arc::new(ClientSide { key_hash, options, tls })))
    }

    /// A client of the server whose identity certificate has the SHA-256 `key_hash`, without TLS.
    #[cfg(not(feature = "tls"))]
    #[must_use]
    pub fn new(key_hash: [u8; 32], options: ClientOptions) -> Self {
        Self(Arc::new(ClientSide { key_hash, options }))
    }
}

/// A client that acts for many queues, known to servers by its certificate.
#[derive(Clone)]
pub struct ServiceIdentity {
    /// What it does.
    pub role: ServiceRole,
    /// Its certificates, leaf first: one self-signed, or two to four as a server's.
    pub chain: Arc<[Bytes]>,
    /// The key of the leaf.
    pub key: Arc<IdentityKey>,
}

impl fmt::Debug for ServiceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceIdentity").field("role", &self.role).finish_non_exhaustive()
    }
}

/// How long TLS and SMP handshake may take together, if nobody says otherwise: 10 seconds.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
