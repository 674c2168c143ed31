//! The proxy of a site and its links to relays: clients of other sites, on the same network as everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use smp_core::Timestamp;
use smp_core::client::{
    Answer, Client, ClientEvent, ClientInput, ClientLimits, ClientOutput, CommandId, Request, RequestError,
};
use smp_core::server::proxy::{
    ForwardId, Proxy, ProxyInput, ProxyOutput, ProxyReply, RelayId, RelayParameters,
};
use smp_core::server::{ConnectionId, ServerConfig, Session, SessionInput};
use smp_core::wire::error::{BrokerErrorType, ErrorType, NetworkError, ProxyError};
use smp_core::wire::{FwdResponse, Host, ServerAddress, SessionId, Version};

use super::client::Mark;
use super::network::{End, Event, Inside, Lane, Life, Wire};
use super::setup::{Ends, identity};
use super::shared::Shared;
use super::world::World;

/// A proxy and its links.
pub(super) struct Relays<Link = RelayLink> {
    pub(super) proxy: Proxy,
    pub(super) links: BTreeMap<RelayId, Link>,
}

/// A connection to a relay, or one that is being made.
pub(super) struct RelayLink {
    pub(super) client: Client,
    connection: ConnectionId,
    target: usize,
    /// None until the handshake is done.
    session: Option<SessionId>,
}

/// What a relay link tells the proxy.
pub(super) enum News {
    Connected(RelayParameters),
    /// At this site.
    Failed(usize),
    Lost,
    Answered(ForwardId, Result<FwdResponse, ErrorType>),
}

/// What the world knows of relay sessions, to judge what clients are told of them.
#[derive(Default)]
pub(super) struct Routing {
    /// From which site to which each session led.
    pub(super) sessions: BTreeMap<SessionId, (usize, usize)>,
    pub(super) ended: BTreeSet<SessionId>,
    /// When a site last failed to connect to another one.
    pub(super) failures: BTreeMap<(usize, usize), Timestamp>,
    /// With which bytes of the relay the answer to each forwarded command came.
    pub(super) marks: BTreeMap<Vec<u8>, Mark>,
    /// How many senders of forwarded commands there were.
    pub(super) senders: u64,
}

impl<Link> Relays<Link> {
    pub(super) fn new(config: Arc<ServerConfig>, now: smp_core::Now) -> Self {
        Self { proxy: Proxy::new(config, Version::MAX, now), links: BTreeMap::new() }
    }
}

impl World {
    /// Gives the proxy of a site an input, and carries out what follows.
    pub(super) fn proxy_input(&mut self, site: usize, input: ProxyInput) {
        let now = self.shared.trace.now;
        let Some(relays) = self.sites[site].relays() else { return };
        relays.proxy.handle(now, input);
        loop {
            let Some(relays) = self.sites[site].relays() else { return };
            let due = relays.proxy.poll_timeout();
            let Some(output) = relays.proxy.poll_output() else { return };
            self.shared
                .trace
                .expect(due.is_some_and(|due| due <= now.mono), || "the proxy hides its output".into());
            if self.shared.dice.fault(self.shared.options.crash) {
                return self.crash(site);
            }
            self.proxy_output(site, output);
        }
    }

    fn proxy_output(&mut self, site: usize, output: ProxyOutput) {
        match output {
            ProxyOutput::Connect(id, address) => self.connect_relay(site, id, &address),
            ProxyOutput::Forward(id, forward, transmission) => {
                self.shared.trace.note("proxy forwards: relay, command", &[site as u64, id.0, forward.0]);
                let request = Request::forward(&transmission);
                self.relay_input(site, id, ClientInput::Command(CommandId(forward.0), request), None);
                if self.shared.dice.fault(self.shared.options.features.repeats) {
                    self.shared
                        .trace
                        .note("proxy forwards again: relay, command", &[site as u64, id.0, forward.0]);
                    let command = CommandId(forward.0 | REPEATED);
                    let request = Request::forward(&transmission);
                    self.relay_input(site, id, ClientInput::Command(command, request), None);
                }
            }
            ProxyOutput::Disconnect(id) => {
                self.shared.trace.note("proxy disconnects: relay", &[site as u64, id.0]);
                self.relay_input(site, id, ClientInput::Close, None);
            }
            ProxyOutput::Reply(id, reply) => {
                let delay = self.shared.dice.delay(self.shared.options.inside_delay);
                self.inside_behind(Lane::FromProxy(id), site, delay, Inside::FromProxy(id, reply));
            }
            ProxyOutput::Event(_) => {}
        }
    }

