//! The production server in a world: its tasks on a simulated machine, whose sockets and store are the world's.
//!
//! Nothing of it goes on by itself. The world gives it bytes, answers of the store and the time; [`Shell::step`] polls one
//! task and tells what it did, in order, and the world carries that out, unless the server crashes before.

mod backend;
mod errors;
mod options;
mod world;

pub(super) use options::ShellOptions;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smp_core::server::store::{BatchReply, QueueKey, QueueOp, StoreFailure};
use smp_core::server::{ConnectionId, Moderation, ModerationId, ServerConfig};
use smp_core::transport::ServerTransportConfig;
use smp_core::wire::names::Name;
use smp_core::{Now, Timestamp};
use smp_runtime::Runtime;
use smp_runtime::server::{Server, ServerEvent, ServerHandle, Stopped};
use smp_runtime::testing::{Fault, Seen, StreamLimits, TestRuntime, TestStream};
use smp_storage::LookUpReply;

use super::dice::Dice;
use super::names;
use backend::SimBackend;
use errors::Errors;

/// Something that the server did, or that happened to it.
pub(super) enum Effect {
    Send(ConnectionId, Vec<u8>),
    /// It ended its side of a connection.
    Ended(ConnectionId),
    /// It let go of a connection.
    Closed(ConnectionId),
    Store(u64, Vec<QueueOp>),
    LookUp(u64, Vec<QueueKey>),
    Event(ServerEvent),
    /// What the operator is told.
    Moderated(ModerationId, Result<bool, StoreFailure>),
    /// It has stopped.
    Stopped(Result<Stopped, StoreFailure>),
}

/// What the server did and the world has not carried out.
#[derive(Clone, Default)]
struct Effects(Arc<Mutex<Vec<Effect>>>);

impl Effects {
    fn push(&self, effect: Effect) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(effect);
    }

    fn take(&self) -> Vec<Effect> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A server that runs, or stops. Dropping it is a crash.
pub(super) struct Shell {
    runtime: TestRuntime,
    backend: SimBackend,
    effects: Effects,
    errors: Errors,
    limits: StreamLimits,
    /// `None` once it stops.
    handle: Option<Arc<ServerHandle<TestRuntime, SimBackend>>>,
    connections: BTreeMap<ConnectionId, TestStream>,
    /// How often tasks were polled since anything came from outside.
    pub(super) polls: usize,
    /// The world is going to poll a task.
    pub(super) is_scheduled: bool,
    /// Batches that were answered with a failure which the server has not told of.
    pub(super) failed_batches: usize,
}

impl Shell {
    pub(super) fn start(
        config: ServerConfig,
        transport: ServerTransportConfig,
        seed: [u8; 32],
        now: Now,
        limits: StreamLimits,
    ) -> Self {
        let (runtime, effects) = (TestRuntime::default(), Effects::default());
        runtime.set_now(now);
        let backend = SimBackend::new(effects.clone());
        let events = effects.clone();
        let machine = runtime.clone();
        let resolver = move |name: Name| {
            let (machine, (found, time)) = (machine.clone(), names::resolve(&name));
            async move {
                machine.sleep_until(machine.now().mono + time).await;
                found
            }
        };
        let server = Server::new(runtime.clone(), backend.clone(), transport, config)
            .seed(seed)
            .resolver(resolver)
            .on_event(move |event| events.push(Effect::Event(event)));
        let errors = Errors::watch();
        let handle = runtime.block_on(async move { server.serve(&[LISTENS_ON]).await });
        Self {
            runtime,
            backend,
            effects,
            errors,
            limits,
            handle: Some(Arc::new(handle.expect("nobody else listens"))),
            connections: BTreeMap::new(),
            polls: 0,
            is_scheduled: false,
            failed_batches: 0,
        }
    }

