//! What users tell their agent.

use core::fmt;

use bytes::Bytes;

use super::super::codec::{DecodeError, Decoded};
use super::super::id::{TextConfirmationId, TextInvitationId};
use super::super::link::{ConnectionLink, ConnectionMode, ShortLink};
use super::Line;
use super::body::{first_word, id, id_text, link, link_text, number, put_body, short_link, split_after};

/// A command of a user; the grammar is in the [documentation of the module](super).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentCommand {
    /// `NEW`: make a connection and a link to it. Answer [`Invitation`](super::AgentEvent::Invitation).
    New {
        /// For how many the link is.
        mode: ConnectionMode,
        /// The data of the short link, if the link is to be short.
        short_link: Option<Bytes>,
    },
    /// `JOIN`: connect to who made a link. Answer OK, then events.
    Join {
        /// The link.
        link: Box<ConnectionLink>,
        /// About oneself, for the other side.
        info: Bytes,
    },
    /// `LET`: continue with who accepted an invitation.
    Let {
        /// From the event [`Confirmation`](super::AgentEvent::Confirmation).
        confirmation: TextConfirmationId,
        /// About oneself, for the other side.
        info: Bytes,
    },
    /// `ACPT`: accept a request to a contact address, which makes a connection.
    Accept {
        /// From the event [`Request`](super::AgentEvent::Request).
        request: TextInvitationId,
        /// About oneself, for the other side.
        info: Bytes,
    },
    /// `RJCT`: forget a request to a contact address. The other side is not told.
    Reject {
        /// From the event [`Request`](super::AgentEvent::Request).
        request: TextInvitationId,
    },
    /// `SUB`: resume receiving in this session.
    Subscribe,
    /// `SEND`: queue a message. Answer [`MessageId`](super::AgentEvent::MessageId), later SENT or MERR.
    Send(Bytes),
    /// `ACK`: the message is taken care of, the next may come.
    Acknowledge {
        /// The number that the receiving agent gave the message.
        message: i64,
        /// Tell the other side that it came, with this information.
        receipt: Option<Bytes>,
    },
    /// `OFF`: receive no more messages.
    Suspend,
    /// `DEL`: delete the connection.
    Delete,
    /// `LSET`: set the data of the connection's short link. Answer [`Link`](super::AgentEvent::Link).
    SetLink(Bytes),
    /// `LDEL`: take the data of the connection's short link from its server.
    DeleteLink,
    /// `LGET`: look where a short link leads to. Answer [`LinkData`](super::AgentEvent::LinkData).
    LookUpLink(Box<ShortLink>),
    /// `SWCH`: receive through a queue on another server. Events [`Switch`](super::AgentEvent::Switch) follow.
    Switch,
    /// `RSYNC`: make a new ratchet. Events [`RatchetSync`](super::AgentEvent::RatchetSync) follow.
    SyncRatchet {
        /// Even if the agent sees no need.
        force: bool,
    },
    /// `STAT`: how the connection is. Answer [`Status`](super::AgentEvent::Status).
    Status,
    /// `STATS`: what the agent did at servers. Answer [`Statistics`](super::AgentEvent::Statistics).
    Statistics,
    /// `STATS RESET`: count that anew.
    ResetStatistics,
}

