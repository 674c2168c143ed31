//! What everything in a world of agents shares: chance, time, the trace.

use std::ops::AddAssign;

use super::super::dice::Dice;
use super::super::trace::Trace;
use super::everywhere::Plan;
use super::options::Options;

/// Chance, what was decided at the beginning, and the trace.
pub(super) struct Sim {
    pub(super) dice: Dice,
    pub(super) options: Options,
    /// The one crash of a story.
    pub(super) plan: Option<Plan>,
    pub(super) counts: AgentCounts,
    pub(super) trace: Trace,
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
    /// Calls that agents were to keep.
    pub durable: u64,
    /// Requests at contact addresses that were told.
    pub requests: u64,
    /// Commands that went through proxies.
    pub forwards: u64,
}

impl AddAssign for AgentCounts {
    fn add_assign(&mut self, other: Self) {
        let Self {
            events,
            calls,
            messages,
            connected,
            agent_crashes,
            server_crashes,
            cuts,
            durable,
            requests,
            forwards,
        } = other;
        self.events += events;
        self.calls += calls;
        self.messages += messages;
        self.connected += connected;
        self.agent_crashes += agent_crashes;
        self.server_crashes += server_crashes;
        self.cuts += cuts;
        self.durable += durable;
        self.requests += requests;
        self.forwards += forwards;
    }
}

impl Sim {
    pub(super) fn new(dice: Dice, options: Options, is_verbose: bool) -> Self {
        let (counts, trace) = (AgentCounts::default(), Trace::new(is_verbose));
        Self { dice, options, plan: None, counts, trace }
    }
}
