//! The queues of a session from which the agent wants to receive, and whether their messages come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::store::QueueNumber;
use super::super::{AgentLimits, ConnectionId};
use crate::crypto::AuthPrivateKey;
use crate::crypto::hash::md5;
use crate::time::Timestamp;
use crate::wire::{EntityId, IdsHash, QueueSet};

/// All queues of a session. Every change of a state goes through [`Self::set`], which counts.
#[derive(Default)]
pub(in super::super) struct Subscriptions {
    queues: BTreeMap<EntityId, Subscription>,
    counts: Counts,
    waiting: BTreeSet<(Timestamp, EntityId)>,
    /// Subscribed now, and the app was not told.
    news: BTreeSet<EntityId>,
    /// Those that the server counts among the queues of the user's service.
    associated: QueueSet,
    /// Whether it does, where that is to be kept.
    changes: BTreeMap<(ConnectionId, QueueNumber), bool>,
    /// The number of the last SUB.
    last_sub: u32,
}

/// How many queues are in which state.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) wanted: usize,
    pub(super) in_flight: usize,
    pub(super) subscribed: usize,
    pub(super) waiting: usize,
    pub(super) unwanted: usize,
}

/// A queue from which the agent wants to receive.
pub(in super::super) struct Subscription {
    pub(in super::super) connection: ConnectionId,
    pub(in super::super) number: QueueNumber,
    key: AuthPrivateKey,
    state: SubscriptionState,
    /// The app holds the queue for subscribed.
    is_up: bool,
    /// The server counts it among the queues of the user's service.
    is_associated: bool,
    /// A SUB of another session was on its way when it was subscribed here: the next END may be that session's.
    is_contested: bool,
    /// An earlier session of the same link, or an earlier process, may have sent a SUB that comes to the server later than that of
    /// this session.
    was_asked: bool,
    /// The number of its last SUB.
    last_sub: u32,
    /// How often in a row the server could not subscribe it.
    failures: u8,
}

/// Whether messages of a queue come.
///
/// ```text
///            next batch            OK
///   Wanted ─────────────▶ InFlight ────▶ Subscribed
///    ▲  ▲                 │     │ refused    │ END
///    │  │ time is over    │ not now          ▼
///    │  └──── Waiting ◀───┘     ▼          Ended
///    └─ session lost            Refused          Unwanted: Wanted when the app asks
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum SubscriptionState {
    /// With the next batch. The session is being made or waited for, or subscribes others.
    Wanted,
    /// SUB was sent.
    InFlight,
    /// They come.
    Subscribed,
    /// The server could not subscribe it, or did not take an acknowledgement, or another session of ours may have ended it: SUB goes
    /// again at this time. The session and its other queues are not touched.
    Waiting(Timestamp),
    /// The server does not know the queue, or not our key. The app was told.
    Refused,
    /// Another agent with the same keys took the subscription. The app was told.
    Ended,
    /// The app wishes that it is not: its messages come when the app asks.
    Unwanted,
}

impl Subscription {
    pub(super) const fn new(
        connection: ConnectionId,
        number: QueueNumber,
        key: AuthPrivateKey,
        is_associated: bool,
    ) -> Self {
        let state = SubscriptionState::Wanted;
        Self {
            connection,
            number,
            key,
            state,
            is_up: false,
            is_associated,
            is_contested: false,
            was_asked: false,
            last_sub: 0,
            failures: 0,
        }
    }
}

impl Subscriptions {
    /// Adds a queue; the session that made it is subscribed to it.
    pub(super) fn add(&mut self, id: EntityId, mut queue: Subscription, is_subscribed: bool) {
        self.remove(&id);
        queue.is_up = is_subscribed;
        self.counts.add(queue.state);
        if queue.is_associated {
            self.associated = self.associated.plus(set_of(&id));
        }
        self.queues.insert(id.clone(), queue);
        if is_subscribed {
            self.set(&id, SubscriptionState::Subscribed);
        }
    }

