//! People with agents of their own, whose databases outlive them, and what every scenario does.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::{AgentLimits, ConfirmationId, ConnectionId, Event, MessageEvent, UserId, UserServer};
use smp_core::wire::agent::{AgentError, MessageIntegrity};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::{ConnectionRequest, Host, Password, ServerAddress};
use smp_runtime::agent::{Agent, Events, new_connection_id};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::agent::{SqliteAgentStore, SqliteOptions};
use smp_tests::peer::Address;
use smp_tests::server::{Settings, Store, TestServer};
use tempfile::TempDir;

pub(crate) const USER: UserId = UserId(1);
pub(crate) const FLAGS: MessageFlags = MessageFlags { notification: true };
/// So that a test that hangs ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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

/// Somebody with an agent, who may leave and come again.
pub(crate) struct Person {
    tokio: tokio::runtime::Runtime,
    folder: TempDir,
    pub(crate) servers: Vec<UserServer>,
    pub(crate) limits: AgentLimits,
    awake: Option<(Agent, Events)>,
    /// Which connections are up or down.
    pub(crate) connectivity: VecDeque<Event>,
}

impl Person {
    pub(crate) fn new(servers: &[&TestServer]) -> Self {
        let servers = servers.iter().map(|server| at(server.address())).collect();
        Self::with(servers, impatient())
    }

    pub(crate) fn with(servers: Vec<UserServer>, limits: AgentLimits) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let tokio = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let mut person = Self { tokio, folder, servers, limits, awake: None, connectivity: VecDeque::new() };
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
        let runtime = TokioRuntime::new(self.tokio.handle().clone());
        let agent = Agent::builder(runtime, store).user(USER, self.servers.clone());
        self.awake = Some(agent.limits(self.limits.clone()).start().expect("randomness and a thread"));
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
        let patient = async { tokio::time::timeout(PATIENCE, future).await };
        self.tokio.block_on(patient).expect("this never ends")
    }

    /// What happened next, beside which connections are up or down.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        loop {
            match self.next_of_all() {
                event @ (Event::Up(..) | Event::Down(..)) => self.connectivity.push_back(event),
                event => return event,
            }
        }
    }

    #[track_caller]
    pub(crate) fn next_of_all(&mut self) -> Event {
        let (_, events) = self.awake.as_mut().expect("an agent");
        let patient = async { tokio::time::timeout(PATIENCE, events.next()).await };
        self.tokio.block_on(patient).expect("nothing happens").expect("an agent that works")
    }

    #[track_caller]
    pub(crate) fn invite(&self) -> (ConnectionId, ConnectionRequest) {
        self.wait(self.agent().invite(USER, true)).expect("an invitation")
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
        match self.next() {
            Event::Confirmation { confirmation, info, .. } => {
                assert_eq!(info, "joiner");
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
        match self.next() {
            Event::Info(_, info) => assert_eq!(info, "maker"),
            event => panic!("not what the other side says of itself: {event:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn connected(&mut self) {
        let event = self.next();
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
