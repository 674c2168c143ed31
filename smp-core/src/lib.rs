//! The SimpleX Messaging Protocol (SMP) as pure state machines.
//!
//! This crate never opens a socket or a file, never reads a clock, never draws ambient randomness, starts no
//! thread and awaits nothing. Time ([`Now`]), randomness (a seed, [`Entropy`]) and bytes are inputs; bytes, store
//! batches and events are outputs. A small shell moves them: see the `smp-runtime` crate for one that is ready.
//!
//! A server and a client that makes a queue there, all of both but for sockets and clocks. `transport` shows how an identity is made.
//!
//! ```
//! # #[cfg(all(feature = "server", feature = "tls"))] {
//! use std::sync::Arc;
//!
//! use smp_core::client::{Answer, Client, ClientInput, ClientLimits, ClientOutput, CommandId, QueueKeys, Request};
//! use smp_core::server::store::MemoryStore;
//! use smp_core::server::{Broker, BrokerInput, BrokerOutput, ConnectionId, ServerConfig, Session, SessionInput, SessionOutput};
//! use smp_core::transport::{ClientOptions, ClientTransportConfig, ServerOptions, ServerTransportConfig, Transport};
//! use smp_core::wire::command::SubscriptionMode;
//! use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};
//!
//! let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
//! # use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
//! # let mut entropy = SeededEntropy::new([42; 32]);
//! # let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now.unix).unwrap();
//! # let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
//! # let issued = authority.issue(subject, &mut entropy, now.unix).unwrap();
//! # let chain = vec![issued.certificate, authority.certificate().clone()];
//! # let identity = ServerIdentity::new(chain, issued.key, now.unix).unwrap();
//! let at_client = ClientTransportConfig::new(*identity.fingerprint(), ClientOptions::default()).unwrap();
//! let at_server = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
//! let at_client = Transport::client(at_client, entropy.fork_seed(), now);
//! let at_server = Transport::server(at_server, entropy.fork_seed(), now);
//!
//! let config = Arc::new(ServerConfig::default());
//! let (mut store, mut broker) = (MemoryStore::new(), Broker::new(config.clone(), now));
//! let mut session = Session::new(config, at_server, entropy.fork_seed(), now);
//! let mut client = Client::new(ClientLimits::default(), at_client, entropy.fork_seed(), now);
//!
//! let keys = QueueKeys::generate(&mut entropy);
//! let request = Request::create(keys.new_queue(SubscriptionMode::Subscribe), keys.auth.clone());
//! client.handle(now, ClientInput::Command(CommandId(1), request));
//! let mut answer = None;
//! while answer.is_none() {
//!     while let Some(output) = client.poll_output() {
//!         match output {
//!             ClientOutput::Send(bytes) => {
//!                 client.handle(now, ClientInput::Sent(bytes.len()));
//!                 session.handle(now, SessionInput::Received(&bytes));
//!             }
//!             ClientOutput::Answer(_, result) => answer = Some(result.unwrap()),
//!             ClientOutput::Close(reason) => panic!("{reason:?}"),
//!             ClientOutput::Connected(_) | ClientOutput::Event(_) => {}
//!         }
//!     }
//!     while let Some(output) = session.poll_output() {
//!         match output {
//!             SessionOutput::Send(bytes) => {
//!                 session.handle(now, SessionInput::Sent(bytes.len()));
//!                 client.handle(now, ClientInput::Received(&bytes));
//!             }
//!             SessionOutput::LookUp(id, queues) => {
//!                 let found = queues.iter().map(|queue| Ok(store.look_up(queue))).collect();
//!                 session.handle(now, SessionInput::LookedUp(id, Ok(found)));
//!             }
//!             SessionOutput::ToBroker(request) => {
//!                 broker.handle(now, BrokerInput::Request(ConnectionId(1), request));
//!             }
//!             _ => {} // a name, a relay, a number, the end
//!         }
//!     }
//!     while let Some(output) = broker.poll_output() {
//!         match output {
//!             BrokerOutput::Store(batch) => {
//!                 let done = BrokerInput::StoreDone(batch.id, Ok(store.run(batch.ops)));
//!                 broker.handle(now, done);
//!             }
//!             BrokerOutput::Reply(_, reply) => session.handle(now, SessionInput::FromBroker(reply)),
//!             BrokerOutput::Moderated(..) => {}
//!         }
//!     }
//! }
//! assert!(matches!(answer, Some(Answer::Created(_))));
//! # }
//! ```

#![forbid(unsafe_code)]
// Whatever bytes say, they reach no panic. `expect` is for what cannot fail, and says why.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable
    )
)]

pub mod crypto;
pub mod entropy;
pub mod time;
pub mod wire;

#[cfg(feature = "agent")]
pub mod agent;
pub mod client;
#[cfg(feature = "server")]
pub mod server;
pub mod transport;

pub use entropy::{Entropy, SeededEntropy};
pub use time::{Now, Timestamp, UnixTime};
