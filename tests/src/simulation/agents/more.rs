//! What apps do beside handshakes and messages: they move to other queues, and know of their devices.

use std::collections::BTreeSet;
use std::time::Duration;

use smp_core::Timestamp;
use smp_core::agent::store::{ReceiveSwitch, SyncState};
use smp_core::agent::{
    AgentInput, Call, CallId, ConnectionId, Event as AgentEvent, SwitchPhase, SwitchSide, UserId,
};
use smp_core::crypto::ratchet::PqEncryption;
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError, PeerError, RatchetError};

use super::app::{Action, is_passing};
use super::model::{Leaving, Side, Step, Talk};
use super::sim::Sim;
use super::world::World;

/// After which time an app asks for a new ratchet once more.
const PATIENCE: Duration = Duration::from_secs(300);

/// What an app can do with a connection that it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum More {
    /// Receive through another queue.
    Switch,
    AbortSwitch,
    /// Agree on a new ratchet.
    Renew,
    /// Give the connection to another user.
    Give(UserId),
    Delete(bool),
}

/// What an app told its agent of the device. A new process begins anew.
#[derive(Default)]
pub(super) struct Device {
    calls: BTreeSet<CallId>,
    is_offline: bool,
    pub(super) rest: Rest,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Rest {
    #[default]
    No,
    Asked,
    /// The agent said that it rests: it does nothing.
    Told,
}

impl Device {
    pub(super) fn was_asked(&mut self, id: CallId) -> bool {
        self.calls.remove(&id)
    }

    /// # Errors
    /// If it was not to rest, or said so before.
    pub(super) fn told_suspended(&mut self) -> Result<(), String> {
        let is_expected = std::mem::replace(&mut self.rest, Rest::Told) == Rest::Asked;
        is_expected.then_some(()).ok_or_else(|| "an agent rests that was not asked to".into())
    }
}

impl World {
    /// Whether the app has told its agent something of the device.
    pub(super) fn act_on_device(&mut self, person: usize) -> bool {
        let rate = self.sim.options.features.device;
        let Device { is_offline, rest, .. } = self.people[person].app.device;
        let is_away = is_offline || rest != Rest::No;
        let acts = match self.sim.dice.is_calm {
            true => is_away,
            false => self.sim.dice.chance(if is_away { rate.saturating_mul(5) } else { rate }),
        };
        if !acts {
            return false;
        }
        let chosen = if self.sim.dice.is_calm { 0 } else { self.sim.dice.below(4) };
        let patience = Duration::from_millis(self.sim.dice.below(20_000) as u64);
        let device = &mut self.people[person].app.device;
        let call = match chosen {
            _ if is_offline => {
                device.is_offline = false;
                Call::Network { online: true }
            }
            _ if rest != Rest::No => {
                device.rest = Rest::No;
                Call::Resume
            }
            0 => {
                device.is_offline = true;
                Call::Network { online: false }
            }
            1 => Call::Network { online: true },
            2 => Call::Reconnect(None),
            _ => {
                device.rest = Rest::Asked;
                Call::Suspend { patience }
            }
        };
        self.sim.counts.calls += 1;
        let id = CallId(self.sim.counts.calls);
        self.sim.trace.note(&format!("tells of the device, {chosen}: person, call"), &[person as u64, id.0]);
        self.people[person].app.device.calls.insert(id);
        self.agent_input(person, AgentInput::Call(id, call));
        true
    }

