//! What a server listens on, and what it serves there.

use std::fmt;
use std::net::SocketAddr;

use smp_core::transport::ServerTransportConfig;

use crate::http::{Handler, WebTls};

/// An address to listen on and what is served there.
///
/// ```
/// # use std::net::SocketAddr;
/// # use smp_runtime::server::Endpoint;
/// let address: SocketAddr = "127.0.0.1:5223".parse()?;
/// let endpoints = [Endpoint::smp(address), Endpoint::smp("127.0.0.1:5224".parse()?).behind_proxy()];
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) behind_proxy: bool,
    pub(crate) service: Service,
}

/// What is served.
#[derive(Clone)]
pub(crate) enum Service {
    /// SMP, with the server's transport or another one.
    Smp(Option<ServerTransportConfig>),
    /// SMP for who names no server in TLS, the web for who does.
    Shared(WebTls, Handler),
    /// The web.
    Web(Option<WebTls>, Handler),
}

impl Endpoint {
    /// SMP.
    #[must_use]
    pub const fn smp(address: SocketAddr) -> Self {
        Self::new(address, Service::Smp(None))
    }

    /// SMP with another transport than the server's, such as WebSocket. It should have the same identity.
    #[must_use]
    pub const fn smp_over(address: SocketAddr, transport: ServerTransportConfig) -> Self {
        Self::new(address, Service::Smp(Some(transport)))
    }

    /// SMP and HTTPS on one port, told apart by the name of the server in the ClientHello (SNI, RFC 6066 section 3):
    /// browsers send it, SMP clients do not. Each gets its own certificate.
    #[must_use]
    pub const fn shared(address: SocketAddr, tls: WebTls, handler: Handler) -> Self {
        Self::new(address, Service::Shared(tls, handler))
    }

    /// Plain HTTP. For what only the operator may see, the address is one of this machine.
    #[must_use]
    pub const fn web(address: SocketAddr, handler: Handler) -> Self {
        Self::new(address, Service::Web(None, handler))
    }

    /// HTTPS.
    #[must_use]
    pub const fn web_tls(address: SocketAddr, tls: WebTls, handler: Handler) -> Self {
        Self::new(address, Service::Web(Some(tls), handler))
    }

    /// All connections come through a proxy that begins each with a header of the PROXY protocol, version 1 or 2, which
    /// tells the address of the client: that is what the limits for an address count. Without it a connection is closed.
    ///
    /// Only the proxy may reach the address then: the header is believed.
    #[must_use]
    pub const fn behind_proxy(mut self) -> Self {
        self.behind_proxy = true;
        self
    }

    const fn new(address: SocketAddr, service: Service) -> Self {
        Self { address, behind_proxy: false, service }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::smp(address)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = match self.service {
            Service::Smp(_) => "SMP",
            Service::Shared(..) => "SMP and HTTPS",
            Service::Web(None, _) => "HTTP",
            Service::Web(Some(_), _) => "HTTPS",
        };
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .field("behind_proxy", &self.behind_proxy)
            .field("service", &service)
            .finish()
    }
}
