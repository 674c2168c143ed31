//! The sessions of an agent with servers: made when they are needed, made again while there are queues to receive from, and
//! ended when nobody has needed them for a while. What is subscribed there, and what is not, is visible at every moment.
//!
//! ```text
//!            needed                  made
//!   Idle ─────────────▶ Connecting ────────▶ Ready
//!    ▲                   ▲      │              │ lost, and queues want it
//!    │ lost, or idle     │      ▼              ▼
//!    └─────────────────  └──── Waiting, a pause that grows
//! ```
//!
//! Subscriptions are made in batches, one at a time, so that a session holds a bounded number of them; the app is told once
//! for each batch. After a failure requests do not begin a storm: for [`AgentLimits::failure_memory`] they fail with what is
//! known, afterwards one of them makes the session without waiting for the end of the pause.

mod link;
mod service;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::link::State;
pub(super) use self::link::{Link, Place};
pub(super) use self::service::{ServiceOutcome, ServiceSession};
use self::subscriptions::Subscription;
pub(super) use self::subscriptions::{SubscriptionState, Subscriptions};
use super::store::WaitingQueue;
use super::{AgentConfig, ConnectionId, SessionMode, UserId};
use crate::client::{CommandId, Request};
use crate::crypto::AuthPrivateKey;
use crate::entropy::SeededEntropy;
use crate::time::Timestamp;
use crate::wire::error::BrokerErrorType;
use crate::wire::{EntityId, QueueSet, ServerAddress};

/// Names a session with a server, from when it is asked for until it ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// Sessions of the same isolation may share a circuit of a SOCKS proxy, others not. What it says nobody but the proxy learns,
/// and that after hashing: see [`SessionMode`].
#[derive(Clone, PartialEq, Eq)]
pub struct Isolation(Vec<u8>);

impl Isolation {
    /// What makes it another than others.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// All sessions.
pub(super) struct Links {
    config: Arc<AgentConfig>,
    by_place: BTreeMap<Place, LinkId>,
    links: BTreeMap<LinkId, Link>,
    due: BTreeSet<(Timestamp, LinkId)>,
    last: u64,
    last_session: u64,
    entropy: SeededEntropy,
    /// What isolates the sessions of this run of the agent from those of others.
    run: [u8; 16],
    /// The time of the input.
    pub(super) now: Timestamp,
    /// The device has a network, as far as it knows.
    pub(super) is_online: bool,
    /// Queues are to be subscribed.
    pub(super) is_receiving: bool,
    /// Sessions may be made.
    pub(super) may_connect: bool,
}

/// What a link needs to be done after an input.
pub(super) enum Step {
    /// Make the session.
    Connect,
    /// Send these.
    Send(Vec<(CommandId, Request)>),
    /// There is no session, for this reason: the request fails.
    Fail(BrokerErrorType),
    /// Nothing now.
    Nothing,
}

/// What is due of a link.
pub(super) enum Due {
    /// The session may be made.
    Wake,
    /// Queues may be subscribed.
    Subscribe,
    /// Nobody has needed the session for long; it is forgotten.
    Close,
    /// Nothing that concerns others.
    Nothing,
}

/// What a session leaves that ended.
#[derive(Default)]
pub(super) struct Lost {
    /// Requests that have no answer.
    pub(super) requests: Vec<CommandId>,
    /// Connections that the app held for subscribed.
    pub(super) down: BTreeSet<ConnectionId>,
    /// It did not end for the same reason as the last time.
    pub(super) is_news: bool,
    /// The user whose service the app holds for subscribed, and its queues.
    pub(super) service: Option<(UserId, QueueSet)>,
}

impl Links {
    pub(super) fn new(config: Arc<AgentConfig>, mut entropy: SeededEntropy, now: Timestamp) -> Self {
        Self {
            run: entropy.bytes(),
            config,
            by_place: BTreeMap::new(),
            links: BTreeMap::new(),
            due: BTreeSet::new(),
            last: 0,
            last_session: 0,
            entropy,
            now,
            is_online: true,
            is_receiving: true,
            may_connect: true,
        }
    }

    /// The link to a server, for something of this connection or of none.
    pub(super) fn at(
        &mut self,
        user: UserId,
        server: &ServerAddress,
        connection: Option<ConnectionId>,
    ) -> LinkId {
        self.at_place(self.place(user, server, connection))
    }

