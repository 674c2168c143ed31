//! Accepting connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use smp_core::SeededEntropy;
use smp_core::server::{ConnectionId, ServerConfig};
use smp_core::transport::ServerTransportConfig;
use smp_storage::Backend;

use super::admission::Admission;
use super::budget::Budget;
use super::counters::SocketCounting;
use super::endpoint::Endpoint;
use super::event::{Disconnect, Refusal, ServerEvent, Watcher};
use super::front::Newcomer;
use super::hub::Hub;
use super::phase::Phase;
use super::relays::Relays;
use super::resolve::Resolver;
use super::served::Served;
use super::tasks::{TaskGuard, Tasks};
use crate::link::Link;
use crate::panic;
use crate::seed::Seeds;
use crate::timer::Timer;
use crate::{Listener, Runtime};

/// What a new connection needs.
pub(crate) struct Acceptor<R: Runtime, B> {
    pub(crate) runtime: R,
    pub(crate) backend: Arc<B>,
    pub(crate) hub: Arc<Hub<R, B>>,
    pub(crate) relays: Arc<Relays<R>>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) transport: ServerTransportConfig,
    pub(crate) resolver: Resolver,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) watcher: Watcher,
    pub(crate) seeds: Seeds,
    pub(crate) next_id: AtomicU64,
}

impl<R: Runtime, B: Backend + 'static> Acceptor<R, B> {
    /// The task of a listener. Only the end of the server ends it: an error is waited out.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut listener: R::Listener,
        endpoint: Arc<Endpoint>,
        counting: Arc<SocketCounting>,
        _guard: TaskGuard,
    ) {
        let limits = self.config.limits;
        let mut pause = limits.accept_pause_min;
        let mut accepted_in_turn = 0;
        while let Some(accepted) = self.accept(&mut listener, &mut accepted_in_turn).await {
            match accepted {
                Ok((stream, address)) => {
                    pause = limits.accept_pause_min;
                    self.welcome(stream, address, &endpoint, &counting);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    log::warn!("accepting a connection failed: {}", error.kind());
                    (self.watcher)(ServerEvent::AcceptFailed(error.kind()));
                    self.pause(pause).await;
                    pause = (pause * 2).min(limits.accept_pause_max);
                }
            }
        }
    }

    /// The next connection; `None` when the server stops. A flood of them leaves other tasks their turn.
    async fn accept(
        &self,
        listener: &mut R::Listener,
        in_turn: &mut usize,
    ) -> Option<io::Result<(R::Stream, SocketAddr)>> {
        poll_fn(|cx| {
            if self.hub.signal.watch(cx) != Phase::Running {
                return Poll::Ready(None);
            }
            if *in_turn >= self.config.limits.accepts_in_turn {
                *in_turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let accepted = listener.poll_accept(cx);
            *in_turn = if accepted.is_ready() { *in_turn + 1 } else { 0 };
            accepted.map(Some)
        })
        .await
    }

    async fn pause(&self, pause: Duration) {
        let end = self.runtime.now().mono + pause;
        let mut timer = Timer::new(self.runtime.clone());
        poll_fn(|cx| match self.hub.signal.watch(cx) {
            Phase::Running => timer.poll(cx, Some(end)),
            Phase::Stopping | Phase::Ended => Poll::Ready(()),
        })
        .await;
    }

    /// Serves a connection in a task of its own, or closes it when there is no room.
    fn welcome(
        self: &Arc<Self>,
        stream: R::Stream,
        address: SocketAddr,
        endpoint: &Arc<Endpoint>,
        counting: &Arc<SocketCounting>,
    ) {
        let accepted = self.runtime.now();
        let address = (!endpoint.behind_proxy).then_some(address.ip());
        let admitted = self
            .admission
            .admit(address, accepted.mono)
            .and_then(|permits| Ok((permits, self.seeds.next().map_err(|_| Refusal::NoEntropy)?)));
        let ((permit, handshaking), seed) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return (self.watcher)(ServerEvent::Refused(refusal)),
        };
        let id = ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed));
        (self.watcher)(ServerEvent::Accepted(id));
        let (link, place, entropy) = (Link::new(stream), self.hub.attach(id), SeededEntropy::new(seed));
        let newcomer = Newcomer { link, place, handshaking, entropy, accepted };
        let mut served = Some(Served::new(self, endpoint, newcomer));
        let watcher = Arc::clone(&self.watcher);
        let mut guards = Some((permit, counting.accept(), self.tasks.enter()));
        self.runtime.spawn(poll_fn(move |cx| {
            if let (Some(connection), Some((permit, socket, _))) = (&mut served, &mut guards) {
                let ended = ready!(panic::catch_poll(|| connection.poll(cx, permit))).unwrap_or_else(
                    |panic::Panicked| {
                        log::error!("the task of a connection panicked");
                        Disconnect::Panicked
                    },
                );
                if ended != Disconnect::Panicked {
                    socket.close();
                }
                served = None;
                watcher(ServerEvent::Closed(id, ended));
                // Last, because who waits for the last connection takes its events as told.
                drop(guards.take());
            }
            Poll::Ready(())
        }));
    }
}

/// Errors of a connection that ended before it was accepted; the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
