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

use super::actor::Attempt;
use super::effect::{Doing, Effect, NewKeys, is_refused, is_temporary, to_error};
use super::step::{PROHIBITED, Step};
use super::store::{
    AgentOp, Agreement, Connection, ConnectionState, Counters, Found, Origin, Progress, QueueNumber,
    QueueStage, ReceiveQueue, SendQueue, SyncState, Task, TaskKind, WaitingQueue,
};
use super::{CallId, Reply, UserId, UserServer};
use crate::client::{Answer, QueueKeys, Request, RequestError};
use crate::crypto::ratchet::{self, KemOffer, Ratchet, X3dhKeys};
use crate::crypto::{AuthPrivateKey, Ed25519PrivateKey, X25519PrivateKey};
use crate::wire::agent::{AgentError, AgentMessage, ConnectionError, NonEmpty, PeerError, version};
use crate::wire::broker::CreatedQueue;
use crate::wire::command::SubscriptionMode;
use crate::wire::link::{E2eParameters, KemParameters};
use crate::wire::queue_uri::{QueueAddress, QueueInfo, QueueUri};
use crate::wire::{ConnectionRequest, QueueMode, Version, VersionRange};

/// What clients speak to each other through queues: see [`QueueUri`].
pub(super) const CLIENT_VERSIONS: VersionRange = VersionRange::between(Version(1), Version(4));
/// What the ratchet speaks.
const RATCHET_VERSIONS: VersionRange = VersionRange::between(ratchet::MIN_VERSION, ratchet::MAX_VERSION);
const FIRST: QueueNumber = QueueNumber(1);