    /// The agent does not want to receive from a queue any more.
    pub(super) fn remove(&mut self, id: &EntityId) -> Option<Subscription> {
        let queue = self.queues.get(id)?;
        let (state, is_associated) = (queue.state, queue.is_associated);
        self.leave(id, state);
        self.news.remove(id);
        if is_associated {
            self.associated = self.associated.minus(set_of(id));
        }
        self.queues.remove(id)
    }

    pub(in super::super) fn get(&self, id: &EntityId) -> Option<&Subscription> {
        self.queues.get(id)
    }

    pub(super) fn of_connection(&self, connection: ConnectionId, number: QueueNumber) -> Option<EntityId> {
        let is_it = |queue: &Subscription| queue.connection == connection && queue.number == number;
        self.queues.iter().find(|(_, queue)| is_it(queue)).map(|(id, _)| id.clone())
    }

    pub(in super::super) fn state(&self, id: &EntityId) -> Option<SubscriptionState> {
        self.queues.get(id).map(|queue| queue.state)
    }

    /// Up to `max` queues that are to be subscribed, when all of the batch before have their answers, each with the number of its
    /// SUB; they are in flight from now on.
    pub(super) fn take_batch(&mut self, max: usize) -> Vec<(EntityId, AuthPrivateKey, u32)> {
        if self.counts.wanted == 0 || self.counts.in_flight > 0 {
            return Vec::new();
        }
        let wanted = self.queues.iter().filter(|(_, queue)| queue.state == SubscriptionState::Wanted);
        let batch: Vec<_> = wanted.take(max).map(|(id, queue)| (id.clone(), queue.key.clone())).collect();
        batch.into_iter().map(|(id, key)| (id.clone(), key, self.ask(&id))).collect()
    }

    fn ask(&mut self, id: &EntityId) -> u32 {
        self.set(id, SubscriptionState::InFlight);
        self.last_sub = self.last_sub.wrapping_add(1);
        self.queues.get_mut(id).into_iter().for_each(|queue| queue.last_sub = self.last_sub);
        self.last_sub
    }

    /// Whether a queue waits for the answer to this SUB. One that went to another session and came back waits for a later one.
    pub(in super::super) fn awaits(&self, id: &EntityId, sub: u32) -> bool {
        let queue = self.queues.get(id);
        queue.is_some_and(|queue| queue.state == SubscriptionState::InFlight && queue.last_sub == sub)
    }

    /// SUB succeeded, or is known to have.
    pub(in super::super) fn subscribed(&mut self, id: &EntityId) {
        self.set(id, SubscriptionState::Subscribed);
        let Some(queue) = self.queues.get_mut(id) else { return };
        queue.failures = 0;
        if !queue.is_up {
            self.news.insert(id.clone());
        }
    }

    /// The server counts the queue among those of the user's service, or does not.
    pub(in super::super) fn associate(&mut self, id: &EntityId, is_associated: bool) {
        let Some(queue) = self.queues.get_mut(id).filter(|queue| queue.is_associated != is_associated) else {
            return;
        };
        queue.is_associated = is_associated;
        self.changes.insert((queue.connection, queue.number), is_associated);
        let set = set_of(id);
        self.associated = if is_associated { self.associated.plus(set) } else { self.associated.minus(set) };
    }

    /// What the server said of queues and the service is to be kept.
    pub(in super::super) fn take_changes(&mut self) -> BTreeMap<(ConnectionId, QueueNumber), bool> {
        if self.counts.in_flight > 0 {
            return BTreeMap::new();
        }
        std::mem::take(&mut self.changes)
    }

    /// None of the queues is one of the service.
    pub(super) fn dissociate_all(&mut self) {
        self.associated().iter().for_each(|id| self.associate(id, false));
    }

    /// All queues of the service that are wanted are in flight from now on.
    pub(super) fn ask_for_service(&mut self) {
        self.move_associated(SubscriptionState::Wanted, SubscriptionState::InFlight);
    }

    /// They are not subscribed with the service: each is wanted for itself.
    pub(super) fn not_with_service(&mut self) {
        self.move_associated(SubscriptionState::InFlight, SubscriptionState::Wanted);
    }

