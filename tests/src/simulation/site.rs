//! A site: a server and its store.

use std::collections::BTreeMap;

use smp_core::Timestamp;
use smp_core::server::{Broker, ConnectionId, Session};

use super::network::Life;
use super::shell::Shell;
use super::store::SimStore;

/// A server, perhaps between a crash and the restart, and its store.
pub(super) struct Site {
    pub(super) life: Life,
    /// The server, in worlds where the world drives its machines.
    pub(super) server: Option<Server>,
    /// The server, in worlds where it is the production shell.
    pub(super) shell: Option<Shell>,
    pub(super) store: SimStore,
}

/// A server that runs.
pub(super) struct Server {
    pub(super) broker: Broker,
    pub(super) sessions: BTreeMap<ConnectionId, Session>,
}

impl Site {
    pub(super) fn new(site: usize) -> Self {
        Self { life: Life { site, number: 0 }, server: None, shell: None, store: SimStore::default() }
    }

    /// The first timer, and whose it is: a session's, or else the broker's or the shell's.
    pub(super) fn next_timer(&self) -> Option<(Timestamp, Option<ConnectionId>)> {
        let Some(server) = &self.server else { return Some((self.shell.as_ref()?.next_timer()?, None)) };
        let sessions = server.sessions.iter();
        let sessions = sessions.filter_map(|(id, session)| Some((session.poll_timeout()?, Some(*id))));
        sessions.chain(server.broker.poll_timeout().map(|due| (due, None))).min()
    }

    /// Whether a server runs.
    pub(super) const fn is_up(&self) -> bool {
        self.server.is_some() || self.shell.is_some()
    }

    /// Connections that the server has not let go of.
    pub(super) fn connections(&self) -> Vec<ConnectionId> {
        let sessions = self.server.iter().flat_map(|server| server.sessions.keys().copied());
        sessions.chain(self.shell.iter().flat_map(Shell::connections)).collect()
    }

    /// Queues that are subscribed to.
    pub(super) fn subscriptions(&self) -> usize {
        let of_broker = self.server.as_ref().map_or(0, |server| server.broker.subscriptions());
        of_broker + self.shell.as_ref().map_or(0, Shell::subscriptions)
    }

    /// The session of a connection.
    pub(super) fn session(&mut self, id: ConnectionId) -> Option<&mut Session> {
        self.server.as_mut()?.sessions.get_mut(&id)
    }
}
