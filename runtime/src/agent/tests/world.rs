//! Servers, and people with agents.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::store::{
    AgentOp, AgentQuery, Connection, Found, MemoryAgentStore, Outgoing, StoreFailure, SyncState,
};
use smp_core::agent::{
    AgentLimits, AgentVersions, ConfirmationId, ConnectionDescription, ConnectionId, Event, LocalMessageId,
    MessageEvent, UserId, UserServer,
};
use smp_core::crypto::ratchet::PqEncryption;
use smp_core::server::{Moderation, ServerConfig};
use smp_core::transport::ClientOptions;
use smp_core::wire::agent::{AgentError, RatchetError};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::{ConnectionRequest, ServerAddress, VersionRange};
use smp_storage::agent::AgentStore;

use super::super::*;
use crate::Runtime;
use crate::client::Connector;
use crate::server::{Server, ServerHandle};
use crate::testing::TestRuntime;
use crate::tests::{TestStore, address, transport_of};

/// Servers that are told apart by their ports, and what they keep.
pub(super) struct World {
    pub(super) runtime: TestRuntime,
    pub(super) stores: Vec<TestStore>,
    servers: Vec<Option<ServerHandle<TestRuntime, TestStore>>>,
    starts: u64,
    /// Proxies that are started refuse to connect to the other servers.
    pub(super) is_public_only: bool,
}

impl World {
    pub(super) fn new(servers: usize) -> Self {
        Self::with(servers, &ServerConfig::default())
    }

    pub(super) fn with(servers: usize, config: &ServerConfig) -> Self {
        let stores = vec![(); servers].into_iter().map(|()| TestStore::default()).collect();
        let servers = std::iter::repeat_with(|| None).take(servers).collect();
        let mut world =
            Self { runtime: TestRuntime::default(), stores, servers, starts: 0, is_public_only: false };
        for number in 0..world.servers.len() {
            world.start(number, config.clone());
        }
        world
    }

    pub(super) fn start(&mut self, number: usize, config: ServerConfig) {
        let port = 5223 + u16::try_from(number).unwrap();
        let listens_on = ([127, 0, 0, 1], port).into();
        let store = self.stores[number].clone();
        let seed = [u8::try_from(number).unwrap() + 1; 32];
        // A server that is started again must not draw the same ids.
        let mut entropy = seed;
        self.starts += 1;
        entropy[..8].copy_from_slice(&self.starts.to_be_bytes());
        let outgoing = Connector::new(self.runtime.clone()).public_only(self.is_public_only);
        let server = Server::new(self.runtime.clone(), store, transport_of(seed), config);
        let server = server.outgoing(outgoing).seed(entropy).resolver(super::names::resolve);
        self.servers[number] =
            Some(self.runtime.block_on(async move { server.serve(&[listens_on]).await.unwrap() }));
    }

    /// Ends a server as a crash does; its store is kept.
    pub(super) fn crash(&mut self, number: usize) {
        self.servers[number] = None;
        self.runtime.run();
    }

    /// How many connections a server has.
    pub(super) fn connections(&self, number: usize) -> usize {
        self.servers[number].as_ref().unwrap().connections()
    }

    pub(super) fn address(&self, number: usize) -> ServerAddress {
        let address = address(&["127.0.0.1"], [u8::try_from(number).unwrap() + 1; 32]);
        let port = 5223 + u16::try_from(number).unwrap();
        ServerAddress::new(address.hosts().to_vec(), Some(port), *address.key_hash()).unwrap()
    }

    /// How many queues a server has.
    pub(super) fn queues(&self, number: usize) -> u64 {
        self.stores[number].queues()
    }

    /// Ends a server and begins another one in its place, which knows nothing of its queues.
    pub(super) fn forget(&mut self, number: usize) {
        self.crash(number);
        self.stores[number] = TestStore::default();
        self.start(number, ServerConfig::default());
    }

    /// Does to a queue of a server what its operator wants.
    pub(super) fn moderate(&mut self, number: usize, moderation: Moderation) {
        let server = self.servers[number].take().unwrap();
        let (server, done) = self.runtime.block_on(async move {
            let done = server.moderate(moderation).await;
            (server, done)
        });
        assert_eq!(done, Ok(true));
        self.servers[number] = Some(server);
    }

    /// Lets tasks have so many turns. False if fewer are enough for all that is to be done now.
    pub(super) fn turn(&self, count: usize) -> bool {
        (0..count).all(|turn| self.runtime.step(|ready| turn * 7 % ready))
    }

    pub(super) fn pass(&self, time: Duration) {
        self.runtime.advance(time);
    }