    /// They are subscribed, and those that somebody else had taken.
    pub(super) fn subscribed_with_service(&mut self) {
        for id in self.associated() {
            let state = self.state(&id);
            if matches!(state, Some(SubscriptionState::InFlight | SubscriptionState::Ended)) {
                self.subscribed(&id);
            }
        }
    }

    /// Somebody else has taken all queues of the service.
    pub(in super::super) fn end_service(&mut self) -> Vec<EntityId> {
        let ended = self.associated();
        ended.iter().for_each(|id| self.give_up(id, SubscriptionState::Ended));
        ended
    }

    /// Queues of the service that somebody else took are wanted again.
    pub(super) fn want_service(&mut self) {
        self.move_associated(SubscriptionState::Ended, SubscriptionState::Wanted);
    }

    fn move_associated(&mut self, from: SubscriptionState, to: SubscriptionState) {
        let ids = self.associated();
        ids.iter()
            .filter(|id| self.state(id) == Some(from))
            .cloned()
            .collect::<Vec<_>>()
            .iter()
            .for_each(|id| self.set(id, to));
    }

    fn associated(&self) -> Vec<EntityId> {
        let associated = self.queues.iter().filter(|(_, queue)| queue.is_associated);
        associated.map(|(id, _)| id.clone()).collect()
    }

    /// The queues of the service, as the server is told.
    pub(super) const fn service_set(&self) -> QueueSet {
        self.associated
    }

    /// The queue is subscribed again after a pause, which grows with each failure.
    pub(super) fn later(&mut self, id: &EntityId, now: Timestamp, limits: &AgentLimits) {
        let Some(queue) = self.queues.get_mut(id) else { return };
        let until = now + pause_after(queue.failures, limits);
        queue.failures = queue.failures.saturating_add(1);
        self.set(id, SubscriptionState::Waiting(until));
    }

    /// Subscribes a queue with the next batch, whatever became of it before.
    pub(super) fn want(&mut self, id: &EntityId) {
        if self.state(id).is_some_and(|state| state != SubscriptionState::InFlight) {
            self.set(id, SubscriptionState::Wanted);
        }
    }

    /// The queue is not subscribed again by itself.
    pub(in super::super) fn give_up(&mut self, id: &EntityId, state: SubscriptionState) {
        self.set(id, state);
        self.news.remove(id);
    }

    /// Whether the app held the queue for subscribed; from now on it does not.
    pub(in super::super) fn take_up(&mut self, id: &EntityId) -> bool {
        self.queues.get_mut(id).is_some_and(|queue| std::mem::take(&mut queue.is_up))
    }

    /// Another session may have subscribed a queue, and ended our subscription.
    pub(super) fn contest(&mut self, id: &EntityId) {
        self.queues.get_mut(id).into_iter().for_each(|queue| queue.is_contested = true);
    }

    /// Whether that is so; from now on it is not.
    pub(in super::super) fn take_contested(&mut self, id: &EntityId) -> bool {
        self.queues.get_mut(id).is_some_and(|queue| std::mem::take(&mut queue.is_contested))
    }

    /// An earlier session may have asked for a queue, and end our subscription when the server hears of that.
    pub(super) fn was_asked(&mut self, id: &EntityId) {
        self.queues.get_mut(id).into_iter().for_each(|queue| queue.was_asked = true);
    }

    /// Whether that is so; from now on it is not.
    pub(in super::super) fn take_asked(&mut self, id: &EntityId) -> bool {
        self.queues.get_mut(id).is_some_and(|queue| std::mem::take(&mut queue.was_asked))
    }

    /// There is no session: all are wanted again, but for those that were given up. Where a SUB has no answer the server may still
    /// come to it.
    pub(in super::super) fn end_session(&mut self) {
        let is_left = |queue: &Subscription| {
            matches!(
                queue.state,
                SubscriptionState::InFlight | SubscriptionState::Subscribed | SubscriptionState::Waiting(_)
            )
        };
        let mut left = Vec::new();
        for (id, queue) in self.queues.iter_mut().filter(|(_, queue)| is_left(queue)) {
            queue.was_asked |= queue.state != SubscriptionState::Subscribed;
            left.push(id.clone());
        }
        left.iter().for_each(|id| self.set(id, SubscriptionState::Wanted));
        self.news.clear();
    }

