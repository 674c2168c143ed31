//! Rounds: a time with faults, then a time without, in which everything has to come to its end.

use std::time::Duration;

use smp_core::agent::store::{Progress, SendQueue, SyncState};
use smp_core::agent::{Activity, ConnectionId};

use super::super::relays::address_of;
use super::features::Deletion;
use super::model::{Leaving, Side, Step, Talk};
use super::schedule::Event;
use super::world::World;

impl World {
    /// Lives through all rounds, until something is wrong.
    pub(super) fn live(&mut self) {
        for round in 0..self.sim.options.rounds {
            self.sim.trace.note("round begins", &[round as u64]);
            self.round = round;
            self.sim.dice.is_calm = false;
            self.acts_left = self.sim.options.acts;
            while self.acts_left > 0 && self.sim.trace.failure.is_none() {
                self.step();
            }
            self.calm_down();
            self.settle();
            if self.sim.trace.failure.is_some() {
                return;
            }
            self.check_settled();
        }
        let both = |talk: &Talk| talk.sides.iter().all(|side| side.step != Step::Nothing);
        self.sim.counts.connected += self.talks.iter().filter(|talk| both(talk)).count() as u64;
    }

    /// The end of all faults. Connections that went silent end; a system would see to that some time.
    fn calm_down(&mut self) {
        self.sim.trace.note("faults end", &[]);
        self.sim.dice.is_calm = true;
        self.quiet_since = None;
        let dead = self.wires.iter().filter(|(_, wire)| wire.is_dead).map(|(id, _)| *id);
        dead.collect::<Vec<_>>().into_iter().for_each(|id| self.end_wire(id));
    }

