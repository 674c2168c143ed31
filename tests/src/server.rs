//! A server on real sockets, on a runtime and with a store of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smp_core::server::statistics::Statistics;
use smp_core::server::{IdleClients, Limits, Moderation, ServerConfig};
use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::{Password, VersionRange};
use smp_runtime::client::Connector;
use smp_runtime::server::{Disconnect, HttpResolver, ResolverOptions, Server, ServerEvent, ServerHandle};
use smp_storage::{Backend, Durability, Embedded, EmbeddedOptions, Memory};
use tempfile::TempDir;

use crate::peer::{Address, entropy, now, wait_until};
use crate::runtimes::{AnyRuntime, Engine};

/// Where a server keeps its queues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Store {
    /// Nowhere beyond its own end.
    Memory,
    /// In a folder, which a server that is started again finds as it was.
    Embedded,
}

/// What a scenario may ask of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The algorithm of its certificates.
    pub algorithm: Algorithm,
    /// The versions that it offers.
    pub versions: VersionRange,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Whether queues may be created.
    pub new_queues: bool,
    /// The password for creating queues.
    pub password: Option<&'static str>,
    /// Whether it forwards to relays, private addresses among them.
    pub proxy: bool,
    /// Where names are resolved, and how long that may take.
    pub resolver: Option<(String, Duration)>,
    /// Bytes of new ids.
    pub id_bytes: usize,
    /// Messages that a queue holds.
    pub quota: u32,
    /// After how long messages expire.
    pub message_ttl: Option<Duration>,
    /// How often old messages are looked for.
    pub expiry_interval: Duration,
    /// Whether they are looked for on start.
    pub expire_on_start: bool,
    /// Whether a SEND looks for them in its queue.
    pub expire_on_send: bool,
    /// After how long a silent connection without subscriptions is closed, and how often that is checked.
    pub idle_clients: Option<(Duration, Duration)>,
    /// How long a notification waits for others.
    pub notification_interval: Duration,
    /// Deliveries to one connection that its socket has not taken.
    pub deliveries: usize,
    /// When the embedded store answers.
    pub durability: Durability,
    /// How long a connection that the server has ended may take to end on the other side.
    pub closing: Duration,
    /// The other limits.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Ed25519,
            versions: VersionRange::SUPPORTED,
            handshake_timeout: Duration::from_secs(60),
            new_queues: true,
            password: None,
            proxy: true,
            resolver: None,
            id_bytes: 24,
            quota: 128,
            message_ttl: None,
            expiry_interval: Duration::from_secs(3600),
            expire_on_start: true,
            expire_on_send: false,
            idle_clients: None,
            notification_interval: Duration::from_millis(20),
            deliveries: 8,
            durability: Durability::OnExit,
            closing: Duration::from_secs(1),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    fn server(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.new_queues = self.new_queues;
        config.password = self.password.map(|word| Password::new(word.as_bytes()).expect("a password"));
        config.proxy = self.proxy;
        config.names = self.resolver.is_some();
        config.id_bytes = self.id_bytes;
        config.message_quota = self.quota;
        config.message_ttl = self.message_ttl;
        config.expiry_interval = self.expiry_interval;
        config.expire_on_start = self.expire_on_start;
        config.expire_on_send = self.expire_on_send;
        config.idle_clients =
            self.idle_clients.map(|(ttl, check_interval)| IdleClients { ttl, check_interval });
        config.notification_interval = self.notification_interval;
        // Long enough for what ends together to be told together, short enough not to be waited for.
        config.end_interval = Duration::from_millis(60);
        config.limits = Limits {
            handshake_timeout: self.handshake_timeout,
            deliveries_in_flight: self.deliveries,
            closing_timeout: self.closing,
            ..self.limits
        };
        config
    }
}

/// A server that runs until it is stopped or dropped.
pub struct TestServer {
    running: Option<Running>,
    store: Store,
    settings: Settings,
    identity: ServerIdentity,
    folder: TempDir,
    address: Address,
    /// Keeps its port from others while it is paused.
    reserved: Option<tokio::net::TcpSocket>,
    /// What must not have happened when it stops.
    faults: Arc<Mutex<Vec<ServerEvent>>>,
}

struct Running {
    handle: Handle,
    runtime: Engine,
}

enum Handle {
    Memory(ServerHandle<AnyRuntime, Memory>),
    Embedded(ServerHandle<AnyRuntime, Embedded>),
}

impl TestServer {
    /// Starts a server with a new identity and an empty store on a free port.
    ///
    /// # Panics
    /// When that is not possible.
    #[track_caller]
    #[must_use]
    pub fn start(store: Store, settings: &Settings) -> Self {
        let identity = identity(settings.algorithm);
        let mut server = Self {
            running: None,
            store,
            settings: settings.clone(),
            address: Address {
                socket: (Ipv4Addr::LOCALHOST, 0).into(),
                fingerprint: *identity.fingerprint(),
            },
            identity,
            folder: TempDir::new().expect("a temporary folder"),
            reserved: None,
            faults: Arc::default(),
        };
        server.run();
        server
    }

    /// Where it is and who it is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Its certificates and key.
    #[must_use]
    pub const fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    /// How many connections it has.
    ///
    /// # Panics
    /// When it is stopped.
    #[must_use]
    pub fn connections(&self) -> usize {
        match &self.running.as_ref().expect("a running server").handle {
            Handle::Memory(handle) => handle.connections(),
            Handle::Embedded(handle) => handle.connections(),
        }
    }

