//! What an app may know of a connection.

use super::step::Step;
use super::store::{QueueStage, ReceiveSwitch, SendSwitch, SyncState};
use super::{CallId, Reply};
use crate::wire::agent::{AgentError, version};
use crate::wire::{ServerAddress, Version};

/// How a connection is.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionDescription {
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
pub struct ReceiveQueueDescription {
    /// Its server.
    pub server: ServerAddress,
    /// How far it is. Beside the first, queues are used that are active.
    pub stage: QueueStage,
    /// How far it is in taking the place of another.
    pub switch: Option<ReceiveSwitch>,
    /// That may be given up.
    pub can_abort: bool,
}

/// A queue to which a connection sends.
#[derive(Clone, PartialEq, Eq)]
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
        let in_use = connection.receive.iter().filter(|queue| queue.stage != QueueStage::Disabled);
        let receive = in_use.map(|queue| ReceiveQueueDescription {
            server: queue.server.clone(),
            stage: queue.stage,
            switch: queue.switch,
            can_abort: queue.switch == Some(ReceiveSwitch::Adding),
        });
        let send = connection.send.iter();
        let send = send.map(|queue| SendQueueDescription {
            server: queue.server.clone(),
            stage: queue.stage,
            switch: queue.switch,
        });
        let description = ConnectionDescription {
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
        self.reply(id, Ok(Reply::Description(Box::new(description))));
        Ok(())
    }
}
