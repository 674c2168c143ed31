//! The world: what happens next, to whom, and what goes wrong on the way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smp_core::server::{Broker, BrokerInput, ConnectionId, ServerConfig, Session, SessionInput};
use smp_core::transport::ServerTransportConfig;
use smp_core::{Timestamp, UnixTime};

use super::client::{Mark, Peer};
use super::network::{Event, Lane, LookUp, Schedule, Wire};
use super::setup::{Ends, config, identity};
use super::shared::Shared;
use super::shell::Shell;
use super::store::SimStore;

/// A server that runs.
pub(super) struct Server {
    pub(super) broker: Broker,
    pub(super) sessions: BTreeMap<ConnectionId, Session>,
}

/// A server, its store, its clients and what is between them.
pub(super) struct World {
    pub(super) shared: Shared,
    pub(super) config: Arc<ServerConfig>,
    pub(super) transport: ServerTransportConfig,
    /// `None` between a crash and the restart.
    pub(super) server: Option<Server>,
    /// The server, in worlds where it is the production shell.
    pub(super) shell: Option<Shell>,
    /// How many servers there were: what is meant for an earlier one is lost.
    pub(super) epoch: u64,
    pub(super) store: SimStore,
    pub(super) peers: Vec<Peer>,
    pub(super) wires: BTreeMap<ConnectionId, Wire>,
    pub(super) schedule: Schedule,
    pub(super) outputs: u64,
    pub(super) acts_left: usize,
    /// Since when nothing happens, at the end of a round.
    pub(super) quiet_since: Option<Timestamp>,
    /// Clients have gone for good.
    pub(super) is_over: bool,
    last_connection: u64,
}

impl World {
    pub(super) fn new(seed: u64, is_verbose: bool) -> Self {
        let shared = Shared::new(seed, is_verbose);
        let config = Arc::new(config(&shared.options));
        let peers = (0..shared.options.clients).map(|index| Peer { index, link: None }).collect();
        let mut world = Self {
            config,
            transport: ServerTransportConfig::new(identity(), Default::default()).expect("a usable identity"),
            server: None,
            shell: None,
            epoch: 0,
            store: SimStore::default(),
            peers,
            wires: BTreeMap::new(),
            schedule: Schedule::default(),
            outputs: 0,
            acts_left: 0,
            quiet_since: None,
            is_over: false,
            last_connection: 0,
            shared,
        };
        world.start();
        (0..world.peers.len()).for_each(|peer| world.schedule.add(Timestamp::ZERO, Event::Act(peer)));
        world
    }

    /// Lets the next thing happen.
    pub(super) fn step(&mut self) {
        self.shared.counts.events += 1;
        let timer = self.next_timer();
        let event = self.schedule.next_at();
        match (timer, event) {
            (Some((due, id)), event) if event.is_none_or(|at| due <= at) => {
                self.advance_to(due);
                self.timeout(id);
            }
            (_, Some(at)) => {
                self.advance_to(at);
                if let Some(event) = self.schedule.pop() {
                    self.happen(event);
                }
            }
            _ => self.shared.expect(false, || "nothing will ever happen again".into()),
        }
    }

    fn next_timer(&self) -> Option<(Timestamp, Option<ConnectionId>)> {
        let Some(server) = &self.server else { return Some((self.shell.as_ref()?.next_timer()?, None)) };
        let sessions = server.sessions.iter();
        let sessions = sessions.filter_map(|(id, session)| Some((session.poll_timeout()?, Some(*id))));
        sessions.chain(server.broker.poll_timeout().map(|due| (due, None))).min()
    }

    /// A timer that came must not come again at once.
    fn timeout(&mut self, id: Option<ConnectionId>) {
        self.shared.note("timer", &[id.map_or(0, |id| id.0)]);
        if self.shell.is_some() {
            return self.advance_shell();
        }
        let epoch = self.epoch;
        match id {
            Some(id) => self.session_input(id, SessionInput::Timeout),
            None => self.broker_input(BrokerInput::Timeout),
        }
        let Some(server) = self.server.as_ref().filter(|_| self.epoch == epoch) else { return };
        let next = match id {
            Some(id) => server.sessions.get(&id).and_then(Session::poll_timeout),
            None => server.broker.poll_timeout(),
        };
        let now = self.shared.now.mono;
        self.shared.expect(next.is_none_or(|next| next > now), || "a timer does not advance".into());
    }