    /// The link for what is asked of queues that are not subscribed.
    pub(super) fn for_fetching(
        &mut self,
        user: UserId,
        server: &ServerAddress,
        connection: ConnectionId,
    ) -> LinkId {
        let place = self.place(user, server, Some(connection));
        self.at_place(Place { is_for_fetching: true, ..place })
    }

    fn at_place(&mut self, place: Place) -> LinkId {
        if let Some(id) = self.by_place.get(&place) {
            return *id;
        }
        self.last += 1;
        let id = LinkId(self.last);
        self.by_place.insert(place.clone(), id);
        let link = Link::new(place, self.config.limits.reconnect_min, Subscriptions::default());
        self.links.insert(id, link);
        id
    }

    fn place(&self, user: UserId, server: &ServerAddress, connection: Option<ConnectionId>) -> Place {
        let is_alone = self.config.network.sessions == SessionMode::Entity;
        let (server, connection) = (server.clone(), connection.filter(|_| is_alone));
        Place { user, server, connection, is_for_fetching: false }
    }

    /// With which others a session may share a circuit.
    pub(super) fn isolation(&self, link: &Link) -> Isolation {
        let Place { user, server, connection, .. } = &link.place;
        let mode = self.config.network.sessions;
        let mut bytes = user.0.to_be_bytes().to_vec();
        if mode != SessionMode::User {
            bytes.extend(self.run);
        }
        if matches!(mode, SessionMode::Server | SessionMode::Entity) {
            bytes.extend(server.to_string().bytes());
        }
        bytes.extend(connection.iter().flat_map(|connection| *connection.as_bytes()));
        Isolation(bytes)
    }

    /// Sessions that are made from now on share no circuit with those that there are.
    pub(super) fn isolate_anew(&mut self) {
        self.run = self.entropy.bytes();
    }

    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// All links.
    pub(super) fn ids(&self) -> Vec<LinkId> {
        self.links.keys().copied().collect()
    }

    /// The first time at which something is due of a link.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A link of which something is due.
    pub(super) fn take_due(&mut self) -> Option<(LinkId, Due)> {
        let now = self.now;
        let (_, id) = *self.due.first().filter(|(due, _)| *due <= now)?;
        let limits = &self.config.limits;
        let link = self.links.get_mut(&id)?;
        let due = match link.state {
            State::Waiting(_) => {
                link.state = State::Idle;
                Due::Wake
            }
            State::Ready if link.idle_since.is_some_and(|since| since + limits.idle_session <= now) => {
                // Queues that need no session are known nevertheless.
                self.close(id);
                return Some((id, Due::Close));
            }
            State::Ready => {
                link.queues.end_pauses(now);
                Due::Subscribe
            }
            State::Idle | State::Connecting => {
                link.failure = None;
                if !link.is_asked() && link.queues.is_empty() {
                    self.forget(id);
                    return Some((id, Due::Nothing));
                }
                Due::Nothing
            }
        };
        self.settle(id);
        Some((id, due))
    }

    /// Adds a request; it is sent now, or when there is a session. One that is `patient` waits while there is no network.
    pub(super) fn request(
        &mut self,
        id: LinkId,
        command: CommandId,
        request: Request,
        is_patient: bool,
    ) -> Step {
        let (now, limits) = (self.now, &self.config.limits);
        let Some(link) = self.links.get_mut(&id) else { return Step::Nothing };
        if link.is_ready() {
            link.under_way.insert(command);
            self.settle(id);
            return Step::Send(vec![(command, request)]);
        }
        if self.may_connect
            && link.state != State::Connecting
            && let Some(reason) = link.fresh_failure(now, limits)
        {
            return Step::Fail(reason.clone());
        }
        link.held.push((command, request));
        if is_patient && !self.is_online {
            if link.state == State::Idle {
                link.state = State::Waiting(now + limits.offline_retry);
            }
            self.settle(id);
            return Step::Nothing;
        }
        self.connect(id)
    }

    /// Makes the session if it is needed and nobody makes it, unless it is waited for.
    pub(super) fn wake(&mut self, id: LinkId) -> Step {
        match self.links.get(&id) {
            Some(link) if link.state == State::Idle && link.is_needed() => self.connect(id),
            _ => Step::Nothing,
        }
    }

