//! The async shells that drive the machines of `smp-core`, written once over a small [`Runtime`] trait.
//!
//! This crate knows no runtime, and of SMP only what its machines take and give. It moves bytes between sockets and
//! machines, hands batches to the store, sets timers and bounds what connections may hold. An adapter such as
//! `smp-runtime-tokio` brings the runtime; its documentation has a server and a client in one example. It opens no connection and
//! listens on no address but those that it is told, reads no setting and no file, and never waits for an app.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use smp_core::agent::{Event, UserId};
//! use smp_runtime::agent::Agent;
//! use smp_runtime::testing::TestRuntime; // or the adapter of a runtime
//! use smp_storage::agent::MemoryAgentStore; // or `SqliteAgentStore`
//!
//! // An agent is a handle and a stream of events: what it does goes on in tasks of the runtime.
//! let (agent, mut events) = Agent::builder(TestRuntime::default(), MemoryAgentStore::new()).start().unwrap();
//! let app = async move {
//!     while let Some(event) = events.next().await {
//!         if let Event::Message(message) = event {
//!             agent.acknowledge(message.connection, message.id).await?;
//!         }
//!     }
//!     Ok::<(), smp_core::wire::AgentError>(())
//! };
//! # drop(app);
//! # }
//! ```
//!
//! | to | start at |
//! |---|---|
//! | run a server in a program | [`server::Server`] |
//! | serve the web on the same port, or behind a proxy | [`server::Endpoint`], [`http`] |
//! | talk to people | [`agent::Agent`] |
//! | use a server | [`client::Connector`] |
//! | stay connected to a server | [`client::Connector::reconnecting`] |
//! | send through a proxy, so that neither server knows both sender and queue | [`client::Client::relay`] |
//! | connect through Tor | [`client::Connector::socks`] |
//! | find out whether a server works | [`client::Connector::test`] |
//! | bring another runtime | [`Runtime`] |
//! | run all this on a virtual clock and a network in memory | the feature and module `testing` |
//!
//! No task outlives what it belongs to: dropping a server's handle, or the last handle of a client, ends all
//! of their tasks. A panic in one connection ends that connection alone. Logs name no address, queue or key.

pub mod adapter;
mod addresses;
pub mod agent;
pub mod client;
mod connect;
pub mod http;
mod link;
mod panic;
mod runtime;
mod seed;
pub mod server;
mod socks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod timer;

pub use runtime::{ByteStream, Listener, Runtime};
pub use socks::{Socks, SocksMode};
pub use {smp_core, smp_storage};
