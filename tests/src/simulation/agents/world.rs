//! The world: what happens next, to whom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smp_core::Timestamp;
use smp_core::agent::{AgentConfig, AgentInput, UserId, UserServer};
use smp_core::client::ClientInput;
use smp_core::server::proxy::ProxyInput;
use smp_core::server::{BrokerInput, ConnectionId, ServerConfig, SessionInput};
use smp_core::transport::ServerTransportConfig;

use super::super::dice::Dice;
use super::super::relays::address_of;
use super::super::schedule::Next;
use super::super::setup::identity;
use super::addresses::Address;
use super::ciphers::Ciphers;
use super::everywhere::{Effects, How, Victim};
use super::model::Talk;
use super::network::Wire;
use super::options::Options;
use super::person::{Person, Whose};
use super::schedule::{Event, Schedule};
use super::sim::Sim;
use super::site::{Site, Whose as InServer};

/// Servers, people, and what is between them.
pub(super) struct World {
    pub(super) sim: Sim,
    pub(super) config: Arc<ServerConfig>,
    pub(super) transport: ServerTransportConfig,
    pub(super) sites: Vec<Site>,
    pub(super) people: Vec<Person>,
    pub(super) talks: Vec<Talk>,
    pub(super) ciphers: Ciphers,
    pub(super) wires: BTreeMap<ConnectionId, Wire>,
    pub(super) schedule: Schedule,
    /// How many effects each machine had.
    pub(super) effects: Effects,
    pub(super) acts_left: usize,
    pub(super) round: usize,
    /// Since when nothing happens, at the end of a round.
    pub(super) quiet_since: Option<Timestamp>,
    pub(super) last_connection: u64,
}

/// Whose timer it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    Server(usize, InServer),
    Person(usize, Whose),
}

impl World {
    pub(super) fn new(dice: Dice, options: Options, is_verbose: bool) -> Self {
        let mut sim = Sim::new(dice, options, is_verbose);
        let options = sim.options.clone();
        sim.trace.note(&format!("{options:?}"), &[]);
        let mut config = ServerConfig::default();
        config.proxy = !options.features.networks.is_empty();
        config.message_quota = u32::try_from(options.quota).expect("a small number");
        let mut world = Self {
            config: Arc::new(config),
            transport: ServerTransportConfig::new(identity(), Default::default()).expect("a usable identity"),
            sites: options.servers.iter().map(|_| Site::default()).collect(),
            people: (0..options.people.len())
                .map(|person| Person::new(config_of(&options, person)))
                .collect(),
            talks: (0..options.talks.len()).map(|talk| talk_of(&options, talk)).collect(),
            ciphers: Ciphers::default(),
            wires: BTreeMap::new(),
            schedule: Schedule::default(),
            effects: Effects::default(),
            acts_left: 0,
            round: 0,
            quiet_since: None,
            last_connection: 0,
            sim,
        };
        (0..world.sites.len()).for_each(|site| world.start_server(site));
        (0..world.people.len()).for_each(|person| world.start_agent(person));
        (0..world.people.len()).for_each(|person| world.schedule.add(Timestamp::ZERO, Event::Act(person)));
        world
    }

    /// Lets the next thing happen.
    pub(super) fn step(&mut self) {
        self.sim.counts.events += 1;
        let timer = self.next_timer();
        let Some((at, next)) = self.schedule.next(timer) else {
            return self.sim.trace.expect(false, || "nothing will ever happen again".into());
        };
        self.sim.trace.now = self.sim.trace.now.advanced_to(at);
        match next {
            Next::Timer(timer) => self.timeout(timer),
            Next::Event(event) => self.happen(event),
        }
    }

    /// Whether a story has its crash now.
    pub(super) fn is_planned(&self, victim: Victim) -> Option<How> {
        let plan = self.sim.plan.as_ref()?;
        let is_it = plan.victim == victim && plan.effect == self.effects[victim];
        is_it.then_some(plan.how)
    }

