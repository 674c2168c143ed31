//! A session with a server, or the wish for one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::{AgentLimits, ConnectionId, Sessions, UserId};
use super::{ServiceSession, Subscriptions};
use crate::client::{CommandId, Request};
use crate::time::Timestamp;
use crate::wire::ServerAddress;
use crate::wire::error::BrokerErrorType;

/// For whom a session is, and with which server. What has the same place shares the session.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Place {
    pub(in super::super) user: UserId,
    pub(in super::super) server: ServerAddress,
    /// The connection that has the session for itself.
    pub(in super::super) connection: Option<ConnectionId>,
    /// For GET: a server lets a session either subscribe a queue or ask for its messages.
    pub(in super::super) is_for_fetching: bool,
}

/// A session, or the wish for one.
pub(in super::super) struct Link {
    pub(in super::super) place: Place,
    pub(super) state: State,
    /// Names the session that there is, or was last; no two sessions have the same.
    pub(in super::super) session: u64,
    /// Since when there is that session.
    pub(super) ready_at: Timestamp,
    /// How long to wait after the next failure.
    pub(super) pause: Duration,
    /// When there was no session last, and why.
    pub(super) failure: Option<(Timestamp, BrokerErrorType)>,
    /// Requests that wait for the session.
    pub(super) held: Vec<(CommandId, Request)>,
    /// Requests that the session has and did not answer.
    pub(super) under_way: BTreeSet<CommandId>,
    pub(super) queues: Subscriptions,
    /// The service that the session is of.
    pub(super) service: Option<ServiceSession>,
    /// Since when nobody needs the session that there is.
    pub(super) idle_since: Option<Timestamp>,
    /// The timer that is set.
    pub(super) timer: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// There is none, and nobody makes one.
    Idle,
    Connecting,
    Ready,
    /// It failed, and is made again at this time.
    Waiting(Timestamp),
}

impl Link {
    pub(super) const fn new(place: Place, pause: Duration, queues: Subscriptions) -> Self {
        Self {
            place,
            state: State::Idle,
            session: 0,
            ready_at: Timestamp::ZERO,
            pause,
            failure: None,
            held: Vec::new(),
            under_way: BTreeSet::new(),
            queues,
            service: None,
            idle_since: None,
            timer: None,
        }
    }

    pub(in super::super) const fn server(&self) -> &ServerAddress {
        &self.place.server
    }

    /// True if there is a session.
    pub(in super::super) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    pub(in super::super) const fn queues(&self) -> &Subscriptions {
        &self.queues
    }

    /// How many of its queues are in which state.
    pub(in super::super) fn subscriptions(&self) -> super::super::Subscriptions {
        let of = self.queues.counts();
        super::super::Subscriptions {
            subscribed: of.subscribed,
            waiting: of.wanted + of.in_flight + of.waiting,
            ended: self.queues.len() - of.all() - of.unwanted,
            unwanted: of.unwanted,
        }
    }

    /// The session that there is, is being made, or failed.
    pub(in super::super) fn sessions(&self) -> Sessions {
        let mut sessions = Sessions::default();
        match self.state {
            State::Ready => sessions.connected = 1,
            State::Connecting => sessions.connecting = 1,
            State::Idle | State::Waiting(_) => sessions.failed = usize::from(self.failure.is_some()),
        }
        sessions
    }

    /// Whether what an earlier session sent may come to the server after what this one did.
    pub(super) fn is_young(&self, now: Timestamp) -> bool {
        self.is_ready() && now < self.ready_at + OVERTAKEN
    }

    /// Whether a request waits for it, or for its answer.
    pub(super) fn is_asked(&self) -> bool {
        !self.held.is_empty() || !self.under_way.is_empty()
    }

    /// Whether a session is being made.
    pub(in super::super) fn is_connecting(&self) -> bool {
        self.state == State::Connecting
    }

    /// Whether there is a session, or is about to be.
    pub(in super::super) fn is_open(&self) -> bool {
        matches!(self.state, State::Ready | State::Connecting)
    }

    /// Whether answers will come, or a session that requests wait for.
    pub(in super::super) fn is_busy(&self) -> bool {
        self.is_open() && self.is_asked()
    }

    /// Whether it is good for anything.
    pub(super) fn is_needed(&self) -> bool {
        self.is_asked() || !self.queues.is_content()
    }

    /// Why there is no session, if that was found out just now.
    pub(super) fn fresh_failure(&self, now: Timestamp, limits: &AgentLimits) -> Option<&BrokerErrorType> {
        let (at, failure) = self.failure.as_ref()?;
        (now < *at + limits.failure_memory).then_some(failure)
    }

    /// When something has to be done that nothing else leads to.
    pub(super) fn next_due(&self, limits: &AgentLimits) -> Option<Timestamp> {
        match self.state {
            State::Connecting => None,
            State::Waiting(until) => Some(until),
            State::Ready => {
                let idle = self.idle_since.map(|since| since + limits.idle_session);
                self.queues.next_due().into_iter().chain(idle).min()
            }
            // So that nothing is left of servers that were used once.
            State::Idle if self.is_asked() || !self.queues.is_empty() => None,
            State::Idle => self.failure.as_ref().map(|(at, _)| *at + limits.failure_memory),
        }
    }
}

/// For how long the network may hold up what a session sent that ended: systems send it again after pauses of up to two minutes.
const OVERTAKEN: Duration = Duration::from_secs(120);
