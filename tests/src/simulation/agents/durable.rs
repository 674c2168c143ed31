//! Calls that the agent keeps and carries out later: each ends once, as the app sees it, also over crashes.

use smp_core::agent::{Call, ConnectionId, Event, Reply};
use smp_core::wire::agent::{AgentError, ConnectionError};

use super::addresses::{AtAddress, is_prohibited};
use super::app::{Action, Asked, is_passing};
use super::more::More;
use super::world::World;

/// A call that is kept, as far as the app knows.
pub(super) struct Durable {
    pub(super) asked: Asked,
    /// The connection that it is for, unless it makes one: the side may have another one when the call ends.
    connection: Option<ConnectionId>,
    kept: Kept,
    /// How it ended, and in which process of the app that was told last.
    ended: Option<Ended>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Asked,
    Yes,
    /// The process died before the answer, or when the connection was to be deleted.
    Unknown,
    No,
}

struct Ended {
    life: u64,
    connection: ConnectionId,
    result: Result<Reply, AgentError>,
}

impl Action {
    /// Whether an agent keeps such calls.
    const fn may_be_durable(self) -> bool {
        match self {
            Self::Invite | Self::Join | Self::Rejoin | Self::Allow(_) | Self::More(More::Switch) => true,
            Self::Address(action) => {
                matches!(action, AtAddress::Create | AtAddress::Ask | AtAddress::Accept(_))
            }
            Self::TellAgain | Self::Status | Self::Send | Self::Acknowledge(_) | Self::More(_) => false,
        }
    }
}

impl Durable {
    /// The app waits for its end.
    pub(super) fn is_open(&self) -> bool {
        self.kept == Kept::Yes && self.ended.is_none()
    }

    /// Whether it is of this side of a talk and of the connection that it has, and was asked before a crash, so that nobody knows
    /// whether it is kept.
    fn may_be_of(&self, asked: Asked, connection: Option<ConnectionId>) -> bool {
        let is_of_side = (self.asked.talk, self.asked.side) == (asked.talk, asked.side);
        let is_of_connection = self.connection.is_none() || self.connection == connection;
        is_of_side && is_of_connection && self.kept == Kept::Unknown && self.ended.is_none()
    }

    /// The process of the app died.
    pub(super) const fn crashed(&mut self) {
        if matches!(self.kept, Kept::Asked) {
            self.kept = Kept::Unknown;
        }
    }

    /// A connection may have been deleted, and nobody was told. What is kept for it goes with it: then nothing is left that would tell
    /// how that ended.
    pub(super) fn may_be_deleted_with(&mut self, connection: ConnectionId) {
        if self.connection == Some(connection) && self.is_open() {
            self.kept = Kept::Unknown;
        }
    }
}

impl World {
    /// Perhaps the call is to be kept.
    pub(super) fn perhaps_durable(&mut self, person: usize, asked: Asked, number: u64, call: Call) -> Call {
        let rate = self.sim.options.features.durable;
        if !asked.action.may_be_durable() || !self.sim.dice.chance(rate) {
            return call;
        }
        let connection = self.talks[asked.talk].sides[asked.side].connection;
        // Nothing has an effect on a disk that has failed: what is asked then is not kept, however it is answered or lost.
        let kept = if self.people[person].keeping.is_broken { Kept::No } else { Kept::Asked };
        let durable = Durable { asked, connection, kept, ended: None };
        self.people[person].durables.insert(number, durable);
        self.sim.counts.durable += 1;
        Call::Durable { correlation: number.to_string().into(), call: Box::new(call) }
    }

    /// The answer to a call that is to be kept. None, if there is nothing more to it.
    pub(super) fn durable_answered(
        &mut self,
        person: usize,
        number: u64,
        reply: Result<Reply, AgentError>,
    ) -> Option<Result<Reply, AgentError>> {
        let is_broken = self.people[person].keeping.is_broken;
        let Some(durable) = self.people[person].durables.get_mut(&number) else { return Some(reply) };
        match reply {
            Ok(Reply::Done) => {
                durable.kept = Kept::Yes;
                None
            }
            reply => {
                // What failed may have had its effect when the disk broke, if that was after it was asked.
                let may_be_kept = is_broken && durable.kept == Kept::Asked;
                durable.kept = if may_be_kept { Kept::Unknown } else { Kept::No };
                Some(reply)
            }
        }
    }

