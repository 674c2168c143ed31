//! The world: what happens next, to whom, and what goes wrong on the way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smp_core::Timestamp;
use smp_core::client::ClientInput;
use smp_core::server::proxy::ProxyInput;
use smp_core::server::{Broker, BrokerInput, ConnectionId, ModerationId, ServerConfig, SessionInput};
use smp_core::transport::ServerTransportConfig;

use super::client::Peer;
use super::moderation::Order;
use super::network::{Event, Inside, Lane, Life, LookUp, Schedule, Wire};
use super::relays::Relays;
use super::schedule::Next;
use super::setup::{config, identity};
use super::shared::Shared;
use super::site::{Server, Site, Whose};

/// Servers, their stores, their clients and what is between them.
pub(super) struct World {
    pub(super) shared: Shared,
    pub(super) config: Arc<ServerConfig>,
    pub(super) transport: ServerTransportConfig,
    pub(super) sites: Vec<Site>,
    /// Each is a client of one site.
    pub(super) peers: Vec<Peer>,
    pub(super) wires: BTreeMap<ConnectionId, Wire>,
    pub(super) schedule: Schedule,
    pub(super) outputs: u64,
    pub(super) acts_left: usize,
    /// Since when nothing happens, at the end of a round.
    pub(super) quiet_since: Option<Timestamp>,
    /// Clients have gone for good.
    pub(super) is_over: bool,
    pub(super) last_connection: u64,
    /// What the operator waits for.
    pub(super) orders: BTreeMap<ModerationId, Order>,
    pub(super) last_order: u64,
}

/// A timer of a site.
type Timer = (usize, Whose);

impl World {
    pub(super) fn new(seed: u64, is_verbose: bool) -> Self {
        let shared = Shared::new(seed, is_verbose);
        let sites = shared.options.servers;
        let peers =
            (0..shared.options.clients * sites).map(|index| Peer::new(index, &shared.options)).collect();
        let mut world = Self {
            config: Arc::new(config(&shared.options)),
            transport: ServerTransportConfig::new(identity(), Default::default()).expect("a usable identity"),
            sites: (0..sites).map(Site::new).collect(),
            peers,
            wires: BTreeMap::new(),
            schedule: Schedule::default(),
            outputs: 0,
            acts_left: 0,
            quiet_since: None,
            is_over: false,
            last_connection: 0,
            orders: BTreeMap::new(),
            last_order: 0,
            shared,
        };
        (0..sites).for_each(|site| world.start(site));
        (0..world.peers.len()).for_each(|peer| world.schedule.add(Timestamp::ZERO, Event::Act(peer)));
        world
    }

    /// Lets the next thing happen.
    pub(super) fn step(&mut self) {
        self.shared.counts.events += 1;
        let timer = self.next_timer();
        let Some((at, next)) = self.schedule.next(timer) else {
            return self.shared.trace.expect(false, || "nothing will ever happen again".into());
        };
        self.shared.trace.now = self.shared.trace.now.advanced_to(at);
        match next {
            Next::Timer(timer) => self.timeout(timer),
            Next::Event(event) => self.happen(event),
        }
    }

    fn next_timer(&self) -> Option<(Timestamp, Timer)> {
        self.sites
            .iter()
            .enumerate()
            .filter_map(|(at, site)| {
                let (due, whose) = site.next_timer()?;
                Some((due, (at, whose)))
            })
            .min()
    }

    /// A timer that came must not come again at once.
    fn timeout(&mut self, (site, whose): Timer) {
        let (name, number) = match whose {
            Whose::Shared => ("timer", 0),
            Whose::Session(id) => ("timer", id.0),
            Whose::Proxy => ("timer of the proxy", 0),
            Whose::Relay(id) => ("timer of a relay link", id.0),
        };
        self.shared.trace.note(name, &[site as u64, number]);
        if self.sites[site].shell.is_some() {
            return self.advance_shell(site);
        }
        let life = self.sites[site].life;
        match whose {
            Whose::Shared => self.broker_input(site, BrokerInput::Timeout),
            Whose::Session(id) => self.session_input(id, SessionInput::Timeout),
            Whose::Proxy => self.proxy_input(site, ProxyInput::Timeout),
            Whose::Relay(id) => self.relay_input(site, id, ClientInput::Timeout, None),
        }
        if self.sites[site].life != life {
            return;
        }
        let next = self.sites[site].poll_timeout(whose);
        let now = self.shared.trace.now.mono;
        self.shared.trace.expect(next.is_none_or(|next| next > now), || "a timer does not advance".into());
    }