    fn settle(&mut self) {
        let end = self.sim.trace.now.mono + CALM_MAX;
        let events = self.sim.counts.events + EVENTS_MAX;
        while self.sim.trace.failure.is_none() && !self.is_settled() {
            if self.sim.trace.now.mono > end || self.sim.counts.events > events {
                let what = self.unsettled().unwrap_or_default();
                self.sim
                    .trace
                    .expect(false, || format!("without faults not everything came to an end: {what}"));
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
        let now = self.sim.trace.now.mono;
        now.since(*self.quiet_since.get_or_insert(now)) >= QUIET
    }

    /// What has not come to its end.
    fn unsettled(&self) -> Option<String> {
        if self.sites.iter().any(|site| site.server.is_none()) {
            return Some("a server is missing".into());
        }
        for (index, person) in self.people.iter().enumerate() {
            let Some(agent) = &person.agent else { return Some(format!("agent {index} is missing")) };
            if agent.activity() != Activity::default() && !self.waits_for_nobody(index, agent.activity()) {
                return Some(format!("agent {index} is busy: {:?}", agent.activity()));
            }
            let subscriptions = agent.subscriptions();
            if subscriptions.subscribed != person.keeping.receive_queues() {
                return Some(format!(
                    "agent {index} is not subscribed to all of its queues: {subscriptions:?}"
                ));
            }
            if let Some(what) = self.unsettled_user(index) {
                return Some(what);
            }
            let open = self.open_durables(index);
            if open > 0 {
                return Some(format!("{open} calls that agent {index} keeps have not ended"));
            }
            if !person.app.calls.is_empty() || !self.possible(index).is_empty() {
                return Some(format!("app {index} has something left to do"));
            }
        }
        let unsettled = |talk: &Talk| {
            if talk.is_left() {
                return self.unsettled_deletion(talk);
            }
            let is_through = talk.sides[0].step == Step::Allowed && talk.sides[1].step == Step::Done;
            if is_through { talk.unsettled() } else { Some("two people did not meet".into()) }
        };
        if let Some(what) = self.talks.iter().find_map(unsettled) {
            return Some(what);
        }
        if let Some(what) = self.talks.iter().find_map(|talk| self.unsettled_queues(talk)) {
            return Some(what);
        }
        (!self.schedule.is_quiet(Event::is_of_itself)).then(|| "something is under way".into())
    }

    /// Whether an agent does nothing but wait until a queue has room that nobody empties any more. What waits in its other connections
    /// has to come to its end.
    fn waits_for_nobody(&self, person: usize, activity: Activity) -> bool {
        let deserted = self.deserted(person);
        let unfinished = self.people[person].keeping.unfinished();
        activity.requests + activity.storing == 0
            && activity.connections <= deserted.len()
            && unfinished.iter().all(|connection| deserted.contains(connection))
    }

    /// Connections whose other side is gone, and has left its queues where they are.
    fn deserted(&self, person: usize) -> Vec<ConnectionId> {
        let departure = self.sim.options.features.departure.filter(|departure| departure.keep_queues);
        let left = departure.map(|departure| (departure.person, departure.user));
        let talks = self.talks.iter().filter(|talk| talk.is_left());
        let sides = talks.flat_map(|Talk { sides: [first, second], .. }| [(first, second), (second, first)]);
        let is_it =
            |(one, other): &(&Side, &Side)| one.person == person && Some((other.person, other.user)) == left;
        sides.filter(is_it).filter_map(|(one, _)| one.connection).collect()
    }

    /// Nothing is kept of a connection that was deleted; what was accepted before came, if that was asked for.
    fn unsettled_deletion(&self, talk: &Talk) -> Option<String> {
        for (side, who) in talk.sides.iter().enumerate() {
            let kept = who.connection.and_then(|id| self.people[who.person].keeping.connection(id));
            if who.leaving == Leaving::No {
                let is_connected = kept.is_some_and(|kept| kept.state.progress == Progress::Connected);
                let waits = |deletion: &Option<Deletion>| deletion.is_some_and(|how| how.wait_delivery);
                // With their user connections are deleted at once.
                let is_with_user = self.people[talk.sides[1 - side].person].departed.leaving != Leaving::No;
                let has_all =
                    !is_with_user && self.sim.options.features.deletions.get(talk.index).is_some_and(waits);
                if is_connected && has_all && talk.missing(side) > 0 {
                    return Some("what was sent before a connection was deleted did not come".into());
                }
            } else if kept.is_some() {
                return Some("a connection was deleted, and is kept".into());
            }
        }
        None
    }

    /// Each side sends where the other one receives, and nothing is left of the queues that others took the place of.
    fn unsettled_queues(&self, talk: &Talk) -> Option<String> {
        let former = talk.sides[0].former.iter();
        let keeping = &self.people[talk.sides[0].person].keeping;
        if former.filter_map(|(id, _)| keeping.connection(*id)).count() > 0 {
            return Some("a connection whose request was rejected is kept".into());
        }
        let kept = |side: &Side| self.people[side.person].keeping.connection(side.connection?);
        if talk.is_left() {
            return None;
        }
        let [Some(first), Some(second)] = talk.sides.each_ref().map(kept) else {
            return Some("a side has no connection".into());
        };
        for (receiver, sender, mover) in
            [(&first, &second, &talk.sides[0]), (&second, &first, &talk.sides[1])]
        {
            if mover.queues > 1 {
                let is_known = |queue: &SendQueue| {
                    let mut queues = receiver.receive.iter();
                    queues.any(|of| (&of.server, &of.sender_id) == (&queue.server, &queue.sender_id))
                };
                if receiver.receive.len() > mover.queues
                    || !sender.send.iter().all(is_known)
                    || sender.send.is_empty()
                {
                    return Some(
                        "a side sends where the other one does not receive, of several queues".into(),
                    );
                }
                continue;
            }
            // Of a queue that was given up the other side hears when the next one comes.
            let is_alone = receiver.receive.len() == 1 && (mover.aborts > 0 || sender.send.len() == 1);
            if !is_alone || receiver.state.sync != SyncState::Ok {
                return Some(format!(
                    "{} queues to receive from and {} to send to, ratchets {:?}",
                    receiver.receive.len(),
                    sender.send.len(),
                    receiver.state.sync
                ));
            }
            let place = receiver.receive.first().map(|queue| (&queue.server, &queue.sender_id));
            if place != sender.send.first().map(|queue| (&queue.server, &queue.sender_id)) {
                return Some("a side sends where the other one does not receive".into());
            }
        }
        None
    }

    /// Both sides of every connection agree that they are connected, and nothing is left to do.
    fn check_settled(&mut self) {
        self.sim.trace.note("settled", &[]);
        let kept = self.talks.iter().filter(|talk| !talk.is_left());
        for side in kept.flat_map(|talk| &talk.sides) {
            let keeping = &self.people[side.person].keeping;
            let kept = side.connection.and_then(|id| keeping.connection(id));
            let (progress, user) = kept.map(|kept| (kept.state.progress, kept.state.user)).unzip();
            self.sim.trace.expect(user == Some(side.user) || side.crashes > 0, || {
                "a connection is of another user".into()
            });
            self.sim.trace.expect(progress == Some(Progress::Connected), || {
                format!("a side is {progress:?} when everything has come to its end")
            });
            let was_told = side.connected == 1
                || side.crashes > 0 && (side.knows_connected || !self.sim.options.features.status);
            self.sim.trace.expect(was_told, || "a side was not told that it is connected".into());
        }
        self.check_left_queues();
        for (index, person) in self.people.iter().enumerate() {
            // Whom the other side left may have begun what nobody will end.
            let sides = self.talks.iter().filter(|talk| talk.is_left()).flat_map(|talk| &talk.sides);
            let was_left = sides.filter(|side| side.person == index && side.leaving == Leaving::No);
            let was_left: Vec<_> = was_left.filter_map(|side| side.connection).collect();
            let unfinished = person.keeping.unfinished();
            let others = unfinished.iter().filter(|connection| !was_left.contains(connection)).count();
            self.sim.trace.expect(others == 0, || format!("{others} connections have something left to do"));
        }
    }
}

impl World {
    /// Servers have none of the queues that agents left. Of those of which their agent gave up it told an error; of those that a crash
    /// brought back their server had said that they are gone.
    fn check_left_queues(&mut self) {
        let mut left = 0;
        for person in self.people.iter().filter(|person| !person.was_told_errors) {
            for (server, queue) in person.keeping.left_queues() {
                let site = self.sites.iter().enumerate().find(|(site, _)| address_of(*site) == server);
                let Some((_, site)) = site else { continue };
                left += usize::from(site.store.still_has(&queue));
            }
        }
        self.sim.trace.expect(left == 0, || format!("{left} queues were left, and are still there"));
    }
}

/// How long nothing has to happen until everything has come to its end.
const QUIET: Duration = Duration::from_secs(3);
/// How much virtual time everything may take to come to its end when there are no faults: senders look at a full queue again
/// after minutes.
const CALM_MAX: Duration = Duration::from_secs(6 * 3600);
/// And how many events.
const EVENTS_MAX: u64 = 500_000;
