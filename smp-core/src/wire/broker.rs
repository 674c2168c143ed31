//! The messages of servers: answers to commands and events.
//!
//! Like commands they are a tag, then, if they have parameters, a space and the parameters. Servers write
//! what a client of its version understands; a reader knows all tags at any version.

mod queue;
mod queue_status;

use core::fmt;

use bytes::Bytes;

pub use queue::{CreatedNotifier, CreatedQueue, RelaySession};
pub use queue_status::{MessageKind, MessageStatus, QueueStatus, SubscriptionStatus, SubscriptionThread};

use super::codec::{Decoded, Reader, put_after_space, put_optional, put_short};
use super::command::LinkData;
use super::error::{CommandError, ErrorType};
use super::id::{EntityId, MessageId};
use super::json;
use super::names::NameRecord;
use super::queue_set::QueueSet;
use super::version::Version;

/// A message of a server. An answer goes with the correlation id and the entity of its command, an event
/// without a correlation id and with the entity given here.
#[derive(Clone, PartialEq, Eq)]
pub enum BrokerMessage {
    /// Answers NEW, without entity.
    Ids(Box<CreatedQueue>),
    /// Answers LKEY and LGET.
    Lnk {
        /// The queue that the link leads to.
        sender_id: EntityId,
        /// The data of the link.
        data: LinkData,
    },
    /// Answers SUB and NSUB with the service that is subscribed, if the client is one. OK before version 16.
    Sok(Option<EntityId>),
    /// Answers SUBS and NSUBS with what the server has.
    Soks(QueueSet),
    /// Event, no entity: all messages that waited for a service were sent.
    Alls,
    /// Event, recipient id, or answers GET and ACK.
    Msg {
        /// The message, nonce of the encryption too.
        id: MessageId,
        /// Time, flags and body, encrypted by the server for the recipient.
        body: Bytes,
    },
    /// Answers NKEY.
    Nid(CreatedNotifier),
    /// Event, notifier id: there is a message.
    NMsg {
        /// Nonce of the encryption.
        nonce: [u8; 24],
        /// Which message, encrypted by the server for the recipient; at most 255 bytes.
        metadata: Bytes,
    },
    /// Answers PRXY, without entity.
    PKey(Box<RelaySession>),
    /// Answers PFWD, encrypted by the relay for the client.
    PRes(Bytes),
    /// Answers RFWD, without entity, encrypted by the relay for the proxy.
    RRes(Bytes),
    /// Event, recipient or notifier id: another connection subscribed.
    End,
    /// Event, service id: another connection of the service subscribed to these queues.
    Ends(QueueSet),
    /// Event, recipient or notifier id: the queue or the notifier was deleted. END before version 10.
    Deld,
    /// Answers QUE.
    Info(Box<QueueStatus>),
    /// Done.
    Ok,
    /// Answers PING, without entity.
    Pong,
    /// Not done. With any entity or none.
    Err(ErrorType),
    /// Answers RSLV, without entity.
    RName(Box<NameRecord>),
}

impl BrokerMessage {
    /// Reads a message that a server sent to a client of `version`.
    ///
    /// # Errors
    /// `UNKNOWN` for another tag, `SYNTAX` for malformed, missing or surplus parameters.
    pub fn decode(version: Version, bytes: &Bytes) -> Result<Self, CommandError> {
        let mut reader = Reader::new(bytes);
        let message = Self::decode_tagged(version, &mut reader).ok_or(CommandError::Unknown)?;
        message.and_then(|message| reader.end().map(|()| message)).map_err(|_| CommandError::Syntax)
    }

    /// `None` for an unknown tag.
    fn decode_tagged(version: Version, reader: &mut Reader<'_>) -> Option<Decoded<Self>> {
        Some(match core::str::from_utf8(reader.word()).ok()? {
            tag::IDS => reader.after_space(|r| CreatedQueue::decode(version, r).map(Box::new)).map(Self::Ids),
            tag::LNK => reader.after_space(|r| {
                Ok(Self::Lnk { sender_id: EntityId::decode(r)?, data: LinkData::decode(r)? })
            }),
            tag::SOK => reader.after_space(|r| r.optional(EntityId::decode)).map(Self::Sok),
            tag::SOKS => reader.after_space(|r| QueueSet::decode(version, r)).map(Self::Soks),
            tag::ALLS => Ok(Self::Alls),
            tag::MSG => reader.after_space(|r| Ok(Self::Msg { id: MessageId::decode(r)?, body: r.tail() })),
            tag::NID => reader.after_space(CreatedNotifier::decode).map(Self::Nid),
            tag::NMSG => reader.after_space(|r| {
                Ok(Self::NMsg { nonce: r.array()?, metadata: Bytes::copy_from_slice(r.short()?) })
            }),
            tag::PKEY => reader.after_space(RelaySession::decode).map(|key| Self::PKey(Box::new(key))),
            tag::PRES => reader.after_space(|r| Ok(Self::PRes(r.tail()))),
            tag::RRES => reader.after_space(|r| Ok(Self::RRes(r.tail()))),
            tag::END => Ok(Self::End),
            tag::ENDS => reader.after_space(|r| QueueSet::decode(version, r)).map(Self::Ends),
            tag::DELD => Ok(Self::Deld),
            tag::INFO => reader.after_space(json::decode).map(Self::Info),
            tag::OK => Ok(Self::Ok),
            tag::PONG => Ok(Self::Pong),
            tag::ERR => reader.after_space(ErrorType::decode).map(Self::Err),
            tag::RNAME => reader.after_space(json::decode).map(Self::RName),
            _ => return None,
        })
    }

