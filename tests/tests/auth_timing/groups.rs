//! The commands that are asked, and for which reasons each is refused.

use smp_core::SeededEntropy;
use smp_core::wire::{EntityId, Version};

use super::Depth;

/// How a command is authorised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Ed25519,
    Ed448,
    X25519,
    None,
}

pub(crate) const KEYS: [Kind; 3] = [Kind::Ed25519, Kind::Ed448, Kind::X25519];

/// How a command comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// From its client.
    Direct,
    /// Through a proxy.
    Proxy,
}

/// Commands that must cost the same.
pub(crate) struct Group {
    pub(crate) version: Version,
    pub(crate) way: Way,
    pub(crate) command: &'static str,
    pub(crate) kind: Kind,
    pub(crate) depth: Depth,
    pub(crate) reasons: Vec<Reason>,
}

/// A reason to refuse a command.
#[derive(Clone)]
pub(crate) struct Reason {
    pub(crate) why: &'static str,
    /// What the command is about.
    pub(crate) entity: EntityId,
    /// What it says as the password, if it is one that says it.
    pub(crate) password: &'static str,
}

/// The queues that there are for each kind of key; there is none of `Deleted`.
#[derive(Clone, Copy)]
pub(crate) enum Queue {
    Secured = 1,
    OtherKind,
    Unsecured,
    Suspended,
    SuspendedUnsecured,
    Contact,
    Deleted,
}

/// The ids of a queue.
pub(crate) struct EntityIds {
    pub(crate) recipient: EntityId,
    pub(crate) sender: EntityId,
    pub(crate) link: EntityId,
    pub(crate) notifier: EntityId,
}

impl Group {
    pub(crate) const fn len(&self) -> usize {
        self.reasons.len()
    }
}

impl EntityIds {
    pub(crate) fn of(kind: Kind, queue: Queue) -> Self {
        Self::random(&mut SeededEntropy::new([10 * (kind as u8 + 1) + queue as u8; 32]))
    }

    pub(crate) fn random(entropy: &mut SeededEntropy) -> Self {
        let [recipient, sender, link, notifier] = [(); 4].map(|()| entropy.bytes::<24>().into());
        Self { recipient, sender, link, notifier }
    }
}

/// All of them.
pub(crate) fn groups() -> Vec<Group> {
    let all = std::env::var(COUNT_ALL).is_ok_and(|value| value == "all");
    let mut groups = Vec::new();
    for version in [Version::MAX, Version::MIN] {
        // Most of the path is the same for all commands, kinds and versions: each part of it is stepped through once.
        let around = |is_stepped| match all || is_stepped && version == Version::MAX {
            true => Depth::Around,
            false => Depth::Calls,
        };
        for kind in KEYS {
            let mut add = |command, depth, reasons| {
                groups.push(Group { version, way: Way::Direct, command, kind, depth, reasons });
            };
            for command in ["GET", "ACK", "KEY", "RKEY", "OFF", "DEL", "QUE", "NKEY", "NDEL", "LSET", "LDEL"]
            {
                add(command, around(false), about_recipients(kind));
            }
            let is_first = kind == Kind::Ed25519;
            add("SUB", around(true), about_recipients(kind));
            add("SEND", around(is_first), about_senders(kind));
            add("SKEY", around(is_first), about_keys(kind));
            add("LKEY", around(false), about_link_keys(kind));
            add("NSUB", around(is_first), about_notifiers(kind));
            add("NEW", around(is_first), about_passwords());
            if version == Version::MAX && (all || is_first) {
                add("SUB", Depth::Everything, about_recipients(kind).into_iter().take(2).collect());
            }
        }
        let mut add = |command, reasons| {
            let (way, kind, depth) = (Way::Direct, Kind::None, around(true));
            groups.push(Group { version, way, command, kind, depth, reasons });
        };
        add("SEND", unsigned());
        add("LGET", about_links());
    }
    groups.extend(forwarded(all));
    groups
}

/// What senders may have a proxy forward.
fn forwarded(all: bool) -> Vec<Group> {
    let (version, way) = (Version::MAX, Way::Proxy);
    let mut groups = Vec::new();
    let mut add =
        |command, kind, depth, reasons| groups.push(Group { version, way, command, kind, depth, reasons });
    let depth = if all { Depth::Around } else { Depth::Calls };
    for kind in KEYS {
        add("SEND", kind, depth, about_senders(kind));
        add("SKEY", kind, depth, about_keys(kind));
        add("LKEY", kind, depth, about_link_keys(kind));
    }
    add("SEND", Kind::None, depth, unsigned());
    add("LGET", Kind::None, depth, about_links());
    if !all {
        // The layers alone take 200,000 steps for each reason.
        let reasons = about_senders(Kind::X25519).into_iter().take(2).collect();
        add("SEND", Kind::X25519, Depth::Around, reasons);
    }
    groups
}

