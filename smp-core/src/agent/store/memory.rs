//! The vocabulary carried out in memory: the reference for every other store, and the store of agents that outlive no
//! process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    AgentOp, AgentQuery, Agreement, Confirmation, Connection, ConnectionState, Delivery, Found, Incoming,
    Invitation, Outgoing, QueueNumber, QueueStage, ReceiveQueue, SendQueue, ServerNotice, Statistics,
    StoreFailure, Task, User, UserService, WaitingQueue,
};
use crate::agent::{ConfirmationId, ConnectionId, InvitationId, LocalMessageId, UserId};
use crate::crypto::ratchet::SkippedKeys;
use crate::time::UnixTime;
use crate::wire::{EntityId, ServerAddress};

/// All that an agent keeps, in memory. Holds nothing over a restart.
///
/// A batch is carried out on a copy, which then takes the place of the original: it costs a pointer for each
/// connection, and what the connections hold that it changes.
#[derive(Clone, Default)]
pub struct MemoryAgentStore {
    users: BTreeMap<UserId, User>,
    services: BTreeMap<(UserId, Vec<u8>), Arc<UserService>>,
    last_user: i64,
    connections: BTreeMap<ConnectionId, Arc<Kept>>,
    confirmations: BTreeMap<ConfirmationId, Arc<Confirmation>>,
    invitations: BTreeMap<InvitationId, Arc<Invitation>>,
    statistics: Option<Arc<Statistics>>,
    notices: Arc<BTreeMap<NoticeName, ServerNotice>>,
}

/// A connection and what belongs to it.
#[derive(Clone)]
struct Kept {
    state: ConnectionState,
    agreement: Agreement,
    skipped: SkippedKeys,
    receive: Queues<ReceiveQueue>,
    /// Receive queues of the user's service.
    associated: BTreeSet<QueueNumber>,
    send: Queues<SendQueue>,
    tasks: Vec<Task>,
    incoming: BTreeMap<LocalMessageId, Arc<Incoming>>,
    outgoing: BTreeMap<LocalMessageId, Arc<Outgoing>>,
    deliveries: BTreeSet<(QueueNumber, LocalMessageId)>,
    seen: BTreeMap<[u8; 32], UnixTime>,
    /// Nothing that is forgotten by its time is older.
    oldest: UnixTime,
}

