//! Names and events of the agent, in the words of the plain text.

use smp_core::agent::{self, Event};
use smp_core::wire::agent::MessageIntegrity;
use smp_core::wire::agent_text::{AgentEvent, MessageEvent};
use smp_core::wire::{ConfirmationId, ConnectionId};

use crate::desk::Matter;

/// What is told of a connection, or, with none, to all clients.
pub(crate) struct News {
    pub(crate) connection: Option<agent::ConnectionId>,
    /// What is told again until it is settled.
    pub(crate) matter: Option<Matter>,
    pub(crate) event: AgentEvent,
}

/// The events that clients are told.
pub(crate) fn news(event: Event) -> Vec<News> {
    let of = |connection, event| vec![News { connection: Some(connection), matter: None, event }];
    match event {
        Event::Confirmation { connection, confirmation, info, .. } => {
            let event =
                AgentEvent::Confirmation { id: wire_id(confirmation.as_bytes(), ConfirmationId::new), info };
            vec![News {
                connection: Some(connection),
                matter: Some(Matter::Confirmation(confirmation)),
                event,
            }]
        }
        Event::Message(message) => {
            let (connection, matter) = (message.connection, Matter::Message(message.id));
            let event = AgentEvent::Message(Box::new(of_message(*message)));
            vec![News { connection: Some(connection), matter: Some(matter), event }]
        }
        Event::Info(connection, info) => of(connection, AgentEvent::Info(info)),
        Event::Connected(connection) => of(connection, AgentEvent::Connected),
        Event::Sent(connection, message, _) => of(connection, AgentEvent::Sent(message.0)),
        Event::NotSent(connection, message, error) => {
            of(connection, AgentEvent::SendFailed { id: message.0, error })
        }
        Event::QueueDeleted { connection, error, .. } => {
            let errors = error.into_iter().map(AgentEvent::Error);
            errors.map(|event| News { connection: Some(connection), matter: None, event }).collect()
        }
        Event::Deleted(connection) => of(connection, AgentEvent::Deleted),
        Event::Received(connection, receipts) => {
            let each = receipts.into_iter().map(|receipt| {
                let integrity =
                    if receipt.is_intact { MessageIntegrity::Ok } else { MessageIntegrity::BadHash };
                AgentEvent::Received { id: receipt.message.0, integrity }
            });
            each.map(|event| News { connection: Some(connection), matter: None, event }).collect()
        }
        Event::Error(connection, error) => {
            vec![News { connection, matter: None, event: AgentEvent::Error(error) }]
        }
        Event::Up(_, connections) => of_each(connections, &AgentEvent::Up),
        Event::Down(_, connections) => of_each(connections, &AgentEvent::Down),
        // There are no words for these.
        Event::QueueDeleted { .. }
        | Event::Deleted(_)
        | Event::UserDeleted(_)
        | Event::Received(..)
        | Event::Suspended
        | Event::Missed(_) => Vec::new(),
    }
}

/// The name of a connection in the plain text.
pub(crate) fn connection_id(connection: agent::ConnectionId) -> ConnectionId {
    wire_id(connection.as_bytes(), ConnectionId::new)
}

/// An id of the plain text that the agent may have given: those have 12 bytes.
pub(crate) fn agent_id<T>(bytes: &[u8], new: impl FnOnce([u8; 12]) -> T) -> Option<T> {
    bytes.try_into().ok().map(new)
}

fn wire_id<T, E>(bytes: &[u8; 12], new: impl FnOnce(&[u8]) -> Result<T, E>) -> T
where
    E: std::fmt::Debug,
{
    new(bytes).expect("an id of 12 bytes is within the bounds of the plain text")
}

fn of_each(connections: Vec<agent::ConnectionId>, event: &AgentEvent) -> Vec<News> {
    let each = connections.into_iter();
    each.map(|id| News { connection: Some(id), matter: None, event: event.clone() }).collect()
}

fn of_message(message: agent::MessageEvent) -> MessageEvent {
    MessageEvent {
        integrity: message.integrity,
        id: message.id.0,
        received_at: message.received_at,
        broker_id: message.server_id,
        broker_received_at: message.server_time,
        sender_message_id: message.sender_id,
        body: message.body,
    }
}
