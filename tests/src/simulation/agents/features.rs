//! What worlds of agents have beside handshakes and messages: drawn apart, so that worlds of lower seeds stay as they are.

use smp_core::agent::{NetworkConfig, ProxyFallback, ProxyMode, SessionMode, UserId};

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
    /// Apps ask how a connection is after a crash.
    pub(super) status: bool,
    /// Which talks begin at a contact address, and how often who asks there is turned away first.
    pub(super) addresses: Vec<Option<usize>>,
    /// Of calls that the agent is to keep, of those that can be kept.
    pub(super) durable: usize,
    /// The user of each side of each talk; none if everybody has one.
    pub(super) users: Vec<[UserId; 2]>,
    /// How often an invitation is given to another user.
    pub(super) changes: usize,
    /// Who deletes a user.
    pub(super) departure: Option<Departure>,
    /// How each person reaches servers; none if directly.
    pub(super) networks: Vec<NetworkConfig>,
    /// From how many queues each person receives; none if from one.
    pub(super) receive_queues: Vec<usize>,
    /// Of crashes of servers after which they stay away for long.
    pub(super) outages: usize,
}

/// How somebody deletes a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Departure {
    pub(super) person: usize,
    pub(super) user: UserId,
    /// Not before he has sent all that he wants to.
    pub(super) is_late: bool,
    pub(super) keep_queues: bool,
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
    pub(super) fn draw(seed: u64, talks: usize, people: usize) -> Self {
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
        let former = Self { receipts, pq, device, rotations, aborts, resyncs, deletions, ..Self::default() };
        if seed < WHOLE_FIRST { former } else { former.whole(seed, talks, people) }
    }

    /// What worlds of the highest seeds may have beside that.
    fn whole(self, seed: u64, talks: usize, people: usize) -> Self {
        let mut dice = Dice::new(seed ^ WHOLE_APART);
        let has_addresses = dice.chance(4_000);
        let mut address =
            || dice.chance(7_000).then(|| if dice.chance(4_000) { dice.between(1, 2) } else { 0 });
        let addresses = (0..talks).map(|_| has_addresses.then(&mut address).flatten()).collect();
        let durable = if dice.chance(4_000) { dice.between(2_000, 10_000) } else { 0 };
        let has_users = dice.chance(3_500);
        let mut user = || UserId(if dice.chance(5_000) { 1 } else { 2 });
        let users = (0..if has_users { talks } else { 0 }).map(|_| [user(), user()]).collect();
        let kind = if has_users { dice.below(10) } else { 9 };
        let changes = if kind < 4 { dice.between(1, 3) } else { 0 };
        let departure = (4..9).contains(&kind).then(|| Departure {
            person: dice.below(people),
            user: UserId(if dice.chance(5_000) { 1 } else { 2 }),
            is_late: dice.chance(6_000),
            keep_queues: dice.chance(3_000),
        });
        let (routes, is_redundant) = (dice.chance(3_500), dice.chance(3_500));
        let networks = (0..if routes { people } else { 0 }).map(|_| network(&mut dice)).collect();
        let queues = |dice: &mut Dice| if dice.chance(7_000) { dice.between(2, 3) } else { 1 };
        let receive_queues = (0..if is_redundant { people } else { 0 }).map(|_| queues(&mut dice)).collect();
        let outages = if is_redundant && dice.chance(5_000) { dice.between(1_000, 6_000) } else { 0 };
        let mut whole = Self { status: true, addresses, durable, users, changes, departure, ..self };
        if is_redundant {
            (whole.rotations, whole.aborts, whole.resyncs) = (0, 0, 0);
        }
        Self { networks, receive_queues, outages, ..whole }
    }
}

/// How somebody reaches servers.
fn network(dice: &mut Dice) -> NetworkConfig {
    let modes = [ProxyMode::Always, ProxyMode::Unknown, ProxyMode::Unprotected, ProxyMode::Never];
    let fallbacks = [ProxyFallback::Allow, ProxyFallback::Protected, ProxyFallback::Prohibit];
    let sessions = [SessionMode::User, SessionMode::Session, SessionMode::Server, SessionMode::Entity];
    NetworkConfig {
        sessions: sessions[dice.below(4)],
        proxy: modes[dice.below(4)],
        fallback: fallbacks[dice.below(3)],
        has_socks: dice.chance(3_000),
        prefers_onion: dice.chance(3_000),
    }
}

/// The first seed whose world may have any: `agent_seeds.txt` has older ones.
pub const FIRST: u64 = 100_000;
/// And the first whose world may have all of them.
pub const WHOLE_FIRST: u64 = 200_000;
const WHOLE_APART: u64 = 0x5748_4f4c_0000_0000;
const APART: u64 = 0x4645_4154_0000_0000;
