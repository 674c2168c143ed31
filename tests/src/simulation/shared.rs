//! What everything in a world shares: chance, time, the trace, and what the peers know of queues.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use bytes::Bytes;
use smp_core::Timestamp;
use smp_core::crypto::{AuthPrivateKey, DhSecret};
use smp_core::server::ConnectionId;
use smp_core::wire::error::BlockingInfo;
use smp_core::wire::{EntityId, MessageId, QueueMode};

use super::dice::{Dice, Options};
use super::model::Asked;
use super::notifiers::SimNotifier;
use super::relays::Routing;
use super::trace::Trace;

/// A queue, as its users know it.
pub(super) struct SimQueue {
    pub(super) recipient_id: EntityId,
    pub(super) sender_id: EntityId,
    pub(super) recipient_key: AuthPrivateKey,
    pub(super) secret: DhSecret,
    /// The client that receives from it when there are no faults, and where its server is.
    pub(super) owner: usize,
    pub(super) site: usize,
    /// What it is for; clients before version 9 cannot say. Senders may secure a messaging queue, and a contact queue may have
    /// several recipient keys.
    pub(super) mode: Option<QueueMode>,
    /// A second key of the recipient, while it is certain that RKEY set it, and those that certainly were.
    pub(super) second_key: Option<AuthPrivateKey>,
    pub(super) former_keys: Vec<AuthPrivateKey>,
    /// RKEY commands, and those of them that were not answered OK.
    pub(super) rkeys_sent: usize,
    pub(super) rkeys_open: usize,
    /// The key that somebody tried to secure it with.
    pub(super) sender_key: Option<AuthPrivateKey>,
    /// That was answered OK.
    pub(super) is_secured: bool,
    /// More than one key was tried.
    pub(super) keys_tried: usize,
    pub(super) off_asked: bool,
    pub(super) delete_asked: bool,
    /// What the operator asked for: to block it for this, or to end that.
    pub(super) blocks_asked: Vec<Option<BlockingInfo>>,
    /// Bodies that were answered OK, and those that were received.
    pub(super) accepted: BTreeSet<Vec<u8>>,
    pub(super) received: BTreeSet<Vec<u8>>,
    /// The id of its link, which whoever receives from it sets and removes.
    pub(super) link_id: EntityId,
    /// The part of its data that never changes.
    pub(super) link_fixed: Bytes,
    /// Messages whose ACK was answered OK: on which connection, with which output, and when that was received.
    pub(super) acknowledged: BTreeMap<MessageId, (ConnectionId, u64, Timestamp)>,
}

impl SimQueue {
    pub(super) fn new(
        recipient_id: EntityId,
        sender_id: EntityId,
        recipient_key: AuthPrivateKey,
        (secret, (link_id, link_fixed)): (DhSecret, (EntityId, Bytes)),
        (owner, site): (usize, usize),
        mode: Option<QueueMode>,
    ) -> Self {
        Self {
            recipient_id,
            sender_id,
            recipient_key,
            secret,
            owner,
            site,
            mode,
            second_key: None,
            former_keys: Vec::new(),
            rkeys_sent: 0,
            rkeys_open: 0,
            sender_key: None,
            is_secured: false,
            keys_tried: 0,
            off_asked: false,
            delete_asked: false,
            blocks_asked: Vec::new(),
            accepted: BTreeSet::new(),
            received: BTreeSet::new(),
            link_id,
            link_fixed,
            acknowledged: BTreeMap::new(),
        }
    }
}

/// What everything in a world shares.
pub(super) struct Shared {
    pub(super) dice: Dice,
    pub(super) options: Options,
    pub(super) queues: Vec<SimQueue>,
    pub(super) asked: Asked,
    pub(super) routing: Routing,
    /// All ids of queues.
    pub(super) ids: BTreeSet<EntityId>,
    pub(super) notifiers: Vec<SimNotifier>,
    /// Which queue and body a message has.
    pub(super) messages: BTreeMap<MessageId, (usize, Vec<u8>)>,
    /// Commands and answers that were exchanged, and messages that were received.
    pub(super) counts: Counts,
    pub(super) trace: Trace,
}

/// How much happened in a world.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Events of the world.
    pub events: u64,
    /// Commands that were sent.
    pub commands: u64,
    /// Answers that were received.
    pub answers: u64,
    /// Messages that were received, again or for the first time.
    pub messages: u64,
    /// Crashes of the server.
    pub crashes: u64,
    /// 1 if the server is the production shell.
    pub shells: u64,
    /// Ends of the server in order.
    pub stops: u64,
    /// Connections that were cut or went silent.
    pub cuts: u64,
    /// Commands that relays answered.
    pub forwards: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { shells, events, commands, answers, messages, crashes, stops, cuts, forwards } = other;
        self.shells += shells;
        self.events += events;
        self.commands += commands;
        self.answers += answers;
        self.messages += messages;
        self.crashes += crashes;
        self.stops += stops;
        self.cuts += cuts;
        self.forwards += forwards;
    }
}

impl Shared {
    pub(super) fn new(seed: u64, is_verbose: bool) -> Self {
        let mut dice = Dice::new(seed);
        let options = Options::of(seed, &mut dice);
        let counts = Counts { shells: options.shell.is_some().into(), ..Counts::default() };
        Self {
            dice,
            options,
            queues: Vec::new(),
            asked: Asked::default(),
            routing: Routing::default(),
            ids: BTreeSet::new(),
            notifiers: Vec::new(),
            messages: BTreeMap::new(),
            counts,
            trace: Trace::new(is_verbose),
        }
    }

    /// Whether a client has queues to receive from.
    pub(super) fn has_queues(&self, peer: usize) -> bool {
        self.queues.iter().any(|queue| queue.owner == peer && !queue.delete_asked)
    }
}
