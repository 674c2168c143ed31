//! Talking to people: a task for the agent, one for each of its sessions with servers, and a thread for its store.
//!
//! # What it never does
//!
//! * It tells nothing that is not kept: what was answered or told is still so after a crash.
//! * It loses no message that it accepted, and tells none again that was acknowledged; what was not acknowledged it tells again
//!   after a start, and when it is asked to ([`Agent::tell_again`]).
//! * It encrypts no two messages with one key, and no message twice in two ways.
//! * It waits for no app: who takes events slowly, or drops a future, holds up nobody else and cancels nothing.
//! * It connects to no server but those of its settings and those that the links and messages of the people name with whom it is
//!   connected.
//! * It shows nobody's address, link, key or message in a log or in `Debug`.
//! * It does not decide who may connect: whoever has a link asks, and the app allows.
//!
//! # Example
//!
//! An agent that makes a link and answers who has used it, on any runtime and store. The adapter of a runtime, such as
//! `smp-runtime-tokio`, runs it in its documentation.
//!
//! ```
//! use smp_core::agent::{Event, UserId, UserServer};
//! use smp_core::wire::command::MessageFlags;
//! use smp_core::wire::agent::AgentError;
//! use smp_runtime::Runtime;
//! use smp_runtime::agent::{Agent, Events};
//!
//! async fn answer(agent: &Agent, mut events: Events) -> Result<(), AgentError> {
//!     let (_, link) = agent.invite(UserId(1), false).await?;
//!     println!("{link}"); // it reaches the other person on any way that the two trust
//!     while let Some(event) = events.next().await {
//!         match event {
//!             Event::Confirmation { connection, confirmation, .. } => {
//!                 agent.allow(connection, confirmation, "an echo".into()).await?;
//!             }
//!             Event::Message(message) => {
//!                 let flags = MessageFlags { notification: true };
//!                 agent.send(message.connection, message.body, flags).await?;
//!                 agent.acknowledge(message.connection, message.id).await?;
//!             }
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//!
//! fn start<R: Runtime>(runtime: R, server: UserServer) -> std::io::Result<(Agent, Events)> {
//!     // SqliteAgentStore keeps everything in a file; this one nothing.
//!     let store = smp_storage::agent::MemoryAgentStore::new();
//!     Agent::builder(runtime, store).user(UserId(1), vec![server]).start()
//! }
//! ```
//!
//! # Links
//!
//! An invitation is for one person, an address for anybody. Each has a full link, and a short one if it is asked for
//! ([`Agent::invite_with_link`], [`Agent::create_address_with_link`], [`Agent::set_link`]), which also shows data of the app's own;
//! whoever has that looks where it leads ([`Agent::open_link`]) and joins with the answer. An address may be known before there is a
//! network: [`Agent::prepare_link`], later [`Agent::create_for_link`]. What it shows is signed by the root key of the link
//! ([`Agent::link_root`]), or by further owners whom that names ([`Agent::set_link_signed`]).
//!
//! The full link of an invitation has a key for post-quantum encryption if [`InitialKeys`](smp_core::agent::InitialKeys) say so; with a
//! short link the key is in the data of that alone.
//!
//! # On demand
//!
//! A process that wakes up for a moment when it is notified starts its agent with [`AgentBuilder::on_demand`]: nothing is subscribed, and
//! [`Agent::fetch`] takes what waits in one connection, one message after another. [`Agent::making`] makes single connections so,
//! [`Agent::subscribe`] ends it, and [`Agent::suspend_queues`] has servers take no more for a connection.
//!
//! # More than one server
//!
//! What [`Agent::with_queues`] makes receives from queues on several servers, and goes on when one of them fails, if the other side
//! has such an agent too. Messages come in their order and once, whichever way they took. [`Agent::switch_from`] replaces a queue
//! that a server lost.
//!
//! # Inside
//!
//! ```text
//!   Agent ── calls ──▶ Shared ─▶ Driver (task) ── batches, reads ──▶ store (thread)
//!   Events ◀─ events ─ Shared ◀─  machine      ── requests ──▶ Session (task) ◀─▶ client::Client
//!                         ▲─────────────────── answers, what servers tell, replies of the store
//! ```
//!
//! | | bound |
//! |---|---|
//! | calls that wait for their replies | 16384, and of one connection [`AgentLimits::inbox`]; further ones are refused |
//! | messages that wait for the app | one for each receive queue, until it is acknowledged |
//! | other events that others can cause | [`AgentBuilder::events`]; further ones are counted and thrown away |
//! | what servers tell | 1024 inputs of the machine; then sessions are read no more until it has caught up |
//! | requests of a session | 2700 at a time, 1350 of them subscriptions; those behind wait, one for each connection and kind |
//! | what waits for the store | a batch or a read for each connection in which something happens |
//! | servers of which is counted what was done there | [`AgentLimits::statistics`]; of more, those are forgotten where least was |
//! | messages that wait to be sent | the store |
//!
//! [`AgentLimits::inbox`]: smp_core::agent::AgentLimits::inbox
//! [`AgentLimits::statistics`]: smp_core::agent::AgentLimits::statistics

mod builder;
mod driver;
mod events;
mod handle;
mod session;
mod shared;
mod store;
#[cfg(test)]
mod tests;
mod waiting;

pub use builder::{AgentBuilder, new_connection_id};
pub use events::Events;
pub use handle::{Agent, Joined, Linked};
