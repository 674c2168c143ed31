//! What peers may make a server hold or do.

use core::time::Duration;

use super::config::InvalidSetting;
use crate::transport::HANDSHAKE_TIMEOUT;
use crate::transport::block::BLOCK_LEN;

/// What peers may make a server hold or do. Every number bounds memory, processor time or time.
///
/// The machines of this crate and the shell that drives them read the same value, from
/// [`ServerConfig::limits`](super::ServerConfig::limits). It is exhaustive on purpose: who writes all of them out, as
/// the settings of a program do, learns of a new one when it is compiled. Others write what they change and
/// `..Limits::default()`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections in all. Further ones are closed when they are accepted. Default: 100,000. The number of open files
    /// that the system allows must be above it, or accepting pauses before it is reached.
    pub connections: usize,
    /// Connections from one IPv4 address or one IPv6 /64 network. Further ones are closed when they are accepted.
    ///
    /// Addresses of this machine are not counted, here and below: an onion service, a proxy or a load balancer on it
    /// brings all of its clients from one address. Default: 10,000, a tenth of all, because a provider may have
    /// thousands of people behind one address.
    pub connections_per_address: usize,
    /// Connections that are accepted from one such address in each [`new_connections_interval`]. Further ones are closed
    /// when they are accepted: a handshake costs the server signatures and key exchanges, and its peer little.
    /// Default: 1000.
    ///
    /// [`new_connections_interval`]: Self::new_connections_interval
    pub new_connections_per_address: usize,
    /// How long new connections are counted. Default: 10 seconds.
    pub new_connections_interval: Duration,
    /// Connections in all that have not finished their handshakes. Further ones are closed when they are accepted.
    /// Default: 10,000. Each may hold a few records of TLS, which is more than an idle connection does.
    pub handshakes: usize,
    /// How long TLS and SMP handshake may take together, from the acceptance of the connection, which is closed then.
    /// Default: 10 seconds.
    pub handshake_timeout: Duration,
    /// Connections that a listener accepts before other tasks get their turn. Default: 32.
    pub accepts_in_turn: usize,
    /// The pause after accepting failed, as it does when no files are left; each failure after another doubles it.
    /// Default: 10 milliseconds.
    pub accept_pause_min: Duration,
    /// The longest such pause. Default: 1 second.
    pub accept_pause_max: Duration,
    /// Commands of one connection that wait for an answer, over which no more is read from it. Default: 512; a block
    /// holds at most 255, so at most this and 254 more are held.
    pub commands_in_flight: usize,
    /// Bytes of commands of one connection that wait for an answer, over which no more is read from it.
    /// Default: 256 KiB; what is read at a time, two blocks, may be held more.
    pub input_bytes: usize,
    /// How long a peer may take to finish a block that it began, while nothing else of it is being worked on. Then the
    /// connection is closed: it would hold the part for as long as it lives. Default: 60 seconds.
    pub stalled_input: Duration,
    /// Authorisations of one connection that are verified before other connections get their turn; the rest of its
    /// commands waits. Default: 64, a few milliseconds. A command may cost as many as its queue has recipient keys, so
    /// as many as [`recipient_keys`](Self::recipient_keys) more are possible.
    pub verifications_in_turn: usize,
    /// Rounds of reading and writing of one connection before other tasks get their turn. A round reads two blocks at
    /// most. Default: 16.
    pub rounds_in_turn: usize,
    /// Bytes that wait to be written to one connection, with a block for each block that is not answered, over which
    /// no more is read from it. Default: 256 KiB.
    pub output_bytes: usize,
    /// Bytes that wait to be written to one connection, over which writing comes before reading. Default: 64 KiB, four
    /// blocks.
    pub queued_output: usize,
    /// How long a peer may take no byte while output waits for it. Then the connection is closed. Default: 40 seconds.
    pub stalled_output: Duration,
    /// Message deliveries to one connection that its socket has not taken yet; further ones wait in the store. News of up
    /// to 200 ended subscriptions count as one. Default: 8. Each holds up to 16 KiB.
    pub deliveries_in_flight: usize,
    /// Bytes of input and output that wait, of all connections together. Above, a connection is read only when nothing
    /// of its own waits, so that those who do not take their output wait and others are served. Default: 1 GiB.
    ///
    /// Beside it each connection may hold what is read at a time, the answers to that, and its deliveries.
    pub queued_bytes: usize,
    /// After the end of a session, how long its last output may take, and how long the peer has to end its side. Then
    /// the connection is cut. Stopping waits for it. Default: 2 seconds.
    pub closing_timeout: Duration,
    /// Bytes that a peer may go on sending after the end of its session, which are thrown away, before the connection
    /// is cut. Default: 1 MiB.
    pub closing_input: usize,
    /// Queues that one connection may be subscribed to. Further subscriptions are refused with INTERNAL.
    /// Default: 1,000,000.
    pub subscriptions: usize,
    /// Queues that one connection may receive by GET. Further ones are refused with INTERNAL. Default: 100,000.
    pub get_queues: usize,
    /// Keys of one recipient, which RKEY sets; more are refused with INTERNAL. Default: 16. A command with a wrong
    /// authorisation costs a verification with each of them.
    pub recipient_keys: usize,
    /// Notifications that wait for the notifier of one queue; of more the oldest are deleted. Default: 128, as many as
    /// messages.
    pub notifications: u32,
    /// Services that the server knows. Further ones are refused with HANDSHAKE BAD_SERVICE. Default: 10,000. A service is
    /// known for good, by its certificate, with a few hundred bytes on the disk.
    pub services: u64,
    /// Connections of the web: of the site of the server and of what its operator watches. Further ones are closed. They
    /// count among [`connections`](Self::connections) too. Default: 1000.
    pub http_connections: usize,
    /// Bytes of the head of a web request. A longer one is refused. Default: 8 KiB. What is read at a time, 33 KiB, may be
    /// held more.
    pub http_head_bytes: usize,
    /// Web requests that one connection may make. Then it is closed. Default: 100.
    pub http_requests: usize,
    /// How long a web connection may take for TLS and its first request, for the next request after an answer, and to take
    /// 16 KiB of an answer. Then it is closed. Default: 10 seconds.
    pub http_timeout: Duration,
    /// Commands of one connection that are being forwarded to relays, until their answers have come. Further ones wait.
    /// Default: 32. Each holds up to 16 KiB.
    pub client_forwards: usize,
    /// Commands of all connections that are being forwarded to one relay, and connections that wait for a session with
    /// it. Further ones are refused with PROXY BROKER TIMEOUT. Default: 1024. Each holds up to 16 KiB.
    pub relay_forwards: usize,
    /// Relays that the server is connected or connecting to. For one more the relay that was idle longest is
    /// disconnected; if none is idle, it is refused with PROXY BROKER NETWORK. Default: 1000.
    pub relays: usize,
    /// Relays whose failure is remembered. The oldest is forgotten first. Default: 1000.
    pub relay_failures: usize,
    /// How long it is remembered that a relay cannot be reached: who asks is told so at once. Default: 30 seconds.
    pub relay_failure_ttl: Duration,
    /// How long connecting to a relay may take, with the attempts at all of its hosts. Default: 30 seconds.
    pub relay_connecting: Duration,
    /// How long a relay may take to answer. Default: 15 seconds. One that owes three answers in a row and was silent for
    /// twice as long is disconnected.
    pub relay_answer: Duration,
    /// After how long a relay is disconnected to which nothing is forwarded. Default: 30 minutes.
    pub relay_idle: Duration,
    /// Commands of one connection that were forwarded to this server and are remembered, so that none of them is carried
    /// out twice. The oldest is forgotten first. Default: 1024.
    pub forwarded_keys: usize,
    /// Queues that one visit of expiry covers before other operations get their turn. Default: 1000.
    pub expiry_queues: u32,
}

