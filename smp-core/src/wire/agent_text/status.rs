//! How a connection is.

use core::fmt;
use core::str::FromStr;

use super::super::address::ServerAddress;
use super::super::agent::words;
use super::super::codec::{DecodeError, Decoded};
use super::super::version::Version;

/// How a connection is. `Display` writes the arguments of STAT, with the addresses of servers: it is for the agent's
/// user, never for a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionStatus {
    /// Which queues it has.
    pub kind: ConnectionKind,
    /// The agent version that both sides speak.
    pub version: Version,
    /// Whether both sides have the same ratchet.
    pub ratchet: RatchetSync,
    /// Where messages come from.
    pub receive_from: Vec<ServerAddress>,
    /// Where messages are sent to.
    pub send_to: Vec<ServerAddress>,
}

impl fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind.as_str(), self.version, self.ratchet.as_str())?;
        self.receive_from.iter().try_for_each(|server| write!(f, " R={server}"))?;
        self.send_to.iter().try_for_each(|server| write!(f, " S={server}"))
    }
}

impl FromStr for ConnectionStatus {
    type Err = DecodeError;

    fn from_str(text: &str) -> Decoded<Self> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(DecodeError);
        let (kind, version, ratchet) = (word()?.parse()?, word()?.parse()?, word()?.parse()?);
        let mut status = Self { kind, version, ratchet, receive_from: Vec::new(), send_to: Vec::new() };
        for word in words {
            let (side, server) = word.split_once('=').ok_or(DecodeError)?;
            let server = server.parse().map_err(|_| DecodeError)?;
            match side {
                "R" if status.send_to.is_empty() => status.receive_from.push(server),
                "S" => status.send_to.push(server),
                _ => return Err(DecodeError),
            }
        }
        Ok(status)
    }
}

words! {
    /// Which queues a connection has.
    ConnectionKind {
        /// None yet.
        New = "new",
        /// It receives, and waits for the other side.
        Receiving = "rcv",
        /// It sends, and has no queue for replies yet.
        Sending = "snd",
        /// Both ways.
        Duplex = "duplex",
        /// It takes requests from anyone.
        Contact = "contact",
    }
}

words! {
    /// Whether both sides of a connection have the same ratchet.
    RatchetSync {
        /// They have.
        Ok = "ok",
        /// Something could not be decrypted: a new ratchet may help.
        Allowed = "allowed",
        /// Nothing can be decrypted: a new ratchet is needed before anything is sent.
        Required = "required",
        /// This side asked for a new ratchet.
        Started = "started",
        /// Both sides sent keys; nothing came that was encrypted with them.
        Agreed = "agreed",
    }
}

words! {
    /// Which side gets a new queue to receive from.
    SwitchSide {
        /// This one.
        Receiving = "rcv",
        /// The other one: this one sends to a new queue.
        Sending = "snd",
    }
}

words! {
    /// How far the change to a new queue is.
    SwitchPhase {
        /// The new queue is there, and the other side is told.
        Started = "started",
        /// The sender has given its key for it.
        Confirmed = "confirmed",
        /// Only the sender may send to it.
        Secured = "secured",
        /// The old queue is gone.
        Completed = "completed",
    }
}
