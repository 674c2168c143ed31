//! The shell of servers: it carries out the effects of sessions and brokers, unless the server crashes before one.

use std::collections::BTreeMap;
use std::time::Duration;

use smp_core::client::ClientInput;
use smp_core::server::proxy::ProxyInput;
use smp_core::server::store::{Batch, StoreFailure};
use smp_core::server::{Broker, BrokerInput, BrokerOutput, ConnectionId, SessionInput, SessionOutput};

use super::everywhere::Victim;
use super::relays::Relays;
use super::schedule::{Event, InServer, Lane, LookUp};
use super::site::{Fate, Server};
use super::world::World;

impl World {
    /// A server starts, with what its store kept.
    pub(super) fn start_server(&mut self, site: usize) {
        let state = &mut self.sites[site];
        state.life += 1;
        self.sim.trace.note("server starts: server, number", &[site as u64, state.life]);
        let broker = Broker::new(self.config.clone(), self.sim.trace.now);
        let relays = self.config.proxy.then(|| Relays::new(self.config.clone(), self.sim.trace.now));
        state.server = Some(Server { broker, sessions: BTreeMap::new(), relays });
        self.broker_input(site, BrokerInput::Timeout);
    }

    /// A server dies: everything but what its store made durable, and perhaps some of the rest. It starts again some time.
    pub(super) fn crash_server(&mut self, site: usize) {
        self.sim.counts.server_crashes += 1;
        let state = &mut self.sites[site];
        state.life += 1;
        let survive = self.sim.dice.below(state.store.losable() + 1);
        self.sim.trace.note("server crashes: server, operations kept", &[site as u64, survive as u64]);
        state.store.crash(survive);
        let server = state.server.take();
        let (sessions, relays) = server.map(|server| (server.sessions, server.relays)).unzip();
        let links = relays.flatten().into_iter().flat_map(|relays| relays.links.into_values());
        links.for_each(|link| self.leave(link.connection()));
        for id in sessions.into_iter().flat_map(BTreeMap::into_keys) {
            let delay = self.sim.dice.delay(self.sim.options.network_delay);
            self.schedule.add_behind(
                Lane::ToClient(id),
                self.sim.trace.now.mono,
                delay,
                Event::ClientEof(id),
            );
        }
        let is_long = self.sim.dice.chance(self.sim.options.features.outages);
        let longest = if is_long { OUTAGE_MAX } else { 20_000 };
        let delay = Duration::from_millis(self.sim.dice.below(longest) as u64);
        self.schedule.add(self.sim.trace.now.mono + delay, Event::StartServer(site));
    }

    pub(super) fn happen_in_server(&mut self, site: usize, event: InServer) {
        match event {
            InServer::ToBroker(id, request) => self.broker_input(site, BrokerInput::Request(id, request)),
            InServer::Disconnected(id) => self.broker_input(site, BrokerInput::Disconnected(id)),
            InServer::FromBroker(id, reply) => self.session_input(id, SessionInput::FromBroker(reply)),
            InServer::Apply => {
                if let Some(released) = self.sites[site].store.apply() {
                    let delay = self.sim.dice.delay(self.sim.options.store_delay);
                    self.in_server(site, delay, InServer::StoreDone(released));
                }
            }
            InServer::StoreDone(released) => {
                self.sim
                    .trace
                    .note("store of a server answers: ok", &[site as u64, released.reply.is_ok().into()]);
                self.sites[site].store.release(&released);
                self.broker_input(site, BrokerInput::StoreDone(released.id, released.reply));
            }
            InServer::ToProxy(id, request) => self.proxy_input(site, ProxyInput::Request(id, request)),
            InServer::FromProxy(id, reply) => self.session_input(id, SessionInput::FromProxy(reply)),
            InServer::Relay(id, news) => self.hear_of_relay(site, id, news),
            InServer::RelaySent(id, count) => self.relay_input(site, id, ClientInput::Sent(count)),
            InServer::LookedUp(id, look_up, found) => {
                let store = &mut self.sites[site].store;
                let found = found.found(|keys| store.look_up(keys));
                self.session_input(id, SessionInput::LookedUp(look_up, found));
            }
        }
    }

    /// Gives a session an input, and carries out what follows.
    pub(super) fn session_input(&mut self, id: ConnectionId, input: SessionInput<'_>) {
        let now = self.sim.trace.now;
        let Some(site) = self.wires.get(&id).map(|wire| wire.site) else { return };
        let Some(session) = self.sites[site].session(id) else { return };
        session.handle(now, input);
        loop {
            let Some(session) = self.sites[site].session(id) else { return };
            let Some(output) = session.poll_output() else { break };
            if self.dies_before_effect(site) {
                return self.crash_server(site);
            }
            self.session_output(site, id, output);
        }
        if self.wires.get(&id).is_some_and(|wire| wire.eof || !wire.inbox.is_empty()) {
            self.feed(id);
        }
    }

