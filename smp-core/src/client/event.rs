//! What a server tells without being asked.

use super::{CommandId, Notification, ReceivedMessage};
use crate::wire::broker::BrokerMessage;
use crate::wire::error::ErrorType;
use crate::wire::{EntityId, QueueSet};

/// Something that happened on a connection and is not the answer to a command in flight.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// MSG: a message in a queue that the connection is subscribed to.
    Message(EntityId, ReceivedMessage),
    /// The answer to SUB, GET or ACK carried a message but came after the command timed out or was cancelled. The
    /// server holds the message for delivered.
    LateMessage(CommandId, EntityId, ReceivedMessage),
    /// SUB succeeded, after the command timed out or was cancelled.
    LateSubscribed(CommandId, EntityId),
    /// END: another connection subscribed to the queue or took over its notifications. Before version 10 also that
    /// the queue was deleted.
    End(EntityId),
    /// ENDS: another connection of the service took over its subscriptions.
    ServiceEnd(EntityId, QueueSet),
    /// DELD: the queue or its notifier was deleted.
    Deleted(EntityId),
    /// NMSG: a message waits in a queue; for its notifier.
    Notification(EntityId, Notification),
    /// ALLS: the messages that waited in the queues of the service were all sent.
    AllDelivered,
    /// ERR that answers no command: the server could not read what it got, or an error about a queue of a service.
    Error(EntityId, ErrorType),
    /// Another message that answers no command in flight, with a correlation id or without.
    Other(EntityId, BrokerMessage),
    /// A transmission that could not be read. Others of its block are not affected.
    MalformedTransmission,
    /// A block that could not be read. It may have held answers; their commands will time out.
    MalformedBlock,
}