    /// What an app could do with a connection now, beside messages.
    pub(super) fn more_possible(&self, talk: usize, side: usize, add: &mut impl FnMut(Action)) {
        let features = &self.sim.options.features;
        let who = &self.talks[talk].sides[side];
        let rounds = self.round + 1;
        let deletion = features.deletions.get(talk).copied().flatten();
        if let Some(deletion) = deletion.filter(|deletion| deletion.side == side)
            && who.leaving == Leaving::No
            && who.connection.is_some()
            && (!deletion.is_late || who.sent.len() >= self.sim.options.messages)
        {
            add(Action::More(More::Delete(deletion.wait_delivery)));
        }
        let is_invitation = self.talks[talk].address.is_none();
        let may_give = is_invitation && side == 0 && who.step == Step::Done && who.confirmations.is_empty();
        if may_give && who.changes < features.changes && !self.is_asking_more(talk, side) {
            add(Action::More(More::Give(UserId(3 - who.user.0))));
        }
        let (moves, renewals) = (features.rotations * rounds, features.resyncs * rounds);
        if moves + renewals == 0 || self.is_asking_more(talk, side) || self.talks[talk].is_left() {
            return;
        }
        // As an app would see by asking how the connection is.
        let Some(kept) = who.connection.and_then(|id| self.people[who.person].keeping.connection(id)) else {
            return;
        };
        let is_connected = kept.state.progress == smp_core::agent::store::Progress::Connected;
        let is_moving = kept.receive.iter().any(|queue| queue.replaces.is_some());
        if is_connected && !is_moving && who.moves < moves && kept.state.sync <= SyncState::Allowed {
            add(Action::More(More::Switch));
        }
        let may_abort = kept.receive.iter().any(|queue| queue.switch == Some(ReceiveSwitch::Adding));
        if may_abort && who.aborts < features.aborts * rounds {
            add(Action::More(More::AbortSwitch));
        }
        // Who asks while keys come throws away what they agree on, and when both sides do so in turn they never agree. So one side
        // has more patience.
        // Both have more each time: every new ratchet takes messages, of which few get through when both queues hold one and are full.
        let patience = if side == 0 { PATIENCE } else { PATIENCE * 4 };
        let patience = patience * u32::try_from(who.renewals.max(1)).expect("not so many");
        let is_needed =
            kept.state.sync != SyncState::Ok && self.sim.trace.now.mono.since(who.renewed_at) > patience;
        let is_wanted = kept.state.sync == SyncState::Ok && who.renewals < renewals;
        if is_connected && renewals > 0 && (is_needed || is_wanted) {
            add(Action::More(More::Renew));
        }
    }

    fn is_asking_more(&self, talk: usize, side: usize) -> bool {
        let person = self.talks[talk].sides[side].person;
        let mut calls = self.people[person].app.calls.values();
        calls.any(|asked| (asked.talk, asked.side) == (talk, side) && matches!(asked.action, Action::More(_)))
            || self.waits_for_durable(person, (talk, side), |asked| matches!(asked.action, Action::More(_)))
    }

    /// The agent tells something that is not about handshakes and messages.
    pub(super) fn told_more(&mut self, person: usize, event: AgentEvent) -> Result<(), String> {
        match event {
            AgentEvent::Suspended => self.people[person].app.device.told_suspended(),
            AgentEvent::Received(connection, receipts) => {
                let place = self.side_of(person, connection);
                place.and_then(|(talk, side)| self.talks[talk].told_received(side, &receipts))
            }
            AgentEvent::RatchetSync { connection, state, error } => {
                let place = self.side_of(person, connection);
                place.and_then(|(talk, _)| self.talks[talk].told_sync(state, error))
            }
            AgentEvent::Request(request) => {
                self.sim.counts.requests += 1;
                let is_it = |talk: &&mut Talk| {
                    let address = talk.address.as_ref().and_then(|address| address.connection);
                    talk.sides[1].person == person && address == Some(request.connection)
                };
                let talk = self.talks.iter_mut().find(is_it);
                talk.ok_or("a request at an unknown address")?.told_request(&request)
            }
            event @ AgentEvent::Finished { .. } => self.told_finished(person, event),
            AgentEvent::UserDeleted(user) => self.told_user_deleted(person, user),
            AgentEvent::QueueDeleted { connection, .. } | AgentEvent::Deleted(connection)
                if self.is_of_nobody(person, connection) =>
            {
                self.told_forgotten(connection, matches!(event, AgentEvent::Deleted(_)))
            }
            AgentEvent::QueueDeleted { connection, error, .. } => {
                self.people[person].was_told_errors |= error.is_some();
                let place = self.side_of(person, connection);
                place.and_then(|(talk, side)| self.talks[talk].told_deleted(side, false))
            }
            AgentEvent::Deleted(connection) => {
                let place = self.side_of(person, connection);
                place.and_then(|(talk, side)| self.talks[talk].told_deleted(side, true))
            }
            AgentEvent::Switch { connection, side: end, phase } => {
                let place = self.side_of(person, connection);
                place.and_then(|(talk, side)| self.talks[talk].told_switch(side, end, phase))
            }
            event => Err(format!("an event that cannot be: {event:?}")),
        }
    }

