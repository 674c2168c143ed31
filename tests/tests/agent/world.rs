//! People with agents of their own, whose databases outlive them, and what every scenario does.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::{
    AgentLimits, AgentVersions, ConfirmationId, ConnectionDescription, ConnectionId, ContactRequest, Event,
    MessageEvent, ProxyFallback, ProxyMode, SessionMode, UserId, UserServer,
};
use smp_core::transport::ClientOptions;
use smp_core::wire::agent::{AgentError, MessageIntegrity};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::{ConnectionRequest, Host, Password, ServerAddress, Version, VersionRange};
use smp_runtime::Socks;
use smp_runtime::agent::{Agent, Events, new_connection_id};
use smp_runtime::client::Connector;
use smp_storage::agent::{SqliteAgentStore, SqliteOptions};
use smp_tests::peer::Address;
use smp_tests::runtimes::Engine;
use smp_tests::server::{Settings, Store, TestServer};
use tempfile::TempDir;

pub(crate) const USER: UserId = UserId(1);
pub(crate) const FLAGS: MessageFlags = MessageFlags { notification: true };
/// So that a test that hangs ends. On a machine that others keep busy a message may need the most of a minute.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A server whose queues outlive it.
pub(crate) fn server() -> TestServer {
    TestServer::start(Store::Embedded, &Settings::default())
}

/// A server as an agent knows it.
pub(crate) fn at(address: &Address) -> UserServer {
    user_server(address, None)
}

pub(crate) fn user_server(address: &Address, password: Option<&str>) -> UserServer {
    let host = "127.0.0.1".parse::<Host>().expect("an address");
    let port = Some(address.socket.port());
    let password = password.map(|word| Password::new(word.as_bytes()).expect("a password"));
    let address = ServerAddress::new(vec![host], port, address.fingerprint).expect("one host");
    UserServer { password, ..UserServer::new(address) }
}

/// Times that a test can wait for.
pub(crate) fn impatient() -> AgentLimits {
    let moment = Duration::from_millis(50);
    AgentLimits {
        reconnect_min: moment,
        reconnect_max: moment * 4,
        retry_min: moment,
        retry_max: moment * 4,
        full_retry: Duration::from_secs(3600),
        ..AgentLimits::default()
    }
}

/// What an agent speaks, and how it sends.
#[derive(Clone)]
pub(crate) struct Kind {
    /// With other agents.
    pub(crate) versions: AgentVersions,
    /// With servers.
    pub(crate) smp: VersionRange,
    /// Through one of its own servers.
    pub(crate) is_proxied: bool,
    /// Which connections share a session.
    pub(crate) sessions: SessionMode,
    /// How it reaches servers, if not directly.
    pub(crate) socks: Option<Socks>,
    /// Its sessions are those of a service.
    pub(crate) is_service: bool,
}

impl Kind {
    /// Everything that there is, sent directly.
    pub(crate) fn current() -> Self {
        Self {
            versions: AgentVersions::default(),
            smp: VersionRange::SUPPORTED,
            is_proxied: false,
            sessions: SessionMode::default(),
            socks: None,
            is_service: false,
        }
    }

    /// Nothing of what came with the last version of each protocol.
    pub(crate) fn previous() -> Self {
        let versions = AgentVersions { agent: range(2, 6), client: range(1, 3), ratchet: range(2, 2) };
        Self { versions, smp: range(6, 17), ..Self::current() }
    }

    /// Current, with the ratchet before post-quantum encryption.
    pub(crate) fn with_ratchet_2() -> Self {
        let versions = AgentVersions { ratchet: range(2, 2), ..AgentVersions::default() };
        Self { versions, ..Self::current() }
    }

    /// As if all servers were of that version.
    pub(crate) fn over_smp_8(self) -> Self {
        Self { smp: range(6, 8), ..self }
    }

    /// Through a server of its own.
    pub(crate) fn proxied(self) -> Self {
        Self { is_proxied: true, ..self }
    }
}

pub(crate) fn range(min: u16, max: u16) -> VersionRange {
    VersionRange::new(Version(min), Version(max)).expect("a range")
}

