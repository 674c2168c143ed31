//! The shell in its world: what happens to it, and what comes of its effects.

use std::net::IpAddr;
use std::time::Duration;

use smp_core::server::store::{Batch, BatchId, StoreFailure};
use smp_core::server::{ConnectionId, LookUpId};
use smp_runtime::server::{Disconnect, ServerEvent, Stopped};

use super::super::network::{Event, Inside, Lane, LookUp};
use super::super::site::Site;
use super::super::world::World;
use super::{Effect, Shell};

impl World {
    /// The server starts as a shell, if it is one in this world.
    pub(in super::super) fn start_shell(&mut self, site: usize) -> bool {
        let Some(options) = &self.shared.options.shell else { return false };
        let (config, transport) = ((*self.config).clone(), self.transport.clone());
        let (limits, seed) = (options.limits, self.shared.dice.seed());
        self.sites[site].shell = Some(Shell::start(config, transport, seed, self.shared.trace.now, limits));
        self.inside(site, Duration::ZERO, Inside::Step);
        true
    }

    pub(in super::super) fn connect_shell(&mut self, site: usize, id: ConnectionId) -> bool {
        let from = IpAddr::from([192, 0, 2, u8::try_from(id.0 % 4).unwrap_or(0)]);
        let is_connected = self.sites[site].shell.as_mut().is_some_and(|shell| shell.connect(id, from));
        self.wake_shell(site);
        is_connected
    }

    /// The shell's socket takes whatever comes.
    pub(in super::super) fn feed_shell(&mut self, site: usize, id: ConnectionId) {
        let (Some(shell), Some(wire)) = (&mut self.sites[site].shell, self.wires.get_mut(&id)) else {
            return;
        };
        wire.inbox.drain(..).for_each(|bytes| shell.received(id, &bytes));
        if std::mem::take(&mut wire.eof) {
            shell.eof(id);
        }
        self.wake_shell(site);
    }

    /// An event that happens to a shell; gives back those that happen to something else too.
    pub(in super::super) fn happen_to_shell(&mut self, event: Event) -> Option<Event> {
        let site = match &event {
            Event::Taken(id, _) | Event::ServerEof(id) | Event::ClientEof(id) => self.site_of(*id),
            Event::Inside(life, _) => Some(life.site).filter(|site| self.sites[*site].life == *life),
            Event::Act(_) | Event::ToServer(..) | Event::ToClient(..) | Event::Restart(_) => None,
        };
        let Some(site) = site else { return Some(event) };
        let Site { shell: Some(shell), store, .. } = &mut self.sites[site] else { return Some(event) };
        match event {
            Event::Taken(id, count) => {
                if self.wires.get(&id).is_some_and(|wire| !wire.is_dead) {
                    shell.taken(id, count);
                }
            }
            Event::ServerEof(id) => {
                let reset = self.shared.options.shell.as_ref().map_or(0, |options| options.reset);
                if !self.shared.dice.chance(reset) {
                    return Some(event);
                }
                self.shared.trace.note("the server's connection breaks", &[id.0]);
                shell.reset(id);
            }
            Event::ClientEof(id) => {
                // The client ends its side too.
                let delay = self.shared.dice.delay(self.shared.options.network_delay);
                let lane = Lane::ToServer(id);
                self.schedule.add_behind(lane, self.shared.trace.now.mono, delay, Event::ServerEof(id));
                return Some(event);
            }
            Event::Inside(_, Inside::StoreDone(released)) => {
                self.shared
                    .trace
                    .note("store answers: batch", &[released.id.0, released.reply.is_ok().into()]);
                store.release(released.durable);
                shell.store_done(released.id.0, released.reply);
            }
            Event::Inside(_, Inside::LookedUp(_, look_up, records)) => {
                let records = match records {
                    LookUp::Later(keys) => Ok(store.look_up(&keys)),
                    LookUp::Done(records) => records,
                };
                shell.looked_up(look_up.0, records);
            }
            Event::Inside(_, Inside::StoreReady) => shell.fill_store(false),
            Event::Inside(_, Inside::Step) => {
                self.step_shell(site);
                return None;
            }
            event => return Some(event),
        }
        self.wake_shell(site);
        None
    }

    /// A timer of the shell fires.
    pub(in super::super) fn advance_shell(&mut self, site: usize) {
        let now = self.shared.trace.now;
        if let Some(shell) = &mut self.sites[site].shell {
            shell.advance(now);
            let is_late = shell.next_timer().is_some_and(|next| next <= now.mono);
            self.shared.trace.expect(!is_late, || "a timer of the shell does not advance".into());
        }
        self.wake_shell(site);
    }

    /// Plans the next poll, if a task can go on.
    pub(in super::super) fn wake_shell(&mut self, site: usize) {
        let (Some(shell), Some(options)) = (&mut self.sites[site].shell, &self.shared.options.shell) else {
            return;
        };
        if shell.is_ready() && !std::mem::replace(&mut shell.is_scheduled, true) {
            let pause = options.pause(&mut self.shared.dice);
            self.inside(site, pause, Inside::Step);
        }
    }

    /// Polls one task, and carries out what it did, unless the server crashes before.
    fn step_shell(&mut self, site: usize) {
        let now = self.shared.trace.now;
        let Some(shell) = &mut self.sites[site].shell else { return };
        shell.is_scheduled = false;
        shell.advance(now);
        let effects = shell.step(&mut self.shared.dice);
        self.shared.trace.expect(shell.polls < POLLS, || "the shell spins".into());
        self.shared.trace.expect(shell.errors() == 0, || "the shell logged an error".into());
        for effect in effects {
            if self.shared.dice.fault(self.shared.options.crash) {
                return self.crash(site);
            }
            self.shell_effect(site, effect);
        }
        self.wake_shell(site);
    }

