//! What worlds have beside queues, their messages, links and notifiers: drawn apart, so that worlds without it do not change
//! with it.

use super::dice::Dice;
use super::services::SERVICES;

/// Which of them a world has. Rates are of 10,000.
#[derive(Debug, Default)]
pub(super) struct Features {
    /// Queues are created with data of a link, and with a notifier.
    pub(super) creations: bool,
    /// Which service each client of a server is.
    pub(super) services: Vec<Option<usize>>,
    /// Of client acts at which the operator does something to a queue.
    pub(super) moderation: usize,
    /// Of commands that ask for a name; the servers have a resolver then.
    pub(super) names: usize,
    /// Of commands that go through the server of the client's site to another one.
    pub(super) routing: usize,
    /// Of commands that a proxy forwards twice.
    pub(super) repeats: usize,
}

impl Features {
    /// What a seed stands for.
    pub(super) fn draw(seed: u64) -> Self {
        if seed < FIRST {
            return Self::default();
        }
        let mut dice = Dice::new(seed ^ APART);
        let creations = dice.chance(4_000);
        let has_services = dice.chance(3_500);
        let clients = if has_services { CLIENTS_MAX } else { 0 };
        let mut service = || dice.chance(6_000).then(|| dice.below(SERVICES));
        let services = (0..clients).map(|_| service()).collect();
        let moderation = if dice.chance(3_000) { dice.between(100, 1_500) } else { 0 };
        let names = if dice.chance(3_000) { dice.between(200, 2_000) } else { 0 };
        // After everything else, so that the rest is drawn as before.
        let mut dice = Dice::new(seed ^ ROUTING_APART);
        let routing = if dice.chance(2_000) { dice.between(500, 4_000) } else { 0 };
        let repeats = if dice.chance(5_000) { dice.between(100, 2_000) } else { 0 };
        Self { creations, services, moderation, names, routing, repeats }
    }
}

/// The first seed whose world may have any: the seeds below find the faults that are named with them in any case.
pub const FIRST: u64 = 2_000;
/// Of one server.
const CLIENTS_MAX: usize = 5;
const APART: u64 = 0x4645_4154_0000_0000;
const ROUTING_APART: u64 = 0x524f_5554_0000_0000;
