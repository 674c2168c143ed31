//! The tokio adapter of `smp-runtime`: TCP, timers, tasks and the look-up of names, nothing else.
//!
//! A server and a client in one program:
//!
//! ```
//! use std::time::Duration;
//!
//! use smp_core::SeededEntropy;
//! use smp_core::client::{ClientEvent, QueueKeys};
//! use smp_core::server::ServerConfig;
//! use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
//! use smp_core::transport::{ServerOptions, ServerTransportConfig};
//! use smp_core::wire::command::{MessageFlags, SubscriptionMode};
//! use smp_core::wire::{Host, ServerAddress};
//! use smp_runtime::Runtime;
//! use smp_runtime::client::Connector;
//! use smp_runtime::server::Server;
//! use smp_runtime_tokio::TokioRuntime;
//! use smp_storage::Memory;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = TokioRuntime::current()?;
//!
//! // Who the server is. A program makes this once and keeps it in files.
//! let now = runtime.now().unix;
//! let mut entropy = SeededEntropy::new([42; 32]); // a program takes the seed from the operating system
//! let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now)?;
//! let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
//! let issued = authority.issue(subject, &mut entropy, now)?;
//! let chain = vec![issued.certificate, authority.certificate().clone()];
//! let identity = ServerIdentity::new(chain, issued.key, now)?;
//! let key_hash = *identity.fingerprint();
//! let transport = ServerTransportConfig::new(identity, ServerOptions::default())?;
//!
//! let server = Server::new(runtime.clone(), Memory::new(), transport, ServerConfig::default())
//!     .serve(&["127.0.0.1:0".parse()?])
//!     .await?;
//!
//! // A client that makes a queue and sends itself a message.
//! let port = server.addresses()[0].port();
//! let address = ServerAddress::new(vec!["127.0.0.1".parse::<Host>()?], Some(port), key_hash)?;
//! let (client, mut events) = Connector::new(runtime).connect(&address).await?;
//! let keys = QueueKeys::generate(&mut entropy);
//! let queue = client.create_queue(keys.new_queue(SubscriptionMode::Subscribe), keys.auth.clone()).await?;
//! let flags = MessageFlags { notification: false };
//! client.send(queue.sender_id.clone(), None, flags, "hello".into()).await?;
//!
//! let ClientEvent::Message(_, message) = events.next().await? else { panic!("another event") };
//! let body = message.open(&keys.secret(&queue)?)?; // what the server received, and when
//! # let smp_core::wire::message::ReceivedBody::Message { body, .. } = body else { panic!() };
//! # assert_eq!(body, "hello");
//! client.acknowledge(queue.recipient_id, keys.auth, message.id).await?;
//!
//! client.close().await;
//! server.stop(Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Two people with agents, who meet over such a server. A program that depends on this crate has the others in it:
//!
//! ```
//! use smp_runtime_tokio::TokioRuntime;
//! use smp_runtime_tokio::smp_core::agent::{Event, UserId, UserServer};
//! use smp_runtime_tokio::smp_core::wire::ServerAddress;
//! use smp_runtime_tokio::smp_core::wire::command::MessageFlags;
//! use smp_runtime_tokio::smp_runtime::agent::{Agent, Events, new_connection_id};
//! use smp_runtime_tokio::smp_storage::agent::MemoryAgentStore;
//!
//! const USER: UserId = UserId(1);
//!
//! fn start(server: &ServerAddress) -> Result<(Agent, Events), Box<dyn std::error::Error>> {
//!     let server = UserServer::new(server.clone());
//!     // SqliteAgentStore keeps everything in a file; this one nothing.
//!     let store = MemoryAgentStore::new();
//!     Ok(Agent::builder(TokioRuntime::current()?, store).user(USER, vec![server]).start()?)
//! }
//!
//! async fn meet(server: &ServerAddress) -> Result<(), Box<dyn std::error::Error>> {
//!     let ((alice, mut at_alice), (bob, mut at_bob)) = (start(server)?, start(server)?);
//!     let (_, link) = alice.invite(USER, false).await?;
//!     let link = link.to_string(); // it reaches Bob on any way that the two trust
//!     let to_alice = new_connection_id()?;
//!     bob.join(to_alice, USER, link.parse()?, "Bob".into(), true).await?;
//!     bob.send(to_alice, "hello".into(), MessageFlags { notification: true }).await?;
//!     while let Some(event) = at_alice.next().await {
//!         match event {
//!             Event::Confirmation { connection, confirmation, info, .. } => {
//!                 assert_eq!(info, "Bob");
//!                 alice.allow(connection, confirmation, "Alice".into()).await?;
//!             }
//!             Event::Message(message) => {
//!                 assert_eq!(message.body, "hello");
//!                 alice.acknowledge(message.connection, message.id).await?;
//!                 break;
//!             }
//!             _ => {}
//!         }
//!     }
//!     while !matches!(at_bob.next().await, Some(Event::Connected(_))) {}
//!     alice.stop().await;
//!     bob.stop().await;
//!     Ok(())
//! }
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     use smp_core::SeededEntropy;
//! #     use smp_core::server::ServerConfig;
//! #     use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
//! #     use smp_core::transport::{ServerOptions, ServerTransportConfig};
//! #     use smp_runtime::Runtime;
//! #     let runtime = TokioRuntime::current()?;
//! #     let (now, mut entropy) = (runtime.now().unix, SeededEntropy::new([43; 32]));
//! #     let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now)?;
//! #     let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
//! #     let issued = authority.issue(subject, &mut entropy, now)?;
//! #     let chain = vec![issued.certificate, authority.certificate().clone()];
//! #     let identity = ServerIdentity::new(chain, issued.key, now)?;
//! #     let key_hash = *identity.fingerprint();
//! #     let transport = ServerTransportConfig::new(identity, ServerOptions::default())?;
//! #     let store = smp_storage::Memory::new();
//! #     let server = smp_runtime::server::Server::new(runtime, store, transport, ServerConfig::default());
//! #     let server = server.serve(&["127.0.0.1:0".parse()?]).await?;
//! #     let port = server.addresses()[0].port();
//! #     meet(&ServerAddress::new(vec!["127.0.0.1".parse()?], Some(port), key_hash)?).await
//! # }
//! ```

