//! A connection that comes back, with its subscriptions.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use smp_core::client::{ClientEvent, ReceivedMessage, Request, RequestError};
use smp_core::crypto::AuthPrivateKey;
use smp_core::wire::error::ErrorType;
use smp_core::wire::{EntityId, ServerAddress, Version};
use smp_core::{Entropy, SeededEntropy, Timestamp};

use super::handle::{BATCH, PendingAnswer, subscribed};
use super::{Client, ConnectError, Connector, Disconnect, Events};
use crate::Runtime;
use crate::timer::Timer;

/// How long to wait before another attempt. Each wait is a random part, at least half, of a delay that
/// doubles with each failure: the clients of a server that restarts must not come back in lockstep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReconnectLimits {
    /// The first delay. Default: 1 second.
    pub delay_min: Duration,
    /// The longest delay. Default: 2 minutes.
    pub delay_max: Duration,
    /// How long a connection must have stood for the next delay to be the first one again. Default: 1 minute.
    pub stable: Duration,
    /// After how long a subscription that failed for now is tried again. Default: 10 seconds.
    pub subscribe_again: Duration,
}

impl Default for ReconnectLimits {
    fn default() -> Self {
        Self {
            delay_min: Duration::from_secs(1),
            delay_max: Duration::from_secs(120),
            stable: Duration::from_secs(60),
            subscribe_again: Duration::from_secs(10),
        }
    }
}

/// What happens to a connection that comes back.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReconnectEvent {
    /// There is a connection, of this version. Its subscriptions are being made.
    Connected(Version),
    /// The connection ended. Another attempt will be made. Commands in flight were told.
    Disconnected(Disconnect),
    /// An attempt failed. Another one will be made.
    ConnectFailed(ConnectError),
    /// A queue is subscribed to, with a message that waited in it if the server sent it with its answer.
    Subscribed(EntityId, Option<ReceivedMessage>),
    /// A queue is not subscribed to. It is tried again if `again`; otherwise the subscription is forgotten.
    NotSubscribed {
        /// The queue.
        queue: EntityId,
        /// Why.
        error: RequestError,
        /// Whether it will be tried again.
        again: bool,
    },
    /// An event of the connection. Subscriptions that END or DELD ended are forgotten.
    Server(ClientEvent),
}

/// The handle of a connection that comes back. Clones share it.
///
/// It is [`Reconnecting::next`] that makes connections and subscriptions: somebody must be waiting for
/// events.
#[derive(Clone)]
pub struct ReconnectingClient(Arc<Mutex<Desk>>);

/// What handles and the stream share.
#[derive(Default)]
struct Desk {
    client: Option<Client>,
    keys: BTreeMap<EntityId, AuthPrivateKey>,
    /// Queues to subscribe to on this connection.
    wanted: BTreeSet<EntityId>,
    waker: Option<Waker>,
}