    /// Writes the message as a client of `version` understands it.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag(version).as_bytes());
        match self {
            Self::Alls | Self::End | Self::Deld | Self::Ok | Self::Pong => {}
            Self::Sok(_) if version < Version::SERVICES => {}
            Self::Ids(queue) => put_after_space(out, |out| queue.encode(version, out)),
            Self::Lnk { sender_id, data } => put_after_space(out, |out| {
                sender_id.encode(out);
                data.encode(out);
            }),
            Self::Sok(service) => {
                put_after_space(out, |out| put_optional(out, service.as_ref(), |out, id| id.encode(out)));
            }
            Self::Soks(queues) | Self::Ends(queues) => {
                put_after_space(out, |out| queues.encode(version, out))
            }
            Self::Msg { id, body } => put_after_space(out, |out| {
                id.encode(out);
                out.extend_from_slice(body);
            }),
            Self::Nid(notifier) => put_after_space(out, |out| notifier.encode(out)),
            Self::NMsg { nonce, metadata } => put_after_space(out, |out| {
                out.extend_from_slice(nonce);
                put_short(out, metadata);
            }),
            Self::PKey(session) => put_after_space(out, |out| session.encode(out)),
            Self::PRes(encrypted) | Self::RRes(encrypted) => {
                put_after_space(out, |out| out.extend_from_slice(encrypted));
            }
            Self::Info(info) => put_after_space(out, |out| json::encode(info, out)),
            Self::Err(error) => put_after_space(out, |out| error.encode(version, out)),
            Self::RName(record) => put_after_space(out, |out| json::encode(record, out)),
        }
    }

    /// Checks that the message came with an entity id if and only if it is about one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_entity(&self, entity: &EntityId) -> Result<(), CommandError> {
        match self {
            Self::Ids(_) | Self::Err(_) => Ok(()),
            Self::Alls | Self::PKey(_) | Self::RRes(_) | Self::Pong | Self::RName(_) => {
                if entity.is_empty() {
                    Ok(())
                } else {
                    Err(CommandError::HasAuth)
                }
            }
            _ if entity.is_empty() => Err(CommandError::NoEntity),
            _ => Ok(()),
        }
    }

    /// The word that the message begins with at `version`.
    #[must_use]
    pub fn tag(&self, version: Version) -> &'static str {
        match self {
            Self::Ids(_) => tag::IDS,
            Self::Lnk { .. } => tag::LNK,
            Self::Sok(_) if version < Version::SERVICES => tag::OK,
            Self::Sok(_) => tag::SOK,
            Self::Soks(_) => tag::SOKS,
            Self::Alls => tag::ALLS,
            Self::Msg { .. } => tag::MSG,
            Self::Nid(_) => tag::NID,
            Self::NMsg { .. } => tag::NMSG,
            Self::PKey(_) => tag::PKEY,
            Self::PRes(_) => tag::PRES,
            Self::RRes(_) => tag::RRES,
            Self::Deld if version < Version::DELETED_EVENT => tag::END,
            Self::Deld => tag::DELD,
            Self::End => tag::END,
            Self::Ends(_) => tag::ENDS,
            Self::Info(_) => tag::INFO,
            Self::Ok => tag::OK,
            Self::Pong => tag::PONG,
            Self::Err(_) => tag::ERR,
            Self::RName(_) => tag::RNAME,
        }
    }
}

/// Only the tag, and which error: other parameters are keys, ids and messages.
impl fmt::Debug for BrokerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Err(error) => write!(f, "ERR({error:?})"),
            _ => f.write_str(self.tag(Version::MAX)),
        }
    }
}

/// The tags of messages.
mod tag {
    pub(super) const IDS: &str = "IDS";
    pub(super) const LNK: &str = "LNK";
    pub(super) const SOK: &str = "SOK";
    pub(super) const SOKS: &str = "SOKS";
    pub(super) const ALLS: &str = "ALLS";
    pub(super) const MSG: &str = "MSG";
    pub(super) const NID: &str = "NID";
    pub(super) const NMSG: &str = "NMSG";
    pub(super) const PKEY: &str = "PKEY";
    pub(super) const PRES: &str = "PRES";
    pub(super) const RRES: &str = "RRES";
    pub(super) const END: &str = "END";
    pub(super) const ENDS: &str = "ENDS";
    pub(super) const DELD: &str = "DELD";
    pub(super) const INFO: &str = "INFO";
    pub(super) const OK: &str = "OK";
    pub(super) const PONG: &str = "PONG";
    pub(super) const ERR: &str = "ERR";
    pub(super) const RNAME: &str = "RNAME";
}

#[cfg(test)]
mod tests;
