//! Contact addresses: anybody who has one sends an invitation to it, and its owner uses that or forgets it.
//!
//! ```text
//!   owner                           servers                         who has the address
//!   NEW ──────────────▶ queue A
//!                                   ◀──── address, on any way ────▶
//!                       queue 1 ◀───────────────────────── NEW
//!         REQ ◀──────── queue A ◀───────────────────────── invitation to queue 1, info
//!   as with any other invitation: see `establish`
//! ```
//!
//! Nobody secures the queue of an address. An invitation is encrypted for it with a key that is used once, and may come twice:
//! when its sender did not hear that the server has it. So it is named by a hash of what it says, which is remembered as long as
//! messages are.

use bytes::Bytes;

use super::effect::{Doing, Effect};
use super::establish::new_state;
use super::queues::QueuePurpose;
use super::receive::{PROHIBITED_MESSAGE, Taken};
use super::seal::seal_once;
use super::step::{PROHIBITED, Step};
use super::store::{
    AgentOp, AgentQuery, Agreement, Connection, Found, Invitation, Origin, Progress, QueueNumber, Task,
    TaskKind,
};
use super::{AgentVersions, CallId, ContactRequest, Event, InvitationId, LocalMessageId, Reply, UserId};
use crate::client::Request;
use crate::crypto::hash::sha256;
use crate::crypto::ratchet::{KemOffer, X3dhKeys};
use crate::crypto::{CryptoError, X25519PrivateKey};
use crate::wire::agent::{
    AgentCommandError, AgentEnvelope, AgentError, ConnectionError, EnvelopeBody, PeerError, version,
};
use crate::wire::command::MessageFlags;
use crate::wire::link::KemParameters;
use crate::wire::queue_uri::{QueueAddress, QueueInfo};
use crate::wire::{ConnectionRequest, MessageId, QueueMode, Version};