    /// Likewise, without waiting any longer.
    pub(super) fn wake_now(&mut self, id: LinkId) -> Step {
        let limits = &self.config.limits;
        let Some(link) = self.links.get_mut(&id) else { return Step::Nothing };
        if matches!(link.state, State::Waiting(_)) {
            link.state = State::Idle;
        }
        (link.pause, link.failure) = (limits.reconnect_min, None);
        let step = self.wake(id);
        self.settle(id);
        step
    }

    fn connect(&mut self, id: LinkId) -> Step {
        let may_connect = self.may_connect;
        let Some(link) = self.links.get_mut(&id) else { return Step::Nothing };
        let step = match link.state {
            State::Idle | State::Waiting(_) if may_connect => {
                link.state = State::Connecting;
                Step::Connect
            }
            _ => Step::Nothing,
        };
        self.settle(id);
        step
    }

    /// Adds a queue to receive from, and the session that is subscribed to it. That one may have ended while the queue was
    /// stored.
    pub(super) fn add_queue(&mut self, queue: WaitingQueue, subscribed: Option<u64>) -> LinkId {
        let id = self.at(queue.user, &queue.server, Some(queue.connection));
        let WaitingQueue { connection, number, recipient_id, key, is_associated, .. } = queue;
        let is_receiving = self.is_receiving;
        if let Some(link) = self.links.get_mut(&id) {
            let is_subscribed = is_receiving && link.is_ready() && subscribed == Some(link.session);
            link.queues.add(
                recipient_id,
                Subscription::new(connection, number, key, is_associated),
                is_subscribed,
            );
        }
        self.settle(id);
        id
    }

    /// Adds a queue that is known from the start of the agent. What the process before asked of its server may be on the way.
    pub(super) fn add_known(&mut self, queue: WaitingQueue, is_wanted: bool) -> LinkId {
        let queue_id = queue.recipient_id.clone();
        let id = if is_wanted { self.add_queue(queue, None) } else { self.leave_queue(queue) };
        self.with_queues(id, |queues| queues.was_asked(&queue_id));
        id
    }

    /// Adds a queue that is not subscribed, as the app wishes.
    pub(super) fn leave_queue(&mut self, queue: WaitingQueue) -> LinkId {
        let id = self.at(queue.user, &queue.server, Some(queue.connection));
        let WaitingQueue { connection, number, recipient_id, key, is_associated, .. } = queue;
        self.with_queues(id, |queues| {
            let queue = Subscription::new(connection, number, key, is_associated);
            queues.add(recipient_id.clone(), queue, false);
            queues.give_up(&recipient_id, SubscriptionState::Unwanted);
        });
        id
    }

    /// Whether a queue is not subscribed because the app wishes so.
    pub(super) fn is_left(&self, queue: &WaitingQueue) -> bool {
        let place = self.place(queue.user, &queue.server, Some(queue.connection));
        let link = self.by_place.get(&place).and_then(|id| self.links.get(id));
        let state = link.and_then(|link| link.queues.state(&queue.recipient_id));
        state == Some(SubscriptionState::Unwanted)
    }

    /// Subscribes a queue that the agent receives from again, or for the first time.
    pub(super) fn want_queue(&mut self, queue: WaitingQueue) -> LinkId {
        let id = self.at(queue.user, &queue.server, Some(queue.connection));
        match self.links.get_mut(&id) {
            Some(link) if link.queues.get(&queue.recipient_id).is_some() => {
                if link.queues.state(&queue.recipient_id) != Some(SubscriptionState::Subscribed) {
                    link.queues.want(&queue.recipient_id);
                }
                self.settle(id);
                id
            }
            _ => self.add_queue(queue, None),
        }
    }

    /// Nothing more is received from a queue. The link that it was at.
    pub(super) fn unwatch(
        &mut self,
        user: UserId,
        server: &ServerAddress,
        queue: &EntityId,
    ) -> Option<LinkId> {
        let mut links =
            self.by_place.iter().filter(|(place, _)| (place.user, &place.server) == (user, server));
        let is_there = |id: &LinkId| self.links.get(id).is_some_and(|link| link.queues.get(queue).is_some());
        let id = links.find(|(_, id)| is_there(id)).map(|(_, id)| *id)?;
        self.with_queues(id, |queues| queues.remove(queue));
        Some(id)
    }

