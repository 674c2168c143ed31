//! What the app knows of the device: whether there is a network, and when the agent has to rest.
//!
//! ```text
//!            Suspend                      everything is sent, or the time is over
//!   Active ───────────▶ Suspending(until) ──────────────────────────────────────▶ Suspended
//!     ▲     nothing is received,                                                 no sessions,
//!     └──── what was begun is finished ◀───────────── Resume ─────────────────── no work
//! ```

use std::time::Duration;

use super::{Agent, AgentOutput, Call, CallId, Event, Reply, UserId};
use crate::client::RequestError;
use crate::time::Timestamp;
use crate::wire::ServerAddress;

/// How much an agent may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Phase {
    #[default]
    Active,
    Suspending(Timestamp),
    Suspended,
}

impl Agent {
    /// Carries out a call that is about sessions, and about no connection.
    pub(super) fn call_of_sessions(&mut self, id: CallId, call: &Call) {
        match call {
            Call::Network { online } => self.network(*online),
            Call::Suspend { patience } => self.suspend(*patience),
            Call::Resume => self.resume(),
            Call::Reconnect(server) => self.reconnect(server.as_ref()),
            _ => {}
        }
        self.reply(id, Ok(Reply::Done));
    }

    /// The device has a network, or has none.
    fn network(&mut self, online: bool) {
        let now = self.shared.now.mono;
        let is_just_back =
            self.online_at.is_some_and(|at| now < at + self.shared.config.limits.offline_delay);
        match (self.links.is_online, online) {
            (_, true) => {
                self.online_at = Some(now);
                self.links.is_online = true;
                self.go_on();
            }
            // Devices that change from one network to another say so of the one that they leave.
            (true, false) if !is_just_back => self.links.is_online = false,
            (_, false) => {}
        }
    }

    /// Nothing is received from now on; what was begun is finished, for some time.
    fn suspend(&mut self, patience: Duration) {
        if self.phase == Phase::Active {
            self.links.stop_receiving();
            self.keep_statistics();
        }
        if self.phase != Phase::Suspended {
            self.phase = Phase::Suspending(self.shared.now.mono + patience);
        }
    }

    /// Rests if nothing is under way any more, or the time is over.
    pub(super) fn try_to_rest(&mut self) {
        let Phase::Suspending(until) = self.phase else { return };
        let is_over = until <= self.shared.now.mono;
        // What is being stored may lead to another request.
        let is_quiet = self.batches.is_empty() && self.reads.is_empty();
        if !is_quiet && !is_over {
            return;
        }
        self.links.may_connect &= !is_over;
        for link in self.links.ids() {
            if is_over || !self.links.get(link).is_some_and(|link| link.is_busy()) {
                self.end_link(link);
            }
        }
        self.fail_requests();
        if self.links.are_closed() || is_over {
            self.links.may_connect = false;
            self.phase = Phase::Suspended;
            self.outputs.push_back(AgentOutput::Event(Event::Suspended));
        }
    }

    fn resume(&mut self) {
        if self.phase == Phase::Active {
            return;
        }
        self.phase = Phase::Active;
        (self.links.is_receiving, self.links.may_connect) = (true, true);
        self.go_on();
    }

    /// Everything that waits for the end of a pause is tried at once.
    fn go_on(&mut self) {
        for link in self.links.ids() {
            let step = self.links.wake_now(link);
            self.link_step(link, step);
            self.subscribe(link);
        }
        self.retry_now();
    }

    /// Makes sessions anew: all of them, or those of a user with a server.
    fn reconnect(&mut self, server: Option<&(UserId, ServerAddress)>) {
        if server.is_none() {
            self.links.isolate_anew();
        }
        for link in self.links.ids() {
            let is_meant = |place: &super::links::Place| {
                server.is_none_or(|(user, server)| (*user, server) == (place.user, &place.server))
            };
            if self.links.get(link).is_some_and(|link| is_meant(&link.place)) {
                self.end_link(link);
                let step = self.links.wake_now(link);
                self.link_step(link, step);
            }
        }
    }

    /// Ends a session, or the wish for one. The app is not told that its connections are down.
    pub(super) fn end_link(&mut self, id: super::LinkId) {
        if self.links.get(id).is_some_and(|link| link.is_open()) {
            self.outputs.push_back(AgentOutput::Disconnect(id));
        }
        self.relays.forget(id);
        for command in self.links.close(id) {
            self.failing.push_back((command, RequestError::NotSent));
        }
    }
}
