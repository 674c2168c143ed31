//! The store of an agent: the reference store behind delays and faults, and what can be known of an agent by what it keeps.

use std::collections::{BTreeMap, VecDeque};

use smp_core::agent::store::{
    AgentOp, AgentQuery, Batch, Connection, Found, MemoryAgentStore, Outgoing, QueueNumber, ReadId,
    StoreFailure, TaskKind,
};
use smp_core::agent::{AgentInput, ConnectionId};
use smp_core::crypto::DhSecret;
use smp_core::wire::{EntityId, ServerAddress};

/// A store that outlives agents. Jobs are done in order, each when [`Self::work`] is called for it.
#[derive(Default)]
pub(super) struct Keeping {
    live: MemoryAgentStore,
    jobs: VecDeque<(Job, Fate)>,
    /// It fails until the agent is started again.
    pub(super) is_broken: bool,
    /// It failed since the agent was started.
    pub(super) has_failed: bool,
    /// Send queues that are kept, by what servers call them.
    queues: BTreeMap<EntityId, SendPlace>,
    /// Queues to receive from that were ever kept.
    received: Vec<(ServerAddress, EntityId)>,
    /// How often leaving a queue had failed when that was last kept.
    failures: BTreeMap<(ConnectionId, QueueNumber), u32>,
}

/// A send queue, and the secret of its encryption.
#[derive(Clone)]
pub(super) struct SendPlace {
    pub(super) connection: ConnectionId,
    pub(super) queue: QueueNumber,
    pub(super) secret: DhSecret,
}

/// Something for the store to do.
pub(super) enum Job {
    Run(Batch),
    Read(ReadId, AgentQuery),
}

/// What becomes of a job.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// It has no effect.
    Fails,
    /// The disk fails: perhaps it has its effect, but it is said to have failed, and so does everything that follows.
    Breaks(bool),
}

impl Keeping {
    pub(super) fn hand(&mut self, job: Job, fate: Fate) {
        self.jobs.push_back((job, fate));
    }

    /// Carries out the oldest job; its reply.
    ///
    /// # Errors
    /// If the agent asked for what a store refuses.
    pub(super) fn work(&mut self) -> Result<Option<AgentInput>, String> {
        let Some((job, fate)) = self.jobs.pop_front() else { return Ok(None) };
        let fate = if self.is_broken { Fate::Fails } else { fate };
        self.is_broken |= matches!(fate, Fate::Breaks(_));
        self.has_failed |= fate != Fate::Done;
        Ok(Some(match job {
            Job::Run(Batch { id, ops }) => {
                let mut result = Err(StoreFailure);
                if matches!(fate, Fate::Done | Fate::Breaks(true)) {
                    result = self.run(ops);
                }
                // What builds on a batch that failed is refused.
                if result.is_err() && !self.has_failed {
                    return Err("the store of an agent refused a batch".into());
                }
                AgentInput::Stored(id, if fate == Fate::Done { result } else { Err(StoreFailure) })
            }
            Job::Read(id, query) => {
                let found = if fate == Fate::Done { Ok(self.live.read(&query)) } else { Err(StoreFailure) };
                AgentInput::Read(id, found)
            }
        }))
    }

    /// How many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// The process dies. Of the jobs that wait this many are carried out first.
    pub(super) fn crash(&mut self, survive: usize) -> Result<(), String> {
        let verdict = (0..survive).try_for_each(|_| self.work().map(|_| ()));
        self.jobs.clear();
        (self.is_broken, self.has_failed) = (false, false);
        verdict
    }

    /// What is kept of a connection.
    pub(super) fn connection(&self, id: ConnectionId) -> Option<Box<Connection>> {
        match self.live.read(&AgentQuery::Connection(id)) {
            Found::Connection(connection) => connection,
            _ => None,
        }
    }

    /// Whether a connection was deleted, or is being deleted.
    pub(super) fn is_deleted(&self, id: ConnectionId) -> bool {
        self.connection(id).is_none_or(|connection| connection.state.deleted_at.is_some())
    }

