//! Connections between clients and servers: made or refused, fed, cut, ended.

use std::collections::VecDeque;
use std::sync::OnceLock;

use smp_core::agent::{AgentInput, LinkId};
use smp_core::client::{Client, ClientInput, ClientLimits, ClientOutput};
use smp_core::server::proxy::RelayId;
use smp_core::server::{ConnectionId, Session, SessionInput};
use smp_core::transport::{ClientOptions, ClientTransportConfig, PlainPeer, Transport};
use smp_core::wire::error::{BrokerErrorType, NetworkError};
use smp_core::wire::{ServerAddress, Version, VersionRange};

use super::super::relays::address_of;
use super::super::setup::identity;
use super::person::Session as PersonSession;
use super::schedule::{Event, InPerson, Lane};
use super::world::World;

/// Who is at the client's end of a connection, and which of his processes.
#[derive(Clone, Copy)]
pub(super) enum End {
    Person {
        person: usize,
        life: u64,
        link: LinkId,
    },
    /// A server, as a proxy.
    Relay {
        site: usize,
        life: u64,
        link: RelayId,
    },
}

/// A connection.
pub(super) struct Wire {
    pub(super) client: End,
    /// Where the server is.
    pub(super) site: usize,
    /// Nothing passes any more; whether anybody learns of it is another matter.
    pub(super) is_dead: bool,
    /// What the server does not want to read yet.
    pub(super) inbox: VecDeque<Vec<u8>>,
    pub(super) eof: bool,
}

impl World {
    /// A session with a server, unless the attempt fails.
    pub(super) fn connect(&mut self, person: usize, link: LinkId, address: &ServerAddress) {
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let site = (0..self.sites.len()).find(|site| address_of(*site) == *address);
        let site = site.filter(|site| self.sites[*site].server.is_some());
        let is_refused = self.sim.dice.fault(self.sim.options.refuse);
        let Some(site) = site.filter(|_| !is_refused) else {
            self.sim.trace.note("refused: person, link", &[person as u64, link.0]);
            self.sim.counts.cuts += u64::from(is_refused);
            self.people[person]
                .sessions
                .insert(link, PersonSession { connection: id, site: None, client: None });
            return self.tell_agent(person, link, id, AgentInput::LinkLost(link, LOST));
        };
        self.sim.trace.note("connects: person, link, connection", &[person as u64, link.0, id.0]);
        let now = self.sim.trace.now;
        let (client, server) = self.ends(self.sim.options.servers[site], id);
        let session = Session::new(self.config.clone(), server, self.sim.dice.seed(), now);
        if let Some(server) = &mut self.sites[site].server {
            server.sessions.insert(id, session);
        }
        let client = Client::new(ClientLimits::default(), client, self.sim.dice.seed(), now);
        let life = self.people[person].life;
        let (inbox, is_dead, eof) = (VecDeque::new(), false, false);
        let end = End::Person { person, life, link };
        self.wires.insert(id, Wire { client: end, site, is_dead, inbox, eof });
        self.people[person]
            .sessions
            .insert(link, PersonSession { connection: id, site: Some(site), client: Some(client) });
        self.session_input(id, SessionInput::Received(&[]));
        self.drain_client(person, link);
    }

    /// Both ends of a connection. TLS is left out: it has its own tests.
    pub(super) fn ends(&mut self, version: Version, id: ConnectionId) -> (Transport, Transport) {
        static CONFIGS: [OnceLock<ClientTransportConfig>; Version::MAX.0 as usize + 1] =
            [const { OnceLock::new() }; Version::MAX.0 as usize + 1];
        let config = CONFIGS[usize::from(version.0)].get_or_init(|| {
            let options = ClientOptions { versions: VersionRange::only(version), ..ClientOptions::default() };
            ClientTransportConfig::new(*identity().fingerprint(), options).expect("a usable configuration")
        });
        let mut session_id = [0; 32];
        session_id[..8].copy_from_slice(&id.0.to_be_bytes());
        let at_server = PlainPeer { session_id, has_alpn: true, ..PlainPeer::default() };
        let at_client = PlainPeer { certificates: identity().chain().to_vec(), ..at_server.clone() };
        let (now, dice) = (self.sim.trace.now, &mut self.sim.dice);
        let client = Transport::plain_client(config.clone(), at_client, dice.seed(), now);
        let server = Transport::plain_server(self.transport.clone(), at_server, dice.seed(), now);
        (client, server)
    }

    /// Gives the client of a link an input, and carries out what follows.
    pub(super) fn client_input(&mut self, person: usize, link: LinkId, input: ClientInput<'_>) {
        let now = self.sim.trace.now;
        let Some(client) = self.people[person].client(link) else { return };
        client.handle(now, input);
        self.drain_client(person, link);
    }

    fn drain_client(&mut self, person: usize, link: LinkId) {
        loop {
            let Some(session) = self.people[person].sessions.get_mut(&link) else { return };
            let id = session.connection;
            let Some(output) = session.client.as_mut().and_then(Client::poll_output) else { return };
            match output {
                ClientOutput::Send(bytes) => self.write_to_server(person, link, id, bytes),
                ClientOutput::Connected(_) => {
                    self.tell_agent(person, link, id, AgentInput::LinkReady(link, None));
                }
                ClientOutput::Answer(command, answer) => {
                    self.tell_agent(person, link, id, AgentInput::Answer(command, answer));
                }
                ClientOutput::Event(event) => {
                    self.tell_agent(person, link, id, AgentInput::Told(link, event));
                }
                ClientOutput::Close(reason) => {
                    self.sim.trace.note(&format!("client closes, {reason:?}: connection"), &[id.0]);
                    session.client = None;
                    self.tell_agent(person, link, id, AgentInput::LinkLost(link, LOST));
                    self.leave(id);
                }
            }
        }
    }

