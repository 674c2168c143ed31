//! Users whose sessions with servers are those of a service (SMP "Client services"): a certificate for each server, kept; the
//! queues that a server counts among those of the service, kept with them; and what becomes of both.
//!
//! What is kept of a queue is what the server said last, in its answer to NEW or SUB. So a crash, a server that forgot, and a
//! service that is switched off need no order: what does not fit is found by the count and the hash, and put right one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::effect::{Doing, is_temporary, to_error};
use super::links::{LinkId, ServiceOutcome};
use super::step::PROHIBITED;
use super::store::{AgentOp, QueueNumber, UserService};
use super::users::Writer;
use super::{
    Agent, AgentConfig, AgentOutput, CallId, ConnectionId, Event, Reply, SessionMode, StoreFailure, UserId,
};
use crate::client::{Answer, Request, RequestError};
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::transport::ServiceIdentity;
use crate::transport::identity::{Algorithm, self_signed_client};
use crate::wire::agent::AgentError;
use crate::wire::error::{BrokerErrorType, ErrorType, NetworkError, TransportError};
use crate::wire::{EntityId, QueueSet, ServerAddress, ServiceRole};

/// Which users have a service, and what they are known by.
pub(super) struct Services {
    users: BTreeSet<UserId>,
    known: BTreeMap<UserId, Vec<Known>>,
}

/// What makes sessions with a server those of a service.
struct Known {
    service: UserService,
    /// The store has it: it may be used.
    is_kept: bool,
    /// The server has refused it, until then.
    refused_until: Option<Timestamp>,
}

/// As what a session is made.
enum Appearance {
    /// As no service.
    Plain,
    Service(ServiceIdentity),
    /// The certificate is being kept.
    NotYet,
}

impl Services {
    pub(super) fn new(config: &AgentConfig) -> Self {
        let may = config.network.sessions != SessionMode::Entity;
        let users = if may { config.services.clone() } else { BTreeSet::new() };
        Self { users, known: BTreeMap::new() }
    }

    pub(super) fn forget_user(&mut self, user: UserId) {
        self.users.remove(&user);
        self.known.remove(&user);
    }

    fn find(&self, user: UserId, server: &ServerAddress) -> Option<&Known> {
        self.known.get(&user)?.iter().find(|known| known.service.server == *server)
    }

    fn find_mut(&mut self, user: UserId, server: &ServerAddress) -> Option<&mut Known> {
        self.known.get_mut(&user)?.iter_mut().find(|known| known.service.server == *server)
    }
}

impl Known {
    fn identity(&self) -> ServiceIdentity {
        ServiceIdentity {
            role: ServiceRole::Messaging,
            chain: Arc::from([self.service.certificate.clone()]),
            key: Arc::clone(&self.service.key),
        }
    }
}

/// Services are switched on and off.
impl Agent {
    pub(super) fn set_user_service(&mut self, id: CallId, user: UserId, is_enabled: bool) {
        if !self.shared.has_user(user) {
            return self.reply(id, Err(AgentError::NoUser));
        }
        if is_enabled && self.shared.config.network.sessions == SessionMode::Entity {
            return self.reply(id, Err(PROHIBITED));
        }
        let has_changed = match is_enabled {
            true => self.services.users.insert(user),
            false => self.services.users.remove(&user),
        };
        let forgotten = if is_enabled { None } else { self.services.known.remove(&user) }.unwrap_or_default();
        let server = |known: Known| AgentOp::DeleteService(user, known.service.server);
        let ops: Vec<_> = forgotten.into_iter().map(server).collect();
        if ops.is_empty() {
            self.reply(id, Ok(Reply::Done));
        } else {
            self.write(Writer::ServiceOff(id), ops);
        }
        if has_changed {
            self.links.of_user(user).into_iter().for_each(|link| self.connect_again(link));
        }
    }

