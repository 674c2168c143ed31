//! Events that the app has not taken.

use std::collections::{HashSet, VecDeque};

use smp_core::agent::{ConnectionId, Event, LocalMessageId};

/// Events in the order in which they came.
///
/// What waits is bounded by what the app did, and by a number:
///
/// | event | how many wait |
/// |---|---|
/// | Message | one for each receive queue; one that is told again while it waits is here once |
/// | Sent, NotSent, Received, Info, Connected, QueueDeleted, Deleted, UserDeleted | one or two for each message that the app sent, or connection that it made |
/// | Suspended, Finished | one for each call |
/// | Confirmation, Request, RatchetSync, Error, Up, Down | `max`; further ones are counted and thrown away |
pub(super) struct WaitingEvents {
    events: VecDeque<Event>,
    messages: HashSet<(ConnectionId, LocalMessageId)>,
    /// Events of the last row.
    unasked: usize,
    max: usize,
}

impl WaitingEvents {
    pub(super) fn new(max: usize) -> Self {
        Self { events: VecDeque::new(), messages: HashSet::new(), unasked: 0, max }
    }

    pub(super) fn push(&mut self, event: Event) {
        match &event {
            Event::Message(message) if !self.messages.insert((message.connection, message.id)) => return,
            event if !is_unasked(event) => {}
            _ if self.unasked < self.max => self.unasked += 1,
            _ => return self.miss(),
        }
        self.events.push_back(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        match &event {
            Event::Message(message) => _ = self.messages.remove(&(message.connection, message.id)),
            event if is_unasked(event) => self.unasked -= 1,
            _ => {}
        }
        Some(event)
    }

    /// A message was acknowledged: it does not wait any more.
    pub(super) fn forget(&mut self, connection: ConnectionId, id: LocalMessageId) {
        if self.messages.remove(&(connection, id)) {
            let is_it = |event: &Event| matches!(event, Event::Message(message) if (message.connection, message.id) == (connection, id));
            self.events.retain(|event| !is_it(event));
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.max);
    }

    fn miss(&mut self) {
        match self.events.back_mut() {
            Some(Event::Missed(count)) => *count += 1,
            _ => self.events.push_back(Event::Missed(1)),
        }
    }
}

/// Whether others decide how many there are.
fn is_unasked(event: &Event) -> bool {
    matches!(
        event,
        Event::Confirmation { .. }
            | Event::Request(_)
            | Event::RatchetSync { .. }
            | Event::Error(..)
            | Event::Up(..)
            | Event::Down(..)
            | Event::ServiceUp { .. }
            | Event::ServiceDown { .. }
            | Event::ServiceAll { .. }
            | Event::ServiceEnd { .. }
    )
}

#[cfg(test)]
mod tests {
    use smp_core::wire::agent::AgentError;

    use super::*;

    fn error() -> Event {
        Event::Error(None, AgentError::NoUser)
    }

    fn sent(id: i64) -> Event {
        Event::Sent(ConnectionId::new([1; 12]), LocalMessageId(id), None)
    }

    fn names(waiting: &mut WaitingEvents) -> Vec<String> {
        std::iter::from_fn(|| waiting.pop())
            .map(|event| match event {
                Event::Missed(count) => format!("Missed {count}"),
                event => format!("{event:?}"),
            })
            .collect()
    }

    /// What others cause is bounded, in its place it is told how much is missing, and what the app caused is all there.
    #[test]
    fn what_is_thrown_away_is_counted_in_its_place() {
        let mut waiting = WaitingEvents::new(2);
        for event in [error(), sent(1), error(), error(), error(), sent(2), error()] {
            waiting.push(event);
        }
        assert_eq!(names(&mut waiting), ["Error", "Sent", "Error", "Missed 2", "Sent", "Missed 1"]);
        waiting.push(error());
        assert_eq!(names(&mut waiting), ["Error"]);
    }
}
