//! What an app may know of a connection.

use super::effect::Effect;
use super::links::SubscriptionState;
use super::step::Step;
use super::store::{Progress, QueueStage, ReceiveSwitch, SendSwitch, SyncState};
use super::{Agent, CallId, ConnectionId, Reply, UserId};
use crate::wire::agent::{AgentError, version};
use crate::wire::{EntityId, ServerAddress, Version};

/// How a connection is. `ConnectionStats`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionDescription {
    /// How far it is, or that it is an address.
    pub progress: Progress,
    /// The agent version that both sides speak, as far as is known.
    pub version: Version,
    /// Whether the ratchets of both sides agree.
    pub sync: SyncState,
    /// The other side knows how to agree on a new ratchet.
    pub can_synchronize: bool,
    /// Bodies are shorter, so that there is room for post-quantum keys.
    pub pq_support: bool,
    /// What is sent now is post-quantum encrypted.
    pub pq_sending: bool,
    /// What came last was.
    pub pq_receiving: bool,
    /// The hash of what both ratchets began with: equal on both sides, unless somebody is between them. None before there is a
    /// ratchet.
    pub ratchet_hash: Option<[u8; 32]>,
    /// The queues from which is received, the one in use first.
    pub receive: Vec<ReceiveQueueDescription>,
    /// The queues to which is sent, the one in use first.
    pub send: Vec<SendQueueDescription>,
}

/// A queue from which a connection receives.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiveQueueDescription {
    /// Its server.
    pub server: ServerAddress,
    /// How far it is. Beside the first, queues are used that are active.
    pub stage: QueueStage,
    /// How far it is in taking the place of another.
    pub switch: Option<ReceiveSwitch>,
    /// That may be given up.
    pub can_abort: bool,
    /// Whether its messages come. None, if they are not wanted: of a connection that is not kept yet, or is deleted.
    pub subscription: Option<SubscriptionStatus>,
}

/// Whether messages of a queue come, best first. `SubscriptionStatus`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SubscriptionStatus {
    /// They do.
    Active,
    /// They will, as soon as the server can be reached.
    Pending,
    /// They do not, until the app [asks for it](super::Call::Resubscribe): the server refused.
    Refused,
    /// They do not, until the app [asks for it](super::Call::Resubscribe): another agent with the same keys took the subscription.
    Ended,
    /// They come when the app [asks for them](super::Call::Fetch): it wishes so.
    Unwanted,
}

/// A queue to which a connection sends.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendQueueDescription {
    /// Its server.
    pub server: ServerAddress,
    /// How far it is. Beside the first, queues are used that are active.
    pub stage: QueueStage,
    /// How far it is in taking the place of another.
    pub switch: Option<SendSwitch>,
}

impl Step<'_> {
    pub(super) fn describe(&mut self, id: CallId) -> Result<(), AgentError> {
        let connection = self.connection()?;
        let (state, ratchet) = (&connection.state, connection.agreement.ratchet());
        let user = state.user;
        let in_use = connection.receive.iter().filter(|queue| queue.stage != QueueStage::Disabled);
        let receive = in_use.map(|queue| ReceiveQueueDescription {
            server: queue.server.clone(),
            stage: queue.stage,
            switch: queue.switch,
            can_abort: queue.switch == Some(ReceiveSwitch::Adding),
            subscription: None,
        });
        let send = connection.send.iter();
        let send = send.map(|queue| SendQueueDescription {
            server: queue.server.clone(),
            stage: queue.stage,
            switch: queue.switch,
        });
        let description = ConnectionDescription {
            progress: state.progress,
            version: state.version,
            sync: state.sync,
            can_synchronize: state.version >= version::RATCHET_SYNC,
            pq_support: state.pq_support,
            pq_sending: ratchet.is_some_and(|ratchet| ratchet.pq_sending()),
            pq_receiving: ratchet.is_some_and(|ratchet| ratchet.pq_receiving()),
            ratchet_hash: ratchet.map(|ratchet| ratchet.associated_data_hash()),
            receive: receive.collect(),
            send: send.collect(),
        };
        let in_use = connection.receive.iter().filter(|queue| queue.stage != QueueStage::Disabled);
        let queues = in_use.map(|queue| queue.recipient_id.clone()).collect();
        self.effects.push(Effect::Describe(id, self.id, user, Box::new(description), queues));
        Ok(())
    }
}

impl Agent {
    /// Answers how a connection is, when it is also known whether messages of its queues, which have these ids, come.
    pub(super) fn described(
        &mut self,
        id: CallId,
        (user, connection): (UserId, ConnectionId),
        mut description: Box<ConnectionDescription>,
        queues: &[EntityId],
    ) {
        for (described, queue) in description.receive.iter_mut().zip(queues) {
            let state = self.links.state_of(user, &described.server, connection, queue);
            described.subscription = state.map(SubscriptionStatus::of);
        }
        self.reply(id, Ok(Reply::Description(description)));
    }
}

impl ConnectionDescription {
    /// Whether messages come: the best of its active queues, or, if none is active, of all.
    #[must_use]
    pub fn subscription(&self) -> Option<SubscriptionStatus> {
        let best = |is_meant: fn(&&ReceiveQueueDescription) -> bool| {
            self.receive.iter().filter(is_meant).filter_map(|queue| queue.subscription).min()
        };
        best(|queue| queue.stage == QueueStage::Active).or_else(|| best(|_| true))
    }
}

impl SubscriptionStatus {
    const fn of(state: SubscriptionState) -> Self {
        match state {
            SubscriptionState::Subscribed => Self::Active,
            SubscriptionState::Wanted | SubscriptionState::InFlight | SubscriptionState::Waiting(_) => {
                Self::Pending
            }
            SubscriptionState::Refused => Self::Refused,
            SubscriptionState::Ended => Self::Ended,
            SubscriptionState::Unwanted => Self::Unwanted,
        }
    }
}