impl Step<'_> {
    /// Makes an invitation.
    pub(super) fn invite(&mut self, id: CallId, user: UserId, pq: bool) -> Result<(), AgentError> {
        let offer = if pq { KemOffer::Propose } else { KemOffer::Nothing };
        let keys = X3dhKeys::generate(ratchet::MAX_VERSION, offer, &mut self.shared.entropy);
        let state = new_state(user, Progress::Created, version::SUPPORTED.max(), pq);
        self.connection = Some(Connection {
            id: self.id,
            state,
            agreement: Agreement::Offered(Box::new(keys)),
            receive: Vec::new(),
            send: Vec::new(),
            tasks: Vec::new(),
        });
        if let Err(error) = self.create_queue() {
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
        const NO_VERSION: AgentError = AgentError::Peer(PeerError::Version);
        if self.connection.is_some() {
            return Err(AgentError::Connection(ConnectionError::Duplicate));
        }
        let version = request.versions.intersect(version::SUPPORTED).ok_or(NO_VERSION)?.max();
        let theirs = request.ratchet.as_ref().ok_or(PROHIBITED)?;
        let queue = request.queues().first().and_then(|queue| queue.agree(CLIENT_VERSIONS));
        let queue = self.new_send_queue(FIRST, &queue.ok_or(NO_VERSION)?)?;
        let ratchet_version = theirs.versions.intersect(RATCHET_VERSIONS).ok_or(NO_VERSION)?.max();
        let pq = pq && version >= version::PQ_RATCHET;
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
        let ratchet = Ratchet::initiate(&ours, &theirs, ratchet::MAX_VERSION, &mut self.shared.entropy)
            .map_err(|_| AgentError::Peer(PeerError::Message))?;
        let mut keys = Vec::new();
        ours.public().encode(&mut keys);
        let mut tasks = Vec::new();
        if can_secure(&queue) {
            tasks.push(TaskKind::SecureSend(FIRST));
        }
        tasks.push(TaskKind::CreateReply { info: info.clone(), keys: keys.into() });
        self.connection = Some(Connection {
            id: self.id,
            state: new_state(user, Progress::Joining, version, pq),
            agreement: Agreement::Ratchet(Box::new(ratchet)),
            receive: Vec::new(),
            send: vec![queue],
            tasks: tasks.into_iter().map(|kind| Task { kind, origin: Origin::Call }).collect(),
        });
        self.keep();
        self.running.call = Some(id);
        self.effects.push(Effect::Tasks);
        Ok(())
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
            Progress::Joined | Progress::Connected => {
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

    /// A send queue to an address, with keys of its own.
    fn new_send_queue(&mut self, number: QueueNumber, queue: &QueueInfo) -> Result<SendQueue, AgentError> {
        let entropy = &mut self.shared.entropy;
        let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(entropy));
        let e2e_key = X25519PrivateKey::generate(entropy);
        let QueueAddress { server, sender_id, dh_key, mode } = queue.address.clone();
        let malformed = |_| AgentError::Peer(PeerError::Queue);
        let e2e_secret = e2e_key.diffie_hellman(&dh_key).map_err(malformed)?;
        Ok(SendQueue {
            number,
            server,
            sender_id,
            key,
            e2e_key: e2e_key.public(),
            e2e_secret,
            stage: QueueStage::New,
            mode,
            version: queue.version,
            replaces: None,
            switch: None,
        })
    }

    /// NEW, on a server of the user's; one that the other side does not use, if there is one.
    fn create_queue(&mut self) -> Result<(), AgentError> {
        let connection = self.connection()?;
        let (user, theirs) =
            (connection.state.user, connection.send.first().map(|queue| queue.server.clone()));
        let config = self.shared.config.clone();
        let servers = config.servers.get(&user).filter(|servers| !servers.is_empty());
        let servers = servers.ok_or(AgentError::NoUser)?;
        let others: Vec<&UserServer> =
            servers.iter().filter(|server| theirs.as_ref() != Some(&server.address)).collect();
        let choice = if others.is_empty() { servers.iter().collect() } else { others };
        let random = u64::from_be_bytes(self.shared.entropy.bytes());
        let at = usize::try_from(random % choice.len() as u64).unwrap_or(0);
        let Some(server) = choice.get(at) else { return Err(AgentError::NoUser) };
        let queue = QueueKeys::generate(&mut self.shared.entropy);
        let e2e = X25519PrivateKey::generate(&mut self.shared.entropy);
        let mut new = queue.new_queue(SubscriptionMode::Subscribe);
        new.password = server.password.clone();
        let request = Request::create(new, queue.auth.clone());
        let keys = NewKeys { server: server.address.clone(), queue, e2e, session: 0 };
        self.running.task.is_under_way = true;
        let doing = Doing::Create(self.id, Box::new(keys));
        self.request(server.address.clone(), request, doing);
        Ok(())
    }

    /// A server made a queue, or did not.
    pub(super) fn created(&mut self, keys: &NewKeys, answer: &Result<Answer, RequestError>) {
        self.running.task.is_under_way = false;
        let queue = match answer {
            Ok(Answer::Created(queue)) => self.new_receive_queue(keys, queue),
            Ok(_) => Err(to_error(keys.server.clone(), RequestError::Unexpected)),
            Err(error) if is_temporary(error) && !self.is_called_for() => return self.task_later(),
            Err(error) => Err(to_error(keys.server.clone(), error.clone())),
        };
        let is_invitation =
            self.connection.as_ref().is_some_and(|connection| connection.state.progress == Progress::Created);
        let result = match queue {
            Ok(info) if is_invitation => self.invitation(info),
            Ok(info) => self.confirm(info),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            self.fail_call(error);
            if is_invitation {
                self.connection = None;
            }
        }
    }

    /// Adds a queue that was made, which is subscribed.
    fn new_receive_queue(
        &mut self,
        keys: &NewKeys,
        queue: &CreatedQueue,
    ) -> Result<QueueAddress, AgentError> {
        let secret = keys.queue.secret(queue);
        let server_secret = secret.map_err(|_| to_error(keys.server.clone(), RequestError::Unexpected))?;
        let connection = self.connection()?;
        let (user, number) = (connection.state.user, FIRST);
        self.add_receive(ReceiveQueue {
            number,
            server: keys.server.clone(),
            recipient_id: queue.recipient_id.clone(),
            sender_id: queue.sender_id.clone(),
            key: keys.queue.auth.clone(),
            server_secret,
            e2e_key: keys.e2e.clone(),
            e2e_secret: None,
            stage: QueueStage::New,
            mode: queue.mode,
            version: CLIENT_VERSIONS.max(),
            link: None,
            replaces: None,
            switch: None,
            last_told: None,
        });
        let watched = WaitingQueue {
            connection: self.id,
            user,
            number,
            server: keys.server.clone(),
            recipient_id: queue.recipient_id.clone(),
            key: keys.queue.auth.clone(),
        };
        self.effects.push(Effect::Watch(Box::new(watched), keys.session));
        Ok(QueueAddress {
            server: keys.server.clone(),
            sender_id: queue.sender_id.clone(),
            dh_key: keys.e2e.public(),
            mode: queue.mode,
        })
    }

    /// The invitation to a queue that was made.
    fn invitation(&mut self, address: QueueAddress) -> Result<(), AgentError> {
        let too_large = |_| AgentError::Internal("the invitation cannot be written".to_owned());
        let Agreement::Offered(keys) = &self.connection()?.agreement else { return Err(PROHIBITED) };
        let ratchet = keys.for_link(RATCHET_VERSIONS);
        let queue = QueueUri { versions: CLIENT_VERSIONS, address };
        let request =
            ConnectionRequest::new(version::SUPPORTED, vec![queue], Some(ratchet)).map_err(too_large)?;
        self.keep();
        if let Some(call) = self.running.call.take() {
            self.reply(call, Ok(Reply::Invitation(self.id, Box::new(request))));
        }
        Ok(())
    }

    /// The queue for replies was made: the other side is told.
    fn confirm(&mut self, address: QueueAddress) -> Result<(), AgentError> {
        let task = self.tasks_mut().and_then(|tasks| (!tasks.is_empty()).then(|| tasks.remove(0)));
        let Some(Task { kind: TaskKind::CreateReply { info, keys }, .. }) = task else {
            return Err(PROHIBITED);
        };
        let version = self.send_queue(FIRST).map_or(CLIENT_VERSIONS.max(), |queue| queue.version);
        let queues = NonEmpty::one(QueueInfo { version, address });
        self.enqueue_confirmation(FIRST, AgentMessage::ConnInfoReply { queues, info }, keys)
    }

    /// Begins the first task, if none is under way; when there is none left, messages may go out.
    pub(super) fn run_tasks(&mut self) {
        if self.running.task.is_busy() {
            return;
        }
        let Some(connection) = &self.connection else { return };
        let Some(task) = connection.tasks.first().cloned() else {
            let queues: Vec<_> = connection.send.iter().map(|queue| Effect::Deliver(queue.number)).collect();
            return self.effects.extend(queues);
        };
        if task.origin == Origin::Call && self.running.call.is_none() {
            // Until the call is repeated.
            return;
        }
        let request = match task.kind {
            TaskKind::CreateReply { .. } => {
                if let Err(error) = self.create_queue() {
                    self.fail_call(error);
                }
                return;
            }
            TaskKind::SecureSend(number) => self.send_queue(number).map(|queue| {
                let request = Request::secure_by_sender(queue.sender_id.clone(), queue.key.clone());
                (queue.server.clone(), request)
            }),
            TaskKind::SecureReceive(number, key) => self.receive_queue(number).map(|queue| {
                (queue.server.clone(), Request::secure(queue.recipient_id.clone(), queue.key.clone(), key))
            }),
            TaskKind::DeleteQueue { server, recipient_id, key, .. } => {
                Some((server, Request::delete(recipient_id, *key)))
            }
        };
        match request {
            Some((server, request)) => {
                self.running.task.is_under_way = true;
                self.request(server, request, Doing::Task(self.id));
            }
            None => self.task_done(),
        }
    }

    /// The first task was carried out, or was not.
    pub(super) fn task_answered(&mut self, answer: &Result<Answer, RequestError>) {
        self.running.task.is_under_way = false;
        let Some(task) = self.connection.as_ref().and_then(Connection::next_task).cloned() else { return };
        let error = match answer {
            Ok(_) => return self.task_done(),
            Err(error) if is_temporary(error) && !self.is_called_for() => return self.task_later(),
            Err(error) => error.clone(),
        };
        let is_gone = is_refused(&error);
        let server = match &task.kind {
            TaskKind::SecureSend(number) => self.send_queue(*number).map(|queue| queue.server.clone()),
            TaskKind::SecureReceive(number, _) => {
                self.receive_queue(*number).map(|queue| queue.server.clone())
            }
            TaskKind::DeleteQueue { server, .. } => Some(server.clone()),
            TaskKind::CreateReply { .. } => None,
        };
        match (task.kind, task.origin, server) {
            (TaskKind::SecureSend(_), Origin::Call, _) if is_gone => {
                self.fail_call(AgentError::Connection(ConnectionError::NotAvailable));
            }
            (_, Origin::Call, Some(server)) => self.fail_call(to_error(server, error)),
            // What was to be deleted is gone already; what was to be secured refuses the message that is sent next.
            (TaskKind::DeleteQueue { .. } | TaskKind::SecureSend(_), _, _) if is_gone => self.task_given_up(),
            (_, _, server) => {
                server.into_iter().for_each(|server| self.error(to_error(server, error.clone())));
                self.task_given_up();
            }
        }
    }

    /// The first task cannot be done. Kept, it would hold up everything behind it for ever.
    fn task_given_up(&mut self) {
        if let Some(tasks) = self.tasks_mut().filter(|tasks| !tasks.is_empty()) {
            tasks.remove(0);
        }
        self.running.task = Attempt::default();
        self.effects.push(Effect::Tasks);
    }

    fn task_done(&mut self) {
        let task = self.tasks_mut().and_then(|tasks| (!tasks.is_empty()).then(|| tasks.remove(0)));
        match task.map(|task| task.kind) {
            Some(TaskKind::SecureSend(number)) => {
                self.send_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Secured);
            }
            Some(TaskKind::SecureReceive(number, _)) => {
                self.receive_mut(number).into_iter().for_each(|queue| queue.stage = QueueStage::Secured);
            }
            _ => {}
        }
        self.running.task = Attempt::default();
        self.effects.push(Effect::Tasks);
    }

    /// The first task is tried again after a pause.
    fn task_later(&mut self) {
        let limits = self.shared.config.limits.clone();
        self.running.task.later(self.shared.now.mono, limits.retry_min, limits.retry_max);
    }

    /// Whether a call waits for the tasks.
    pub(super) const fn is_called_for(&self) -> bool {
        self.running.call.is_some()
    }

    /// The call that waits fails, or the app is told that something else did.
    pub(super) fn fail_call(&mut self, error: AgentError) {
        match self.running.call.take() {
            Some(call) => self.reply(call, Err(error)),
            None => self.error(error),
        }
    }
}

/// Whether the sender of a queue secures it.
pub(super) fn can_secure(queue: &SendQueue) -> bool {
    queue.mode.is_some_and(QueueMode::sender_can_secure)
}

fn new_state(user: UserId, progress: Progress, version: Version, pq_support: bool) -> ConnectionState {
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
    }
}