    /// Whether messages of a queue of a connection come; none, if it is not to be received from.
    pub(super) fn state_of(
        &self,
        user: UserId,
        server: &ServerAddress,
        connection: ConnectionId,
        queue: &EntityId,
    ) -> Option<SubscriptionState> {
        let link = self.by_place.get(&self.place(user, server, Some(connection)))?;
        self.get(*link)?.queues.state(queue)
    }

    /// How many queues are in which state.
    pub(super) fn subscriptions(&self) -> super::Subscriptions {
        let mut counts = super::Subscriptions::default();
        for link in self.links.values() {
            counts.add(link.subscriptions());
        }
        counts
    }

    /// Changes the subscriptions of a link.
    pub(super) fn with_queues<T>(
        &mut self,
        id: LinkId,
        change: impl FnOnce(&mut Subscriptions) -> T,
    ) -> Option<T> {
        let result = change(&mut self.links.get_mut(&id)?.queues);
        self.settle(id);
        Some(result)
    }

    /// A queue is subscribed again after a pause, the first time a short one.
    pub(super) fn later(&mut self, id: LinkId, queue: &EntityId) {
        let (now, limits) = (self.now, self.config.limits.clone());
        self.with_queues(id, |queues| queues.later(queue, now, &limits));
    }

    /// A queue was subscribed by the session of a link that does not have it any more.
    pub(super) fn contest(&mut self, queue: &EntityId) {
        self.links.values_mut().for_each(|link| link.queues.contest(queue));
    }

    /// Whether a subscription that ended may have been ended by an earlier session of ours, whose SUB came to the server late. That is
    /// believed once, because another agent may have the queue.
    pub(super) fn take_overtaken(&mut self, id: LinkId, queue: &EntityId) -> bool {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return false };
        link.is_young(now) && link.queues.take_asked(queue)
    }

    /// An acknowledgement of a queue was not carried out, or nobody knows: the server sends nothing more of that queue until
    /// it hears of the message that it sent last. It sends that message again with the answer to SUB.
    pub(super) fn not_acknowledged(
        &mut self,
        id: LinkId,
        connection: ConnectionId,
        number: super::store::QueueNumber,
    ) {
        let Some(link) = self.links.get(&id).filter(|link| link.is_ready()) else { return };
        let Some(queue) = link.queues.of_connection(connection, number) else { return };
        if link.queues.state(&queue) == Some(SubscriptionState::Subscribed) {
            self.later(id, &queue);
        }
    }

    /// No queue is subscribed from now on. Those that are will be again, because messages that come now are not taken.
    pub(super) fn stop_receiving(&mut self) {
        self.is_receiving = false;
        for id in self.ids() {
            self.with_queues(id, Subscriptions::end_session);
        }
    }

    /// Whether there is no session, and none is made.
    pub(super) fn are_closed(&self) -> bool {
        !self.links.values().any(Link::is_open)
    }

    /// The next queues to be subscribed, when those before are.
    pub(super) fn take_batch(&mut self, id: LinkId) -> Vec<(EntityId, AuthPrivateKey, u32)> {
        let max = self.config.limits.subscriptions;
        let Some(link) = self.links.get_mut(&id) else { return Vec::new() };
        let may = self.is_receiving && link.is_ready();
        if may { link.queues.take_batch(max) } else { Vec::new() }
    }

    /// The session is there: what waited for it.
    pub(super) fn ready(&mut self, id: LinkId) -> Vec<(CommandId, Request)> {
        let Some(link) = self.links.get_mut(&id) else { return Vec::new() };
        self.last_session += 1;
        (link.state, link.session, link.ready_at) = (State::Ready, self.last_session, self.now);
        (link.pause, link.failure) = (self.config.limits.reconnect_min, None);
        let held = std::mem::take(&mut link.held);
        link.under_way.extend(held.iter().map(|(command, _)| *command));
        self.settle(id);
        held
    }

    /// A request has its answer; the session that gave it.
    pub(super) fn answered(&mut self, id: LinkId, command: CommandId) -> Option<u64> {
        let link = self.links.get_mut(&id)?;
        link.under_way.remove(&command);
        let session = link.session;
        self.settle(id);
        Some(session)
    }

