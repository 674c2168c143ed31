//! Relays that could not be reached lately.

use std::collections::{BTreeMap, VecDeque};

use crate::time::Timestamp;
use crate::wire::ServerAddress;
use crate::wire::error::ErrorType;

/// What came of the last attempts, for a time; a bounded number of them.
pub(super) struct Failures {
    max: usize,
    known: BTreeMap<ServerAddress, (Timestamp, ErrorType)>,
    /// In the order in which they are forgotten, which is that in which they came.
    order: VecDeque<(Timestamp, ServerAddress)>,
}

impl Failures {
    pub(super) const fn new(max: usize) -> Self {
        Self { max, known: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Why the relay cannot be reached, if that is known. What is older is forgotten.
    pub(super) fn find(&mut self, now: Timestamp, address: &ServerAddress) -> Option<ErrorType> {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
        self.known.get(address).map(|(_, error)| error.clone())
    }

    pub(super) fn remember(&mut self, address: ServerAddress, until: Timestamp, error: ErrorType) {
        self.order.push_back((until, address.clone()));
        self.known.insert(address, (until, error));
        while self.order.len() > self.max {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((until, address)) = self.order.pop_front() else { return };
        if self.known.get(&address).is_some_and(|(known, _)| *known == until) {
            self.known.remove(&address);
        }
    }
}
