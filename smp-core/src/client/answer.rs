//! What servers answer to requests.

use super::error::RequestError;
use super::{ReceivedMessage, Relay};
use crate::UnixTime;
use crate::wire::broker::{BrokerMessage, CreatedNotifier, CreatedQueue, QueueStatus};
use crate::wire::command::LinkData;
use crate::wire::names::NameRecord;
use crate::wire::{EntityId, FwdResponse, QueueSet};

/// The result of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// IDS: the queue was made.
    Created(Box<CreatedQueue>),
    /// OK or SOK: the connection is subscribed. Servers before 6.4 answer with a waiting message instead, later ones
    /// send it as an event.
    Subscribed {
        /// The service that the subscription belongs to.
        service: Option<EntityId>,
        /// The first message.
        message: Option<ReceivedMessage>,
    },
    /// SOKS: the connection is subscribed to all queues of the service, which are these to the server.
    ServiceSubscribed(QueueSet),
    /// MSG, or OK if there is none.
    Message(Option<ReceivedMessage>),
    /// INFO: the state of a queue.
    Info(Box<QueueStatus>),
    /// LNK: what a link leads to.
    Link {
        /// The id that senders use.
        sender_id: EntityId,
        /// The data of the link.
        data: LinkData,
    },
    /// NID: the queue has this notifier.
    Notifier(CreatedNotifier),
    /// OK or PONG.
    Done,
    /// PKEY: the proxy has a session with the relay.
    Relay(Relay),
    /// RRES: what a relay answered to the command of a proxy's client, still sealed for that client.
    Forwarded(FwdResponse),
    /// RNAME: what is registered under a name.
    Name(Box<NameRecord>),
    /// The answer to a raw request.
    Raw(BrokerMessage),
}

/// Which answers a command has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    Created,
    Subscribed,
    ServiceSubscribed,
    Message,
    Info,
    Link,
    Notifier,
    Done,
    Pong,
    /// The session of a proxy with the server that has this key hash.
    Relay([u8; 32]),
    Name,
    Raw,
}

impl Expected {
    /// The result that `message` is.
    ///
    /// # Errors
    /// For ERR, and for a message that the command does not have.
    pub(super) fn read(self, now: UnixTime, message: BrokerMessage) -> Result<Answer, RequestError> {
        match (self, message) {
            (_, BrokerMessage::Err(error)) => Err(RequestError::Server(error)),
            (Self::Raw, message) => Ok(Answer::Raw(message)),
            (Self::Created, BrokerMessage::Ids(ids)) => Ok(Answer::Created(ids)),
            (Self::Subscribed, BrokerMessage::Ok) => Ok(Answer::Subscribed { service: None, message: None }),
            (Self::Subscribed, BrokerMessage::Sok(service)) => {
                Ok(Answer::Subscribed { service, message: None })
            }
            (Self::Subscribed, BrokerMessage::Msg { id, body }) => Ok(Answer::Subscribed {
                service: None,
                message: Some(ReceivedMessage { id, encrypted: body }),
            }),
            (Self::ServiceSubscribed, BrokerMessage::Soks(queues)) => Ok(Answer::ServiceSubscribed(queues)),
            (Self::Message, BrokerMessage::Ok) => Ok(Answer::Message(None)),
            (Self::Message, BrokerMessage::Msg { id, body }) => {
                Ok(Answer::Message(Some(ReceivedMessage { id, encrypted: body })))
            }
            (Self::Info, BrokerMessage::Info(info)) => Ok(Answer::Info(info)),
            (Self::Relay(key_hash), BrokerMessage::PKey(session)) => {
                Relay::new(&session, &key_hash, now).map(Answer::Relay)
            }
            (Self::Name, BrokerMessage::RName(record)) => Ok(Answer::Name(record)),
            (Self::Link, BrokerMessage::Lnk { sender_id, data }) => Ok(Answer::Link { sender_id, data }),
            (Self::Notifier, BrokerMessage::Nid(notifier)) => Ok(Answer::Notifier(notifier)),
            (Self::Done, BrokerMessage::Ok) | (Self::Pong, BrokerMessage::Pong) => Ok(Answer::Done),
            _ => Err(RequestError::Unexpected),
        }
    }
}
