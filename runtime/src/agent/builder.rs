//! Starting an agent.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use smp_core::SeededEntropy;
use smp_core::agent::{
    Agent as Machine, AgentConfig, AgentLimits, AgentVersions, ConnectionId, NetworkConfig, ProxyFallback,
    ProxyMode, SessionMode, UserId, UserServer,
};

use smp_core::wire::ServerAddress;

use super::driver::Driver;
use super::handle::tester;
use super::shared::Shared;
use super::store::Storing;
use super::{Agent, Events};
use crate::client::{Connector, HostMode};
use crate::seed::Seeds;
use crate::{Runtime, panic};
use smp_storage::agent::AgentStore;

/// What an agent is started with.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use smp_core::agent::{AgentLimits, UserId, UserServer};
/// use smp_core::wire::ServerAddress;
/// use smp_runtime::agent::Agent;
/// use smp_runtime::testing::TestRuntime; // or the adapter of a runtime
/// use smp_storage::agent::MemoryAgentStore; // or `SqliteAgentStore`
///
/// let server = ServerAddress::new(vec!["smp.example.com".parse().unwrap()], None, [7; 32]).unwrap();
/// let (agent, events) = Agent::builder(TestRuntime::default(), MemoryAgentStore::new())
///     .user(UserId(1), vec![UserServer::new(server)])
///     .limits(AgentLimits { keep_messages: std::time::Duration::from_secs(86_400), ..AgentLimits::default() })
///     .start()
///     .unwrap();
/// # drop((agent, events));
/// # }
/// ```
#[must_use]
pub struct AgentBuilder<R, S> {
    runtime: R,
    store: S,
    servers: BTreeMap<UserId, Vec<UserServer>>,
    services: BTreeSet<UserId>,
    limits: AgentLimits,
    versions: AgentVersions,
    network: NetworkConfig,
    on_demand: bool,
    preset_servers: Vec<ServerAddress>,
    connector: Connector<R>,
    events: usize,
    inline: bool,
    seeds: Seeds,
}

impl<R: Runtime, S> AgentBuilder<R, S> {
    pub(super) fn new(runtime: R, store: S) -> Self {
        Self {
            network: NetworkConfig::default(),
            on_demand: false,
            preset_servers: Vec::new(),
            connector: Connector::new(runtime.clone()).hosts(HostMode::OnionViaSocks, false),
            runtime,
            store,
            servers: BTreeMap::new(),
            services: BTreeSet::new(),
            limits: AgentLimits::default(),
            versions: AgentVersions::default(),
            events: 4096,
            inline: false,
            seeds: Seeds::System,
        }
    }

    /// A user, and the servers on which queues of that user's connections are made. One who is not there is made, but for one
    /// who is being deleted; servers are not kept, so they are given at each start, here or by [`Agent::set_servers`].
    pub fn user(mut self, user: UserId, servers: Vec<UserServer>) -> Self {
        self.servers.insert(user, servers);
        self
    }

    /// Makes the sessions of a user those of a service, see [`Agent::set_user_service`]. Default: they are not.
    pub fn service(mut self, user: UserId) -> Self {
        self.services.insert(user);
        self
    }

    /// Other times and bounds.
    pub fn limits(mut self, limits: AgentLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Less than all that is spoken with other agents: to be like an older one.
    pub fn versions(mut self, versions: AgentVersions) -> Self {
        self.versions = versions;
        self
    }

    /// How servers are connected to: versions, hosts, SOCKS proxy, limits of sessions. The user names and passwords for the SOCKS
    /// proxy are chosen by [`Self::sessions`]. Default: as [`Connector::new`], but with [`HostMode::OnionViaSocks`].
    pub fn connector(mut self, connector: Connector<R>) -> Self {
        self.connector = connector;
        self
    }

    /// Whether what is sent to other people's servers goes through one of the user's own, as a proxy, so that those servers do not
    /// see our address; and whether it is sent without, when the proxy cannot reach them. Default: never.
    pub fn private_routing(mut self, mode: ProxyMode, fallback: ProxyFallback) -> Self {
        (self.network.proxy, self.network.fallback) = (mode, fallback);
        self
    }

    /// Which sessions with servers are shared, and which may share a circuit of the SOCKS proxy. Default:
    /// [`SessionMode::Session`].
    pub fn sessions(mut self, mode: SessionMode) -> Self {
        self.network.sessions = mode;
        self
    }

    /// Receives from no connection before the app asks: with [`Agent::fetch`] for what waits now, with [`Agent::subscribe`] for
    /// all that comes. For a process that is started for a while when it is notified of a message. Default: from all.
    pub fn on_demand(mut self) -> Self {
        self.on_demand = true;
        self
    }

    /// The servers that the app comes with. If one of them gives notice that it takes no new contact address, none of them is asked
    /// for one: see [`QueueOptions::check_notices`](smp_core::agent::QueueOptions::check_notices). Default: none.
    pub fn preset_servers(mut self, servers: Vec<ServerAddress>) -> Self {
        self.preset_servers = servers;
        self
    }

    /// How many events that others can cause may wait for the app: confirmations, errors, and which connections are up or
    /// down. Further ones are thrown away and counted ([`Event::Missed`](smp_core::agent::Event::Missed)). Messages do not
    /// count: one of each queue waits, until it is acknowledged. Default: 4096.
    pub fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// Uses the store in the agent's task, for one that does not block, such as a store in memory. Default: on a thread of its
    /// own.
    pub fn inline_store(mut self) -> Self {
        self.inline = true;
        self
    }

    /// Derives all randomness but that of the connector from `seed`, so that a simulated run can be repeated. Never use a
    /// fixed seed for people, nor the same one twice with one store: who knows it knows every key.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seeds = Seeds::fixed(seed);
        self
    }
}

impl<R: Runtime, S: AgentStore + 'static> AgentBuilder<R, S> {
    /// Starts the agent: it connects to the servers of all connections and goes on with what is left to do.
    ///
    /// # Errors
    /// When the operating system gives no randomness, or no thread; [`io::ErrorKind::InvalidInput`] when a user is to have a
    /// service and each connection sessions of its own.
    pub fn start(self) -> io::Result<(Agent, Events)> {
        if !self.services.is_empty() && self.network.sessions == SessionMode::Entity {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let seed = self.seeds.next()?;
        let shared = Shared::new(self.events);
        let store =
            if self.inline { Storing::Inline(self.store) } else { Storing::on_thread(self.store, &shared)? };
        let (has_socks, prefers_onion) = self.connector.hides_address();
        let network = NetworkConfig { has_socks, prefers_onion, ..self.network };
        let config = Arc::new(AgentConfig {
            servers: self.servers,
            services: self.services,
            network,
            on_demand: self.on_demand,
            preset_servers: self.preset_servers,
            limits: self.limits,
            versions: self.versions,
        });
        let machine = Machine::new(config, seed, self.runtime.now());
        let runtime = self.runtime.clone();
        let tester = tester(self.connector.clone());
        let driver = Driver::new(self.runtime, machine, Arc::clone(&shared), self.connector, store);
        runtime.spawn(async move {
            if panic::catch(driver.run()).await.is_err() {
                log::error!("the task of an agent panicked; the agent has stopped");
            }
        });
        Ok((Agent::new(Arc::clone(&shared), tester), Events(shared)))
    }
}

/// A name for a new connection, drawn at random.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn new_connection_id() -> io::Result<ConnectionId> {
    Ok(ConnectionId::generate(&mut SeededEntropy::new(Seeds::System.next()?)))
}