    fn session_output(&mut self, site: usize, id: ConnectionId, output: SessionOutput) {
        let now = self.sim.trace.now.mono;
        let inside = self.sim.dice.delay(self.sim.options.inside_delay);
        match output {
            SessionOutput::Send(bytes) => self.write_to_client(id, bytes),
            SessionOutput::LookUp(look_up, keys) => {
                let delay = self.sim.dice.delay(self.sim.options.store_delay);
                let fails = self.sim.dice.fault(self.sim.options.store_fails);
                let found = if fails { LookUp::Failed(StoreFailure) } else { LookUp::Later(keys) };
                self.in_server(site, delay, InServer::LookedUp(id, look_up, found));
            }
            SessionOutput::ToBroker(request) => {
                self.in_server_behind(Lane::ToBroker(id), site, inside, InServer::ToBroker(id, request));
            }
            SessionOutput::Close(reason) => {
                self.sim.trace.note(&format!("server closes, {reason:?}: connection"), &[id.0]);
                if let Some(server) = &mut self.sites[site].server {
                    server.sessions.remove(&id);
                }
                self.in_server_behind(Lane::ToBroker(id), site, inside, InServer::Disconnected(id));
                if self.wires.get(&id).is_some_and(|wire| !wire.is_dead) {
                    let delay = self.sim.dice.delay(self.sim.options.network_delay);
                    self.schedule.add_behind(Lane::ToClient(id), now, delay, Event::ClientEof(id));
                }
            }
            SessionOutput::ToProxy(request) => {
                self.in_server_behind(Lane::ToProxy(id), site, inside, InServer::ToProxy(id, request));
            }
            // Worlds of agents have no names.
            SessionOutput::Resolve(..) | SessionOutput::Event(_) => {}
        }
    }

    /// Gives the broker an input, and carries out what follows.
    pub(super) fn broker_input(&mut self, site: usize, input: BrokerInput) {
        let now = self.sim.trace.now;
        let Some(server) = &mut self.sites[site].server else { return };
        server.broker.handle(now, input);
        loop {
            let Some(server) = &mut self.sites[site].server else { return };
            let Some(output) = server.broker.poll_output() else { return };
            if self.dies_before_effect(site) {
                return self.crash_server(site);
            }
            match output {
                BrokerOutput::Store(batch) => self.submit(site, batch),
                BrokerOutput::Reply(id, reply) => {
                    let delay = self.sim.dice.delay(self.sim.options.inside_delay);
                    let event = InServer::FromBroker(id, reply);
                    self.in_server_behind(Lane::FromBroker(id), site, delay, event);
                }
                BrokerOutput::Moderated(..) => {}
            }
        }
    }

    pub(super) fn dies_before_effect(&mut self, site: usize) -> bool {
        self.effects[Victim::Server(site)] += 1;
        self.is_planned(Victim::Server(site)).is_some() || self.sim.dice.fault(self.sim.options.crash_server)
    }

    /// The store takes a batch over.
    fn submit(&mut self, site: usize, batch: Batch) {
        let fate = if self.sim.dice.fault(self.sim.options.store_fails) {
            Fate::Fails
        } else if self.sim.dice.fault(self.sim.options.store_loses_reply) {
            Fate::LosesReply
        } else {
            Fate::Done
        };
        self.sites[site].store.hand(batch, fate);
        let delay = self.sim.dice.delay(self.sim.options.store_delay);
        self.in_server_behind(Lane::Store(site), site, delay, InServer::Apply);
    }

    /// Plans something within a server, unless there is another one by then.
    pub(super) fn in_server(&mut self, site: usize, delay: Duration, event: InServer) {
        let event = Event::Server(site, self.sites[site].life, event);
        self.schedule.add(self.sim.trace.now.mono + delay, event);
    }

    /// The same, behind what is on this lane.
    pub(super) fn in_server_behind(&mut self, lane: Lane, site: usize, delay: Duration, event: InServer) {
        let event = Event::Server(site, self.sites[site].life, event);
        self.schedule.add_behind(lane, self.sim.trace.now.mono, delay, event);
    }
}

/// For how many milliseconds a server stays away that is away for long.
const OUTAGE_MAX: usize = 15 * 60_000;
