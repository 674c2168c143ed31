//! Talking to people: a task for the agent, one for each of its sessions with servers, and a thread for its store.
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
//! | requests of a session | 1350 at a time; those behind wait, one for each connection and kind |
//! | what waits for the store | a batch or a read for each connection in which something happens |
//! | messages that wait to be sent | the store |
//!
//! [`AgentLimits::inbox`]: smp_core::agent::AgentLimits::inbox

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
