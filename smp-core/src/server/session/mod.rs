//! A session: the server's side of one connection.

use super::broker::{BrokerReply, BrokerRequest};
use super::store::{QueueKey, QueueRecord, StoreFailure};
use crate::time::{Now, Timestamp};

/// Names a look-up of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LookUpId(pub u64);

/// An input of a [`Session`].
pub enum SessionInput<'a> {
    /// Bytes from the socket.
    Received(&'a [u8]),
    /// The peer closed its side.
    Eof,
    /// The socket took this many of the bytes of [`SessionOutput::Send`], in order.
    Sent(usize),
    /// The records of a [`SessionOutput::LookUp`], in the order of its keys.
    LookedUp(LookUpId, Result<Vec<Option<QueueRecord>>, StoreFailure>),
    /// A reply of the broker.
    FromBroker(BrokerReply),
    /// The time of `poll_timeout` came.
    Timeout,
    /// The server stops: take no more commands, answer those that run, then close.
    Stop,
}

/// An effect that the shell carries out, in order.
pub enum SessionOutput {
    /// Write these bytes to the socket: whole TLS records, one block each.
    Send(Vec<u8>),
    /// Look these queues up in the store.
    LookUp(LookUpId, Vec<QueueKey>),
    /// Hand this to the broker.
    ToBroker(BrokerRequest),
    /// Write what was given out before, then close the socket. Nothing follows.
    Close(CloseReason),
    /// Something that an operator may want to count.
    Event(SessionEvent),
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The peer closed the connection.
    PeerClosed,
    /// The handshake failed or took too long.
    Handshake,
    /// The peer broke TLS or the block layer.
    Transport,
    /// The peer did not take its output for too long.
    Stalled,
    /// Nothing was heard of the peer for too long, and it is subscribed to nothing.
    Idle,
    /// The server stops.
    Stopped,
}

/// Something that happened in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The handshake is done; the agreed version.
    Ready(u16),
}

/// The session machine.
pub struct Session {}

impl Session {
    /// Takes an input.
    pub fn handle(&mut self, _now: Now, _input: SessionInput<'_>) {}

    /// The next effect.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<SessionOutput> {
        None
    }

    /// When to call `handle` with [`SessionInput::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// Whether to read from the socket.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        true
    }
}