    /// Somebody who makes queues on a server.
    pub(super) fn person(&self, name: u8, server: usize) -> Person {
        let mut person = Person {
            runtime: self.runtime.clone(),
            store: AgentTestStore::default(),
            server: self.address(server),
            name,
            limits: AgentLimits::default(),
            starts: 0,
            running: None,
            last_connection: 0,
            versions: AgentVersions::default(),
            more_servers: Vec::new(),
            smp: VersionRange::SUPPORTED,
            settings: None,
        };
        person.start();
        person
    }

    /// Likewise, on several servers and with settings.
    pub(super) fn person_with(&self, name: u8, servers: &[usize], settings: Settings) -> Person {
        let servers = servers.iter().map(|server| self.address(*server)).collect();
        let mut person = self.person(name, 0);
        person.stop();
        person.settings = Some((servers, settings));
        person.start();
        person
    }
}

/// A store that outlives agents. Clones share it.
#[derive(Clone, Default)]
pub(super) struct AgentTestStore(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    store: MemoryAgentStore,
    /// How many calls succeed, and how many after them fail.
    plan: (u32, u32),
    panics: bool,
}

impl AgentTestStore {
    /// After so many calls that it carries out the store refuses so many.
    pub(super) fn fail(&self, after: u32, count: u32) {
        self.0.lock().unwrap().plan = (after, count);
    }

    /// Carries out operations beside the agent, which must not be at work.
    pub(super) fn put(&self, ops: Vec<AgentOp>) {
        self.0.lock().unwrap().store.run(ops).unwrap();
    }

    /// It panics when it is used next.
    pub(super) fn panic(&self) {
        self.0.lock().unwrap().panics = true;
    }

    /// Changes a message that went out.
    pub(super) fn change_sent(
        &self,
        connection: ConnectionId,
        message: LocalMessageId,
        change: impl FnOnce(&mut Outgoing),
    ) {
        let store = &mut self.0.lock().unwrap().store;
        let numbers = AgentQuery::SentAll(connection, (0..100).collect());
        let Ok(Found::SentAll(sent)) = store.read(&numbers) else { panic!("no messages") };
        let mut sent = sent.into_iter().find(|sent| sent.id == message).unwrap();
        change(&mut sent);
        store.run(vec![AgentOp::PutOutgoing(Box::new(sent))]).unwrap();
    }

    /// What is kept now.
    pub(super) fn copy(&self) -> MemoryAgentStore {
        self.0.lock().unwrap().store.clone()
    }

    /// Sets everything back to what was kept once.
    pub(super) fn restore(&self, copy: MemoryAgentStore) {
        self.0.lock().unwrap().store = copy;
    }

    /// What is kept of a connection.
    pub(super) fn connection(&self, id: ConnectionId) -> Connection {
        match self.0.lock().unwrap().store.read(&AgentQuery::Connection(id)) {
            Found::Connection(Some(connection)) => *connection,
            _ => panic!("no such connection"),
        }
    }

    fn panic_if_told(&self) {
        let panics = std::mem::take(&mut self.0.lock().unwrap().panics);
        assert!(!panics, "the store was told to");
    }
}

impl Kept {
    fn next(&mut self) -> Result<(), StoreFailure> {
        match &mut self.plan {
            (0, 0) => Ok(()),
            (0, count) => {
                *count -= 1;
                Err(StoreFailure)
            }
            (after, _) => {
                *after -= 1;
                Ok(())
            }
        }
    }
}

impl AgentStore for AgentTestStore {
    fn run(&mut self, ops: Vec<AgentOp>) -> Result<(), StoreFailure> {
        self.panic_if_told();
        let mut kept = self.0.lock().unwrap();
        kept.next()?;
        kept.store.run(ops)
    }

    fn read(&mut self, query: &AgentQuery) -> Result<Found, StoreFailure> {
        self.panic_if_told();
        let mut kept = self.0.lock().unwrap();
        kept.next()?;
        Ok(kept.store.read(query))
    }
}

/// Somebody with an agent that is stopped and started again.
pub(super) struct Person {
    runtime: TestRuntime,
    pub(super) store: AgentTestStore,
    server: ServerAddress,
    name: u8,
    /// Of the agent when it is started next.
    pub(super) limits: AgentLimits,
    starts: u64,
    running: Option<(Agent, Events)>,
    last_connection: u8,
    /// What it speaks when it is started next.
    pub(super) versions: AgentVersions,
    /// Servers beside its first.
    pub(super) more_servers: Vec<ServerAddress>,
    /// What it speaks with servers when it is started next.
    pub(super) smp: VersionRange,
    pub(super) settings: Option<(Vec<ServerAddress>, Settings)>,
}

