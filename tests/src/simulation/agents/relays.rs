//! The proxies of servers, and their links to other servers: clients on the same network as everybody.

use std::collections::VecDeque;

use smp_core::client::{
    Answer, Client, ClientInput, ClientLimits, ClientOutput, CommandId, Request, RequestError,
};
use smp_core::server::proxy::{ForwardId, ProxyInput, ProxyOutput, RelayId, RelayParameters};
use smp_core::server::{ConnectionId, Session, SessionInput};
use smp_core::wire::error::ErrorType;
use smp_core::wire::{FwdResponse, ServerAddress};

use super::super::relays::{self, NETWORK, address_of, broker, not_forwarded, parameters};
use super::network::{End, Wire};
use super::schedule::{Event, InServer, Lane};
use super::world::World;

/// The proxy of a server, and its links.
pub(super) type Relays = relays::Relays<RelayLink>;

/// A connection to another server, or one that is being made.
pub(super) struct RelayLink {
    pub(super) client: Client,
    connection: ConnectionId,
    is_made: bool,
}

/// What a link tells its proxy.
pub(super) enum News {
    Connected(RelayParameters),
    Failed,
    Lost,
    Answered(ForwardId, Result<FwdResponse, ErrorType>),
}

impl World {
    /// Gives the proxy of a server an input, and carries out what follows.
    pub(super) fn proxy_input(&mut self, site: usize, input: ProxyInput) {
        let now = self.sim.trace.now;
        let Some(relays) = self.sites[site].relays() else { return };
        relays.proxy.handle(now, input);
        loop {
            let Some(relays) = self.sites[site].relays() else { return };
            let Some(output) = relays.proxy.poll_output() else { return };
            if self.dies_before_effect(site) {
                return self.crash_server(site);
            }
            match output {
                ProxyOutput::Connect(id, address) => self.connect_relay(site, id, &address),
                ProxyOutput::Forward(id, forward, transmission) => {
                    self.sim.counts.forwards += 1;
                    self.sim.trace.note("proxy forwards: relay, command", &[site as u64, id.0, forward.0]);
                    let command = ClientInput::Command(CommandId(forward.0), Request::forward(&transmission));
                    self.relay_input(site, id, command);
                }
                ProxyOutput::Disconnect(id) => self.relay_input(site, id, ClientInput::Close),
                ProxyOutput::Reply(id, reply) => {
                    let delay = self.sim.dice.delay(self.sim.options.inside_delay);
                    self.in_server_behind(Lane::FromProxy(id), site, delay, InServer::FromProxy(id, reply));
                }
                ProxyOutput::Event(_) => {}
            }
        }
    }

    /// A link to another server, unless the attempt fails at once.
    fn connect_relay(&mut self, site: usize, id: RelayId, address: &ServerAddress) {
        self.last_connection += 1;
        let connection = ConnectionId(self.last_connection);
        let is_refused = self.sim.dice.fault(self.sim.options.refuse);
        let target = (0..self.sites.len()).find(|target| address_of(*target) == *address);
        let up = target.filter(|target| self.sites[*target].server.is_some() && !is_refused);
        let Some(target) = up else {
            self.sim.trace.note("proxy is refused: relay", &[site as u64, id.0]);
            return self.tell_proxy(site, id, connection, News::Failed);
        };
        let now = self.sim.trace.now;
        let (client, server) = self.ends(self.sim.options.servers[target], connection);
        let session = Session::new(self.config.clone(), server, self.sim.dice.seed(), now);
        if let Some(server) = &mut self.sites[target].server {
            server.sessions.insert(connection, session);
        }
        let mut limits = ClientLimits::default();
        limits.answer = self.config.limits.relay_answer;
        let client = Client::new(limits, client, self.sim.dice.seed(), now);
        let end = End::Relay { site, life: self.sites[site].life, link: id };
        let (inbox, is_dead, eof) = (VecDeque::new(), false, false);
        self.wires.insert(connection, Wire { client: end, site: target, is_dead, inbox, eof });
        if let Some(relays) = self.sites[site].relays() {
            relays.links.insert(id, RelayLink { client, connection, is_made: false });
        }
        self.sim.trace.note("proxy connects: relay, connection", &[site as u64, id.0, connection.0]);
        self.session_input(connection, SessionInput::Received(&[]));
        self.drain_relay(site, id);
    }

