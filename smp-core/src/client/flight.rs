//! Commands in flight: written, or about to be, and without an answer.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::CommandId;
use crate::time::Timestamp;
use crate::wire::{CorrelationId, EntityId};

/// The commands in flight by correlation id, their deadlines, and a memory of those that nobody waits for any more.
pub(super) struct Flight<K> {
    commands: BTreeMap<CorrelationId, Flying<K>>,
    deadlines: BTreeSet<(Timestamp, CorrelationId)>,
    late: BTreeMap<CorrelationId, Flying<K>>,
    /// The keys of `late` from the oldest, with some that are no longer in it.
    late_order: VecDeque<CorrelationId>,
    late_max: usize,
}

/// A command in flight.
pub(super) struct Flying<K> {
    /// Who asked, if it was not the client itself.
    pub(super) id: Option<CommandId>,
    /// What the command is about; its answer names the same.
    pub(super) entity: EntityId,
    /// Which answers the command has.
    pub(super) kind: K,
    /// How long the answer may take from when the block is written.
    pub(super) patience: Duration,
    /// Until when the answer must come; set when the block is written.
    deadline: Option<Timestamp>,
}

/// What a correlation id stands for.
pub(super) enum Found<K> {
    /// A command in flight, which is no longer in flight now.
    Waiting(Flying<K>),
    /// A command that timed out or was cancelled.
    Late(Flying<K>),
    /// Nothing that is known.
    Unknown,
}

impl<K> Flying<K> {
    pub(super) const fn new(id: Option<CommandId>, entity: EntityId, kind: K, patience: Duration) -> Self {
        Self { id, entity, kind, patience, deadline: None }
    }
}

impl<K> Flight<K> {
    pub(super) const fn new(late_max: usize) -> Self {
        Self {
            commands: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            late: BTreeMap::new(),
            late_order: VecDeque::new(),
            late_max,
        }
    }

    /// True if the id stands for a command, so that it cannot stand for another.
    pub(super) fn knows(&self, correlation: &CorrelationId) -> bool {
        self.commands.contains_key(correlation) || self.late.contains_key(correlation)
    }

    /// A command was put into a block.
    pub(super) fn insert(&mut self, correlation: CorrelationId, command: Flying<K>) {
        self.commands.insert(correlation, command);
    }

    /// The block of the command was written: its deadline begins to run.
    pub(super) fn written(&mut self, correlation: &CorrelationId, now: Timestamp) {
        if let Some(command) = self.commands.get_mut(correlation) {
            let deadline = now + command.patience;
            command.deadline = Some(deadline);
            self.deadlines.insert((deadline, correlation.clone()));
        }
    }

    /// An answer came.
    pub(super) fn answered(&mut self, correlation: &CorrelationId) -> Found<K> {
        if let Some(command) = self.take(correlation) {
            Found::Waiting(command)
        } else if let Some(command) = self.late.remove(correlation) {
            Found::Late(command)
        } else {
            Found::Unknown
        }
    }

    /// Nobody waits for the answer any more.
    pub(super) fn cancel(&mut self, correlation: CorrelationId) {
        if let Some(command) = self.take(&correlation) {
            self.remember(correlation, command);
        }
    }

    /// A command whose deadline passed. It is remembered; who asked is returned.
    pub(super) fn expire(&mut self, now: Timestamp) -> Option<Option<CommandId>> {
        let (deadline, _) = self.deadlines.first()?;
        if *deadline > now {
            return None;
        }
        let (_, correlation) = self.deadlines.pop_first()?;
        let command = self.commands.remove(&correlation)?;
        let id = command.id;
        self.remember(correlation, command);
        Some(id)
    }

    /// When the next deadline passes.
    pub(super) fn timeout(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out everything and forgets the rest.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Flying<K>> + use<K> {
        self.deadlines.clear();
        self.late.clear();
        self.late_order.clear();
        core::mem::take(&mut self.commands).into_values()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    fn take(&mut self, correlation: &CorrelationId) -> Option<Flying<K>> {
        let command = self.commands.remove(correlation)?;
        if let Some(deadline) = command.deadline {
            self.deadlines.remove(&(deadline, correlation.clone()));
        }
        Some(command)
    }

    fn remember(&mut self, correlation: CorrelationId, command: Flying<K>) {
        self.late.insert(correlation.clone(), command);
        self.late_order.push_back(correlation);
        while self.late_order.len() > self.late_max {
            if let Some(oldest) = self.late_order.pop_front() {
                self.late.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correlation(number: u8) -> CorrelationId {
        CorrelationId::from([number; 24])
    }

    fn flight(numbers: core::ops::Range<u8>, late_max: usize) -> Flight<()> {
        let mut flight = Flight::new(late_max);
        for number in numbers {
            let id = CommandId(u64::from(number));
            let command = Flying::new(Some(id), EntityId::empty(), (), Duration::from_secs(15));
            flight.insert(correlation(number), command);
        }
        flight
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_deadline_runs_from_when_the_block_was_written() {
        let mut flight = flight(0..2, 8);
        assert_eq!(flight.timeout(), None);
        flight.written(&correlation(1), at(100));
        assert_eq!(flight.timeout(), Some(at(115)));
        assert_eq!(flight.expire(at(114)), None);
        assert_eq!(flight.expire(at(115)), Some(Some(CommandId(1))));
        assert_eq!((flight.expire(at(500)), flight.timeout(), flight.len()), (None, None, 1));
    }

    #[test]
    fn an_answer_stops_the_deadline_and_is_found_once() {
        let mut flight = flight(0..1, 8);
        flight.written(&correlation(0), at(0));
        assert!(matches!(flight.answered(&correlation(0)), Found::Waiting(_)));
        assert!(matches!(flight.answered(&correlation(0)), Found::Unknown));
        assert_eq!((flight.timeout(), flight.expire(at(500))), (None, None));
    }

    #[test]
    fn the_memory_of_late_answers_is_bounded() {
        let mut flight = flight(0..20, 4);
        for number in 0..20 {
            flight.cancel(correlation(number));
            assert!(flight.late.len() <= 4 && flight.late_order.len() <= 4);
        }
        assert!(matches!(flight.answered(&correlation(15)), Found::Unknown));
        assert!(matches!(flight.answered(&correlation(16)), Found::Late(_)));
        assert!(matches!(flight.answered(&correlation(16)), Found::Unknown));
        assert!(flight.knows(&correlation(17)) && !flight.knows(&correlation(16)));
    }
}
