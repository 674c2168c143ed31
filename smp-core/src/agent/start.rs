//! What an agent does when it starts: it reads what there is, step by step. Calls wait until that is done.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::actor::Work;
use super::notices::Notices;
use super::store::{AgentOp, AgentQuery, Found, StoreFailure, User};
use super::users::{KnownUser, Writer};
use super::{Agent, AgentOutput, Alarm, Call, CallId, Event, Reader};
use crate::wire::agent::AgentError;

/// An agent that does not know yet what there is.
#[derive(Default)]
pub(super) struct Starting {
    stage: Stage,
    /// Users of the settings who are new.
    new: Vec<User>,
    /// Calls that wait. Who makes them is bounded.
    held: VecDeque<(CallId, Call)>,
    /// After the next failure; the app was told if it is not 0.
    pause: Duration,
}

#[derive(Clone, Copy, Default)]
enum Stage {
    #[default]
    Numbers,
    Users,
    Keep,
    Services,
    Notices,
    Queues,
    Unfinished,
}

impl Agent {
    /// Whether a call can be taken now. If not, it is kept.
    pub(super) fn takes(&mut self, id: CallId, call: Call) -> Option<Call> {
        match &mut self.starting {
            None => Some(call),
            Some(starting) => {
                starting.held.push_back((id, call));
                None
            }
        }
    }

    /// Begins the next stage, or the same one again.
    pub(super) fn start(&mut self) {
        let Some(starting) = &self.starting else { return };
        match starting.stage {
            Stage::Numbers => self.read(Reader::Start, AgentQuery::LastUser),
            Stage::Users => self.read(Reader::Start, AgentQuery::Users),
            Stage::Keep => {
                let ops = starting.new.iter().cloned().map(AgentOp::PutUser).collect();
                self.write(Writer::Start, ops);
            }
            Stage::Services => self.read(Reader::Start, AgentQuery::Services),
            Stage::Notices => self.read(Reader::Start, AgentQuery::Notices),
            Stage::Queues => self.read(Reader::Start, AgentQuery::Queues),
            Stage::Unfinished => self.read(Reader::Start, AgentQuery::Unfinished),
        }
    }

    /// The store told what there is.
    pub(super) fn started(&mut self, result: Result<Found, StoreFailure>) {
        match result {
            Ok(Found::LastUser(last)) => {
                self.last_user = last.0;
                self.next_stage(Stage::Users);
            }
            Ok(Found::Users(users)) => self.meet_users(users),
            Ok(Found::Services(services)) => {
                self.meet_services(services);
                self.next_stage(Stage::Notices);
            }
            Ok(Found::Notices(notices)) => {
                self.shared.notices = Notices::new(notices);
                self.next_stage(Stage::Queues);
            }
            Ok(Found::Queues(queues)) => {
                let is_wanted = !self.shared.config.on_demand;
                let queues = queues.into_iter();
                let links: BTreeSet<_> = queues.map(|queue| self.links.add_known(queue, is_wanted)).collect();
                for link in links.into_iter().filter(|_| is_wanted) {
                    self.wake(link);
                    // A call may have made the session before.
                    self.subscribe(link);
                }
                self.next_stage(Stage::Unfinished);
            }
            Ok(Found::Connections(connections)) => {
                connections.into_iter().for_each(|connection| self.work(connection, Work::Resume));
                let held = self.starting.take().map(|starting| starting.held);
                // Before those that a call deletes now.
                self.resume_users();
                held.into_iter().flatten().for_each(|(id, call)| self.call(id, call));
                self.begin_clean_up();
            }
            Ok(_) | Err(StoreFailure) => self.start_again(),
        }
    }

    /// New users of the settings are kept, or not.
    pub(super) fn users_kept(&mut self, result: Result<(), StoreFailure>) {
        match result {
            Ok(()) => self.next_stage(Stage::Services),
            Err(StoreFailure) => self.start_again(),
        }
    }

    /// The users who are kept, and those of the settings. One who is being deleted is not made again.
    fn meet_users(&mut self, kept: Vec<User>) {
        let mut new = Vec::new();
        for (id, servers) in &self.shared.config.servers {
            if !kept.iter().any(|user| user.id == *id) {
                new.push(User { id: *id, is_deleted: false });
            }
            let user = KnownUser { servers: servers.clone(), is_deleted: false };
            self.shared.users.insert(*id, user);
        }
        for User { id, is_deleted } in kept {
            self.shared.users.entry(id).or_default().is_deleted = is_deleted;
        }
        let stage = if new.is_empty() { Stage::Services } else { Stage::Keep };
        if let Some(starting) = &mut self.starting {
            starting.new = new;
        }
        // Its answer comes before a call is taken.
        self.load_statistics();
        self.next_stage(stage);
    }

    fn next_stage(&mut self, stage: Stage) {
        if let Some(starting) = &mut self.starting {
            starting.stage = stage;
        }
        self.start();
    }

    /// The store failed: the app is told once, and the same is tried again after a pause.
    fn start_again(&mut self) {
        let limits = &self.shared.config.limits;
        let Some(starting) = &mut self.starting else { return };
        if starting.pause.is_zero() {
            let text = "the store of the agent cannot be used".to_owned();
            let error = AgentError::Critical { offer_restart: true, text };
            self.outputs.push_back(AgentOutput::Event(Event::Error(None, error)));
        }
        starting.pause = (starting.pause * 3 / 2).clamp(limits.retry_min, limits.retry_max);
        self.alarms.insert((self.shared.now.mono + starting.pause, Alarm::Start));
    }
}