impl MemoryAgentStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out operations in order, all or none.
    ///
    /// # Errors
    /// When one of them is refused, see [`AgentOp`].
    pub fn run(&mut self, ops: Vec<AgentOp>) -> Result<(), StoreFailure> {
        let mut next = self.clone();
        ops.into_iter().try_for_each(|op| next.run_one(op))?;
        *self = next;
        Ok(())
    }

    /// How many connections there are, also such as are being deleted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// What there is.
    #[must_use]
    pub fn read(&self, query: &AgentQuery) -> Found {
        let kept = |id| self.connections.get(id);
        match query {
            AgentQuery::Users => Found::Users(self.users.values().cloned().collect()),
            AgentQuery::LastUser => Found::LastUser(UserId(self.last_user)),
            AgentQuery::Queues => Found::Queues(self.waiting_queues()),
            AgentQuery::Services => {
                Found::Services(self.services.values().map(|kept| UserService::clone(kept)).collect())
            }
            AgentQuery::Notices => Found::Notices(self.notices.values().cloned().collect()),
            AgentQuery::Unfinished => Found::Connections(self.unfinished()),
            AgentQuery::Connections => {
                Found::States(self.connections.iter().map(|(id, kept)| (*id, kept.state.clone())).collect())
            }
            AgentQuery::Connection(id) => {
                Found::Connection(kept(id).map(|kept| Box::new(kept.connection(*id))))
            }
            AgentQuery::Skipped(id) => {
                Found::Skipped(kept(id).map(|kept| kept.skipped.clone()).unwrap_or_default())
            }
            AgentQuery::Confirmation(id) => Found::Confirmation(self.confirmations.get(id).map(boxed)),
            AgentQuery::Invitation(id) => Found::Invitation(self.invitations.get(id).map(boxed)),
            AgentQuery::Invitations(id) => Found::Invitations(self.invitations_to(*id)),
            AgentQuery::InvitationIds(id) => {
                let theirs = self.invitations.values().filter(|kept| kept.connection == *id);
                Found::InvitationIds(theirs.map(|kept| kept.id).collect())
            }
            AgentQuery::Incoming(id, message) => {
                Found::Incoming(kept(id).and_then(|kept| kept.incoming.get(message)).map(boxed))
            }
            AgentQuery::Waiting(id) => self.waiting(*id),
            AgentQuery::NextDelivery(id, queue) => {
                Found::Outgoing(kept(id).and_then(|kept| kept.next_delivery(*queue)).map(boxed))
            }
            AgentQuery::Sent(id, sender_id) => {
                Found::Outgoing(kept(id).and_then(|kept| kept.sent(*sender_id)).map(boxed))
            }
            AgentQuery::Seen(id, hash) => {
                Found::Seen(kept(id).is_some_and(|kept| kept.seen.contains_key(hash)))
            }
            AgentQuery::Statistics => Found::Statistics(self.statistics.as_ref().map(boxed)),
            AgentQuery::SentAll(id, sender_ids) => {
                let sent = |sender_id: &i64| kept(id).and_then(|kept| kept.sent(*sender_id));
                Found::SentAll(sender_ids.iter().filter_map(sent).map(|sent| Outgoing::clone(sent)).collect())
            }
        }
    }

    fn run_one(&mut self, op: AgentOp) -> Result<(), StoreFailure> {
        match op {
            AgentOp::PutUser(user) => {
                self.last_user = self.last_user.max(user.id.0);
                self.users.insert(user.id, user);
            }
            AgentOp::DeleteUser(id) => self.delete_user(id)?,
            AgentOp::PutConnection(id, state) => self.put_connection(id, *state)?,
            AgentOp::DeleteConnection(id) => self.delete_connection(id),
            AgentOp::PutConfirmation(confirmation) => self.put_confirmation(confirmation)?,
            AgentOp::DeleteConfirmations(id) => self.confirmations.retain(|_, kept| kept.connection != id),
            AgentOp::PutInvitation(invitation) => self.put_invitation(invitation)?,
            AgentOp::DeleteInvitation(id) => {
                self.invitations.remove(&id);
            }
            AgentOp::PutStatistics(statistics) => self.statistics = Some(Arc::from(statistics)),
            AgentOp::PutNotice(notice) => {
                let name = name_of_notice(&notice.server, &notice.queue);
                Arc::make_mut(&mut self.notices).insert(name, *notice);
            }
            AgentOp::DeleteNotice(server, queue) => {
                Arc::make_mut(&mut self.notices).remove(&name_of_notice(&server, &queue));
            }
            AgentOp::ForgetMessagesBefore(time) => self.forget_messages_before(time),
            AgentOp::PutAgreement(id, agreement) => self.connection(id)?.agreement = agreement,
            AgentOp::ChangeSkipped(id, changes) => self.connection(id)?.skipped.apply(changes),
            AgentOp::ClearSkipped(id) => self.if_there(id, |kept| kept.skipped = SkippedKeys::new()),
            AgentOp::PutReceiveQueue(id, queue) => self.connection(id)?.receive.put(queue.number, *queue),
            AgentOp::DeleteReceiveQueue(id, queue) => self.if_there(id, |kept| {
                kept.receive.delete(queue);
                kept.associated.remove(&queue);
            }),
            AgentOp::PutSendQueue(id, queue) => self.connection(id)?.send.put(queue.number, *queue),
            AgentOp::DeleteSendQueue(id, queue) => self.if_there(id, |kept| {
                kept.send.delete(queue);
                kept.deliveries.retain(|(of, _)| *of != queue);
            }),
            AgentOp::OrderQueues(id, receive, send) => self.connection(id)?.order(receive, send)?,
            AgentOp::PutTasks(id, tasks) => self.connection(id)?.tasks = tasks,
            AgentOp::PutIncoming(message) => {
                let kept = self.connection(message.connection)?;
                kept.oldest = kept.oldest.min(message.received_at);
                kept.incoming.insert(message.id, Arc::from(message));
            }
            AgentOp::PutOutgoing(message) => {
                let kept = self.connection(message.connection)?;
                kept.oldest = kept.oldest.min(message.created_at);
                kept.outgoing.insert(message.id, Arc::from(message));
            }
            AgentOp::PutService(service) => self.put_service(service)?,
            AgentOp::DeleteService(user, server) => {
                self.services.remove(&service_key(user, &server));
            }
            AgentOp::SetAssociated(queues, is_associated) => self.set_associated(&queues, is_associated),
            AgentOp::PutSeen(id, hash, time) => {
                let kept = self.connection(id)?;
                kept.oldest = kept.oldest.min(time);
                kept.seen.entry(hash).or_insert(time);
            }
            AgentOp::PutDelivery(delivery) => self.connection(delivery.connection)?.put_delivery(delivery)?,
            AgentOp::MoveDeliveries(id, from, to) => self.connection(id)?.move_deliveries(from, to)?,
            AgentOp::DeleteDelivery(delivery) => self.if_there(delivery.connection, |kept| {
                kept.deliveries.remove(&(delivery.queue, delivery.message));
            }),
        }
        Ok(())
    }

    fn delete_user(&mut self, id: UserId) -> Result<(), StoreFailure> {
        if self.connections.values().any(|kept| kept.state.user == id) {
            return Err(StoreFailure);
        }
        self.users.remove(&id);
        self.services.retain(|(user, _), _| *user != id);
        Ok(())
    }

    fn put_service(&mut self, service: Box<UserService>) -> Result<(), StoreFailure> {
        if !self.users.contains_key(&service.user) {
            return Err(StoreFailure);
        }
        self.services.insert(service_key(service.user, &service.server), Arc::from(service));
        Ok(())
    }

    fn set_associated(&mut self, queues: &[(ConnectionId, QueueNumber)], is_associated: bool) {
        for (id, queue) in queues {
            self.if_there(*id, |kept| {
                kept.associated.remove(queue);
                if is_associated && kept.receive.has(*queue) {
                    kept.associated.insert(*queue);
                }
            });
        }
    }

    fn put_connection(&mut self, id: ConnectionId, state: ConnectionState) -> Result<(), StoreFailure> {
        if !self.users.contains_key(&state.user) {
            return Err(StoreFailure);
        }
        match self.connections.get_mut(&id) {
            Some(kept) => Arc::make_mut(kept).state = state,
            None => {
                self.connections.insert(id, Arc::new(Kept::new(state)));
            }
        }
        Ok(())
    }

    fn delete_connection(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
        self.confirmations.retain(|_, kept| kept.connection != id);
        self.invitations.retain(|_, kept| kept.connection != id);
    }

    fn put_confirmation(&mut self, confirmation: Box<Confirmation>) -> Result<(), StoreFailure> {
        self.connection(confirmation.connection)?;
        self.confirmations.insert(confirmation.id, Arc::from(confirmation));
        Ok(())
    }

    fn put_invitation(&mut self, invitation: Box<Invitation>) -> Result<(), StoreFailure> {
        self.connection(invitation.connection)?;
        self.invitations.insert(invitation.id, Arc::from(invitation));
        Ok(())
    }

    fn forget_messages_before(&mut self, time: UnixTime) {
        for kept in self.connections.values_mut().filter(|kept| kept.oldest < time) {
            let incoming = |message: &Incoming| message.received_at < time && message.body.is_none();
            let delivered = |message: &Outgoing| {
                let waits = kept.deliveries.iter().any(|(_, id)| *id == message.id);
                message.created_at < time && !waits
            };
            let came: Vec<_> = kept.incoming.values().filter(|of| incoming(of)).map(|of| of.id).collect();
            let went: Vec<_> = kept.outgoing.values().filter(|of| delivered(of)).map(|of| of.id).collect();
            let has_seen = kept.seen.values().any(|at| *at < time);
            if came.is_empty() && went.is_empty() && !has_seen {
                continue;
            }
            let kept = Arc::make_mut(kept);
            kept.seen.retain(|_, at| *at >= time);
            for id in came {
                kept.incoming.remove(&id);
            }
            for id in went {
                kept.outgoing.remove(&id);
            }
            kept.oldest = kept.oldest_time();
        }
    }

    fn connection(&mut self, id: ConnectionId) -> Result<&mut Kept, StoreFailure> {
        self.connections.get_mut(&id).map(Arc::make_mut).ok_or(StoreFailure)
    }

    fn if_there(&mut self, id: ConnectionId, change: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.connections.get_mut(&id) {
            change(Arc::make_mut(kept));
        }
    }

    fn waiting(&self, id: ConnectionId) -> Found {
        let confirmations = self.confirmations.values().filter(|kept| kept.connection == id);
        let messages = self.connections.get(&id).into_iter().flat_map(|kept| kept.incoming.values());
        Found::Waiting {
            confirmations: confirmations.map(|kept| Confirmation::clone(kept)).collect(),
            messages: messages.filter(|kept| kept.body.is_some()).map(|kept| Incoming::clone(kept)).collect(),
        }
    }

    fn waiting_queues(&self) -> Vec<WaitingQueue> {
        let connections = self.connections.iter().filter(|(_, kept)| kept.state.deleted_at.is_none());
        let all =
            connections.flat_map(|(id, kept)| kept.receive.by_number().map(move |queue| (id, kept, queue)));
        let in_use = all.filter(|(_, _, queue)| queue.stage != QueueStage::Disabled);
        let waiting = in_use.map(|(id, kept, queue)| WaitingQueue {
            connection: *id,
            user: kept.state.user,
            number: queue.number,
            server: queue.server.clone(),
            recipient_id: queue.recipient_id.clone(),
            key: queue.key.clone(),
            is_associated: kept.associated.contains(&queue.number),
        });
        waiting.collect()
    }

    fn invitations_to(&self, address: ConnectionId) -> Vec<Invitation> {
        let theirs = self.invitations.values().filter(|kept| kept.connection == address);
        let mut found: Vec<_> = theirs.map(|kept| Invitation::clone(kept)).collect();
        found.sort_by_key(|invitation| (invitation.received_at, invitation.id));
        found
    }

    fn unfinished(&self) -> Vec<ConnectionId> {
        let is_unfinished = |kept: &Kept| {
            !kept.tasks.is_empty() || !kept.deliveries.is_empty() || kept.state.deleted_at.is_some()
        };
        let asked: BTreeSet<_> = self.confirmations.values().map(|kept| kept.connection).collect();
        let connections = self.connections.iter();
        connections
            .filter(|(id, kept)| is_unfinished(kept) || asked.contains(id))
            .map(|(id, _)| *id)
            .collect()
    }
}

