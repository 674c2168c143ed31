//! Queues of a connection: how they are made, and where.

use super::effect::{Doing, Effect, NewKeys, is_temporary, to_error};
use super::establish::CLIENT_VERSIONS;
use super::servers::ServerRole;
use super::step::{PROHIBITED, Step};
use super::store::{Progress, QueueNumber, QueueStage, ReceiveQueue, SendQueue, WaitingQueue};
use super::{CallId, Reply, UserId};
use crate::client::{Answer, QueueKeys, Request, RequestError};
use crate::crypto::{AuthPrivateKey, Ed25519PrivateKey, X25519PrivateKey};
use crate::wire::QueueMode;
use crate::wire::agent::{AgentError, PeerError};
use crate::wire::broker::CreatedQueue;
use crate::wire::command::SubscriptionMode;
use crate::wire::queue_uri::{QueueAddress, QueueInfo};

/// What a receive queue is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum QueuePurpose {
    /// An invitation: who uses it sends here.
    Invitation,
    /// Replies to the invitation that is being used.
    Reply,
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
        let connection = self.connection()?;
        let user = connection.state.user;
        let receive = connection.receive.iter().map(|queue| queue.server.clone());
        let used: Vec<_> = receive.chain(connection.send.iter().map(|queue| queue.server.clone())).collect();
        let server = self.shared.choose_server(user, ServerRole::Storage, &used)?;
        let queue = QueueKeys::generate(&mut self.shared.entropy);
        let e2e = X25519PrivateKey::generate(&mut self.shared.entropy);
        let mut new = queue.new_queue(SubscriptionMode::Subscribe);
        new.password = server.password.clone();
        let request = Request::create(new, queue.auth.clone());
        let keys = NewKeys { purpose, server: server.address.clone(), queue, e2e, session: 0 };
        self.running.task.is_under_way = true;
        let doing = Doing::Create(self.id, Box::new(keys));
        self.request(server.address.clone(), request, doing);
        Ok(())
    }

    /// A server made a queue, or did not.
    pub(super) fn created(&mut self, keys: &NewKeys, answer: &Result<Answer, RequestError>) {
        self.running.task.is_under_way = false;
        let is_dropped = std::mem::take(&mut self.running.is_dropped) || self.lost_user();
        let queue = match answer {
            Ok(Answer::Created(queue)) if is_dropped => {
                // Nobody wants it any more.
                self.keep();
                let (server, key) = (keys.server.clone(), keys.queue.auth.clone());
                return self.delete_queue(server, queue.recipient_id.clone(), key);
            }
            _ if is_dropped => return self.drop_unstored(),
            Ok(Answer::Created(queue)) => self.new_receive_queue(keys, queue),
            Ok(_) => Err(to_error(keys.server.clone(), RequestError::Unexpected)),
            Err(error) if is_temporary(error) && !self.is_called_for() => return self.task_later(),
            Err(error) => Err(to_error(keys.server.clone(), error.clone())),
        };
        let result = match (queue, keys.purpose) {
            (Ok(address), QueuePurpose::Invitation) => self.invitation(address),
            (Ok(address), QueuePurpose::Reply) => self.confirm(address),
            (Err(error), _) => Err(error),
        };
        if let Err(error) = result {
            self.fail_call(error);
            if keys.purpose == QueuePurpose::Invitation {
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
        let user = connection.state.user;
        let number = connection.next_receive_number();
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
        let (id_of, queues) = (connection.id, connection.receive.clone());
        for queue in queues.into_iter().filter(|_| before != user) {
            self.effects.push(Effect::Unwatch(before, queue.server.clone(), queue.recipient_id.clone()));
            let ReceiveQueue { number, server, recipient_id, key, .. } = queue;
            let watched = WaitingQueue { connection: id_of, user, number, server, recipient_id, key };
            self.effects.push(Effect::Watch(Box::new(watched), NO_SESSION));
        }
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }
}

/// Of no link: a queue that is watched with it is subscribed.
const NO_SESSION: u64 = u64::MAX;

/// Whether the sender of a queue secures it.
pub(super) fn can_secure(queue: &SendQueue) -> bool {
    queue.mode.is_some_and(QueueMode::sender_can_secure)
}
