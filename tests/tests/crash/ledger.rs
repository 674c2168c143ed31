//! What a queue owes: every message that was sent to it, and what became of it as far as its clients know.

use std::collections::{BTreeSet, VecDeque};

/// The messages of one queue, from one sender who numbers them.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Messages that may be in the queue, in their order.
    entries: VecDeque<Entry>,
    next: u64,
    /// Messages whose SEND was not answered when a later one was received: they cannot be there.
    passed: BTreeSet<u64>,
    /// A marker of a full queue may be among the messages.
    may_be_marked: bool,
    /// A SEND was refused since, and the marker that it left was not acknowledged yet.
    is_full: bool,
    /// An ACK of a marker is under way.
    unmarking: bool,
    /// ACKs of markers that were sent, and those that were answered: SENDs may overtake them.
    markers: u64,
    /// Messages that the queue takes.
    quota: usize,
    pub(crate) counts: Counts,
}

/// How often it happened.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    /// SENDs that were answered OK.
    pub(crate) accepted: u64,
    /// Messages that were received, each counted once.
    pub(crate) received: u64,
    /// Messages that were received again, which had not been acknowledged.
    pub(crate) again: u64,
    /// SENDs that were refused because the queue was full.
    pub(crate) refused: u64,
}

struct Entry {
    number: u64,
    accepted: bool,
    /// Its ACK was sent, and not answered.
    leaving: bool,
    /// The connection that received it last.
    received_on: Option<u64>,
    /// Messages and markers that may have been before it when it was sent.
    before: usize,
    could_be_refused: bool,
    /// The queue was surely full when it was sent, and since so many markers.
    full_since: Option<u64>,
    markers: u64,
}

/// What must not happen, in words.
type Verdict = Result<(), String>;

impl Ledger {
    pub(crate) fn new(quota: usize) -> Self {
        Self { quota, ..Self::default() }
    }

    /// A SEND is made. Returns the number of the message.
    pub(crate) fn send(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.entries.push_back(Entry {
            number,
            accepted: false,
            leaving: false,
            received_on: None,
            before: self.entries.len(),
            could_be_refused: self.could_be_marked(),
            full_since: self.is_full.then_some(self.markers),
            markers: self.markers,
        });
        number
    }

    /// Whether the marker of a full queue may be there: one that was told of, or that of a SEND that is not answered yet.
    fn could_be_marked(&self) -> bool {
        let could_be_refused = |entry: &Entry| entry.could_be_refused || entry.before >= self.quota;
        self.may_be_marked || self.entries.iter().any(|entry| !entry.accepted && could_be_refused(entry))
    }