impl Person {
    pub(super) fn start(&mut self) {
        // No two agents may draw the same, nor one that is started again what it drew before.
        self.starts += 1;
        let seed = |purpose: u8| {
            let mut seed = [self.name; 32];
            seed[0] = purpose;
            seed[1..9].copy_from_slice(&self.starts.to_be_bytes());
            seed
        };
        let servers = [&self.server].into_iter().chain(&self.more_servers);
        let servers = servers.map(|address| UserServer::new(address.clone()));
        let options = ClientOptions { versions: self.smp, ..ClientOptions::default() };
        let connector = Connector::new(self.runtime.clone()).options(options).seed(seed(1));
        let mut builder = Agent::builder(self.runtime.clone(), self.store.clone())
            .user(USER, servers.collect())
            .limits(self.limits.clone())
            .versions(self.versions)
            .connector(connector)
            .seed(seed(2))
            .inline_store();
        if let Some((servers, settings)) = &self.settings {
            let servers = servers.iter().map(|address| UserServer::new(address.clone()));
            builder = settings(builder.user(USER, servers.collect()));
        }
        let agent = builder.start();
        self.running = Some(agent.unwrap());
        self.runtime.run();
    }

    /// Ends the agent where it is.
    pub(super) fn stop(&mut self) {
        let (agent, events) = self.running.take().unwrap();
        let shared = Arc::clone(&events.0);
        drop((agent, events));
        self.runtime.run();
        assert_eq!(shared.parts(), 0, "something of the agent is left");
    }

    /// How many connections the store of the agent keeps, also such as are deleted.
    pub(super) fn agent_store_connections(&self) -> usize {
        self.store.0.lock().unwrap().store.connections()
    }

    pub(super) fn runtime(&self) -> &TestRuntime {
        &self.runtime
    }

    pub(super) fn events(&mut self) -> &mut Events {
        &mut self.running.as_mut().unwrap().1
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.running.as_ref().unwrap().0
    }

    pub(super) fn invite(&self, pq: bool) -> (ConnectionId, ConnectionRequest) {
        self.runtime.block_on(self.agent().invite(USER, pq)).unwrap()
    }

    pub(super) fn join(
        &mut self,
        request: ConnectionRequest,
        info: &'static str,
        pq: bool,
    ) -> (ConnectionId, Result<bool, AgentError>) {
        self.last_connection += 1;
        let id = ConnectionId::new([self.last_connection; 12]);
        (id, self.join_as(id, request, info, pq))
    }

    pub(super) fn join_as(
        &self,
        id: ConnectionId,
        request: ConnectionRequest,
        info: &'static str,
        pq: bool,
    ) -> Result<bool, AgentError> {
        let joined = self.agent().join(id, USER, request, info.into(), pq);
        self.runtime.block_on(joined).map(|joined| joined.can_send)
    }

    pub(super) fn rejoin(&self, connection: ConnectionId) -> Result<bool, AgentError> {
        self.runtime.block_on(self.agent().rejoin(connection)).map(|joined| joined.can_send)
    }

    pub(super) fn allow(&self, connection: ConnectionId, confirmation: ConfirmationId, info: &'static str) {
        self.runtime.block_on(self.agent().allow(connection, confirmation, info.into())).unwrap();
    }

    pub(super) fn send(
        &self,
        connection: ConnectionId,
        body: impl Into<Bytes>,
    ) -> Result<LocalMessageId, AgentError> {
        self.runtime.block_on(self.agent().send(connection, body.into(), MessageFlags { notification: true }))
    }

    pub(super) fn send_with_pq(
        &self,
        connection: ConnectionId,
        body: &'static str,
        pq: PqEncryption,
    ) -> Result<LocalMessageId, AgentError> {
        let flags = MessageFlags { notification: true };
        self.runtime.block_on(self.agent().send_with_pq(connection, body.into(), flags, pq))
    }

    pub(super) fn acknowledge(&self, message: &MessageEvent) {
        self.try_acknowledge(message.connection, message.id).unwrap();
    }

    pub(super) fn acknowledge_with_receipt(&self, message: &MessageEvent) {
        let MessageEvent { connection, id, .. } = *message;
        let done = self.agent().acknowledge_with_receipt(connection, id, "read".into());
        self.runtime.block_on(done).unwrap();
    }

    pub(super) fn try_acknowledge(
        &self,
        connection: ConnectionId,
        message: LocalMessageId,
    ) -> Result<(), AgentError> {
        self.runtime.block_on(self.agent().acknowledge(connection, message))
    }

    /// The agent version that is spoken in a connection.
    pub(super) fn version(&self, connection: ConnectionId) -> u16 {
        self.store.connection(connection).state.version.0
    }

    /// The next event, if there is one within `time`.
    pub(super) fn event_within(&mut self, time: Duration) -> Option<Event> {
        let end = self.runtime.now().mono + time;
        loop {
            self.runtime.run();
            if let Poll::Ready(event) = self.events().try_next() {
                return Some(event.expect("the agent runs"));
            }
            let next = self.runtime.next_timer().filter(|next| *next <= end)?;
            self.runtime.set_now(self.runtime.now().advanced_to(next));
        }
    }