    pub(super) fn resubscribe_service(&mut self, id: CallId, user: UserId) {
        if !self.services.users.contains(&user) {
            return self.reply(id, Err(PROHIBITED));
        }
        for link in self.links.of_user(user) {
            self.links.want_service(link);
            self.wake(link);
            self.subscribe(link);
        }
        self.reply(id, Ok(Reply::Done));
    }

    /// What was kept when the agent stopped. Of users without a service it is forgotten.
    pub(super) fn meet_services(&mut self, kept: Vec<UserService>) {
        let mut ops = Vec::new();
        for service in kept {
            if self.services.users.contains(&service.user) {
                let known = self.services.known.entry(service.user).or_default();
                known.push(Known { service, is_kept: true, refused_until: None });
            } else {
                ops.push(AgentOp::DeleteService(service.user, service.server));
            }
        }
        self.keep_services(ops);
    }

    fn connect_again(&mut self, link: LinkId) {
        self.end_link(link);
        let step = self.links.wake_now(link);
        self.link_step(link, step);
    }

    fn keep_services(&mut self, ops: Vec<AgentOp>) {
        if !ops.is_empty() {
            self.write(Writer::Associations, ops);
        }
    }
}

/// Sessions are made.
impl Agent {
    /// Makes a session, when what it needs is kept.
    pub(super) fn connect(&mut self, id: LinkId) {
        match self.appearance(id) {
            Appearance::Plain => self.connect_as(id, None),
            Appearance::Service(identity) => self.connect_as(id, Some(identity)),
            Appearance::NotYet => {}
        }
    }

    /// A certificate is shown to servers where the user has queues, or may make them: others do not learn what they need not.
    fn appearance(&mut self, id: LinkId) -> Appearance {
        let Some(link) = self.links.get(id) else { return Appearance::Plain };
        let (user, server) = (link.place.user, link.server().clone());
        let servers = self.shared.users.get(&user).map_or(&[][..], |user| &user.servers);
        let has_queues = !link.queues().is_empty() || servers.iter().any(|known| known.address == server);
        if !self.services.users.contains(&user) || !has_queues {
            return Appearance::Plain;
        }
        let now = self.shared.now.mono;
        match self.services.find(user, &server) {
            Some(known) if known.refused_until.is_some_and(|until| now < until) => Appearance::Plain,
            Some(known) if known.is_kept => Appearance::Service(known.identity()),
            Some(_) => Appearance::NotYet,
            None => self.new_service(user, server),
        }
    }

    fn new_service(&mut self, user: UserId, server: ServerAddress) -> Appearance {
        let entropy: &mut dyn Entropy = &mut self.shared.entropy;
        // It fails only where the clock is centuries wrong.
        let Ok(issued) = self_signed_client(NAME, Algorithm::Ed25519, entropy, self.shared.now.unix) else {
            return Appearance::Plain;
        };
        let (certificate, key) = (issued.certificate, Arc::new(issued.key));
        let service = UserService {
            user,
            server: server.clone(),
            certificate,
            key,
            id: None,
            surplus: QueueSet::EMPTY,
        };
        let op = AgentOp::PutService(Box::new(service.clone()));
        let known = Known { service, is_kept: false, refused_until: None };
        self.services.known.entry(user).or_default().push(known);
        self.write(Writer::Service(user, Box::new(server)), vec![op]);
        Appearance::NotYet
    }

    /// A certificate is kept, or is not: then it was never there.
    pub(super) fn service_kept(
        &mut self,
        user: UserId,
        server: ServerAddress,
        result: Result<(), StoreFailure>,
    ) {
        let waiting = self.links.of_user(user).into_iter();
        let is_it = |id: &LinkId| {
            self.links.get(*id).is_some_and(|link| *link.server() == server && link.is_connecting())
        };
        let waiting: Vec<_> = waiting.filter(is_it).collect();
        match (self.services.find_mut(user, &server), result) {
            (Some(known), Ok(())) => {
                known.is_kept = true;
                waiting.into_iter().for_each(|link| self.connect(link));
            }
            (Some(_), Err(StoreFailure)) => {
                let known = self.services.known.get_mut(&user);
                known.into_iter().for_each(|known| known.retain(|known| known.service.server != server));
                let reason = BrokerErrorType::Network(NetworkError::Failed);
                waiting.into_iter().for_each(|link| self.link_lost(link, reason.clone()));
            }
            // Switched off meanwhile.
            (None, _) => {}
        }
    }

