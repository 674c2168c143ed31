//! Queues of a connection: how they are made, and where.

use super::effect::{Doing, Effect, NewKeys, is_temporary, to_error};
use super::establish::FIRST;
use super::servers::ServerRole;
use super::short_links::NewLink;
use super::step::{PROHIBITED, Step};
use super::store::{
    Connection, Progress, QueueNumber, QueueStage, ReceiveQueue, SendQueue, TaskKind, WaitingQueue,
};
use super::{CallId, LinkContent, Reply, UserId, UserServer};
use crate::client::{Answer, QueueKeys, Request, RequestError};
use crate::crypto::{AuthPrivateKey, Ed25519PrivateKey, X25519PrivateKey};
use crate::wire::agent::{AgentError, PeerError};
use crate::wire::broker::CreatedQueue;
use crate::wire::command::{QueueRequestData, SubscriptionMode};
use crate::wire::queue_uri::{QueueAddress, QueueInfo};
use crate::wire::{EntityId, QueueMode, ServerAddress};

/// What a receive queue is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum QueuePurpose {
    /// An invitation: who uses it sends here.
    Invitation,
    /// Replies to the invitation that is being used.
    Reply,
    /// A contact address: anybody sends here.
    Address,
    /// An invitation for the owner of an address.
    Request,
    /// To take the place of another.
    Rotation,
}

impl QueuePurpose {
    /// What the server is told that the queue is for.
    const fn mode(self) -> QueueMode {
        match self {
            Self::Address => QueueMode::Contact,
            Self::Invitation | Self::Reply | Self::Request | Self::Rotation => QueueMode::Messaging,
        }
    }
}

