//! Connecting.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use smp_core::SeededEntropy;
use smp_core::client::{Client as Machine, ClientLimits};
use smp_core::server::proxy::RelayParameters;
use smp_core::transport::tls::{Alpn, TlsConfigError};
use smp_core::transport::{ClientOptions, ClientTransportConfig, ServiceIdentity, Transport};
use smp_core::wire::{Host, ServerAddress};

use super::dial::Dialing;
use super::driver::Driver;
use super::shared::Shared;
use super::{Client, Disconnect, EventLimits, Events, HostMode};
use crate::seed::Seeds;
use crate::timer::within;
use crate::{Runtime, Socks, SocksMode, panic};

/// Makes connections to servers. Clones share its source of randomness.
#[derive(Clone)]
pub struct Connector<R> {
    pub(super) runtime: R,
    options: ClientOptions,
    limits: ClientLimits,
    connect: ConnectLimits,
    web_port: bool,
    dialing: Dialing,
    pub(super) seeds: Arc<Seeds>,
}

/// How long connecting and closing may take, and what may wait for the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectLimits {
    /// Resolving one of the server's names and connecting to one of its addresses. The handshakes after that
    /// have [`ClientOptions::handshake_timeout`]. Default: 15 seconds.
    pub tcp: Duration,
    /// After the end, how long the last output may take, and how long the server has to end its side. Nobody
    /// waits for that. Default: 5 seconds.
    pub closing: Duration,
    /// Events that wait for the caller.
    pub events: EventLimits,
}

impl Default for ConnectLimits {
    fn default() -> Self {
        let (tcp, closing) = (Duration::from_secs(15), Duration::from_secs(5));
        Self { tcp, closing, events: EventLimits::default() }
    }
}

/// Why there is no connection. With several hosts, what happened at the last one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// All hosts of the server that may be used are onion names, which are reached through a SOCKS proxy only.
    #[error("the server is reached through Tor only")]
    OnionOnly,
    /// The server has no host of the kind that is required.
    #[error("the server has no host of the required kind")]
    NoHost,
    /// The address is of no server on the public internet, and others may not be connected to.
    #[error("the server's address is not public")]
    PrivateAddress,
    /// Resolving the name or connecting failed.
    #[error("cannot connect: {0}")]
    Io(io::ErrorKind),
    /// The SOCKS proxy could not be used, or could not connect.
    #[error("SOCKS: {0}")]
    Socks(io::ErrorKind),
    /// Resolving the name or connecting took longer than [`ConnectLimits::tcp`].
    #[error("cannot connect in time")]
    Timeout,
    /// The connection ended before the handshakes were done.
    #[error("handshake: {0}")]
    Handshake(Disconnect),
    /// TLS refused the configuration.
    #[error(transparent)]
    Config(#[from] TlsConfigError),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    NoEntropy,
}

