//! Limits and intervals of a client.

use core::time::Duration;

/// What one connection may hold, and how long it waits. Every number bounds memory or time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientLimits {
    /// Commands that the client holds: those that wait to be written and those that wait for an answer. Further ones
    /// are rejected. Default: 4096, three batches of the 1350 subscriptions that an app asks for at once.
    pub commands: usize,
    /// Bytes of parameters (message bodies, link data) of the commands that wait to be written. Further commands are
    /// rejected. Default: 4 MiB.
    pub waiting_bytes: usize,
    /// Bytes given out as [`ClientOutput::Send`](super::ClientOutput::Send) that the socket has not taken, over which
    /// commands wait instead of becoming blocks: so that commands of one turn, and those that come while the socket
    /// is busy, share blocks. Default: 64 KiB.
    pub output_bytes: usize,
    /// Commands without an answer that are remembered after they timed out or were cancelled, so that a late answer
    /// is known for one. Default: 4096. The oldest is forgotten first.
    pub late_answers: usize,
    /// How long an answer may take, counted from when the socket took the last byte of the command's block.
    /// Default: 15 seconds.
    pub answer: Duration,
    /// How long the socket may take no byte while output waits for it. Default: 40 seconds.
    pub stalled_output: Duration,
    /// After how much silence of the server a client that subscribed sends PING. Default: 10 minutes.
    pub ping_interval: Duration,
    /// How many answers in a row must be missing before the connection is given up. Default: 3.
    pub ping_count: u32,
    /// How long the server must have been silent before the connection is given up. Default: 15 minutes.
    pub ping_silence: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            commands: 4096,
            waiting_bytes: 4 * 1024 * 1024,
            output_bytes: 64 * 1024,
            late_answers: 4096,
            answer: Duration::from_secs(15),
            stalled_output: Duration::from_secs(40),
            ping_interval: Duration::from_secs(600),
            ping_count: 3,
            ping_silence: Duration::from_secs(900),
        }
    }
}