    /// Queues to receive from that are not kept any more.
    pub(super) fn left_queues(&self) -> Vec<(ServerAddress, EntityId)> {
        let Found::Queues(kept) = self.live.read(&AgentQuery::Queues) else { return Vec::new() };
        let is_kept = |id: &EntityId| kept.iter().any(|queue| queue.recipient_id == *id);
        self.received.iter().filter(|(_, id)| !is_kept(id)).cloned().collect()
    }

    /// Whether a queue of the connection that was left is not kept any more, and leaving it had failed so often before that one
    /// failure more is the last. Each such queue once.
    pub(super) fn takes_given_up(&mut self, id: ConnectionId, attempts: u32) -> bool {
        let Some(kept) = self.connection(id) else { return false };
        let is_kept = |number| kept.receive.iter().any(|queue| queue.number == number);
        let mut failures = self.failures.iter();
        let given_up = failures.find(|((connection, number), failed)| {
            *connection == id && **failed + 1 == attempts && !is_kept(*number)
        });
        let given_up = given_up.map(|(queue, _)| *queue);
        given_up.is_some_and(|queue| self.failures.remove(&queue).is_some())
    }

    /// How many queues there are to receive from.
    pub(super) fn receive_queues(&self) -> usize {
        match self.live.read(&AgentQuery::Queues) {
            Found::Queues(queues) => queues.len(),
            _ => 0,
        }
    }

    /// Connections that have something left to do.
    pub(super) fn unfinished(&self) -> Vec<ConnectionId> {
        match self.live.read(&AgentQuery::Unfinished) {
            Found::Connections(connections) => connections,
            _ => Vec::new(),
        }
    }

    /// A send queue that is kept.
    pub(super) fn send_place(&self, sender_id: &EntityId) -> Option<&SendPlace> {
        self.queues.get(sender_id)
    }

    /// What is kept to go through a queue next, or through one that takes its place.
    pub(super) fn next_deliveries(&self, place: &SendPlace) -> Vec<Outgoing> {
        let kept = self.connection(place.connection);
        let others = kept.iter().flat_map(|kept| &kept.send).map(|queue| queue.number);
        let others = others.filter(|number| *number != place.queue);
        let next = |queue| match self.live.read(&AgentQuery::NextDelivery(place.connection, queue)) {
            Found::Outgoing(outgoing) => outgoing.map(|outgoing| *outgoing),
            _ => None,
        };
        [place.queue].into_iter().chain(others).filter_map(next).collect()
    }

    /// What is kept of a message that goes out or went, by the sender's number.
    pub(super) fn sent(&self, connection: ConnectionId, number: i64) -> Option<Outgoing> {
        match self.live.read(&AgentQuery::Sent(connection, number)) {
            Found::Outgoing(outgoing) => outgoing.map(|outgoing| *outgoing),
            _ => None,
        }
    }

    fn run(&mut self, ops: Vec<AgentOp>) -> Result<(), StoreFailure> {
        let (mut queues, mut received, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for op in &ops {
            if let AgentOp::PutTasks(connection, tasks) = op {
                failures.extend(tasks.iter().filter_map(|task| match task.kind {
                    TaskKind::Retire { queue, attempts } => Some(((*connection, queue), attempts)),
                    _ => None,
                }));
            }
            if let AgentOp::PutReceiveQueue(_, queue) = op {
                received.push((queue.server.clone(), queue.recipient_id.clone()));
            }
            if let AgentOp::PutSendQueue(connection, queue) = op {
                let (connection, secret) = (*connection, queue.e2e_secret.clone());
                let place = SendPlace { connection, queue: queue.number, secret };
                queues.push((queue.sender_id.clone(), place));
            }
        }
        self.live.run(ops)?;
        self.queues.extend(queues);
        self.failures.extend(failures);
        received.retain(|queue| !self.received.contains(queue));
        self.received.extend(received);
        Ok(())
    }
}
