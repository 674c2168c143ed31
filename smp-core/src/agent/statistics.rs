//! Statistics: what was done at servers for each user, counted where requests go out and answers come in. What only a step knows of
//! a message it lets out as [`Effect::Count`](super::effect::Effect::Count).
//!
//! They are kept a while after something was counted, when the agent is to rest or to stop, and when a user is deleted. What was
//! counted since then is lost with a crash: they are told to people, and nothing depends on them. When they cannot be read,
//! counting begins anew, and they are read again later.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::effect::Doing;
use super::failure::is_temporary;
use super::links::LinkId;
use super::queues::QueuePurpose;
use super::routing::Proxied;
use super::step::Step;
use super::store::{AgentOp, AgentQuery, Found, ServerCounters, Statistics, StoreFailure};
use super::users::Writer;
use super::{Agent, Alarm, CallId, Reader, Reply, Subscriptions, UserId};
use crate::client::{Answer, CommandId, Request, RequestError};
use crate::time::UnixTime;
use crate::wire::ServerAddress;
use crate::wire::agent::AgentError;
use crate::wire::command::Command;
use crate::wire::error::ErrorType;

/// What was done at servers, and how things are there now. `AgentServersSummary`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentStatistics {
    /// When counting began: when the agent was started first, or statistics were reset.
    pub since: UnixTime,
    /// The servers of users at which something was done, or to which there is a session or is to be, by user.
    pub servers: Vec<ServerStatistics>,
}

/// What a user did at a server, and how things are there now.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatistics {
    /// The user.
    pub user: UserId,
    /// The server.
    pub server: ServerAddress,
    /// What was done.
    pub counters: ServerCounters,
    /// The user's sessions with it.
    pub sessions: Sessions,
    /// The user's receive queues there.
    pub subscriptions: Subscriptions,
}

/// How many sessions are in which state. `ServerSessions`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sessions {
    /// They are there.
    pub connected: usize,
    /// They are being made.
    pub connecting: usize,
    /// They could not be made, or ended, and are not being made.
    pub failed: usize,
}

impl AgentStatistics {
    /// The sessions and the subscriptions of these users, together. `getAgentSubsTotal`.
    #[must_use]
    pub fn total(&self, users: &[UserId]) -> (Sessions, Subscriptions) {
        let mut total = (Sessions::default(), Subscriptions::default());
        for server in self.servers.iter().filter(|server| users.contains(&server.user)) {
            total.0.add(server.sessions);
            total.1.add(server.subscriptions);
        }
        total
    }
}

impl Sessions {
    pub(super) const fn add(&mut self, other: Self) {
        self.connected += other.connected;
        self.connecting += other.connecting;
        self.failed += other.failed;
    }
}

/// One of the counters.
pub(super) type Counter = fn(&mut ServerCounters) -> &mut u64;

/// What is counted, and what of it is kept.
pub(super) struct Counting {
    numbers: Statistics,
    /// What was kept before is among them.
    is_loaded: bool,
    /// They are to be kept, and there is an alarm for that.
    is_changed: bool,
}

/// A request that is counted.
pub(super) struct Counted {
    kind: Kind,
    user: UserId,
    server: ServerAddress,
    /// Through which it goes.
    proxy: Option<ServerAddress>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Send,
    Acknowledge,
    /// What a queue holds is asked for.
    Probe,
    Create,
    Secure,
    Delete,
    Subscribe,
}

impl Kind {
    /// Queues that take the place of others count for no new connection.
    fn of(doing: &Doing, request: &Request) -> Option<Self> {
        match (doing, request.command()) {
            (_, Command::Send { .. }) => Some(Self::Send),
            (Doing::Acknowledge(..), _) => Some(Self::Acknowledge),
            (Doing::Probe(..), _) => Some(Self::Probe),
            (Doing::Create(_, keys), _) if keys.purpose != QueuePurpose::Rotation => Some(Self::Create),
            (Doing::Task(_), Command::Key(_)) => Some(Self::Secure),
            (Doing::Delete(..), _) => Some(Self::Delete),
            (Doing::Subscribe(..), _) => Some(Self::Subscribe),
            _ => None,
        }
    }