    /// Bytes of input and output of all connections that wait.
    ///
    /// # Panics
    /// When it is stopped.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        match &self.running.as_ref().expect("a running server").handle {
            Handle::Memory(handle) => handle.queued_bytes(),
            Handle::Embedded(handle) => handle.queued_bytes(),
        }
    }

    /// What it has counted.
    ///
    /// # Panics
    /// When it is stopped.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        match &self.running.as_ref().expect("a running server").handle {
            Handle::Memory(handle) => handle.statistics(),
            Handle::Embedded(handle) => handle.statistics(),
        }
    }

    /// Does to a queue what an operator wants; false if there is none.
    ///
    /// # Panics
    /// When the server is stopped, or its store fails.
    #[track_caller]
    pub fn moderate(&self, moderation: Moderation) -> bool {
        let Running { handle, runtime } = self.running.as_ref().expect("a running server");
        let done = runtime.block_on(async {
            match handle {
                Handle::Memory(handle) => handle.moderate(moderation).await,
                Handle::Embedded(handle) => handle.moderate(moderation).await,
            }
        });
        done.expect("a store that works")
    }

    /// Waits until it has let go of all connections.
    #[track_caller]
    pub fn wait_for_no_connections(&self) {
        self.wait_for_connections(0);
    }

    /// Waits until it has so many connections.
    #[track_caller]
    pub fn wait_for_connections(&self, count: usize) {
        wait_until("so many connections", || self.connections() == count);
    }

    /// Stops in order.
    ///
    /// # Panics
    /// When it does not stop in order, or when a task panicked, a store failed or a socket could not be accepted before.
    #[track_caller]
    pub fn stop(mut self) {
        self.halt();
    }

    /// Stops in order and starts again, with other settings, as who it was and where its queues are.
    #[track_caller]
    pub fn restart(&mut self, settings: &Settings) {
        self.halt();
        self.settings = settings.clone();
        self.run();
    }

    /// Stops in order; nobody listens at its address until [`Self::resume`].
    ///
    /// # Panics
    /// As [`Self::stop`], and when the port was taken by another.
    #[track_caller]
    pub fn pause(&mut self) {
        self.halt();
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option of sockets");
        socket.bind(self.address.socket).expect("its own port");
        self.reserved = Some(socket);
    }

    /// Starts again where it was before [`Self::pause`], at the same address.
    #[track_caller]
    pub fn resume(&mut self) {
        self.resume_with(&self.settings.clone());
    }

    /// [`Self::resume`], with other settings.
    #[track_caller]
    pub fn resume_with(&mut self, settings: &Settings) {
        self.settings = settings.clone();
        let at = self.address.socket;
        self.reserved = None;
        self.run_at(at);
    }

    #[track_caller]
    fn halt(&mut self) {
        let Running { handle, runtime } = self.running.take().expect("a running server");
        let grace = Duration::from_secs(10);
        let stopped = runtime.block_on(async {
            match handle {
                Handle::Memory(handle) => handle.stop(grace).await,
                Handle::Embedded(handle) => handle.stop(grace).await,
            }
        });
        stopped.expect("a store that closes in order");
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[track_caller]
    fn run(&mut self) {
        self.run_at((Ipv4Addr::LOCALHOST, 0).into());
    }

    #[track_caller]
    fn run_at(&mut self, at: SocketAddr) {
        let runtime = Engine::new();
        let handle = match self.store {
            Store::Memory => Handle::Memory(self.serve(&runtime, Memory::new(), at)),
            Store::Embedded => {
                let store = open(self.folder.path(), self.settings.durability);
                Handle::Embedded(self.serve(&runtime, store, at))
            }
        };
        let addresses = match &handle {
            Handle::Memory(handle) => handle.addresses(),
            Handle::Embedded(handle) => handle.addresses(),
        };
        self.address.socket = addresses[0];
        self.running = Some(Running { handle, runtime });
    }

    #[track_caller]
    fn serve<B: Backend + 'static>(
        &self,
        runtime: &Engine,
        backend: B,
        at: SocketAddr,
    ) -> ServerHandle<AnyRuntime, B> {
        let options = ServerOptions { versions: self.settings.versions, ..ServerOptions::default() };
        let transport =
            ServerTransportConfig::new(self.identity.clone(), options).expect("a configuration of TLS");
        let faults = Arc::clone(&self.faults);
        let watch = move |event: ServerEvent| match event {
            ServerEvent::Closed(_, Disconnect::Panicked)
            | ServerEvent::AcceptFailed(_)
            | ServerEvent::StoreFailed
            | ServerEvent::Failed => faults.lock().unwrap_or_else(PoisonError::into_inner).push(event),
            _ => {}
        };
        let any = runtime.runtime();
        let mut server = Server::new(any.clone(), backend, transport, self.settings.server())
            .outgoing(Connector::new(any.clone()));
        if let Some((address, timeout)) = &self.settings.resolver {
            let address = address.parse().expect("an address of a resolver");
            let options = ResolverOptions { timeout: *timeout, ..ResolverOptions::default() };
            let resolver = HttpResolver::new(any, address, options).expect("a resolver without TLS");
            server = server.resolver(move |name| resolver.resolve(name));
        }
        let served = runtime.block_on(server.on_event(watch).serve(&[at]));
        served.expect("a free port")
    }
}

/// An identity with certificates of one algorithm.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn identity(algorithm: Algorithm) -> ServerIdentity {
    let mut entropy = entropy();
    let authority = Authority::generate(algorithm, &mut entropy, now()).expect("an authority");
    let subject = Subject { host: "localhost", algorithm };
    let issued = authority.issue(subject, &mut entropy, now()).expect("a certificate");
    let chain = vec![issued.certificate, authority.certificate().clone()];
    ServerIdentity::new(chain, issued.key, now()).expect("an identity")
}

fn open(folder: &Path, durability: Durability) -> Embedded {
    let options = EmbeddedOptions { durability, ..EmbeddedOptions::default() };
    Embedded::open(folder.join("store"), options).expect("a store")
}
