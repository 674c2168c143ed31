//! Apps: what they ask their agents, by chance, and what they make of replies and events.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use smp_core::Timestamp;
use smp_core::agent::store::Progress;
use smp_core::agent::{
    AgentInput, Call, CallId, ConfirmationId, ConnectionId, Event as AgentEvent, LocalMessageId,
    MessageEvent, Reply,
};
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError, sizes, version};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::error::{BrokerErrorType, ErrorType, ProxyError};

use super::addresses::{Address, AtAddress};
use super::durable::Durable;
use super::model::{Acknowledged, Fate, Leaving, Sent, Side, Step};
use super::more::{Device, More};
use super::schedule::Event;
use super::world::World;

/// An app. What it knows of its connections is in the model; the rest dies with its process.
#[derive(Default)]
pub(super) struct App {
    /// Calls that were not answered.
    pub(super) calls: BTreeMap<CallId, Asked>,
    /// The agent said that it cannot go on.
    wants_restart: bool,
    /// Nothing is acknowledged before.
    busy_until: Timestamp,
    pub(super) device: Device,
}

/// A call, of a side of a talk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) talk: usize,
    pub(super) side: usize,
    pub(super) action: Action,
}

/// What an app can do with a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Invite,
    Join,
    Rejoin,
    Allow(ConfirmationId),
    TellAgain,
    /// Ask how the connection is.
    Status,
    Address(AtAddress),
    Send,
    Acknowledge(LocalMessageId),
    More(More),
}

impl Asked {
    /// Calls of a connection that are not made at the same time.
    pub(super) const fn is_handshake(&self) -> bool {
        !matches!(
            self.action,
            Action::Send | Action::Acknowledge(_) | Action::More(_) | Action::Address(AtAddress::Forget(_))
        )
    }
}

impl World {
    /// An app does something of itself.
    pub(super) fn act(&mut self, person: usize) {
        let pause = self.sim.dice.below(if self.sim.dice.is_calm { 500 } else { 5_000 });
        let next = self.sim.trace.now.mono + Duration::from_millis(pause as u64);
        self.schedule.add(next, Event::Act(person));
        self.acts_left = self.acts_left.saturating_sub(1);
        let state = &self.people[person];
        if state.agent.is_none() {
            return;
        }
        let is_useless = state.app.wants_restart || state.keeping.is_broken;
        if is_useless && (self.sim.dice.is_calm || self.sim.dice.chance(3_000)) {
            return self.crash_agent(person, 0);
        }
        if self.act_on_device(person) || self.act_on_users(person) {
            return;
        }
        let possible = self.possible(person);
        if possible.is_empty() {
            return;
        }
        let chosen = self.sim.dice.below(possible.len());
        self.ask(person, possible[chosen]);
    }

    /// What an app could do now.
    pub(super) fn possible(&self, person: usize) -> Vec<Asked> {
        let mut possible = Vec::new();
        let app = &self.people[person].app;
        for (talk, state) in self.talks.iter().enumerate() {
            self.possible_to_forget(person, talk, &mut possible);
            let stays = |who: &Side| who.person == person && who.leaving == Leaving::No;
            for (side, who) in state.sides.iter().enumerate().filter(|(_, who)| stays(who)) {
                let is_of = |asked: &&Asked| (asked.talk, asked.side) == (talk, side);
                let mut calls = app.calls.values().filter(is_of);
                let mut add = |action| possible.push(Asked { talk, side, action });
                let is_waiting = self.waits_for_durable(person, (talk, side), Asked::is_handshake);
                let is_asking = calls.clone().any(Asked::is_handshake) || is_waiting;
                match who.step {
                    _ if is_asking || who.is_refused => {}
                    Step::Nothing if state.address.is_some() => {
                        self.possible_at_address(talk, side, &mut add);
                    }
                    Step::Nothing if side == 0 => add(Action::Invite),
                    Step::Nothing if state.request.is_some() => add(Action::Join),
                    Step::Begun => add(Action::Rejoin),
                    Step::Done | Step::Allowed if who.asks_again => add(Action::TellAgain),
                    Step::Done | Step::Allowed if who.asks_status && self.sim.options.features.status => {
                        add(Action::Status);
                    }
                    Step::Done if side == 0 => {
                        who.confirmations.iter().for_each(|id| add(Action::Allow(*id)))
                    }
                    _ => {}
                }
                let knows = who.may_send || (who.crashes > 0 && self.is_through(talk, side));
                let wanted = self.sim.options.messages * (self.round + 1);
                if knows && who.sent.len() < wanted && !calls.any(|asked| asked.action == Action::Send) {
                    add(Action::Send);
                }
                let is_free = app.busy_until <= self.sim.trace.now.mono || self.sim.dice.is_calm;
                let mut open = who.heard.open.iter().filter(|_| is_free);
                if let Some(open) = open.find(|open| open.acknowledged != Acknowledged::Asked) {
                    add(Action::Acknowledge(open.id));
                }
                self.more_possible(talk, side, &mut add);
            }
        }
        possible
    }