    /// Gives a link an input, and carries out what follows.
    pub(super) fn relay_input(&mut self, site: usize, id: RelayId, input: ClientInput<'_>) {
        let now = self.sim.trace.now;
        let Some(link) = self.sites[site].relays().and_then(|relays| relays.links.get_mut(&id)) else {
            return;
        };
        link.client.handle(now, input);
        self.drain_relay(site, id);
    }

    fn drain_relay(&mut self, site: usize, id: RelayId) {
        loop {
            let Some(link) = self.sites[site].relays().and_then(|relays| relays.links.get_mut(&id)) else {
                return;
            };
            let (connection, output) = (link.connection, link.client.poll_output());
            let Some(output) = output else { return };
            match output {
                ClientOutput::Send(bytes) => {
                    let (now, max) = (self.sim.trace.now.mono, self.sim.options.network_delay);
                    let taken = self.sim.dice.delay(max);
                    let event = InServer::RelaySent(id, bytes.len());
                    self.in_server_behind(Lane::TakenByClient(connection), site, taken, event);
                    let (delay, event) = (self.sim.dice.delay(max), Event::ToServer(connection, bytes));
                    self.schedule.add_behind(Lane::ToServer(connection), now, delay, event);
                }
                ClientOutput::Connected(_) => {
                    link.is_made = true;
                    if let Some(parameters) = parameters(&link.client) {
                        self.tell_proxy(site, id, connection, News::Connected(parameters));
                    }
                }
                ClientOutput::Answer(CommandId(forward), answer) => {
                    let answer = forwarded(answer);
                    // Each has a task of its own, so that they overtake each other.
                    let delay = self.sim.dice.delay(self.sim.options.inside_delay);
                    let news = InServer::Relay(id, News::Answered(ForwardId(forward), answer));
                    self.in_server(site, delay, news);
                }
                ClientOutput::Event(_) => {}
                ClientOutput::Close(_) => {
                    let news = if link.is_made { News::Lost } else { News::Failed };
                    self.sites[site].relays().into_iter().for_each(|relays| _ = relays.links.remove(&id));
                    self.leave(connection);
                    return self.tell_proxy(site, id, connection, news);
                }
            }
        }
    }

    /// What a link tells of its beginning and its end comes in order.
    fn tell_proxy(&mut self, site: usize, id: RelayId, connection: ConnectionId, news: News) {
        let delay = self.sim.dice.delay(self.sim.options.inside_delay);
        self.in_server_behind(Lane::FromLink(connection), site, delay, InServer::Relay(id, news));
    }

    /// A proxy hears of one of its links.
    pub(super) fn hear_of_relay(&mut self, site: usize, id: RelayId, news: News) {
        let input = match news {
            News::Connected(parameters) => ProxyInput::Connected(id, parameters),
            News::Failed => ProxyInput::ConnectFailed(id, broker(NETWORK)),
            News::Lost => ProxyInput::Lost(id),
            News::Answered(forward, answer) => ProxyInput::Answered(id, forward, answer),
        };
        self.proxy_input(site, input);
    }
}

impl RelayLink {
    /// On the network.
    pub(super) const fn connection(&self) -> ConnectionId {
        self.connection
    }
}

/// The relay's answer, or what the client is told instead.
fn forwarded(answer: Result<Answer, RequestError>) -> Result<FwdResponse, ErrorType> {
    match answer {
        Ok(Answer::Forwarded(response)) => Ok(response),
        answer => Err(answer.err().and_then(not_forwarded).unwrap_or_else(|| broker(NETWORK))),
    }
}
