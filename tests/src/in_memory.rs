//! A server and its peers in memory: the real machines, joined without sockets, tasks or time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smp_core::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey, Nonce, X25519PrivateKey};
use smp_core::server::proxy::{Proxy, ProxyInput, ProxyOutput};
use smp_core::server::store::{Found, MemoryStore, QueueKey, StoreFailure};
use smp_core::server::{
    Broker, BrokerInput, BrokerOutput, CloseReason, ConnectionId, LookUpId, ServerConfig, Session,
    SessionInput, SessionOutput,
};
use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use smp_core::transport::{
    ClientOptions, ClientTransportConfig, Parameters, ServerOptions, ServerTransportConfig, Transport,
    TransportEvent, TransportFault,
};
use smp_core::wire::command::{NewQueue, QueueRequestData, SubscriptionMode};
use smp_core::wire::transmission::authorized_bytes;
use smp_core::wire::{
    Authorization, BatchWriter, BrokerMessage, ClientTransmission, Command, CorrelationId, EntityId,
    ServerTransmission, decode_batch,
};
use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};

/// A server whose connections are in the same memory.
pub struct InMemoryServer {
    config: Arc<ServerConfig>,
    transport: ServerTransportConfig,
    /// The broker, to look at.
    pub broker: Broker,
    /// The proxy, to look at.
    pub proxy: Proxy,
    /// What the proxy wants of relays, which the test plays.
    pub to_relays: Vec<ProxyOutput>,
    store: MemoryStore,
    /// A queue whose record cannot be read, by this id.
    pub damaged: Option<EntityId>,
    sessions: BTreeMap<ConnectionId, Session>,
    /// Look-ups that wait, while the store is slow.
    slow: Option<Vec<(ConnectionId, LookUpId, Vec<QueueKey>)>>,
    /// Bytes for the peers, and the reason when the server closed the connection.
    outputs: BTreeMap<ConnectionId, (Vec<Vec<u8>>, Option<CloseReason>)>,
    entropy: SeededEntropy,
    /// The time that machines are given.
    pub now: Now,
    last_connection: u64,
    key_hash: [u8; 32],
}