mod stream;

pub use smp_runtime::{self, smp_core, smp_storage};
pub use stream::{TokioListener, TokioStream};

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use smp_core::{Now, Timestamp};
use smp_runtime::Runtime;
use smp_runtime::adapter::{Names, unix_time};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, TryCurrentError};
use tokio::time::Instant;

/// A tokio runtime, with its I/O and time drivers on.
///
/// The clock follows tokio's, so a test that pauses the time of tokio pauses it here.
///
/// The system looks up 64 names at a time for all clones together ([`Names`]), on tokio's threads for what blocks. What must
/// not wait for names that strangers choose gets a `TokioRuntime` of its own.
#[derive(Clone, Debug)]
pub struct TokioRuntime {
    handle: Handle,
    origin: Instant,
    names: Names,
}

impl TokioRuntime {
    /// An adapter for the runtime of `handle`. Its monotonic clock starts now, and it has look-ups of its own.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let _context = handle.enter();
        Self { origin: Instant::now(), handle: handle.clone(), names: Names::default() }
    }

    /// An adapter for the runtime that this runs in.
    ///
    /// # Errors
    /// Outside of a tokio runtime.
    pub fn current() -> Result<Self, TryCurrentError> {
        Handle::try_current().map(Self::new)
    }
}

impl Runtime for TokioRuntime {
    type Stream = TokioStream;
    type Listener = TokioListener;

    fn now(&self) -> Now {
        Now { mono: Timestamp::ZERO + self.origin.elapsed(), unix: unix_time() }
    }

    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        // Tokio looks for its timers in the context of the thread, and an embedder's thread may have none.
        let _context = self.handle.enter();
        let from_origin = Duration::from_micros(at.as_micros());
        let at = self.origin.checked_add(from_origin).unwrap_or_else(|| Instant::now() + FAR);
        tokio::time::sleep_until(at)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        self.names.resolve(host, port, |work| drop(self.handle.spawn_blocking(work)))
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<TokioStream>> + Send + 'static {
        let connected = TcpStream::connect(address);
        async move { TokioStream::new(connected.await?) }
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TokioListener> {
        TcpListener::bind(address).await.map(TokioListener::new)
    }
}

/// A time that does not come.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
