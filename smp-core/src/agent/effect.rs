//! What an actor's steps lead to, and what servers say to it.

use super::actor::Work;
use super::links::{self, LinkId, SubscriptionState};
use super::queues::QueuePurpose;
use super::short_links::MadeLink;
use super::store::{Outgoing, QueueNumber, WaitingQueue};
use super::{Agent, AgentOutput, CallId, ConnectionId, Event, Pending, Reply, UserId};
use crate::client::{
    Answer, ClientEvent, CommandId, QueueKeys, ReceivedMessage, Rejection, Request, RequestError,
};
use crate::crypto::X25519PrivateKey;
use crate::wire::agent::AgentError;
use crate::wire::error::{BrokerErrorType, ErrorType, NetworkError};
use crate::wire::{EntityId, ServerAddress};

/// What a step leads to, once it is durable.
pub(super) enum Effect {
    Reply(CallId, Result<Reply, AgentError>),
    Event(Event),
    /// A request to a server, for a connection.
    Request(UserId, ServerAddress, Box<Request>, Doing),
    /// There is a new queue to receive from, to which this session of its link is subscribed.
    Watch(Box<WaitingQueue>, u64),
    /// Nothing more is received from a queue.
    Unwatch(UserId, ServerAddress, EntityId),
    /// There is something to send through a queue.
    Deliver(QueueNumber),
    /// There is something to do at servers.
    Tasks,
    /// The connection is forgotten.
    Gone,
    /// A message came with an answer.
    Received(QueueNumber, ReceivedMessage),
}

/// What a request is for.
pub(super) enum Doing {
    /// NEW: a queue with these keys.
    Create(ConnectionId, Box<NewKeys>),
    /// The first task of a connection.
    Task(ConnectionId),
    /// The first background task of a connection.
    Background(ConnectionId),
    /// SEND of a message.
    Deliver(ConnectionId, QueueNumber, Box<Outgoing>),
    /// ACK.
    Acknowledge(ConnectionId, QueueNumber),
    /// DEL.
    Delete(ConnectionId, EntityId),
    /// QUE, for a call.
    QueueInfo(CallId, Box<ServerAddress>),
    /// SUB.
    Subscribe(LinkId, EntityId),
    /// LSET or LDEL at this server, for a call that is answered like this when it is done.
    Link(CallId, ServerAddress, Box<Reply>),
}

/// The keys of a queue that is being made.
pub(super) struct NewKeys {
    pub(super) purpose: QueuePurpose,
    pub(super) server: ServerAddress,
    pub(super) queue: QueueKeys,
    pub(super) e2e: X25519PrivateKey,
    /// The short link that it is to have.
    pub(super) link: Option<MadeLink>,
    /// The session that made it, and is subscribed to it; known with the answer.
    pub(super) session: u64,
}

impl Doing {
    /// The connection that it is for, if it is not the agent itself.
    fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Create(id, _)
            | Self::Task(id)
            | Self::Background(id)
            | Self::Deliver(id, ..)
            | Self::Acknowledge(id, ..)
            | Self::Delete(id, _) => Some(*id),
            Self::Subscribe(..) | Self::QueueInfo(..) | Self::Link(..) => None,
        }
    }
}