impl Step<'_> {
    /// Makes an address.
    pub(super) fn create_address(&mut self, id: CallId, user: UserId) -> Result<(), AgentError> {
        self.connection = Some(self.new_address(user));
        if let Err(error) = self.create_queue(QueuePurpose::Address) {
            self.connection = None;
            return Err(error);
        }
        self.running.call = Some(id);
        Ok(())
    }

    /// An address without a queue.
    pub(super) fn new_address(&self, user: UserId) -> Connection {
        Connection {
            id: self.id,
            state: new_state(user, Progress::Contact, self.shared.config.versions.agent.max(), false),
            agreement: Agreement::None,
            receive: Vec::new(),
            send: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// Sends an invitation to an address whose owner speaks `version`.
    pub(super) fn ask_owner(
        &mut self,
        id: CallId,
        user: UserId,
        request: &ConnectionRequest,
        version: Version,
        info: &Bytes,
        pq: bool,
    ) -> Result<(), AgentError> {
        let versions = self.shared.config.versions;
        let queues = request.queues().iter().map_while(|queue| queue.agree(versions.client));
        let queues: Vec<_> = queues.take(self.shared.config.limits.send_queues.max(1)).collect();
        let first = queues.first().cloned().ok_or(AgentError::Peer(PeerError::Version))?;
        let pq = pq && version >= version::PQ_RATCHET;
        let offer = if pq { KemOffer::Propose } else { KemOffer::Nothing };
        let keys = X3dhKeys::generate(versions.ratchet.max(), offer, &mut self.shared.entropy);
        // One of them is enough.
        let tasks = queues.into_iter().map(|queue| TaskKind::Invite { queue, info: info.clone() });
        let tasks = tasks.map(|kind| Task { kind, origin: Origin::Call }).collect();
        self.connection = Some(Connection {
            id: self.id,
            state: new_state(user, Progress::Joining, version, pq),
            agreement: Agreement::Offered(Box::new(keys)),
            receive: Vec::new(),
            send: Vec::new(),
            tasks,
        });
        if let Err(error) = self.check_invitation(user, &first, info) {
            self.connection = None;
            return Err(error);
        }
        self.keep();
        self.running.call = Some(id);
        self.effects.push(Effect::Tasks);
        Ok(())
    }

    /// The invitation for the owner of an address: first its queues are made.
    pub(super) fn send_invitation(&mut self, queue: &QueueInfo, info: &Bytes) {
        let body = match self.addresses().is_empty() {
            true => self.create_queue(QueuePurpose::Request).map(|()| None),
            false if self.create_spare(QueuePurpose::Request) => return,
            false => self.invitation_that_fits(queue, info).map(Some),
        };
        match body {
            Ok(Some(body)) => {
                self.running.task.is_under_way = true;
                let flags = MessageFlags { notification: true };
                let request = Request::send(queue.address.sender_id.clone(), None, flags, body);
                self.request(queue.address.server.clone(), request, Doing::Task(self.id));
            }
            Ok(None) => {}
            Err(error) => self.fail_call(error),
        }
    }

    /// False if the owner of the address has the invitation, because he used it.
    pub(super) fn is_to_invite(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.state.progress == Progress::Joining)
    }

    /// The server of the address has the invitation.
    pub(super) fn invitation_sent(&mut self) {
        if self.is_to_invite()
            && let Some(connection) = &mut self.connection
        {
            connection.state.progress = Progress::Requested;
        }
        if let Some(call) = self.running.call.take() {
            let reply = self.joined();
            self.reply(call, Ok(reply));
        }
    }

    /// Somebody wants to connect.
    pub(super) fn request_came(
        &mut self,
        number: QueueNumber,
        message: &MessageId,
        request: &ConnectionRequest,
        info: &Bytes,
    ) -> Result<Taken, AgentError> {
        let Some(Found::InvitationIds(known)) = self.found.take() else { return Err(PROHIBITED_MESSAGE) };
        // If the server delivers it again, it is known also when the app has dealt with it. It is no message of the app.
        let told = (message.clone(), LocalMessageId(0));
        self.receive_mut(number).into_iter().for_each(|queue| queue.last_told = Some(told.clone()));
        let id = self.name_of(request);
        if known.contains(&id) {
            return Ok(Taken::Done);
        }
        // It may come once more when the app has dealt with it.
        let hash = sha256(id.as_bytes());
        match self.ask(AgentQuery::Seen(self.id, hash)) {
            Some(Found::Seen(false)) => {}
            _ => return Ok(Taken::Done),
        }
        if known.len() >= self.shared.config.limits.requests {
            let text = "too many requests wait at this address: one was dropped";
            return Err(AgentError::Internal(text.to_owned()));
        }
        let invitation = Invitation {
            id,
            connection: self.id,
            request: request.clone(),
            info: info.clone(),
            received_at: self.now(),
        };
        self.tell_request(&invitation);
        self.ops.push(AgentOp::PutSeen(self.id, hash, self.now()));
        self.ops.push(AgentOp::PutInvitation(Box::new(invitation)));
        Ok(Taken::Done)
    }

    pub(super) fn tell_request(&mut self, invitation: &Invitation) {
        self.event(Event::Request(Box::new(contact_request(self.shared.config.versions, invitation))));
    }

    /// Connects to somebody who asked. From then on the new connection has his invitation.
    pub(super) fn accept(
        &mut self,
        id: CallId,
        user: UserId,
        info: &Bytes,
        pq: bool,
    ) -> Result<(), AgentError> {
        match (self.found.take(), &self.connection) {
            (Some(Found::Invitation(Some(invitation))), None) => {
                self.join(id, user, &invitation.request, info, pq)?;
                self.ops.push(AgentOp::DeleteInvitation(invitation.id));
                Ok(())
            }
            (Some(Found::Invitation(Some(_))), Some(_)) => {
                Err(AgentError::Connection(ConnectionError::Duplicate))
            }
            (_, Some(_)) => self.rejoin(id),
            (_, None) => Err(AgentError::Connection(ConnectionError::NotFound)),
        }
    }

    /// Forgets a request.
    pub(super) fn reject(&mut self, id: CallId) -> Result<(), AgentError> {
        let not_found = AgentError::Connection(ConnectionError::NotFound);
        let Some(Found::Invitation(Some(invitation))) = self.found.take() else { return Err(not_found) };
        if invitation.connection != self.id {
            return Err(not_found);
        }
        self.ops.push(AgentOp::DeleteInvitation(invitation.id));
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }

    /// All requests that wait.
    pub(super) fn requests(&mut self, id: CallId) -> Result<(), AgentError> {
        let Some(Found::Invitations(invitations)) = self.found.take() else { return Err(PROHIBITED) };
        if self.connection()?.state.progress != Progress::Contact {
            return Err(PROHIBITED);
        }
        let versions = self.shared.config.versions;
        let requests = invitations.iter().map(|invitation| contact_request(versions, invitation)).collect();
        self.reply(id, Ok(Reply::Requests(requests)));
        Ok(())
    }

    /// Refuses what does not fit before anything is kept: the invitation to a queue on any of the user's servers.
    fn check_invitation(&mut self, user: UserId, to: &QueueInfo, info: &Bytes) -> Result<(), AgentError> {
        for server in self.shared.servers_of(user)? {
            let address = QueueAddress {
                server,
                sender_id: [0; 24].into(),
                dh_key: X25519PrivateKey::generate(&mut self.shared.entropy).public(),
                mode: Some(QueueMode::Messaging),
            };
            self.invitation_to(vec![address], to, info)?;
        }
        Ok(())
    }

    /// The body of SEND with an invitation to all of our queues; to the first alone, if there is no room for more: then nobody
    /// will know the others.
    fn invitation_that_fits(&mut self, to: &QueueInfo, info: &Bytes) -> Result<Bytes, AgentError> {
        let mut addresses = self.addresses();
        match self.invitation_to(addresses.clone(), to, info) {
            Err(AgentError::Command(AgentCommandError::Large)) if addresses.len() > 1 => {
                addresses.truncate(1);
                self.retire_spares();
                self.does_with(1);
                self.invitation_to(addresses, to, info)
            }
            body => body,
        }
    }

    /// The body of SEND with an invitation to queues of ours.
    fn invitation_to(
        &mut self,
        addresses: Vec<QueueAddress>,
        to: &QueueInfo,
        info: &Bytes,
    ) -> Result<Bytes, AgentError> {
        let request = Box::new(self.request_to(addresses)?);
        let version = self.connection()?.state.version;
        let mut envelope = Vec::new();
        let body = EnvelopeBody::Invitation { request, info: info.clone() };
        AgentEnvelope { version, body }.encode(&mut envelope);
        seal_once(to, envelope.into(), &mut self.shared.entropy).map_err(|error| match error {
            CryptoError::TooLarge => AgentError::Command(AgentCommandError::Large),
            _ => AgentError::Peer(PeerError::Queue),
        })
    }

    /// The same for the same request to the same address.
    fn name_of(&self, request: &ConnectionRequest) -> InvitationId {
        let mut named = self.id.as_bytes().to_vec();
        request.encode(&mut named);
        let hash = sha256(&named);
        let mut id = [0; 12];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        InvitationId::new(id)
    }
}

/// What the app is told of an invitation.
fn contact_request(versions: AgentVersions, invitation: &Invitation) -> ContactRequest {
    let Invitation { request, .. } = invitation;
    let ratchet = request.ratchet.as_ref().and_then(|keys| keys.versions.intersect(versions.ratchet));
    let version = request.versions.intersect(versions.agent);
    ContactRequest {
        connection: invitation.connection,
        invitation: invitation.id,
        servers: request.queues().iter().map(|queue| queue.address.server.clone()).collect(),
        info: invitation.info.clone(),
        pq: version.is_some_and(|version| version.max() >= version::PQ_RATCHET)
            && ratchet.is_some_and(|version| version.max() >= KemParameters::SINCE),
        received_at: invitation.received_at,
    }
}
