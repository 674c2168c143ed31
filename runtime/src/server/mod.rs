//! Serving SMP, and beside it the web: a task for each connection, one hub with the broker, and a store.
//!
//! ```text
//!   Listener ─▶ accept loop ─▶ Connection (task) ──── requests ───▶ Hub (broker) ── batches ─▶ Backend
//!                               Session, Link    ◀── Mailbox ──────      ▲                        │
//!                               │       ▲                                └──────── replies ───────┘
//!                               └───────┴─ look-ups ─▶ Backend
//! ```
//!
//! What is bounded, and by what:
//!
//! | | bound |
//! |---|---|
//! | connections, in all, of an address, new, without a handshake | [`Limits`], when they are accepted |
//! | connections of the web and what they ask | [`Limits::http_connections`] and the others in [`http`](crate::http) |
//! | what is read before it is known who serves a connection | 8 KiB of a ClientHello, 2 KiB of the header of a proxy, and a read |
//! | output of a connection | its session; [`Limits::queued_output`] stops reading before |
//! | requests, look-ups and replies of a connection | its session: [`Limits::commands_in_flight`] and a block |
//! | deliveries to a connection | its session: [`Limits::deliveries_in_flight`] |
//! | input and output of all connections | [`Limits::queued_bytes`]; above, who holds some is not read |
//! | batches that wait for the store | the requests of all sessions; nobody reads while it is behind |
//! | a peer that says or takes nothing | timers of its session |
//! | the processor | [`Limits::verifications_in_turn`], [`Limits::rounds_in_turn`], [`Limits::accepts_in_turn`] |
//! | names that are resolved | [`ResolverOptions`] |
//! | relays, commands that are forwarded, of a client and to a relay | `relay` limits of [`Limits`] |
//! | the end of a connection | [`Limits::closing_timeout`], [`Limits::closing_input`] |
//! | the end of the server | the grace given to [`ServerHandle::stop`] |

mod accept;
mod admission;
mod alarm;
mod budget;
mod connection;
mod counters;
mod endpoint;
mod event;
mod front;
mod gate;
mod handle;
mod http_resolver;
mod hub;
mod mailbox;
mod phase;
mod proxy_header;
mod relays;
mod resolve;
mod served;
mod tasks;
#[cfg(test)]
mod tests;

pub use counters::{Counters, SocketCounters};
pub use endpoint::Endpoint;
pub use event::{Disconnect, Refusal, ServerEvent};
pub use handle::{ServerHandle, Stopped};
pub use http_resolver::{HttpResolver, ResolverError, ResolverFailure, ResolverOptions};
pub use resolve::Resolved;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use smp_core::client::ClientLimits;
use smp_core::server::proxy::Proxy;
use smp_core::server::statistics::Statistics;
use smp_core::server::{Broker, Limits, ServerConfig};
use smp_core::transport::block::BLOCK_LEN;
use smp_core::transport::{ClientOptions, ServerTransportConfig};
use smp_core::wire::names::Name;
use smp_core::wire::{Version, VersionRange};
use smp_storage::Backend;

use crate::client::{Connector, HostMode};
use crate::seed::Seeds;
use crate::{Listener, Runtime};
use accept::Acceptor;
use admission::Admission;
use budget::Budget;
use counters::{Counting, SocketCounting};
use event::Watcher;
use hub::Hub;
use relays::Relays;
use resolve::{Resolver, no_resolver};
use tasks::Tasks;