    fn next_timer(&self) -> Option<(Timestamp, Timer)> {
        let sites = self.sites.iter().enumerate().filter_map(|(site, state)| {
            let (due, session) = state.next_timer()?;
            Some((due, Timer::Server(site, session)))
        });
        let people = self.people.iter().enumerate().filter_map(|(person, state)| {
            let (due, whose) = state.next_timer()?;
            Some((due, Timer::Person(person, whose)))
        });
        sites.chain(people).min()
    }

    /// A timer that came must not come again at once.
    fn timeout(&mut self, timer: Timer) {
        self.sim.trace.note(&format!("{timer:?}"), &[]);
        let lives = |world: &Self| match timer {
            Timer::Server(site, _) => world.sites[site].life,
            Timer::Person(person, _) => world.people[person].life,
        };
        let life = lives(self);
        match timer {
            Timer::Server(site, InServer::Broker) => self.broker_input(site, BrokerInput::Timeout),
            Timer::Server(_, InServer::Session(id)) => self.session_input(id, SessionInput::Timeout),
            Timer::Server(site, InServer::Proxy) => self.proxy_input(site, ProxyInput::Timeout),
            Timer::Server(site, InServer::Relay(id)) => self.relay_input(site, id, ClientInput::Timeout),
            Timer::Person(person, Whose::Agent) => self.agent_input(person, AgentInput::Timeout),
            Timer::Person(person, Whose::Client(link)) => {
                self.client_input(person, link, ClientInput::Timeout);
            }
        }
        if lives(self) != life {
            return;
        }
        let next = match timer {
            Timer::Server(site, session) => self.sites[site].poll_timeout(session),
            Timer::Person(person, whose) => self.people[person].poll_timeout(whose),
        };
        let now = self.sim.trace.now.mono;
        self.sim
            .trace
            .expect(next.is_none_or(|next| next > now), || format!("a timer does not advance: {timer:?}"));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act(person) => self.act(person),
            Event::ToServer(id, bytes) => self.reach_server(id, bytes),
            Event::ToClient(id, bytes) => self.reach_client(id, bytes),
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
            Event::StartServer(site) => self.start_server(site),
            Event::StartAgent(person) => self.start_agent(person),
            Event::Server(site, life, event) => {
                if self.sites[site].life == life {
                    self.happen_in_server(site, event);
                }
            }
            Event::Person(person, life, event) => {
                if self.people[person].life == life {
                    self.happen_in_person(person, event);
                }
            }
        }
    }
}

/// The settings of a person.
fn config_of(options: &Options, person: usize) -> Arc<AgentConfig> {
    let features = &options.features;
    let server = |site: &usize| UserServer::new(address_of(*site));
    let of_user: Vec<_> = options.people[person].iter().map(server).collect();
    let users = if features.users.is_empty() { 1..=1 } else { 1..=2 };
    let mut config = AgentConfig {
        servers: users.map(|user| (UserId(user), of_user.clone())).collect(),
        network: features.networks.get(person).copied().unwrap_or_default(),
        ..AgentConfig::default()
    };
    config.limits.receive_queues = features.receive_queues.get(person).copied().unwrap_or(1);
    config.limits.delete_wait = DELETE_WAIT;
    Arc::new(config)
}

/// A talk with what it has beside messages.
fn talk_of(options: &Options, index: usize) -> Talk {
    let features = &options.features;
    let mut talk = Talk::new(index, options.talks[index]);
    talk.has_faults = options.has_network_faults();
    let rejections = features.addresses.get(index).copied().flatten();
    talk.address = rejections.map(Address::new);
    for (side, who) in talk.sides.iter_mut().enumerate() {
        who.user = features.users.get(index).map_or(USER, |users| users[side]);
        who.queues = features.receive_queues.get(who.person).copied().unwrap_or(1);
    }
    talk
}

/// How long a connection that is deleted after delivery waits: nobody may ever empty the queue that it sends to, and when that is over
/// has to be seen before the time is over in which everything comes to its end.
const DELETE_WAIT: Duration = Duration::from_secs(3 * 3600);
/// The user of everybody who has one.
pub(super) const USER: UserId = UserId(1);
