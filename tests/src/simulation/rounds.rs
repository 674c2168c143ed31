//! Rounds: a time with faults, then a time without, in which everything has to come to its end.

use std::time::Duration;

use smp_core::UnixTime;

use super::client::{Link, OnLink, Peer};
use super::network::Event;
use super::shared::SimQueue;
use super::site::Site;
use super::world::World;

impl World {
    /// Lives through all rounds, until something is wrong.
    pub(super) fn live(&mut self) {
        for round in 0..self.shared.options.rounds {
            self.shared.trace.note("round begins", &[round as u64]);
            self.shared.dice.is_calm = false;
            self.acts_left = self.shared.options.acts;
            while self.acts_left > 0 && self.shared.trace.failure.is_none() {
                self.step();
            }
            self.calm_down();
            let end = self.shared.trace.now.mono + CALM_MAX;
            while self.shared.trace.failure.is_none() && !self.is_settled() {
                let is_late = self.shared.trace.now.mono > end;
                if is_late {
                    let what = self.unsettled().unwrap_or_default();
                    self.shared
                        .trace
                        .expect(false, || format!("without faults not everything came to an end: {what}"));
                }
                self.step();
            }
            if self.shared.trace.failure.is_some() {
                return;
            }
            self.check_settled();
        }
        self.leave();
    }

    /// A client does something of itself.
    pub(super) fn act(&mut self, peer: usize) {
        if self.is_over {
            return;
        }
        let pause =
            Duration::from_millis(
                self.shared.dice.below(if self.shared.dice.is_calm { 200 } else { 2_000 }) as u64
            );
        self.schedule.add(self.shared.trace.now.mono + pause, Event::Act(peer));
        self.acts_left = self.acts_left.saturating_sub(1);
        if self.shared.dice.fault(self.shared.options.clock_jump) {
            self.jump();
        }
        self.perhaps_stop_shell(self.peers[peer].site);
        self.perhaps_moderate(self.peers[peer].site);
        let now = self.shared.trace.now.mono;
        let Some(link) = &self.peers[peer].link else {
            if !self.shared.dice.is_calm || self.has_to_do(peer) {
                self.connect(peer);
            }
            return;
        };
        let waits_since = if link.parameters.is_none() { Some(link.opened_at) } else { None };
        let waits_since = waits_since.or_else(|| (!link.pending.is_empty()).then_some(link.heard_at));
        let waits_long = waits_since.is_some_and(|since| now.since(since) > PATIENCE);
        if !self.shared.dice.is_calm && (waits_long || self.shared.dice.chance(200)) {
            return self.disconnect(peer);
        }
        if link.parameters.is_some() {
            if self.shared.dice.is_calm {
                let site = self.peers[peer].site;
                self.peers[peer].tidy_up(&mut self.shared, &self.sites[site].store.model);
            } else {
                self.peers[peer].act(&mut self.shared);
            }
            self.flush(peer);
        }
    }

    /// Whether a client has something to receive, or to be notified of.
    fn has_to_do(&self, peer: usize) -> bool {
        let state = &self.peers[peer];
        self.shared.has_queues(peer) || (state.is_notifier() && !state.is_passive())
    }

    /// The end of all faults. Clients give up connections that are dead, and those on which they used GET; services begin anew.
    fn calm_down(&mut self) {
        self.shared.trace.note("faults end", &[]);
        self.shared.dice.is_calm = true;
        self.quiet_since = None;
        self.unblock_some();
        let links = self.peers.iter_mut().filter_map(|peer| peer.link.as_mut());
        links.for_each(|link| link.on_relays.is_answered = false);
        for peer in 0..self.peers.len() {
            let Some(link) = &self.peers[peer].link else { continue };
            let is_dead = self.wires.get(&link.id).is_none_or(|wire| wire.is_dead);
            let is_chief = link.service().is_some() && !self.peers[peer].is_passive();
            if is_dead || is_chief || link.queues.values().any(|queue| queue.is_got) {
                self.disconnect(peer);
            }
        }
    }

    /// Nothing is under way, and clients have nothing left to do.
    fn is_settled(&mut self) -> bool {
        if self.unsettled().is_some() {
            self.quiet_since = None;
            return false;
        }
        let now = self.shared.trace.now.mono;
        now.since(*self.quiet_since.get_or_insert(now)) >= QUIET
    }

    /// What has not come to its end.
    fn unsettled(&self) -> Option<String> {
        if !self.sites.iter().all(Site::is_up) {
            return Some("a server is missing".into());
        }
        if !self.schedule.is_quiet(Event::is_of_itself)
            || !self.sites.iter().all(|site| site.store.is_quiet())
        {
            return Some("something is under way".into());
        }
        self.peers.iter().find_map(|peer| {
            let what = self.left_to_do(peer)?;
            Some(format!("client {} {what}", peer.index))
        })
    }