/// Somebody with an agent, who may leave and come again.
pub(crate) struct Person {
    engine: Engine,
    folder: TempDir,
    pub(crate) servers: Vec<UserServer>,
    pub(crate) limits: AgentLimits,
    pub(crate) kind: Kind,
    awake: Option<(Agent, Events)>,
    /// Which connections are up or down.
    pub(crate) connectivity: VecDeque<Event>,
}

impl Person {
    pub(crate) fn new(servers: &[&TestServer]) -> Self {
        let servers = servers.iter().map(|server| at(server.address())).collect();
        Self::with(servers, impatient())
    }

    /// Likewise, of an age.
    pub(crate) fn of(kind: &Kind, servers: &[&TestServer]) -> Self {
        let servers = servers.iter().map(|server| at(server.address())).collect();
        Self::made(servers, impatient(), kind.clone())
    }

    pub(crate) fn with(servers: Vec<UserServer>, limits: AgentLimits) -> Self {
        Self::made(servers, limits, Kind::current())
    }

    pub(crate) fn made(servers: Vec<UserServer>, limits: AgentLimits, kind: Kind) -> Self {
        let engine = Engine::new();
        let folder = tempfile::tempdir().expect("a folder");
        let connectivity = VecDeque::new();
        let mut person = Self { engine, folder, servers, limits, kind, awake: None, connectivity };
        person.wake();
        person
    }

    /// Where everything of this person is.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    #[track_caller]
    pub(crate) fn wake(&mut self) {
        assert!(self.awake.is_none(), "one agent at a time");
        let store = SqliteAgentStore::open(self.file(), &SqliteOptions::default()).expect("a database");
        let runtime = self.engine.runtime();
        let options = ClientOptions { versions: self.kind.smp, ..ClientOptions::default() };
        let mode = if self.kind.is_proxied { ProxyMode::Always } else { ProxyMode::Never };
        let agent = Agent::builder(runtime.clone(), store)
            .user(USER, self.servers.clone())
            .limits(self.limits.clone())
            .versions(self.kind.versions)
            .connector(Connector::new(runtime).options(options).socks(self.kind.socks.clone()))
            .private_routing(mode, ProxyFallback::Prohibit)
            .sessions(self.kind.sessions);
        let agent = if self.kind.is_service { agent.service(USER) } else { agent };
        self.awake = Some(agent.start().expect("randomness and a thread"));
    }

