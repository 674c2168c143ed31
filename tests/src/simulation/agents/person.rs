//! The process of a person: it carries out the effects of the agent, unless it crashes before or after one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smp_core::Timestamp;
use smp_core::agent::{Agent, AgentConfig, AgentInput, AgentOutput, LinkId, ProxyMode};
use smp_core::client::{Client, ClientInput, Request};
use smp_core::server::ConnectionId as WireId;

use super::app::App;
use super::durable::Durable;
use super::everywhere::{How, Victim};
use super::keeping::{Fate, Job, Keeping};
use super::schedule::{Event, InPerson, Lane};
use super::users::Departed;
use super::world::World;

/// Somebody with an agent, perhaps between a crash and the next start.
pub(super) struct Person {
    pub(super) config: Arc<AgentConfig>,
    /// How many processes there were.
    pub(super) life: u64,
    pub(super) agent: Option<Agent>,
    pub(super) keeping: Keeping,
    pub(super) sessions: BTreeMap<LinkId, Session>,
    pub(super) app: App,
    /// Calls that the agent keeps, by their correlation.
    pub(super) durables: BTreeMap<u64, Durable>,
    pub(super) departed: Departed,
    /// Errors of which something else was the reason.
    pub(super) was_told_errors: bool,
}

/// The client of a link; nothing, if it was refused or has ended.
pub(super) struct Session {
    pub(super) connection: WireId,
    /// The server, if the attempt was not refused.
    pub(super) site: Option<usize>,
    pub(super) client: Option<Client>,
}

/// Whose timer it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Whose {
    Agent,
    Client(LinkId),
}

impl Person {
    pub(super) fn new(config: Arc<AgentConfig>) -> Self {
        Self {
            config,
            life: 0,
            agent: None,
            keeping: Keeping::default(),
            sessions: BTreeMap::new(),
            app: App::default(),
            durables: BTreeMap::new(),
            departed: Departed::default(),
            was_told_errors: false,
        }
    }

    pub(super) fn client(&mut self, link: LinkId) -> Option<&mut Client> {
        self.sessions.get_mut(&link)?.client.as_mut()
    }

    /// The first timer, and whose it is.
    pub(super) fn next_timer(&self) -> Option<(Timestamp, Whose)> {
        let clients = self.sessions.iter().filter_map(|(link, session)| {
            Some((session.client.as_ref()?.poll_timeout()?, Whose::Client(*link)))
        });
        let agent = self.agent.as_ref().and_then(|agent| Some((agent.poll_timeout()?, Whose::Agent)));
        clients.chain(agent).min()
    }

    /// When a timer fires next.
    pub(super) fn poll_timeout(&self, whose: Whose) -> Option<Timestamp> {
        match whose {
            Whose::Agent => self.agent.as_ref()?.poll_timeout(),
            Whose::Client(link) => self.sessions.get(&link)?.client.as_ref()?.poll_timeout(),
        }
    }
}

impl World {
    /// An agent starts, with what its store kept.
    pub(super) fn start_agent(&mut self, person: usize) {
        let state = &mut self.people[person];
        state.life += 1;
        self.sim.trace.note("agent starts: person, number", &[person as u64, state.life]);
        let agent = Agent::new(state.config.clone(), self.sim.dice.seed(), self.sim.trace.now);
        state.agent = Some(agent);
        self.drain_agent(person);
    }

    /// An agent and its app die. Of what the store was asked and did not do, this much is done. They start again some time.
    pub(super) fn crash_agent(&mut self, person: usize, survive: usize) {
        self.sim.counts.agent_crashes += 1;
        self.sim
            .trace
            .note("agent crashes: person, jobs of its store that are done", &[person as u64, survive as u64]);
        let state = &mut self.people[person];
        state.life += 1;
        state.agent = None;
        let verdict = state.keeping.crash(survive);
        let sessions = std::mem::take(&mut state.sessions);
        self.sim.trace.take(verdict);
        sessions.into_values().for_each(|session| self.leave(session.connection));
        self.forget_calls(person);
        let delay = Duration::from_millis(self.sim.dice.below(20_000) as u64);
        self.schedule.add(self.sim.trace.now.mono + delay, Event::StartAgent(person));
    }

    pub(super) fn happen_in_person(&mut self, person: usize, event: InPerson) {
        match event {
            InPerson::Keep => match self.people[person].keeping.work() {
                Err(fault) => self.sim.trace.take(Err(fault)),
                Ok(None) => {}
                Ok(Some(reply)) => {
                    let delay = self.sim.dice.delay(self.sim.options.keep_delay);
                    self.in_person_behind(Lane::Kept(person), person, delay, InPerson::Agent(reply));
                }
            },
            InPerson::Agent(input) => self.agent_input(person, input),
            InPerson::Link(link, id, input) => {
                let sessions = &mut self.people[person].sessions;
                if sessions.get(&link).is_none_or(|session| session.connection != id) {
                    return;
                }
                if let AgentInput::LinkLost(..) = input {
                    sessions.remove(&link);
                }
                self.agent_input(person, input);
            }
            InPerson::Taken(link, id, count) => {
                if self.people[person].sessions.get(&link).is_some_and(|session| session.connection == id) {
                    self.client_input(person, link, ClientInput::Sent(count));
                }
            }
        }
    }

