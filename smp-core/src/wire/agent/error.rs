//! What an agent tells its user when something failed, and what it finds out about the order of messages.

mod text;
mod words;

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use self::text::{integrity_from_text, integrity_to_text};
pub(in crate::wire) use self::words::words;
use super::super::address::ServerAddress;
use super::super::codec::{DecodeError, Decoded};
use super::super::error::{BrokerErrorType, ErrorType, ProxyError};
use super::message::MessageHash;
use crate::time::UnixTime;

/// Why an agent did not do what its user asked, or what went wrong by itself.
///
/// `Display` writes the words of the [text protocol](super::super::agent_text), and `FromStr` reads them. They may hold
/// the addresses of servers: they are for the agent's user, never for a log.
///
/// ```text
/// CMD <word>                  AGENT <word>
/// CONN <word>                 AGENT A_CRYPTO <word> [<count>]
/// NO_USER                     AGENT A_LINK <word>
/// SMP <server> <error>        INTERNAL <text>
/// BROKER <server> <error>     CRITICAL <T|F> <text>
/// PROXY <proxy> <relay> <error>
/// NOTICE <server> <T|F> [<time>]
/// NO_NAME_SERVERS             INACTIVE
/// ```
///
/// Errors of servers are in the words of SMP, but text in them is the rest of the line, and characters that would break
/// a line are spaces.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AgentError {
    /// The command itself is wrong. `CMD`.
    Command(AgentCommandError),
    /// The connection is not such that the command can be done. `CONN`.
    Connection(ConnectionError),
    /// There is no such local user. `NO_USER`.
    NoUser,
    /// A server refused. `SMP`.
    Smp {
        /// The server.
        server: Box<ServerAddress>,
        /// What it said.
        error: ErrorType,
    },
    /// A server could not be used. `BROKER`.
    Broker {
        /// The server.
        server: Box<ServerAddress>,
        /// Why.
        error: BrokerErrorType,
    },
    /// A command was not forwarded. `PROXY`.
    Proxy {
        /// The server that should have forwarded it.
        proxy: Box<ServerAddress>,
        /// The server that it was for.
        relay: Box<ServerAddress>,
        /// What the proxy said.
        error: ProxyError,
    },
    /// The other agent did something wrong, or the two do not fit. `AGENT`.
    Peer(PeerError),
    /// The server, which blocked a queue, takes no new contact address. `NOTICE`.
    Notice {
        /// The server.
        server: Box<ServerAddress>,
        /// It is one of those that the app comes with: none of these does.
        is_preset: bool,
        /// Until when; none, for good.
        expires_at: Option<UnixTime>,
    },
    /// A fault of the agent. `INTERNAL`.
    Internal(String),
    /// The agent cannot go on. `CRITICAL`.
    Critical {
        /// Whether it may help to start it again.
        offer_restart: bool,
        /// For people.
        text: String,
    },
    /// None of the user's servers resolves names. `NO_NAME_SERVERS`.
    NoNameServers,
    /// The agent is being stopped. `INACTIVE`.
    Inactive,
}

impl core::error::Error for AgentError {}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::to_text(self))
    }
}

/// Reads what `Display` writes.
impl FromStr for AgentError {
    type Err = DecodeError;

    fn from_str(text: &str) -> Decoded<Self> {
        text::from_text(text)
    }
}

words! {
    /// What is wrong with a command.
    AgentCommandError {
        /// Not allowed here or now.
        Prohibited = "PROHIBITED",
        /// No such command, or malformed or surplus parameters.
        Syntax = "SYNTAX",
        /// It needs the id of a connection.
        NoConnection = "NO_CONN",
        /// A body has not the length that was said.
        Size = "SIZE",
        /// A line, a body or a message is longer than the limit.
        Large = "LARGE",
    }
}

