//! The agent: connections between people, over any number of servers.
//!
//! ```text
//!   app ── Call ──▶ ┌───────┐ ── Request ──▶ sessions with servers (client machines, driven by the shell)
//!       ◀─ Reply ── │ Agent │ ◀── Answer ───
//!       ◀─ Event ── └───────┘ ── Store, Read ──▶ store
//! ```
//!
//! [`Agent`] is a machine. It holds an `Actor` for each connection in which something happens: the actor takes one input after
//! another, makes of them one batch for the store, and lets out what they led to when the batch is durable. `Links` has
//! the sessions with servers and the state of each subscription.

mod actor;
mod call;
mod check;
mod clean_up;
mod command;
mod config;
mod confirm;
mod contacts;
mod delete;
mod describe;
mod durable;
mod effect;
mod establish;
mod event;
mod failure;
mod fetch;
mod id;
mod incoming;
mod links;
mod making;
mod many;
mod names;
mod network;
mod notices;
mod ordering;
mod prepared;
mod queues;
mod receipts;
mod receive;
mod redundancy;
mod resync;
mod retire;
mod rotation;
mod routing;
mod seal;
mod send;
mod servers;
mod services;
mod sessions;
mod several_queues;
mod short_links;
mod start;
mod state;
mod statistics;
mod step;
pub mod store;
mod suspend;
mod tasks;
#[cfg(test)]
mod tests;
mod users;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use call::{Call, CallId, InitialKeys, LinkContent, LinkRoot, Reply};
pub use check::{Activity, Subscriptions};
pub use config::{AgentConfig, AgentLimits, AgentVersions, UserServer};
pub use describe::{
    ConnectionDescription, ReceiveQueueDescription, SendQueueDescription, SubscriptionStatus,
};
pub use event::{ContactRequest, Event, MessageEvent, ReceivedReceipt, SwitchPhase, SwitchSide};
pub use id::{ConfirmationId, ConnectionId, InvitationId, LocalMessageId, UserId};
pub use links::{Isolation, LinkId};
pub use making::QueueOptions;
pub use network::{NetworkConfig, ProxyFallback, ProxyMode, SessionMode};
pub use prepared::{LinkIdentity, PreparedLink};
pub use servers::{ServerRole, ServerRoles};
pub use state::{ConnectionStatus, ConnectionSummary, WaitingConfirmation};
pub use statistics::{AgentStatistics, ServerStatistics, Sessions};

use self::actor::{Actor, Work};
use self::effect::Doing;
use self::links::Links;
use self::many::Many;
use self::notices::Notices;
use self::routing::{Proxied, Relays};
use self::services::Services;
use self::start::Starting;
use self::statistics::{Counted, Counting};
use self::store::{AgentQuery, Batch, BatchId, Found, ReadId, StoreFailure};
use self::suspend::Phase;
use self::users::{KnownUser, UserDeletion, Writer};
use crate::client::{Answer, ClientEvent, CommandId, Request, RequestError};
use crate::entropy::SeededEntropy;
use crate::time::{Now, Timestamp};
use crate::transport::ServiceIdentity;
use crate::wire::agent::AgentError;
use crate::wire::error::BrokerErrorType;
use crate::wire::{EntityId, ServerAddress};

/// An input of an [`Agent`].
pub enum AgentInput {
    /// The app asks for something.
    Call(CallId, Call),
    /// The store carried out a batch, or could not.
    Stored(BatchId, Result<(), StoreFailure>),
    /// The store read something, or could not.
    Read(ReadId, Result<Found, StoreFailure>),
    /// There is a session now; the id by which the server knows the service that it is of, if it is.
    LinkReady(LinkId, Option<EntityId>),
    /// The session could not be made, or ended, and why. What it did not answer it will not.
    LinkLost(LinkId, BrokerErrorType),
    /// A session has the answer to a request.
    Answer(CommandId, Result<Answer, RequestError>),
    /// A server told something.
    Told(LinkId, ClientEvent),
    /// The time of `poll_timeout` came.
    Timeout,
    /// The shell is about to end: what is kept now and then, and changed since, is kept. Without it nothing is lost but that.
    Stop,
}

/// An effect that the shell carries out, in order.
pub enum AgentOutput {
    /// The answer to a call.
    Reply(CallId, Result<Reply, AgentError>),
    /// Tell the app.
    Event(Event),
    /// Carry out a batch.
    Store(Batch),
    /// Read something.
    Read(ReadId, AgentQuery),
    /// Make a session with a server, as this service if it is one. Through a SOCKS proxy it shares a circuit with sessions of the
    /// same isolation alone.
    Connect(LinkId, ServerAddress, Isolation, Option<ServiceIdentity>),
    /// Give a request to a session that is ready.
    Request(LinkId, CommandId, Box<Request>),
    /// The session is not needed any more; nothing more is said of it.
    Disconnect(LinkId),
}

