//! Simulated worlds: servers with their stores, clients and the network between them, on one virtual clock and one seed.
//!
//! The server is the real one: sessions and the broker. Everything around it is drawn from the seed, and may fail: bytes
//! are late, connections are cut at any byte or go silent, clients read slowly, the store is slow, fails, or loses its
//! answer, the server crashes before any of its effects, the clock jumps. [`run`] lives one world:
//!
//! ```text
//!   rounds ─▶ faults, clients act by chance ─▶ no faults, clients tidy up ─▶ everything has come to its end
//!                  │ each operation                  │ each answer and message        │
//!                  ▼                                 ▼                                ▼
//!               model.rs                        answers.rs                        rounds.rs
//! ```

mod answers;
mod client;
mod clients;
mod commands;
mod connections;
mod dice;
mod model;
mod network;
mod rounds;
mod server;
mod setup;
mod shared;
mod shell;
mod site;
mod store;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use clients::{ClientCounts, run_clients};
pub use shared::Counts;

use world::World;

/// What came of a world.
pub struct Outcome {
    /// A hash of everything that happened: the same for the same seed.
    pub trace: u64,
    /// How much happened.
    pub counts: Counts,
    /// What was wrong.
    pub failure: Option<String>,
}

/// Lives the world of a seed, and prints what happens if asked to.
#[must_use]
pub fn run(seed: u64, is_verbose: bool) -> Outcome {
    let mut world = World::new(seed, is_verbose);
    let panicked = catch_unwind(AssertUnwindSafe(|| world.live())).is_err();
    let shared = &mut world.shared;
    shared.expect(!panicked, || "a panic".into());
    Outcome { trace: shared.trace_hash(), counts: shared.counts, failure: shared.failure.take() }
}
