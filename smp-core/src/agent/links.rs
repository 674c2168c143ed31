//! The sessions of an agent with servers: one for each user and server, made when it is needed and made again while
//! there are queues to receive from. What is subscribed there, and what is not, is visible at every moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::store::{QueueNumber, WaitingQueue};
use super::{AgentLimits, ConnectionId, UserId};
use crate::client::{CommandId, Request};
use crate::crypto::AuthPrivateKey;
use crate::time::Timestamp;
use crate::wire::{EntityId, ServerAddress};

/// Names a session with a server, from when it is asked for until it ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// All sessions.
#[derive(Default)]
pub(super) struct Links {
    by_place: BTreeMap<(UserId, ServerAddress), LinkId>,
    links: BTreeMap<LinkId, Link>,
    due: BTreeSet<(Timestamp, LinkId)>,
    last: u64,
}

/// A session, or the wish for one.
pub(super) struct Link {
    pub(super) server: ServerAddress,
    state: State,
    /// How many sessions there were: names the one that there is, if there is one.
    pub(super) session: u64,
    /// How long to wait after the next failure.
    pause: Duration,
    /// Requests that wait for the session.
    held: Vec<(CommandId, Request)>,
    /// Requests that the session has and did not answer.
    pub(super) under_way: BTreeSet<CommandId>,
    pub(super) queues: BTreeMap<EntityId, Subscription>,
    /// Connections that are subscribed now and whose app was not told.
    pub(super) news: BTreeSet<ConnectionId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody needs it.
    Idle,
    Connecting,
    Ready,
    /// It failed.
    Waiting(Timestamp),
}

/// A queue from which the agent wants to receive.
pub(super) struct Subscription {
    pub(super) connection: ConnectionId,
    pub(super) number: QueueNumber,
    pub(super) key: AuthPrivateKey,
    pub(super) state: SubscriptionState,
}

/// Whether messages of a queue come.
///
/// ```text
///          session ready            OK
/// Wanted ───────────────▶ InFlight ────▶ Subscribed
///    ▲                       │ refused       │ END
///    │ session lost          ▼               ▼
///    └──────────────────  Refused          Ended
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SubscriptionState {
    /// As soon as there is a session; the link is connecting, or waits until a time that it knows.
    Wanted,
    /// SUB was sent.
    InFlight,
    /// They come.
    Subscribed,
    /// The server does not know the queue, or not our key. The app was told.
    Refused,
    /// Another agent with the same keys took the subscription. The app was told.
    Ended,
}

/// What a link needs to be done after an input.
pub(super) enum Step {
    /// Make the session.
    Connect,
    /// Send these.
    Send(Vec<(CommandId, Request)>),
    /// Nothing now.
    Nothing,
}

impl Links {
    /// The link of a user to a server.
    pub(super) fn at(&mut self, user: UserId, server: &ServerAddress, limits: &AgentLimits) -> LinkId {
        if let Some(id) = self.by_place.get(&(user, server.clone())) {
            return *id;
        }
        self.last += 1;
        let id = LinkId(self.last);
        self.by_place.insert((user, server.clone()), id);
        let link = Link {
            server: server.clone(),
            state: State::Idle,
            session: 0,
            pause: limits.reconnect_min,
            held: Vec::new(),
            under_way: BTreeSet::new(),
            queues: BTreeMap::new(),
            news: BTreeSet::new(),
        };
        self.links.insert(id, link);
        id
    }

