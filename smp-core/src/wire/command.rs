//! The commands of clients.
//!
//! A command is its tag, then, if it has parameters, a space and the parameters without anything between or
//! after them. A server reads most commands at any version: only the parameters of NEW, SUBS and NSUBS depend
//! on it.

mod credentials;
mod proxy;
mod queue;

use core::fmt;

use bytes::Bytes;

pub use credentials::Party;
pub use proxy::{ForwardRequest, RelayRequest};
pub use queue::{
    ContactLink, LinkData, MessageFlags, MessagingLink, NewQueue, NotifierKeys, QueueRequestData,
    SubscriptionMode,
};

use super::codec::{Decoded, Reader, put_after_space, put_list};
use super::error::CommandError;
use super::id::{EntityId, MessageId};
use super::key::AuthPublicKey;
use super::names::Name;
use super::queue_set::QueueSet;
use super::version::Version;

/// A command. The entity it is about and the party that sends it are given with each.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Creator, no entity: makes a queue.
    New(Box<NewQueue>),
    /// Recipient, recipient id: subscribes to the queue.
    Sub,
    /// Service, service id: subscribes to all queues of the service, which are these as far as it knows.
    Subs(QueueSet),
    /// Recipient, recipient id: sets the key of the sender.
    Key(AuthPublicKey),
    /// Recipient, recipient id: replaces the keys of the recipients, 1 to 255, of a contact queue.
    RKey(Vec<AuthPublicKey>),
    /// Recipient, recipient id: sets the link of the queue and its data.
    LSet {
        /// The link.
        link_id: EntityId,
        /// Its data.
        data: LinkData,
    },
    /// Recipient, recipient id: deletes the link.
    LDel,
    /// Recipient, recipient id: sets the notifier.
    NKey(NotifierKeys),
    /// Recipient, recipient id: deletes the notifier.
    NDel,
    /// Recipient, recipient id: gets one message without a subscription.
    Get,
    /// Recipient, recipient id: the message was received; an empty id stands for any.
    Ack(MessageId),
    /// Recipient, recipient id: suspends the queue.
    Off,
    /// Recipient, recipient id: deletes the queue.
    Del,
    /// Recipient, recipient id: asks for the state of the queue.
    Que,
    /// Sender, sender id: sets his key himself.
    SKey(AuthPublicKey),
    /// Sender, sender id: sends a message.
    Send {
        /// What the server may know about the message.
        flags: MessageFlags,
        /// The message, encrypted by the sender for the recipient.
        body: Bytes,
    },
    /// Anyone, no entity: keeps the connection alive.
    Ping,
    /// Sender, link id: sets his key and asks for the data of a messaging queue's link.
    LKey(AuthPublicKey),
    /// Sender, link id: asks for the data of a contact queue's link.
    LGet,
    /// Notifier, notifier id: subscribes to notifications.
    NSub,
    /// Notification service, service id: subscribes to all notifications of the service.
    NSubs(QueueSet),
    /// Client of a proxy, no entity: asks for a session with a relay.
    Prxy(RelayRequest),
    /// Client of a proxy, session with the relay: forwards a command.
    Pfwd(ForwardRequest),
    /// Proxy, no entity: forwards a command to its relay, encrypted.
    Rfwd(Bytes),
    /// Anyone, no entity: resolves a name.
    Rslv(Name),
}

impl Command {
    /// Reads a command that a client of `version` sent.
    ///
    /// # Errors
    /// `UNKNOWN` for another tag, `SYNTAX` for malformed, missing or surplus parameters.
    pub fn decode(version: Version, bytes: &Bytes) -> Result<Self, CommandError> {
        let mut reader = Reader::new(bytes);
        let command = Self::decode_tagged(version, &mut reader).ok_or(CommandError::Unknown)?;
        command.and_then(|command| reader.end().map(|()| command)).map_err(|_| CommandError::Syntax)
    }

    /// `None` for an unknown tag.
    fn decode_tagged(version: Version, reader: &mut Reader<'_>) -> Option<Decoded<Self>> {
        Some(match core::str::from_utf8(reader.word()).ok()? {
            tag::NEW => {
                reader.after_space(|r| NewQueue::decode(version, r)).map(|new| Self::New(Box::new(new)))
            }
            tag::SUB => Ok(Self::Sub),
            tag::SUBS => service_queues(version, reader).map(Self::Subs),
            tag::KEY => reader.after_space(AuthPublicKey::decode).map(Self::Key),
            tag::RKEY => reader.after_space(|r| r.non_empty(AuthPublicKey::decode)).map(Self::RKey),
            tag::LSET => reader.after_space(|r| {
                Ok(Self::LSet { link_id: EntityId::decode(r)?, data: LinkData::decode(r)? })
            }),
            tag::LDEL => Ok(Self::LDel),
            tag::NKEY => reader.after_space(NotifierKeys::decode).map(Self::NKey),
            tag::NDEL => Ok(Self::NDel),
            tag::GET => Ok(Self::Get),
            tag::ACK => reader.after_space(MessageId::decode).map(Self::Ack),
            tag::OFF => Ok(Self::Off),
            tag::DEL => Ok(Self::Del),
            tag::QUE => Ok(Self::Que),
            tag::SKEY => reader.after_space(AuthPublicKey::decode).map(Self::SKey),
            tag::SEND => reader.after_space(|r| {
                let flags = MessageFlags::decode(r)?;
                r.after_space(|r| Ok(Self::Send { flags, body: r.tail() }))
            }),
            tag::PING => Ok(Self::Ping),
            tag::LKEY => reader.after_space(AuthPublicKey::decode).map(Self::LKey),
            tag::LGET => Ok(Self::LGet),
            tag::NSUB => Ok(Self::NSub),
            tag::NSUBS => service_queues(version, reader).map(Self::NSubs),
            tag::PRXY => reader.after_space(RelayRequest::decode).map(Self::Prxy),
            tag::PFWD => reader.after_space(ForwardRequest::decode).map(Self::Pfwd),
            tag::RFWD => reader.after_space(|r| Ok(Self::Rfwd(r.tail()))),
            tag::RSLV => reader.after_space(Name::decode).map(Self::Rslv),
            _ => return None,
        })
    }

