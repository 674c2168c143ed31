//! One story, again and again: two people connect and talk, and one machine crashes at one of its effects.

use std::ops::{Index, IndexMut};

use smp_core::wire::Version;

use super::super::dice::Dice;
use super::options::Options;
use super::world::World;
use super::{AgentCounts, live};

/// A machine that crashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Victim {
    Server(usize),
    Agent(usize),
}

/// The one crash of a story.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) victim: Victim,
    /// At which of its effects.
    pub(super) effect: u64,
    pub(super) how: How,
}

/// What happens at an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// A crash before it.
    Before,
    /// A crash when it was carried out, and everything that the store was asked; nothing of that is heard.
    After,
    /// If it is for the store, it is refused; there is no crash.
    Refused,
}

/// How many effects each machine had.
#[derive(Clone, Default)]
pub(super) struct Effects {
    servers: [u64; MACHINES],
    agents: [u64; MACHINES],
}

impl Index<Victim> for Effects {
    type Output = u64;

    fn index(&self, victim: Victim) -> &u64 {
        match victim {
            Victim::Server(index) => &self.servers[index],
            Victim::Agent(index) => &self.agents[index],
        }
    }
}

impl IndexMut<Victim> for Effects {
    fn index_mut(&mut self, victim: Victim) -> &mut u64 {
        match victim {
            Victim::Server(index) => &mut self.servers[index],
            Victim::Agent(index) => &mut self.agents[index],
        }
    }
}

/// Who meets: what their servers speak decides who secures the queues.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Chance of delays, keys and ids.
    pub seed: u64,
    /// What the servers of who invites and who joins speak.
    pub versions: [Version; 2],
    /// Post-quantum encryption.
    pub pq: bool,
}

/// What came of a story that was lived with a crash at each effect.
#[derive(Clone, Default)]
pub struct Everywhere {
    /// How often it was lived.
    pub worlds: u64,
    /// Effects of both agents, and of both servers, without a crash.
    pub effects: (u64, u64),
    /// How much happened.
    pub counts: AgentCounts,
    /// What was wrong, and with which crash.
    pub failures: Vec<String>,
}

/// Lives a story without a crash, then once for each effect of each machine and each way of crashing there. With `step` larger
/// than 1 only every so manieth effect.
#[must_use]
pub fn crash_everywhere(story: Story, step: usize) -> Everywhere {
    let mut all = Everywhere::default();
    let mut first = world(story, false);
    first.live();
    if let Some(fault) = first.sim.trace.failure.take() {
        all.failures.push(format!("without a crash: {fault}"));
        return all;
    }
    let effects = first.effects.clone();
    all.effects = (effects.agents.iter().sum(), effects.servers.iter().sum());
    for victim in [Victim::Agent(0), Victim::Agent(1), Victim::Server(0), Victim::Server(1)] {
        let hows: &[How] = match victim {
            Victim::Agent(_) => &[How::Before, How::After, How::Refused],
            Victim::Server(_) => &[How::Before],
        };
        for effect in (1..=effects[victim]).step_by(step.max(1)) {
            for how in hows {
                let plan = Plan { victim, effect, how: *how };
                let text = format!("{plan:?}");
                let mut world = world(story, false);
                world.sim.plan = Some(plan);
                let outcome = live(world);
                all.worlds += 1;
                all.counts += outcome.counts;
                all.failures.extend(outcome.failure.map(|fault| format!("{story:?}, {text}: {fault}")));
            }
        }
    }
    all
}

fn world(story: Story, is_verbose: bool) -> World {
    let options = Options::of_story(story.versions, story.pq);
    World::new(Dice::new(story.seed), options, is_verbose)
}

/// Machines of a kind that a world may have.
pub(super) const MACHINES: usize = 4;
