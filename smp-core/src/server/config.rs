//! Settings and limits of a server.

use core::time::Duration;

use crate::wire::Password;

/// Settings of a server, the same for all of its connections.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Whether queues may be created. Default: yes.
    pub new_queues: bool,
    /// The password for creating queues. Default: none, anybody may.
    pub password: Option<Password>,
    /// Bytes of new queue ids, 16 to 32. Default: 24, which message ids always have.
    pub id_bytes: usize,
    /// Messages that a queue holds before it is closed to senders. Default: 128.
    pub message_quota: u32,
    /// After how long a message is deleted that was not received. Default: 21 days. `None`: never.
    pub message_ttl: Option<Duration>,
    /// How often old messages are looked for. Default: 2 hours.
    pub expiry_interval: Duration,
    /// Whether old messages are looked for when the server starts. Default: yes.
    pub expire_on_start: bool,
    /// Whether a SEND first deletes the old messages of its queue. Default: no.
    pub expire_on_send: bool,
    /// How long the news that a subscription ended may wait for others, to be sent together. Default: 0.5 seconds.
    pub end_interval: Duration,
    /// When connections without subscriptions are closed. Default: after 6 hours. `None`: never.
    pub idle_clients: Option<IdleClients>,
    /// What a peer may make the server hold or do.
    pub limits: Limits,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            new_queues: true,
            password: None,
            id_bytes: 24,
            message_quota: 128,
            message_ttl: Some(Duration::from_secs(21 * 86_400)),
            expiry_interval: Duration::from_secs(7200),
            expire_on_start: true,
            expire_on_send: false,
            end_interval: Duration::from_millis(500),
            idle_clients: Some(IdleClients::default()),
            limits: Limits::default(),
        }
    }
}

/// When a connection without subscriptions is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdleClients {
    /// How long it may be silent. Default: 6 hours.
    pub ttl: Duration,
    /// How often that is checked. Default: 1 hour.
    pub check_interval: Duration,
}

impl Default for IdleClients {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(21_600), check_interval: Duration::from_secs(3600) }
    }
}

/// What one peer may make the server hold. Every number bounds memory or time. How long the handshake may take is an
/// option of the transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Commands of one connection that wait for an answer, over which no more is read from it. Default: 512; a block
    /// holds at most 255, so at most this and 254 more are held.
    pub commands_in_flight: usize,
    /// Bytes of commands of one connection that wait for an answer, over which no more is read from it.
    /// Default: 256 KiB; one block more may be held.
    pub input_bytes: usize,
    /// Message deliveries to one connection that its socket has not taken yet; further ones wait in the store.
    /// Default: 8. Each holds up to 16 KiB.
    pub deliveries_in_flight: usize,
    /// Bytes that wait to be written to one connection, with a block for each block that is not answered, over which
    /// no more is read from it. Default: 256 KiB.
    pub output_bytes: usize,
    /// How long a peer may take no byte while output waits for it. Default: 40 seconds.
    pub stalled_output: Duration,
    /// Queues that one connection may be subscribed to. Default: 1,000,000.
    pub subscriptions: usize,
    /// Queues that one connection may receive by GET. Default: 100,000.
    pub get_queues: usize,
    /// Keys of one recipient, which RKEY sets. Default: 16. A command with a wrong authorisation costs a verification with
    /// each of them.
    pub recipient_keys: usize,
    /// Queues that one visit of message expiry covers before other operations get their turn. Default: 1000.
    pub expiry_queues: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            commands_in_flight: 512,
            input_bytes: 256 * 1024,
            deliveries_in_flight: 8,
            output_bytes: 256 * 1024,
            stalled_output: Duration::from_secs(40),
            subscriptions: 1_000_000,
            get_queues: 100_000,
            recipient_keys: 16,
            expiry_queues: 1000,
        }
    }
}