    fn shell_effect(&mut self, site: usize, effect: Effect) {
        match effect {
            Effect::Send(id, bytes) => self.output(id, bytes),
            Effect::Ended(id) => self.shell_ended(id),
            Effect::Closed(id) => {
                if let Some(shell) = &mut self.sites[site].shell {
                    shell.closed(id);
                }
                self.shell_ended(id);
            }
            Effect::Store(token, ops) => {
                self.submit(site, Batch { id: BatchId(token), ops });
                self.fill_store(site);
            }
            Effect::LookUp(token, keys) => {
                self.look_up(site, ConnectionId(0), LookUpId(token), keys);
            }
            Effect::Event(event) => self.shell_event(site, &event),
            Effect::Moderated(id, result) => self.moderated(id, result),
            Effect::Stopped(stopped) => self.shell_stopped(site, stopped),
        }
    }

    /// The server ended its side of a connection, of which the client learns.
    fn shell_ended(&mut self, id: ConnectionId) {
        self.shared.trace.note("server ends connection", &[id.0]);
        if self.wires.get(&id).is_some_and(|wire| !wire.is_dead) {
            let delay = self.shared.dice.delay(self.shared.options.network_delay);
            let lane = Lane::ToClient(id);
            self.schedule.add_behind(lane, self.shared.trace.now.mono, delay, Event::ClientEof(id));
        }
    }

    /// Perhaps the store takes no more for a while.
    fn fill_store(&mut self, site: usize) {
        let (Some(shell), Some(options)) = (&mut self.sites[site].shell, &self.shared.options.shell) else {
            return;
        };
        let full = options.full;
        if self.shared.dice.fault(full) {
            self.shared.trace.note("the store is full", &[]);
            shell.fill_store(true);
            let pause = Duration::from_millis(self.shared.dice.below(3_000) as u64);
            self.inside(site, pause, Inside::StoreReady);
        }
    }

    /// There is a reason for everything but the failure of a batch.
    fn shell_event(&mut self, site: usize, event: &ServerEvent) {
        let Some(shell) = &mut self.sites[site].shell else { return };
        match event {
            ServerEvent::StoreFailed if shell.failed_batches > 0 => shell.failed_batches -= 1,
            // What came too late for the store.
            ServerEvent::StoreFailed if shell.is_stopping() => {}
            ServerEvent::Accepted(_) | ServerEvent::Session(..) => {}
            ServerEvent::Closed(_, Disconnect::Session(_) | Disconnect::Io(_)) => {}
            ServerEvent::Closed(_, Disconnect::Cut) if shell.is_stopping() => {}
            event => self.shared.trace.expect(false, || format!("an event without a reason: {event:?}")),
        }
    }

    /// Tells the server to stop.
    pub(in super::super) fn stop_shell(&mut self, site: usize, grace: Duration) {
        let Some(shell) = self.sites[site].shell.as_mut().filter(|shell| !shell.is_stopping()) else {
            return;
        };
        self.shared.trace.note("server is told to stop", &[site as u64]);
        shell.stop(grace);
        self.wake_shell(site);
    }

    /// While there are faults, somebody may stop the server.
    pub(in super::super) fn perhaps_stop_shell(&mut self, site: usize) {
        let Some(options) = &self.shared.options.shell else { return };
        let (rate, grace) = (options.stop, options.grace);
        if self.shared.dice.fault(rate) {
            let grace = self.shared.dice.below(grace + 1);
            self.stop_shell(site, Duration::from_millis(grace as u64));
        }
    }

    /// The server has stopped: nothing of it is left, everything that it did is durable, and another one may start.
    fn shell_stopped(&mut self, site: usize, stopped: Result<Stopped, StoreFailure>) {
        self.shared.trace.note("server has stopped", &[site as u64]);
        self.shared.counts.stops += 1;
        self.shared.trace.expect(stopped.is_ok(), || "stopping failed".into());
        let mut left = Vec::new();
        while let Some(shell) = self.sites[site].shell.as_mut().filter(|shell| shell.is_ready()) {
            left.extend(shell.step(&mut self.shared.dice));
        }
        for effect in left {
            if let Effect::Event(event) = effect {
                self.shell_event(site, &event);
            } else {
                self.shared.trace.expect(false, || "a server did something after it had stopped".into());
            }
        }
        let shell = self.sites[site].shell.take();
        let left = shell.map_or((0, 0), |shell| (shell.tasks(), shell.connections().count()));
        self.shared.trace.expect(left == (0, 0), || {
            format!("{} tasks and {} connections are left after the end", left.0, left.1)
        });
        self.end(site, self.sites[site].store.losable());
    }

    /// When all clients have gone: the server stops in order, soon.
    pub(in super::super) fn stop_shell_at_the_end(&mut self, site: usize) {
        self.stop_shell(site, GRACE);
        let end = self.shared.trace.now.mono + GRACE;
        while self.sites[site].shell.is_some() && self.shared.trace.failure.is_none() {
            let is_late = self.shared.trace.now.mono > end;
            self.shared.trace.expect(!is_late, || "the server does not stop".into());
            self.step();
        }
    }
}

/// How often tasks may be polled until something comes from outside.
const POLLS: usize = 2_000;
/// More than a server needs to stop when nothing is under way.
const GRACE: Duration = Duration::from_secs(30);
