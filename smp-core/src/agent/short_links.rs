//! Short links: those of our own invitations and addresses, whose data is on the server of the queue, and those that others gave us.
//!
//! ```text
//!   maker                            server                          who has the link
//!   NEW with data ────▶ queue, link
//!   LSET, LDEL ───────▶        link
//!                              link ◀───────────────────────── LKEY   an invitation: secures the queue with a key that is kept
//!                              link ◀───────────────────────── LGET   an address
//! ```
//!
//! What is signed, encrypted and checked is in [`crate::crypto::link`].

use super::actor::Attempt;
use super::effect::{Doing, Effect, to_error};
use super::establish::{FIRST, new_state};
use super::queues::{QueuePurpose, address_of};
use super::step::{PROHIBITED, Step};
use super::store::{Agreement, Connection, LinkCredentials, Origin, Progress, ReceiveQueue, Task, TaskKind};
use super::{CallId, LinkContent, LinkRoot, Reply, UserId};
use crate::client::{Answer, Request, RequestError};
use crate::crypto::link::{self, LinkFault, OwnedLink};
use crate::crypto::ratchet::{KemOffer, X3dhKeys};
use crate::crypto::{AuthPrivateKey, Ed25519PrivateKey, chosen_sender_id};
use crate::wire::agent::{AgentCommandError, AgentError, ConnectionError, LinkDataError, PeerError};
use crate::wire::broker::CreatedQueue;
use crate::wire::command::{LinkData, QueueRequestData};
use crate::wire::link::{ConnectionMode, ContactKind, LinkKind, ShortLink, UserLinkData};
use crate::wire::queue_uri::QueueAddress;
use crate::wire::{ConnectionRequest, CorrelationId, EntityId, QueueMode, ServerAddress};

/// The link of a queue that is being made.
pub(super) struct NewLink {
    owned: OwnedLink,
    root: Ed25519PrivateKey,
    /// What the queue will have, if its server makes links.
    sender_id: EntityId,
    /// From which that follows.
    pub(super) correlation: [u8; 24],
    /// The full link, if it was told before.
    pub(super) prepared: Option<Box<ConnectionRequest>>,
}