impl Agent {
    /// Carries out what concerns more than one connection.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Reply(id, reply) => self.reply(id, reply),
            Effect::Event(event) => self.outputs.push_back(AgentOutput::Event(event)),
            Effect::Request(user, server, request, doing) => {
                let link = self.links.at(user, &server, &self.shared.config.limits);
                self.request(link, *request, doing);
            }
            Effect::Watch(queue, session) => {
                let link = self.links.add_queue(&self.shared.config.limits, *queue, Some(session));
                self.wake(link);
                self.subscribe(link);
            }
            Effect::Unwatch(user, server, queue) => {
                if let Some(link) = self.links.unwatch(user, &server, &queue) {
                    self.tell_up(link, server);
                }
            }
            // The actor's own.
            Effect::Deliver(_) | Effect::Tasks | Effect::Received(..) | Effect::Gone => {}
        }
    }

    fn request(&mut self, link: LinkId, request: Request, doing: Doing) {
        let id = CommandId(self.number());
        self.requests.insert(id, Pending { link, doing });
        let step = self.links.request(link, id, request);
        self.link_step(link, step);
    }

    pub(super) fn wake(&mut self, link: LinkId) {
        let step = self.links.wake(link);
        self.link_step(link, step);
    }

    fn link_step(&mut self, id: LinkId, step: links::Step) {
        match step {
            links::Step::Nothing => {}
            links::Step::Connect => {
                let Some(server) = self.links.get(id).map(|link| link.server.clone()) else { return };
                self.outputs.push_back(AgentOutput::Connect(id, server));
            }
            links::Step::Send(requests) => {
                let requests = requests.into_iter();
                let outputs =
                    requests.map(|(command, request)| AgentOutput::Request(id, command, Box::new(request)));
                self.outputs.extend(outputs);
            }
        }
    }

    pub(super) fn link_ready(&mut self, id: LinkId) {
        let held = self.links.ready(id, &self.shared.config.limits);
        self.link_step(id, links::Step::Send(held));
        self.subscribe(id);
    }

    /// SUB for each queue of a link that is not subscribed; requests made together share blocks.
    pub(super) fn subscribe(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else { return };
        for (queue, key) in link.take_wanted() {
            self.request(id, Request::subscribe(queue.clone(), key), Doing::Subscribe(id, queue));
        }
    }

    pub(super) fn link_lost(&mut self, id: LinkId) {
        let (failed, down) = self.links.lost(id, self.shared.now.mono, &self.shared.config.limits);
        for command in failed {
            self.answer_pending(command, Err(RequestError::NotSent));
        }
        let server = self.links.get(id).map(|link| link.server.clone());
        if let Some(server) = server.filter(|_| !down.is_empty()) {
            let event = Event::Down(server, down.into_iter().collect());
            self.outputs.push_back(AgentOutput::Event(event));
        }
    }

    pub(super) fn answered(&mut self, id: CommandId, answer: Result<Answer, RequestError>) {
        let Some(pending) = self.requests.get_mut(&id) else { return };
        if let Some(link) = self.links.get(pending.link) {
            link.under_way.remove(&id);
            if let Doing::Create(_, keys) = &mut pending.doing {
                keys.session = link.session;
            }
        }
        let link = pending.link;
        let is_acknowledgement = matches!(pending.doing, Doing::Acknowledge(..));
        let is_lost = is_acknowledgement && matches!(&answer, Err(error) if is_temporary(error));
        self.answer_pending(id, answer);
        // The server sends nothing more of the queue until it hears of the message that it sent last, which the next session
        // begins with.
        if is_lost && self.links.get(link).is_some_and(|link| link.is_ready()) {
            self.outputs.push_back(AgentOutput::Disconnect(link));
            self.link_lost(link);
        }
    }

    fn answer_pending(&mut self, id: CommandId, answer: Result<Answer, RequestError>) {
        let Some(Pending { doing, .. }) = self.requests.remove(&id) else { return };
        match (doing.connection(), doing) {
            (_, Doing::QueueInfo(call, server)) => self.queue_told(call, *server, answer),
            (_, Doing::Subscribe(link, queue)) => self.subscribed(link, &queue, answer),
            (_, Doing::Link(call, server, reply)) => {
                let reply = answer.map(|_| *reply).map_err(|error| to_error(server, error));
                self.reply(call, reply);
            }
            (Some(connection), doing) => {
                self.work(connection, Work::Answer(Box::new(doing), Box::new(answer)))
            }
            (None, _) => {}
        }
    }

    fn subscribed(&mut self, id: LinkId, queue: &EntityId, answer: Result<Answer, RequestError>) {
        let Some(link) = self.links.get(id) else { return };
        let server = link.server.clone();
        let Some(subscription) = link.queues.get_mut(queue) else { return };
        // When the session ended, the queue waits for the next one already.
        if subscription.state != SubscriptionState::InFlight {
            return;
        }
        let (connection, number) = (subscription.connection, subscription.number);
        let mut message = None;
        match answer {
            Ok(Answer::Subscribed { message: first, .. }) => {
                subscription.state = SubscriptionState::Subscribed;
                link.news.insert(connection);
                message = first;
            }
            Err(error) if is_temporary(&error) => {
                // The next session, or the next look at this one, tries again.
                subscription.state = SubscriptionState::Wanted;
                self.outputs.push_back(AgentOutput::Disconnect(id));
                return self.link_lost(id);
            }
            Ok(_) | Err(_) => {
                subscription.state = SubscriptionState::Refused;
                let error = match answer {
                    Err(error) => to_error(server.clone(), error),
                    Ok(_) => to_error(server.clone(), RequestError::Unexpected),
                };
                let event = Event::Error(Some(connection), error);
                self.outputs.push_back(AgentOutput::Event(event));
            }
        }
        self.tell_up(id, server);
        if let Some(message) = message {
            self.work(connection, Work::Message(number, message));
        }
    }

    /// Tells the app which connections are up, when all of a link were asked for.
    fn tell_up(&mut self, id: LinkId, server: ServerAddress) {
        let Some(link) = self.links.get(id).filter(|link| link.is_ready() && !link.is_subscribing()) else {
            return;
        };
        let up: Vec<_> = std::mem::take(&mut link.news).into_iter().collect();
        if !up.is_empty() {
            self.outputs.push_back(AgentOutput::Event(Event::Up(server, up)));
        }
    }

    pub(super) fn told(&mut self, id: LinkId, event: ClientEvent) {
        let Some(link) = self.links.get(id) else { return };
        match event {
            ClientEvent::Message(queue, message) | ClientEvent::LateMessage(_, queue, message) => {
                let Some(subscription) = link.queues.get(&queue) else { return };
                let (connection, number) = (subscription.connection, subscription.number);
                self.work(connection, Work::Message(number, message));
            }
            ClientEvent::LateSubscribed(_, queue) => {
                if let Some(subscription) = link.queues.get_mut(&queue) {
                    subscription.state = SubscriptionState::Subscribed;
                }
            }
            ClientEvent::End(queue) | ClientEvent::Deleted(queue) => {
                let server = link.server.clone();
                let Some(subscription) = link.queues.get_mut(&queue) else { return };
                subscription.state = SubscriptionState::Ended;
                let down = Event::Down(server, vec![subscription.connection]);
                self.outputs.push_back(AgentOutput::Event(down));
            }
            _ => {}
        }
    }
}