    /// Whether a side has done all of the handshake that is its own to do.
    fn is_through(&self, talk: usize, side: usize) -> bool {
        self.talks[talk].sides[side].step == if side == 0 { Step::Allowed } else { Step::Done }
    }

    fn ask(&mut self, person: usize, asked: Asked) {
        self.sim.counts.calls += 1;
        let id = CallId(self.sim.counts.calls);
        self.sim.trace.note(&format!("asks {asked:?}: person, call"), &[person as u64, id.0]);
        let call = self.call(asked);
        let call = self.perhaps_durable(person, asked, id.0, call);
        self.people[person].app.calls.insert(id, asked);
        self.agent_input(person, AgentInput::Call(id, call));
    }

    fn call(&mut self, asked: Asked) -> Call {
        let Asked { talk, side, action } = asked;
        let (link_pq, pq) = self.sim.options.pq;
        let len = if self.sim.dice.chance(500) {
            sizes::body_len_max(version::SUPPORTED.max(), pq || link_pq || self.sim.options.features.pq > 0)
        } else {
            0
        };
        let notification = self.sim.dice.chance(5_000);
        let state = &mut self.talks[talk];
        let connection = state.sides[side].connection;
        let user = state.sides[side].user;
        let known = connection.unwrap_or_else(|| ConnectionId::generate(self.sim.dice.entropy()));
        let info = format!("{talk}/{side}").into();
        match action {
            Action::Invite => Call::Invite { user, pq: link_pq.into() },
            Action::Join => {
                let request = state.request.clone().expect("an invitation");
                let who = &mut state.sides[side];
                (who.connection, who.step) = (Some(known), Step::Begun);
                Call::Join { connection: known, user, request, info, pq }
            }
            Action::Rejoin => Call::Rejoin(known),
            Action::Address(action) => self.call_at_address((talk, side), action, known),
            Action::Status => Call::Status(known),
            Action::Allow(confirmation) => Call::Allow { connection: known, confirmation, info },
            Action::TellAgain => {
                state.sides[side].heard.is_wanted_again = true;
                Call::TellAgain(known)
            }
            Action::Send => {
                let body = state.next_body(side, len);
                state.sides[side].sent.push(Sent::new(body.clone()));
                let flags = MessageFlags { notification };
                match self.sim.switched_pq() {
                    Some(pq) => Call::SendWithPq { connection: known, body, flags, pq },
                    None => Call::Send { connection: known, body, flags },
                }
            }
            Action::Acknowledge(id) => {
                let has_receipt = self.sim.dice.chance(self.sim.options.features.receipts);
                state.acknowledges(side, id, has_receipt);
                match has_receipt {
                    true => Call::AcknowledgeWithReceipt {
                        connection: known,
                        message: id,
                        info: Bytes::from_static(b"read"),
                    },
                    false => Call::Acknowledge(known, id),
                }
            }
            Action::More(more) => state.sides[side].asks(more, known, self.sim.trace.now.mono),
        }
    }

    /// The agent answers a call.
    pub(super) fn replied(&mut self, person: usize, id: CallId, reply: Result<Reply, AgentError>) {
        if self.departed(person, id, &reply) {
            return;
        }
        if self.people[person].app.device.was_asked(id) {
            return self.sim.trace.expect(reply.is_ok(), || "the device was not told".into());
        }
        let Some(asked) = self.people[person].app.calls.remove(&id) else {
            return self.sim.trace.expect(false, || "a call was answered that was not made".into());
        };
        let outcome = reply.as_ref().map(|reply| format!("{reply:?}"));
        self.sim.trace.note(&format!("is answered {outcome:?}: person, call"), &[person as u64, id.0]);
        let Some(reply) = self.durable_answered(person, id.0, reply) else { return };
        let is_broken = self.people[person].keeping.is_broken;
        let verdict = match reply {
            Ok(reply) => self.succeeded(asked, reply),
            Err(error) => self.failed(person, asked, &error, is_broken),
        };
        self.sim.trace.take(verdict);
    }