impl Step<'_> {
    /// A send queue to an address, with keys of its own.
    pub(super) fn new_send_queue(
        &mut self,
        number: QueueNumber,
        queue: &QueueInfo,
    ) -> Result<SendQueue, AgentError> {
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

    /// NEW, on a server of the user's that the connection does not use yet, if there is one.
    pub(super) fn create_queue(&mut self, purpose: QueuePurpose) -> Result<(), AgentError> {
        self.create_linked_queue(purpose, None)
    }

    /// The same, with a short link.
    pub(super) fn create_linked_queue(
        &mut self,
        purpose: QueuePurpose,
        content: Option<&LinkContent>,
    ) -> Result<(), AgentError> {
        let connection = self.connection()?;
        let user = connection.state.user;
        let used = used_servers(connection);
        let server = self.shared.choose_server(user, ServerRole::Storage, &used)?;
        self.request_queue(&server, purpose, content)?;
        self.running.task.is_under_way = true;
        Ok(())
    }

    /// NEW, on this server.
    pub(super) fn request_queue(
        &mut self,
        server: &UserServer,
        purpose: QueuePurpose,
        content: Option<&LinkContent>,
    ) -> Result<(), AgentError> {
        self.check_notices(&server.address, purpose)?;
        let queue = QueueKeys::generate(&mut self.shared.entropy);
        let e2e = X25519PrivateKey::generate(&mut self.shared.entropy);
        let link = match content {
            None => None,
            Some(content) => {
                let mode = Some(purpose.mode());
                let (server, dh_key) = (server.address.clone(), e2e.public());
                let address = QueueAddress { server, sender_id: EntityId::empty(), dh_key, mode };
                Some(self.make_link(address, content)?)
            }
        };
        self.request_new(server, purpose, queue, e2e, link);
        Ok(())
    }

    /// The same, with these keys and this link.
    pub(super) fn request_new(
        &mut self,
        server: &UserServer,
        purpose: QueuePurpose,
        queue: QueueKeys,
        e2e: X25519PrivateKey,
        link: Option<(NewLink, QueueRequestData)>,
    ) {
        let mode = self.subscription_mode(purpose == QueuePurpose::Rotation);
        let mut new = queue.new_queue(mode);
        new.password = server.password.clone();
        if purpose == QueuePurpose::Address {
            new.queue_data = Some(QueueRequestData::Contact(None));
        }
        let (link, data) = link.unzip();
        new.queue_data = data.or(new.queue_data);
        let request = Request::create(new, queue.auth.clone());
        let request = match &link {
            Some(link) => request.with_correlation_id(link.correlation),
            None => request,
        };
        let keys = NewKeys {
            purpose,
            server: server.address.clone(),
            queue,
            e2e,
            link,
            is_subscribed: mode == SubscriptionMode::Subscribe,
            session: 0,
            is_associated: false,
        };
        let doing = Doing::Create(self.id, Box::new(keys));
        self.request(server.address.clone(), request, doing);
    }

    /// Receives again from all queues.
    pub(super) fn resubscribe(&mut self, id: CallId) -> Result<(), AgentError> {
        let queues = self.connection()?.queues_in_use();
        // From now on messages come by themselves.
        self.end_fetching(&Err(PROHIBITED));
        self.effects.extend(queues.into_iter().map(|queue| Effect::Subscribe(Box::new(queue))));
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }

    /// A server made a queue, or did not.
    pub(super) fn created(&mut self, keys: &NewKeys, answer: &Result<Answer, RequestError>) {
        if keys.purpose == QueuePurpose::Rotation {
            return self.switch_created(keys, answer);
        }
        self.running.task.is_under_way = false;
        let is_dropped = std::mem::take(&mut self.running.is_dropped) || self.lost_user();
        if is_dropped {
            self.running.link = None;
        }
        let queue = match answer {
            Ok(Answer::Created(queue)) if !is_dropped && keys.is_for_other(queue) => {
                return self.made_other_queue(keys, queue);
            }
            Ok(Answer::Created(queue)) if is_dropped => {
                // Nobody wants it any more.
                self.keep();
                let (server, key) = (keys.server.clone(), keys.queue.auth.clone());
                self.drop_receive_queues();
                return self.delete_queue(server, queue.recipient_id.clone(), key);
            }
            _ if is_dropped && self.has_queues() => {
                self.keep();
                return self.drop_receive_queues();
            }
            _ if is_dropped => return self.drop_unstored(),
            Ok(Answer::Created(queue)) => self.new_receive_queue(keys, queue),
            _ if keys.link.is_some() && self.link_instead_of_spare(keys.purpose) => return,
            // It does without.
            _ if keys.link.is_none() && (self.has_queues() || self.running.link.is_some()) => {
                return self.all_created(keys.purpose);
            }
            Ok(_) => Err(to_error(keys.server.clone(), RequestError::Unexpected)),
            Err(error) if is_temporary(error) && !self.is_called_for() => return self.task_later(),
            Err(error) => Err(to_error(keys.server.clone(), error.clone())),
        };
        match queue {
            // The queue with a link is made last.
            Ok(_) if keys.link.is_none() && self.create_spare(keys.purpose) => {}
            Ok(_) => match keys.link.as_ref().and_then(|link| link.prepared.as_deref()) {
                Some(request) => self.tell_invitation(request.clone()),
                None => self.all_created(keys.purpose),
            },
            Err(error) => self.not_created(keys.purpose, error),
        }
    }

    /// None can be made, or what was to be told of them cannot be.
    pub(super) fn not_created(&mut self, purpose: QueuePurpose, error: AgentError) {
        self.running.link = None;
        self.fail_call(error);
        if matches!(purpose, QueuePurpose::Invitation | QueuePurpose::Address) {
            self.connection = None;
        }
    }

    /// As many queues were made as the connection is to have.
    pub(super) fn all_created(&mut self, purpose: QueuePurpose) {
        if let Some(content) = self.running.link.clone() {
            return self.create_with_link_last(purpose, &content);
        }
        self.does_with_these();
        let result = match purpose {
            QueuePurpose::Reply => self.confirm(),
            QueuePurpose::Request => {
                self.effects.push(Effect::Tasks);
                Ok(())
            }
            QueuePurpose::Invitation | QueuePurpose::Address => self.invitation(),
            // Another way, see `rotation`.
            QueuePurpose::Rotation => Ok(()),
        };
        if let Err(error) = result {
            self.not_created(purpose, error);
        }
    }

    /// What others are told of our queues.
    pub(super) fn addresses(&self) -> Vec<QueueAddress> {
        let queues = self.connection.iter().flat_map(|connection| &connection.receive);
        queues.filter(|queue| queue.stage != QueueStage::Disabled).map(address_of).collect()
    }

    fn has_queues(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.receive.is_empty())
    }

    /// Adds a queue that was made, which is subscribed.
    pub(super) fn new_receive_queue(
        &mut self,
        keys: &NewKeys,
        queue: &CreatedQueue,
    ) -> Result<QueueAddress, AgentError> {
        let secret = keys.queue.secret(queue);
        let server_secret = secret.map_err(|_| to_error(keys.server.clone(), RequestError::Unexpected))?;
        // One with a link is the first, though it is made last.
        let is_last = self.running.link.is_some();
        let connection = self.connection()?;
        let user = connection.state.user;
        let number = match &keys.link {
            Some(_) => FIRST,
            None if is_last => connection.next_receive_number().max(QueueNumber(FIRST.0 + 1)),
            None => connection.next_receive_number(),
        };
        let version = self.shared.config.versions.client.max();
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
            version,
            link: keys.link.as_ref().and_then(|link| link.kept(queue)),
            replaces: None,
            switch: None,
            last_told: None,
        });
        if keys.link.is_some() {
            self.receive_first(number);
            self.running.link = None;
        }
        let watched = WaitingQueue {
            connection: self.id,
            user,
            number,
            server: keys.server.clone(),
            recipient_id: queue.recipient_id.clone(),
            key: keys.queue.auth.clone(),
            is_associated: keys.is_associated,
        };
        let watched = Box::new(watched);
        let first = self.connection()?.queues_in_use().into_iter().find(|queue| queue.number != number);
        self.effects.push(match first {
            _ if keys.is_subscribed => Effect::Watch(watched, keys.session),
            Some(first) if keys.purpose == QueuePurpose::Rotation => {
                Effect::WatchAs(watched, Box::new(first))
            }
            _ => Effect::Leave(watched),
        });
        self.receive_queue(number).map(address_of).ok_or(PROHIBITED)
    }
}

