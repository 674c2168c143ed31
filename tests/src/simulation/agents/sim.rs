//! What everything in a world of agents shares: chance, time, the trace.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::AddAssign;
use std::time::Duration;

use smp_core::{Now, Timestamp, UnixTime};

use super::super::dice::Dice;
use super::everywhere::Plan;
use super::options::Options;

/// Chance, time, the trace, and what was wrong.
pub(super) struct Sim {
    pub(super) dice: Dice,
    pub(super) options: Options,
    pub(super) now: Now,
    /// There are no faults for the time being.
    pub(super) is_calm: bool,
    /// The one crash of a story.
    pub(super) plan: Option<Plan>,
    pub(super) counts: AgentCounts,
    pub(super) failure: Option<String>,
    hash: DefaultHasher,
    is_verbose: bool,
}

/// How much happened in a world of agents.
#[derive(Clone, Copy, Default, Debug)]
pub struct AgentCounts {
    /// Events of the world.
    pub events: u64,
    /// Calls of apps.
    pub calls: u64,
    /// Messages that apps were told, again or for the first time.
    pub messages: u64,
    /// Connections that both sides have.
    pub connected: u64,
    /// Ends of agents where they were.
    pub agent_crashes: u64,
    /// Ends of servers where they were.
    pub server_crashes: u64,
    /// Connections that were cut, went silent or were refused.
    pub cuts: u64,
}

impl AddAssign for AgentCounts {
    fn add_assign(&mut self, other: Self) {
        let Self { events, calls, messages, connected, agent_crashes, server_crashes, cuts } = other;
        self.events += events;
        self.calls += calls;
        self.messages += messages;
        self.connected += connected;
        self.agent_crashes += agent_crashes;
        self.server_crashes += server_crashes;
        self.cuts += cuts;
    }
}

impl Sim {
    pub(super) fn new(dice: Dice, options: Options, is_verbose: bool) -> Self {
        Self {
            dice,
            options,
            now: Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) },
            is_calm: false,
            plan: None,
            counts: AgentCounts::default(),
            failure: None,
            hash: DefaultHasher::new(),
            is_verbose,
        }
    }

    /// Whether a fault of this rate happens now.
    pub(super) fn fault(&mut self, rate: usize) -> bool {
        !self.is_calm && self.dice.chance(rate)
    }

    /// A time of at most so many milliseconds.
    pub(super) fn delay(&mut self, max: usize) -> Duration {
        self.dice.delay(max)
    }

    /// Adds to the trace.
    #[allow(clippy::print_stdout, reason = "the trace is for whoever replays a seed")]
    pub(super) fn note(&mut self, what: &str, numbers: &[u64]) {
        (self.now.mono.as_micros(), what, numbers).hash(&mut self.hash);
        if self.is_verbose {
            let micros = self.now.mono.as_micros();
            println!("{:>6}.{:06} {what} {numbers:?}", micros / 1_000_000, micros % 1_000_000);
        }
    }

    /// Adds bytes to the hash of the trace.
    pub(super) fn note_bytes(&mut self, bytes: &[u8]) {
        self.hash.write(bytes);
    }

    pub(super) fn trace_hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Ends the world unless `holds`.
    pub(super) fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.failure.get_or_insert_with(otherwise);
        }
    }

    pub(super) fn take(&mut self, verdict: Result<(), String>) {
        if let Err(fault) = verdict {
            self.failure.get_or_insert(fault);
        }
    }
}
