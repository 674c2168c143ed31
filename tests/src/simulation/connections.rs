//! Connections between clients and servers: made, fed, cut, ended.

use smp_core::client::ClientInput;
use smp_core::server::{ConnectionId, Session, SessionInput};

use super::client::{Link, Mark};
use super::network::{End, Event, Lane, Wire};
use super::setup::Ends;
use super::world::World;

impl World {
    /// A new connection of a client, unless there is no server.
    pub(super) fn connect(&mut self, peer: usize) {
        let site = self.peers[peer].site;
        if !self.sites[site].is_up() {
            return;
        }
        self.last_connection += 1;
        let id = ConnectionId(self.last_connection);
        let now = self.shared.trace.now;
        let service = self.peers[peer].membership.map(|membership| membership.service);
        let client = if let Some(server) = &mut self.sites[site].server {
            let ends = Ends::new(&mut self.shared, &self.transport, id, service);
            let seed = self.shared.dice.seed();
            let session = Session::new(self.config.clone(), ends.server, seed, now);
            server.sessions.insert(id, session);
            ends.client
        } else if self.connect_shell(site, id) {
            Ends::tls_client(&mut self.shared, service)
        } else {
            return;
        };
        self.wires.insert(id, Wire { client: End::Peer(peer), site, ..Wire::default() });
        self.peers[peer].link = Some(Link::new(id, client, now.mono));
        self.shared.trace.note("client connects: connection", &[peer as u64, id.0]);
        self.session_input(id, SessionInput::Received(&[]));
        self.flush(peer);
    }

    /// Hands what a client wants to send to the network.
    pub(super) fn flush(&mut self, peer: usize) {
        let Some(link) = &mut self.peers[peer].link else { return };
        for bytes in link.output() {
            let delay = self.shared.dice.delay(self.shared.options.network_delay);
            let event = Event::ToServer(link.id, bytes);
            self.schedule.add_behind(Lane::ToServer(link.id), self.shared.trace.now.mono, delay, event);
        }
    }

    /// The client ends its connection; the server learns of it, unless the connection is dead.
    pub(super) fn disconnect(&mut self, peer: usize) {
        let Some(link) = self.peers[peer].link.take() else { return };
        self.shared.trace.note("client disconnects: connection", &[peer as u64, link.id.0]);
        let Some(wire) = self.wires.get(&link.id).filter(|wire| !wire.is_dead) else { return };
        debug_assert!(wire.client == End::Peer(peer), "a wire leads to its client");
        let delay = self.shared.dice.delay(self.shared.options.network_delay);
        let lane = Lane::ToServer(link.id);
        self.schedule.add_behind(lane, self.shared.trace.now.mono, delay, Event::ServerEof(link.id));
    }

    pub(super) fn reach_server(&mut self, id: ConnectionId, mut bytes: Vec<u8>) {
        if self.wires.get(&id).is_none_or(|wire| wire.is_dead) {
            return;
        }
        self.cut(id, &mut bytes);
        self.shared.trace.note("bytes to the server: connection", &[id.0, bytes.len() as u64]);
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.inbox.push_back(bytes);
        }
        self.feed(id);
    }

    /// Gives the server what it wants to read.
    pub(super) fn feed(&mut self, id: ConnectionId) {
        let Some(site) = self.site_of(id) else { return };
        if self.sites[site].shell.is_some() {
            return self.feed_shell(site, id);
        }
        loop {
            if !self.sites[site].session(id).is_some_and(|session| session.wants_input()) {
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

    pub(super) fn reach_client(&mut self, id: ConnectionId, mut bytes: Vec<u8>, mark: Mark) {
        let Some(wire) = self.wires.get(&id).filter(|wire| !wire.is_dead) else { return };
        let end = wire.client;
        self.cut(id, &mut bytes);
        let peer = match end {
            End::Peer(peer) => peer,
            End::Relay(life, relay) => return self.reach_relay_link((life, relay), &bytes, mark),
        };
        let Some(link) = self.peers[peer].link.as_mut().filter(|link| link.id == id) else { return };
        for received in link.receive(&mut self.shared, &bytes) {
            self.peers[peer].take(&mut self.shared, &self.sites, received, mark);
        }
        self.flush(peer);
    }

    /// Perhaps the connection ends within these bytes: both ends learn of it, or neither.
    fn cut(&mut self, id: ConnectionId, bytes: &mut Vec<u8>) {
        let is_cut = self.shared.dice.fault(self.shared.options.cut);
        if !is_cut && !self.shared.dice.fault(self.shared.options.silence) {
            return;
        }
        self.shared.counts.cuts += 1;
        bytes.truncate(self.shared.dice.below(bytes.len() + 1));
        self.shared.trace.note(if is_cut { "cut: connection" } else { "silence: connection" }, &[id.0]);
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.is_dead = true;
        if is_cut {
            for event in [Event::ServerEof(id), Event::ClientEof(id)] {
                let delay = self.shared.dice.delay(self.shared.options.network_delay);
                self.schedule.add(self.shared.trace.now.mono + delay, event);
            }
        }
    }

    pub(super) fn client_eof(&mut self, id: ConnectionId) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.is_dead = true;
        let peer = match wire.client {
            End::Peer(peer) => peer,
            End::Relay(life, relay) => {
                if self.sites[life.site].life == life {
                    self.relay_input(life.site, relay, ClientInput::Eof, None);
                }
                return;
            }
        };
        let link = &mut self.peers[peer].link;
        if link.as_ref().is_some_and(|link| link.id == id) {
            *link = None;
        }
    }
}