    /// A session is there, and of this service.
    pub(super) fn begin_service(&mut self, id: LinkId, session: Option<EntityId>) {
        let (Some(link), Some(session)) = (self.links.get(id), session) else { return };
        let (user, server) = (link.place.user, link.server().clone());
        let Some(known) = self.services.find_mut(user, &server) else { return };
        let is_other = known.service.id.as_ref() != Some(&session);
        if is_other {
            (known.service.id, known.service.surplus) = (Some(session.clone()), QueueSet::EMPTY);
            let op = AgentOp::PutService(Box::new(known.service.clone()));
            self.keep_services(vec![op]);
        }
        self.links.begin_service(id, session, is_other);
        self.keep_associations(id);
        self.subscribe_service(id);
    }
}

/// Queues of a service are subscribed.
impl Agent {
    /// SUBS, if it is time for it.
    pub(super) fn subscribe_service(&mut self, id: LinkId) {
        let surplus = self.surplus(id);
        if let Some((service, expected)) = self.links.ask_for_service(id, surplus) {
            let request = Request::subscribe_service(service, expected);
            self.request(id, request, Doing::SubscribeService(id));
        }
    }

    fn surplus(&self, id: LinkId) -> QueueSet {
        let link = self.links.get(id);
        let known = link.and_then(|link| self.services.find(link.place.user, link.server()));
        known.map_or(QueueSet::EMPTY, |known| known.service.surplus)
    }

    pub(super) fn service_subscribed(&mut self, id: LinkId, answer: Result<Answer, RequestError>) {
        let Some(link) = self.links.get(id) else { return };
        let (user, server) = (link.place.user, link.server().clone());
        let (set, error) = match answer {
            Ok(Answer::ServiceSubscribed(set)) => (Some(set), None),
            Ok(_) => (None, Some(RequestError::Unexpected)),
            Err(error) => (None, Some(error)),
        };
        match self.links.service_subscribed(id, self.surplus(id), set) {
            ServiceOutcome::Subscribed(expected, subscribed) => {
                let event = Event::ServiceUp { user, server, expected, subscribed };
                self.outputs.push_back(AgentOutput::Event(event));
            }
            ServiceOutcome::Surplus(surplus) => self.keep_surplus(user, &server, surplus),
            ServiceOutcome::Nothing => {}
            ServiceOutcome::Failed => {
                if let Some(error) = error.filter(|error| !is_temporary(error)) {
                    let event = Event::Error(None, to_error(server, error));
                    self.outputs.push_back(AgentOutput::Event(event));
                }
            }
        }
        self.batch_over(id);
    }

    fn keep_surplus(&mut self, user: UserId, server: &ServerAddress, surplus: QueueSet) {
        let Some(known) = self.services.find_mut(user, server) else { return };
        if known.service.surplus != surplus {
            known.service.surplus = surplus;
            let op = AgentOp::PutService(Box::new(known.service.clone()));
            self.keep_services(vec![op]);
        }
    }

    /// What the server said of queues and the service is kept when a batch is over.
    pub(super) fn keep_associations(&mut self, id: LinkId) {
        let changes = self.links.with_queues(id, |queues| queues.take_changes()).unwrap_or_default();
        let (on, off): (Vec<_>, Vec<_>) = changes.into_iter().partition(|(_, is_associated)| *is_associated);
        let names = |changes: Vec<((ConnectionId, QueueNumber), bool)>| -> Vec<_> {
            changes.into_iter().map(|(name, _)| name).collect()
        };
        let ops = [(names(on), true), (names(off), false)].into_iter();
        let ops = ops.filter(|(names, _)| !names.is_empty());
        self.keep_services(ops.map(|(names, is)| AgentOp::SetAssociated(names, is)).collect());
    }