words! {
    /// What is wrong with a connection.
    ConnectionError {
        /// There is no such connection.
        NotFound = "NOT_FOUND",
        /// There is such a connection already.
        Duplicate = "DUPLICATE",
        /// It only sends, or only receives.
        Simplex = "SIMPLEX",
        /// The other side did not accept it.
        NotAccepted = "NOT_ACCEPTED",
        /// The link was used already, or its queue is gone.
        NotAvailable = "NOT_AVAILABLE",
    }
}

words! {
    /// Why the data of a short link is not what the link was made for.
    LinkDataError {
        /// It is not encrypted with the key of the link, or malformed.
        Unreadable = "UNREADABLE",
        /// The key of the link is not the hash of its fixed data.
        Hash = "HASH",
        /// It is not signed by whom it should be: the root key, or, what may change, an owner.
        Signature = "SIGNATURE",
        /// An owner is named twice, or by nobody with the right to.
        Owners = "OWNERS",
        /// Of the link and its parts, some are an invitation and some a contact address.
        Mode = "MODE",
        /// It leads to another queue, or to another server, than the link and the server say.
        Address = "ADDRESS",
    }
}

/// What is wrong with the other agent, or with what it sent. The words are those of the text protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum PeerError {
    /// A message could not be read. `A_MESSAGE`.
    Message,
    /// A message that does not belong here. `A_PROHIBITED`.
    Prohibited,
    /// No version is spoken by both. `A_VERSION`.
    Version,
    /// The data of a short link is not what the link was made for. `A_LINK`.
    Link(LinkDataError),
    /// Decryption failed. `A_CRYPTO`.
    Crypto(RatchetError),
    /// A message came a second time. `A_DUPLICATE`.
    Duplicate,
    /// A message about a queue that does not fit the connection's queues. `A_QUEUE`.
    Queue,
}

/// How the ratchet failed. The words are those of the text protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RatchetError {
    /// The body of a message. `DECRYPT_AES`.
    Body,
    /// The encryption of the queue. `DECRYPT_CB`.
    Queue,
    /// The header of a message. `RATCHET_HEADER`.
    Header,
    /// A message so many places before the next one, whose key is gone. `RATCHET_EARLIER`.
    Earlier(u32),
    /// So many messages were skipped: too many to keep their keys. `RATCHET_SKIPPED`.
    Skipped(u32),
    /// The two sides do not agree on a new ratchet. `RATCHET_SYNC`.
    Sync,
}

/// Whether a message came in its place, as its number and the hash of the previous message say.
///
/// `Display` writes the words of the text protocol: `OK`, `ERR NO_ID <from> <to>`, `ERR ID <previous>`, `ERR HASH`,
/// `ERR DUPLICATE`; `FromStr` reads them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageIntegrity {
    /// It is the next one.
    Ok,
    /// Those from the first number to the last were skipped.
    Skipped {
        /// The first that is missing.
        from: i64,
        /// The last that is missing.
        to: i64,
    },
    /// Its number is below that of the last one.
    BadId {
        /// The number of the last one.
        previous: i64,
    },
    /// The number is right, but the previous message was another one.
    BadHash,
    /// It has the number of the last one.
    Duplicate,
}

impl MessageIntegrity {
    /// What the message `id`, which says that `previous_hash` came before it, is after the message `last_id` with
    /// `last_hash`.
    #[must_use]
    pub fn check(last_id: i64, last_hash: &MessageHash, id: i64, previous_hash: &MessageHash) -> Self {
        match id.cmp(&last_id) {
            Ordering::Less => Self::BadId { previous: last_id },
            Ordering::Equal => Self::Duplicate,
            Ordering::Greater if id - 1 > last_id => Self::Skipped { from: last_id + 1, to: id - 1 },
            Ordering::Greater if previous_hash == last_hash => Self::Ok,
            Ordering::Greater => Self::BadHash,
        }
    }
}

impl fmt::Display for MessageIntegrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&integrity_to_text(*self))
    }
}

impl FromStr for MessageIntegrity {
    type Err = DecodeError;

    fn from_str(text: &str) -> Decoded<Self> {
        integrity_from_text(text)
    }
}
