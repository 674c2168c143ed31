//! The proxy, shared by the tasks of all connections, and the tasks of its relays.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_channel::oneshot;
use smp_core::client::{Answer, CloseReason, Rejection, Request, RequestError};
use smp_core::server::ConnectionId;
use smp_core::server::proxy::{ForwardId, Proxy, ProxyInput, ProxyOutput, ProxyRequest, RelayId};
use smp_core::transport::TransportFault;
use smp_core::wire::error::{
    BrokerErrorType, ErrorText, ErrorType, NetworkError, ProxyError, TransportError,
};
use smp_core::wire::{FwdResponse, FwdTransmission, ServerAddress};

use super::alarm::Alarm;
use super::mailbox::Mailbox;
use super::phase::Phase;
use super::{ServerEvent, Watcher};
use crate::client::{Client, ConnectError, Connected, Connector, Disconnect};
use crate::timer::Timer;
use crate::{Runtime, panic};

/// The proxy behind a lock, and what carries out its effects.
///
/// Each relay has a task that connects and waits for the end of the connection, and each forwarded command one that waits
/// for its answer, so none waits for another; the proxy bounds the number of both. Layers are put on and taken off by the
/// task of the relay's connection, outside this lock.
pub(crate) struct Relays<R: Runtime> {
    runtime: R,
    connector: Connector<R>,
    watcher: Watcher,
    state: Mutex<State>,
}

struct State {
    proxy: Proxy,
    links: BTreeMap<RelayId, RelayLink>,
    /// Where replies go, of connections that wait for some, and how many.
    waiting: HashMap<ConnectionId, (Arc<Mailbox>, usize)>,
    alarm: Alarm,
    ended: bool,
}

/// A connection to a relay. Dropping it ends the attempt to make one.
struct RelayLink {
    client: Option<Client>,
    _attempt: Option<oneshot::Sender<()>>,
}

/// What is done after the lock is released.
#[derive(Default)]
struct Later {
    wakers: Vec<Waker>,
    connect: Vec<(RelayId, ServerAddress, oneshot::Receiver<()>)>,
    forward: Vec<(RelayId, ForwardId, Client, Box<FwdTransmission>)>,
    disconnect: Vec<RelayLink>,
    events: Vec<ServerEvent>,
}

impl<R: Runtime> Relays<R> {
    pub(crate) fn new(runtime: R, connector: Connector<R>, proxy: Proxy, watcher: Watcher) -> Arc<Self> {
        let state = State {
            proxy,
            links: BTreeMap::new(),
            waiting: HashMap::new(),
            alarm: Alarm::default(),
            ended: false,
        };
        Arc::new(Self { runtime, connector, watcher, state: Mutex::new(state) })
    }

    /// Gives the proxy a request of a connection, whose reply comes to its mailbox.
    pub(crate) fn ask(self: &Arc<Self>, id: ConnectionId, mailbox: &Arc<Mailbox>, request: ProxyRequest) {
        self.change(|state, now, later| {
            state.waiting.entry(id).or_insert_with(|| (Arc::clone(mailbox), 0)).1 += 1;
            state.proxy.handle(now, ProxyInput::Request(id, request));
            state.carry_out(later);
        });
    }

    /// How many relays the server is connected or connecting to.
    pub(crate) fn count(&self) -> usize {
        self.lock().links.len()
    }

