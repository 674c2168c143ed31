//! A server and its store: what a crash leaves of it, and which messages it had.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use smp_core::Timestamp;
use smp_core::server::proxy::RelayId;
use smp_core::server::store::{
    Batch, BatchId, BatchReply, Found, MemoryStore, OpResult, QueueKey, QueueOp, StoreFailure,
};
use smp_core::server::{Broker, ConnectionId, Session};
use smp_core::wire::EntityId;

use super::relays::Relays;

/// A server, perhaps between a crash and the next start, and its store.
#[derive(Default)]
pub(super) struct Site {
    /// How many servers there were.
    pub(super) life: u64,
    pub(super) server: Option<Server>,
    pub(super) store: SiteStore,
}

/// A server that runs.
pub(super) struct Server {
    pub(super) broker: Broker,
    pub(super) sessions: BTreeMap<ConnectionId, Session>,
    /// Its proxy, in worlds with private routing.
    pub(super) relays: Option<Relays>,
}

/// Whose timer it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Whose {
    Broker,
    Session(ConnectionId),
    Proxy,
    Relay(RelayId),
}

/// The reference store, with a log that says what a crash may lose: operations are durable when a reply of their batch or a
/// later one is given; a crash keeps those, and any number of those after them, from the front.
#[derive(Default)]
pub(super) struct SiteStore {
    live: MemoryStore,
    log: Vec<QueueOp>,
    durable: usize,
    handed: VecDeque<(Batch, Fate)>,
    /// What senders sent and no crash could take back.
    had: BTreeSet<Bytes>,
    /// Queues of which sessions were told that there is none. A look-up sees what is not durable yet, so a crash may bring back a
    /// queue whose recipient was told that it is gone.
    said_gone: BTreeSet<EntityId>,
}

/// What becomes of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// It has no effect.
    Fails,
    /// It has its effect, and is said to have failed.
    LosesReply,
}

/// The reply to a batch, and how much of the log is durable when it is given.
pub(super) struct Released {
    pub(super) id: BatchId,
    pub(super) reply: BatchReply,
    durable: usize,
}

impl Site {
    /// The first timer, and whose it is.
    pub(super) fn next_timer(&self) -> Option<(Timestamp, Whose)> {
        let server = self.server.as_ref()?;
        let sessions = server.sessions.iter();
        let sessions =
            sessions.filter_map(|(id, session)| Some((session.poll_timeout()?, Whose::Session(*id))));
        let links = server.relays.iter().flat_map(|relays| &relays.links);
        let links = links.filter_map(|(id, link)| Some((link.client.poll_timeout()?, Whose::Relay(*id))));
        let proxy = server.relays.as_ref().and_then(|relays| relays.proxy.poll_timeout());
        let broker = server.broker.poll_timeout().map(|due| (due, Whose::Broker));
        sessions.chain(links).chain(broker).chain(proxy.map(|due| (due, Whose::Proxy))).min()
    }

    /// When a timer fires next.
    pub(super) fn poll_timeout(&self, whose: Whose) -> Option<Timestamp> {
        let server = self.server.as_ref()?;
        match whose {
            Whose::Broker => server.broker.poll_timeout(),
            Whose::Session(id) => server.sessions.get(&id)?.poll_timeout(),
            Whose::Proxy => server.relays.as_ref()?.proxy.poll_timeout(),
            Whose::Relay(id) => server.relays.as_ref()?.links.get(&id)?.client.poll_timeout(),
        }
    }

    /// The proxy, in worlds with private routing.
    pub(super) fn relays(&mut self) -> Option<&mut Relays> {
        self.server.as_mut()?.relays.as_mut()
    }

    pub(super) fn session(&mut self, id: ConnectionId) -> Option<&mut Session> {
        self.server.as_mut()?.sessions.get_mut(&id)
    }
}

impl SiteStore {
    /// Takes a batch over. [`Self::apply`] carries it out, once for each.
    pub(super) fn hand(&mut self, batch: Batch, fate: Fate) {
        self.handed.push_back((batch, fate));
    }

    /// Carries out the oldest batch.
    pub(super) fn apply(&mut self) -> Option<Released> {
        let (batch, fate) = self.handed.pop_front()?;
        let (mut reply, mut durable) = (Err(StoreFailure), 0);
        if fate != Fate::Fails {
            let results = self.carry_out(batch.ops);
            if fate == Fate::Done {
                reply = Ok(results);
                durable = self.log.len();
            }
        }
        Some(Released { id: batch.id, reply, durable })
    }

    /// A reply is given to the server.
    pub(super) fn release(&mut self, released: &Released) {
        self.keep(released.durable);
    }

    /// No crash can take back the first operations of the log, as many as this.
    fn keep(&mut self, durable: usize) {
        for op in self.log.get(self.durable..durable).unwrap_or_default() {
            if let QueueOp::Append(append) = op {
                self.had.insert(append.body.clone());
            }
        }
        self.durable = self.durable.max(durable);
    }

    /// What a session finds.
    pub(super) fn look_up(&mut self, keys: &[QueueKey]) -> Vec<Found> {
        let found: Vec<_> = keys.iter().map(|key| self.live.look_up(key)).collect();
        for (key, found) in keys.iter().zip(&found) {
            if let (QueueKey::Recipient(queue), None) = (key, found) {
                self.said_gone.insert(queue.clone());
            }
        }
        found.into_iter().map(Ok).collect()
    }

    /// Whether a queue is still there though nobody was told that it is gone.
    pub(super) fn still_has(&self, queue: &EntityId) -> bool {
        self.live.look_up(&QueueKey::Recipient(queue.clone())).is_some() && !self.said_gone.contains(queue)
    }

    /// Whether no crash could make the server forget that it was sent this, unless it was received.
    pub(super) fn had(&self, body: &Bytes) -> bool {
        self.had.contains(body)
    }

    /// How many operations have taken effect and may be lost.
    pub(super) fn losable(&self) -> usize {
        self.log.len() - self.durable
    }

    /// The process dies. Of the operations that may be lost this many survive.
    pub(super) fn crash(&mut self, survive: usize) {
        self.keep(self.durable + survive);
        let mut log = std::mem::take(&mut self.log);
        log.truncate(self.durable);
        let (had, said_gone) = (std::mem::take(&mut self.had), std::mem::take(&mut self.said_gone));
        *self = Self { durable: log.len(), had, said_gone, ..Self::default() };
        self.carry_out(log);
    }

    /// Only what was stored is in the log: an operation that was refused changed nothing.
    fn carry_out(&mut self, ops: Vec<QueueOp>) -> Vec<OpResult> {
        let mut results = Vec::with_capacity(ops.len());
        for op in ops {
            let result = self.live.run(vec![op.clone()]).remove(0);
            if !matches!(result, OpResult::QuotaExceeded | OpResult::Unauthorized) || !is_append(&op) {
                self.log.push(op);
            }
            results.push(result);
        }
        results
    }
}

const fn is_append(op: &QueueOp) -> bool {
    matches!(op, QueueOp::Append(_))
}