impl InMemoryServer {
    /// A server that offers all versions.
    ///
    /// # Panics
    /// When a certificate cannot be made.
    #[must_use]
    pub fn new(config: ServerConfig, options: ServerOptions) -> Self {
        let now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };
        let mut entropy = SeededEntropy::new([1; 32]);
        let identity = identity(&mut entropy, now.unix);
        let key_hash = *identity.fingerprint();
        let config = Arc::new(config);
        Self {
            broker: Broker::new(config.clone(), now),
            proxy: Proxy::new(config.clone(), options.versions.max(), now),
            to_relays: Vec::new(),
            transport: ServerTransportConfig::new(identity, options).expect("a usable identity"),
            config,
            store: MemoryStore::new(),
            damaged: None,
            sessions: BTreeMap::new(),
            slow: None,
            outputs: BTreeMap::new(),
            entropy,
            now,
            last_connection: 0,
            key_hash,
        }
    }

    /// A peer with a connection, its handshake done.
    pub fn connect(&mut self, options: ClientOptions) -> InMemoryPeer {
        let id = self.accept();
        let config = ClientTransportConfig::new(self.key_hash, options).expect("a usable configuration");
        let transport = Transport::client(config, self.entropy.fork_seed(), self.now);
        let mut peer = InMemoryPeer::new(id, transport, self.entropy.fork_seed());
        peer.exchange(self);
        assert!(peer.parameters.is_some(), "the handshake failed: {:?}", self.closed(id));
        peer
    }

    /// How the handshake of a client fails, if it does.
    ///
    /// # Panics
    /// When the options are of no use.
    pub fn handshake_fault(&mut self, options: ClientOptions) -> Option<TransportFault> {
        let id = self.accept();
        let config = ClientTransportConfig::new(self.key_hash, options).expect("a usable configuration");
        let mut transport = Transport::client(config, self.entropy.fork_seed(), self.now);
        loop {
            let mut moved = false;
            while let Some(bytes) = transport.poll_transmit() {
                self.input(id, SessionInput::Received(&bytes));
                moved = true;
            }
            for bytes in self.take_output(id) {
                if let Err(fault) = transport.receive(self.now, &bytes) {
                    return Some(fault);
                }
                moved = true;
            }
            if !moved {
                return None;
            }
        }
    }

    /// A connection without a peer yet.
    pub fn accept(&mut self) -> ConnectionId {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let transport = Transport::server(self.transport.clone(), self.entropy.fork_seed(), self.now);
        let session = Session::new(self.config.clone(), transport, self.entropy.fork_seed(), self.now);
        self.sessions.insert(id, session);
        id
    }

    /// Gives a session an input, and carries out all that follows.
    pub fn input(&mut self, id: ConnectionId, input: SessionInput<'_>) {
        self.input_once(id, input);
        // What had to wait for the processor, which nobody else wants here.
        while self.sessions.get(&id).is_some_and(Session::has_work) {
            self.work_once(id);
        }
    }

    /// Gives a session an input, and leaves what then waits for the processor.
    pub fn input_once(&mut self, id: ConnectionId, input: SessionInput<'_>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.handle(self.now, input);
        self.drain(id);
    }

    /// Lets a session do the next part of what waits for the processor.
    pub fn work_once(&mut self, id: ConnectionId) {
        let due = self.sessions.get(&id).and_then(Session::poll_timeout);
        self.now = self.now.advanced_to(due.unwrap_or(self.now.mono));
        self.input_once(id, SessionInput::Timeout);
    }

    /// What the server sent to a connection since the last time.
    pub fn take_output(&mut self, id: ConnectionId) -> Vec<Vec<u8>> {
        self.outputs.get_mut(&id).map(|(bytes, _)| std::mem::take(bytes)).unwrap_or_default()
    }

    /// Makes look-ups wait, or answers those that wait.
    pub fn set_slow(&mut self, is_slow: bool) {
        let waiting = std::mem::replace(&mut self.slow, is_slow.then(Vec::new));
        for (id, look_up, keys) in waiting.unwrap_or_default() {
            let records = keys.iter().map(|key| self.find(key)).collect();
            self.input(id, SessionInput::LookedUp(look_up, Ok(records)));
        }
    }

    /// Forgets what is known of a connection that ended.
    pub fn forget(&mut self, id: ConnectionId) {
        if !self.sessions.contains_key(&id) {
            self.outputs.remove(&id);
        }
    }

    /// The session of a connection, to look at.
    #[must_use]
    pub fn session(&self, id: ConnectionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// What a client has to expect as the fingerprint of the server.
    #[must_use]
    pub const fn key_hash(&self) -> [u8; 32] {
        self.key_hash
    }

    /// Why the server closed a connection, if it did.
    #[must_use]
    pub fn closed(&self, id: ConnectionId) -> Option<CloseReason> {
        self.outputs.get(&id).and_then(|(_, reason)| *reason)
    }

    /// Lets time pass, with all timers on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let sessions =
                self.sessions.iter().filter_map(|(id, session)| Some((session.poll_timeout()?, Some(*id))));
            let broker = self.broker.poll_timeout().map(|due| (due, None));
            let Some((due, id)) = sessions.chain(broker).min().filter(|(due, _)| *due <= end) else { break };
            self.now = self.now.advanced_to(due);
            match id {
                Some(id) => self.input(id, SessionInput::Timeout),
                None => self.broker_input(BrokerInput::Timeout),
            }
        }
        self.now = self.now.advanced_to(end);
    }

    /// Whether the server reads from a connection.
    #[must_use]
    pub fn wants_input(&self, id: ConnectionId) -> bool {
        self.sessions.get(&id).is_some_and(Session::wants_input)
    }

    fn drain(&mut self, id: ConnectionId) {
        while let Some(output) = self.sessions.get_mut(&id).and_then(Session::poll_output) {
            match output {
                SessionOutput::Send(bytes) => self.outputs.entry(id).or_default().0.push(bytes),
                SessionOutput::LookUp(look_up, keys) if self.slow.is_some() => {
                    self.slow.get_or_insert_default().push((id, look_up, keys));
                }
                SessionOutput::LookUp(look_up, keys) => {
                    let records = keys.iter().map(|key| self.find(key)).collect();
                    if let Some(session) = self.sessions.get_mut(&id) {
                        session.handle(self.now, SessionInput::LookedUp(look_up, Ok(records)));
                    }
                }
                SessionOutput::Resolve(..) => unreachable!("names are not resolved"),
                SessionOutput::ToBroker(request) => self.broker_input(BrokerInput::Request(id, request)),
                SessionOutput::ToProxy(request) => self.proxy_input(ProxyInput::Request(id, request)),
                SessionOutput::Close(reason) => {
                    self.outputs.entry(id).or_default().1 = Some(reason);
                    let session = self.sessions.remove(&id);
                    let rest = session.and_then(|mut session| session.poll_output());
                    assert!(rest.is_none(), "nothing follows the end of a session");
                    self.broker_input(BrokerInput::Disconnected(id));
                }
                SessionOutput::Event(_) => {}
            }
        }
    }

    /// Gives the proxy an input. Its replies go to their sessions, what it wants of relays to `to_relays`.
    pub fn proxy_input(&mut self, input: ProxyInput) {
        self.proxy.handle(self.now, input);
        while let Some(output) = self.proxy.poll_output() {
            match output {
                ProxyOutput::Reply(id, reply) => self.input(id, SessionInput::FromProxy(reply)),
                ProxyOutput::Event(_) => {}
                other => self.to_relays.push(other),
            }
        }
    }

    fn find(&self, key: &QueueKey) -> Found {
        let (QueueKey::Recipient(id) | QueueKey::Sender(id) | QueueKey::Link(id) | QueueKey::Notifier(id)) =
            key;
        match &self.damaged {
            Some(damaged) if damaged == id => Err(StoreFailure),
            _ => Ok(self.store.look_up(key)),
        }
    }

    fn broker_input(&mut self, input: BrokerInput) {
        self.broker.handle(self.now, input);
        while let Some(output) = self.broker.poll_output() {
            match output {
                BrokerOutput::Store(batch) => {
                    let results = self.store.run(batch.ops);
                    self.broker_input(BrokerInput::StoreDone(batch.id, Ok(results)));
                }
                BrokerOutput::Moderated(..) => {}
                BrokerOutput::Reply(id, reply) => self.input(id, SessionInput::FromBroker(reply)),
            }
        }
    }
}