    pub(super) fn succeeded(&mut self, asked: Asked, reply: Reply) -> Result<(), String> {
        let talk = &mut self.talks[asked.talk];
        let who = &mut talk.sides[asked.side];
        match (asked.action, reply) {
            // Another one was made before a crash.
            (Action::Invite, Reply::Invitation(..)) if who.step != Step::Nothing => {}
            (Action::Invite, Reply::Invitation(connection, request)) => {
                (who.connection, who.step) = (Some(connection), Step::Done);
                talk.request = Some(request);
            }
            (Action::Join | Action::Rejoin, reply @ Reply::Joined { .. }) => return who.has_joined(reply),
            (Action::Address(action), reply) => {
                talk.done_at_address(action, reply)?;
                let request = talk.request.iter().filter(|_| action == AtAddress::Create);
                let queues = request.flat_map(|request| request.queues());
                self.ciphers.addresses.extend(queues.map(|queue| queue.address.sender_id.clone()));
            }
            (Action::Status, Reply::Status(status)) => {
                who.asks_status = false;
                who.knows_connected = status.summary.progress == Progress::Connected;
                who.may_send |= who.knows_connected;
            }
            (Action::Allow(_), Reply::Done) => who.step = Step::Allowed,
            (Action::TellAgain, Reply::Done) => (who.asks_again, who.heard.is_wanted_again) = (false, false),
            (Action::Send, Reply::Accepted(id)) => {
                let asked = who.sent.iter_mut().find(|sent| sent.fate == Fate::Asked);
                asked.ok_or("nothing was to be sent")?.fate = Fate::Accepted(id);
            }
            (Action::Acknowledge(id), Reply::Done) => talk.acknowledged(asked.side, id),
            (Action::More(more), Reply::Done) => who.was_done(more),
            (action, reply) => return Err(format!("{action:?} was answered {reply:?}")),
        }
        Ok(())
    }

    pub(super) fn failed(
        &mut self,
        person: usize,
        asked: Asked,
        error: &AgentError,
        is_broken: bool,
    ) -> Result<(), String> {
        if self.shows_durable(person, asked, error) {
            return Ok(());
        }
        if is_broken {
            self.may_have_forgotten(person, asked.action);
        }
        if let Action::Address(action) = asked.action
            && self.talks[asked.talk].failed_at_address(action, error)
        {
            return Ok(());
        }
        let is_unknown = *error == AgentError::Connection(ConnectionError::NotFound);
        if asked.action == Action::Rejoin && is_unknown && !is_broken {
            self.was_not_kept(person, asked);
        }
        let is_left = self.talks[asked.talk].may_be_left();
        let is_renewing = self.talks[asked.talk].sides.iter().any(|who| who.renewals > 0);
        let who = &mut self.talks[asked.talk].sides[asked.side];
        let is_later = *error == AgentError::Command(AgentCommandError::Prohibited);
        let has_crashed = who.crashes > 0;
        let may = match asked.action {
            Action::Send => {
                let sent = who.sent.iter_mut().find(|sent| sent.fate == Fate::Asked);
                let sent = sent.ok_or("nothing was to be sent")?;
                sent.fate = if is_broken { Fate::Unknown } else { Fate::Refused };
                is_passing(error) || (is_later && (!who.may_send || is_renewing))
            }
            Action::Acknowledge(id) => {
                if let Some(open) = who.heard.open.iter_mut().find(|open| open.id == id) {
                    match is_broken {
                        true => open.unknown(),
                        false => open.acknowledged = Acknowledged::No,
                    }
                }
                is_passing(error)
            }
            // It was deleted, but that was not answered before a crash.
            Action::TellAgain => {
                who.heard.is_wanted_again = false;
                is_passing(error) || (is_unknown && has_crashed && who.has_asked_to_leave)
            }
            Action::More(more) => who.was_refused(more, error, is_broken) || is_passing(error),
            Action::Rejoin if is_unknown => {
                who.step = if is_broken { Step::Begun } else { Step::Nothing };
                true
            }
            // It was done before the crash.
            Action::Allow(_) if has_crashed && (is_later || is_unknown) => {
                who.step = Step::Allowed;
                true
            }
            _ => is_passing(error),
        };
        // The connection was deleted, or the queue of the other one is gone.
        if !may && is_left && !matches!(asked.action, Action::More(More::Delete(_))) {
            who.is_refused |= !is_later && !is_unknown;
            return Ok(());
        }
        may.then_some(()).ok_or_else(|| format!("{:?} failed: {error}", asked.action))
    }

