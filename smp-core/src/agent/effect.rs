//! What an actor's steps lead to.

use super::links::LinkId;
use super::names::Resolving;
use super::queues::QueuePurpose;
use super::send::is_confirmation;
use super::short_links::NewLink;
use super::statistics::Counter;
use super::store::{Outgoing, QueueNumber, WaitingQueue};
use super::{Agent, AgentOutput, Call, CallId, ConnectionDescription, ConnectionId, Event, Reply, UserId};
use crate::client::{QueueKeys, ReceivedMessage, Request};
use crate::crypto::X25519PrivateKey;
use crate::wire::agent::AgentError;
use crate::wire::broker::CreatedQueue;
use crate::wire::{EntityId, MessageId, ServerAddress};

pub(super) use super::failure::{is_not_known, is_refused, is_temporary, is_temporary_error, to_error};

/// What a step leads to, once it is durable.
pub(super) enum Effect {
    Reply(CallId, Result<Reply, AgentError>),
    Event(Event),
    /// A request to a server, for a connection.
    Request(UserId, ServerAddress, Box<Request>, Doing),
    /// There is a new queue to receive from, to which this session of its link is subscribed.
    Watch(Box<WaitingQueue>, u64),
    /// There is a new queue that is not subscribed, as the app wishes.
    Leave(Box<WaitingQueue>),
    /// There is a queue that is subscribed if the other one, of this user, is not left alone.
    WatchAs(Box<WaitingQueue>, Box<WaitingQueue>),
    /// Nothing more is received from a queue.
    Unwatch(UserId, ServerAddress, EntityId),
    /// Something is asked of a queue from which is received, in the session in which its messages come.
    Ask(Box<WaitingQueue>, Asked),
    /// OFF of the last of these queues, then of the others, for a call.
    Off(CallId, Vec<WaitingQueue>),
    /// A queue is to be subscribed, also when that was given up.
    Subscribe(Box<WaitingQueue>),
    /// There is something to send through a queue.
    Deliver(QueueNumber),
    /// There is something to do at servers.
    Tasks,
    /// A command is carried out.
    Command(Box<Call>),
    /// The connection is forgotten.
    Gone,
    /// A call is answered how a connection of this user is, and whether messages of these queues of it come.
    Describe(CallId, ConnectionId, UserId, Box<ConnectionDescription>, Vec<EntityId>),
    /// Something is counted at a server.
    Count(UserId, ServerAddress, Counter),
    /// A message came with an answer.
    Received(QueueNumber, ReceivedMessage),
}

/// What is asked of a queue from which is received.
pub(super) enum Asked {
    /// ACK.
    Acknowledge(MessageId),
    /// SUB, or GET if the queue is not subscribed: whether another queue holds what is missing.
    Probe,
    /// GET, if the queue is not subscribed.
    Fetch,
}

/// What a request is for.
pub(super) enum Doing {
    /// NEW: a queue with these keys.
    Create(ConnectionId, Box<NewKeys>),
    /// The first task of a connection.
    Task(ConnectionId),
    /// The first background task of a connection.
    Background(ConnectionId, BackgroundTask),
    /// SEND of a message; through which proxy is known with the answer.
    Deliver(ConnectionId, QueueNumber, Box<Outgoing>, Option<Box<ServerAddress>>),
    /// ACK.
    Acknowledge(ConnectionId, QueueNumber),
    /// SUB or GET, to see whether another queue holds what is missing.
    Probe(ConnectionId, QueueNumber),
    /// GET.
    Fetch(ConnectionId, Box<WaitingQueue>),
    /// OFF at this server, then of these queues, for a call.
    Off(CallId, Box<ServerAddress>, Vec<WaitingQueue>),
    /// DEL.
    Delete(ConnectionId, EntityId),
    /// QUE, for a call.
    QueueInfo(CallId, Box<ServerAddress>),
    /// SUB, by its number.
    Subscribe(LinkId, EntityId, u32),
    /// SUBS.
    SubscribeService(LinkId),
    /// LSET or LDEL at this server, for a call that is answered like this when it is done.
    Link(CallId, ServerAddress, Box<Reply>),
    /// RSLV, for a call.
    Resolve(Box<Resolving>),
    /// PRXY of this destination, for something that need not be tried while there is no network.
    Relay(LinkId, Box<ServerAddress>, bool),
}