    /// What is counted when a request goes out, and that again when it succeeded.
    const fn counters(self, is_proxied: bool) -> Option<(Option<Counter>, Counter)> {
        Some(match self {
            Self::Send if is_proxied => (Some(|of| &mut of.attempts_via_proxy), |of| &mut of.sent_via_proxy),
            Self::Send => (Some(|of| &mut of.attempts_direct), |of| &mut of.sent_direct),
            Self::Acknowledge => (Some(|of| &mut of.acknowledge_attempts), |of| &mut of.acknowledged),
            Self::Create => (None, |of| &mut of.queues_created),
            Self::Secure => (None, |of| &mut of.queues_secured),
            Self::Delete => (Some(|of| &mut of.delete_attempts), |of| &mut of.queues_deleted),
            Self::Subscribe => (Some(|of| &mut of.subscribe_attempts), |of| &mut of.subscribed),
            Self::Probe => return None,
        })
    }

    /// What is counted when a request failed.
    fn failure(self, error: &RequestError) -> Option<Counter> {
        let answer = match error {
            RequestError::Server(error) | RequestError::Relay(error) => Some(error),
            _ => None,
        };
        Some(match (self, answer) {
            (Self::Send, Some(ErrorType::Auth)) => |of| &mut of.send_refused,
            (Self::Send, Some(ErrorType::Quota)) => |of| &mut of.send_full,
            (Self::Delete, Some(ErrorType::Auth)) => |of| &mut of.queues_deleted,
            (Self::Acknowledge, Some(ErrorType::NoMessage)) => |of| &mut of.acknowledge_unknown,
            _ if is_temporary(error) => return None,
            (Self::Send, _) => |of| &mut of.send_failed,
            (Self::Acknowledge, _) => |of| &mut of.acknowledge_failed,
            (Self::Delete, _) => |of| &mut of.delete_failed,
            (Self::Subscribe, _) => |of| &mut of.subscribe_failed,
            (Self::Probe | Self::Create | Self::Secure, _) => return None,
        })
    }
}

impl Counting {
    pub(super) fn new(since: UnixTime) -> Self {
        let numbers = Statistics { since, servers: BTreeMap::new() };
        Self { numbers, is_loaded: false, is_changed: false }
    }

    /// The counters of a user's server. When there are many servers, that one is forgotten at which least was done.
    fn of_server(&mut self, user: UserId, server: &ServerAddress, max: usize) -> &mut ServerCounters {
        let servers = &mut self.numbers.servers;
        let key = (user, server.clone());
        if servers.len() >= max && !servers.contains_key(&key) {
            let sum = |counters: &ServerCounters| {
                counters.all().into_iter().fold(0_u64, |sum, (_, value)| sum.saturating_add(value))
            };
            let least = servers.iter().min_by_key(|(_, counters)| sum(counters));
            if let Some(least) = least.map(|(key, _)| key.clone()) {
                servers.remove(&least);
            }
        }
        match servers.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(ServerCounters::default()),
        }
    }
}

impl Agent {
    /// What is counted of a request to a link, or of one that goes on through a proxy.
    pub(super) fn counted(
        &self,
        link: LinkId,
        request: &Request,
        doing: &Doing,
        proxied: Option<&Proxied>,
    ) -> Option<Box<Counted>> {
        let kind = Kind::of(doing, request)?;
        if let Some(Proxied { user, destination, proxy, .. }) = proxied {
            let (server, proxy) = (destination.clone(), Some(proxy.clone()));
            return Some(Box::new(Counted { kind, user: *user, server, proxy }));
        }
        let place = &self.links.get(link)?.place;
        Some(Box::new(Counted { kind, user: place.user, server: place.server.clone(), proxy: None }))
    }

