//! The one source of chance of a world, and what it decides at the beginning.

use std::time::Duration;

use smp_core::SeededEntropy;

use super::features::Features;
use super::shell::ShellOptions;

/// Chance, as a function of the seed.
pub(super) struct Dice {
    entropy: SeededEntropy,
    /// There are no faults for the time being.
    pub(super) is_calm: bool,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self { entropy: SeededEntropy::new(bytes), is_calm: false }
    }

    /// A seed for a machine.
    pub(super) fn seed(&mut self) -> [u8; 32] {
        self.entropy.fork_seed()
    }

    pub(super) const fn entropy(&mut self) -> &mut SeededEntropy {
        &mut self.entropy
    }

    /// A number below `end`; 0 if there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let drawn = u64::from_le_bytes(self.entropy.bytes()) % (end.max(1) as u64);
        usize::try_from(drawn).expect("below a usize")
    }

    pub(super) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True `rate` times in 10,000.
    pub(super) fn chance(&mut self, rate: usize) -> bool {
        rate > 0 && self.below(10_000) < rate
    }

    /// Whether a fault of this rate happens now.
    pub(super) fn fault(&mut self, rate: usize) -> bool {
        !self.is_calm && self.chance(rate)
    }

    /// A delay: mostly short, at most `max` milliseconds.
    pub(super) fn delay(&mut self, max: usize) -> Duration {
        let max = if self.chance(1_000) { max } else { max / 10 };
        Duration::from_micros(self.below(max * 1000 + 1) as u64)
    }

    /// `most`, in half of the worlds; else 0: faults are found sooner when not all happen at once.
    fn perhaps(&mut self, most: usize) -> usize {
        if self.chance(5_000) { self.between(1, most) } else { 0 }
    }
}

/// What kind of a world it is. Rates are of 10,000.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) servers: usize,
    /// Clients of each server.
    pub(super) clients: usize,
    /// How often clients do something in a round.
    pub(super) acts: usize,
    /// Rounds of faults, each with a time without faults at its end.
    pub(super) rounds: usize,
    pub(super) tls: bool,
    pub(super) queues: usize,
    /// Clients use keys of all kinds; then none is older than version 7.
    pub(super) all_keys: bool,
    /// Queues are created with a password.
    pub(super) password: bool,
    /// Seconds after which silent connections without subscriptions are closed; 0 for never.
    pub(super) idle: usize,
    /// Commands of a block.
    pub(super) commands: usize,
    pub(super) quota: usize,
    pub(super) slots: usize,
    /// Hours that messages are kept; 0 for ever.
    pub(super) ttl: usize,
    /// Milliseconds that bytes are on the way, at most.
    pub(super) network_delay: usize,
    /// Milliseconds between sessions and the broker.
    pub(super) inside_delay: usize,
    /// Milliseconds that the store takes for each step.
    pub(super) store_delay: usize,
    /// Of pieces of bytes after which the connection is cut, or goes silent.
    pub(super) cut: usize,
    pub(super) silence: usize,
    /// Of outputs after which the client reads nothing for a while.
    pub(super) stall: usize,
    /// Of batches and look-ups that fail, and batches that succeed but are said to have failed.
    pub(super) store_fails: usize,
    pub(super) store_loses_reply: usize,
    /// Of effects before which the server crashes.
    pub(super) crash: usize,
    /// Of client acts before which the clock jumps.
    pub(super) clock_jump: usize,
    /// Of commands that are somebody else's attempt.
    pub(super) attack: usize,
    /// The server is the production shell.
    pub(super) shell: Option<ShellOptions>,
    pub(super) features: Features,
}

impl Options {
    /// What a seed stands for.
    pub(super) fn of(seed: u64, dice: &mut Dice) -> Self {
        let mut options = Self::draw(dice);
        options.shell = ShellOptions::draw(seed);
        options.features = Features::draw(seed);
        if !options.features.services.is_empty() {
            options.clients = options.clients.max(3);
        }
        if options.shell.is_some() {
            // Its connections to relays would have to be the world's too.
            options.features.routing = 0;
        }
        if options.features.routing > 0 {
            // Certificates are valid at a time.
            options.clock_jump = 0;
            let more = if options.servers == 1 { 2 } else { 1 };
            options.servers *= more;
            options.acts *= more;
            options.queues *= more;
        }
        if options.shell.is_some() {
            // The shell's connections have TLS, and certificates are valid at a time.
            options.clock_jump = 0;
        }
        options
    }

    fn draw(dice: &mut Dice) -> Self {
        let tls = dice.chance(600);
        let servers = if dice.chance(2_000) { dice.between(2, 3) } else { 1 };
        Self {
            servers,
            clients: dice.between(1, 5),
            acts: dice.between(10, 60) * servers,
            rounds: dice.between(1, 3),
            tls,
            queues: dice.between(1, 8) * servers,
            all_keys: dice.chance(2_500),
            password: dice.chance(2_500),
            idle: dice.perhaps(30),
            commands: dice.between(1, 5),
            quota: dice.between(1, 8),
            slots: dice.between(1, 4),
            ttl: if dice.chance(2_500) { dice.between(1, 48) } else { 0 },
            network_delay: dice.between(1, 2_000),
            inside_delay: dice.perhaps(2_000),
            store_delay: dice.perhaps(10_000),
            cut: dice.perhaps(200),
            silence: dice.perhaps(100),
            stall: dice.perhaps(200),
            store_fails: dice.perhaps(1_000),
            store_loses_reply: dice.perhaps(1_000),
            crash: dice.perhaps(100),
            clock_jump: if tls { 0 } else { dice.perhaps(500) },
            attack: dice.perhaps(1_500),
            shell: None,
            features: Features::default(),
        }
    }
}