    /// A link to a relay, unless the attempt fails at once.
    fn connect_relay(&mut self, site: usize, id: RelayId, address: &ServerAddress) {
        let target = (0..self.sites.len()).find(|site| address_of(*site) == *address);
        let is_refused = self.shared.dice.fault(self.shared.options.cut);
        let up = target.filter(|target| self.sites[*target].is_up() && !is_refused);
        let Some(target) = up else {
            let target = target.unwrap_or(NOWHERE);
            self.shared.trace.note("proxy is refused: relay, site", &[site as u64, id.0, target as u64]);
            let delay = self.shared.dice.delay(self.shared.options.network_delay);
            return self.inside(site, delay, Inside::Relay(id, News::Failed(target)));
        };
        self.last_connection += 1;
        let connection = ConnectionId(self.last_connection);
        let now = self.shared.trace.now;
        let ends = Ends::of_relay(&mut self.shared, &self.transport, connection);
        let (seed, client_seed) = (self.shared.dice.seed(), self.shared.dice.seed());
        let session = Session::new(self.config.clone(), ends.server, seed, now);
        if let Some(server) = &mut self.sites[target].server {
            server.sessions.insert(connection, session);
        }
        let mut limits = ClientLimits::default();
        limits.answer = self.config.limits.relay_answer;
        limits.late_answers = 0;
        let client = Client::new(limits, ends.client, client_seed, now);
        let end = End::Relay(self.sites[site].life, id);
        self.wires.insert(connection, Wire { client: end, site: target, ..Wire::default() });
        let link = RelayLink { client, connection, target, session: None };
        if let Some(relays) = self.sites[site].relays() {
            relays.links.insert(id, link);
        }
        self.shared.trace.note("proxy connects: relay, connection", &[site as u64, id.0, connection.0]);
        self.session_input(connection, SessionInput::Received(&[]));
        self.drain_relay(site, id, None);
    }

    /// Gives a relay link an input, perhaps bytes that the relay sent at `mark`, and carries out what follows.
    pub(super) fn relay_input(
        &mut self,
        site: usize,
        id: RelayId,
        input: ClientInput<'_>,
        mark: Option<Mark>,
    ) {
        let now = self.shared.trace.now;
        let Some(link) = self.sites[site].relay(id) else { return };
        link.client.handle(now, input);
        self.drain_relay(site, id, mark);
    }

    fn drain_relay(&mut self, site: usize, id: RelayId, mark: Option<Mark>) {
        let now = self.shared.trace.now.mono;
        loop {
            let Some(link) = self.sites[site].relay(id) else { return };
            let due = link.client.poll_timeout();
            let Some(output) = link.client.poll_output() else { return };
            self.shared
                .trace
                .expect(due.is_some_and(|due| due <= now), || "a relay link hides its output".into());
            if self.shared.dice.fault(self.shared.options.crash) {
                return self.crash(site);
            }
            self.relay_output(site, id, output, mark);
        }
    }

    fn relay_output(&mut self, site: usize, id: RelayId, output: ClientOutput, mark: Option<Mark>) {
        let now = self.shared.trace.now.mono;
        let max = self.shared.options.network_delay;
        let Some(link) = self.sites[site].relay(id) else { return };
        let connection = link.connection;
        match output {
            ClientOutput::Send(bytes) => {
                let taken = self.shared.dice.delay(max);
                let event = Inside::RelaySent(id, bytes.len());
                self.inside_behind(Lane::RelaySent(connection), site, taken, event);
                let delay = self.shared.dice.delay(max);
                let event = Event::ToServer(connection, bytes);
                self.schedule.add_behind(Lane::ToServer(connection), now, delay, event);
            }
            ClientOutput::Connected(_) => {
                let Some(parameters) = parameters(&link.client) else { return };
                link.session = Some(parameters.session_id.clone());
                let places = (site, link.target);
                self.shared.routing.sessions.insert(parameters.session_id.clone(), places);
                self.tell_proxy(site, (id, connection), News::Connected(parameters));
            }
            ClientOutput::Answer(CommandId(forward), answer) if forward & REPEATED != 0 => {
                self.shared.trace.note("relay answers what was repeated: command", &[forward & !REPEATED]);
                self.shared.trace.expect(answer.is_err(), || "a relay carried a command out twice".into());
            }
            ClientOutput::Answer(CommandId(forward), answer) => {
                let answer = forwarded(&mut self.shared, answer, mark);
                // Each has a task of its own, so that they overtake each other.
                let delay = self.shared.dice.delay(self.shared.options.inside_delay);
                let news = News::Answered(ForwardId(forward), answer);
                self.inside(site, delay, Inside::Relay(id, news));
            }
            ClientOutput::Event(event) => {
                let is_bad =
                    matches!(event, ClientEvent::MalformedBlock | ClientEvent::MalformedTransmission);
                self.shared.trace.expect(!is_bad, || "a proxy cannot read what its relay sent".into());
            }
            ClientOutput::Close(reason) => {
                self.shared
                    .trace
                    .note(&format!("relay link closes, {reason:?}: relay"), &[site as u64, id.0]);
                self.end_relay(site, id);
            }
        }
    }

    /// A relay link is over: the proxy learns of it, and so does the relay, unless the connection is dead.
    fn end_relay(&mut self, site: usize, id: RelayId) {
        let Some(relays) = self.sites[site].relays() else { return };
        let Some(link) = relays.links.remove(&id) else { return };
        let connection = link.connection;
        let news = if link.session.is_some() { News::Lost } else { News::Failed(link.target) };
        self.forget_relay(site, link);
        self.tell_proxy(site, (id, connection), news);
    }