    /// The session could not be made, or ended.
    pub(super) fn lost(&mut self, id: LinkId, reason: &BrokerErrorType) -> Lost {
        let (now, limits) = (self.now, &self.config.limits);
        let Some(link) = self.links.get_mut(&id) else { return Lost::default() };
        let is_news = link.failure.as_ref().is_none_or(|(_, last)| last != reason);
        link.failure = Some((now, reason.clone()));
        let down = link.queues.take_down();
        let service = link.told_service();
        let pause = link.pause;
        link.pause = (pause * 3 / 2).min(limits.reconnect_max);
        let requests = self.end_session(id);
        // The clients of a server that ended must not come back all at once.
        let pause = jittered(pause, &mut self.entropy);
        let pause = if self.is_online { pause } else { pause.max(self.config.limits.offline_retry) };
        if let Some(link) = self.links.get_mut(&id)
            && self.is_receiving
            && !link.queues.is_content()
        {
            link.state = State::Waiting(now + pause);
        }
        self.settle(id);
        Lost { requests, down, is_news, service }
    }

    /// The agent ends the session, or does not wait for it any more; requests that have no answer.
    pub(super) fn close(&mut self, id: LinkId) -> Vec<CommandId> {
        let requests = self.end_session(id);
        if self.links.get(&id).is_some_and(|link| link.queues.is_empty()) {
            self.forget(id);
        }
        self.settle(id);
        requests
    }

    /// No session is made or used; all requests fail.
    fn end_session(&mut self, id: LinkId) -> Vec<CommandId> {
        let Some(link) = self.links.get_mut(&id) else { return Vec::new() };
        (link.state, link.service) = (State::Idle, None);
        link.queues.end_session();
        let mut requests: Vec<_> = std::mem::take(&mut link.under_way).into_iter().collect();
        requests.extend(std::mem::take(&mut link.held).into_iter().map(|(command, _)| command));
        requests
    }

    fn forget(&mut self, id: LinkId) {
        let Some(link) = self.links.remove(&id) else { return };
        self.by_place.remove(&link.place);
        link.timer.into_iter().for_each(|timer| _ = self.due.remove(&(timer, id)));
    }

    /// Sets the timer of a link.
    fn settle(&mut self, id: LinkId) {
        let (now, limits) = (self.now, &self.config.limits);
        let Some(link) = self.links.get_mut(&id) else { return };
        let is_idle = link.state == State::Ready && !link.is_needed();
        link.idle_since = if is_idle { link.idle_since.or(Some(now)) } else { None };
        let timer = link.next_due(limits);
        if timer != link.timer {
            link.timer.into_iter().for_each(|timer| _ = self.due.remove(&(timer, id)));
            self.due.extend(timer.map(|timer| (timer, id)));
            link.timer = timer;
        }
    }

    /// Every queue is subscribed, in flight, waits until a time, or waits for a session that is made or waited for until a
    /// time; or the app does not want it to be, or was told that it is given up: the promise of this file, for tests. A time
    /// is one that the timer of the agent knows.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        for (id, link) in &self.links {
            link.queues.check()?;
            let counts = link.queues.counts();
            if link.timer.is_some_and(|timer| !self.due.contains(&(timer, *id))) {
                return Err("a time that nobody waits for");
            }
            let in_session = counts.in_flight + counts.subscribed + counts.waiting;
            match link.state {
                State::Ready if self.is_receiving && counts.wanted > 0 && counts.in_flight == 0 => {
                    return Err("a queue waits for a session that is there");
                }
                State::Ready if counts.waiting > 0 && link.timer.is_none() => {
                    return Err("a queue waits without a timer");
                }
                State::Idle | State::Connecting | State::Waiting(_) if link.service.is_some() => {
                    return Err("a service without a session");
                }
                State::Idle | State::Connecting | State::Waiting(_) if in_session > 0 => {
                    return Err("a queue is subscribed without a session");
                }
                State::Idle if self.is_receiving && counts.wanted > 0 => {
                    return Err("nobody makes a session");
                }
                State::Idle if self.may_connect && !link.held.is_empty() => {
                    return Err("a request waits for a session that nobody makes");
                }
                State::Waiting(until) if link.timer != Some(until) => {
                    return Err("a link waits without a timer");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A pause between three quarters and five quarters of this.
fn jittered(pause: Duration, entropy: &mut SeededEntropy) -> Duration {
    let quarter = pause / 4;
    let random = u16::from_be_bytes(entropy.bytes());
    pause - quarter + quarter * 2 * u32::from(random) / u32::from(u16::MAX)
}
