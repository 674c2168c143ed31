//! How much of what was given out the socket has taken.

use core::time::Duration;
use std::collections::VecDeque;

use crate::time::Timestamp;
use crate::wire::CorrelationId;

/// Follows the blocks that were given out until the socket took their last byte.
pub(super) struct Written {
    /// Bytes given out since the connection began.
    given: u64,
    /// Bytes that the socket took of them.
    taken: u64,
    /// The blocks of commands that are not yet written, by the count of bytes at their end.
    blocks: VecDeque<(u64, Vec<CorrelationId>)>,
    /// Since when the socket took no byte although some wait.
    stalled: Option<Timestamp>,
}

impl Written {
    pub(super) const fn new() -> Self {
        Self { given: 0, taken: 0, blocks: VecDeque::new(), stalled: None }
    }

    /// Bytes were given out; they end a block with these commands, if any.
    pub(super) fn give(&mut self, bytes: usize, commands: Vec<CorrelationId>, now: Timestamp) {
        self.given = self.given.saturating_add(bytes as u64);
        if !commands.is_empty() {
            self.blocks.push_back((self.given, commands));
        }
        self.stalled.get_or_insert(now);
    }

    /// The socket took bytes. More than were given out count as all of them.
    pub(super) fn take(&mut self, bytes: usize, now: Timestamp) {
        if bytes == 0 {
            return;
        }
        self.taken = self.taken.saturating_add(bytes as u64).min(self.given);
        self.stalled = (self.taken < self.given).then_some(now);
    }

    /// The commands of the next block that was written whole.
    pub(super) fn next_block(&mut self) -> Option<Vec<CorrelationId>> {
        let (end, _) = self.blocks.front()?;
        if *end > self.taken {
            return None;
        }
        self.blocks.pop_front().map(|(_, commands)| commands)
    }

    /// Bytes that the socket has not taken.
    pub(super) fn waiting(&self) -> usize {
        usize::try_from(self.given - self.taken).unwrap_or(usize::MAX)
    }

    /// When the socket has taken nothing for `limit`.
    pub(super) fn timeout(&self, limit: Duration) -> Option<Timestamp> {
        self.stalled.map(|since| since + limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_block_is_written_with_its_last_byte() {
        let mut written = Written::new();
        let block = |number| vec![CorrelationId::from([number; 24])];
        written.give(100, Vec::new(), at(0));
        written.give(50, block(1), at(0));
        written.give(50, block(2), at(0));
        written.take(149, at(1));
        assert_eq!((written.next_block(), written.waiting()), (None, 51));
        written.take(1, at(1));
        assert_eq!((written.next_block(), written.next_block()), (Some(block(1)), None));
        written.take(1000, at(2));
        assert_eq!(
            (written.next_block(), written.next_block(), written.waiting()),
            (Some(block(2)), None, 0)
        );
    }

    #[test]
    fn a_socket_that_takes_nothing_is_stalled() {
        let limit = Duration::from_secs(40);
        let mut written = Written::new();
        assert_eq!(written.timeout(limit), None);
        written.give(10, Vec::new(), at(5));
        written.give(10, Vec::new(), at(20));
        assert_eq!(written.timeout(limit), Some(at(45)));
        written.take(0, at(30));
        assert_eq!(written.timeout(limit), Some(at(45)));
        written.take(5, at(30));
        assert_eq!(written.timeout(limit), Some(at(70)));
        written.take(15, at(31));
        assert_eq!(written.timeout(limit), None);
    }
}