    /// Whether a call of which that was not known is kept, as another one shows.
    pub(super) fn is_kept_after_all(&mut self, person: usize, asked: Asked) -> bool {
        let connection = self.talks[asked.talk].sides[asked.side].connection;
        let mut durables = self.people[person].durables.values_mut();
        // The last: an earlier one was for something that is over.
        let found = durables.rfind(|durable| durable.may_be_of(asked, connection));
        found.map(|durable| durable.kept = Kept::Yes).is_some()
    }

    /// There is no such connection: what was to make it before a crash is not kept.
    pub(super) fn was_not_kept(&mut self, person: usize, asked: Asked) {
        let connection = self.talks[asked.talk].sides[asked.side].connection;
        let durables = self.people[person].durables.values_mut();
        let lost = durables.filter(|durable| durable.may_be_of(asked, connection));
        lost.for_each(|durable| durable.kept = Kept::No);
    }

    /// Whether a failure shows that the same was asked for before, and is kept.
    pub(super) fn shows_durable(&mut self, person: usize, asked: Asked, error: &AgentError) -> bool {
        let is_duplicate = *error == AgentError::Connection(ConnectionError::Duplicate);
        let is_early = asked.action == Action::Rejoin && is_prohibited(error);
        (is_duplicate || is_early) && self.is_kept_after_all(person, asked)
    }

    /// Whether a call of this kind is kept for a side of a talk.
    pub(super) fn waits_for_durable(
        &self,
        person: usize,
        (talk, side): (usize, usize),
        is_it: impl Fn(&Asked) -> bool,
    ) -> bool {
        let mut durables = self.people[person].durables.values().filter(|durable| durable.is_open());
        durables
            .any(|durable| (durable.asked.talk, durable.asked.side) == (talk, side) && is_it(&durable.asked))
    }

    /// A call that was kept has ended.
    ///
    /// # Errors
    /// If it was not made, may still succeed, or ended otherwise before.
    pub(super) fn told_finished(&mut self, person: usize, event: Event) -> Result<(), String> {
        let Event::Finished { correlation, connection, result } = event else {
            return Err("another event".into());
        };
        let life = self.people[person].life;
        let number = correlation.parse().map_err(|_| "a correlation that was not given")?;
        let durable = self.people[person].durables.get_mut(&number);
        let durable = durable.filter(|durable| durable.kept != Kept::No);
        let durable = durable.ok_or("a call ended that is not kept")?;
        let asked = durable.asked;
        let talk = &self.talks[asked.talk];
        let is_former = talk.sides[0].former.iter().any(|(id, _)| *id == connection);
        let ended = Ended { life, connection, result: *result };
        if let Some(former) = &mut durable.ended {
            if former.life == life {
                return Err("a call that was kept ended twice".into());
            }
            let is_same = (former.connection, &former.result) == (connection, &ended.result);
            // What a connection was made with is not told again when it is deleted.
            let is_left = (is_former || talk.is_left()) && ended.result.is_err();
            if !is_same && !is_left {
                return Err("a call that was kept ended otherwise before".into());
            }
            former.life = life;
            return Ok(());
        }
        let result = ended.result.clone();
        durable.ended = Some(ended);
        match result {
            Ok(reply) => self.succeeded(asked, reply),
            Err(error) if is_passing(&error) => {
                Err(format!("{:?} was given up, which might have succeeded: {error}", asked.action))
            }
            // It was deleted. The one that there is in its place is where it was.
            Err(AgentError::Connection(ConnectionError::NotFound)) if is_former => Ok(()),
            Err(error) => self.failed(person, asked, &error, false),
        }
    }

    /// Calls that are kept and did not end, but those of connections that were deleted.
    pub(super) fn open_durables(&self, person: usize) -> usize {
        let open = self.people[person].durables.values().filter(|durable| durable.is_open());
        open.filter(|durable| !self.talks[durable.asked.talk].is_left()).count()
    }
}