    /// What is left of a link whose proxy has ended it, or has died.
    pub(super) fn forget_relay(&mut self, site: usize, link: RelayLink) {
        match link.session {
            Some(session) => _ = self.shared.routing.ended.insert(session),
            None => _ = self.shared.routing.failures.insert((site, link.target), self.shared.trace.now.mono),
        }
        let id = link.connection;
        if self.wires.get(&id).is_some_and(|wire| !wire.is_dead) {
            let delay = self.shared.dice.delay(self.shared.options.network_delay);
            self.schedule.add_behind(
                Lane::ToServer(id),
                self.shared.trace.now.mono,
                delay,
                Event::ServerEof(id),
            );
        }
    }

    fn tell_proxy(&mut self, site: usize, (id, connection): (RelayId, ConnectionId), news: News) {
        let delay = self.shared.dice.delay(self.shared.options.inside_delay);
        self.inside_behind(Lane::FromRelay(connection), site, delay, Inside::Relay(id, news));
    }

    pub(super) fn hear_of_relay(&mut self, site: usize, id: RelayId, news: News) {
        let input = match news {
            News::Connected(parameters) => ProxyInput::Connected(id, parameters),
            News::Failed(target) => {
                // The proxy remembers it from now on.
                self.shared.routing.failures.insert((site, target), self.shared.trace.now.mono);
                ProxyInput::ConnectFailed(id, broker(NETWORK))
            }
            News::Lost => ProxyInput::Lost(id),
            News::Answered(forward, answer) => ProxyInput::Answered(id, forward, answer),
        };
        self.proxy_input(site, input);
    }

    /// The answer to a command of a session that was for the proxy.
    pub(super) fn proxy_answers(&mut self, id: ConnectionId, reply: ProxyReply) {
        self.session_input(id, SessionInput::FromProxy(reply));
    }

    /// Bytes of a relay reach the site that is connected to it.
    pub(super) fn reach_relay_link(&mut self, (life, id): (Life, RelayId), bytes: &[u8], mark: Mark) {
        if self.sites[life.site].life == life {
            self.relay_input(life.site, id, ClientInput::Received(bytes), Some(mark));
        }
    }

    /// Links to relays, of all sites.
    pub(super) fn relay_links(&self) -> usize {
        let relays = self.sites.iter().filter_map(|site| site.server.as_ref()?.relays.as_ref());
        relays.map(|relays| relays.links.len() + relays.proxy.relays() + relays.proxy.in_flight()).sum()
    }
}

/// The address of a site.
pub(super) fn address_of(site: usize) -> ServerAddress {
    let host = Host::Ipv4(Ipv4Addr::new(192, 0, 2, u8::try_from(site).expect("a few sites") + 1));
    ServerAddress::new(vec![host], None, *identity().fingerprint()).expect("one host")
}

/// The relay's answer, or what the client is told instead.
fn forwarded(
    shared: &mut Shared,
    answer: Result<Answer, RequestError>,
    mark: Option<Mark>,
) -> Result<FwdResponse, ErrorType> {
    match answer {
        Ok(Answer::Forwarded(response)) => {
            let correlation = response.correlation_id.as_bytes().to_vec();
            let former = mark.and_then(|mark| shared.routing.marks.insert(correlation, mark));
            shared.trace.expect(mark.is_some() && former.is_none(), || {
                "a forwarded command was answered twice, or from nowhere".into()
            });
            Ok(response)
        }
        answer => {
            let told = answer.err().and_then(not_forwarded);
            let is_told = told.is_some();
            shared.trace.expect(is_told, || "a proxy cannot open what its relay answered".into());
            Err(told.unwrap_or(ErrorType::Crypto))
        }
    }
}

/// What the proxy is told of a relay that it is connected to now.
pub(super) fn parameters(client: &Client) -> Option<RelayParameters> {
    let session = client.session()?;
    Some(RelayParameters {
        session_id: session.session_id.clone(),
        versions: session.versions,
        server_auth: session.server_auth.clone(),
    })
}

/// What a client is told whose command a relay did not answer, or refused; nothing, if no relay answers like this.
pub(super) fn not_forwarded(error: RequestError) -> Option<ErrorType> {
    match error {
        RequestError::Server(error) => Some(ErrorType::Proxy(Box::new(ProxyError::Protocol(error)))),
        RequestError::Timeout => Some(broker(BrokerErrorType::Timeout)),
        RequestError::NotSent | RequestError::OutcomeUnknown | RequestError::Rejected(_) => {
            Some(broker(NETWORK))
        }
        _ => None,
    }
}

pub(super) fn broker(error: BrokerErrorType) -> ErrorType {
    ErrorType::Proxy(Box::new(ProxyError::Broker(error)))
}

pub(super) const NETWORK: BrokerErrorType = BrokerErrorType::Network(NetworkError::Failed);
/// In the ids of commands that are forwarded a second time.
const REPEATED: u64 = 1 << 63;
/// A site that there is not.
pub(super) const NOWHERE: usize = 99;