    /// Everything that happens within `time`, but for what is about servers.
    pub(super) fn others_within(&mut self, time: Duration) -> Vec<Event> {
        let end = self.runtime.now().mono + time;
        let events = std::iter::from_fn(|| self.event_within(end.since(self.runtime.now().mono)));
        events.filter(|event| !matches!(event, Event::Up(..) | Event::Down(..))).collect()
    }

    /// The next event that is not about servers.
    pub(super) fn event(&mut self) -> Event {
        loop {
            match self.event_within(HOUR) {
                Some(Event::Up(..) | Event::Down(..)) => {}
                Some(event) => return event,
                None => panic!("nothing happens"),
            }
        }
    }

    /// The next event that is neither about servers nor tells that something was sent.
    pub(super) fn step(&mut self) -> Event {
        loop {
            match self.event() {
                Event::Sent(..) => {}
                event => return event,
            }
        }
    }

    /// The confirmation that comes next, and the information with it.
    pub(super) fn confirmation(&mut self) -> (ConfirmationId, Bytes) {
        match self.step() {
            Event::Confirmation { confirmation, info, .. } => (confirmation, info),
            event => panic!("not a confirmation: {}", tell(&event)),
        }
    }

    /// The message that comes next. Messages that were sent are not told here.
    pub(super) fn message(&mut self) -> MessageEvent {
        match self.step() {
            Event::Message(message) => *message,
            event => panic!("not a message: {}", tell(&event)),
        }
    }

    /// The messages of the next hour, which are acknowledged.
    pub(super) fn bodies(&mut self) -> Vec<Bytes> {
        let mut bodies = Vec::new();
        while let Some(event) = self.event_within(HOUR) {
            match event {
                Event::Message(message) => {
                    self.acknowledge(&message);
                    bodies.push(message.body);
                }
                Event::Error(..) | Event::NotSent(..) | Event::Missed(_) => panic!("{}", tell(&event)),
                _ => {}
            }
        }
        bodies
    }

    /// What comes next of an agreement on a new ratchet.
    pub(super) fn sync(&mut self) -> (SyncState, Option<RatchetError>) {
        match self.step() {
            Event::RatchetSync { state, error, .. } => (state, error),
            event => panic!("not about the ratchet: {}", tell(&event)),
        }
    }

    pub(super) fn synchronize(&self, connection: ConnectionId, force: bool) -> Result<(), AgentError> {
        self.runtime.block_on(self.agent().synchronize_ratchet(connection, force))
    }

    pub(super) fn switch(&self, connection: ConnectionId) -> Result<(), AgentError> {
        self.runtime.block_on(self.agent().switch(connection))
    }

    pub(super) fn abort_switch(&self, connection: ConnectionId) -> Result<(), AgentError> {
        self.runtime.block_on(self.agent().abort_switch(connection))
    }

    pub(super) fn describe(&self, connection: ConnectionId) -> ConnectionDescription {
        self.runtime.block_on(self.agent().describe(connection)).unwrap()
    }

    pub(super) fn info(&mut self) -> Bytes {
        match self.step() {
            Event::Info(_, info) => info,
            event => panic!("not what the other side says of itself: {}", tell(&event)),
        }
    }

    pub(super) fn connected(&mut self) {
        match self.step() {
            Event::Connected(_) => {}
            event => panic!("not connected: {}", tell(&event)),
        }
    }
}

/// An event, for who reads what failed.
pub(super) fn tell(event: &Event) -> String {
    match event {
        Event::Error(_, error) | Event::NotSent(_, _, error) => format!("{event:?} {error}"),
        event => format!("{event:?}"),
    }
}

/// What is set of an agent beside its servers.
pub(super) type Settings =
    fn(AgentBuilder<TestRuntime, AgentTestStore>) -> AgentBuilder<TestRuntime, AgentTestStore>;

pub(super) const FLAGS: MessageFlags = MessageFlags { notification: true };
pub(super) const USER: UserId = UserId(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Lets two people meet: how each of them names the connection.
pub(super) fn meet(alice: &mut Person, bob: &mut Person, pq: bool) -> (ConnectionId, ConnectionId) {
    let (at_alice, request) = alice.invite(pq);
    let (at_bob, joined) = bob.join(request, "bob", pq);
    assert_eq!(joined, Ok(true));
    let (confirmation, info) = alice.confirmation();
    assert_eq!(info, "bob");
    alice.allow(at_alice, confirmation, "alice");
    assert_eq!(bob.info(), "alice");
    bob.connected();
    alice.connected();
    (at_alice, at_bob)
}
