//! The server: a session for each connection, one broker of queues and subscriptions, and the vocabulary of operations
//! that a store carries out for them.
//!
//! ```text
//!             bytes            look-ups                  operations
//!   socket ◀────────▶ Session ──────────▶ store ◀────────────────── Broker
//!                        │  ▲                    results ──────────▶  │ ▲
//!                        │  └────────── BrokerReply ──────────────────┘ │
//!                        └───────────── BrokerRequest ──────────────────┘
//! ```
//!
//! A [`Session`] is where the processor time goes: TLS, blocks, parsing, authorisation, encryption of deliveries. It runs
//! on any core. The [`Broker`] is cheap and shared: it knows who is subscribed to what, and nothing else that outlives
//! one command; the store is the authority on queues. Both are machines with the same verbs:
//!
//! * `handle` takes one input, then `poll_output` is called until it returns `None`;
//! * `poll_timeout` says when to call `handle` with `Timeout` if nothing else happens first;
//! * [`Session::wants_input`] says whether to read more from the socket.
//!
//! The [`Proxy`](proxy::Proxy) is a third machine, one for the server: the sessions with relays to which commands of clients
//! are forwarded. Sessions ask it as they ask the broker, in any order.
//!
//! Replies of the broker reach a session in the order in which the broker gave them out, and batches reach the store in
//! the order in which the broker gave them out.

mod broker;
mod config;
mod limits;
pub mod proxy;
mod session;
pub mod statistics;
pub mod store;

pub use broker::{Broker, BrokerInput, BrokerOutput, BrokerReply, BrokerRequest, Moderation, ModerationId};
pub use config::{IdleClients, InvalidSetting, ServerConfig};
pub use limits::Limits;
pub use session::{CloseReason, LookUpId, ResolveId, Session, SessionEvent, SessionInput, SessionOutput};

/// Names a connection to the server. Never used twice while the server runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);