impl Step<'_> {
    /// Makes an invitation or an address with a short link.
    pub(super) fn create_with_link(
        &mut self,
        id: CallId,
        user: UserId,
        content: &LinkContent,
        pq: bool,
    ) -> Result<(), AgentError> {
        if !self.shared.has_user(user) {
            return Err(AgentError::NoUser);
        }
        let versions = self.shared.config.versions;
        let offer = if pq { KemOffer::Propose } else { KemOffer::Nothing };
        let is_address = content.contact.is_some();
        let (progress, purpose) = match is_address {
            true => (Progress::Contact, QueuePurpose::Address),
            false => (Progress::Created, QueuePurpose::Invitation),
        };
        let agreement = match is_address {
            true => Agreement::None,
            false => {
                let keys = X3dhKeys::generate(versions.ratchet.max(), offer, &mut self.shared.entropy);
                Agreement::Offered(Box::new(keys))
            }
        };
        self.connection = Some(Connection {
            id: self.id,
            state: new_state(user, progress, versions.agent.max(), pq && !is_address),
            agreement,
            receive: Vec::new(),
            send: Vec::new(),
            tasks: Vec::new(),
        });
        if let Err(error) = self.create_with_spares(purpose, content.clone()) {
            self.connection = None;
            return Err(error);
        }
        self.running.call = Some(id);
        Ok(())
    }

    /// The link of a queue that is about to be made at this address, but for its sender id, which the correlation id decides; and
    /// what NEW is told.
    pub(super) fn make_link(
        &mut self,
        address: QueueAddress,
        content: &LinkContent,
    ) -> Result<(NewLink, QueueRequestData), AgentError> {
        let correlation = self.shared.entropy.bytes();
        let sender_id = chosen_sender_id(&CorrelationId::from(correlation));
        let (owned, root) = self.new_link(QueueAddress { sender_id: sender_id.clone(), ..address })?;
        self.with_content(NewLink::new(owned, root, sender_id, correlation), content)
    }

    /// A link and what NEW is told, so that it shows this.
    pub(super) fn with_content(
        &mut self,
        link: NewLink,
        content: &LinkContent,
    ) -> Result<(NewLink, QueueRequestData), AgentError> {
        let data = self.seal_link(&link.owned, &link.root, content)?;
        let request = link.owned.queue_data(link.sender_id.clone(), data);
        Ok((link, request))
    }

    /// What an invitation or an address is answered with. With a short link the key of the KEM is in the data of that alone.
    pub(super) fn made(&self, mut request: ConnectionRequest) -> Reply {
        let Some(link) = self.connection.as_ref().and_then(short_link) else {
            return Reply::Invitation(self.id, Box::new(request));
        };
        if let Some(keys) = &mut request.ratchet {
            keys.kem = None;
        }
        Reply::Linked(self.id, Box::new(request), Box::new(link))
    }

    /// The full link of an address as its short link has it: with client data, if there is any.
    pub(super) fn request_of_link(&self) -> Option<ConnectionRequest> {
        let connection = self.connection.as_ref().filter(|it| it.state.progress == Progress::Contact)?;
        let LinkCredentials { key, fixed, .. } = connection.receive.first()?.link.as_deref()?;
        let owned = OwnedLink::load(ConnectionMode::Contact, key.clone(), fixed.clone()).ok()?;
        Some(owned.open_fixed().ok()?.request)
    }

    /// Changes what a link leads to, and gives one to an address that has none. `signer` is an owner's key, if it is not the root
    /// key.
    pub(super) fn set_link(
        &mut self,
        id: CallId,
        content: &LinkContent,
        signer: Option<&Ed25519PrivateKey>,
    ) -> Result<(), AgentError> {
        let queue = self.linked_queue()?;
        let is_address = self.connection()?.state.progress == Progress::Contact;
        if is_address != content.contact.is_some() {
            return Err(PROHIBITED);
        }
        let (owned, root) = match &queue.link {
            Some(link) => {
                let mode = if is_address { ConnectionMode::Contact } else { ConnectionMode::Invitation };
                let owned = OwnedLink::load(mode, link.key.clone(), link.fixed.clone());
                (owned.map_err(cannot_make)?, link.root.clone())
            }
            None if is_address => {
                self.new_link(QueueAddress { mode: Some(QueueMode::Contact), ..address_of(&queue) })?
            }
            None => return Err(PROHIBITED),
        };
        let data = self.seal_link(&owned, signer.unwrap_or(&root), content)?;
        let link_id = match (owned.link_id(), &queue.link) {
            (Some(id), _) => id,
            (None, Some(link)) => link.link_id.clone(),
            (None, None) => return Err(PROHIBITED),
        };
        if queue.link.is_none() {
            let link = credentials(&owned, &root, link_id.clone());
            self.receive_mut(queue.number).into_iter().for_each(|queue| queue.link = Some(link.clone()));
        }
        let link = self.connection.as_ref().and_then(short_link).ok_or(PROHIBITED)?;
        let request = Request::set_link(queue.recipient_id, queue.key, link_id, data);
        let doing = Doing::Link(id, queue.server.clone(), Box::new(Reply::Link(Box::new(link))));
        self.request(queue.server, request, doing);
        Ok(())
    }

    /// The root key of the link of an invitation that nobody was allowed to use yet, or of an address.
    pub(super) fn tell_root(&mut self, id: CallId) -> Result<(), AgentError> {
        self.connection()?;
        let link = self.linked_queue().ok().and_then(|queue| queue.link);
        self.reply(id, Ok(Reply::LinkRoot(link.map(|link| Box::new(LinkRoot(link.root))))));
        Ok(())
    }

    /// Takes the data of a link from the server.
    pub(super) fn delete_link(&mut self, id: CallId) -> Result<(), AgentError> {
        let queue = self.linked_queue()?;
        if queue.link.is_none() {
            return Err(PROHIBITED);
        }
        let request = Request::remove_link(queue.recipient_id, queue.key);
        let doing = Doing::Link(id, queue.server.clone(), Box::new(Reply::Done));
        self.request(queue.server, request, doing);
        Ok(())
    }

    /// Asks what a link leads to. To ask that of an invitation secures its queue: the key is kept before.
    pub(super) fn open_link(&mut self, id: CallId, user: UserId, link: &ShortLink) -> Result<(), AgentError> {
        match self.connection.as_ref().map(Connection::next_task) {
            None => self.begin_to_open(user, link)?,
            Some(Some(Task { kind: TaskKind::OpenLink { link: kept, .. }, .. }))
                if kept.key == link.key && kept.kind == link.kind && !self.is_called_for() => {}
            Some(_) => return Err(AgentError::Connection(ConnectionError::Duplicate)),
        }
        self.running.call = Some(id);
        self.effects.push(Effect::Tasks);
        Ok(())
    }

    fn begin_to_open(&mut self, user: UserId, link: &ShortLink) -> Result<(), AgentError> {
        let known: Vec<ServerAddress> = self.shared.servers_of(user)?;
        let link = ShortLink { server: link.server.restored(&known), ..link.clone() };
        link.server.address().ok_or(NO_SERVER)?;
        if link.mode() == ConnectionMode::Invitation {
            self.keep();
        }
        let versions = self.shared.config.versions;
        let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut self.shared.entropy));
        let (link, key) = (Box::new(link), Box::new(key));
        let kind = TaskKind::OpenLink { link, key, sender_id: EntityId::empty() };
        self.connection = Some(Connection {
            id: self.id,
            state: new_state(user, Progress::Opened, versions.agent.max(), false),
            agreement: Agreement::None,
            receive: Vec::new(),
            send: Vec::new(),
            tasks: vec![Task { kind, origin: Origin::Call }],
        });
        Ok(())
    }

    /// What a link leads to, or why that is not known.
    pub(super) fn link_answered(&mut self, link: &ShortLink, answer: &Result<Answer, RequestError>) {
        self.running.task = Attempt::default();
        let opened = match (answer, link.server.address()) {
            (Ok(Answer::Link { sender_id, data }), _) => {
                let opened = link::open(link, sender_id, data).map_err(bad_link);
                opened.map(|opened| (opened, sender_id.clone()))
            }
            (_, None) => Err(NO_SERVER),
            (Ok(_), Some(server)) => Err(to_error(server, RequestError::Unexpected)),
            (Err(error), Some(server)) => Err(to_error(server, error.clone())),
        };
        match opened {
            Ok((opened, of_queue)) => {
                let first = self.tasks_mut().and_then(|tasks| tasks.first_mut());
                if let Some(Task { kind: TaskKind::OpenLink { sender_id, .. }, .. }) = first {
                    *sender_id = of_queue;
                }
                if let Some(call) = self.running.call.take() {
                    self.reply(call, Ok(Reply::Opened(Box::new(opened))));
                }
            }
            Err(error) => self.fail_call(error),
        }
        if !self.running.is_stored {
            // Nobody's queue was secured: nothing need be remembered.
            self.connection = None;
        }
    }

    /// The key with which the queue of this invitation was secured when its link was opened.
    pub(super) fn key_of_opened(&self, request: &ConnectionRequest) -> Option<AuthPrivateKey> {
        let task = self.connection.as_ref().and_then(Connection::next_task)?;
        let TaskKind::OpenLink { link, key, sender_id } = &task.kind else { return None };
        let queue = &request.queues().first()?.address;
        let is_it = queue.sender_id == *sender_id && link.server.address().as_ref() == Some(&queue.server);
        (is_it && link.mode() == request.mode()).then(|| AuthPrivateKey::clone(key))
    }

    /// What the server is to have of a link.
    fn seal_link(
        &mut self,
        owned: &OwnedLink,
        signer: &Ed25519PrivateKey,
        content: &LinkContent,
    ) -> Result<LinkData, AgentError> {
        let (versions, contact) = (self.shared.config.versions.agent, content.contact.as_deref().cloned());
        let user = UserLinkData { versions, contact, data: content.data.clone() };
        owned.seal(&user, signer, &mut self.shared.entropy).map_err(cannot_make)
    }

    /// A link to the first queue, and to as many of those beside it as there is room for.
    fn new_link(&mut self, first: QueueAddress) -> Result<(OwnedLink, Ed25519PrivateKey), AgentError> {
        let beside = self.connection()?.receive.iter().filter(|queue| queue.number != FIRST);
        let mut addresses: Vec<_> = [first].into_iter().chain(beside.map(address_of)).collect();
        let root = Ed25519PrivateKey::generate(&mut self.shared.entropy);
        let versions = self.shared.config.versions.agent;
        loop {
            let request = self.request_to(addresses.clone())?;
            match OwnedLink::new(versions, request, None, &root, &mut self.shared.entropy) {
                Err(LinkFault::TooLarge(_)) if addresses.len() > 1 => _ = addresses.pop(),
                owned => return Ok((owned.map_err(cannot_make)?, root)),
            }
        }
    }

    /// The queue of an invitation that nobody was allowed to use yet, or of an address.
    fn linked_queue(&mut self) -> Result<ReceiveQueue, AgentError> {
        let connection = self.connection()?;
        let may =
            matches!(connection.state.progress, Progress::Created | Progress::Confirmed | Progress::Contact);
        connection.receive.first().filter(|_| may).cloned().ok_or(PROHIBITED)
    }
}

