//! Connecting.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smp_core::SeededEntropy;
use smp_core::client::{Client as Machine, ClientLimits};
use smp_core::transport::tls::{Alpn, TlsConfigError};
use smp_core::transport::{ClientOptions, ClientTransportConfig, Transport};
use smp_core::wire::{Host, ServerAddress};

use super::driver::Driver;
use super::shared::Shared;
use super::{Client, Disconnect, EventLimits, Events};
use crate::seed::Seeds;
use crate::timer::Timer;
use crate::{Runtime, panic};

/// Makes connections to servers. Clones share its source of randomness.
#[derive(Clone)]
pub struct Connector<R> {
    pub(super) runtime: R,
    options: ClientOptions,
    limits: ClientLimits,
    connect: ConnectLimits,
    web_port: bool,
    pub(super) seeds: Arc<Seeds>,
}

/// How long connecting and closing may take, and what may wait for the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
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
    /// All hosts of the server are onion names, which are reached through Tor only.
    #[error("the server is reached through Tor only")]
    OnionOnly,
    /// Resolving the name or connecting failed.
    #[error("cannot connect: {0}")]
    Io(io::ErrorKind),
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
            seeds: Arc::new(Seeds::System),
        }
    }

    /// Other options of the handshakes: versions, keys, a service's identity.
    #[must_use]
    pub fn options(mut self, options: ClientOptions) -> Self {
        self.options = options;
        self
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

    /// Derives all randomness from `seed`, so that a simulated run can be repeated. Never use a fixed seed
    /// for people: who knows it knows every key.
    #[must_use]
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seeds = Arc::new(Seeds::fixed(seed));
        self
    }

    /// Connects to a server, trying its hosts in their order, and shakes hands with it. Onion names are left
    /// out: they must not be given to the name service.
    ///
    /// Dropping the future leaves no connection behind.
    ///
    /// # Errors
    /// When no host leads to the server.
    pub async fn connect(&self, server: &ServerAddress) -> Result<(Client, Events), ConnectError> {
        let config = self.config(server)?;
        let mut failure = ConnectError::OnionOnly;
        for host in server.hosts() {
            let Some(host) = reachable(host) else { continue };
            match self.connect_to(&host, self.port(server), config.clone()).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn connect_to(
        &self,
        host: &str,
        port: u16,
        config: ClientTransportConfig,
    ) -> Result<(Client, Events), ConnectError> {
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
                self.spawn(driver.run());
                Ok((Client::new(Arc::clone(&shared), version), Events(shared)))
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
        let mut failure = ConnectError::OnionOnly;
        for host in server.hosts().iter().filter_map(reachable) {
            match self.open(&host, self.port(server)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn open(&self, host: &str, port: u16) -> Result<R::Stream, ConnectError> {
        let stream = self.runtime.connect(host, port);
        let stream = self.within(self.connect.tcp, stream).await.ok_or(ConnectError::Timeout)?;
        stream.map_err(|error| ConnectError::Io(error.kind()))
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

    /// The output of a future, if it has one in time.
    async fn within<F: Future>(&self, time: Duration, future: F) -> Option<F::Output> {
        let deadline = self.runtime.now().mono + time;
        let mut timer = Timer::new(self.runtime.clone());
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => timer.poll(cx, Some(deadline)).map(|()| None),
        })
        .await
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(async move {
            if panic::catch(task).await.is_err() {
                log::error!("the task of a connection panicked");
            }
        });
    }
}

/// What to connect to, unless it takes Tor.
fn reachable(host: &Host) -> Option<String> {
    match host {
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(address.to_string()),
        Host::Domain(name) => Some(name.as_str().to_owned()),
        Host::Onion(_) => None,
    }
}

/// Where SMP servers listen.
const DEFAULT_PORT: u16 = 5223;
/// Where the web is. Only its application protocol is offered there, so that a connection looks like one to a web site.
const WEB_PORT: u16 = 443;
