//! What worlds of agents have beside handshakes and messages: drawn apart, so that worlds of lower seeds stay as they are.

use super::super::dice::Dice;

/// Which of them a world has. Rates are of 10,000.
#[derive(Clone, Debug, Default)]
pub(super) struct Features {
    /// Of acknowledgements that give a receipt.
    pub(super) receipts: usize,
    /// Of messages that switch post-quantum encryption on or off.
    pub(super) pq: usize,
    /// Of acts of apps that are about the device: it loses its network, or has the agent rest.
    pub(super) device: usize,
    /// How often each side moves to another queue in a round, and how often it gives that up.
    pub(super) rotations: usize,
    pub(super) aborts: usize,
    /// How often each side wants a new ratchet in a round.
    pub(super) resyncs: usize,
    /// Which side of each talk deletes its connection, and how.
    pub(super) deletions: Vec<Option<Deletion>>,
}

/// How somebody leaves a talk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Deletion {
    pub(super) side: usize,
    /// Not before he has sent all that he wants to.
    pub(super) is_late: bool,
    /// What was accepted is sent before.
    pub(super) wait_delivery: bool,
}

impl Features {
    /// What a seed stands for.
    pub(super) fn draw(seed: u64, talks: usize) -> Self {
        if seed < FIRST {
            return Self::default();
        }
        let mut dice = Dice::new(seed ^ APART);
        let receipts = if dice.chance(5_000) { dice.between(1_000, 10_000) } else { 0 };
        let pq = if dice.chance(2_000) { dice.between(500, 5_000) } else { 0 };
        let device = if dice.chance(3_000) { dice.between(100, 1_500) } else { 0 };
        // An agent refuses what belongs to a rotation while ratchets are made anew.
        let kind = dice.below(10);
        let rotations = if kind < 4 { dice.between(1, 3) } else { 0 };
        let aborts = if kind < 2 { dice.between(1, 2) } else { 0 };
        let resyncs = if (4..7).contains(&kind) { dice.between(1, 3) } else { 0 };
        let deletes = dice.chance(2_500);
        let mut deletion = || Deletion {
            side: dice.below(2),
            is_late: dice.chance(6_000),
            wait_delivery: dice.chance(6_000),
        };
        let deletions = (0..talks).map(|_| deletes.then(&mut deletion)).collect();
        Self { receipts, pq, device, rotations, aborts, resyncs, deletions }
    }
}

/// The first seed whose world may have any: `agent_seeds.txt` has older ones.
pub const FIRST: u64 = 100_000;
const APART: u64 = 0x4645_4154_0000_0000;