    /// Likewise, of a queue that was made.
    pub(super) fn keep_new_association(
        &mut self,
        (id, queue, is_associated): (ConnectionId, QueueNumber, bool),
    ) {
        if is_associated {
            self.keep_services(vec![AgentOp::SetAssociated(vec![(id, queue)], true)]);
        }
    }
}

/// What servers say of services.
impl Agent {
    /// The server does not take the service of a session: the next one is of none. What was under way fails.
    pub(super) fn service_refused(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id).filter(|_| self.links.has_service(id)) else { return };
        let (user, server, told) = (link.place.user, link.server().clone(), link.told_service());
        self.do_without(user, &server);
        let error = to_error(server.clone(), RequestError::Server(ErrorType::Service));
        self.outputs.push_back(AgentOutput::Event(Event::Error(None, error)));
        if let Some((user, queues)) = told {
            self.outputs.push_back(AgentOutput::Event(Event::ServiceDown { user, server, queues }));
        }
        self.connect_again(id);
    }

    /// A session could not be made, for a reason that the certificate may be.
    pub(super) fn note_refusal(&mut self, id: LinkId, reason: &BrokerErrorType) {
        let is_refusal = matches!(
            reason,
            BrokerErrorType::NoService
                | BrokerErrorType::Transport(TransportError::Handshake(_))
                | BrokerErrorType::Network(NetworkError::Tls(_))
        );
        if let Some(link) = self.links.get(id).filter(|link| is_refusal && link.is_connecting()) {
            let (user, server) = (link.place.user, link.server().clone());
            self.do_without(user, &server);
        }
    }

    fn do_without(&mut self, user: UserId, server: &ServerAddress) {
        let until = self.shared.now.mono + self.shared.config.limits.service_retry;
        let known = self.services.find_mut(user, server);
        known.into_iter().for_each(|known| known.refused_until = Some(until));
    }

    /// ENDS.
    pub(super) fn service_ended(&mut self, id: LinkId, service: &EntityId, queues: QueueSet) {
        let Some(ended) = self.links.service_ended(id, service) else { return };
        let Some(link) = self.links.get(id) else { return };
        let (user, server) = (link.place.user, link.server().clone());
        let event = Event::ServiceEnd { user, server: server.clone(), queues };
        self.outputs.push_back(AgentOutput::Event(event));
        let down = self.links.with_queues(id, |queues| {
            let up = ended.iter().filter(|queue| queues.take_up(queue)).cloned().collect::<Vec<_>>();
            let of = |queue| queues.get(queue).map(|subscription| subscription.connection);
            up.iter().filter_map(of).collect::<BTreeSet<_>>()
        });
        let down: Vec<_> = down.unwrap_or_default().into_iter().collect();
        if !down.is_empty() {
            self.outputs.push_back(AgentOutput::Event(Event::Down(server, down)));
        }
        self.batch_over(id);
    }

    /// ALLS.
    pub(super) fn service_delivered(&mut self, id: LinkId) {
        if let Some(link) = self.links.get(id).filter(|_| self.links.has_service(id)) {
            let event = Event::ServiceAll { user: link.place.user, server: link.server().clone() };
            self.outputs.push_back(AgentOutput::Event(event));
        }
    }

    /// The server could not deliver what waits in a queue of the service: SUB finds out why.
    pub(super) fn error_in_service(&mut self, id: LinkId, queue: &EntityId) {
        if self.links.doubt_queue(id, queue) {
            self.tell_down(id, queue);
        }
    }
}

/// What certificates of services are about: nothing. It is the same for all users.
const NAME: &str = "simplex";

#[cfg(test)]
mod tests;
