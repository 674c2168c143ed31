//! A server that runs.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smp_core::server::Moderation;
use smp_core::server::statistics::{Day, Statistics, Survey};
use smp_core::server::store::{QueueKey, QueueRecord, StoreFailure};
use smp_storage::Backend;

use super::admission::Admission;
use super::budget::Budget;
use super::counters::{Counters, Counting, SocketCounters, SocketCounting};
use super::hub::Hub;
use super::phase::Phase;
use super::relays::Relays;
use super::tasks::Tasks;
use crate::Runtime;
#[cfg(doc)]
use crate::server::Server;
use crate::timer::Timer;

/// A server that runs. Dropping it ends the server without grace; [`ServerHandle::stop`] does it in order.
pub struct ServerHandle<R: Runtime, B: Backend + 'static> {
    runtime: R,
    backend: Arc<B>,
    pub(super) hub: Arc<Hub<R, B>>,
    relays: Arc<Relays<R>>,
    admission: Arc<Admission>,
    budget: Arc<Budget>,
    tasks: Arc<Tasks>,
    counting: Arc<Counting>,
    addresses: Vec<SocketAddr>,
    sockets: Vec<Arc<SocketCounting>>,
}

/// How a server stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// Connections that did not finish in time and were cut.
    pub cut: usize,
    /// What was counted to the end.
    pub statistics: Box<Statistics>,
}

impl<R: Runtime, B: Backend + 'static> ServerHandle<R, B> {
    pub(crate) fn new(
        runtime: R,
        backend: Arc<B>,
        hub: Arc<Hub<R, B>>,
        relays: Arc<Relays<R>>,
        (admission, budget): (Arc<Admission>, Arc<Budget>),
        tasks: Arc<Tasks>,
        (counting, sockets): (Arc<Counting>, Vec<(SocketAddr, Arc<SocketCounting>)>),
    ) -> Self {
        let (addresses, sockets) = sockets.into_iter().unzip();
        Self { runtime, backend, hub, relays, admission, budget, tasks, counting, addresses, sockets }
    }

    /// The addresses that it listens on, in the order in which they were given.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The store, for what an operator does with it while the server runs.
    #[must_use]
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Connections now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.admission.connections()
    }

    /// How many relays it is connected or connecting to now.
    #[must_use]
    pub fn relays(&self) -> usize {
        self.relays.count()
    }

    /// Commands that relays have now, and clients that wait for sessions with relays.
    #[must_use]
    pub fn forwards(&self) -> usize {
        self.relays.in_flight()
    }

    /// How many queues are subscribed to now.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.hub.with_broker(|broker| broker.subscriptions())
    }

    /// The record of a queue, for an operator.
    ///
    /// # Errors
    /// When the store could not answer.
    pub async fn queue(&self, key: QueueKey) -> Result<Option<QueueRecord>, StoreFailure> {
        self.backend.look_up(vec![key]).await?.pop().unwrap_or(Err(StoreFailure))
    }

    /// Does to a queue what an operator wants; false if there is none. Who is subscribed to it is told.
    ///
    /// # Errors
    /// When the store could not do it.
    pub async fn moderate(&self, moderation: Moderation) -> Result<bool, StoreFailure> {
        self.hub.moderate(moderation).await
    }

    /// Bytes of input and output of all connections that wait now, which `Limits::queued_bytes` bounds.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.budget.held()
    }

    /// What happened to connections since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counting.read()
    }

    /// The connections of each of [`addresses`](Self::addresses) since the start.
    #[must_use]
    pub fn sockets(&self) -> Vec<(SocketAddr, SocketCounters)> {
        let counters = self.sockets.iter().map(|socket| socket.read());
        self.addresses.iter().copied().zip(counters).collect()
    }

    /// What was counted since the time that it tells, which may be before the start ([`Server::statistics`]).
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let counted = self.counting.take();
        self.hub.with_broker(|broker| {
            let statistics = broker.statistics_mut();
            statistics.counts.add_all(&counted);
            statistics.clone()
        })
    }

    /// The day that ended since this was asked last, if one did: see [`Statistics::end_day`].
    #[must_use]
    pub fn end_day(&self, counts_daily: bool) -> Option<Day> {
        let (counted, now) = (self.counting.take(), self.runtime.now().unix);
        self.hub.with_broker(|broker| {
            let statistics = broker.statistics_mut();
            statistics.counts.add_all(&counted);
            statistics.end_day(now, counts_daily)
        })
    }

    /// Goes on with a survey of who is subscribed now, for at most `steps` subscriptions or connections; true while there
    /// is more to do. The server does nothing else meanwhile, so a thousand steps are many.
    pub fn survey(&self, survey: &mut Survey, steps: usize) -> bool {
        self.hub.with_broker(|broker| broker.survey(survey, steps))
    }

    /// Completes when the server ended because of a defect; never if it does not. A program should then end
    /// too.
    pub async fn failed(&self) {
        poll_fn(|cx| match self.hub.signal.watch(cx) {
            Phase::Ended => Poll::Ready(()),
            Phase::Running | Phase::Stopping => Poll::Pending,
        })
        .await;
    }

    /// Stops: accepts no more connections and commands, answers those that run within `grace`, cuts the
    /// connections that are left, and closes the store. When it returns all that was answered is durable.
    ///
    /// # Errors
    /// When the store could not make everything durable.
    pub async fn stop(self, grace: Duration) -> Result<Stopped, StoreFailure> {
        self.hub.advance(Phase::Stopping);
        self.wait_for_tasks(grace).await;
        let cut = self.admission.connections();
        self.hub.advance(Phase::Ended);
        self.wait_for_tasks(CUT).await;
        self.backend.close().await?;
        Ok(Stopped { cut, statistics: Box::new(self.statistics()) })
    }

    /// Waits until all listeners and connections ended, or `limit` is over.
    async fn wait_for_tasks(&self, limit: Duration) {
        let deadline = self.runtime.now().mono + limit;
        let mut timer = Timer::new(self.runtime.clone());
        poll_fn(|cx| match self.tasks.poll_idle(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => timer.poll(cx, Some(deadline)),
        })
        .await;
    }
}

impl<R: Runtime, B: Backend + 'static> Drop for ServerHandle<R, B> {
    fn drop(&mut self) {
        self.hub.advance(Phase::Ended);
    }
}

/// How long connections that were cut may take to notice. They do at once, unless a thread is stuck.
const CUT: Duration = Duration::from_secs(5);
