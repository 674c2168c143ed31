//! What a session counts: what it refuses, and how blocks come and go. What takes effect is counted by the broker.

use super::pipeline::Entry;
use super::{Session, SessionEvent, SessionOutput};
use crate::server::statistics::Counter;
use crate::wire::error::ErrorType;
use crate::wire::{BrokerMessage, Command};

/// Commands whose refusals are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Send,
    Sub,
    NSub,
    Get,
    Other,
}

impl Counted {
    pub(super) const fn of(command: &Command) -> Self {
        match command {
            Command::Send { .. } => Self::Send,
            Command::Sub => Self::Sub,
            Command::NSub => Self::NSub,
            Command::Get => Self::Get,
            _ => Self::Other,
        }
    }
}

impl Session {
    pub(super) fn count(&mut self, counter: Counter, times: u64) {
        self.outputs.push_back(SessionOutput::Event(SessionEvent::Counted(counter, times)));
    }

    /// Counts the answer to a command, if it is a refusal.
    pub(super) fn count_refusal(&mut self, counted: Counted, answer: &BrokerMessage) {
        let BrokerMessage::Err(error) = answer else { return };
        let counter = match (counted, error) {
            (Counted::Send, ErrorType::Auth) => Counter::MessagesRefused,
            (Counted::Send, ErrorType::Quota) => Counter::MessagesOverQuota,
            (Counted::Send, ErrorType::LargeMessage) => Counter::MessagesTooLarge,
            (Counted::Send, ErrorType::Blocked(_)) => Counter::MessagesBlocked,
            (Counted::Sub, ErrorType::Auth) => Counter::SubscriptionsRefused,
            (Counted::NSub, ErrorType::Auth) => Counter::NotifierSubscriptionsRefused,
            (Counted::Get, ErrorType::Auth) => Counter::GetsRefused,
            _ => return,
        };
        self.count(counter, 1);
    }

    /// Counts a block of several commands of one party, by the first: those that were read behind the first `before`.
    pub(super) fn count_batch(&mut self, before: usize) {
        let mut commands = self.pipeline.iter().skip(before).map(|entry: &Entry| &entry.command);
        let Some(first) = commands.next() else { return };
        let (mut rest, party) = (commands.peekable(), first.party());
        if rest.peek().is_none() || !rest.all(|command| command.party() == party) {
            return;
        }
        let counter = match first {
            Command::Sub => Counter::SubscribeBatches,
            Command::Del => Counter::DeleteBatches,
            Command::NDel => Counter::NotifierDeleteBatches,
            Command::NSub => Counter::NotifierSubscribeBatches,
            _ => return,
        };
        self.count(counter, 1);
    }
}