    /// Writes the command as a client of `version` sends it.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag().as_bytes());
        match self {
            Self::Sub | Self::LDel | Self::NDel | Self::Get | Self::Off | Self::Del | Self::Que => {}
            Self::Ping | Self::LGet | Self::NSub => {}
            Self::Subs(_) | Self::NSubs(_) if version < Version::SERVICE_SUBS => {}
            Self::Subs(queues) | Self::NSubs(queues) => {
                put_after_space(out, |out| queues.encode(version, out))
            }
            Self::New(new) => put_after_space(out, |out| new.encode(version, out)),
            Self::Key(key) | Self::SKey(key) | Self::LKey(key) => put_after_space(out, |out| key.encode(out)),
            Self::RKey(keys) => put_after_space(out, |out| put_list(out, keys, |out, key| key.encode(out))),
            Self::LSet { link_id, data } => put_after_space(out, |out| {
                link_id.encode(out);
                data.encode(out);
            }),
            Self::NKey(keys) => put_after_space(out, |out| keys.encode(out)),
            Self::Ack(id) => put_after_space(out, |out| id.encode(out)),
            Self::Send { flags, body } => {
                put_after_space(out, |out| flags.encode(out));
                put_after_space(out, |out| out.extend_from_slice(body));
            }
            Self::Prxy(request) => put_after_space(out, |out| request.encode(out)),
            Self::Pfwd(request) => put_after_space(out, |out| request.encode(out)),
            Self::Rfwd(encrypted) => put_after_space(out, |out| out.extend_from_slice(encrypted)),
            Self::Rslv(name) => put_after_space(out, |out| name.encode(out)),
        }
    }

    /// The word that the command begins with.
    #[must_use]
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::New(_) => tag::NEW,
            Self::Sub => tag::SUB,
            Self::Subs(_) => tag::SUBS,
            Self::Key(_) => tag::KEY,
            Self::RKey(_) => tag::RKEY,
            Self::LSet { .. } => tag::LSET,
            Self::LDel => tag::LDEL,
            Self::NKey(_) => tag::NKEY,
            Self::NDel => tag::NDEL,
            Self::Get => tag::GET,
            Self::Ack(_) => tag::ACK,
            Self::Off => tag::OFF,
            Self::Del => tag::DEL,
            Self::Que => tag::QUE,
            Self::SKey(_) => tag::SKEY,
            Self::Send { .. } => tag::SEND,
            Self::Ping => tag::PING,
            Self::LKey(_) => tag::LKEY,
            Self::LGet => tag::LGET,
            Self::NSub => tag::NSUB,
            Self::NSubs(_) => tag::NSUBS,
            Self::Prxy(_) => tag::PRXY,
            Self::Pfwd(_) => tag::PFWD,
            Self::Rfwd(_) => tag::RFWD,
            Self::Rslv(_) => tag::RSLV,
        }
    }
}

/// Only the tag: parameters are keys, ids and messages.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

/// The tags of commands.
mod tag {
    pub(super) const NEW: &str = "NEW";
    pub(super) const SUB: &str = "SUB";
    pub(super) const SUBS: &str = "SUBS";
    pub(super) const KEY: &str = "KEY";
    pub(super) const RKEY: &str = "RKEY";
    pub(super) const LSET: &str = "LSET";
    pub(super) const LDEL: &str = "LDEL";
    pub(super) const NKEY: &str = "NKEY";
    pub(super) const NDEL: &str = "NDEL";
    pub(super) const GET: &str = "GET";
    pub(super) const ACK: &str = "ACK";
    pub(super) const OFF: &str = "OFF";
    pub(super) const DEL: &str = "DEL";
    pub(super) const QUE: &str = "QUE";
    pub(super) const SKEY: &str = "SKEY";
    pub(super) const SEND: &str = "SEND";
    pub(super) const PING: &str = "PING";
    pub(super) const LKEY: &str = "LKEY";
    pub(super) const LGET: &str = "LGET";
    pub(super) const NSUB: &str = "NSUB";
    pub(super) const NSUBS: &str = "NSUBS";
    pub(super) const PRXY: &str = "PRXY";
    pub(super) const PFWD: &str = "PFWD";
    pub(super) const RFWD: &str = "RFWD";
    pub(super) const RSLV: &str = "RSLV";
}

/// The parameters of SUBS and NSUBS, which have none before version 19.
fn service_queues(version: Version, reader: &mut Reader<'_>) -> Decoded<QueueSet> {
    if version < Version::SERVICE_SUBS {
        return Ok(QueueSet::UNKNOWN);
    }
    reader.after_space(|r| QueueSet::decode(version, r))
}

#[cfg(test)]
mod tests;