    #[track_caller]
    pub(crate) fn sleep(&mut self) {
        let (agent, _events) = self.awake.take().expect("an agent");
        self.wait(async { agent.stop().await });
    }

    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.sleep();
        self.wake();
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.awake.as_ref().expect("an agent").0
    }

    #[track_caller]
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.engine.block_on_within(PATIENCE, future).expect("this never ends")
    }

    /// What happened next, beside which connections are up or down.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        loop {
            match self.next_of_all() {
                event @ (Event::Up(..) | Event::Down(..)) => self.connectivity.push_back(event),
                Event::ServiceUp { .. } | Event::ServiceDown { .. } | Event::ServiceAll { .. } => {}
                event => return event,
            }
        }
    }

    #[track_caller]
    pub(crate) fn next_of_all(&mut self) -> Event {
        let (_, events) = self.awake.as_mut().expect("an agent");
        let next = self.engine.block_on_within(PATIENCE, events.next());
        next.expect("nothing happens").expect("an agent that works")
    }

    /// What is kept, by an agent that sleeps.
    pub(crate) fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        assert!(self.awake.is_none(), "it writes");
        let files = std::fs::read_dir(self.folder.path()).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path());
        paths.map(|path| (path.clone(), std::fs::read(path).expect("a file"))).collect()
    }

    /// Sets an agent that sleeps back to what was kept once.
    pub(crate) fn set_back(&self, kept: &[(PathBuf, Vec<u8>)]) {
        for (path, _) in self.kept() {
            std::fs::remove_file(path).expect("its own file");
        }
        for (path, bytes) in kept {
            std::fs::write(path, bytes).expect("its own folder");
        }
    }

    #[track_caller]
    pub(crate) fn invite(&self) -> (ConnectionId, ConnectionRequest) {
        self.wait(self.agent().invite(USER, true)).expect("an invitation")
    }

    /// Without that a failure is remembered for a moment.
    #[track_caller]
    pub(crate) fn try_again(&self) {
        self.wait(self.agent().reconnect(None)).expect("the agent runs");
    }

    /// A contact address, and what others ask with.
    #[track_caller]
    pub(crate) fn address(&self) -> (ConnectionId, ConnectionRequest) {
        self.wait(self.agent().create_address(USER)).expect("an address")
    }

    /// Somebody asks at an address.
    #[track_caller]
    pub(crate) fn request(&mut self) -> ContactRequest {
        match self.next_unsent() {
            Event::Request(request) => *request,
            event => panic!("not a request: {event:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn describe(&self, connection: ConnectionId) -> ConnectionDescription {
        self.wait(self.agent().describe(connection)).expect("it is there")
    }

    /// The next event, beside which connections are up or down, and which messages were sent.
    #[track_caller]
    pub(crate) fn next_unsent(&mut self) -> Event {
        loop {
            match self.next() {
                Event::Sent(..) => {}
                event => return event,
            }
        }
    }

    #[track_caller]
    pub(crate) fn join(&self, request: &ConnectionRequest) -> ConnectionId {
        let connection = new_connection_id().expect("randomness");
        self.try_join(connection, request).expect("the invitation is free");
        connection
    }

    pub(crate) fn try_join(
        &self,
        connection: ConnectionId,
        request: &ConnectionRequest,
    ) -> Result<(), AgentError> {
        self.wait(self.agent().join(connection, USER, request.clone(), "joiner".into(), true)).map(|_| ())
    }

    #[track_caller]
    pub(crate) fn confirmation(&mut self) -> ConfirmationId {
        self.confirmation_of("joiner")
    }

    #[track_caller]
    pub(crate) fn confirmation_of(&mut self, name: &str) -> ConfirmationId {
        match self.next_unsent() {
            Event::Confirmation { confirmation, info, .. } => {
                assert_eq!(info, name);
                confirmation
            }
            event => panic!("not a confirmation: {event:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn allow(&self, connection: ConnectionId, confirmation: ConfirmationId) {
        let allowed = self.wait(self.agent().allow(connection, confirmation, "maker".into()));
        allowed.expect("there is a confirmation");
    }

    #[track_caller]
    pub(crate) fn info(&mut self) {
        match self.next_unsent() {
            Event::Info(_, info) => assert_eq!(info, "maker"),
            event => panic!("not what the other side says of itself: {event:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn connected(&mut self) {
        let event = self.next_unsent();
        assert!(matches!(event, Event::Connected(..)), "not connected: {event:?}");
    }

    #[track_caller]
    pub(crate) fn send(&self, connection: ConnectionId, text: impl Into<Bytes>) {
        self.wait(self.agent().send(connection, text.into(), FLAGS)).expect("they are connected");
    }

    /// A message, not acknowledged.
    #[track_caller]
    pub(crate) fn message(&mut self) -> MessageEvent {
        loop {
            match self.next() {
                Event::Message(message) => return *message,
                Event::Sent(..) => {}
                event => panic!("not a message: {event:?}"),
            }
        }
    }

    /// The next message is this one, in its place.
    #[track_caller]
    pub(crate) fn hears(&mut self, text: &str) {
        let message = self.message();
        assert_eq!((&*message.body, message.integrity), (text.as_bytes(), MessageIntegrity::Ok));
        self.acknowledge(&message);
    }

    #[track_caller]
    pub(crate) fn acknowledge(&self, message: &MessageEvent) {
        self.wait(self.agent().acknowledge(message.connection, message.id)).expect("it was told");
    }

    /// The server of the other side has a message.
    #[track_caller]
    pub(crate) fn sent(&mut self) {
        let event = self.next();
        assert!(matches!(event, Event::Sent(..)), "not sent: {event:?}");
    }

    /// The server goes and comes, and this side hears of both.
    #[track_caller]
    pub(crate) fn wait_for_up_after(&mut self, server: &mut TestServer) {
        self.connectivity.clear();
        server.pause();
        server.resume();
        self.wait_for_up();
    }

    #[track_caller]
    pub(crate) fn wait_for_up(&mut self) {
        while !self.connectivity.iter().any(|event| matches!(event, Event::Up(..))) {
            let event = self.next_of_all();
            assert!(matches!(event, Event::Up(..) | Event::Down(..)), "not up: {event:?}");
            self.connectivity.push_back(event);
        }
        self.connectivity.clear();
    }
}

/// Each wants post-quantum encryption, or not; whether the joiner could send at once.
#[track_caller]
pub(crate) fn connect_with_pq(
    (maker, maker_pq): (&mut Person, bool),
    (joiner, joiner_pq): (&mut Person, bool),
) -> (ConnectionId, ConnectionId, bool) {
    let (at_maker, request) = maker.wait(maker.agent().invite(USER, maker_pq)).expect("an invitation");
    let at_joiner = new_connection_id().expect("randomness");
    let joined = joiner.agent().join(at_joiner, USER, request, "joiner".into(), joiner_pq);
    let joined = joiner.wait(joined).expect("it is free");
    let confirmation = maker.confirmation();
    maker.allow(at_maker, confirmation);
    joiner.info();
    joiner.connected();
    maker.connected();
    (at_maker, at_joiner, joined.can_send)
}

/// From a request at an address to both being connected; each wants post-quantum encryption, or not.
#[track_caller]
pub(crate) fn connect_at(
    (address, request): (ConnectionId, &ConnectionRequest),
    (owner, owner_pq): (&mut Person, bool),
    (asker, asker_pq): (&mut Person, bool),
) -> (ConnectionId, ConnectionId) {
    let at_asker = new_connection_id().expect("randomness");
    let asked = asker.agent().join(at_asker, USER, request.clone(), "asker".into(), asker_pq);
    assert!(!asker.wait(asked).expect("it is there").can_send);
    let asked = owner.request();
    assert!(asked.connection == address && asked.info == "asker");
    let at_owner = new_connection_id().expect("randomness");
    let accepted = owner.agent().accept(at_owner, USER, asked.invitation, "owner".into(), owner_pq);
    owner.wait(accepted).expect("it waits");
    let confirmation = asker.confirmation_of("owner");
    asker.allow(at_asker, confirmation);
    owner.info();
    owner.connected();
    asker.connected();
    (at_owner, at_asker)
}

/// From an invitation to both being connected.
#[track_caller]
pub(crate) fn connect(maker: &mut Person, joiner: &mut Person) -> (ConnectionId, ConnectionId) {
    let (at_maker, request) = maker.invite();
    let at_joiner = joiner.join(&request);
    let confirmation = maker.confirmation();
    maker.allow(at_maker, confirmation);
    joiner.info();
    joiner.connected();
    maker.connected();
    (at_maker, at_joiner)
}

/// A message each way.
#[track_caller]
pub(crate) fn talk(one: &mut Person, at_one: ConnectionId, other: &mut Person, at_other: ConnectionId) {
    one.send(at_one, "hello");
    other.hears("hello");
    other.send(at_other, "hello too");
    one.hears("hello too");
}

/// A few messages each way, by which post-quantum encryption begins if both want it; whether the last ones had it.
#[track_caller]
pub(crate) fn talk_with_pq(
    (one, at_one): (&mut Person, ConnectionId),
    (other, at_other): (&mut Person, ConnectionId),
) -> [bool; 2] {
    let mut pq = [false; 2];
    for turn in 0..3 {
        let body = turn.to_string();
        one.send(at_one, body.clone());
        let message = other.message();
        assert_eq!((&*message.body, message.integrity), (body.as_bytes(), MessageIntegrity::Ok));
        other.acknowledge(&message);
        pq[0] = message.pq;
        other.send(at_other, body.clone());
        let message = one.message();
        assert_eq!((&*message.body, message.integrity), (body.as_bytes(), MessageIntegrity::Ok));
        one.acknowledge(&message);
        pq[1] = message.pq;
    }
    pq
}
