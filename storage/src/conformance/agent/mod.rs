//! What every store of an agent must do, as functions that the tests of a store call.
//!
//! They panic when the store is wrong. Answers are compared as text, because secrets compare with nothing.

mod describe;
mod random;
pub mod samples;
mod scenarios;

pub use describe::describe;
pub use random::{RandomBatches, Taken, compare_random, compare_state};
pub use scenarios::run_scenarios;

use smp_core::agent::store::{AgentOp, AgentQuery};

use crate::agent::AgentStore;

/// What a store answers, as text.
///
/// # Panics
/// When it fails.
pub fn answer(store: &mut impl AgentStore, query: &AgentQuery) -> String {
    describe(&store.read(query).expect("the store works"))
}

/// Carries out operations that must work.
///
/// # Panics
/// When they fail.
pub fn run(store: &mut impl AgentStore, ops: Vec<AgentOp>) {
    store.run(ops).expect("the store works");
}