/// A server's certificates, Ed25519 throughout.
///
/// # Panics
/// When they cannot be made.
#[must_use]
pub fn identity(entropy: &mut SeededEntropy, now: UnixTime) -> ServerIdentity {
    let authority = Authority::generate(Algorithm::Ed25519, entropy, now).expect("an authority");
    let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
    let issued = authority.issue(subject, entropy, now).expect("a certificate");
    let chain = vec![issued.certificate, authority.certificate().clone()];
    ServerIdentity::new(chain, issued.key, now).expect("an identity")
}

/// The client's side of a connection: a transport, and keys of queues.
pub struct InMemoryPeer {
    /// The connection that the server knows.
    pub id: ConnectionId,
    transport: Transport,
    entropy: SeededEntropy,
    /// What the handshake agreed on.
    pub parameters: Option<Parameters>,
    received: Vec<ServerTransmission>,
}

/// A queue, with all keys.
pub struct TestQueue {
    /// The id of its recipient.
    pub recipient_id: EntityId,
    /// The id of its senders.
    pub sender_id: EntityId,
    /// Authorises its recipient.
    pub recipient_key: AuthPrivateKey,
    /// Opens its messages.
    pub secret: DhSecret,
}

impl InMemoryPeer {
    fn new(id: ConnectionId, transport: Transport, seed: [u8; 32]) -> Self {
        Self { id, transport, entropy: SeededEntropy::new(seed), parameters: None, received: Vec::new() }
    }

    /// Moves bytes both ways until there are none.
    pub fn exchange(&mut self, server: &mut InMemoryServer) {
        loop {
            let mut moved = false;
            while let Some(bytes) = self.transport.poll_transmit() {
                server.input(self.id, SessionInput::Received(&bytes));
                moved = true;
            }
            for bytes in server.take_output(self.id) {
                self.take_bytes(server.now, &bytes);
                server.input(self.id, SessionInput::Sent(bytes.len()));
                moved = true;
            }
            if !moved {
                break;
            }
        }
    }

    /// Bytes from the server.
    ///
    /// # Panics
    /// When they are not what a server sends.
    pub fn take_bytes(&mut self, now: Now, bytes: &[u8]) {
        self.transport.receive(now, bytes).expect("bytes of a server");
        while let Some(event) = self.transport.poll_event() {
            match event {
                TransportEvent::Ready(parameters) => self.parameters = Some(*parameters),
                TransportEvent::Block(content) => {
                    let parameters = self.parameters.as_ref().expect("a handshake");
                    for item in decode_batch(&content).expect("a batch") {
                        let item =
                            ServerTransmission::decode(parameters.version, &parameters.session_id, &item);
                        self.received.push(item.expect("a transmission"));
                    }
                }
                TransportEvent::Closed => {}
                _ => panic!("an event that no server causes"),
            }
        }
    }

    /// Queues one transmission for a block of its own, and gives its bytes.
    ///
    /// # Panics
    /// When the command does not fit.
    pub fn block(
        &mut self,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &Command,
    ) -> Vec<Vec<u8>> {
        let item = self.transmission(key, entity, command);
        self.blocks(&[item])
    }

