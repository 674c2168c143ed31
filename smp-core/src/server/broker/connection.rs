//! What the broker knows of a connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::request::{Ending, Tag};
use super::subscription::Place;
use crate::wire::{AuthPublicKey, EntityId, MessageId};

/// What the broker knows of a connection.
#[derive(Default)]
pub(super) struct Connection {
    /// Queues that it is subscribed to, or asked to be.
    pub(super) subscriptions: BTreeSet<EntityId>,
    /// Queues received by GET, with the message that was not acknowledged yet.
    pub(super) got: BTreeMap<EntityId, Option<MessageId>>,
    /// Deliveries that its socket has not taken yet, or that are being read for it.
    pub(super) slots_taken: usize,
    /// Subscriptions with a message, which wait for a slot: each once, in the order in which they came.
    pub(super) waiting: BTreeMap<Place, EntityId>,
    /// GETs that wait for a slot.
    pub(super) waiting_gets: VecDeque<(Tag, EntityId, AuthPublicKey)>,
    /// Ended subscriptions that it has not been told of.
    pub(super) ended: BTreeMap<EntityId, Ending>,
    /// It was told of ended subscriptions, and its socket has not taken that yet.
    pub(super) ends_in_flight: bool,
}
