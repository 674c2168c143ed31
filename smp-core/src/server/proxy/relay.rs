//! A relay as the proxy knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Asker, ForwardId};
use crate::time::Timestamp;
use crate::wire::broker::RelaySession;
use crate::wire::{CorrelationId, EntityId, ServerAddress};

/// A relay that the server is connected or connecting to.
pub(super) struct Relay {
    pub(super) address: ServerAddress,
    /// It belongs to the operator of this server.
    pub(super) own: bool,
    pub(super) state: State,
}

pub(super) enum State {
    /// Until `due` at the latest.
    Connecting {
        waiting: Vec<Asker>,
        due: Timestamp,
    },
    Ready(Ready),
}

/// A session with a relay.
pub(super) struct Ready {
    pub(super) session: Arc<RelaySession>,
    /// Its id as the entity of commands.
    pub(super) entity: EntityId,
    /// What is forwarded and not known to be over.
    pub(super) flights: BTreeMap<ForwardId, Flight>,
    /// Answers missed since the relay was last heard.
    pub(super) missed: u32,
    /// When the relay was last heard, or had first something to answer after that.
    pub(super) silent_since: Timestamp,
    /// When the connection ends, while nothing is forwarded.
    pub(super) idle_due: Option<Timestamp>,
}

/// A command that is forwarded.
pub(super) struct Flight {
    /// Who is to be told; nobody when that was done, because it took too long.
    pub(super) asker: Option<Asker>,
    pub(super) correlation: CorrelationId,
    pub(super) deadline: Timestamp,
}

impl Relay {
    /// Requests without an answer, and forwards whose slot is taken.
    pub(super) fn in_flight(&self) -> usize {
        match &self.state {
            State::Connecting { waiting, .. } => waiting.len(),
            State::Ready(ready) => ready.flights.len(),
        }
    }
}

impl Ready {
    pub(super) const fn new(session: Arc<RelaySession>, entity: EntityId, now: Timestamp) -> Self {
        Self { session, entity, flights: BTreeMap::new(), missed: 0, silent_since: now, idle_due: None }
    }
}