    fn left_to_do(&self, peer: &Peer) -> Option<&'static str> {
        let Some(link) = &peer.link else {
            return self.has_to_do(peer.index).then_some("is not connected");
        };
        let model = &self.sites[peer.site].store.model;
        let of_peer = |queue: &SimQueue| queue.owner == peer.index && !queue.delete_asked;
        let own = self.shared.queues.iter().enumerate().filter(|(_, queue)| of_peer(queue));
        let mut own = own.map(|(index, queue)| (link.queues.get(&index), queue));
        if link.parameters.is_none() {
            return Some("is not ready");
        }
        if !link.pending.is_empty() {
            return Some("waits for an answer");
        }
        if peer.is_passive() {
            return None;
        }
        let is_blocked = |queue: &SimQueue| model.is_blocked(&queue.recipient_id);
        let mut received = link.queues.iter().map(|(index, on)| (&self.shared.queues[*index], on));
        if received.any(|(queue, on)| on.in_flight.is_some() && !is_blocked(queue)) {
            return Some("has not acknowledged a message");
        }
        let is_received = |on: Option<&OnLink>, queue: &SimQueue| {
            on.is_some_and(|on| on.is_subscribed)
                || link.is_served(model, &queue.recipient_id)
                || is_blocked(queue)
        };
        if !own.all(|(on, queue)| is_received(on, queue)) {
            return Some("is not subscribed");
        }
        if peer.left_to_route(&self.shared).is_some() {
            return Some("has heard nothing of a relay");
        }
        link.left_to_do_as_service(model)
    }

    /// Everything that was accepted has arrived, and every queue has at most one subscriber, which is its owner.
    fn check_settled(&mut self) {
        self.shared.trace.note("settled", &[]);
        for index in 0..self.shared.queues.len() {
            let queue = &self.shared.queues[index];
            let model = &self.sites[queue.site].store.model;
            let is_subscribed = |link: &&Link| {
                link.queues.get(&index).is_some_and(|queue| queue.is_subscribed)
                    || link.is_served(model, &queue.recipient_id)
            };
            let links = self.peers.iter().filter_map(|peer| peer.link.as_ref());
            let subscribers = links.filter(is_subscribed).count();
            let is_blocked = model.is_blocked(&queue.recipient_id);
            let is_empty = model.is_empty(&queue.recipient_id) || is_blocked;
            let is_kept = queue.delete_asked || self.config.message_ttl.is_some() || is_blocked;
            let missing = if is_kept { 0 } else { queue.accepted.difference(&queue.received).count() };
            let is_deleted = queue.delete_asked;
            let shared = &mut self.shared;
            shared.trace.expect(subscribers <= 1, || {
                format!("{subscribers} clients think that they are subscribed to queue {index}")
            });
            shared.trace.expect(is_empty || is_deleted, || {
                format!("queue {index} has messages, its subscriber has none")
            });
            shared
                .trace
                .expect(missing == 0, || format!("{missing} accepted messages of queue {index} never came"));
        }
        let models: Vec<_> = self.sites.iter().map(|site| &site.store.model).collect();
        let links: Vec<_> = self.peers.iter().filter_map(|peer| peer.link.as_ref()).collect();
        super::notifiers::check_settled(&mut self.shared, &models, &links);
    }

    /// All clients go: nothing of them is left.
    fn leave(&mut self) {
        self.is_over = true;
        (0..self.peers.len()).for_each(|peer| self.disconnect(peer));
        // Of those that went silent the server learns by the probes of its sockets.
        let dead = self.wires.iter().filter(|(_, wire)| wire.is_dead).map(|(id, _)| *id);
        for id in dead.collect::<Vec<_>>() {
            self.schedule.add(self.shared.trace.now.mono, Event::ServerEof(id));
        }
        let end = self.shared.trace.now.mono + CALM_MAX;
        while self.sites.iter().any(|site| !site.connections().is_empty())
            || self.relay_links() > 0
            || !self.schedule.is_quiet(Event::is_of_itself)
        {
            if self.shared.trace.failure.is_some() || self.shared.trace.now.mono > end {
                break;
            }
            self.step();
        }
        let left: usize = self.sites.iter().map(Site::subscriptions).sum();
        let relays = self.relay_links();
        self.shared.trace.expect(relays == 0, || format!("{relays} relays and their commands are left"));
        self.shared.trace.expect(left == 0, || format!("{left} subscriptions of nobody are left"));
        (0..self.sites.len()).for_each(|site| self.stop_shell_at_the_end(site));
    }

    /// The wall clock of the server's machine is set, by up to two days.
    fn jump(&mut self) {
        let hours = i64::try_from(self.shared.dice.below(96)).unwrap_or(0) - 48;
        self.shared.trace.note("clock jumps: hours + 48", &[(hours + 48).unsigned_abs()]);
        let unix = self.shared.trace.now.unix.as_millis() + hours * 3_600_000;
        self.shared.trace.now.unix = UnixTime::from_millis(unix);
    }
}

/// How long a client waits for anything to come before it gives a connection up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing has to happen until everything has come to its end: longer than the news of ended subscriptions and the
/// second try of a read may wait.
const QUIET: Duration = Duration::from_secs(3);
/// How much virtual time everything may take to come to its end when there are no faults.
const CALM_MAX: Duration = Duration::from_secs(180);