impl<R: Runtime> Connector<R> {
    /// A connector with the default options and limits.
    #[must_use]
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            options: ClientOptions::default(),
            limits: ClientLimits::default(),
            connect: ConnectLimits::default(),
            web_port: false,
            dialing: Dialing::default(),
            seeds: Arc::new(Seeds::System),
        }
    }

    /// Other options of the handshakes: versions, keys, a service's identity.
    #[must_use]
    pub fn options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
    }

    /// The same connector, whose connections are of this service.
    pub(crate) fn as_service(&self, service: ServiceIdentity) -> Self {
        let mut connector = self.clone();
        connector.options.service = Some(service);
        connector
    }

    /// Other limits of the connections.
    #[must_use]
    pub fn limits(mut self, limits: ClientLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Other limits of connecting and of waiting events.
    #[must_use]
    pub fn connect_limits(mut self, limits: ConnectLimits) -> Self {
        self.connect = limits;
        self
    }

    /// Reaches servers whose address names no port where the web is, at 443, so that a network that lets nothing else
    /// through lets SMP through. Default: at 5223.
    #[must_use]
    pub fn web_port(mut self, web_port: bool) -> Self {
        self.web_port = web_port;
        self
    }

    /// Which of a server's hosts come first, and whether those of the other kind are not used at all. Default: in the order
    /// of the address, all of them.
    #[must_use]
    pub fn hosts(mut self, hosts: HostMode, required: bool) -> Self {
        (self.dialing.hosts, self.dialing.required) = (hosts, required);
        self
    }

    /// Connects through a SOCKS proxy, to onion names or to all hosts. Default: through none, and to no onion name.
    #[must_use]
    pub fn socks(mut self, socks: Option<Socks>) -> Self {
        self.dialing.socks = socks;
        self
    }

    /// The same connector, whose connections through a SOCKS proxy share no circuit with those of other keys; see
    /// [`Socks::isolated`].
    #[must_use]
    pub fn isolated(&self, key: &[u8]) -> Self {
        let mut connector = self.clone();
        connector.dialing.socks = connector.dialing.socks.map(|socks| socks.isolated(key));
        connector
    }

    /// Whether servers do not see our address: all of them, and those that have an onion name.
    pub(crate) fn hides_address(&self) -> (bool, bool) {
        let Dialing { socks, hosts, .. } = &self.dialing;
        let is_for_all = socks.as_ref().is_some_and(|socks| socks.mode == SocksMode::Always);
        let prefers_onion = matches!(hosts, HostMode::Onion | HostMode::OnionViaSocks);
        (is_for_all, socks.is_some() && prefers_onion)
    }

    /// Connects to nothing but addresses of the public internet. For programs that connect where strangers tell them to,
    /// as proxies do. Default: no.
    ///
    /// The addresses that names lead to are checked, not the names. What a SOCKS proxy is given a name for is its own
    /// business; Tor refuses private addresses too.
    #[must_use]
    pub fn public_only(mut self, public_only: bool) -> Self {
        self.dialing.public_only = public_only;
        self
    }

    /// Derives all randomness from `seed`, so that a simulated run can be repeated. Never use a fixed seed
    /// for people: who knows it knows every key.
    #[must_use]
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seeds = Arc::new(Seeds::fixed(seed));
        self
    }

    /// Connects to a server, trying its hosts one after another, and shakes hands with it. Without a SOCKS proxy onion names
    /// are left out: they must not be given to the name service.
    ///
    /// Dropping the future leaves no connection behind.
    ///
    /// # Errors
    /// When no host leads to the server.
    pub async fn connect(&self, server: &ServerAddress) -> Result<(Client, Events), ConnectError> {
        self.connect_relay(server).await.map(|connected| (connected.client, connected.events))
    }

    /// Likewise, with what a proxy tells its clients of the session.
    pub(crate) async fn connect_relay(&self, server: &ServerAddress) -> Result<Connected, ConnectError> {
        let config = self.config(server)?;
        let mut failure = ConnectError::NoHost;
        for host in self.dialing.candidates(server)? {
            match self.connect_to(host, self.port(server), config.clone()).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn connect_to(
        &self,
        host: &Host,
        port: u16,
        config: ClientTransportConfig,
    ) -> Result<Connected, ConnectError> {
        let stream = self.open(host, port).await?;
        let mut entropy = self.entropy()?;
        let now = self.runtime.now();
        let transport = Transport::client(config, entropy.fork_seed(), now);
        let machine = Machine::new(self.limits, transport, entropy.fork_seed(), now);
        let shared = Shared::new(self.limits.commands, self.connect.events);
        let (runtime, closing) = (self.runtime.clone(), self.connect.closing);
        let mut driver = Driver::new(runtime, machine, stream, Arc::clone(&shared), closing);
        match driver.connect().await {
            Ok(version) => {
                let (session, service) = (driver.session(), driver.service());
                self.spawn(driver.run());
                let client = Client::new(Arc::clone(&shared), version, service);
                Ok(Connected { client, events: Events(shared), session })
            }
            Err(how) => {
                // The server is told why.
                self.spawn(driver.close());
                Err(ConnectError::Handshake(how))
            }
        }
    }

    /// Opens a TCP connection to the first host that has one. For tests of servers.
    pub(super) async fn open_any(&self, server: &ServerAddress) -> Result<R::Stream, ConnectError> {
        let mut failure = ConnectError::NoHost;
        for host in self.dialing.candidates(server)? {
            match self.open(host, self.port(server)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn open(&self, host: &Host, port: u16) -> Result<R::Stream, ConnectError> {
        let stream = self.dialing.open(&self.runtime, host, port);
        within(&self.runtime, self.connect.tcp, stream).await.unwrap_or(Err(ConnectError::Timeout))
    }

    pub(super) fn config(&self, server: &ServerAddress) -> Result<ClientTransportConfig, ConnectError> {
        let mut options = self.options.clone();
        if self.port(server) == WEB_PORT {
            options.alpn = Alpn::web();
        }
        Ok(ClientTransportConfig::new(*server.key_hash(), options)?)
    }

    fn port(&self, server: &ServerAddress) -> u16 {
        server.port().unwrap_or(if self.web_port { WEB_PORT } else { DEFAULT_PORT })
    }

    pub(super) fn entropy(&self) -> Result<SeededEntropy, ConnectError> {
        self.seeds.next().map(SeededEntropy::new).map_err(|_| ConnectError::NoEntropy)
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(async move {
            if panic::catch(task).await.is_err() {
                log::error!("the task of a connection panicked");
            }
        });
    }
}

/// A connection that stands.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) events: Events,
    /// What a proxy tells its clients; nothing when the connection has ended already.
    pub(crate) session: Option<RelayParameters>,
}

/// Where SMP servers listen.
const DEFAULT_PORT: u16 = 5223;
/// Where the web is. Only its application protocol is offered there, so that a connection looks like one to a web site.
const WEB_PORT: u16 = 443;