impl Kept {
    const fn new(state: ConnectionState) -> Self {
        Self {
            state,
            agreement: Agreement::None,
            skipped: SkippedKeys::new(),
            receive: Queues::NONE,
            associated: BTreeSet::new(),
            send: Queues::NONE,
            tasks: Vec::new(),
            incoming: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            deliveries: BTreeSet::new(),
            seen: BTreeMap::new(),
            oldest: NEVER,
        }
    }

    fn order(&mut self, receive: Vec<QueueNumber>, send: Vec<QueueNumber>) -> Result<(), StoreFailure> {
        self.receive.order(receive)?;
        self.send.order(send)
    }

    fn put_delivery(&mut self, delivery: Delivery) -> Result<(), StoreFailure> {
        let Delivery { queue, message, .. } = delivery;
        if !self.send.has(queue) || !self.outgoing.contains_key(&message) {
            return Err(StoreFailure);
        }
        self.deliveries.insert((queue, message));
        Ok(())
    }

    fn move_deliveries(&mut self, from: QueueNumber, to: QueueNumber) -> Result<(), StoreFailure> {
        let moved: Vec<_> = self.deliveries.iter().filter(|(of, _)| *of == from).copied().collect();
        if !moved.is_empty() && !self.send.has(to) {
            return Err(StoreFailure);
        }
        for (from, message) in moved {
            self.deliveries.remove(&(from, message));
            self.deliveries.insert((to, message));
        }
        Ok(())
    }