    /// Requests that relays have, or that wait for a session with one.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().proxy.in_flight()
    }

    /// The task that tells the proxy the time. When the server ends it ends all connections to relays.
    pub(crate) async fn keep_time(self: Arc<Self>, signal: impl Fn(&Context<'_>) -> Phase + Send) {
        let mut timer = Timer::new(self.runtime.clone());
        poll_fn(|cx| {
            if signal(cx) == Phase::Ended {
                return Poll::Ready(());
            }
            let deadline = {
                let mut state = self.lock();
                let deadline = state.proxy.poll_timeout();
                state.alarm.set(cx, deadline);
                deadline
            };
            std::task::ready!(timer.poll(cx, deadline));
            // Without this task no relay would ever be given up.
            if catch_unwind(AssertUnwindSafe(|| self.tell(ProxyInput::Timeout))).is_err() {
                log::error!("the proxy panicked when it was told the time");
            }
            // Once more for the next deadline, after other tasks had their turn.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        let links = {
            let mut state = self.lock();
            state.ended = true;
            state.waiting.clear();
            std::mem::take(&mut state.links)
        };
        links.into_values().for_each(|link| self.disconnect(link));
    }

    fn tell(self: &Arc<Self>, input: ProxyInput) {
        self.change(|state, now, later| {
            state.proxy.handle(now, input);
            state.carry_out(later);
        });
    }

    /// Changes the state, then does what follows from it without the lock.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut State, smp_core::Now, &mut Later)) {
        let mut later = Later::default();
        {
            let mut state = self.lock();
            if state.ended {
                return;
            }
            change(&mut state, self.runtime.now(), &mut later);
            let deadline = state.proxy.poll_timeout();
            later.wakers.extend(state.alarm.wake_if_earlier(deadline));
        }
        later.wakers.into_iter().for_each(Waker::wake);
        later.events.into_iter().for_each(|event| (self.watcher)(event));
        for (id, address, cancelled) in later.connect {
            self.spawn(id, Arc::clone(self).serve(id, address, cancelled));
        }
        for (id, forward_id, client, transmission) in later.forward {
            let pending = client.request(Request::forward(&transmission));
            let relays = Arc::clone(self);
            self.spawn(id, async move {
                let answer = forwarded(pending.await);
                relays.tell(ProxyInput::Answered(id, forward_id, answer));
            });
        }
        later.disconnect.into_iter().for_each(|link| self.disconnect(link));
    }

    /// The task of a relay: connects, and waits for the end.
    async fn serve(
        self: Arc<Self>,
        id: RelayId,
        address: ServerAddress,
        mut cancelled: oneshot::Receiver<()>,
    ) {
        let mut attempt = pin!(self.connector.connect_relay(&address));
        let attempt = poll_fn(|cx| match pin!(&mut cancelled).poll(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => attempt.as_mut().poll(cx).map(Some),
        });
        let Some(attempt) = attempt.await else { return };
        let Connected { client, mut events, session } = match attempt {
            Ok(connected) => connected,
            Err(error) => return self.failed(id, not_connected(&error)),
        };
        let Some(session) = session else { return self.failed(id, broker(network())) };
        self.change(|state, now, later| {
            match state.links.get_mut(&id) {
                Some(link) => link.client = Some(client),
                None => return later.disconnect.push(RelayLink { client: Some(client), _attempt: None }),
            }
            state.proxy.handle(now, ProxyInput::Connected(id, session));
            state.carry_out(later);
        });
        // Relays have nothing to tell a proxy but their end.
        while events.next().await.is_ok() {}
        self.lost(id);
    }

    /// A connection to a relay cannot be made.
    fn failed(self: &Arc<Self>, id: RelayId, error: ErrorType) {
        self.change(|state, now, later| {
            later.disconnect.extend(state.links.remove(&id));
            state.proxy.handle(now, ProxyInput::ConnectFailed(id, error));
            state.carry_out(later);
        });
    }

    /// A connection to a relay is over.
    fn lost(self: &Arc<Self>, id: RelayId) {
        self.change(|state, now, later| {
            later.disconnect.extend(state.links.remove(&id));
            state.proxy.handle(now, ProxyInput::Lost(id));
            state.carry_out(later);
        });
    }

    fn disconnect(&self, link: RelayLink) {
        let Some(client) = link.client else { return };
        self.runtime.spawn(async move { _ = client.close().await });
    }

    /// A task of a relay. One that panics loses the relay: who waits for it is told so.
    fn spawn(self: &Arc<Self>, id: RelayId, task: impl Future<Output = ()> + Send + 'static) {
        let relays = Arc::clone(self);
        self.runtime.spawn(async move {
            if panic::catch(task).await.is_err() {
                log::error!("the task of a relay panicked");
                relays.lost(id);
            }
        });
    }

    /// A proxy that panicked half-way would lose requests, not more; others are still served.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts the effects of the proxy in order.
    fn carry_out(&mut self, later: &mut Later) {
        while let Some(output) = self.proxy.poll_output() {
            match output {
                ProxyOutput::Connect(id, address) => {
                    let (attempt, cancelled) = oneshot::channel();
                    self.links.insert(id, RelayLink { client: None, _attempt: Some(attempt) });
                    later.connect.push((id, address, cancelled));
                }
                ProxyOutput::Forward(id, forward, transmission) => {
                    // There is one: the proxy was told of its connection in the same step.
                    if let Some(client) = self.links.get(&id).and_then(|link| link.client.clone()) {
                        later.forward.push((id, forward, client, transmission));
                    }
                }
                ProxyOutput::Disconnect(id) => later.disconnect.extend(self.links.remove(&id)),
                ProxyOutput::Reply(id, reply) => {
                    let Some((mailbox, count)) = self.waiting.get_mut(&id) else { continue };
                    later.wakers.extend(mailbox.push_proxied(reply));
                    *count -= 1;
                    if *count == 0 {
                        self.waiting.remove(&id);
                    }
                }
                ProxyOutput::Event(event) => later.events.push(ServerEvent::Proxy(event)),
            }
        }
    }
}

