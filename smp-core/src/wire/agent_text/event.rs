//! What agents tell their users: answers and events.

use core::fmt;

use bytes::Bytes;

use super::super::agent::{AgentError, MessageIntegrity};
use super::super::codec::{DecodeError, Decoded};
use super::super::id::{TextConfirmationId, TextInvitationId};
use super::super::link::{ConnectionLink, ShortLink};
use super::Line;
use super::body::{first_word, id, id_text, link, link_text, number, put_body, short_link, split_after};
use super::message::{MessageEvent, parse_time, time_text};
use super::status::{ConnectionStatus, RatchetSync, SwitchPhase, SwitchSide};
use crate::time::UnixTime;

/// An answer to a command, or an event; the grammar is in the [documentation of the module](super).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEvent {
    /// `OK`: the command is done, or its result will come as an event.
    Ok,
    /// `ERR`: the command failed, or without correlation id, something failed by itself.
    Error(AgentError),
    /// `INV`: the link to a new connection.
    Invitation {
        /// The link.
        link: Box<ConnectionLink>,
        /// The short link, if it has one beside.
        short: Option<Box<ShortLink>>,
    },
    /// `LINK`: a short link whose data was set.
    Link(Box<ShortLink>),
    /// `LDATA`: the data that a short link leads to.
    LinkData(Bytes),
    /// `MID`: a message is queued under this number.
    MessageId(i64),
    /// `STAT`: how a connection is.
    Status(Box<ConnectionStatus>),
    /// `STATS`: what the agent did at servers.
    Statistics {
        /// When counting began.
        since: UnixTime,
        /// A line for each user and server, as [`AgentCommand::Statistics`](super::AgentCommand::Statistics) says.
        servers: Bytes,
    },
    /// `CONF`: somebody accepted the invitation, and waits for `LET`.
    Confirmation {
        /// For `LET`.
        id: TextConfirmationId,
        /// About who accepted it.
        info: Bytes,
    },
    /// `REQ`: somebody wants to connect to the contact address, and waits for `ACPT`.
    Request {
        /// For `ACPT` or `RJCT`.
        id: TextInvitationId,
        /// About who asks.
        info: Bytes,
    },
    /// `INFO`: about the other side.
    Info(Bytes),
    /// `CON`: messages can be sent and received.
    Connected,
    /// `MSG`: a message, which waits for `ACK`.
    Message(Box<MessageEvent>),
    /// `RCVD`: the other user got a message.
    Received {
        /// The number of the message, as in MID.
        id: i64,
        /// OK, or HASH when it is not what was sent.
        integrity: MessageIntegrity,
    },
    /// `SENT`: a server took the message with this number.
    Sent(i64),
    /// `MERR`: a message will not be sent.
    SendFailed {
        /// The number of the message, as in MID.
        id: i64,
        /// Why.
        error: AgentError,
    },
    /// `MWARN`: a message was not sent yet, for a reason that does not go away by itself.
    SendDelayed {
        /// The number of the message, as in MID.
        id: i64,
        /// Why.
        error: AgentError,
    },
    /// `END`: another client receives now.
    End,
    /// `DOWN`: the connection's server is out of reach.
    Down,
    /// `UP`: the connection's server is back, and receiving goes on.
    Up,
    /// `SWITCH`: the change to a new queue got this far.
    Switch {
        /// Which side receives from it.
        side: SwitchSide,
        /// How far.
        phase: SwitchPhase,
    },
    /// `RSYNC`: whether both sides have the same ratchet has changed.
    RatchetSync(RatchetSync),
    /// `QCONT`: the other side's queue was full, and sending goes on.
    QueueContinue,
    /// `DELD`: the server has deleted the connection's queue.
    Deleted,
}