    /// A SEND was answered OK.
    pub(crate) fn accepted(&mut self, number: u64) -> Verdict {
        self.counts.accepted += 1;
        if self.passed.remove(&number) {
            return Err(format!("message {number} was answered OK, but a later one was received before it"));
        }
        // One that is not here any more was received and acknowledged before its sender was answered.
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.number == number) else {
            return Ok(());
        };
        entry.accepted = true;
        if self.is_full && entry.full_since == Some(self.markers) {
            return Err(format!("message {number} was accepted by a full queue"));
        }
        let waiting = self.entries.iter().filter(|entry| entry.accepted && !entry.leaving).count();
        match waiting > self.quota {
            true => Err(format!("{waiting} messages are in a queue for {}", self.quota)),
            false => Ok(()),
        }
    }

    /// A SEND was refused because the queue is full.
    pub(crate) fn refused(&mut self, number: u64) -> Verdict {
        self.counts.refused += 1;
        let entry = self.never_stored(number)?;
        self.may_be_marked = true;
        if let Some(entry) = entry {
            // Unless somebody may have acknowledged the marker since.
            self.is_full |= entry.markers == self.markers && !self.unmarking;
            if !entry.could_be_refused && entry.before < self.quota {
                return Err(format!("message {number} was refused with {} in the queue", entry.before));
            }
        }
        Ok(())
    }

    /// A SEND never left, or was answered with another error.
    pub(crate) fn not_sent(&mut self, number: u64) -> Verdict {
        self.never_stored(number).map(drop)
    }

    fn never_stored(&mut self, number: u64) -> Result<Option<Entry>, String> {
        if self.passed.remove(&number) {
            return Ok(None);
        }
        let at = self.entries.iter().position(|entry| entry.number == number);
        match at.and_then(|at| self.entries.remove(at)) {
            Some(entry) if entry.received_on.is_none() => Ok(Some(entry)),
            _ => Err(format!("message {number} was refused, and received")),
        }
    }

    /// Nobody will know whether a SEND was carried out.
    pub(crate) const fn unknown(&mut self) {
        // It may have been refused, and left the marker of that.
        self.may_be_marked = true;
    }

    /// A message came. Connections have numbers of their own.
    pub(crate) fn received(&mut self, number: u64, connection: u64) -> Verdict {
        let Some(at) = self.entries.iter().position(|entry| entry.number == number) else {
            return Err(format!("message {number} came again, or was refused, or came out of order"));
        };
        for entry in self.entries.drain(..at) {
            if entry.accepted && !entry.leaving {
                return Err(format!("message {} is lost: {number} came", entry.number));
            }
            if !entry.accepted && !entry.leaving {
                self.passed.insert(entry.number);
            }
        }
        let entry = &mut self.entries[0];
        // An acknowledgement that was not answered has not been carried out, as it is here.
        entry.leaving = false;
        match entry.received_on.replace(connection) {
            Some(former) if former == connection => {
                Err(format!("message {number} came twice on a connection"))
            }
            Some(_) => {
                self.counts.again += 1;
                Ok(())
            }
            None => {
                self.counts.received += 1;
                Ok(())
            }
        }
    }

    /// An ACK is sent, of a message or of the marker of a full queue.
    pub(crate) fn acknowledging(&mut self, number: Option<u64>) {
        match number {
            Some(number) => {
                self.entries.iter_mut().filter(|e| e.number == number).for_each(|e| e.leaving = true);
            }
            None => {
                self.markers += 1;
                self.unmarking = true;
                self.is_full = false;
            }
        }
    }

    /// An ACK was answered, or will never be.
    pub(crate) fn acknowledged(&mut self, number: Option<u64>, answered: bool) {
        match number {
            Some(number) if answered => self.entries.retain(|entry| entry.number != number),
            Some(_) => {}
            None => {
                self.markers += 1;
                self.unmarking = false;
            }
        }
    }

    /// The marker of a full queue came.
    pub(crate) fn marker(&self) -> Verdict {
        if !self.could_be_marked() {
            return Err("the marker of a full queue came from one that never was".into());
        }
        match self.entries.iter().find(|entry| entry.accepted && !entry.leaving) {
            Some(lost) => Err(format!("message {} is lost: the marker of the full queue came", lost.number)),
            None => Ok(()),
        }
    }

    /// The server said that the queue is empty, and nobody sends to it.
    pub(crate) fn is_drained(&mut self) -> Verdict {
        if let Some(lost) = self.entries.iter().find(|entry| entry.accepted && !entry.leaving) {
            return Err(format!("message {} is lost: the queue is empty", lost.number));
        }
        if self.is_full {
            return Err("the marker of a full queue is lost".into());
        }
        let unknown = self.entries.drain(..).filter(|entry| !entry.accepted);
        self.passed.extend(unknown.map(|entry| entry.number));
        self.may_be_marked = false;
        Ok(())
    }

    /// Whether a SEND must be refused now, if nobody receives.
    pub(crate) const fn must_refuse(&self) -> bool {
        self.is_full
    }

    /// Messages that were answered OK and not acknowledged.
    pub(crate) fn owed(&self) -> usize {
        self.entries.iter().filter(|entry| entry.accepted && !entry.leaving).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger with `count` messages that were answered OK.
    fn accepted(count: u64) -> Ledger {
        let mut ledger = Ledger::new(3);
        for number in 0..count {
            assert_eq!(ledger.send(), number);
            ledger.accepted(number).unwrap();
        }
        ledger
    }

    fn take(ledger: &mut Ledger, number: u64) {
        ledger.received(number, 1).unwrap();
        ledger.acknowledging(Some(number));
        ledger.acknowledged(Some(number), true);
    }

    #[test]
    fn what_must_not_happen_is_seen() {
        let says = |verdict: Verdict, what: &str| {
            let words = verdict.expect_err(what);
            assert!(words.contains(what), "{words}");
        };
        says(accepted(2).received(1, 1), "message 0 is lost: 1 came");
        says(accepted(1).is_drained(), "message 0 is lost: the queue is empty");
        says(accepted(1).marker(), "never was");
        says(accepted(1).received(7, 1), "message 7 came again");
        let mut ledger = accepted(3);
        take(&mut ledger, 0);
        says(ledger.received(0, 1), "message 0 came again");
        ledger.received(1, 1).unwrap();
        says(ledger.received(1, 1), "message 1 came twice on a connection");
        says(ledger.refused(1), "message 1 was refused, and received");
        let mut ledger = accepted(3);
        ledger.send();
        says(ledger.accepted(3), "4 messages are in a queue for 3");
        let mut ledger = accepted(2);
        ledger.send();
        says(ledger.refused(2), "message 2 was refused with 2 in the queue");
        let mut ledger = accepted(2);
        ledger.send();
        says(ledger.marker(), "never was");
    }

    #[test]
    fn a_full_queue_refuses_until_its_marker_is_acknowledged() {
        let mut ledger = accepted(3);
        ledger.send();
        ledger.refused(3).unwrap();
        assert!(ledger.must_refuse());
        ledger.send();
        assert!(ledger.accepted(4).is_err());
        let mut ledger = accepted(3);
        ledger.send();
        ledger.refused(3).unwrap();
        assert!(ledger.marker().is_err(), "messages come before it");
        (0..3).for_each(|number| take(&mut ledger, number));
        assert!(ledger.is_drained().is_err(), "the marker is missing");
        ledger.marker().unwrap();
        ledger.acknowledging(None);
        ledger.acknowledged(None, true);
        ledger.is_drained().unwrap();
        ledger.send();
        ledger.accepted(4).unwrap();
    }

    #[test]
    fn what_was_not_answered_may_be_there_or_not() {
        let mut ledger = accepted(1);
        ledger.send();
        ledger.send();
        ledger.unknown();
        take(&mut ledger, 0);
        ledger.received(2, 2).unwrap();
        assert!(ledger.received(1, 2).is_err(), "out of order");
        ledger.acknowledging(Some(2));
        // The ACK was not carried out, so the message comes again.
        ledger.received(2, 3).unwrap();
        assert_eq!(ledger.counts, Counts { accepted: 1, received: 2, again: 1, refused: 0 });
        assert!(ledger.accepted(1).is_err(), "it cannot have been stored");
        assert_eq!(ledger.owed(), 0);
    }

    #[test]
    fn a_refusal_may_be_told_after_what_follows_from_it() {
        let mut ledger = accepted(3);
        // It is refused, and two messages go, before its sender hears of that.
        assert_eq!(ledger.send(), 3);
        take(&mut ledger, 0);
        take(&mut ledger, 1);
        assert_eq!(ledger.send(), 4);
        ledger.refused(3).unwrap();
        ledger.refused(4).unwrap();
        // The recipient hears of the marker first.
        let mut ledger = accepted(3);
        ledger.send();
        (0..3).for_each(|number| take(&mut ledger, number));
        ledger.marker().unwrap();
    }
}
