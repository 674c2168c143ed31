//! What waits for the socket: how much, since when, and how many deliveries are in it.

use std::collections::VecDeque;

use super::{Session, SessionOutput};
use crate::server::broker::Request;
use crate::time::Timestamp;
use crate::wire::batch::BatchWriter;

/// Bytes that were given out and that the socket has not taken.
#[derive(Default)]
pub(super) struct Outbox {
    /// Bytes given out since the beginning.
    given: u64,
    /// Bytes that the socket took.
    taken: u64,
    /// Where the blocks with deliveries end, and how many each has.
    deliveries: VecDeque<(u64, usize)>,
    /// Where the news of ended subscriptions ends, of which there is one at a time.
    ends: Option<u64>,
    /// When the socket last took bytes, or got some after it had none.
    moved_at: Timestamp,
}

impl Outbox {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.given - self.taken).unwrap_or(usize::MAX)
    }

    /// Since when the socket has not taken any of the bytes that wait for it.
    pub(super) fn waits_since(&self) -> Option<Timestamp> {
        (self.given > self.taken).then_some(self.moved_at)
    }

    fn give(&mut self, now: Timestamp, bytes: usize) {
        if self.given == self.taken {
            self.moved_at = now;
        }
        self.given += bytes as u64;
    }

    fn mark_deliveries(&mut self, count: usize) {
        if count > 0 {
            self.deliveries.push_back((self.given, count));
        }
    }

    /// What was given out last is news of ended subscriptions.
    pub(super) const fn mark_ends(&mut self) {
        self.ends = Some(self.given);
    }

    /// Whether the news of ended subscriptions is taken. True once for each.
    fn take_ends(&mut self) -> bool {
        self.ends.take_if(|end| *end <= self.taken).is_some()
    }

    /// The socket took bytes; says how many deliveries went with them.
    fn take(&mut self, now: Timestamp, bytes: usize) -> usize {
        self.taken = self.given.min(self.taken + bytes as u64);
        self.moved_at = now;
        let mut count = 0;
        while let Some((end, deliveries)) = self.deliveries.front()
            && *end <= self.taken
        {
            count += deliveries;
            self.deliveries.pop_front();
        }
        count
    }
}

impl Session {
    pub(super) fn sent(&mut self, count: usize) {
        let deliveries = self.outbox.take(self.now.mono, count);
        if deliveries > 0 {
            self.requests.push(Request::SlotsFree(deliveries));
        }
        if self.outbox.take_ends() {
            self.requests.push(Request::EndsTaken);
        }
    }

    /// Sends transmissions in as few blocks as hold them, in this order. `deliveries` is how many of them take a slot.
    pub(super) fn send_transmissions(&mut self, transmissions: Vec<Vec<u8>>, deliveries: usize) {
        let mut writer = BatchWriter::new(self.transport.content_max());
        for transmission in transmissions {
            // Answers and messages fit into a block by the limits of what they are made of.
            let Ok(full) = writer.push(&transmission) else { continue };
            if let Some(content) = full {
                self.transport.send_block(&content);
            }
        }
        if let Some(content) = writer.finish() {
            self.transport.send_block(&content);
        }
        self.transmit();
        self.outbox.mark_deliveries(deliveries);
    }

    /// Gives out what the transport wants to send.
    pub(super) fn transmit(&mut self) {
        while let Some(bytes) = self.transport.poll_transmit() {
            self.outbox.give(self.now.mono, bytes.len());
            self.outputs.push_back(SessionOutput::Send(bytes));
        }
    }
}
