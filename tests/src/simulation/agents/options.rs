//! What a world is decided to be at its beginning.

use smp_core::wire::Version;

use super::super::dice::Dice;
use super::everywhere::MACHINES;
use super::features::Features;

/// What kind of a world it is. Rates are of 10,000, times of milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The version that each server speaks.
    pub(super) servers: Vec<Version>,
    /// The servers on which each person makes queues.
    pub(super) people: Vec<Vec<usize>>,
    /// Connections, each of two people: who invites, and who joins.
    pub(super) talks: Vec<(usize, usize)>,
    /// Messages that each side wants to send.
    pub(super) messages: usize,
    /// How often apps do something in a round.
    pub(super) acts: usize,
    /// Rounds of faults, each with a time without faults at its end.
    pub(super) rounds: usize,
    /// Post-quantum encryption, in links and when they are used.
    pub(super) pq: (bool, bool),
    /// Messages that a queue holds.
    pub(super) quota: usize,
    /// That bytes are on their way, that machines of one process take to hear of each other, and that stores need.
    pub(super) network_delay: usize,
    pub(super) inside_delay: usize,
    pub(super) store_delay: usize,
    pub(super) keep_delay: usize,
    /// Of pieces of bytes after which the connection is cut, or goes silent.
    pub(super) cut: usize,
    pub(super) silence: usize,
    /// Of attempts to connect.
    pub(super) refuse: usize,
    /// Of batches of servers that fail, and that succeed but are said to have failed.
    pub(super) store_fails: usize,
    pub(super) store_loses_reply: usize,
    /// Of batches and reads of agents that fail; and after which the store fails until the agent is started again.
    pub(super) keep_fails: usize,
    pub(super) keep_breaks: usize,
    /// Of effects before which a server, or an agent, crashes.
    pub(super) crash_server: usize,
    pub(super) crash_agent: usize,
    /// Of messages that are acknowledged late.
    pub(super) late: usize,
    /// What is drawn apart.
    pub(super) features: Features,
}

impl Options {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let (servers, people) = (dice.between(1, 3), dice.between(2, 4));
        let version = |dice: &mut Dice| match dice.chance(6_000) {
            true => Version::MAX,
            false => Version(u16::try_from(dice.between(6, Version::MAX.0.into())).expect("a version")),
        };
        let talks = dice.between(1, people - 1);
        let pq = dice.chance(400);
        Self {
            servers: (0..servers).map(|_| version(dice)).collect(),
            people: (0..people).map(|_| some_of(dice, servers)).collect(),
            talks: (0..talks).map(|_| two_of(dice, people)).collect(),
            messages: dice.between(1, 6),
            acts: dice.between(10, 60) * talks,
            rounds: dice.between(1, 2),
            pq: (pq && dice.chance(5_000), pq),
            quota: if dice.chance(2_500) { dice.between(1, 4) } else { 128 },
            network_delay: dice.between(1, 2_000),
            inside_delay: perhaps(dice, 2_000),
            store_delay: perhaps(dice, 5_000),
            keep_delay: perhaps(dice, 5_000),
            cut: perhaps(dice, 300),
            silence: perhaps(dice, 60),
            refuse: perhaps(dice, 3_000),
            store_fails: perhaps(dice, 600),
            store_loses_reply: perhaps(dice, 600),
            keep_fails: perhaps(dice, 600),
            keep_breaks: perhaps(dice, 100),
            crash_server: perhaps(dice, 60),
            crash_agent: perhaps(dice, 300),
            late: perhaps(dice, 5_000),
            features: Features::default(),
        }
    }

    /// Changes what could not be with the features of the world.
    pub(super) fn suit_features(&mut self) {
        if !self.features.receive_queues.is_empty() {
            let servers = self.servers.len().max(2);
            self.servers.resize(servers, Version::MAX);
            self.people.iter_mut().for_each(|of| of.extend(0..servers));
            for of in &mut self.people {
                let mut known = [false; MACHINES];
                of.retain(|server| !std::mem::replace(&mut known[*server], true));
            }
        }
        if self.features.outages > 0 {
            self.crash_server = self.crash_server.max(20);
        }
        if !self.features.networks.is_empty() {
            // Older servers are no proxies.
            self.servers.iter_mut().for_each(|version| *version = (*version).max(Version(8)));
        }
    }

    /// Whether a server may be out of reach for a while.
    pub(super) const fn has_network_faults(&self) -> bool {
        let network = self.cut + self.silence + self.refuse;
        network + self.store_fails + self.store_loses_reply + self.crash_server + self.features.device > 0
    }

    /// Two people, with a server of these versions each, and nothing that fails.
    pub(super) fn of_story(versions: [Version; 2], pq: bool) -> Self {
        Self {
            servers: versions.to_vec(),
            people: vec![vec![0], vec![1]],
            talks: vec![(0, 1)],
            messages: 2,
            acts: 0,
            rounds: 1,
            pq: (pq, pq),
            quota: 128,
            network_delay: 100,
            inside_delay: 20,
            store_delay: 20,
            keep_delay: 20,
            cut: 0,
            silence: 0,
            refuse: 0,
            store_fails: 0,
            store_loses_reply: 0,
            keep_fails: 0,
            keep_breaks: 0,
            crash_server: 0,
            crash_agent: 0,
            late: 0,
            features: Features::default(),
        }
    }
}

/// Up to `most`, in half of the worlds; else 0: faults are found sooner when not all happen at once.
fn perhaps(dice: &mut Dice, most: usize) -> usize {
    if dice.chance(5_000) { dice.between(1, most) } else { 0 }
}

fn some_of(dice: &mut Dice, servers: usize) -> Vec<usize> {
    let first = dice.below(servers);
    let count = dice.between(1, servers);
    (0..count).map(|index| (first + index) % servers).collect()
}

fn two_of(dice: &mut Dice, people: usize) -> (usize, usize) {
    let first = dice.below(people);
    (first, (first + dice.between(1, people - 1)) % people)
}