    /// The agent tells something.
    pub(super) fn told(&mut self, person: usize, event: AgentEvent) {
        self.sim.trace.note(&format!("is told {event:?}: person"), &[person as u64]);
        let verdict = match event {
            AgentEvent::Message(message) => self.told_message(person, &message),
            AgentEvent::Confirmation { connection, confirmation, info, .. } => {
                self.side_of(person, connection).and_then(|(talk, side)| {
                    let who = &mut self.talks[talk].sides[side];
                    if !who.confirmations.contains(&confirmation) {
                        who.confirmations.push(confirmation);
                    }
                    let is_asked = who.step == Step::Done || who.step == Step::Begun;
                    let is_expected = side == 0 && is_asked && info == format!("{talk}/1");
                    is_expected.then_some(()).ok_or_else(|| "somebody used an invitation, but who?".into())
                })
            }
            AgentEvent::Info(connection, info) => {
                self.side_of(person, connection).and_then(|(talk, side)| {
                    let is_expected = side == 1 && info == format!("{talk}/0");
                    is_expected.then_some(()).ok_or("somebody answered, but who?")?;
                    self.talks[talk].sides[side].told_info()
                })
            }
            AgentEvent::Connected(connection) => self
                .side_of(person, connection)
                .and_then(|(talk, side)| self.talks[talk].sides[side].told_connected(side)),
            AgentEvent::Sent(connection, id, _) => self.told_sent(person, connection, id),
            AgentEvent::Up(..) | AgentEvent::Down(..) => Ok(()),
            AgentEvent::Error(None, AgentError::Critical { .. })
                if self.people[person].keeping.has_failed =>
            {
                self.people[person].app.wants_restart = true;
                Ok(())
            }
            AgentEvent::Error(Some(connection), error) if self.has_reason(person, connection, &error) => {
                self.people[person].was_told_errors = true;
                Ok(())
            }
            AgentEvent::Error(_, error) => Err(format!("an error without a reason: {error}")),
            AgentEvent::NotSent(connection, _, error) if self.is_explained(person, connection, &error) => {
                Ok(())
            }
            AgentEvent::NotSent(_, _, error) => Err(format!("a message was given up: {error}")),
            event => self.told_more(person, event),
        };
        self.sim.trace.take(verdict);
    }

    fn told_message(&mut self, person: usize, message: &MessageEvent) -> Result<(), String> {
        self.sim.counts.messages += 1;
        if self.sim.dice.fault(self.sim.options.late) {
            let time = Duration::from_millis(self.sim.dice.below(60_000) as u64);
            self.people[person].app.busy_until = self.sim.trace.now.mono + time;
        }
        let (talk, side) = self.side_of(person, message.connection)?;
        self.talks[talk].told(side, message)
    }

    /// A message is with the server only if no crash can make the server forget it.
    fn told_sent(
        &mut self,
        person: usize,
        connection: ConnectionId,
        id: LocalMessageId,
    ) -> Result<(), String> {
        let (talk, side) = self.side_of(person, connection)?;
        let left = self.ciphers.of_message((person, connection, id));
        let had = left.iter().any(|body| self.sites.iter().any(|site| site.store.had(body)));
        // What left when its connection was deleted is not known.
        if !had && !self.talks[talk].may_be_left() {
            return Err("a message was told to be sent that no server has".into());
        }
        self.talks[talk].sides[side].told_sent(id)
    }

    pub(super) fn side_of(&self, person: usize, connection: ConnectionId) -> Result<(usize, usize), String> {
        let sides = self.talks.iter().enumerate().flat_map(|(talk, state)| {
            state.sides.iter().enumerate().map(move |(side, who)| ((talk, side), who))
        });
        let mut found = sides.filter(|(_, who)| who.person == person && who.connection == Some(connection));
        found.next().map(|(place, _)| place).ok_or_else(|| "an event of an unknown connection".into())
    }

    /// The process of a person died, and with it his calls.
    pub(super) fn forget_calls(&mut self, person: usize) {
        let calls = std::mem::take(&mut self.people[person].app).calls;
        calls.values().for_each(|asked| self.may_have_forgotten(person, asked.action));
        for talk in &mut self.talks {
            let owner = talk.sides[1].person;
            talk.address.iter_mut().filter(|_| owner == person).for_each(Address::crashed);
            talk.sides.iter_mut().filter(|who| who.person == person).for_each(Side::crashed);
        }
        self.people[person].durables.values_mut().for_each(Durable::crashed);
        self.people[person].departed.crashed();
        let leaving = self.people[person].departed.leaving;
        if leaving != Leaving::No {
            self.leave_with_user(person, leaving);
        }
    }
}

/// Whether it is no fault of the agent, and the call may be made again.
pub(super) fn is_passing(error: &AgentError) -> bool {
    match error {
        AgentError::Internal(_) => true,
        AgentError::Broker { error, .. } => is_passing_failure(error),
        AgentError::Smp { error, .. } => is_passing_answer(error),
        AgentError::Proxy { error, .. } => match error {
            ProxyError::Broker(error) => is_passing_failure(error),
            ProxyError::Protocol(error) => is_passing_answer(error),
            ProxyError::NoSession => true,
            ProxyError::BasicAuth => false,
        },
        _ => false,
    }
}

const fn is_passing_failure(error: &BrokerErrorType) -> bool {
    matches!(error, BrokerErrorType::Timeout | BrokerErrorType::Network(_))
}

const fn is_passing_answer(error: &ErrorType) -> bool {
    matches!(error, ErrorType::Internal | ErrorType::Store(_) | ErrorType::Quota)
}