impl NewLink {
    pub(super) const fn new(
        owned: OwnedLink,
        root: Ed25519PrivateKey,
        sender_id: EntityId,
        correlation: [u8; 24],
    ) -> Self {
        Self { owned, root, sender_id, correlation, prepared: None }
    }

    /// The same, with the full link that was told before.
    pub(super) fn of_prepared(self, request: ConnectionRequest) -> Self {
        Self { prepared: Some(Box::new(request)), ..self }
    }

    /// What is kept of it; nothing if the server knows no links, and has made a queue without.
    pub(super) fn kept(&self, queue: &CreatedQueue) -> Option<Box<LinkCredentials>> {
        if queue.sender_id != self.sender_id {
            return None;
        }
        let id = self.owned.link_id().or_else(|| queue.link_id.clone())?;
        Some(credentials(&self.owned, &self.root, id))
    }
}

fn credentials(owned: &OwnedLink, root: &Ed25519PrivateKey, link_id: EntityId) -> Box<LinkCredentials> {
    let (key, fixed) = (owned.key().clone(), owned.fixed().clone());
    Box::new(LinkCredentials { link_id, key, fixed, root: root.clone() })
}

/// The link to give away.
fn short_link(connection: &Connection) -> Option<ShortLink> {
    let queue = connection.receive.first()?;
    let link = queue.link.as_deref()?;
    let kind = match connection.state.progress {
        Progress::Contact => LinkKind::Contact(ContactKind::Contact),
        _ => LinkKind::Invitation(link.link_id.clone()),
    };
    Some(ShortLink { kind, server: queue.server.clone().into(), key: link.key.clone() })
}