    /// What a client tells comes in order, unless the agent gives the session up before.
    fn tell_agent(&mut self, person: usize, link: LinkId, id: ConnectionId, input: AgentInput) {
        let delay = self.sim.dice.delay(self.sim.options.inside_delay);
        let event = InPerson::Link(link, id, input);
        self.in_person_behind(Lane::FromLink(id), person, delay, event);
    }

    fn write_to_server(&mut self, person: usize, link: LinkId, id: ConnectionId, bytes: Vec<u8>) {
        let (now, max) = (self.sim.trace.now.mono, self.sim.options.network_delay);
        let taken = self.sim.dice.delay(max);
        let event = InPerson::Taken(link, id, bytes.len());
        self.in_person_behind(Lane::TakenByClient(id), person, taken, event);
        let delay = self.sim.dice.delay(max);
        self.schedule.add_behind(Lane::ToServer(id), now, delay, Event::ToServer(id, bytes));
    }

    pub(super) fn write_to_client(&mut self, id: ConnectionId, bytes: Vec<u8>) {
        let (now, max) = (self.sim.trace.now.mono, self.sim.options.network_delay);
        let taken = self.sim.dice.delay(max);
        self.schedule.add_behind(Lane::Taken(id), now, taken, Event::Taken(id, bytes.len()));
        let delay = self.sim.dice.delay(max);
        self.schedule.add_behind(Lane::ToClient(id), now, delay, Event::ToClient(id, bytes));
    }

    pub(super) fn reach_server(&mut self, id: ConnectionId, mut bytes: Vec<u8>) {
        if self.wires.get(&id).is_none_or(|wire| wire.is_dead) {
            return;
        }
        self.cut(id, &mut bytes);
        self.sim.trace.note_bytes(&bytes);
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.inbox.push_back(bytes);
        }
        self.feed(id);
    }

    /// Gives the server what it wants to read.
    pub(super) fn feed(&mut self, id: ConnectionId) {
        loop {
            let Some(wire) = self.wires.get_mut(&id) else { return };
            if !self.sites[wire.site].session(id).is_some_and(|session| session.wants_input()) {
                return;
            }
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

    pub(super) fn reach_client(&mut self, id: ConnectionId, mut bytes: Vec<u8>) {
        if self.wires.get(&id).is_none_or(|wire| wire.is_dead) {
            return;
        }
        self.cut(id, &mut bytes);
        self.sim.trace.note_bytes(&bytes);
        self.client_of(id, ClientInput::Received(&bytes));
    }

    pub(super) fn client_eof(&mut self, id: ConnectionId) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.is_dead = true;
        self.client_of(id, ClientInput::Eof);
    }

    /// Something comes to the client at the end of a connection, if it is still there.
    fn client_of(&mut self, id: ConnectionId, input: ClientInput<'_>) {
        match self.wires.get(&id).map(|wire| wire.client) {
            Some(End::Person { person, life, link }) => {
                let state = &self.people[person];
                let session = state.sessions.get(&link).filter(|_| state.life == life);
                if session.is_some_and(|session| session.connection == id) {
                    self.client_input(person, link, input);
                }
            }
            Some(End::Relay { site, life, link }) if self.sites[site].life == life => {
                self.relay_input(site, link, input);
            }
            _ => {}
        }
    }

    /// The client has ended a connection, or has died; the server learns of it, unless the connection is dead.
    pub(super) fn leave(&mut self, id: ConnectionId) {
        if self.wires.get(&id).is_some_and(|wire| !wire.is_dead) {
            let delay = self.sim.dice.delay(self.sim.options.network_delay);
            self.schedule.add_behind(
                Lane::ToServer(id),
                self.sim.trace.now.mono,
                delay,
                Event::ServerEof(id),
            );
        }
    }

    /// Perhaps the connection ends within these bytes: both ends learn of it, or neither.
    fn cut(&mut self, id: ConnectionId, bytes: &mut Vec<u8>) {
        let is_cut = self.sim.dice.fault(self.sim.options.cut);
        if !is_cut && !self.sim.dice.fault(self.sim.options.silence) {
            return;
        }
        self.sim.counts.cuts += 1;
        bytes.truncate(self.sim.dice.below(bytes.len() + 1));
        self.sim.trace.note(if is_cut { "cut: connection" } else { "silence: connection" }, &[id.0]);
        if is_cut {
            self.end_wire(id);
        } else if let Some(wire) = self.wires.get_mut(&id) {
            wire.is_dead = true;
        }
    }

    /// Nothing passes any more, and both ends learn of it.
    pub(super) fn end_wire(&mut self, id: ConnectionId) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.is_dead = true;
        for event in [Event::ServerEof(id), Event::ClientEof(id)] {
            let delay = self.sim.dice.delay(self.sim.options.network_delay);
            self.schedule.add(self.sim.trace.now.mono + delay, event);
        }
    }
}

/// Why there is no session: nothing here depends on it.
const LOST: BrokerErrorType = BrokerErrorType::Network(NetworkError::Failed);