    fn advance_to(&mut self, at: Timestamp) {
        let now = &mut self.shared.now;
        let passed = i64::try_from(at.since(now.mono).as_millis()).unwrap_or(i64::MAX);
        now.unix = UnixTime::from_millis(now.unix.as_millis().saturating_add(passed));
        now.mono = now.mono.max(at);
    }

    fn happen(&mut self, event: Event) {
        let Some(event) = self.happen_to_shell(event) else { return };
        match event {
            Event::Act(peer) => self.act(peer),
            Event::ToServer(id, bytes) => self.reach_server(id, bytes),
            Event::ToClient(id, bytes, mark) => self.reach_client(id, bytes, mark),
            Event::Taken(id, count) if self.wires.get(&id).is_some_and(|wire| !wire.is_dead) => {
                self.session_input(id, SessionInput::Sent(count));
            }
            Event::Taken(..) => {}
            Event::ServerEof(id) => {
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.eof = true;
                }
                self.feed(id);
            }
            Event::ClientEof(id) => self.client_eof(id),
            Event::Restart => self.start(),
            Event::ToBroker(epoch, id, request) if epoch == self.epoch => {
                self.broker_input(BrokerInput::Request(id, request));
            }
            Event::Disconnected(epoch, id) if epoch == self.epoch => {
                self.broker_input(BrokerInput::Disconnected(id));
            }
            Event::FromBroker(epoch, id, reply) if epoch == self.epoch => {
                self.session_input(id, SessionInput::FromBroker(reply));
            }
            Event::Apply(epoch) if epoch == self.epoch => self.apply(),
            Event::StoreDone(epoch, released) if epoch == self.epoch => {
                self.shared.note("store answers: batch", &[released.id.0, released.reply.is_ok().into()]);
                self.store.release(released.durable);
                self.broker_input(BrokerInput::StoreDone(released.id, released.reply));
            }
            Event::LookedUp(epoch, id, look_up, records) if epoch == self.epoch => {
                let records = match records {
                    LookUp::Later(keys) => Ok(self.store.look_up(&keys)),
                    LookUp::Done(records) => records,
                };
                self.session_input(id, SessionInput::LookedUp(look_up, records));
            }
            _ => {}
        }
    }

    /// A new connection of a client, unless there is no server.
    pub(super) fn connect(&mut self, peer: usize) {
        if !self.is_up() {
            return;
        }
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let now = self.shared.now;
        let client = if let Some(server) = &mut self.server {
            let ends = Ends::new(&mut self.shared, &self.transport, id);
            let seed = self.shared.dice.seed();
            let session = Session::new(self.config.clone(), ends.server, seed, now);
            server.sessions.insert(id, session);
            ends.client
        } else if self.connect_shell(id) {
            Ends::tls_client(&mut self.shared)
        } else {
            return;
        };
        self.wires.insert(id, Wire { client: peer, ..Wire::default() });
        self.peers[peer].link = Some(super::client::Link::new(id, client, now.mono));
        self.shared.note("client connects: connection", &[peer as u64, id.0]);
        self.session_input(id, SessionInput::Received(&[]));
        self.flush(peer);
    }

    /// Hands what a client wants to send to the network.
    pub(super) fn flush(&mut self, peer: usize) {
        let Some(link) = &mut self.peers[peer].link else { return };
        for bytes in link.output() {
            let delay = self.shared.dice.delay(self.shared.options.network_delay);
            let event = Event::ToServer(link.id, bytes);
            self.schedule.add_behind(Lane::ToServer(link.id), self.shared.now.mono, delay, event);
        }
    }

    /// The client ends its connection; the server learns of it, unless the connection is dead.
    pub(super) fn disconnect(&mut self, peer: usize) {
        let Some(link) = self.peers[peer].link.take() else { return };
        self.shared.note("client disconnects: connection", &[peer as u64, link.id.0]);
        let Some(wire) = self.wires.get(&link.id).filter(|wire| !wire.is_dead) else { return };
        debug_assert_eq!(wire.client, peer, "a wire leads to its client");
        let delay = self.shared.dice.delay(self.shared.options.network_delay);
        let lane = Lane::ToServer(link.id);
        self.schedule.add_behind(lane, self.shared.now.mono, delay, Event::ServerEof(link.id));
    }

    fn reach_server(&mut self, id: ConnectionId, mut bytes: Vec<u8>) {
        if self.wires.get(&id).is_none_or(|wire| wire.is_dead) {
            return;
        }
        self.cut(id, &mut bytes);
        self.shared.note("bytes to the server: connection", &[id.0, bytes.len() as u64]);
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.inbox.push_back(bytes);
        }
        self.feed(id);
    }

    /// Gives the server what it wants to read.
    pub(super) fn feed(&mut self, id: ConnectionId) {
        if self.shell.is_some() {
            return self.feed_shell(id);
        }
        loop {
            let wants = |server: &Server| server.sessions.get(&id).is_some_and(Session::wants_input);
            if !self.server.as_ref().is_some_and(wants) {
                return;
            }
            let Some(wire) = self.wires.get_mut(&id) else { return };
            if let Some(bytes) = wire.inbox.pop_front() {
                self.session_input(id, SessionInput::Received(&bytes));
            } else if wire.eof {
                wire.eof = false;
                return self.session_input(id, SessionInput::Eof);
            } else {
                return;
            }
        }
    }

    fn reach_client(&mut self, id: ConnectionId, mut bytes: Vec<u8>, mark: Mark) {
        let Some(wire) = self.wires.get(&id).filter(|wire| !wire.is_dead) else { return };
        let peer = wire.client;
        self.cut(id, &mut bytes);
        let Some(link) = self.peers[peer].link.as_mut().filter(|link| link.id == id) else { return };
        for received in link.receive(&mut self.shared, &bytes) {
            self.peers[peer].take(&mut self.shared, &self.store.model, received, mark);
        }
        self.flush(peer);
    }

    /// Perhaps the connection ends within these bytes: both ends learn of it, or neither.
    fn cut(&mut self, id: ConnectionId, bytes: &mut Vec<u8>) {
        let is_cut = self.shared.fault(self.shared.options.cut);
        if !is_cut && !self.shared.fault(self.shared.options.silence) {
            return;
        }
        self.shared.counts.cuts += 1;
        bytes.truncate(self.shared.dice.below(bytes.len() + 1));
        self.shared.note(if is_cut { "cut: connection" } else { "silence: connection" }, &[id.0]);
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.is_dead = true;
        if is_cut {
            for event in [Event::ServerEof(id), Event::ClientEof(id)] {
                let delay = self.shared.dice.delay(self.shared.options.network_delay);
                self.schedule.add(self.shared.now.mono + delay, event);
            }
        }
    }

    fn client_eof(&mut self, id: ConnectionId) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.is_dead = true;
        let link = &mut self.peers[wire.client].link;
        if link.as_ref().is_some_and(|link| link.id == id) {
            *link = None;
        }
    }

    /// The server starts, with what its store kept.
    fn start(&mut self) {
        self.epoch += 1;
        self.shared.note("server starts", &[self.epoch]);
        if self.start_shell() {
            return;
        }
        let broker = Broker::new(self.config.clone(), self.shared.now);
        self.server = Some(Server { broker, sessions: BTreeMap::new() });
        self.broker_input(BrokerInput::Timeout);
    }

    /// The server dies: everything but what the store made durable, and perhaps some of the rest.
    pub(super) fn crash(&mut self) {
        self.shared.counts.crashes += 1;
        let survive = self.shared.dice.below(self.store.losable() + 1);
        self.shared.note(
            "server crashes: operations that were not durable, of them kept",
            &[self.store.losable() as u64, survive as u64],
        );
        self.end(survive);
    }

    /// The server is no more; of the operations that may be lost this many survive. It starts again some time.
    pub(super) fn end(&mut self, survive: usize) {
        self.epoch += 1;
        let connections = self.connections();
        self.server = None;
        self.shell = None;
        let verdict = self.store.crash(survive, &self.shared.asked);
        self.shared.take(verdict);
        for id in connections {
            let delay = self.shared.dice.delay(self.shared.options.network_delay);
            self.schedule.add_behind(Lane::ToClient(id), self.shared.now.mono, delay, Event::ClientEof(id));
        }
        let delay = Duration::from_millis(self.shared.dice.below(5_000) as u64);
        self.schedule.add(self.shared.now.mono + delay, Event::Restart);
    }

    /// Whether a server runs.
    pub(super) const fn is_up(&self) -> bool {
        self.server.is_some() || self.shell.is_some()
    }

    /// Connections that the server has not let go of.
    pub(super) fn connections(&self) -> Vec<ConnectionId> {
        let sessions = self.server.iter().flat_map(|server| server.sessions.keys().copied());
        sessions.chain(self.shell.iter().flat_map(Shell::connections)).collect()
    }

    /// Queues that are subscribed to.
    pub(super) fn subscriptions(&self) -> usize {
        let of_broker = self.server.as_ref().map_or(0, |server| server.broker.subscriptions());
        of_broker + self.shell.as_ref().map_or(0, Shell::subscriptions)
    }
}