/// A background task: the answer may come when it was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BackgroundTask {
    /// KEY of a queue that takes the place of another.
    Secure(QueueNumber),
    /// SKEY of a queue that was announced beside the first.
    SecureSpare(QueueNumber),
    /// SUB or DEL of a queue that is left.
    Retire(QueueNumber),
}

/// The keys of a queue that is being made.
pub(super) struct NewKeys {
    pub(super) purpose: QueuePurpose,
    pub(super) server: ServerAddress,
    pub(super) queue: QueueKeys,
    pub(super) e2e: X25519PrivateKey,
    /// The short link that it is to have.
    pub(super) link: Option<NewLink>,
    /// Whether the server was told to subscribe it.
    pub(super) is_subscribed: bool,
    /// The session that made it, and is subscribed to it; known with the answer.
    pub(super) session: u64,
    /// The session is that of a service, whose queue it is.
    pub(super) is_associated: bool,
}

impl NewKeys {
    /// Whether the server made another queue than the link that was told before leads to.
    pub(super) fn is_for_other(&self, queue: &CreatedQueue) -> bool {
        self.link.as_ref().is_some_and(|link| link.prepared.is_some() && link.kept(queue).is_none())
    }
}

impl Doing {
    /// The connection that it is for, if it is not the agent itself.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Create(id, _)
            | Self::Task(id)
            | Self::Background(id, _)
            | Self::Deliver(id, ..)
            | Self::Acknowledge(id, ..)
            | Self::Probe(id, _)
            | Self::Fetch(id, _)
            | Self::Delete(id, _) => Some(*id),
            Self::Subscribe(..)
            | Self::SubscribeService(..)
            | Self::QueueInfo(..)
            | Self::Off(..)
            | Self::Link(..)
            | Self::Resolve(_)
            | Self::Relay(..) => None,
        }
    }

    /// Whether nobody waits for it: while there is no network it is not tried.
    pub(super) fn is_patient(&self) -> bool {
        match self {
            Self::Deliver(_, _, message, _) => !is_confirmation(message),
            Self::Relay(_, _, is_patient) => *is_patient,
            Self::Background(..) | Self::Probe(..) => true,
            Self::Create(..)
            | Self::Task(_)
            | Self::Acknowledge(..)
            | Self::Delete(..)
            | Self::QueueInfo(..)
            | Self::Fetch(..)
            | Self::Off(..)
            | Self::Link(..)
            | Self::Resolve(_)
            | Self::Subscribe(..)
            | Self::SubscribeService(..) => false,
        }
    }

    /// Notes the proxy that it was done through.
    pub(super) fn through(mut self, proxy: ServerAddress) -> Self {
        if let Self::Deliver(_, _, _, through) = &mut self {
            *through = Some(Box::new(proxy));
        }
        self
    }
}

impl Agent {
    /// Carries out what concerns more than one connection.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Reply(id, reply) => self.reply(id, reply),
            Effect::Event(event) => self.outputs.push_back(AgentOutput::Event(event)),
            Effect::Request(user, server, request, doing) => {
                self.route(user, server, *request, doing);
            }
            Effect::Watch(queue, session) => {
                let name = (queue.connection, queue.number, queue.is_associated);
                let link = self.links.add_queue(*queue, Some(session));
                self.keep_new_association(name);
                self.wake(link);
                self.subscribe(link);
            }
            Effect::Leave(queue) => _ = self.links.leave_queue(*queue),
            Effect::WatchAs(queue, like) => {
                if self.links.is_left(&like) {
                    self.links.leave_queue(*queue);
                    return;
                }
                let link = self.links.add_queue(*queue, None);
                self.wake(link);
                self.subscribe(link);
            }
            Effect::Ask(queue, asked) => self.ask(queue, asked),
            Effect::Off(call, queues) => self.suspend_next(call, queues),
            Effect::Subscribe(queue) => {
                let link = self.links.want_queue(*queue);
                self.wake(link);
                self.subscribe(link);
            }
            Effect::Unwatch(user, server, queue) => {
                if let Some(link) = self.links.unwatch(user, &server, &queue) {
                    self.batch_over(link);
                }
            }
            Effect::Describe(id, connection, user, description, queues) => {
                self.described(id, (user, connection), description, &queues);
            }
            Effect::Count(user, server, counter) => self.count(user, &server, counter),
            // The actor's own.
            Effect::Deliver(_) | Effect::Tasks | Effect::Command(_) | Effect::Received(..) | Effect::Gone => {
            }
        }
    }
}
