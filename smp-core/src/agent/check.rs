//! What an agent is busy with, and whether it keeps its promises: for who wants to see that everything came to its end.

use super::Agent;

/// What is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Activity {
    /// Connections that are in memory, because something happens in them or waits there.
    pub connections: usize,
    /// Requests to servers without an answer.
    pub requests: usize,
    /// Batches and reads that the store has not answered.
    pub storing: usize,
}

/// How many queues are in which state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Subscriptions {
    /// Their messages come.
    pub subscribed: usize,
    /// They will be subscribed as soon as that is possible.
    pub waiting: usize,
    /// Their server refused them, or another agent has them; the app was told.
    pub ended: usize,
    /// The app wishes that they are not: their messages come when it asks.
    pub unwanted: usize,
}

impl Subscriptions {
    pub(super) const fn add(&mut self, other: Self) {
        self.subscribed += other.subscribed;
        self.waiting += other.waiting;
        self.ended += other.ended;
        self.unwanted += other.unwanted;
    }
}

impl Agent {
    /// What is under way.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let storing = self.batches.len() + self.reads.len();
        Activity { connections: self.actors.len(), requests: self.requests.len(), storing }
    }

    /// How many queues are in which state.
    #[must_use]
    pub fn subscriptions(&self) -> Subscriptions {
        self.links.subscriptions()
    }

    /// Whether each queue is subscribed, or waits for something that will happen. Always, between two inputs.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        self.links.check()
    }
}
