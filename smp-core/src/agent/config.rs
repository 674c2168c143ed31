//! Settings of an agent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{NetworkConfig, ServerRoles, UserId};
use crate::crypto::ratchet;
use crate::wire::agent::version;
use crate::wire::{Password, ServerAddress, Version, VersionRange};

/// What an agent is told once.
#[derive(Clone, Default)]
pub struct AgentConfig {
    /// The servers of each user, on which new queues are made. Users who are not there yet are made.
    pub servers: BTreeMap<UserId, Vec<UserServer>>,
    /// Users whose sessions are those of a service; see [`Call::SetUserService`](super::Call::SetUserService). None when sessions
    /// are [`SessionMode::Entity`](super::SessionMode::Entity).
    pub services: BTreeSet<UserId>,
    /// The servers that the app comes with: a notice of one of them concerns all, see [`QueueOptions`](super::QueueOptions).
    pub preset_servers: Vec<ServerAddress>,
    /// No queue is subscribed before the app asks for it, with [`Call::Resubscribe`](super::Call::Resubscribe): messages come when
    /// they are [fetched](super::Call::Fetch). For a process that wakes up when it is notified of a message.
    pub on_demand: bool,
    /// How servers are reached.
    pub network: NetworkConfig,
    /// Times and bounds.
    pub limits: AgentLimits,
    /// What is spoken.
    pub versions: AgentVersions,
}

/// What an agent speaks with others. By default all that this crate knows; less, to be like an older agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AgentVersions {
    /// With other agents: see [`version`].
    pub agent: VersionRange,
    /// Through queues: see [`QueueUri`](crate::wire::queue_uri::QueueUri).
    pub client: VersionRange,
    /// The ratchet: see [`ratchet`](crate::crypto::ratchet).
    pub ratchet: VersionRange,
}

impl Default for AgentVersions {
    fn default() -> Self {
        Self {
            agent: version::SUPPORTED,
            client: VersionRange::between(Version(1), Version(4)),
            ratchet: VersionRange::between(ratchet::MIN_VERSION, ratchet::MAX_VERSION),
        }
    }
}

/// A server on which a user makes queues.
#[derive(Clone, PartialEq, Eq)]
pub struct UserServer {
    /// Where it is.
    pub address: ServerAddress,
    /// What it asks for a new queue.
    pub password: Option<Password>,
    /// A number that the servers of one operator share: a connection is spread over operators.
    pub operator: Option<u64>,
    /// What it is used for.
    pub roles: ServerRoles,
    /// Whether it is used for what is new.
    pub is_enabled: bool,
}

/// Times and bounds. The defaults are those that apps are used to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentLimits {
    /// How long to wait before a server is tried again, the first time; up to a quarter more or less, at random. So long also
    /// waits a queue that its server could not subscribe.
    pub reconnect_min: Duration,
    /// And at most; each time half as long again.
    pub reconnect_max: Duration,
    /// How long it is remembered that a server could not be reached. Requests of that time fail at once.
    pub failure_memory: Duration,
    /// How long a server is not tried while there is no network.
    pub offline_retry: Duration,
    /// For how long after the network came it is not believed to be gone again.
    pub offline_delay: Duration,
    /// After how long a session ends that nobody needs.
    pub idle_session: Duration,
    /// How many subscriptions of a session are under way at once.
    pub subscriptions: usize,
    /// For how long sessions with a server that refused the user's service are made without one.
    pub service_retry: Duration,
    /// How long to wait before a message is sent again, the first time.
    pub retry_min: Duration,
    /// And at most; each time half as long again.
    pub retry_max: Duration,
    /// How long to wait when the recipient's queue is full, the first time, unless he says that it is drained.
    pub full_retry: Duration,
    /// And at most; each time half as long again.
    pub full_retry_max: Duration,
    /// From how many queues a new connection or address receives if the call does not say it ([`QueueOptions`]), each on a server
    /// of its own, as far as the user has so many. An agent that knows one only uses the first. More than one makes invitations
    /// longer, and each costs a subscription.
    ///
    /// [`QueueOptions`]: super::QueueOptions
    pub receive_queues: usize,
    /// How many of the queues that the other side announces are used.
    pub send_queues: usize,
    /// For how long a queue fails before messages go through another one that the other side announced.
    pub fail_over: Duration,
    /// How long a message waits for those before it that may be in a queue on a server that cannot be reached.
    pub order_wait: Duration,
    /// How long a message is tried to be sent.
    pub message_expiry: Duration,
    /// How long, when the recipient's queue is full.
    pub full_expiry: Duration,
    /// How long a deleted connection goes on sending what was accepted, if that was asked for.
    pub delete_wait: Duration,
    /// How often the server of a deleted connection is asked to delete its queue.
    pub delete_attempts: u32,
    /// How long to wait in between.
    pub delete_pause: Duration,
    /// How often a queue that was left is tried to be deleted, before it is forgotten.
    pub retire_attempts: u32,
    /// How often a message that the app does not acknowledge is taken from its server again before it may be dropped.
    pub repeats: u32,
    /// And how long after it came first it is dropped at the earliest.
    pub repeats_time: Duration,
    /// How many people who used one invitation may wait to be allowed; further ones are refused.
    pub confirmations: usize,
    /// How long messages are remembered that are dealt with, to be told from others and compared with receipts.
    pub keep_messages: Duration,
    /// How long after the start what is not needed any more is forgotten.
    pub clean_up_first: Duration,
    /// How long to wait until that is done again.
    pub clean_up_pause: Duration,
    /// How long after something was counted the statistics are kept.
    pub statistics_pause: Duration,
    /// At how many servers, of all users together, is counted what was done. Of more, those are forgotten at which least was.
    pub statistics: usize,
    /// How many inputs may wait for one connection: calls beyond are refused, messages beyond come again.
    pub inbox: usize,
    /// How many requests may wait at one contact address to be accepted or rejected: those beyond are dropped, and the app
    /// is told by an error.
    pub requests: usize,
}

impl Default for AgentLimits {
    fn default() -> Self {
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
        Self {
            reconnect_min: second * 2,
            reconnect_max: second * 180,
            failure_memory: second * 3,
            offline_retry: second * 1800,
            offline_delay: second * 2,
            idle_session: second * 600,
            subscriptions: 1350,
            service_retry: second * 3600,
            retry_min: second * 2,
            retry_max: second * 120,
            full_retry: second * 300,
            full_retry_max: day / 4,
            receive_queues: 1,
            send_queues: 4,
            fail_over: second * 60,
            order_wait: second * 300,
            message_expiry: day * 2,
            full_expiry: day * 7,
            delete_wait: day * 2,
            delete_attempts: 10,
            delete_pause: second * 300,
            retire_attempts: 10,
            repeats: 8,
            repeats_time: day,
            confirmations: 32,
            keep_messages: day * 21,
            clean_up_first: second * 30,
            clean_up_pause: second * 300,
            statistics_pause: second * 60,
            statistics: 1024,
            inbox: 1024,
            requests: 1000,
        }
    }
}
