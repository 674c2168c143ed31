//! The server's shell in a world: it carries out the effects of its machines, unless it crashes before one.

use smp_core::server::store::{Batch, QueueKey, StoreFailure};
use smp_core::server::{BrokerInput, BrokerOutput, ConnectionId, LookUpId, SessionInput, SessionOutput};

use super::client::Mark;
use super::network::{Event, Inside, Lane, LookUp};
use super::store::Fate;
use super::world::World;

impl World {
    /// Gives a session an input, and carries out what follows.
    pub(super) fn session_input(&mut self, id: ConnectionId, input: SessionInput<'_>) {
        let now = self.shared.trace.now;
        let Some(site) = self.site_of(id) else { return };
        let Some(session) = self.sites[site].session(id) else { return };
        session.handle(now, input);
        loop {
            let Some(session) = self.sites[site].session(id) else { return };
            let due = session.poll_timeout();
            let Some(output) = session.poll_output() else { break };
            self.shared
                .trace
                .expect(due.is_some_and(|due| due <= now.mono), || "a session hides its output".into());
            if self.shared.dice.fault(self.shared.options.crash) {
                return self.crash(site);
            }
            self.session_output(site, id, output);
        }
        let has_input = self.wires.get(&id).is_some_and(|wire| wire.eof || !wire.inbox.is_empty());
        if has_input {
            self.feed(id);
        }
    }

    fn session_output(&mut self, site: usize, id: ConnectionId, output: SessionOutput) {
        let now = self.shared.trace.now.mono;
        let inside = self.shared.dice.delay(self.shared.options.inside_delay);
        match output {
            SessionOutput::Send(bytes) => self.output(id, bytes),
            SessionOutput::LookUp(look_up, keys) => self.look_up(site, id, look_up, keys),
            SessionOutput::Resolve(resolve, name) => {
                let (_, time) = super::names::resolve(&name);
                self.inside(site, time, Inside::Resolved(id, resolve, name));
            }
            SessionOutput::ToBroker(request) => {
                self.inside_behind(Lane::ToBroker(id), site, inside, Inside::ToBroker(id, request));
            }
            SessionOutput::ToProxy(request) => {
                self.inside_behind(Lane::ToProxy(id), site, inside, Inside::ToProxy(id, request));
            }
            SessionOutput::Close(reason) => {
                self.shared.trace.note(&format!("server closes, {reason:?}: connection"), &[id.0]);
                if let Some(server) = &mut self.sites[site].server {
                    server.sessions.remove(&id);
                }
                self.inside_behind(Lane::ToBroker(id), site, inside, Inside::Disconnected(id));
                if self.wires.get(&id).is_some_and(|wire| !wire.is_dead) {
                    let delay = self.shared.dice.delay(self.shared.options.network_delay);
                    self.schedule.add_behind(Lane::ToClient(id), now, delay, Event::ClientEof(id));
                }
            }
            SessionOutput::Event(_) => {}
        }
    }

    /// The store looks up, now or when it answers, or fails.
    pub(super) fn look_up(&mut self, site: usize, id: ConnectionId, look_up: LookUpId, keys: Vec<QueueKey>) {
        let delay = self.shared.dice.delay(self.shared.options.store_delay);
        let records = if self.shared.dice.fault(self.shared.options.store_fails) {
            LookUp::Done(Err(StoreFailure))
        } else if self.shared.dice.fault(self.shared.options.store_fails) {
            let mut found = self.sites[site].store.look_up(&keys);
            let failing = self.shared.dice.below(found.len());
            found.splice(failing..=failing, [Err(StoreFailure)]);
            LookUp::Done(Ok(found))
        } else if self.shared.dice.chance(5_000) {
            LookUp::Done(Ok(self.sites[site].store.look_up(&keys)))
        } else {
            LookUp::Later(keys)
        };
        self.inside(site, delay, Inside::LookedUp(id, look_up, records));
    }

    /// Bytes for a client: its socket takes them, then they are on their way.
    pub(super) fn output(&mut self, id: ConnectionId, bytes: Vec<u8>) {
        self.shared.trace.note_bytes(&bytes);
        let now = self.shared.trace.now.mono;
        let stalls = self.shared.dice.fault(self.shared.options.stall);
        let stall = std::time::Duration::from_millis(self.shared.dice.below(50_000) as u64);
        let Some(wire) = self.wires.get_mut(&id) else { return };
        if stalls {
            wire.stalled_until = wire.stalled_until.max(now + stall);
        }
        let from = wire.stalled_until.max(now);
        self.outputs += 1;
        let mark = Mark { durable: self.sites[wire.site].store.durable, output: self.outputs };
        let max = self.shared.options.network_delay;
        let first = self.shared.dice.below(bytes.len() + 1);
        for count in [first, bytes.len() - first] {
            let delay = self.shared.dice.delay(max);
            self.schedule.add_behind(Lane::Taken(id), from, delay, Event::Taken(id, count));
        }
        let delay = self.shared.dice.delay(max);
        self.schedule.add_behind(Lane::ToClient(id), from, delay, Event::ToClient(id, bytes, mark));
    }

    /// Gives the broker an input, and carries out what follows.
    pub(super) fn broker_input(&mut self, site: usize, input: BrokerInput) {
        let now = self.shared.trace.now;
        let Some(server) = &mut self.sites[site].server else { return };
        server.broker.handle(now, input);
        loop {
            let Some(server) = &mut self.sites[site].server else { return };
            let due = server.broker.poll_timeout();
            let Some(output) = server.broker.poll_output() else { return };
            self.shared
                .trace
                .expect(due.is_some_and(|due| due <= now.mono), || "the broker hides its output".into());
            if self.shared.dice.fault(self.shared.options.crash) {
                return self.crash(site);
            }
            match output {
                BrokerOutput::Store(batch) => self.submit(site, batch),
                BrokerOutput::Moderated(id, result) => self.moderated(id, result),
                BrokerOutput::Reply(id, reply) => {
                    let delay = self.shared.dice.delay(self.shared.options.inside_delay);
                    self.inside_behind(Lane::FromBroker(id), site, delay, Inside::FromBroker(id, reply));
                }
            }
        }
    }

    /// The store takes a batch over.
    pub(super) fn submit(&mut self, site: usize, batch: Batch) {
        let fate = if self.shared.dice.fault(self.shared.options.store_fails) {
            Fate::Fails
        } else if self.shared.dice.fault(self.shared.options.store_fails) {
            Fate::FailsAt(self.shared.dice.below(batch.ops.len()))
        } else if self.shared.dice.fault(self.shared.options.store_loses_reply) {
            Fate::LosesReply
        } else {
            Fate::Done
        };
        self.shared.trace.note("store gets: batch, operations", &[batch.id.0, batch.ops.len() as u64]);
        self.sites[site].store.hand(batch, fate);
        let delay = self.shared.dice.delay(self.shared.options.store_delay);
        self.inside_behind(Lane::Store(site), site, delay, Inside::Apply);
    }

    /// The store carries out a batch; its reply may be overtaken by others.
    pub(super) fn apply(&mut self, site: usize) {
        match self.sites[site].store.apply(&self.shared.asked) {
            Err(fault) => self.shared.trace.take(Err(fault)),
            Ok(None) => {}
            Ok(Some(released)) => {
                let delay = self.shared.dice.delay(self.shared.options.store_delay);
                self.inside(site, delay, Inside::StoreDone(released));
            }
        }
    }
}