    /// The connections that the app holds for subscribed and that are not; from now on it does not.
    pub(super) fn take_down(&mut self) -> BTreeSet<ConnectionId> {
        let up = self.queues.values_mut().filter(|queue| queue.is_up);
        up.map(|queue| {
            queue.is_up = false;
            queue.connection
        })
        .collect()
    }

    /// The connections that came up and of which the app was not told, when a batch is over.
    pub(in super::super) fn take_news(&mut self) -> BTreeSet<ConnectionId> {
        if self.counts.in_flight > 0 {
            return BTreeSet::new();
        }
        let news = std::mem::take(&mut self.news);
        let mut up = BTreeSet::new();
        for id in news {
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.is_up = true;
                up.insert(queue.connection);
            }
        }
        up
    }

    /// Queues whose pause is over are wanted again.
    pub(super) fn end_pauses(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.waiting.first().filter(|(until, _)| *until <= now).cloned() {
            self.set(&id, SubscriptionState::Wanted);
        }
    }

    /// When the first pause is over.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(until, _)| *until)
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether no queue needs a session.
    pub(super) fn is_content(&self) -> bool {
        self.counts.all() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// The numbers are those of the states, and each pause has its time. For tests; of many queues the times alone.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.waiting.len() != self.counts.waiting {
            return Err("a queue waits without a time");
        }
        if self.queues.len() <= CHECKED_MAX {
            let mut counts = Counts::default();
            self.queues.values().for_each(|queue| counts.add(queue.state));
            if counts != self.counts {
                return Err("the states of queues are counted wrong");
            }
            let associated = self.queues.iter().filter(|(_, queue)| queue.is_associated);
            if self.associated != associated.fold(QueueSet::EMPTY, |set, (id, _)| set.plus(set_of(id))) {
                return Err("the queues of the service are counted wrong");
            }
        }
        Ok(())
    }

    fn set(&mut self, id: &EntityId, state: SubscriptionState) {
        let Some(queue) = self.queues.get_mut(id) else { return };
        let before = std::mem::replace(&mut queue.state, state);
        self.leave(id, before);
        self.counts.add(state);
        if let SubscriptionState::Waiting(until) = state {
            self.waiting.insert((until, id.clone()));
        }
    }

    fn leave(&mut self, id: &EntityId, state: SubscriptionState) {
        if let Some(count) = self.counts.of(state) {
            *count -= 1;
        }
        if let SubscriptionState::Waiting(until) = state {
            self.waiting.remove(&(until, id.clone()));
        }
    }
}

impl Counts {
    /// Those that need a session.
    pub(super) const fn all(&self) -> usize {
        self.wanted + self.in_flight + self.subscribed + self.waiting
    }

    const fn of(&mut self, state: SubscriptionState) -> Option<&mut usize> {
        match state {
            SubscriptionState::Wanted => Some(&mut self.wanted),
            SubscriptionState::InFlight => Some(&mut self.in_flight),
            SubscriptionState::Subscribed => Some(&mut self.subscribed),
            SubscriptionState::Waiting(_) => Some(&mut self.waiting),
            SubscriptionState::Unwanted => Some(&mut self.unwanted),
            SubscriptionState::Refused | SubscriptionState::Ended => None,
        }
    }

    const fn add(&mut self, state: SubscriptionState) {
        if let Some(count) = self.of(state) {
            *count += 1;
        }
    }
}

/// The set of one queue, as services and servers count theirs.
fn set_of(id: &EntityId) -> QueueSet {
    QueueSet { count: 1, hash: IdsHash(md5(id.as_bytes())) }
}

/// The pause after so many failures before: half as long again each time.
fn pause_after(failures: u8, limits: &AgentLimits) -> Duration {
    let mut pause = limits.reconnect_min;
    for _ in 0..failures {
        if pause >= limits.reconnect_max {
            break;
        }
        pause = pause * 3 / 2;
    }
    pause.min(limits.reconnect_max)
}

/// Up to so many queues of a session are counted anew by each check, so that agents with thousands can be tested.
const CHECKED_MAX: usize = 64;