    fn happen(&mut self, event: Event) {
        let Some(event) = self.happen_to_shell(event) else { return };
        match event {
            Event::Act(peer) => self.act(peer),
            Event::ToServer(id, bytes) => self.reach_server(id, bytes),
            Event::ToClient(id, bytes, mark) => self.reach_client(id, bytes, mark),
            Event::Taken(id, count) => {
                if self.wires.get(&id).is_some_and(|wire| !wire.is_dead) {
                    self.session_input(id, SessionInput::Sent(count));
                }
            }
            Event::ServerEof(id) => {
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.eof = true;
                }
                self.feed(id);
            }
            Event::ClientEof(id) => self.client_eof(id),
            Event::Restart(site) => self.start(site),
            Event::Inside(life, inside) => {
                if self.sites[life.site].life == life {
                    self.happen_inside(life.site, inside);
                }
            }
        }
    }

    fn happen_inside(&mut self, site: usize, event: Inside) {
        match event {
            Inside::ToBroker(id, request) => self.broker_input(site, BrokerInput::Request(id, request)),
            Inside::Disconnected(id) => self.broker_input(site, BrokerInput::Disconnected(id)),
            Inside::FromBroker(id, reply) => self.session_input(id, SessionInput::FromBroker(reply)),
            Inside::Apply => self.apply(site),
            Inside::Resolved(id, resolve, name) => {
                self.session_input(id, SessionInput::Resolved(resolve, super::names::resolve(&name).0));
            }
            Inside::Moderate(id, moderation) => {
                self.broker_input(site, BrokerInput::Moderate(id, moderation))
            }
            Inside::StoreDone(released) => {
                self.shared
                    .trace
                    .note("store answers: batch", &[released.id.0, released.reply.is_ok().into()]);
                self.sites[site].store.release(released.durable);
                self.broker_input(site, BrokerInput::StoreDone(released.id, released.reply));
            }
            Inside::LookedUp(id, look_up, records) => {
                let records = match records {
                    LookUp::Later(keys) => Ok(self.sites[site].store.look_up(&keys)),
                    LookUp::Done(records) => records,
                };
                self.session_input(id, SessionInput::LookedUp(look_up, records));
            }
            Inside::ToProxy(id, request) => self.proxy_input(site, ProxyInput::Request(id, request)),
            Inside::FromProxy(id, reply) => self.proxy_answers(id, reply),
            Inside::Relay(id, news) => self.hear_of_relay(site, id, news),
            Inside::RelaySent(id, count) => self.relay_input(site, id, ClientInput::Sent(count), None),
            // Of the shell alone.
            Inside::Step | Inside::StoreReady => {}
        }
    }

    /// Plans something within a site, unless its server is another one by then.
    pub(super) fn inside(&mut self, site: usize, delay: Duration, event: Inside) {
        let event = Event::Inside(self.sites[site].life, event);
        self.schedule.add(self.shared.trace.now.mono + delay, event);
    }

    /// The same, behind what is on this lane.
    pub(super) fn inside_behind(&mut self, lane: Lane, site: usize, delay: Duration, event: Inside) {
        let event = Event::Inside(self.sites[site].life, event);
        self.schedule.add_behind(lane, self.shared.trace.now.mono, delay, event);
    }

    /// Where the server of a connection is.
    pub(super) fn site_of(&self, id: ConnectionId) -> Option<usize> {
        self.wires.get(&id).map(|wire| wire.site)
    }

    /// A server starts, with what its store kept.
    fn start(&mut self, site: usize) {
        self.new_life(site);
        self.shared.trace.note("server starts", &[site as u64, self.sites[site].life.number]);
        if self.start_shell(site) {
            return;
        }
        let broker = Broker::new(self.config.clone(), self.shared.trace.now);
        let relays = self.config.proxy.then(|| Relays::new(self.config.clone(), self.shared.trace.now));
        self.sites[site].server = Some(Server { broker, sessions: BTreeMap::new(), relays });
        self.broker_input(site, BrokerInput::Timeout);
    }

    /// What is meant for the former server of this site is lost.
    fn new_life(&mut self, site: usize) {
        let Life { number, .. } = self.sites[site].life;
        self.sites[site].life = Life { site, number: number + 1 };
    }

    /// A server dies: everything but what its store made durable, and perhaps some of the rest.
    pub(super) fn crash(&mut self, site: usize) {
        self.shared.counts.crashes += 1;
        let losable = self.sites[site].store.losable();
        let survive = self.shared.dice.below(losable + 1);
        self.shared.trace.note(
            "server crashes: operations that were not durable, of them kept",
            &[site as u64, losable as u64, survive as u64],
        );
        self.end(site, survive);
    }

    /// A server is no more; of the operations that may be lost this many survive. It starts again some time.
    pub(super) fn end(&mut self, site: usize, survive: usize) {
        self.new_life(site);
        let state = &mut self.sites[site];
        let connections = state.connections();
        let relays = state.relays().map(|relays| std::mem::take(&mut relays.links)).unwrap_or_default();
        state.server = None;
        state.shell = None;
        let verdict = state.store.crash(survive, &self.shared.asked);
        self.shared.trace.take(verdict);
        relays.into_values().for_each(|link| self.forget_relay(site, link));
        for id in connections {
            let delay = self.shared.dice.delay(self.shared.options.network_delay);
            self.schedule.add_behind(
                Lane::ToClient(id),
                self.shared.trace.now.mono,
                delay,
                Event::ClientEof(id),
            );
        }
        let delay = Duration::from_millis(self.shared.dice.below(5_000) as u64);
        self.schedule.add(self.shared.trace.now.mono + delay, Event::Restart(site));
    }
}
