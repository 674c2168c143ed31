//! Rounds: a time with faults, then a time without, in which everything has to come to its end.

use std::time::Duration;

use smp_core::agent::Activity;
use smp_core::agent::store::Progress;

use super::model::Step;
use super::world::World;

impl World {
    /// Lives through all rounds, until something is wrong.
    pub(super) fn live(&mut self) {
        for round in 0..self.sim.options.rounds {
            self.sim.note("round begins", &[round as u64]);
            self.round = round;
            self.sim.is_calm = false;
            self.acts_left = self.sim.options.acts;
            while self.acts_left > 0 && self.sim.failure.is_none() {
                self.step();
            }
            self.calm_down();
            self.settle();
            if self.sim.failure.is_some() {
                return;
            }
            self.check_settled();
        }
        let both = |talk: &super::model::Talk| talk.sides.iter().all(|side| side.step != Step::Nothing);
        self.sim.counts.connected += self.talks.iter().filter(|talk| both(talk)).count() as u64;
    }

    /// The end of all faults. Connections that went silent end; a system would see to that some time.
    fn calm_down(&mut self) {
        self.sim.note("faults end", &[]);
        self.sim.is_calm = true;
        self.quiet_since = None;
        let dead = self.wires.iter().filter(|(_, wire)| wire.is_dead).map(|(id, _)| *id);
        dead.collect::<Vec<_>>().into_iter().for_each(|id| self.end_wire(id));
    }

    fn settle(&mut self) {
        let end = self.sim.now.mono + CALM_MAX;
        let events = self.sim.counts.events + EVENTS_MAX;
        while self.sim.failure.is_none() && !self.is_settled() {
            if self.sim.now.mono > end || self.sim.counts.events > events {
                let what = self.unsettled().unwrap_or_default();
                self.sim.expect(false, || format!("without faults not everything came to an end: {what}"));
            }
            self.step();
        }
    }

    /// Nothing is under way, and nobody has anything left to do.
    fn is_settled(&mut self) -> bool {
        if self.unsettled().is_some() {
            self.quiet_since = None;
            return false;
        }
        let now = self.sim.now.mono;
        now.since(*self.quiet_since.get_or_insert(now)) >= QUIET
    }

    /// What has not come to its end.
    fn unsettled(&self) -> Option<String> {
        if self.sites.iter().any(|site| site.server.is_none()) {
            return Some("a server is missing".into());
        }
        for (index, person) in self.people.iter().enumerate() {
            let Some(agent) = &person.agent else { return Some(format!("agent {index} is missing")) };
            if agent.activity() != Activity::default() {
                return Some(format!("agent {index} is busy: {:?}", agent.activity()));
            }
            let subscriptions = agent.subscriptions();
            if subscriptions.subscribed != person.keeping.receive_queues() {
                return Some(format!(
                    "agent {index} is not subscribed to all of its queues: {subscriptions:?}"
                ));
            }
            if !person.app.calls.is_empty() || !self.possible(index).is_empty() {
                return Some(format!("app {index} has something left to do"));
            }
        }
        let unsettled = |talk: &super::model::Talk| {
            let is_through = talk.sides[0].step == Step::Allowed && talk.sides[1].step == Step::Done;
            if is_through { talk.unsettled() } else { Some("two people did not meet".into()) }
        };
        if let Some(what) = self.talks.iter().find_map(unsettled) {
            return Some(what);
        }
        (!self.schedule.is_quiet()).then(|| "something is under way".into())
    }

    /// Both sides of every connection agree that they are connected, and nothing is left to do.
    fn check_settled(&mut self) {
        self.sim.note("settled", &[]);
        for side in self.talks.iter().flat_map(|talk| &talk.sides) {
            let keeping = &self.people[side.person].keeping;
            let kept = side.connection.and_then(|id| keeping.connection(id));
            let progress = kept.map(|connection| connection.state.progress);
            self.sim.expect(progress == Some(Progress::Connected), || {
                format!("a side is {progress:?} when everything has come to its end")
            });
            let was_told = side.connected == 1 || side.crashes > 0;
            self.sim.expect(was_told, || "a side was not told that it is connected".into());
        }
        for person in &self.people {
            let unfinished = person.keeping.unfinished();
            self.sim
                .expect(unfinished == 0, || format!("{unfinished} connections have something left to do"));
        }
    }
}

/// How long nothing has to happen until everything has come to its end.
const QUIET: Duration = Duration::from_secs(3);
/// How much virtual time everything may take to come to its end when there are no faults: senders look at a full queue again
/// after minutes.
const CALM_MAX: Duration = Duration::from_secs(6 * 3600);
/// And how many events.
const EVENTS_MAX: u64 = 500_000;