    /// A connection comes in, unless nobody listens any more.
    pub(super) fn connect(&mut self, id: ConnectionId, from: IpAddr) -> bool {
        let Ok(stream) = self.runtime.connect_from(from, LISTENS_ON) else { return false };
        let effects = self.effects.clone();
        stream.limit(self.limits);
        stream.watch(move |seen| {
            effects.push(match seen {
                Seen::Written(bytes) => Effect::Send(id, bytes.to_vec()),
                Seen::Ended => Effect::Ended(id),
                Seen::Dropped => Effect::Closed(id),
            });
        });
        self.connections.insert(id, stream);
        self.polls = 0;
        true
    }

    /// Bytes reach the server's socket.
    pub(super) fn received(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.with(id, |stream| _ = stream.give(bytes));
    }

    /// The peer ended its side.
    pub(super) fn eof(&mut self, id: ConnectionId) {
        self.with(id, TestStream::end);
    }

    /// The connection breaks.
    pub(super) fn reset(&mut self, id: ConnectionId) {
        self.with(id, |stream| stream.break_other_side(Fault::Error(io::ErrorKind::ConnectionReset)));
    }

    /// The network took bytes out of the socket's buffer.
    pub(super) fn taken(&mut self, id: ConnectionId, count: usize) {
        self.with(id, |stream| stream.taken(count));
    }

    pub(super) fn store_done(&mut self, token: u64, reply: BatchReply) {
        self.polls = 0;
        self.failed_batches += usize::from(reply.is_err());
        self.backend.answer(token, reply);
    }

    pub(super) fn looked_up(&mut self, token: u64, reply: LookUpReply) {
        self.polls = 0;
        self.backend.answer_look_up(token, reply);
    }

    /// Whether the store takes no more batches for the time being.
    pub(super) fn fill_store(&mut self, is_full: bool) {
        self.polls = 0;
        self.backend.fill(is_full);
    }

    /// When the first timer fires.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        self.runtime.next_timer()
    }

    /// Time passes.
    pub(super) fn advance(&mut self, now: Now) {
        if self.runtime.next_timer().is_some_and(|due| due <= now.mono) {
            self.polls = 0;
        }
        self.runtime.set_now(now);
    }

    /// Whether a task can go on.
    pub(super) fn is_ready(&self) -> bool {
        self.runtime.ready() > 0
    }

    /// Polls a task, drawn from those that are ready, and tells what the server did since the last time.
    pub(super) fn step(&mut self, dice: &mut Dice) -> Vec<Effect> {
        self.polls += usize::from(self.runtime.step(|ready| dice.below(ready)));
        self.effects.take()
    }

    /// It let go of a connection, and the world knows.
    pub(super) fn closed(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// The operator does something.
    pub(super) fn moderate(&self, id: ModerationId, moderation: Moderation) {
        let Some(handle) = self.handle.clone() else { return };
        let effects = self.effects.clone();
        self.runtime.spawn(async move {
            effects.push(Effect::Moderated(id, handle.moderate(moderation).await));
        });
    }

    /// Begins to stop in order, unless the operator waits for an answer.
    pub(super) fn stop(&mut self, grace: Duration) {
        let Some(handle) = self.handle.take() else { return };
        let handle = match Arc::try_unwrap(handle) {
            Ok(handle) => handle,
            Err(handle) => return self.handle = Some(handle),
        };
        let effects = self.effects.clone();
        self.runtime.spawn(async move { effects.push(Effect::Stopped(handle.stop(grace).await)) });
        self.polls = 0;
    }

    pub(super) const fn is_stopping(&self) -> bool {
        self.handle.is_none()
    }

    /// Connections that the server has not let go of.
    pub(super) fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.keys().copied()
    }

    /// Queues that are subscribed to, unless it stops.
    pub(super) fn subscriptions(&self) -> usize {
        self.handle.as_ref().map_or(0, |handle| handle.subscriptions())
    }

    pub(super) fn tasks(&self) -> usize {
        self.runtime.tasks()
    }

    /// How often something was logged as an error.
    pub(super) fn errors(&self) -> usize {
        self.errors.count()
    }

    fn with(&mut self, id: ConnectionId, act: impl FnOnce(&TestStream)) {
        if let Some(stream) = self.connections.get(&id) {
            self.polls = 0;
            act(stream);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.handle = None;
        self.runtime.crash();
    }
}

const LISTENS_ON: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5223);
