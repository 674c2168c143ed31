//! How connections begin: invitations are made and used, and whoever used one is let in.
//!
//! ```text
//!   maker                          servers                          user of the invitation
//!   NEW ──────────────▶ queue 1
//!                                   ◀── invitation, on any way ──▶
//!                       queue 1 ◀───────────────────────── SKEY       if its address says so
//!                       queue 2 ◀───────────────────────── NEW
//!         CONF ◀─────── queue 1 ◀───────────────────────── confirmation: ratchet keys, queue 2, info
//!   LET, SKEY ────────▶ queue 2
//!   info ─────────────▶ queue 2 ───────▶ INFO, CON
//!   CON
//! ```
//!
//! A queue that its sender cannot secure is secured by its recipient (KEY), with a key that comes in the confirmation; HELLO
//! then tells that it is.

use bytes::Bytes;

use super::effect::Effect;
use super::queues::{QueuePurpose, address_of, can_secure};
use super::step::{PROHIBITED, Step};
use super::store::{
    AgentOp, Agreement, Connection, ConnectionState, Counters, Found, Origin, Progress, QueueNumber,
    QueueStage, SendQueue, SyncState, Task, TaskKind,
};
use super::{CallId, InitialKeys, Reply, UserId};
use crate::crypto::AuthPrivateKey;
use crate::crypto::ratchet::{KemOffer, Ratchet, X3dhKeys};
use crate::wire::agent::{
    AgentCommandError, AgentError, AgentMessage, ConnectionError, NonEmpty, PeerError, version,
};
use crate::wire::link::{E2eParameters, KemParameters};
use crate::wire::queue_uri::{QueueAddress, QueueInfo, QueueUri};
use crate::wire::{ConnectionRequest, Version};

pub(super) const FIRST: QueueNumber = QueueNumber(1);

const NO_VERSION: AgentError = AgentError::Peer(PeerError::Version);

