//! Names in a world: its resolver finds some, does not know others, and gives up for the rest.

use std::time::Duration;

use smp_core::wire::error::{ErrorType, NameError};
use smp_core::wire::names::{Name, NameRecord};
use smp_core::wire::{BrokerMessage, Command, EntityId, Version};

use super::client::Peer;
use super::commands::Sent;
use super::shared::Shared;

impl Peer {
    /// RSLV of a name that nobody asked for before.
    pub(super) fn resolve(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        let kind = KINDS[shared.dice.below(KINDS.len())];
        let name = format!("{kind}.n{}.simplex", shared.counts.commands);
        let name: Name = name.parse().expect("a name");
        let link = self.link.as_mut()?;
        if link.parameters.as_ref()?.version < Version::NAMES {
            return None;
        }
        shared.trace.note("client sends RSLV", &[self.index as u64]);
        link.transmission(shared, None, &EntityId::empty(), &Command::Rslv(name.clone()), Sent::Resolve(name))
    }
}

/// What the resolver comes to, and how long it takes: not the same for all, so that answers overtake others.
pub(super) fn resolve(name: &Name) -> (Result<Box<NameRecord>, NameError>, Duration) {
    let spread = name.as_str().bytes().map(u64::from).sum::<u64>() * 7_919 % 2_000;
    let soon = Duration::from_millis(spread);
    match name.as_str().split('.').next() {
        Some(FOUND) => (Ok(Box::new(record(name))), soon),
        Some(MISSING) => (Err(NameError::NotFound), soon),
        _ => (Err(NameError::Resolver("timeout".into())), GIVES_UP),
    }
}

/// The answer to RSLV.
pub(super) fn resolved(shared: &mut Shared, name: &Name, answer: &BrokerMessage) {
    shared.trace.note("client hears of a name", &[]);
    let is_right = match (resolve(name).0, answer) {
        (Ok(record), BrokerMessage::RName(told)) => record == *told,
        (Err(error), BrokerMessage::Err(ErrorType::Name(told))) => error == *told,
        _ => false,
    };
    shared.trace.expect(is_right, || "a name was resolved to something else".into());
}

fn record(name: &Name) -> NameRecord {
    NameRecord {
        name: name.as_str().to_owned(),
        nickname: String::new(),
        website: String::new(),
        location: String::new(),
        simplex_contact: vec![format!("contact of {}", name.as_str())],
        simplex_channel: Vec::new(),
        eth: None,
        btc: None,
        xmr: None,
        dot: None,
        owner: "0x0".into(),
        resolver: "0x1".into(),
    }
}

const FOUND: &str = "found";
const MISSING: &str = "missing";
const KINDS: [&str; 3] = [FOUND, MISSING, "silent"];
/// After which time a resolver has to give up.
const GIVES_UP: Duration = Duration::from_secs(5);
