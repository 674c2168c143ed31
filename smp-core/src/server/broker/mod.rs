//! The broker: who is subscribed to what, and what is told to whom.

use std::sync::Arc;

use super::store::{Batch, BatchId, BatchReply};
use super::{ConnectionId, ServerConfig};
use crate::time::{Now, Timestamp};

/// Something that a session asks of the broker.
pub struct BrokerRequest(());
/// Something that the broker tells a session.
pub struct BrokerReply(());

/// An input of the [`Broker`].
pub enum BrokerInput {
    /// A session asks for something. The first request makes the connection known.
    Request(ConnectionId, BrokerRequest),
    /// A connection ended.
    Disconnected(ConnectionId),
    /// The store answered a batch.
    StoreDone(BatchId, BatchReply),
    /// The time of `poll_timeout` came.
    Timeout,
}

/// An effect that the shell carries out, in order.
pub enum BrokerOutput {
    /// Hand this to the store, and its reply back as [`BrokerInput::StoreDone`].
    Store(Batch),
    /// Hand this to the session of the connection; drop it when the connection is gone.
    Reply(ConnectionId, BrokerReply),
}

/// The broker machine.
pub struct Broker {}

impl Broker {
    /// A broker without subscriptions.
    #[must_use]
    pub fn new(_config: Arc<ServerConfig>, _now: Now) -> Self {
        Self {}
    }

    /// Takes an input.
    pub fn handle(&mut self, _now: Now, _input: BrokerInput) {}

    /// The next effect.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<BrokerOutput> {
        None
    }

    /// When to call `handle` with [`BrokerInput::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }
}