    /// Gives an agent an input, and carries out what follows.
    pub(super) fn agent_input(&mut self, person: usize, input: AgentInput) {
        let now = self.sim.trace.now;
        let Some(agent) = &mut self.people[person].agent else { return };
        agent.handle(now, input);
        self.drain_agent(person);
    }

    fn drain_agent(&mut self, person: usize) {
        let now = self.sim.trace.now.mono;
        loop {
            let Some(agent) = &mut self.people[person].agent else { return };
            let due = agent.poll_timeout();
            let Some(output) = agent.poll_output() else {
                let check = agent.check();
                return self.sim.trace.take(check.map_err(str::to_owned));
            };
            self.sim.trace.expect(due.is_some_and(|due| due <= now), || "an agent hides its output".into());
            let victim = Victim::Agent(person);
            self.effects[victim] += 1;
            let planned = self.is_planned(victim);
            if planned == Some(How::Before) {
                return self.crash_agent(person, 0);
            }
            if self.sim.dice.fault(self.sim.options.crash_agent) {
                let waiting = self.people[person].keeping.waiting();
                let survive = self.sim.dice.below(waiting + 1);
                return self.crash_agent(person, survive);
            }
            self.agent_output(person, output, planned == Some(How::Refused));
            if planned == Some(How::After) {
                let waiting = self.people[person].keeping.waiting();
                return self.crash_agent(person, waiting);
            }
        }
    }

    fn agent_output(&mut self, person: usize, output: AgentOutput, is_refused: bool) {
        match output {
            AgentOutput::Reply(id, reply) => self.replied(person, id, reply),
            AgentOutput::Event(event) => self.told(person, event),
            AgentOutput::Store(batch) => self.keep(person, Job::Run(batch), is_refused),
            AgentOutput::Read(id, query) => self.keep(person, Job::Read(id, query), is_refused),
            AgentOutput::Connect(link, address, ..) => {
                if let Some(former) = self.people[person].sessions.remove(&link) {
                    self.leave(former.connection);
                }
                self.connect(person, link, &address);
            }
            AgentOutput::Request(link, id, request) => {
                self.sim.trace.note(
                    &format!("{request:?} leaves: person, link, command"),
                    &[person as u64, link.0, id.0],
                );
                let verdict = self.ciphers.leaves(person, &self.people[person].keeping, &request);
                self.sim.trace.take(verdict);
                self.check_route(person, link, &request);
                self.client_input(person, link, ClientInput::Command(id, *request));
            }
            AgentOutput::Disconnect(link) => {
                self.sim.trace.note("agent disconnects: person, link", &[person as u64, link.0]);
                if let Some(session) = self.people[person].sessions.remove(&link) {
                    self.leave(session.connection);
                }
            }
        }
    }

    /// Servers that are not to see the address of who sends are not sent to but through proxies. Here none of them fails so that another
    /// way would be tried.
    fn check_route(&mut self, person: usize, link: LinkId, request: &Request) {
        let Some(network) = self.sim.options.features.networks.get(person) else { return };
        let session = self.people[person].sessions.get(&link).and_then(|session| session.site);
        let is_unknown = session.is_none_or(|site| !self.sim.options.people[person].contains(&site));
        let is_private = match network.proxy {
            ProxyMode::Always => true,
            ProxyMode::Unknown => is_unknown,
            ProxyMode::Unprotected => is_unknown && !network.has_socks,
            ProxyMode::Never => false,
        };
        let is_open = request.is_for_proxy() && !request.is_through_relay();
        self.sim.trace.expect(!(is_private && is_open), || "a server sees who sends to it".into());
        let is_useless = request.is_through_relay() && network.proxy == ProxyMode::Never;
        self.sim.trace.expect(!is_useless, || "a proxy is used that nobody wants".into());
    }

    fn keep(&mut self, person: usize, job: Job, is_refused: bool) {
        let fate = if is_refused || self.sim.dice.fault(self.sim.options.keep_fails) {
            Fate::Fails
        } else if self.sim.dice.fault(self.sim.options.keep_breaks) {
            Fate::Breaks(self.sim.dice.chance(5_000))
        } else {
            Fate::Done
        };
        self.people[person].keeping.hand(job, fate);
        let delay = self.sim.dice.delay(self.sim.options.keep_delay);
        self.in_person_behind(Lane::Keep(person), person, delay, InPerson::Keep);
    }

    /// Plans something within a person's process, behind what is on this lane, unless there is another process by then.
    pub(super) fn in_person_behind(&mut self, lane: Lane, person: usize, delay: Duration, event: InPerson) {
        let event = Event::Person(person, self.people[person].life, event);
        self.schedule.add_behind(lane, self.sim.trace.now.mono, delay, event);
    }
}