    fn connection(&self, id: ConnectionId) -> Connection {
        Connection {
            id,
            state: self.state.clone(),
            agreement: self.agreement.clone(),
            receive: self.receive.in_order(),
            send: self.send.in_order(),
            tasks: self.tasks.clone(),
        }
    }

    fn oldest_time(&self) -> UnixTime {
        let came = self.incoming.values().map(|message| message.received_at);
        let went = self.outgoing.values().map(|message| message.created_at);
        came.chain(went).chain(self.seen.values().copied()).min().unwrap_or(NEVER)
    }

    fn next_delivery(&self, queue: QueueNumber) -> Option<&Arc<Outgoing>> {
        let (_, message) = self.deliveries.iter().find(|(of, _)| *of == queue)?;
        self.outgoing.get(message)
    }

    fn sent(&self, sender_id: i64) -> Option<&Arc<Outgoing>> {
        self.outgoing.values().rev().find(|message| message.sender_id == sender_id)
    }
}

/// Queues by number, and those that have a place before the others.
#[derive(Clone)]
struct Queues<Q> {
    queues: BTreeMap<QueueNumber, Q>,
    first: Vec<QueueNumber>,
}

impl<Q: Clone> Queues<Q> {
    const NONE: Self = Self { queues: BTreeMap::new(), first: Vec::new() };

