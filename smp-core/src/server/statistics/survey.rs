//! What is the case now, as opposed to what happened.

use std::collections::BTreeSet;

use super::Times;
use crate::server::ConnectionId;
use crate::wire::EntityId;

/// Who is subscribed now and waits for what, found in steps: see [`Broker::survey`](crate::server::Broker::survey).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Survey {
    /// Subscriptions to queues.
    pub subscriptions: u64,
    /// Subscriptions of notifiers.
    pub notifier_subscriptions: u64,
    /// Connections with subscriptions to queues.
    pub subscribers: u64,
    /// Connections with subscriptions of notifiers.
    pub notifier_subscribers: u64,
    /// Connections of services that receive messages.
    pub messaging_services: u64,
    /// Queues that they are subscribed to as services.
    pub messaging_service_queues: u64,
    /// Connections of services that are notified.
    pub notifier_services: u64,
    /// Notifiers that they are subscribed to as services.
    pub notifier_service_queues: u64,
    /// How long ago the messages were delivered that are not acknowledged.
    pub delivered: Times,
    /// Connections that have such messages.
    pub delivered_to: BTreeSet<ConnectionId>,
    pub(crate) next: Next,
}

/// Where a survey goes on.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// After this queue.
    Subscription(Option<EntityId>),
    /// After this connection.
    Connection(Option<ConnectionId>),
    /// Nowhere.
    End,
}

impl Default for Next {
    fn default() -> Self {
        Self::Subscription(None)
    }
}
