//! Local users: each side of a talk is of one, connections are given to another one before they are used, and users are deleted
//! with all that is theirs.

use std::sync::Arc;

use smp_core::agent::{AgentConfig, AgentInput, Call, CallId, Reply, UserId};
use smp_core::wire::agent::AgentError;

use super::app::is_passing;
use super::features::Departure;
use super::model::Leaving;
use super::world::World;

/// How far a person is with deleting a user.
#[derive(Default)]
pub(super) struct Departed {
    pub(super) leaving: Leaving,
    call: Option<CallId>,
}

impl Departed {
    /// The process died: whether the user is being deleted is not known, until that is asked for again.
    pub(super) fn crashed(&mut self) {
        self.call = None;
        if self.leaving == Leaving::Left {
            self.leaving = Leaving::Asked;
        }
    }
}

impl World {
    fn departure(&self, person: usize) -> Option<Departure> {
        self.sim.options.features.departure.filter(|departure| departure.person == person)
    }

    /// Whether the app has asked to delete a user.
    pub(super) fn act_on_users(&mut self, person: usize) -> bool {
        let Some(departure) = self.departure(person) else { return false };
        let wanted = self.sim.options.messages;
        let of_user = |who: &&super::model::Side| (who.person, who.user) == (person, departure.user);
        let mut sides = self.talks.iter().flat_map(|talk| &talk.sides).filter(of_user);
        let is_through = sides.all(|who| who.sent.len() >= wanted);
        let state = &self.people[person].departed;
        let acts = match state.leaving {
            Leaving::No if departure.is_late => is_through,
            Leaving::No => self.sim.dice.chance(300),
            Leaving::Asked => state.call.is_none(),
            Leaving::Left | Leaving::Over => false,
        };
        if !acts {
            return false;
        }
        self.sim.counts.calls += 1;
        let id = CallId(self.sim.counts.calls);
        self.sim.trace.note("deletes a user: person, call", &[person as u64, id.0]);
        self.people[person].departed.call = Some(id);
        if departure.keep_queues {
            // They stay at their servers.
            self.people[person].was_told_errors = true;
        }
        self.leave_with_user(person, Leaving::Asked);
        let Departure { user, keep_queues, .. } = departure;
        self.agent_input(person, AgentInput::Call(id, Call::DeleteUser { user, keep_queues }));
        true
    }

    /// The answer to the call that deletes a user. False if it is of another one.
    pub(super) fn departed(&mut self, person: usize, id: CallId, reply: &Result<Reply, AgentError>) -> bool {
        let departed = &mut self.people[person].departed;
        if departed.call != Some(id) {
            return false;
        }
        departed.call = None;
        let has_crashed = self.people[person].life > 1;
        match reply {
            Ok(Reply::Done) => self.leave_with_user(person, Leaving::Left),
            // It is being deleted since before a crash.
            Err(AgentError::NoUser) if has_crashed => self.leave_with_user(person, Leaving::Left),
            Err(error) if is_passing(error) => {}
            reply => {
                let what = format!("a user was not deleted: {:?}", reply.as_ref().err());
                self.sim.trace.expect(false, || what);
            }
        }
        true
    }

    /// Nothing is left of a user.
    ///
    /// # Errors
    /// If nobody deleted him, or that was told before.
    pub(super) fn told_user_deleted(&mut self, person: usize, user: UserId) -> Result<(), String> {
        let is_wanted = self.departure(person).is_some_and(|departure| departure.user == user);
        let leaving = self.people[person].departed.leaving;
        if !is_wanted || !matches!(leaving, Leaving::Asked | Leaving::Left) {
            return Err("a user was deleted that nobody deleted, or twice".into());
        }
        self.leave_with_user(person, Leaving::Over);
        // The app has him no more, nor his servers.
        let state = &mut self.people[person];
        let mut config = AgentConfig::clone(&state.config);
        config.servers.remove(&user);
        state.config = Arc::new(config);
        Ok(())
    }

    /// A user is being deleted, and with him all of his connections.
    pub(super) fn leave_with_user(&mut self, person: usize, leaving: Leaving) {
        let Some(Departure { user, .. }) = self.departure(person) else { return };
        self.people[person].departed.leaving = leaving;
        // Connections are deleted one after another: of each an event tells.
        let of_connections = if leaving == Leaving::Over { Leaving::Over } else { Leaving::Asked };
        for who in self.talks.iter_mut().flat_map(|talk| &mut talk.sides) {
            if (who.person, who.user) == (person, user) {
                who.leaving = who.leaving.max(of_connections);
            }
        }
    }

    /// What is left of a user who is being deleted.
    pub(super) fn unsettled_user(&self, person: usize) -> Option<String> {
        let leaving = self.people[person].departed.leaving;
        matches!(leaving, Leaving::Asked | Leaving::Left).then(|| "a user is being deleted".into())
    }
}