    pub(super) fn get(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    /// The first time at which a link is to be tried again.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A link whose time has come.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<LinkId> {
        let (due, id) = *self.due.first().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, id));
        self.get(id)?.state = State::Idle;
        Some(id)
    }

    /// Adds a request; it is sent now, or when there is a session.
    pub(super) fn request(&mut self, id: LinkId, command: CommandId, request: Request) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Step::Nothing };
        if link.state == State::Ready {
            link.under_way.insert(command);
            return Step::Send(vec![(command, request)]);
        }
        link.held.push((command, request));
        self.wake(id)
    }

    /// Begins to connect, unless it is done or waits. Requests of people do not wait for the end of a pause.
    pub(super) fn wake(&mut self, id: LinkId) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Step::Nothing };
        match link.state {
            State::Connecting | State::Ready => Step::Nothing,
            State::Waiting(_) if link.held.is_empty() => Step::Nothing,
            State::Waiting(until) => {
                self.due.remove(&(until, id));
                link.state = State::Connecting;
                Step::Connect
            }
            State::Idle => {
                link.state = State::Connecting;
                Step::Connect
            }
        }
    }

    /// Adds a queue to receive from, and the session that is subscribed to it. That one may have ended while the queue was
    /// stored.
    pub(super) fn add_queue(
        &mut self,
        limits: &AgentLimits,
        queue: WaitingQueue,
        subscribed: Option<u64>,
    ) -> LinkId {
        let id = self.at(queue.user, &queue.server, limits);
        let WaitingQueue { connection, number, recipient_id, key, .. } = queue;
        if let Some(link) = self.links.get_mut(&id) {
            let is_subscribed = link.is_ready() && subscribed == Some(link.session);
            let state = if is_subscribed { SubscriptionState::Subscribed } else { SubscriptionState::Wanted };
            link.queues.insert(recipient_id, Subscription { connection, number, key, state });
        }
        id
    }

    /// Nothing more is received from a queue. The link that it was at.
    pub(super) fn unwatch(
        &mut self,
        user: UserId,
        server: &ServerAddress,
        queue: &EntityId,
    ) -> Option<LinkId> {
        let id = *self.by_place.get(&(user, server.clone()))?;
        let link = self.links.get_mut(&id)?;
        let connection = link.queues.remove(queue)?.connection;
        if !link.queues.values().any(|of| of.connection == connection) {
            link.news.remove(&connection);
        }
        Some(id)
    }

    /// The session is there: what waited for it.
    pub(super) fn ready(&mut self, id: LinkId, limits: &AgentLimits) -> Vec<(CommandId, Request)> {
        let Some(link) = self.links.get_mut(&id) else { return Vec::new() };
        link.state = State::Ready;
        link.session += 1;
        link.pause = limits.reconnect_min;
        let held = std::mem::take(&mut link.held);
        link.under_way.extend(held.iter().map(|(command, _)| *command));
        held
    }

    /// The session could not be made, or ended: the requests that fail with it, and the connections that were subscribed.
    pub(super) fn lost(
        &mut self,
        id: LinkId,
        now: Timestamp,
        limits: &AgentLimits,
    ) -> (Vec<CommandId>, BTreeSet<ConnectionId>) {
        let Some(link) = self.links.get_mut(&id) else { return Default::default() };
        let mut failed: Vec<_> = std::mem::take(&mut link.under_way).into_iter().collect();
        failed.extend(std::mem::take(&mut link.held).into_iter().map(|(command, _)| command));
        let mut down = BTreeSet::new();
        let mut is_wanted = false;
        for subscription in link.queues.values_mut() {
            match subscription.state {
                SubscriptionState::Refused | SubscriptionState::Ended => continue,
                SubscriptionState::Subscribed => _ = down.insert(subscription.connection),
                SubscriptionState::Wanted | SubscriptionState::InFlight => {}
            }
            subscription.state = SubscriptionState::Wanted;
            is_wanted = true;
        }
        // Whoever was not told that they were up is not told that they are down.
        let untold = std::mem::take(&mut link.news);
        down.retain(|connection| !untold.contains(connection));
        link.state = State::Idle;
        if is_wanted {
            let until = now + link.pause;
            link.state = State::Waiting(until);
            self.due.insert((until, id));
            link.pause = (link.pause * 3 / 2).min(limits.reconnect_max);
        }
        (failed, down)
    }

    /// The state of each queue.
    pub(super) fn states(&self) -> impl Iterator<Item = SubscriptionState> {
        self.links.values().flat_map(|link| link.queues.values().map(|queue| queue.state))
    }

    /// No queue of a link that is ready waits for nothing, and no link that has queues to subscribe is idle: the promise of
    /// this file, for tests.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        for (id, link) in &self.links {
            let wanted = |s: &Subscription| s.state == SubscriptionState::Wanted;
            let in_flight = |s: &Subscription| s.state == SubscriptionState::InFlight;
            match link.state {
                State::Ready if link.queues.values().any(wanted) => {
                    return Err("a queue waits for a session that is there");
                }
                State::Idle if link.queues.values().any(wanted) => return Err("nobody makes a session"),
                State::Waiting(until) if !self.due.contains(&(until, *id)) => {
                    return Err("a link waits without a timer");
                }
                State::Idle | State::Connecting | State::Waiting(_)
                    if link.queues.values().any(in_flight) =>
                {
                    return Err("a subscription is in flight without a session");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Link {
    /// True if there is a session.
    pub(super) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// The queues that are to be subscribed now; they are in flight from now on.
    pub(super) fn take_wanted(&mut self) -> Vec<(EntityId, AuthPrivateKey)> {
        if self.state != State::Ready {
            return Vec::new();
        }
        let wanted = self.queues.iter_mut().filter(|(_, queue)| queue.state == SubscriptionState::Wanted);
        wanted
            .map(|(id, queue)| {
                queue.state = SubscriptionState::InFlight;
                (id.clone(), queue.key.clone())
            })
            .collect()
    }

    /// Whether SUBs are under way.
    pub(super) fn is_subscribing(&self) -> bool {
        self.queues.values().any(|queue| queue.state == SubscriptionState::InFlight)
    }
}