impl AgentCommand {
    const fn word(&self) -> &'static str {
        match self {
            Self::New { .. } => "NEW",
            Self::Join { .. } => "JOIN",
            Self::Let { .. } => "LET",
            Self::Accept { .. } => "ACPT",
            Self::Reject { .. } => "RJCT",
            Self::Subscribe => "SUB",
            Self::Send(_) => "SEND",
            Self::Acknowledge { .. } => "ACK",
            Self::Suspend => "OFF",
            Self::Delete => "DEL",
            Self::SetLink(_) => "LSET",
            Self::DeleteLink => "LDEL",
            Self::LookUpLink(_) => "LGET",
            Self::Switch => "SWCH",
            Self::SyncRatchet { .. } => "RSYNC",
            Self::Status => "STAT",
            Self::Statistics | Self::ResetStatistics => "STATS",
        }
    }

    /// The words between the command's name and the body.
    fn arguments(&self) -> Option<String> {
        match self {
            Self::New { mode, short_link } => {
                let mode = mode_word(*mode);
                Some(if short_link.is_some() { format!("{mode} SHORT") } else { mode.to_owned() })
            }
            Self::Join { link, .. } => Some(link_text(link)),
            Self::Let { confirmation, .. } => Some(id_text(confirmation.as_bytes())),
            Self::Accept { request, .. } | Self::Reject { request } => Some(id_text(request.as_bytes())),
            Self::Acknowledge { message, .. } => Some(message.to_string()),
            Self::LookUpLink(link) => Some(link.to_string()),
            Self::SyncRatchet { force } => force.then(|| "FORCE".to_owned()),
            Self::ResetStatistics => Some("RESET".to_owned()),
            Self::Subscribe
            | Self::Send(_)
            | Self::Suspend
            | Self::Delete
            | Self::SetLink(_)
            | Self::DeleteLink
            | Self::Switch
            | Self::Statistics
            | Self::Status => None,
        }
    }

    const fn body(&self) -> Option<&Bytes> {
        match self {
            Self::New { short_link: body, .. } | Self::Acknowledge { receipt: body, .. } => body.as_ref(),
            Self::Join { info: body, .. }
            | Self::Let { info: body, .. }
            | Self::Accept { info: body, .. }
            | Self::Send(body)
            | Self::SetLink(body) => Some(body),
            Self::Reject { .. }
            | Self::Subscribe
            | Self::Suspend
            | Self::Delete
            | Self::DeleteLink
            | Self::LookUpLink(_)
            | Self::Switch
            | Self::SyncRatchet { .. }
            | Self::Statistics
            | Self::ResetStatistics
            | Self::Status => None,
        }
    }
}

impl Line for AgentCommand {
    fn split_body(line: &[u8]) -> (&[u8], Option<&[u8]>) {
        match first_word(line) {
            b"SEND" | b"LSET" => split_after(line, 1),
            b"JOIN" | b"LET" | b"ACPT" | b"ACK" => split_after(line, 2),
            b"NEW" => split_after(line, 3),
            _ => (line, None),
        }
    }

    fn parse(head: &str, body: Option<Bytes>) -> Decoded<Self> {
        // No command has more than three words before its body.
        let words: Vec<_> = head.splitn(4, ' ').collect();
        Ok(match (words.as_slice(), body) {
            (["NEW", mode], None) => Self::New { mode: parse_mode(mode)?, short_link: None },
            (["NEW", mode, "SHORT"], data @ Some(_)) => {
                Self::New { mode: parse_mode(mode)?, short_link: data }
            }
            (["JOIN", text], Some(info)) => Self::Join { link: link(text)?, info },
            (["LET", text], Some(info)) => {
                Self::Let { confirmation: id(text, TextConfirmationId::new)?, info }
            }
            (["ACPT", text], Some(info)) => Self::Accept { request: id(text, TextInvitationId::new)?, info },
            (["RJCT", text], None) => Self::Reject { request: id(text, TextInvitationId::new)? },
            (["SUB"], None) => Self::Subscribe,
            (["SEND"], Some(body)) => Self::Send(body),
            (["ACK", message], receipt) => Self::Acknowledge { message: number(message)?, receipt },
            (["OFF"], None) => Self::Suspend,
            (["DEL"], None) => Self::Delete,
            (["LSET"], Some(data)) => Self::SetLink(data),
            (["LDEL"], None) => Self::DeleteLink,
            (["LGET", text], None) => Self::LookUpLink(short_link(text)?),
            (["SWCH"], None) => Self::Switch,
            (["RSYNC"], None) => Self::SyncRatchet { force: false },
            (["RSYNC", "FORCE"], None) => Self::SyncRatchet { force: true },
            (["STAT"], None) => Self::Status,
            (["STATS"], None) => Self::Statistics,
            (["STATS", "RESET"], None) => Self::ResetStatistics,
            _ => return Err(DecodeError),
        })
    }

    fn needs_connection(&self) -> bool {
        !matches!(
            self,
            Self::New { .. }
                | Self::Join { .. }
                | Self::Accept { .. }
                | Self::Reject { .. }
                | Self::Statistics
                | Self::ResetStatistics
                | Self::LookUpLink(_)
        )
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

/// Only the name of the command.
impl fmt::Debug for AgentCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

fn parse_mode(text: &str) -> Decoded<ConnectionMode> {
    match text {
        "INV" => Ok(ConnectionMode::Invitation),
        "CON" => Ok(ConnectionMode::Contact),
        _ => Err(DecodeError),
    }
}

const fn mode_word(mode: ConnectionMode) -> &'static str {
    match mode {
        ConnectionMode::Invitation => "INV",
        ConnectionMode::Contact => "CON",
    }
}