impl AgentEvent {
    const fn word(&self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Error(_) => "ERR",
            Self::Invitation { .. } => "INV",
            Self::Link(_) => "LINK",
            Self::LinkData(_) => "LDATA",
            Self::MessageId(_) => "MID",
            Self::Status(_) => "STAT",
            Self::Statistics { .. } => "STATS",
            Self::Confirmation { .. } => "CONF",
            Self::Request { .. } => "REQ",
            Self::Info(_) => "INFO",
            Self::Connected => "CON",
            Self::Message(_) => "MSG",
            Self::Received { .. } => "RCVD",
            Self::Sent(_) => "SENT",
            Self::SendFailed { .. } => "MERR",
            Self::SendDelayed { .. } => "MWARN",
            Self::End => "END",
            Self::Down => "DOWN",
            Self::Up => "UP",
            Self::Switch { .. } => "SWITCH",
            Self::RatchetSync(_) => "RSYNC",
            Self::QueueContinue => "QCONT",
            Self::Deleted => "DELD",
        }
    }

    /// The words between the event's name and the body.
    fn arguments(&self) -> Option<String> {
        Some(match self {
            Self::Error(error) => error.to_string(),
            Self::Invitation { link, short: None } => link_text(link),
            Self::Invitation { link, short: Some(short) } => format!("{} {short}", link_text(link)),
            Self::Link(link) => link.to_string(),
            Self::MessageId(id) | Self::Sent(id) => id.to_string(),
            Self::Status(status) => status.to_string(),
            Self::Confirmation { id, .. } => id_text(id.as_bytes()),
            Self::Request { id, .. } => id_text(id.as_bytes()),
            Self::Statistics { since, .. } => time_text(*since),
            Self::Message(message) => message.arguments(),
            Self::Received { id, integrity } => format!("{id} {integrity}"),
            Self::SendFailed { id, error } | Self::SendDelayed { id, error } => format!("{id} {error}"),
            Self::Switch { side, phase } => format!("{} {}", side.as_str(), phase.as_str()),
            Self::RatchetSync(state) => state.as_str().to_owned(),
            Self::Ok
            | Self::LinkData(_)
            | Self::Info(_)
            | Self::Connected
            | Self::End
            | Self::Down
            | Self::Up
            | Self::QueueContinue
            | Self::Deleted => return None,
        })
    }

    fn body(&self) -> Option<&Bytes> {
        match self {
            Self::Confirmation { info: body, .. }
            | Self::Request { info: body, .. }
            | Self::Info(body)
            | Self::LinkData(body)
            | Self::Statistics { servers: body, .. } => Some(body),
            Self::Message(message) => Some(&message.body),
            _ => None,
        }
    }

    /// What has neither arguments nor a body.
    fn parse_word(word: &str) -> Decoded<Self> {
        Ok(match word {
            "OK" => Self::Ok,
            "CON" => Self::Connected,
            "END" => Self::End,
            "DOWN" => Self::Down,
            "UP" => Self::Up,
            "QCONT" => Self::QueueContinue,
            "DELD" => Self::Deleted,
            _ => return Err(DecodeError),
        })
    }

    /// What has arguments and no body.
    fn parse_arguments(word: &str, rest: &str) -> Decoded<Self> {
        // The first argument and what follows it, for those that have two.
        let pair = || rest.split_once(' ').ok_or(DecodeError);
        Ok(match word {
            "ERR" => Self::Error(rest.parse()?),
            "INV" => {
                let (full, short) = rest.split_once(' ').unzip();
                let short = short.map(short_link).transpose()?;
                Self::Invitation { link: link(full.unwrap_or(rest))?, short }
            }
            "LINK" => Self::Link(short_link(rest)?),
            "MID" => Self::MessageId(number(rest)?),
            "SENT" => Self::Sent(number(rest)?),
            "STAT" => Self::Status(Box::new(rest.parse()?)),
            "RSYNC" => Self::RatchetSync(rest.parse()?),
            "RCVD" => {
                let (id, integrity) = pair()?;
                Self::Received { id: number(id)?, integrity: integrity.parse()? }
            }
            "MERR" => {
                let (id, error) = pair()?;
                Self::SendFailed { id: number(id)?, error: error.parse()? }
            }
            "MWARN" => {
                let (id, error) = pair()?;
                Self::SendDelayed { id: number(id)?, error: error.parse()? }
            }
            "SWITCH" => {
                let (side, phase) = pair()?;
                Self::Switch { side: side.parse()?, phase: phase.parse()? }
            }
            _ => return Err(DecodeError),
        })
    }
}

impl Line for AgentEvent {
    fn split_body(line: &[u8]) -> (&[u8], Option<&[u8]>) {
        match first_word(line) {
            b"INFO" | b"LDATA" => split_after(line, 1),
            b"CONF" | b"REQ" | b"STATS" => split_after(line, 2),
            b"MSG" => MessageEvent::split_body(line),
            _ => (line, None),
        }
    }

    fn parse(head: &str, body: Option<Bytes>) -> Decoded<Self> {
        let (word, arguments) = match head.split_once(' ') {
            None => (head, None),
            Some((word, arguments)) => (word, Some(arguments)),
        };
        Ok(match (word, arguments, body) {
            ("CONF", Some(text), Some(info)) => {
                Self::Confirmation { id: id(text, TextConfirmationId::new)?, info }
            }
            ("REQ", Some(text), Some(info)) => Self::Request { id: id(text, TextInvitationId::new)?, info },
            ("STATS", Some(time), Some(servers)) => Self::Statistics { since: parse_time(time)?, servers },
            ("INFO", None, Some(info)) => Self::Info(info),
            ("LDATA", None, Some(data)) => Self::LinkData(data),
            ("MSG", Some(meta), Some(body)) => Self::Message(Box::new(MessageEvent::parse(meta, body)?)),
            (word, Some(arguments), None) => Self::parse_arguments(word, arguments)?,
            (word, None, None) => Self::parse_word(word)?,
            _ => return Err(DecodeError),
        })
    }

    fn needs_connection(&self) -> bool {
        false
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.word().as_bytes());
        if let Some(arguments) = self.arguments() {
            out.push(b' ');
            out.extend_from_slice(arguments.as_bytes());
        }
        if let Some(body) = self.body() {
            out.push(b' ');
            put_body(out, body);
        }
    }
}

/// Only the name of the event.
impl fmt::Debug for AgentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
