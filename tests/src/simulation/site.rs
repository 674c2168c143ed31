//! A site: a server and its store.

use std::collections::BTreeMap;

use smp_core::Timestamp;
use smp_core::server::proxy::RelayId;
use smp_core::server::{Broker, ConnectionId, Session};

use super::network::Life;
use super::relays::{RelayLink, Relays};
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
    /// Its proxy, in worlds with private routing.
    pub(super) relays: Option<Relays>,
}

/// Whose timer it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// The broker's or the shell's.
    Shared,
    Session(ConnectionId),
    Proxy,
    Relay(RelayId),
}

impl Site {
    pub(super) fn new(site: usize) -> Self {
        Self { life: Life { site, number: 0 }, server: None, shell: None, store: SimStore::default() }
    }

    /// The first timer, and whose it is.
    pub(super) fn next_timer(&self) -> Option<(Timestamp, Whose)> {
        let Some(server) = &self.server else {
            return Some((self.shell.as_ref()?.next_timer()?, Whose::Shared));
        };
        let sessions = server.sessions.iter();
        let sessions =
            sessions.filter_map(|(id, session)| Some((session.poll_timeout()?, Whose::Session(*id))));
        let links = server.relays.iter().flat_map(|relays| &relays.links);
        let links = links.filter_map(|(id, link)| Some((link.client.poll_timeout()?, Whose::Relay(*id))));
        let broker = server.broker.poll_timeout().map(|due| (due, Whose::Shared));
        let proxy =
            server.relays.as_ref().and_then(|relays| Some((relays.proxy.poll_timeout()?, Whose::Proxy)));
        sessions.chain(links).chain(broker).chain(proxy).min()
    }

    /// When a timer fires next.
    pub(super) fn poll_timeout(&self, whose: Whose) -> Option<Timestamp> {
        let server = self.server.as_ref()?;
        match whose {
            Whose::Shared => server.broker.poll_timeout(),
            Whose::Session(id) => server.sessions.get(&id)?.poll_timeout(),
            Whose::Proxy => server.relays.as_ref()?.proxy.poll_timeout(),
            Whose::Relay(id) => server.relays.as_ref()?.links.get(&id)?.client.poll_timeout(),
        }
    }

    pub(super) fn relays(&mut self) -> Option<&mut Relays> {
        self.server.as_mut()?.relays.as_mut()
    }

    /// A link to a relay.
    pub(super) fn relay(&mut self, id: RelayId) -> Option<&mut RelayLink> {
        self.relays()?.links.get_mut(&id)
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
