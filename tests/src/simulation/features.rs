//! What worlds have beside queues, their messages, links and notifiers: drawn apart, so that worlds without it do not change
//! with it.

use super::dice::Dice;

/// Which of them a world has. Rates are of 10,000.
#[derive(Debug, Default)]
pub(super) struct Features {
    /// Queues are created with data of a link, and with a notifier.
    pub(super) creations: bool,
}

impl Features {
    /// What a seed stands for.
    pub(super) fn draw(seed: u64) -> Self {
        if seed < FIRST {
            return Self::default();
        }
        let mut dice = Dice::new(seed ^ APART);
        Self { creations: dice.chance(4_000) }
    }
}

/// The first seed whose world may have any: the seeds below find the faults that are named with them in any case.
pub const FIRST: u64 = 2_000;
const APART: u64 = 0x4645_4154_0000_0000;