/// A server that is being set up.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use std::time::Duration;
///
/// use smp_core::server::ServerConfig;
/// use smp_core::transport::{ServerOptions, ServerTransportConfig};
/// use smp_core::wire::ServerAddress;
/// use smp_runtime::client::Connector;
/// use smp_runtime::server::Server;
/// use smp_runtime::testing::TestRuntime; // or the adapter of a runtime
/// use smp_storage::Memory; // or `Embedded`
/// # use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
/// # use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};
/// # use smp_runtime::Runtime;
///
/// let runtime = TestRuntime::default();
/// # runtime.set_now(Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) });
/// # let (now, mut entropy) = (runtime.now().unix, SeededEntropy::new([42; 32]));
/// # let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now).unwrap();
/// # let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
/// # let issued = authority.issue(subject, &mut entropy, now).unwrap();
/// # let chain = vec![issued.certificate, authority.certificate().clone()];
/// # let identity = ServerIdentity::new(chain, issued.key, now).unwrap();
/// let key_hash = *identity.fingerprint();
/// let transport = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
/// let server = Server::new(runtime.clone(), Memory::new(), transport, ServerConfig::default());
/// runtime.clone().block_on(async move {
///     let server = server.serve(&["127.0.0.1:0".parse().unwrap()]).await.unwrap();
///     let port = server.addresses()[0].port();
///     let address = ServerAddress::new(vec!["127.0.0.1".parse().unwrap()], Some(port), key_hash).unwrap();
///     let (client, _events) = Connector::new(runtime).connect(&address).await.unwrap();
///     client.ping().await.unwrap();
///     assert_eq!(server.connections(), 1);
///     client.close().await;
///     server.stop(Duration::from_secs(10)).await.unwrap();
/// });
/// # }
/// ```
pub struct Server<R: Runtime, B> {
    runtime: R,
    backend: B,
    transport: ServerTransportConfig,
    config: Arc<ServerConfig>,
    resolver: Resolver,
    watcher: Watcher,
    seeds: Seeds,
    outgoing: Connector<R>,
    statistics: Option<Box<Statistics>>,
}