/// Set to `all` it has everything stepped through, which takes minutes.
const COUNT_ALL: &str = "SMP_AUTH_TIMING";

fn about<const N: usize>(reasons: [(&'static str, EntityId); N]) -> Vec<Reason> {
    reasons.into_iter().map(|(why, entity)| Reason { why, entity, password: "" }).collect()
}

fn about_recipients(kind: Kind) -> Vec<Reason> {
    let of = |queue| EntityIds::of(kind, queue);
    about([
        ("unknown queue", of(Queue::Deleted).recipient),
        ("wrong key", of(Queue::Secured).recipient),
        ("wrong kind of key", of(Queue::OtherKind).recipient),
        ("suspended queue", of(Queue::Suspended).recipient),
        ("sender id", of(Queue::Secured).sender),
    ])
}

fn about_senders(kind: Kind) -> Vec<Reason> {
    let of = |queue| EntityIds::of(kind, queue);
    about([
        ("unknown queue", of(Queue::Deleted).sender),
        ("wrong key", of(Queue::Secured).sender),
        ("wrong kind of key", of(Queue::OtherKind).sender),
        ("suspended queue", of(Queue::Suspended).sender),
        ("no key is set", of(Queue::Unsecured).sender),
        ("recipient id", of(Queue::Secured).recipient),
    ])
}

/// SKEY brings its key, so the right one signs.
fn about_keys(kind: Kind) -> Vec<Reason> {
    let of = |queue| EntityIds::of(kind, queue);
    about([
        ("unknown queue", of(Queue::Deleted).sender),
        ("another key is set", of(Queue::Secured).sender),
        ("another kind is set", of(Queue::OtherKind).sender),
        ("contact queue", of(Queue::Contact).sender),
        ("recipient id", of(Queue::Secured).recipient),
    ])
}

/// LKEY likewise.
fn about_link_keys(kind: Kind) -> Vec<Reason> {
    let of = |queue| EntityIds::of(kind, queue);
    about([
        ("unknown link", of(Queue::Deleted).link),
        ("another key is set", of(Queue::Secured).link),
        ("another kind is set", of(Queue::OtherKind).link),
        ("suspended queue", of(Queue::Suspended).link),
        ("contact queue", of(Queue::Contact).link),
        ("sender id", of(Queue::Secured).sender),
    ])
}

fn about_links() -> Vec<Reason> {
    let of = |queue| EntityIds::of(Kind::Ed25519, queue);
    about([
        ("unknown link", of(Queue::Deleted).link),
        ("invitation", of(Queue::Unsecured).link),
        ("used invitation", of(Queue::Secured).link),
        ("suspended queue", of(Queue::Suspended).link),
        ("sender id", of(Queue::Contact).sender),
    ])
}

fn about_notifiers(kind: Kind) -> Vec<Reason> {
    let of = |queue| EntityIds::of(kind, queue);
    about([
        ("unknown notifier", of(Queue::Deleted).notifier),
        ("wrong key", of(Queue::Secured).notifier),
        ("wrong kind of key", of(Queue::OtherKind).notifier),
        ("suspended queue", of(Queue::Suspended).notifier),
        ("recipient id", of(Queue::Secured).recipient),
        ("sender id", of(Queue::Secured).sender),
    ])
}

/// The password is `correct`. That one has another length may be told.
fn about_passwords() -> Vec<Reason> {
    [("the first letter", "Correct"), ("the last letter", "correcT"), ("all letters", "WRONGLY")]
        .map(|(why, password)| Reason { why, entity: EntityId::empty(), password })
        .into()
}

fn unsigned() -> Vec<Reason> {
    let of = |queue| EntityIds::of(Kind::Ed25519, queue);
    about([
        ("unknown queue", of(Queue::Deleted).sender),
        ("a key is set", of(Queue::Secured).sender),
        ("suspended queue", of(Queue::Suspended).sender),
        ("suspended, no key", of(Queue::SuspendedUnsecured).sender),
        ("recipient id", of(Queue::Unsecured).recipient),
    ])
}