/// The agent machine. Drive it as other machines: `handle`, then `poll_output` until `None`, then wait until
/// `poll_timeout` or the next input.
///
/// ```
/// use std::sync::Arc;
///
/// use smp_core::Now;
/// use smp_core::agent::store::MemoryAgentStore;
/// use smp_core::agent::{Agent, AgentConfig, AgentInput, AgentOutput, Call, CallId, InitialKeys, UserId, UserServer};
/// use smp_core::wire::ServerAddress;
///
/// let (now, mut store) = (Now::default(), MemoryAgentStore::new());
/// let server = ServerAddress::new(vec!["smp.example.com".parse()?], None, [7; 32])?;
/// let servers = [(UserId(1), vec![UserServer::new(server.clone())])].into();
/// let config = AgentConfig { servers, ..AgentConfig::default() };
/// let mut agent = Agent::new(Arc::new(config), [42; 32], now); // a program takes the seed from the operating system
///
/// agent.handle(now, AgentInput::Call(CallId(1), Call::Invite { user: UserId(1), pq: InitialKeys::Later }));
/// let mut dialled = None;
/// while let Some(output) = agent.poll_output() {
///     match output {
///         AgentOutput::Store(batch) => {
///             let done = AgentInput::Stored(batch.id, store.run(batch.ops));
///             agent.handle(now, done);
///         }
///         AgentOutput::Read(id, query) => agent.handle(now, AgentInput::Read(id, Ok(store.read(&query)))),
///         AgentOutput::Connect(_, address, ..) => dialled = Some(address),
///         _ => {} // requests for the session, when there is one; the link in the reply to the call; events
///     }
/// }
/// assert_eq!(dialled, Some(server)); // the shell connects, and says `AgentInput::LinkReady`
/// # Ok::<(), smp_core::wire::DecodeError>(())
/// ```
pub struct Agent {
    shared: Shared,
    links: Links,
    relays: Relays,
    services: Services,
    counting: Counting,
    actors: BTreeMap<ConnectionId, Actor>,
    /// Requests without an answer.
    requests: BTreeMap<CommandId, Pending>,
    /// Batches under way, and whose they are.
    batches: BTreeMap<BatchId, Writer>,
    /// Requests that failed at once.
    failing: VecDeque<(CommandId, RequestError)>,
    reads: BTreeMap<ReadId, Reader>,
    /// Calls that are made of others, and of which one another is a part, in which place.
    many: BTreeMap<CallId, Many>,
    parts: BTreeMap<CallId, (CallId, usize)>,
    /// Until it is known what there is.
    starting: Option<Starting>,
    /// Users who are being deleted.
    deletions: BTreeMap<UserId, UserDeletion>,
    last_user: i64,
    /// When to do something that is about no connection.
    alarms: BTreeSet<(Timestamp, Alarm)>,
    /// When to look at a connection again.
    timers: BTreeSet<(Timestamp, ConnectionId)>,
    phase: Phase,
    /// When the device had a network last, and said so.
    online_at: Option<Timestamp>,
    last_number: u64,
    outputs: VecDeque<AgentOutput>,
}

/// What all parts of an agent use.
struct Shared {
    config: Arc<AgentConfig>,
    users: BTreeMap<UserId, KnownUser>,
    notices: Notices,
    entropy: SeededEntropy,
    now: Now,
}

/// A request without an answer.
struct Pending {
    link: LinkId,
    doing: Doing,
    proxied: Option<Box<Proxied>>,
    counted: Option<Box<Counted>>,
}

/// For whom something is read.
enum Reader {
    /// The agent itself, when it starts.
    Start,
    /// The statistics.
    Statistics,
    Connection(ConnectionId),
    /// The deletion of a user.
    User(UserId),
    /// A call that asks for connections, of one user or all.
    List(CallId, Option<UserId>),
}

/// Something that is about no connection and has its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// The start is tried again.
    Start,
    /// The deletion of a user is.
    User(UserId),
    /// What is not needed any more is forgotten.
    CleanUp,
    /// What was counted is kept.
    Statistics,
}