impl<R: Runtime, B: Backend + 'static> Server<R, B> {
    /// A server on `runtime` that keeps its queues in `backend`. `transport` says who it is, `config` what it
    /// does, and in its `limits` how much.
    #[must_use]
    pub fn new(runtime: R, backend: B, transport: ServerTransportConfig, config: ServerConfig) -> Self {
        let outgoing = Connector::new(runtime.clone()).hosts(HostMode::Public, false).public_only(true);
        Self {
            outgoing,
            runtime,
            backend,
            transport,
            config: Arc::new(config),
            resolver: no_resolver(),
            watcher: Arc::new(|_| ()),
            seeds: Seeds::System,
            statistics: None,
        }
    }

    /// Goes on counting from statistics that were kept when the server stopped ([`ServerHandle::statistics`]).
    #[must_use]
    pub fn statistics(mut self, kept: Statistics) -> Self {
        self.statistics = Some(Box::new(kept));
        self
    }

    /// Calls `watcher` with all events. It runs where they happen, so it must return soon.
    #[must_use]
    pub fn on_event(mut self, watcher: impl Fn(ServerEvent) + Send + Sync + 'static) -> Self {
        self.watcher = Arc::new(watcher);
        self
    }

    /// Has `resolver`, such as [`HttpResolver::resolve`], resolve the names that clients ask for (RSLV), if
    /// [`ServerConfig::names`] is set. It must give up after a bounded time. Without it they
    /// are told that there is none, whatever [`ServerConfig::names`] says.
    #[must_use]
    pub fn resolver<F>(mut self, resolver: impl Fn(Name) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Resolved> + Send + 'static,
    {
        self.resolver = Arc::new(move |name| Box::pin(resolver(name)));
        self
    }

    /// How the proxy connects to relays: hosts, SOCKS proxy, whether to private addresses. The connector's other options
    /// are set by the server. Default: to domains and public IP addresses, without a SOCKS proxy.
    #[must_use]
    pub fn outgoing(mut self, connector: Connector<R>) -> Self {
        self.outgoing = connector;
        self
    }

    /// Derives all randomness from `seed`, so that a simulated run can be repeated.
    ///
    /// Without this every connection gets a seed of its own from the operating system. Never use a fixed seed
    /// to serve people: who knows it knows every key.
    #[must_use]
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seeds = Seeds::fixed(seed);
        self
    }

    /// Listens on all of `addresses` and serves SMP until the handle stops it or is dropped.
    ///
    /// # Errors
    /// As [`Self::serve_on`].
    pub async fn serve(self, addresses: &[SocketAddr]) -> io::Result<ServerHandle<R, B>> {
        let endpoints: Vec<Endpoint> = addresses.iter().map(|address| Endpoint::smp(*address)).collect();
        self.serve_on(&endpoints).await
    }

    /// Listens on all of `endpoints` and serves until the handle stops it or is dropped.
    ///
    /// # Errors
    /// When it cannot listen on one of them; then it serves on none. [`io::ErrorKind::InvalidInput`] when it could not
    /// work with the configuration, with an [`InvalidSetting`](smp_core::server::InvalidSetting) that names what is wrong.
    pub async fn serve_on(self, endpoints: &[Endpoint]) -> io::Result<ServerHandle<R, B>> {
        self.config.validate().map_err(|wrong| io::Error::new(io::ErrorKind::InvalidInput, wrong))?;
        let mut listeners = Vec::new();
        for endpoint in endpoints {
            listeners.push(self.runtime.listen(endpoint.address).await?);
        }
        let local = listeners.iter().map(Listener::local_address).collect::<io::Result<Vec<_>>>()?;

        let counting = Arc::new(Counting::new());
        let watcher: Watcher = Arc::new({
            let (counting, watcher) = (Arc::clone(&counting), self.watcher);
            move |event| {
                counting.count(&event);
                watcher(event);
            }
        });
        let backend = Arc::new(self.backend);
        let mut broker = Broker::new(Arc::clone(&self.config), self.runtime.now());
        if let Some(kept) = self.statistics {
            *broker.statistics_mut() = *kept;
        }
        let hub = Hub::new(self.runtime.clone(), Arc::clone(&backend), broker, Arc::clone(&watcher));
        let max = self.transport.versions().max();
        let proxy = Proxy::new(Arc::clone(&self.config), max, self.runtime.now());
        let connector = to_relays(self.outgoing, max, &self.config.limits, &self.seeds)?;
        let relays = Relays::new(self.runtime.clone(), connector, proxy, Arc::clone(&watcher));
        let admission = Admission::new(self.config.limits);
        let budget = Budget::new(self.config.limits.queued_bytes);
        let tasks = Arc::new(Tasks::default());
        let acceptor = Arc::new(Acceptor {
            runtime: self.runtime.clone(),
            backend: Arc::clone(&backend),
            hub: Arc::clone(&hub),
            relays: Arc::clone(&relays),
            admission: Arc::clone(&admission),
            tasks: Arc::clone(&tasks),
            transport: self.transport,
            resolver: self.resolver,
            config: self.config,
            budget: Arc::clone(&budget),
            watcher,
            seeds: self.seeds,
            next_id: AtomicU64::new(0),
        });
        self.runtime.spawn(Arc::clone(&hub).keep_time());
        let watched = Arc::clone(&hub);
        self.runtime.spawn(relays.clone().keep_time(move |cx| watched.signal.watch(cx)));
        let mut sockets = Vec::new();
        for ((listener, endpoint), address) in listeners.into_iter().zip(endpoints).zip(local) {
            let (endpoint, counting) = (Arc::new(endpoint.clone()), Arc::<SocketCounting>::default());
            sockets.push((address, Arc::clone(&counting)));
            self.runtime.spawn(Arc::clone(&acceptor).run(listener, endpoint, counting, tasks.enter()));
        }
        let counting = (counting, sockets);
        Ok(ServerHandle::new(self.runtime, backend, hub, relays, (admission, budget), tasks, counting))
    }
}

/// The connector of a proxy: it says that it is one, so that blocks are not encrypted once more, and is no service.
fn to_relays<R: Runtime>(
    connector: Connector<R>,
    max: Version,
    limits: &Limits,
    seeds: &Seeds,
) -> io::Result<Connector<R>> {
    let versions = VersionRange::SUPPORTED.capped(max).unwrap_or(VersionRange::SUPPORTED);
    let options = ClientOptions { proxy_server: true, versions, ..ClientOptions::default() };
    let mut client = ClientLimits::default();
    client.commands = limits.relay_forwards;
    client.waiting_bytes = limits.relay_forwards.saturating_mul(BLOCK_LEN);
    client.answer = limits.relay_answer;
    // Nobody waits for a late answer, and it tells a proxy nothing: to know it for one would cost memory for each relay that
    // answers now and then.
    client.late_answers = 0;
    let connector = connector.options(options).limits(client);
    // A seed that was given is for all that the server does; else each connection gets one of its own.
    Ok(if let Seeds::Fixed(_) = seeds { connector.seed(seeds.next()?) } else { connector })
}