    /// The bytes of as few blocks as hold the transmissions.
    ///
    /// # Panics
    /// When one does not fit.
    pub fn blocks(&mut self, items: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut writer = BatchWriter::new(self.transport.content_max());
        let mut contents: Vec<_> =
            items.iter().filter_map(|item| writer.push(item).expect("it fits")).collect();
        contents.extend(writer.finish());
        contents.iter().for_each(|content| self.transport.send_block(content));
        std::iter::from_fn(|| self.transport.poll_transmit()).collect()
    }

    /// Ends the connection: the bytes that tell the server so.
    pub fn end(&mut self) -> Vec<u8> {
        self.transport.close();
        std::iter::from_fn(|| self.transport.poll_transmit()).flatten().collect()
    }

    /// An authorised transmission.
    ///
    /// # Panics
    /// Before the handshake.
    pub fn transmission(
        &mut self,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &Command,
    ) -> Vec<u8> {
        let correlation_id = self.entropy.bytes::<24>();
        self.transmission_with(&correlation_id, key, entity, command)
    }

    /// An authorised transmission with this correlation id.
    ///
    /// # Panics
    /// Before the handshake.
    pub fn transmission_with(
        &mut self,
        correlation_id: &[u8],
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &Command,
    ) -> Vec<u8> {
        let parameters = self.parameters.as_ref().expect("a handshake");
        let correlation_id = CorrelationId::new(correlation_id).expect("at most 255 bytes");
        let mut bytes = Vec::new();
        command.encode(parameters.version, &mut bytes);
        let authorized = authorized_bytes(&parameters.session_id, &correlation_id, entity, &bytes);
        let nonce = Nonce::from_slice(correlation_id.as_bytes());
        let server_key = parameters.peer_key.as_ref();
        let authorization = key
            .map_or(Vec::new(), |key| key.authorize(server_key, &nonce, &authorized).expect("a signature"));
        let transmission = ClientTransmission {
            authorization: Authorization::from_bytes(&authorization).expect("an authorization"),
            service_signature: None,
            correlation_id,
            entity_id: entity.clone(),
            command: bytes.into(),
        };
        let mut out = Vec::new();
        transmission.encode(parameters.version, &parameters.session_id, &mut out);
        out
    }

    /// Sends a command and takes what came back.
    pub fn ask(
        &mut self,
        server: &mut InMemoryServer,
        key: Option<&AuthPrivateKey>,
        entity: &EntityId,
        command: &Command,
    ) -> Vec<(EntityId, BrokerMessage)> {
        for bytes in self.block(key, entity, command) {
            server.input(self.id, SessionInput::Received(&bytes));
        }
        self.exchange(server);
        self.take()
    }

    /// The messages that came.
    ///
    /// # Panics
    /// For one that cannot be read.
    pub fn take(&mut self) -> Vec<(EntityId, BrokerMessage)> {
        let version = self.parameters.as_ref().expect("a handshake").version;
        let received = std::mem::take(&mut self.received).into_iter();
        received
            .map(|item| (item.entity_id, BrokerMessage::decode(version, &item.message).expect("a message")))
            .collect()
    }

    /// Creates a queue.
    ///
    /// # Panics
    /// When the server does not.
    pub fn create(&mut self, server: &mut InMemoryServer, subscribe: SubscriptionMode) -> TestQueue {
        self.create_as(server, subscribe, QueueRequestData::Messaging(None))
    }

    /// Creates a queue of either mode.
    ///
    /// # Panics
    /// When the server does not.
    pub fn create_as(
        &mut self,
        server: &mut InMemoryServer,
        subscribe: SubscriptionMode,
        data: QueueRequestData,
    ) -> TestQueue {
        let recipient_key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut self.entropy));
        let dh_key = X25519PrivateKey::generate(&mut self.entropy);
        let new = NewQueue {
            recipient_key: recipient_key.public(),
            dh_key: dh_key.public(),
            password: None,
            subscribe,
            queue_data: Some(data),
            notifier: None,
        };
        let answers =
            self.ask(server, Some(&recipient_key), &EntityId::empty(), &Command::New(Box::new(new)));
        let [(_, BrokerMessage::Ids(ids))] = &answers[..] else { panic!("not created: {answers:?}") };
        TestQueue {
            recipient_id: ids.recipient_id.clone(),
            sender_id: ids.sender_id.clone(),
            recipient_key,
            secret: dh_key.diffie_hellman(&ids.dh_key).expect("a key of a server"),
        }
    }

    /// A key that authorises.
    pub fn new_key(&mut self) -> AuthPrivateKey {
        AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut self.entropy))
    }
}

/// SEND of a body.
#[must_use]
pub fn send(body: &[u8]) -> Command {
    Command::Send {
        flags: smp_core::wire::command::MessageFlags { notification: false },
        body: Bytes::copy_from_slice(body),
    }
}