/// Whether the same request may succeed later.
pub(super) fn is_temporary(error: &RequestError) -> bool {
    match error {
        RequestError::Timeout | RequestError::NotSent | RequestError::OutcomeUnknown => true,
        // The session ended or holds much already.
        RequestError::Rejected(rejection) => {
            matches!(rejection, Rejection::Closed | Rejection::TooManyCommands | Rejection::TooManyBytes)
        }
        RequestError::Server(error) | RequestError::Relay(error) => {
            matches!(
                error,
                ErrorType::Internal | ErrorType::Store(_) | ErrorType::Quota | ErrorType::Proxy(_)
            )
        }
        _ => false,
    }
}

/// Whether the queue is gone, or is not for us.
pub(super) const fn is_refused(error: &RequestError) -> bool {
    matches!(error, RequestError::Server(ErrorType::Auth) | RequestError::Relay(ErrorType::Auth))
}

/// The words of an agent for what went wrong with a request.
pub(super) fn to_error(server: ServerAddress, error: RequestError) -> AgentError {
    let server = Box::new(server);
    let broker = |error| AgentError::Broker { server: server.clone(), error };
    match error {
        RequestError::Server(error) | RequestError::Relay(error) => AgentError::Smp { server, error },
        RequestError::Timeout => broker(BrokerErrorType::Timeout),
        RequestError::NotSent
        | RequestError::OutcomeUnknown
        | RequestError::Rejected(Rejection::Closed | Rejection::TooManyCommands | Rejection::TooManyBytes) => {
            broker(BrokerErrorType::Network(NetworkError::Failed))
        }
        RequestError::Malformed | RequestError::Sealed => {
            broker(BrokerErrorType::Response(Default::default()))
        }
        _ => broker(BrokerErrorType::Unexpected(Default::default())),
    }
}
