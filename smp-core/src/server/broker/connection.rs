//! What the broker knows of a connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::notification::NOTIFICATIONS_PER_SLOT;
use super::request::{Ending, Notified, Tag};
use super::subscription::{Delivered, Place};
use crate::wire::{AuthPublicKey, EntityId, ServiceRole};

/// What the broker knows of a connection.
#[derive(Default)]
pub(super) struct Connection {
    /// Queues that it is subscribed to, or asked to be.
    pub(super) subscriptions: BTreeSet<EntityId>,
    /// Queues received by GET, with the message that was not acknowledged yet.
    pub(super) got: BTreeMap<EntityId, Option<Delivered>>,
    /// Notifiers that it is subscribed to, or asked to be.
    pub(super) notifiers: BTreeSet<EntityId>,
    /// Those for which notifications wait in the store, until there is a slot.
    pub(super) waiting_notifiers: BTreeSet<EntityId>,
    /// Notifications that the store gave for the slot that they are read for.
    pub(super) notifications: Vec<Notified>,
    /// The service that it is.
    pub(super) service: Option<EntityId>,
    /// What it does as a service, if it says that it is one.
    pub(super) role: Option<ServiceRole>,
    /// How far the search for what waits for the service is.
    pub(super) scan: Option<Scan>,
    /// When all that waited was sent it is told so, once.
    pub(super) awaits_all: bool,
    /// There was no room for what came for the service: it is searched for when there is.
    pub(super) missed: bool,
    /// Deliveries and news of ended subscriptions that its socket has not taken yet, or that are being read for it.
    pub(super) slots_taken: usize,
    /// Subscriptions with a message, which wait for a slot: each once, in the order in which they came.
    pub(super) waiting: BTreeMap<Place, EntityId>,
    /// GETs that wait for a slot.
    pub(super) waiting_gets: VecDeque<(Tag, EntityId, AuthPublicKey)>,
    /// Ended subscriptions that it has not been told of.
    pub(super) ended: BTreeMap<EntityId, Ending>,
    /// It is time to tell it, as soon as there is a slot.
    pub(super) tells_ended: bool,
}

/// The search for what waits for a service that subscribed to all of its queues.
pub(super) enum Scan {
    /// The store is asked for what comes after this.
    Asked(Option<EntityId>),
    /// The store could not answer.
    Failed(Option<EntityId>),
    /// It goes on from here when less waits for a slot, and from the beginning with `None`.
    Paused(Option<EntityId>),
    /// All that waited has a place in the line before this one.
    Queued(Place),
    /// All of it was sent, which the connection is told when the store has answered.
    Telling,
}

impl Connection {
    /// Notifiers whose notifications are told with one slot, if there are any.
    pub(super) fn take_notifiers(&mut self) -> Vec<EntityId> {
        let next = core::iter::from_fn(|| self.waiting_notifiers.pop_first());
        next.take(NOTIFICATIONS_PER_SLOT as usize).collect()
    }

    /// News of ended subscriptions for one slot, if it is time and there is any.
    pub(super) fn take_ended(&mut self) -> Vec<(EntityId, Ending)> {
        let count = if self.tells_ended { ENDED_PER_SLOT } else { 0 };
        let ended = core::iter::from_fn(|| self.ended.pop_first()).take(count).collect();
        self.tells_ended &= !self.ended.is_empty();
        ended
    }
}

/// Ended subscriptions that are told together: as many as fit into a block of the oldest versions, which repeat the session
/// id in each item, with ids of 32 bytes.
pub(super) const ENDED_PER_SLOT: usize = 200;