impl Agent {
    /// An agent of what the store keeps, with a seed that is never used again.
    #[must_use]
    pub fn new(config: Arc<AgentConfig>, seed: [u8; 32], now: Now) -> Self {
        let mut entropy = SeededEntropy::new(seed);
        let links = SeededEntropy::new(entropy.fork_seed());
        let mut agent = Self {
            relays: Relays::default(),
            services: Services::new(&config),
            counting: Counting::new(now.unix),
            links: Links::new(Arc::clone(&config), links, now.mono),
            shared: Shared { config, users: BTreeMap::new(), notices: Notices::default(), entropy, now },
            actors: BTreeMap::new(),
            requests: BTreeMap::new(),
            failing: VecDeque::new(),
            batches: BTreeMap::new(),
            reads: BTreeMap::new(),
            starting: Some(Starting::default()),
            deletions: BTreeMap::new(),
            last_user: 0,
            alarms: BTreeSet::new(),
            many: BTreeMap::new(),
            parts: BTreeMap::new(),
            timers: BTreeSet::new(),
            phase: Phase::default(),
            online_at: None,
            last_number: 0,
            outputs: VecDeque::new(),
        };
        agent.start();
        agent
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Now, input: AgentInput) {
        self.shared.now = now;
        self.links.now = now.mono;
        match input {
            AgentInput::Call(id, call) => self.call(id, call),
            AgentInput::Stored(id, result) => match (self.batches.remove(&id), result) {
                (Some(Writer::Connection(connection)), result) => self.stored(connection, result),
                (Some(Writer::Start), result) => self.users_kept(result),
                (Some(writer), result) => self.user_written(writer, result),
                (None, _) => {}
            },
            AgentInput::Read(id, result) => match self.reads.remove(&id) {
                Some(Reader::Start) => self.started(result),
                Some(Reader::Statistics) => self.statistics_found(result),
                Some(Reader::Connection(connection)) => self.found(connection, result),
                Some(Reader::User(user)) => self.user_found(user, result),
                Some(Reader::List(call, of)) => self.connections_found(call, of, result),
                None => {}
            },
            AgentInput::LinkReady(id, service) => self.link_ready(id, service),
            AgentInput::LinkLost(id, reason) => self.link_lost(id, reason),
            AgentInput::Answer(id, answer) => self.answered(id, answer),
            AgentInput::Told(link, event) => self.told(link, event),
            AgentInput::Timeout => self.run_timers(),
            AgentInput::Stop => self.keep_statistics(),
        }
        self.fail_requests();
        self.try_to_rest();
        debug_assert_eq!(self.links.check(), Ok(()));
    }

    /// The next effect.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<AgentOutput> {
        self.outputs.pop_front()
    }

    /// When to give [`AgentInput::Timeout`]; now, while there is output.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if !self.outputs.is_empty() {
            return Some(self.shared.now.mono);
        }
        let timer = self.timers.first().map(|(due, _)| *due);
        let rest = match self.phase {
            Phase::Active => None,
            Phase::Suspending(until) => Some(until),
            Phase::Suspended => return None,
        };
        let alarm = self.alarms.first().map(|(due, _)| *due);
        [timer, alarm, self.links.next_due(), rest].into_iter().flatten().min()
    }

    /// Connections that are in memory because something happens in them, or did lately.
    #[must_use]
    pub fn active_connections(&self) -> usize {
        self.actors.len()
    }

    fn call(&mut self, id: CallId, call: Call) {
        if call.is_of_sessions() {
            return self.call_of_sessions(id, &call);
        }
        let call = self.takes(id, call).and_then(|call| self.call_about_users(id, call));
        let Some(call) = call else { return };
        if let Call::Many(calls) = call {
            return self.call_many(id, calls);
        }
        let connection = call.connection().unwrap_or_else(|| {
            let connection = ConnectionId::generate(&mut self.shared.entropy);
            self.actors.insert(connection, Actor::of_new());
            connection
        });
        self.work(connection, Work::Call(id, Box::new(call)));
    }

    fn run_timers(&mut self) {
        if self.phase == Phase::Suspended {
            return;
        }
        let now = self.shared.now.mono;
        while let Some((link, due)) = self.links.take_due() {
            self.link_due(link, &due);
        }
        while let Some((due, alarm)) = self.alarms.first().copied().filter(|(due, _)| *due <= now) {
            self.alarms.remove(&(due, alarm));
            match alarm {
                Alarm::Start => self.start(),
                Alarm::CleanUp => self.clean_up(),
                Alarm::Statistics => self.keep_statistics_now(),
                Alarm::User(user) => self.read(Reader::User(user), AgentQuery::Connections),
            }
        }
        while let Some((due, connection)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, connection));
            self.look_again(connection);
        }
    }

    fn read(&mut self, reader: Reader, query: AgentQuery) {
        let id = ReadId(self.number());
        self.reads.insert(id, reader);
        self.outputs.push_back(AgentOutput::Read(id, query));
    }

    /// A number that was not used yet.
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