    /// What is counted of a request that goes out to nobody.
    pub(super) fn counted_at(
        user: UserId,
        server: &ServerAddress,
        request: &Request,
        doing: &Doing,
    ) -> Option<Box<Counted>> {
        let kind = Kind::of(doing, request)?;
        Some(Box::new(Counted { kind, user, server: server.clone(), proxy: None }))
    }

    /// Requests go out to a session.
    pub(super) fn count_attempts(&mut self, requests: &[(CommandId, Request)]) {
        for (id, _) in requests {
            let Some(counted) = self.requests.get(id).and_then(|pending| pending.counted.as_deref()) else {
                continue;
            };
            let Counted { kind, user, server, proxy } = counted;
            let (user, server, proxy) = (*user, server.clone(), proxy.clone());
            let attempt = kind.counters(proxy.is_some()).and_then(|(attempt, _)| attempt);
            if let Some(attempt) = attempt {
                self.count(user, &server, attempt);
            }
            if let Some(proxy) = proxy {
                self.count(user, &proxy, |of| &mut of.attempts_forwarded);
            }
        }
    }

    /// A request has its answer, or none.
    pub(super) fn count_answer(
        &mut self,
        counted: &Counted,
        doing: &Doing,
        answer: &Result<Answer, RequestError>,
    ) {
        let Counted { kind, user, server, proxy } = counted;
        // What a proxy says of itself is no answer: the request goes another way, or fails, and is counted then.
        if proxy.is_some() && !matches!(answer, Ok(_) | Err(RequestError::Relay(_))) {
            return;
        }
        let counter = match answer {
            _ if self.is_ignored(doing) => Some((|of| &mut of.subscribe_ignored) as Counter),
            Ok(_) => kind.counters(proxy.is_some()).map(|(_, success)| success),
            Err(error) => kind.failure(error),
        };
        if let Some(counter) = counter {
            self.count(*user, server, counter);
        }
        if let (Some(proxy), Ok(_)) = (proxy, answer) {
            self.count(*user, proxy, |of| &mut of.forwarded);
        }
        // A message with the answer to SUB goes the way of those that come by themselves.
        let (Ok(Answer::Message(message) | Answer::Subscribed { message, .. }), true) =
            (answer, *kind != Kind::Subscribe)
        else {
            return;
        };
        if message.is_some() {
            self.count(*user, server, |of| &mut of.received);
        }
    }

    /// Whether the answer to a SUB comes too late.
    fn is_ignored(&self, doing: &Doing) -> bool {
        let Doing::Subscribe(link, queue, sub) = doing else { return false };
        !self.links.get(*link).is_some_and(|link| link.queues().awaits(queue, *sub))
    }

    /// Counts something that a server did with a link.
    pub(super) fn count_at(&mut self, link: LinkId, counter: Counter) {
        let Some(place) = self.links.get(link).map(|link| link.place.clone()) else { return };
        self.count(place.user, &place.server, counter);
    }

    /// Counts something that was done at a server.
    pub(super) fn count(&mut self, user: UserId, server: &ServerAddress, counter: Counter) {
        if !self.shared.users.contains_key(&user) {
            return;
        }
        let max = self.shared.config.limits.statistics;
        let number = counter(self.counting.of_server(user, server, max));
        *number = number.saturating_add(1);
        self.keep_statistics_later();
    }

    fn keep_statistics_later(&mut self) {
        if !std::mem::replace(&mut self.counting.is_changed, true) {
            let at = self.shared.now.mono + self.shared.config.limits.statistics_pause;
            self.alarms.insert((at, Alarm::Statistics));
        }
    }

    /// What was kept is to be added.
    pub(super) fn load_statistics(&mut self) {
        if !self.counting.is_loaded {
            self.read(Reader::Statistics, AgentQuery::Statistics);
        }
    }

    pub(super) fn statistics_found(&mut self, result: Result<Found, StoreFailure>) {
        if self.counting.is_loaded {
            return;
        }
        let kept = match result {
            Ok(Found::Statistics(kept)) => kept,
            Ok(_) => None,
            Err(StoreFailure) => return self.keep_statistics_later(),
        };
        self.counting.is_loaded = true;
        if !self.counting.numbers.servers.is_empty() {
            // What was counted before they could be read.
            self.keep_statistics_later();
        }
        let Some(kept) = kept else { return };
        self.counting.numbers.since = kept.since;
        let max = self.shared.config.limits.statistics;
        for ((user, server), counters) in kept.servers {
            if self.shared.users.contains_key(&user) {
                self.counting.of_server(user, &server, max).add(&counters);
            }
        }
    }

