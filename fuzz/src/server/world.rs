//! The machines of a server, joined without sockets, tasks or waiting. TLS is left out, so that inputs get deep.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use smp_core::server::proxy::{Proxy, ProxyInput, ProxyOutput};
use smp_core::server::store::{MemoryStore, StoreFailure};
use smp_core::server::{
    Broker, BrokerInput, BrokerOutput, ConnectionId, Moderation, ModerationId, ServerConfig, Session,
    SessionEvent, SessionInput, SessionOutput,
};
use smp_core::transport::block::BLOCK_LEN;
use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use smp_core::transport::{PlainPeer, ServerOptions, ServerTransportConfig, Transport};
use smp_core::wire::Version;
use smp_core::wire::error::ErrorType;
use smp_core::{Now, SeededEntropy, Timestamp};

use crate::certificates::NOW;

/// A server of small limits, its store and its connections.
pub(crate) struct World {
    config: Arc<ServerConfig>,
    broker: Broker,
    proxy: Proxy,
    store: MemoryStore,
    /// Whether the store refuses everything.
    pub(crate) store_fails: bool,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Blocks that sessions sent after their handshake, in their order.
    pub(crate) sent: Vec<(ConnectionId, Vec<u8>)>,
    /// What the operator asked for last was done.
    moderated: bool,
    pub(crate) entropy: SeededEntropy,
    now: Now,
    last_connection: u64,
}