    /// Whether a connection is none of those that people talk in: its request was rejected, or its user is deleted.
    fn is_of_nobody(&self, person: usize, connection: ConnectionId) -> bool {
        let is_deleting = self.people[person].departed.leaving != Leaving::No;
        let sides = self.talks.iter().flat_map(|talk| &talk.sides);
        let mut former = sides.flat_map(|who| &who.former);
        let is_known = self.side_of(person, connection).is_ok();
        !is_known && (is_deleting || former.any(|(id, _)| *id == connection))
    }

    /// Something of such a connection is deleted.
    fn told_forgotten(&mut self, connection: ConnectionId, is_over: bool) -> Result<(), String> {
        let sides = self.talks.iter_mut().flat_map(|talk| &mut talk.sides);
        let former = sides.flat_map(|who| &mut who.former).find(|(id, _)| *id == connection);
        let Some((_, leaving)) = former.filter(|_| is_over) else { return Ok(()) };
        let was = std::mem::replace(leaving, Leaving::Over);
        (was != Leaving::Over).then_some(()).ok_or_else(|| "a connection was deleted twice".into())
    }

    /// Whether something else that happened is the reason of an error.
    pub(super) fn is_explained(&self, person: usize, connection: ConnectionId, error: &AgentError) -> bool {
        let Ok((talk, _)) = self.side_of(person, connection) else { return false };
        if self.talks[talk].may_be_left() {
            return true;
        }
        // Keys for a queue that was given up; or that one itself, when it comes so late that the queue whose place it was to take is
        // gone.
        let aborts = self.talks[talk].sides.iter().map(|who| who.aborts).sum::<usize>();
        aborts > 0 && *error == AgentError::Peer(PeerError::Queue)
    }

    /// That, or the error tells that a queue that was left was given up: its server was away as often as an agent tries.
    pub(super) fn has_reason(&mut self, person: usize, connection: ConnectionId, error: &AgentError) -> bool {
        if self.is_explained(person, connection, error) {
            return true;
        }
        let person = &mut self.people[person];
        let attempts = person.config.limits.retire_attempts;
        is_passing(error) && person.keeping.takes_given_up(connection, attempts)
    }
}

impl Side {
    pub(super) fn asks(&mut self, more: More, connection: ConnectionId, now: Timestamp) -> Call {
        match more {
            More::Switch => {
                self.moves += 1;
                Call::Switch(connection)
            }
            More::AbortSwitch => {
                self.aborts += 1;
                Call::AbortSwitch(connection)
            }
            More::Give(user) => {
                self.changes += 1;
                Call::ChangeUser { connection, user }
            }
            More::Renew => {
                (self.renewals, self.renewed_at) = (self.renewals + 1, now);
                Call::Synchronize { connection, force: true }
            }
            More::Delete(wait_delivery) => {
                (self.leaving, self.has_asked_to_leave) = (Leaving::Asked, true);
                Call::Delete { connection, wait_delivery }
            }
        }
    }

    pub(super) fn was_done(&mut self, more: More) {
        match more {
            More::Delete(_) => {
                self.leaving = self.leaving.max(Leaving::Left);
                self.heard.open.clear();
            }
            More::Give(user) => self.user = user,
            _ => {}
        }
    }

