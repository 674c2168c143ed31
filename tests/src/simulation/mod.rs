//! Simulated worlds: servers with their stores, clients and the network between them, on one virtual clock and one seed.
//!
//! The servers are the real ones: sessions and brokers, driven by the world itself (`server`), or, in a quarter of the
//! worlds, by the production shell on a simulated runtime (`shell`). Everything around them is drawn from the seed, and may
//! fail: bytes are late, connections are cut at any byte or go silent, clients read slowly, the store is slow, fails as a
//! whole or for one operation, or loses its answer, a server crashes before any of its effects or is told to stop, the clock
//! jumps. [`run`] lives one world. In `clients` the shells of server and client live against each other.
//!
//! ```text
//!   rounds ─▶ faults, clients act by chance ─▶ no faults, clients tidy up ─▶ everything has come to its end
//!                  │ each operation                  │ each answer and message        │
//!                  ▼                                 ▼                                ▼
//!               model.rs                        answers.rs                        rounds.rs
//! ```

mod agents;
mod answers;
mod client;
mod clients;
mod commands;
mod connections;
mod creations;
mod dice;
mod features;
mod links;
mod model;
mod moderation;
mod names;
mod network;
mod notifiers;
mod relays;
mod rounds;
mod routing;
mod runner;
mod schedule;
mod server;
mod services;
mod setup;
mod shared;
mod shell;
mod site;
mod store;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use agents::{
    AGENT_FEATURES_FIRST, AGENT_WHOLE_FIRST, AgentCounts, Everywhere, Story, crash_everywhere, run_agents,
};
pub use clients::{ClientCounts, run_clients};
pub use features::FIRST as FEATURES_FIRST;
pub use runner::{Worlds, number};
pub use shared::Counts;

use trace::Trace;
use world::World;

/// What came of a world.
pub struct Outcome<C> {
    /// A hash of everything that happened: the same for the same seed.
    pub trace: u64,
    /// How much happened.
    pub counts: C,
    /// What was wrong.
    pub failure: Option<String>,
}

/// Lives the world of a seed, and prints what happens if asked to.
#[must_use]
pub fn run(seed: u64, is_verbose: bool) -> Outcome<Counts> {
    let mut world = World::new(seed, is_verbose);
    let panicked = catch_unwind(AssertUnwindSafe(|| world.live())).is_err();
    outcome(&mut world.shared.trace, world.shared.counts, panicked)
}

fn outcome<C>(trace: &mut Trace, counts: C, panicked: bool) -> Outcome<C> {
    trace.expect(!panicked, || "a panic".into());
    Outcome { trace: trace.hash(), counts, failure: trace.failure.take() }
}