impl Limits {
    /// Whether a server can work with these: with a zero it would do nothing, or one thing for ever.
    ///
    /// # Errors
    /// Names the first that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        // Without `..`, so that a new limit cannot be forgotten here.
        let Self {
            connections,
            connections_per_address,
            new_connections_per_address,
            new_connections_interval: _,
            handshakes,
            handshake_timeout: _,
            accepts_in_turn,
            accept_pause_min: _,
            accept_pause_max: _,
            commands_in_flight,
            input_bytes,
            stalled_input: _,
            verifications_in_turn,
            rounds_in_turn,
            output_bytes,
            queued_output,
            stalled_output: _,
            deliveries_in_flight,
            queued_bytes,
            closing_timeout: _,
            closing_input,
            subscriptions,
            get_queues,
            recipient_keys,
            notifications: _,
            services: _,
            http_connections: _,
            http_head_bytes: _,
            http_requests: _,
            http_timeout: _,
            client_forwards: _,
            relay_forwards: _,
            relays: _,
            relay_failures: _,
            relay_failure_ttl: _,
            relay_connecting: _,
            relay_answer: _,
            relay_idle: _,
            forwarded_keys: _,
            expiry_queues: _,
        } = *self;
        self.validate_times()?;
        self.validate_store()?;
        self.validate_http()?;
        self.validate_routing()?;
        InvalidSetting::check_numbers(&[
            ("connections", connections, 1, MANY),
            ("connections_per_address", connections_per_address, 1, usize::MAX),
            ("new_connections_per_address", new_connections_per_address, 1, usize::MAX),
            ("handshakes", handshakes, 1, MANY),
            ("accepts_in_turn", accepts_in_turn, 1, 10_000),
            ("commands_in_flight", commands_in_flight, 1, 100_000),
            ("input_bytes", input_bytes, BLOCK_LEN, GIB),
            ("verifications_in_turn", verifications_in_turn, 1, 10_000),
            ("rounds_in_turn", rounds_in_turn, 1, 10_000),
            ("output_bytes", output_bytes, BLOCK_LEN, GIB),
            ("queued_output", queued_output, BLOCK_LEN, GIB),
            ("deliveries_in_flight", deliveries_in_flight, 1, 10_000),
            ("queued_bytes", queued_bytes, BLOCK_LEN, usize::MAX),
            ("closing_input", closing_input, 0, GIB),
            ("subscriptions", subscriptions, 1, MANY),
            ("get_queues", get_queues, 1, MANY),
            ("recipient_keys", recipient_keys, 1, 255),
        ])
    }

    fn validate_times(&self) -> Result<(), InvalidSetting> {
        InvalidSetting::check_times(&[
            ("new_connections_interval", self.new_connections_interval, MILLISECOND, HOUR),
            ("handshake_timeout", self.handshake_timeout, MILLISECOND, HOUR),
            ("accept_pause_min", self.accept_pause_min, MILLISECOND, HOUR),
            ("accept_pause_max", self.accept_pause_max, self.accept_pause_min, HOUR),
            ("stalled_input", self.stalled_input, MILLISECOND, HOUR),
            ("stalled_output", self.stalled_output, MILLISECOND, HOUR),
            ("closing_timeout", self.closing_timeout, MILLISECOND, HOUR),
            ("http_timeout", self.http_timeout, MILLISECOND, HOUR),
        ])
    }

    /// The limits of what a store keeps and reads at once.
    fn validate_store(&self) -> Result<(), InvalidSetting> {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        InvalidSetting::check_numbers(&[
            ("notifications", number(self.notifications.into()), 1, 1_000_000),
            ("services", number(self.services), 0, MANY),
            ("expiry_queues", number(self.expiry_queues.into()), 1, 1_000_000),
        ])
    }

    fn validate_http(&self) -> Result<(), InvalidSetting> {
        InvalidSetting::check_numbers(&[
            ("http_connections", self.http_connections, 1, MANY),
            ("http_head_bytes", self.http_head_bytes, 256, MIB),
            ("http_requests", self.http_requests, 1, MANY),
        ])
    }

    /// The limits of private routing.
    fn validate_routing(&self) -> Result<(), InvalidSetting> {
        InvalidSetting::check_numbers(&[
            ("client_forwards", self.client_forwards, 1, 1000),
            ("relay_forwards", self.relay_forwards, 1, 100_000),
            ("relays", self.relays, 1, 100_000),
            ("relay_failures", self.relay_failures, 0, 1_000_000),
            ("forwarded_keys", self.forwarded_keys, 1, 1_000_000),
        ])?;
        InvalidSetting::check_times(&[
            ("relay_failure_ttl", self.relay_failure_ttl, Duration::ZERO, HOUR),
            ("relay_connecting", self.relay_connecting, MILLISECOND, HOUR),
            ("relay_answer", self.relay_answer, MILLISECOND, HOUR),
            ("relay_idle", self.relay_idle, MILLISECOND, DAY),
        ])
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            connections_per_address: 10_000,
            new_connections_per_address: 1000,
            new_connections_interval: Duration::from_secs(10),
            handshakes: 10_000,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            accepts_in_turn: 32,
            accept_pause_min: Duration::from_millis(10),
            accept_pause_max: Duration::from_secs(1),
            commands_in_flight: 512,
            input_bytes: 256 * 1024,
            stalled_input: Duration::from_secs(60),
            verifications_in_turn: 64,
            rounds_in_turn: 16,
            output_bytes: 256 * 1024,
            queued_output: 64 * 1024,
            stalled_output: Duration::from_secs(40),
            deliveries_in_flight: 8,
            queued_bytes: GIB,
            closing_timeout: Duration::from_secs(2),
            closing_input: 1024 * 1024,
            subscriptions: 1_000_000,
            get_queues: 100_000,
            recipient_keys: 16,
            notifications: 128,
            services: 10_000,
            http_connections: 1000,
            http_head_bytes: 8 * 1024,
            http_requests: 100,
            http_timeout: Duration::from_secs(10),
            client_forwards: 32,
            relay_forwards: 1024,
            relays: 1000,
            relay_failures: 1000,
            relay_failure_ttl: Duration::from_secs(30),
            relay_connecting: Duration::from_secs(30),
            relay_answer: Duration::from_secs(15),
            relay_idle: Duration::from_secs(1800),
            forwarded_keys: 1024,
            expiry_queues: 1000,
        }
    }
}

const MANY: usize = 100_000_000;
const MIB: usize = 1024 * 1024;
const GIB: usize = 1024 * MIB;
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