/// What a sender has to know of a queue of ours.
pub(super) fn address_of(queue: &ReceiveQueue) -> QueueAddress {
    QueueAddress {
        server: queue.server.clone(),
        sender_id: queue.sender_id.clone(),
        dh_key: queue.e2e_key.public(),
        mode: queue.mode,
    }
}

/// The servers that have queues of the connection, or of the other side.
pub(super) fn used_servers(connection: &Connection) -> Vec<ServerAddress> {
    let asked = connection.tasks.iter().filter_map(|task| match &task.kind {
        TaskKind::Invite { queue, .. } => Some(&queue.address.server),
        _ => None,
    });
    let receive = connection.receive.iter().map(|queue| &queue.server);
    receive.chain(connection.send.iter().map(|queue| &queue.server)).chain(asked).cloned().collect()
}

impl Step<'_> {
    /// A connection that nobody used yet gets another user; its queue moves to that one's sessions.
    pub(super) fn change_user(&mut self, id: CallId, user: UserId) -> Result<(), AgentError> {
        if !self.shared.has_user(user) {
            return Err(AgentError::NoUser);
        }
        let connection = self.connection()?;
        let is_unused = matches!(connection.state.progress, Progress::Created | Progress::Contact);
        if !is_unused || !connection.tasks.is_empty() {
            return Err(PROHIBITED);
        }
        let before = std::mem::replace(&mut connection.state.user, user);
        for watched in connection.queues_in_use().into_iter().filter(|_| before != user) {
            let was = WaitingQueue { user: before, ..watched.clone() };
            let gone = Effect::Unwatch(before, was.server.clone(), was.recipient_id.clone());
            self.effects.extend([Effect::WatchAs(Box::new(watched), Box::new(was)), gone]);
        }
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }
}

/// Whether the sender of a queue secures it.
pub(super) fn can_secure(queue: &SendQueue) -> bool {
    queue.mode.is_some_and(QueueMode::sender_can_secure)
}
