//! Whether the server of a world is the production shell, and what goes wrong with it. Rates are of 10,000.

use std::time::Duration;

use smp_runtime::testing::StreamLimits;

use super::super::dice::Dice;

/// What is drawn for the shell.
#[derive(Debug)]
pub(in super::super) struct ShellOptions {
    /// What sockets hold.
    pub(super) limits: StreamLimits,
    /// Microseconds between two polls of tasks, at most.
    pub(super) pause: usize,
    /// Of batches after which the store takes no more for a while.
    pub(super) full: usize,
    /// Of client acts at which the server is told to stop, and milliseconds that it is given for that.
    pub(super) stop: usize,
    pub(super) grace: usize,
    /// Of ended connections that the server sees broken.
    pub(super) reset: usize,
}

impl ShellOptions {
    /// Drawn apart from everything else of the world, so that worlds without a shell do not change with it.
    pub(in super::super) fn draw(seed: u64) -> Option<Self> {
        let mut dice = Dice::new(seed ^ APART);
        dice.chance(SHELLS).then(|| Self {
            limits: StreamLimits {
                written: 1 << dice.between(12, 17),
                unread: usize::MAX,
                read: 1 << dice.between(8, 16),
            },
            pause: if dice.chance(5_000) { dice.between(1, 20_000) } else { 0 },
            full: if dice.chance(5_000) { dice.between(1, 2_000) } else { 0 },
            stop: if dice.chance(5_000) { dice.between(1, 500) } else { 0 },
            grace: dice.between(0, 15_000),
            reset: dice.between(0, 10_000),
        })
    }

    /// How long the next poll waits.
    pub(super) fn pause(&self, dice: &mut Dice) -> Duration {
        Duration::from_micros(if dice.chance(5_000) { 0 } else { dice.below(self.pause + 1) as u64 })
    }
}

/// Of worlds whose server is the shell.
const SHELLS: usize = 2_500;
const APART: u64 = 0x5045_4c4c_0000_0000;