impl ReconnectingClient {
    /// The connection, if there is one now. Its commands fail when it ends; they are not sent again.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        self.lock().client.clone()
    }

    /// Subscribes to a queue, now if there is a connection, and on every connection to come.
    pub fn subscribe(&self, queue: EntityId, key: AuthPrivateKey) {
        let waker = {
            let mut desk = self.lock();
            desk.wanted.insert(queue.clone());
            desk.keys.insert(queue, key);
            desk.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Forgets a subscription. SMP has no command for it, so on this connection messages may still come.
    pub fn forget(&self, queue: &EntityId) {
        let mut desk = self.lock();
        desk.wanted.remove(queue);
        desk.keys.remove(queue);
    }

    /// Nothing that runs under this lock can panic half-way, so a poisoned one is as good as new.
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of a connection that comes back; waiting for them is what makes it. Dropping this closes the
/// connection, unless handles of the [`Client`] are kept.
pub struct Reconnecting<R: Runtime> {
    connector: Connector<R>,
    server: ServerAddress,
    limits: ReconnectLimits,
    desk: ReconnectingClient,
    entropy: SeededEntropy,
    failures: u32,
    state: State,
    timer: Timer<R>,
    /// Subscriptions that wait for their answers, [`BATCH`] at most.
    pub(super) subscribing: Vec<(EntityId, PendingAnswer)>,
    /// Subscriptions that failed for now, and when they are tried again.
    failed: BTreeSet<EntityId>,
    again: Option<Timestamp>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<(Client, Events), ConnectError>> + Send>>;

enum State {
    Waiting { until: Timestamp },
    Connecting(Connecting),
    Connected { client: Client, events: Events, since: Timestamp },
}

impl<R: Runtime> Connector<R> {
    /// A connection that comes back whenever it ends, with its subscriptions. The first attempt is made when
    /// its events are waited for.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn reconnecting(
        &self,
        server: ServerAddress,
        limits: ReconnectLimits,
    ) -> Result<(ReconnectingClient, Reconnecting<R>), ConnectError> {
        let desk = ReconnectingClient(Arc::default());
        let stream = Reconnecting {
            connector: self.clone(),
            server,
            limits,
            desk: desk.clone(),
            entropy: self.entropy()?,
            failures: 0,
            state: State::Waiting { until: Timestamp::ZERO },
            timer: Timer::new(self.runtime.clone()),
            subscribing: Vec::new(),
            failed: BTreeSet::new(),
            again: None,
        };
        Ok((desk, stream))
    }
}

impl<R: Runtime> Reconnecting<R> {
    /// The next event. Dropping the future loses nothing.
    pub async fn next(&mut self) -> ReconnectEvent {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Self::next`], as a poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<ReconnectEvent> {
        loop {
            self.desk.lock().waker = Some(cx.waker().clone());
            self.send_subscriptions();
            match &mut self.state {
                State::Waiting { until } => {
                    let until = *until;
                    std::task::ready!(self.timer.poll(cx, Some(until)));
                    self.state = State::Connecting(self.attempt());
                }
                State::Connecting(attempt) => {
                    let connected = std::task::ready!(attempt.as_mut().poll(cx));
                    return Poll::Ready(self.attempted(connected));
                }
                State::Connected { events, .. } => {
                    // Events first: they are there already, and a subscription's message may be among them.
                    match events.poll_next(cx) {
                        Poll::Ready(Ok(event)) => return Poll::Ready(self.take_event(event)),
                        Poll::Ready(Err(how)) => return Poll::Ready(self.disconnected(how)),
                        Poll::Pending => return self.poll_subscriptions(cx),
                    }
                }
            }
        }
    }

    fn attempt(&self) -> Connecting {
        let (connector, server) = (self.connector.clone(), self.server.clone());
        Box::pin(async move { connector.connect(&server).await })
    }

    fn attempted(&mut self, connected: Result<(Client, Events), ConnectError>) -> ReconnectEvent {
        match connected {
            Ok((client, events)) => {
                let since = self.connector.runtime.now().mono;
                let version = client.version();
                let mut desk = self.desk.lock();
                desk.wanted = desk.keys.keys().cloned().collect();
                desk.client = Some(client.clone());
                drop(desk);
                self.state = State::Connected { client, events, since };
                ReconnectEvent::Connected(version)
            }
            Err(error) => {
                self.wait();
                ReconnectEvent::ConnectFailed(error)
            }
        }
    }

    fn disconnected(&mut self, how: Disconnect) -> ReconnectEvent {
        if let State::Connected { since, .. } = &self.state
            && self.connector.runtime.now().mono.since(*since) >= self.limits.stable
        {
            self.failures = 0;
        }
        self.desk.lock().client = None;
        self.subscribing.clear();
        self.failed.clear();
        self.again = None;
        self.wait();
        ReconnectEvent::Disconnected(how)
    }

    /// Waits for a random part, at least half, of the delay that is due.
    fn wait(&mut self) {
        let doubled = self.limits.delay_min.saturating_mul(1 << self.failures.min(20));
        let delay = doubled.min(self.limits.delay_max);
        self.failures = self.failures.saturating_add(1);
        let mut random = [0; 4];
        self.entropy.fill(&mut random);
        let part = f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX);
        let until = self.connector.runtime.now().mono + delay.mul_f64(0.5 + part / 2.0);
        self.state = State::Waiting { until };
    }

    fn take_event(&self, event: ClientEvent) -> ReconnectEvent {
        if let ClientEvent::End(queue) | ClientEvent::Deleted(queue) = &event {
            self.desk.forget(queue);
        }
        ReconnectEvent::Server(event)
    }

    /// Gives out the results of subscriptions, and tries those again that failed for now.
    fn poll_subscriptions(&mut self, cx: &mut Context<'_>) -> Poll<ReconnectEvent> {
        if self.timer.poll(cx, self.again).is_ready() {
            self.again = None;
            let mut desk = self.desk.lock();
            let failed = std::mem::take(&mut self.failed);
            let kept = failed.into_iter().filter(|queue| desk.keys.contains_key(queue)).collect::<Vec<_>>();
            desk.wanted.extend(kept);
        }
        self.send_subscriptions();
        let mut at = 0;
        while let Some((_, answer)) = self.subscribing.get_mut(at) {
            if let Poll::Ready(outcome) = Pin::new(answer).poll(cx) {
                let (queue, _) = self.subscribing.swap_remove(at);
                return Poll::Ready(self.subscribed(queue, outcome.and_then(subscribed)));
            }
            at += 1;
        }
        Poll::Pending
    }

    /// Sends the subscriptions that are wanted, a number at a time.
    fn send_subscriptions(&mut self) {
        let State::Connected { client, .. } = &self.state else { return };
        let mut desk = self.desk.lock();
        while self.subscribing.len() < BATCH
            && let Some(queue) = desk.wanted.pop_first()
        {
            if let Some(key) = desk.keys.get(&queue) {
                let answer = client.request(Request::subscribe(queue.clone(), key.clone()));
                self.subscribing.push((queue, answer));
            }
        }
    }

    fn subscribed(
        &mut self,
        queue: EntityId,
        outcome: Result<Option<ReceivedMessage>, RequestError>,
    ) -> ReconnectEvent {
        let error = match outcome {
            Ok(message) => return ReconnectEvent::Subscribed(queue, message),
            Err(error) => error,
        };
        let again = !is_final(&error);
        if again {
            self.failed.insert(queue.clone());
            let due = self.connector.runtime.now().mono + self.limits.subscribe_again;
            self.again.get_or_insert(due);
        } else {
            self.desk.forget(&queue);
        }
        ReconnectEvent::NotSubscribed { queue, error, again }
    }
}

impl<R: Runtime> Drop for Reconnecting<R> {
    fn drop(&mut self) {
        self.desk.lock().client = None;
    }
}

/// Whether asking again cannot help: the queue is not there, or not ours, or blocked.
fn is_final(error: &RequestError) -> bool {
    matches!(
        error,
        RequestError::Server(
            ErrorType::Auth | ErrorType::Blocked(_) | ErrorType::Command(_) | ErrorType::Service
        )
    )
}