    /// Whether the refusal has a reason.
    pub(super) fn was_refused(&mut self, more: More, error: &AgentError, is_broken: bool) -> bool {
        let is_later = *error == AgentError::Command(AgentCommandError::Prohibited);
        match more {
            More::Switch => is_later && self.moves > 1,
            // Somebody used the invitation.
            More::Give(_) => is_later && (!self.confirmations.is_empty() || self.crashes > 0),
            // It went on meanwhile.
            More::AbortSwitch | More::Renew => is_later,
            // It was deleted before a crash, or never was. With a broken disk only the next process knows.
            More::Delete(_) if *error == AgentError::Connection(ConnectionError::NotFound) => {
                match is_broken {
                    true => self.leaving = Leaving::No,
                    false => self.was_done(more),
                }
                true
            }
            More::Delete(_) => {
                self.leaving = Leaving::No;
                false
            }
        }
    }
}

impl Talk {
    /// Somebody deletes the connection, or has done so.
    pub(super) fn is_left(&self) -> bool {
        self.sides.iter().any(|who| who.leaving != Leaving::No)
    }

    /// The same, or somebody asked to delete it before a crash: it may be deleted before he asks again.
    pub(super) fn may_be_left(&self) -> bool {
        self.is_left() || self.sides.iter().any(|who| who.has_asked_to_leave)
    }

    /// A side was told that a queue is deleted, or the connection.
    ///
    /// # Errors
    /// If nobody wanted that.
    pub(super) fn told_deleted(&mut self, side: usize, is_over: bool) -> Result<(), String> {
        let who = &mut self.sides[side];
        if who.leaving == Leaving::No && who.crashes == 0 {
            return Err("a connection was deleted that nobody deleted".into());
        }
        if is_over && std::mem::replace(&mut who.leaving, Leaving::Over) == Leaving::Over {
            return Err("a connection was deleted twice".into());
        }
        Ok(())
    }

    /// A side was told how far a queue is.
    ///
    /// # Errors
    /// If nobody wanted that.
    pub(super) fn told_switch(
        &mut self,
        side: usize,
        end: SwitchSide,
        phase: SwitchPhase,
    ) -> Result<(), String> {
        let mover = &mut self.sides[if end == SwitchSide::Receive { side } else { 1 - side }];
        if (end, phase) == (SwitchSide::Receive, SwitchPhase::Completed) {
            mover.moved += 1;
        }
        let is_wanted = mover.moves > 0 && mover.moved <= mover.moves;
        is_wanted.then_some(()).ok_or_else(|| "a queue took the place of another, which nobody wanted".into())
    }
}

impl Talk {
    /// A side was told how the ratchets are. Because a queue keeps its order, whatever went before new keys is read with the old
    /// ratchet, and nothing is sent before the new one is agreed on: nothing is lost.
    ///
    /// # Errors
    /// If nobody wanted a new one, or a message could not be read.
    pub(super) fn told_sync(&self, state: SyncState, error: Option<RatchetError>) -> Result<(), String> {
        let is_wanted = self.sides.iter().any(|who| who.renewals > 0);
        // Keys that cross may be thrown away, and then what follows from them cannot be read.
        let may_cross = self.sides.iter().map(|who| who.renewals).sum::<usize>() > 1;
        let is_fine = is_wanted && (error.is_none() || may_cross);
        is_fine.then_some(()).ok_or_else(|| format!("ratchets are {state:?} without a reason: {error:?}"))
    }
}

impl Sim {
    /// Whether the next message switches post-quantum encryption.
    pub(super) fn switched_pq(&mut self) -> Option<PqEncryption> {
        let rate = self.options.features.pq;
        let is_on = self.dice.chance(rate).then(|| self.dice.chance(5_000))?;
        Some(if is_on { PqEncryption::On } else { PqEncryption::Off })
    }
}