    fn put(&mut self, number: QueueNumber, queue: Q) {
        self.queues.insert(number, queue);
    }

    fn delete(&mut self, number: QueueNumber) {
        self.queues.remove(&number);
        self.first.retain(|of| *of != number);
    }

    fn order(&mut self, first: Vec<QueueNumber>) -> Result<(), StoreFailure> {
        let named: BTreeSet<_> = first.iter().collect();
        if named.len() < first.len() || !first.iter().all(|number| self.has(*number)) {
            return Err(StoreFailure);
        }
        self.first = first;
        Ok(())
    }

    fn has(&self, number: QueueNumber) -> bool {
        self.queues.contains_key(&number)
    }

    fn by_number(&self) -> impl Iterator<Item = &Q> {
        self.queues.values()
    }

    fn in_order(&self) -> Vec<Q> {
        let others = self.queues.keys().filter(|number| !self.first.contains(number));
        let numbers = self.first.iter().chain(others);
        numbers.filter_map(|number| self.queues.get(number)).cloned().collect()
    }
}

/// Later than any time.
const NEVER: UnixTime = UnixTime::from_millis(i64::MAX);

/// A server and a queue there.
type NoticeName = (Vec<u8>, Vec<u8>);

fn name_of_notice(server: &ServerAddress, queue: &EntityId) -> NoticeName {
    let mut name = Vec::new();
    server.encode(&mut name);
    (name, queue.as_bytes().to_vec())
}

fn boxed<T: Clone>(kept: &Arc<T>) -> Box<T> {
    Box::new(T::clone(kept))
}

/// Services of a user are in the order of the bytes of their servers' addresses.
fn service_key(user: UserId, server: &ServerAddress) -> (UserId, Vec<u8>) {
    let mut bytes = Vec::new();
    server.encode(&mut bytes);
    (user, bytes)
}
