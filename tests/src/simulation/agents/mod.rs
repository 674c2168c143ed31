//! Worlds of agents: people with agents talk over servers, and everything between them and below them may fail.
//!
//! Agents, clients and servers are the real machines, driven by the world itself. Drawn from the seed are the delays, cuts,
//! refusals and silences of the network, the failures of all stores, the crashes of servers and agents before any of their
//! effects, and what apps do. What they have to keep is in `model`.
//!
//! ```text
//!   app ─▶ agent ─▶ client ─▶ network ─▶ session, broker ─▶ store       the app acts by chance (app.rs)
//!    │       │ batches            │                           │
//!    ▼       ▼                    │ what leaves               ▼
//!  model   keeping             ciphers                     site.rs      what was told, kept, sealed, had
//! ```
//!
//! [`run_agents`] lives the world of a seed. [`crash_everywhere`] lives one story again and again, with a crash at each of
//! its effects.
//!
//! To add something that apps do: a variant of `app::Action` with when it is possible, what is asked and what the reply
//! means; if it makes a promise, a rule in `model`, and in `rounds::unsettled` what has to have happened in the end.

mod addresses;
mod app;
mod ciphers;
mod durable;
mod everywhere;
mod features;
mod keeping;
mod model;
mod more;
mod network;
mod options;
mod person;
mod relays;
mod rounds;
mod schedule;
mod server;
mod sim;
mod site;
mod users;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use everywhere::{Everywhere, Story, crash_everywhere};
pub use features::{FIRST as AGENT_FEATURES_FIRST, WHOLE_FIRST as AGENT_WHOLE_FIRST};
pub use sim::AgentCounts;

use super::{Outcome, outcome};
use features::Features;
use options::Options;
use world::World;

/// Lives the world of a seed, and prints what happens if asked to.
#[must_use]
pub fn run_agents(seed: u64, is_verbose: bool) -> Outcome<AgentCounts> {
    let mut dice = super::dice::Dice::new(seed);
    let mut options = Options::draw(&mut dice);
    options.features = Features::draw(seed, options.talks.len(), options.people.len());
    options.suit_features();
    live(World::new(dice, options, is_verbose))
}

fn live(mut world: World) -> Outcome<AgentCounts> {
    let panicked = catch_unwind(AssertUnwindSafe(|| world.live())).is_err();
    outcome(&mut world.sim.trace, world.sim.counts, panicked)
}