/// Why a link cannot be made as it is asked for.
fn cannot_make(fault: LinkFault) -> AgentError {
    match fault {
        LinkFault::TooLarge(_) => AgentError::Command(AgentCommandError::Large),
        LinkFault::Mode | LinkFault::OwnerTwice | LinkFault::OwnerSignature | LinkFault::Signature(_) => {
            PROHIBITED
        }
        _ => AgentError::Internal("the link cannot be made".to_owned()),
    }
}

/// What is wrong with the data of somebody's link.
const fn bad_link(fault: LinkFault) -> AgentError {
    AgentError::Peer(PeerError::Link(match fault {
        LinkFault::Sealed(..) | LinkFault::Malformed(_) | LinkFault::TooLarge(_) => LinkDataError::Unreadable,
        LinkFault::Hash => LinkDataError::Hash,
        LinkFault::Signature(_) => LinkDataError::Signature,
        LinkFault::OwnerTwice | LinkFault::OwnerSignature => LinkDataError::Owners,
        LinkFault::Mode => LinkDataError::Mode,
        LinkFault::Server | LinkFault::SenderId => LinkDataError::Address,
    }))
}

/// The link does not name its server whole, and none that is known has its host.
const NO_SERVER: AgentError = AgentError::Peer(PeerError::Link(LinkDataError::Address));