    /// The time of the alarm: what was counted is kept.
    pub(super) fn keep_statistics_now(&mut self) {
        self.counting.is_changed = false;
        if self.counting.is_loaded {
            self.write(Writer::Statistics, vec![self.put_statistics()]);
        } else {
            self.load_statistics();
        }
    }

    /// The agent is to rest or to stop: what was counted and not kept is kept.
    pub(super) fn keep_statistics(&mut self) {
        if self.counting.is_changed && self.counting.is_loaded {
            self.alarms.retain(|(_, alarm)| *alarm != Alarm::Statistics);
            self.keep_statistics_now();
        }
    }

    fn put_statistics(&self) -> AgentOp {
        AgentOp::PutStatistics(Box::new(self.counting.numbers.clone()))
    }

    /// Nothing is known any more of what a user did; what makes the store forget it too.
    pub(super) fn forget_statistics(&mut self, user: UserId) -> Option<AgentOp> {
        self.counting.numbers.servers.retain(|(of, _), _| *of != user);
        self.counting.is_loaded.then(|| self.put_statistics())
    }

    pub(super) fn statistics_kept(&mut self, result: Result<(), StoreFailure>) {
        if result.is_err() {
            self.keep_statistics_later();
        }
    }

    /// All counters are 0 from now on.
    pub(super) fn reset_statistics(&mut self, call: CallId) {
        self.counting = Counting { is_loaded: true, ..Counting::new(self.shared.now.unix) };
        self.alarms.retain(|(_, alarm)| *alarm != Alarm::Statistics);
        self.write(Writer::StatisticsReset(call), vec![self.put_statistics()]);
    }

    pub(super) fn statistics_reset(&mut self, call: CallId, result: Result<(), StoreFailure>) {
        self.statistics_kept(result);
        self.reply(call, result.map(|()| Reply::Done).map_err(AgentError::from));
    }

    /// Tells the app what was counted, and how things are at servers.
    pub(super) fn tell_statistics(&mut self, call: CallId) {
        let mut servers = BTreeMap::new();
        for ((user, server), counters) in &self.counting.numbers.servers {
            let of = ServerStatistics {
                counters: counters.clone(),
                ..ServerStatistics::nothing(*user, server.clone())
            };
            servers.insert((*user, server.clone()), of);
        }
        let links = self.links.ids().into_iter().filter_map(|id| self.links.get(id));
        for link in links.filter(|link| self.shared.users.contains_key(&link.place.user)) {
            let (user, server) = (link.place.user, link.server().clone());
            let nothing = || ServerStatistics::nothing(user, server.clone());
            let of = servers.entry((user, server.clone())).or_insert_with(nothing);
            of.sessions.add(link.sessions());
            of.subscriptions.add(link.subscriptions());
        }
        let (since, servers) = (self.counting.numbers.since, servers.into_values().collect());
        self.reply(call, Ok(Reply::Statistics(Box::new(AgentStatistics { since, servers }))));
    }
}

impl ServerStatistics {
    fn nothing(user: UserId, server: ServerAddress) -> Self {
        let (sessions, subscriptions) = (Sessions::default(), Subscriptions::default());
        Self { user, server, counters: ServerCounters::default(), sessions, subscriptions }
    }
}

impl Step<'_> {
    /// Counts something of a server of this connection, when this step is durable.
    pub(super) fn count(&mut self, server: Option<ServerAddress>, counter: Counter) {
        let user = self.connection.as_ref().map(|connection| connection.state.user);
        if let (Some(user), Some(server)) = (user, server) {
            self.effects.push(super::effect::Effect::Count(user, server, counter));
        }
    }
}