/// What a client is told of a relay that could not be connected to.
fn not_connected(error: &ConnectError) -> ErrorType {
    broker(match error {
        ConnectError::OnionOnly | ConnectError::NoHost | ConnectError::PrivateAddress => {
            BrokerErrorType::Host
        }
        // Another server than the one that was asked for is no better than none.
        ConnectError::Handshake(Disconnect::Closed(CloseReason::Transport(fault))) if fault.is_identity() => {
            network()
        }
        ConnectError::Handshake(Disconnect::Closed(CloseReason::Transport(TransportFault::Smp(fault)))) => {
            BrokerErrorType::Transport(*fault)
        }
        ConnectError::Io(io::ErrorKind::OutOfMemory | io::ErrorKind::QuotaExceeded)
        | ConnectError::Config(_)
        | ConnectError::NoEntropy => return ErrorType::Internal,
        _ => network(),
    })
}

/// The relay's answer, or what the client is told instead.
fn forwarded(outcome: Result<Answer, RequestError>) -> Result<FwdResponse, ErrorType> {
    let error = match outcome {
        Ok(Answer::Forwarded(response)) => return Ok(response),
        Ok(_) | Err(RequestError::Unexpected) => BrokerErrorType::Unexpected(ErrorText::new("not RRES")),
        Err(RequestError::Server(error)) => {
            return Err(ErrorType::Proxy(Box::new(ProxyError::Protocol(error))));
        }
        Err(RequestError::Sealed) => return Err(ErrorType::Crypto),
        Err(RequestError::Malformed) => BrokerErrorType::Response(ErrorText::new("malformed")),
        Err(RequestError::Rejected(Rejection::TooManyCommands | Rejection::TooManyBytes)) => {
            BrokerErrorType::Timeout
        }
        Err(RequestError::Rejected(Rejection::LargeCommand)) => {
            BrokerErrorType::Transport(TransportError::LargeMessage)
        }
        Err(RequestError::Rejected(Rejection::CannotAuthorise)) => {
            BrokerErrorType::Transport(TransportError::NoServerAuth)
        }
        Err(RequestError::Timeout) => BrokerErrorType::Timeout,
        Err(_) => network(),
    };
    Err(broker(error))
}

fn broker(error: BrokerErrorType) -> ErrorType {
    ErrorType::Proxy(Box::new(ProxyError::Broker(error)))
}

const fn network() -> BrokerErrorType {
    BrokerErrorType::Network(NetworkError::Failed)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use smp_core::server::ServerConfig;
    use smp_core::wire::Version;

    use super::*;
    use crate::testing::{TestRuntime, TestStream};
    use crate::tests::address;

    const CONNECTING: Duration = Duration::from_secs(3);

    fn relays(runtime: &TestRuntime, watcher: Watcher) -> Arc<Relays<TestRuntime>> {
        let mut config = ServerConfig::default();
        // Less than an attempt to connect may take.
        config.limits.relay_connecting = CONNECTING;
        let proxy = Proxy::new(Arc::new(config), Version::MAX, runtime.now());
        Relays::new(runtime.clone(), Connector::new(runtime.clone()), proxy, watcher)
    }

    #[test]
    fn nothing_is_left_of_relays_that_were_never_connected_to() {
        let runtime = TestRuntime::default();
        let relays = relays(&runtime, Arc::new(|_| ()));
        let mailbox = Arc::new(Mailbox::new(Phase::Running));
        for number in 0..5 {
            let relay = address(&["127.0.0.1"], [number; 32]);
            relays.ask(ConnectionId(1), &mailbox, ProxyRequest::session(number.into(), relay));
            assert_eq!(relays.lock().links.len(), 1, "it is being connected to");
            runtime.run();
            let state = relays.lock();
            assert_eq!((state.proxy.relays(), state.links.len(), state.waiting.len()), (0, 0, 0));
        }
    }

    #[test]
    fn a_panic_of_the_task_that_tells_the_time_does_not_stop_the_time() {
        let runtime = TestRuntime::default();
        // What panics here does so where the proxy would.
        let relays = relays(&runtime, Arc::new(|_| panic!("the watcher was told to")));
        runtime.spawn(Arc::clone(&relays).keep_time(|_| Phase::Running));
        let mailbox = Arc::new(Mailbox::new(Phase::Running));
        // Relays that never answer.
        let silent = Arc::new(Mutex::new(Vec::new()));
        runtime.on_connect(move |_| {
            let (ours, theirs) = TestStream::pair();
            silent.lock().unwrap().push(theirs);
            Ok(ours)
        });
        for number in 0..3 {
            let relay = address(&["127.0.0.1"], [number; 32]);
            relays.ask(ConnectionId(1), &mailbox, ProxyRequest::session(number.into(), relay));
            assert_eq!(relays.count(), 1);
            runtime.advance(CONNECTING);
            assert_eq!(relays.count(), 0);
        }
    }
}