struct Connection {
    session: Session,
    is_ready: bool,
    /// Bytes that the socket has not taken.
    waiting: usize,
    is_slow: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Now { mono: Timestamp::ZERO, unix: NOW };
        let mut config = ServerConfig::default();
        config.message_quota = 4;
        config.limits.commands_in_flight = 32;
        config.limits.deliveries_in_flight = 2;
        config.limits.output_bytes = 4 * BLOCK_LEN;
        config.limits.subscriptions = 6;
        config.limits.get_queues = 4;
        config.limits.expiry_queues = 2;
        let config = Arc::new(config);
        Self {
            broker: Broker::new(config.clone(), now),
            proxy: Proxy::new(config.clone(), Version::MAX, now),
            config,
            store: MemoryStore::new(),
            store_fails: false,
            connections: BTreeMap::new(),
            sent: Vec::new(),
            moderated: false,
            entropy: SeededEntropy::new([1; 32]),
            now,
            last_connection: 0,
        }
    }

    /// A connection of which nothing was heard, of a client with these certificates.
    pub(crate) fn accept(&mut self, session_id: [u8; 32], certificates: Vec<Bytes>) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let peer = PlainPeer { session_id, has_alpn: true, certificates, ..PlainPeer::default() };
        let transport = Transport::plain_server(TRANSPORT.clone(), peer, self.entropy.fork_seed(), self.now);
        let session = Session::new(self.config.clone(), transport, self.entropy.fork_seed(), self.now);
        self.connections.insert(id, Connection { session, is_ready: false, waiting: 0, is_slow: false });
        // The server speaks first.
        self.input(id, SessionInput::Timeout);
        id
    }

    /// Bytes from a socket, as far as the session wants any.
    pub(crate) fn receive(&mut self, id: ConnectionId, bytes: &[u8]) -> bool {
        let wanted = self.connections.get(&id).is_some_and(|connection| connection.session.wants_input());
        if wanted {
            self.input(id, SessionInput::Received(bytes));
        }
        wanted
    }

    /// Gives a session an input and carries out all that follows.
    pub(crate) fn input(&mut self, id: ConnectionId, input: SessionInput<'_>) {
        self.session_input(id, input);
        while let Some(id) = self.to_write() {
            let connection = self.connections.get_mut(&id).expect("it was just found");
            let count = std::mem::take(&mut connection.waiting);
            self.session_input(id, SessionInput::Sent(count));
        }
    }

    pub(crate) fn set_slow(&mut self, id: ConnectionId, is_slow: bool) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_slow = is_slow;
        }
        self.input(id, SessionInput::Sent(0));
    }

    pub(crate) fn is_open(&self, id: ConnectionId) -> bool {
        self.connections.contains_key(&id)
    }

    /// The first block that a connection was sent when it was ready: to a service, who it is.
    pub(crate) fn take_greeting(&mut self, id: ConnectionId) -> Option<Vec<u8>> {
        let first = self.sent.iter().position(|(to, _)| *to == id)?;
        Some(self.sent.remove(first).1)
    }

    /// The operator does something to a queue; false if it was not done.
    pub(crate) fn moderate(&mut self, moderation: Moderation) -> bool {
        self.moderated = false;
        self.broker_input(BrokerInput::Moderate(ModerationId(0), moderation));
        // What the sessions have to say of it is written.
        let ids: Vec<_> = self.connections.keys().copied().collect();
        ids.into_iter().for_each(|id| self.input(id, SessionInput::Sent(0)));
        self.moderated
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.broker.subscriptions()
    }

    /// Lets time pass, with all timers on the way, each of which must move or disappear.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let sessions = self.connections.iter();
            let sessions = sessions.filter_map(|(id, c)| Some((c.session.poll_timeout()?, Some(*id))));
            let broker = self.broker.poll_timeout().map(|due| (due, None));
            let Some((due, id)) = sessions.chain(broker).min().filter(|(due, _)| *due <= end) else { break };
            self.now = self.now.advanced_to(due);
            let next = match id {
                Some(id) => {
                    self.input(id, SessionInput::Timeout);
                    self.connections.get(&id).and_then(|connection| connection.session.poll_timeout())
                }
                None => {
                    self.broker_input(BrokerInput::Timeout);
                    self.broker.poll_timeout()
                }
            };
            assert!(next.is_none_or(|next| next > self.now.mono), "a timer fired and did not move");
        }
        self.now = self.now.advanced_to(end);
    }

    /// A connection whose socket takes what waits for it.
    fn to_write(&self) -> Option<ConnectionId> {
        let mut ready = self.connections.iter().filter(|(_, c)| !c.is_slow && c.waiting > 0);
        ready.next().map(|(id, _)| *id)
    }

    fn session_input(&mut self, id: ConnectionId, input: SessionInput<'_>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.session.handle(self.now, input);
        while let Some(output) = self.session_output(id) {
            match output {
                SessionOutput::Send(bytes) => self.send(id, bytes),
                SessionOutput::LookUp(look_up, keys) => {
                    let records = keys.iter().map(|key| Ok(self.store.look_up(key))).collect();
                    let records = if self.store_fails { Err(StoreFailure) } else { Ok(records) };
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.session.handle(self.now, SessionInput::LookedUp(look_up, records));
                    }
                }
                // The inputs of the fuzzer resolve nothing: the configuration says that there is no resolver.
                SessionOutput::Resolve(..) => unreachable!("names are not resolved"),
                SessionOutput::ToBroker(request) => self.broker_input(BrokerInput::Request(id, request)),
                SessionOutput::ToProxy(request) => self.proxy_input(ProxyInput::Request(id, request)),
                SessionOutput::Close(_) => {
                    let closed = self.connections.remove(&id);
                    assert!(closed.is_none_or(|mut c| c.session.poll_output().is_none()), "it said more");
                    self.broker_input(BrokerInput::Disconnected(id));
                }
                SessionOutput::Event(SessionEvent::Ready(_)) => {
                    self.connections.entry(id).and_modify(|connection| connection.is_ready = true);
                }
                SessionOutput::Event(_) => {}
            }
        }
    }

    /// No relay can be reached from here.
    fn proxy_input(&mut self, input: ProxyInput) {
        self.proxy.handle(self.now, input);
        while let Some(output) = self.proxy.poll_output() {
            match output {
                ProxyOutput::Connect(id, _) => {
                    self.proxy_input(ProxyInput::ConnectFailed(id, ErrorType::Internal))
                }
                ProxyOutput::Reply(id, reply) => self.session_input(id, SessionInput::FromProxy(reply)),
                ProxyOutput::Forward(..) => panic!("there is no relay"),
                ProxyOutput::Disconnect(_) | ProxyOutput::Event(_) => {}
            }
        }
    }

    fn session_output(&mut self, id: ConnectionId) -> Option<SessionOutput> {
        let session = &mut self.connections.get_mut(&id)?.session;
        let due = session.poll_timeout();
        let output = session.poll_output();
        assert!(output.is_none() || due.is_some_and(|due| due <= self.now.mono), "output would wait");
        output
    }

    fn send(&mut self, id: ConnectionId, bytes: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.waiting += bytes.len();
        assert!(connection.waiting <= WAITING_MAX, "{} bytes wait for a slow reader", connection.waiting);
        if connection.is_ready {
            self.sent.push((id, bytes));
        }
    }

    fn broker_input(&mut self, input: BrokerInput) {
        self.broker.handle(self.now, input);
        loop {
            let due = self.broker.poll_timeout();
            let Some(output) = self.broker.poll_output() else { break };
            assert!(due.is_some_and(|due| due <= self.now.mono), "output of the broker would wait");
            match output {
                BrokerOutput::Store(batch) => {
                    let reply =
                        if self.store_fails { Err(StoreFailure) } else { Ok(self.store.run(batch.ops)) };
                    self.broker_input(BrokerInput::StoreDone(batch.id, reply));
                }
                BrokerOutput::Reply(id, reply) => self.session_input(id, SessionInput::FromBroker(reply)),
                BrokerOutput::Moderated(_, done) => self.moderated = done == Ok(true),
            }
        }
    }
}

/// What may wait for one reader: the limit of the configuration, and a block for each command that may be in flight above
/// it. Far more than is ever needed, and yet a bound.
const WAITING_MAX: usize = (4 + 32 + 255) * BLOCK_LEN;

/// Made once: a handshake signs, but need not make certificates.
pub(crate) static TRANSPORT: LazyLock<ServerTransportConfig> = LazyLock::new(|| {
    ServerTransportConfig::new(IDENTITY.clone(), ServerOptions::default()).expect("a usable identity")
});

/// The SHA-256 of the server's identity certificate.
pub(crate) static KEY_HASH: LazyLock<[u8; 32]> = LazyLock::new(|| *IDENTITY.fingerprint());

/// Who the server is.
pub(crate) static IDENTITY: LazyLock<ServerIdentity> = LazyLock::new(identity);

/// The same certificates each time.
fn identity() -> ServerIdentity {
    let mut entropy = SeededEntropy::new([7; 32]);
    let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, NOW).expect("an authority");
    let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
    let issued = authority.issue(subject, &mut entropy, NOW).expect("a certificate");
    let chain = vec![issued.certificate, authority.certificate().clone()];
    ServerIdentity::new(chain, issued.key, NOW).expect("an identity")
}