impl Step<'_> {
    /// Makes an invitation.
    pub(super) fn invite(&mut self, id: CallId, user: UserId, pq: InitialKeys) -> Result<(), AgentError> {
        if !self.shared.has_user(user) {
            return Err(AgentError::NoUser);
        }
        let offer = match pq {
            InitialKeys::InLink => KemOffer::Propose,
            InitialKeys::Later | InitialKeys::Off => KemOffer::Nothing,
        };
        let versions = self.shared.config.versions;
        let keys = X3dhKeys::generate(versions.ratchet.max(), offer, &mut self.shared.entropy);
        let state = new_state(user, Progress::Created, versions.agent.max(), pq != InitialKeys::Off);
        self.connection = Some(Connection {
            id: self.id,
            state,
            agreement: Agreement::Offered(Box::new(keys)),
            receive: Vec::new(),
            send: Vec::new(),
            tasks: Vec::new(),
        });
        if let Err(error) = self.create_queue(QueuePurpose::Invitation) {
            self.connection = None;
            return Err(error);
        }
        self.running.call = Some(id);
        Ok(())
    }

    /// Uses an invitation.
    pub(super) fn join(
        &mut self,
        id: CallId,
        user: UserId,
        request: &ConnectionRequest,
        info: &Bytes,
        pq: bool,
    ) -> Result<(), AgentError> {
        let opened = self.key_of_opened(request);
        if self.connection.is_some() && opened.is_none() {
            return Err(AgentError::Connection(ConnectionError::Duplicate));
        }
        if !self.shared.has_user(user) {
            return Err(AgentError::NoUser);
        }
        let versions = self.shared.config.versions;
        let version = request.versions.intersect(versions.agent).ok_or(NO_VERSION)?.max();
        let Some(theirs) = &request.ratchet else {
            return self.ask_owner(id, user, request, version, info, pq);
        };
        let is_secured = opened.is_some();
        let send = self.send_queues_of(request, opened)?;
        let numbers: Vec<_> = send.iter().map(|queue| queue.number).collect();
        let is_to_secure = !is_secured && send.first().is_some_and(can_secure);
        let ratchet_version = theirs.versions.intersect(versions.ratchet).ok_or(NO_VERSION)?.max();
        let pq = pq && version >= version::PQ_RATCHET && ratchet_version >= KemParameters::SINCE;
        let offer = match &theirs.kem {
            _ if !pq => KemOffer::Nothing,
            Some(key) => KemOffer::Accept(key),
            None => KemOffer::Propose,
        };
        let ours = X3dhKeys::generate(ratchet_version, offer, &mut self.shared.entropy);
        let theirs = E2eParameters {
            version: ratchet_version,
            first: theirs.first,
            second: theirs.second,
            kem: theirs.kem.clone().map(KemParameters::Proposed),
        };
        let ratchet = Ratchet::initiate(&ours, &theirs, versions.ratchet.max(), &mut self.shared.entropy)
            .map_err(|_| AgentError::Peer(PeerError::Message))?;
        let mut keys = Vec::new();
        ours.public().encode(&mut keys);
        let mut tasks = Vec::new();
        if is_to_secure {
            tasks.push(TaskKind::SecureSend(FIRST));
        }
        tasks.push(TaskKind::CreateReply { info: info.clone(), keys: keys.into() });
        let tasks = tasks.into_iter().map(|kind| Task { kind, origin: Origin::Call });
        let tasks = tasks.chain(self.connection.iter().flat_map(Connection::commands)).collect();
        self.connection = Some(Connection {
            id: self.id,
            state: new_state(user, Progress::Joining, version, pq),
            agreement: Agreement::Ratchet(Box::new(ratchet)),
            receive: Vec::new(),
            send,
            tasks,
        });
        // All of it is new, also where the link was opened before.
        self.tasks_mut();
        self.agreement_mut();
        numbers.into_iter().for_each(|number| _ = self.send_mut(number));
        self.keep();
        self.running.call = Some(id);
        self.effects.push(Effect::Tasks);
        Ok(())
    }

    /// The queues of a request to which messages can be sent, the first with the key that secured it when its link was
    /// opened.
    fn send_queues_of(
        &mut self,
        request: &ConnectionRequest,
        opened: Option<AuthPrivateKey>,
    ) -> Result<Vec<SendQueue>, AgentError> {
        let versions = self.shared.config.versions.client;
        let first = request.queues().first().and_then(|queue| queue.agree(versions));
        let mut first = self.new_send_queue(FIRST, &first.ok_or(NO_VERSION)?)?;
        if let Some(key) = opened {
            (first.key, first.stage) = (key, QueueStage::Secured);
        }
        let announced = request.queues().iter().filter_map(|queue| queue.agree(versions));
        let spares = self.spare_send_queues(&announced.collect::<Vec<_>>());
        Ok(std::iter::once(first).chain(spares).collect())
    }

    /// Goes on with what failed.
    pub(super) fn rejoin(&mut self, id: CallId) -> Result<(), AgentError> {
        let progress = self.connection()?.state.progress;
        match progress {
            Progress::Joining if !self.is_called_for() => {
                self.running.call = Some(id);
                self.effects.extend([Effect::Tasks, Effect::Deliver(FIRST)]);
                Ok(())
            }
            Progress::Requested
            | Progress::Confirmed
            | Progress::Allowed
            | Progress::Joined
            | Progress::Connected => {
                let reply = self.joined();
                self.reply(id, Ok(reply));
                Ok(())
            }
            _ => Err(PROHIBITED),
        }
    }

    /// Lets somebody in who used an invitation.
    pub(super) fn allow(&mut self, id: CallId, info: &Bytes) -> Result<(), AgentError> {
        let not_found = AgentError::Connection(ConnectionError::NotFound);
        let Some(Found::Confirmation(Some(confirmation))) = self.found.take() else { return Err(not_found) };
        let connection = self.connection()?;
        let may = matches!(connection.state.progress, Progress::Created | Progress::Confirmed);
        // Whoever secured the queue himself is the only one who can be let in: see `settle_on`.
        let is_settled = matches!(connection.agreement, Agreement::Ratchet(_));
        let is_shut_out = is_settled && confirmation.sender_key.is_some();
        if confirmation.connection != connection.id || !may || is_shut_out {
            return Err(PROHIBITED);
        }
        connection.state.pq_support = confirmation.ratchet.pq_supported();
        connection.state.progress = Progress::Allowed;
        connection.state.version = confirmation.version;
        let queue = confirmation.queues.first().ok_or(AgentError::Peer(PeerError::Queue))?;
        let queue = self.new_send_queue(FIRST, queue)?;
        let e2e_key = confirmation.e2e_key;
        if let Some(receive) = self.receive_mut(FIRST).filter(|receive| receive.e2e_secret.is_none()) {
            receive.e2e_secret = receive.e2e_key.diffie_hellman(&e2e_key).ok();
            receive.stage = QueueStage::Confirmed;
        }
        if let Some(connection) = self.agreement_mut()
            && let Agreement::Offered(_) = connection.agreement
        {
            connection.agreement = Agreement::Ratchet(confirmation.ratchet.clone());
            connection.state.counters.received = 1;
            connection.state.counters.received_hash = confirmation.hash.clone();
        }
        let secure_send = can_secure(&queue).then_some(TaskKind::SecureSend(FIRST));
        self.add_send(queue);
        let spares = self.spare_send_queues(&confirmation.queues);
        spares.into_iter().for_each(|queue| self.add_send(queue));
        let secure_receive = confirmation.sender_key.map(|key| TaskKind::SecureReceive(FIRST, key));
        if let Some(tasks) = self.tasks_mut() {
            let new = secure_receive.into_iter().chain(secure_send);
            tasks.extend(new.map(|kind| Task { kind, origin: Origin::Agent }));
        }
        self.enqueue_confirmation(FIRST, AgentMessage::ConnInfo(info.clone()), Bytes::new())?;
        self.ops.push(AgentOp::DeleteConfirmations(self.id));
        self.effects.push(Effect::Tasks);
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }

    /// What a call that used an invitation is told.
    pub(super) fn joined(&self) -> Reply {
        let can_send = self.connection.as_ref().is_some_and(|connection| {
            let version = connection.state.version >= version::RATCHET_ON_CONFIRMATION;
            version && connection.send.first().is_some_and(can_secure)
        });
        Reply::Joined { connection: self.id, can_send }
    }

    /// The invitation, or the address, of the queues that were made.
    pub(super) fn invitation(&mut self) -> Result<(), AgentError> {
        let request = self.request_to(self.addresses())?;
        self.tell_invitation(request);
        Ok(())
    }

    /// It is kept, and whoever asked for it is told.
    pub(super) fn tell_invitation(&mut self, request: ConnectionRequest) {
        self.keep();
        if let Some(call) = self.running.call.take() {
            let reply = self.made(request);
            self.reply(call, Ok(reply));
        }
    }

    /// A request to connect to queues of ours, of which agents that know one only use the first: an invitation if keys are offered,
    /// otherwise an address.
    pub(super) fn request_to(&self, addresses: Vec<QueueAddress>) -> Result<ConnectionRequest, AgentError> {
        let too_large = |_| AgentError::Internal("the request cannot be written".to_owned());
        let versions = self.shared.config.versions;
        let agreement = self.connection.as_ref().map(|connection| &connection.agreement);
        let ratchet = match agreement {
            Some(Agreement::Offered(keys)) => Some(keys.for_link(versions.ratchet)),
            Some(Agreement::None) => None,
            Some(Agreement::Ratchet(_) | Agreement::Renewing(..)) | None => return Err(PROHIBITED),
        };
        let queue = |address| QueueUri { versions: versions.client, address };
        let queues = addresses.into_iter().map(queue).collect();
        ConnectionRequest::new(versions.agent, queues, ratchet).map_err(too_large)
    }

    /// The queues for replies were made: the other side is told.
    pub(super) fn confirm(&mut self) -> Result<(), AgentError> {
        let Some(Task { kind: TaskKind::CreateReply { info, keys }, .. }) = self.take_task() else {
            return Err(PROHIBITED);
        };
        let max = self.shared.config.versions.client.max();
        let version = self.send_queue(FIRST).map_or(max, |queue| queue.version);
        let queues: Vec<_> = self
            .connection()?
            .receive
            .iter()
            .map(|queue| QueueInfo { version, address: address_of(queue) })
            .collect();
        let first = queues.first().cloned().ok_or(PROHIBITED)?;
        let is_several = queues.len() > 1;
        let all = NonEmpty::new(queues).map_err(|_| PROHIBITED)?;
        let reply = |queues| AgentMessage::ConnInfoReply { queues, info: info.clone() };
        match self.enqueue_confirmation(FIRST, reply(all), keys.clone()) {
            Err(AgentError::Command(AgentCommandError::Large)) if is_several => {
                // There is no room for more than one.
                self.retire_spares();
                self.enqueue_confirmation(FIRST, reply(NonEmpty::one(first)), keys)
            }
            result => result,
        }
    }
}

pub(super) fn new_state(
    user: UserId,
    progress: Progress,
    version: Version,
    pq_support: bool,
) -> ConnectionState {
    ConnectionState {
        user,
        progress,
        version,
        pq_support,
        counters: Counters::default(),
        sync: SyncState::Ok,
        deleted_at: None,
        delete_after_delivery: false,
        skipped: 0,
        queues: 0,
        receive_queues: 0,
    }
}
