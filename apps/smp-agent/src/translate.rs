//! Names and events of the agent, in the words of the plain text.

use smp_core::agent::store::{Progress, SyncState};
use smp_core::agent::{self, AgentStatistics, ConnectionDescription, Event, ServerStatistics};
use smp_core::wire::agent::MessageIntegrity;
use smp_core::wire::agent_text::{
    AgentEvent, ConnectionKind, ConnectionStatus, MessageEvent, RatchetSync, SwitchPhase, SwitchSide,
    TextConfirmationId, TextConnectionId, TextInvitationId,
};

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
            let event = AgentEvent::Confirmation {
                id: wire_id(confirmation.as_bytes(), TextConfirmationId::new),
                info,
            };
            vec![News {
                connection: Some(connection),
                matter: Some(Matter::Confirmation(confirmation)),
                event,
            }]
        }
        Event::Request(request) => {
            let (connection, invitation) = (request.connection, request.invitation);
            let id = wire_id(invitation.as_bytes(), TextInvitationId::new);
            let event = AgentEvent::Request { id, info: request.info };
            vec![News { connection: Some(connection), matter: Some(Matter::Request(invitation)), event }]
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
        Event::Switch { connection, side, phase } => {
            let (side, phase) = (switch_side(side), switch_phase(phase));
            of(connection, AgentEvent::Switch { side, phase })
        }
        Event::RatchetSync { connection, state, .. } => {
            of(connection, AgentEvent::RatchetSync(ratchet_sync(state)))
        }
        Event::Error(connection, error) => {
            vec![News { connection, matter: None, event: AgentEvent::Error(error) }]
        }
        Event::Up(_, connections) => of_each(connections, &AgentEvent::Up),
        Event::Down(_, connections) => of_each(connections, &AgentEvent::Down),
        // There is one user, who has no service, and what was missed the agent tells again.
        Event::UserDeleted(_)
        | Event::Finished { .. }
        | Event::Suspended
        | Event::Missed(_)
        | Event::ServiceUp { .. }
        | Event::ServiceDown { .. }
        | Event::ServiceAll { .. }
        | Event::ServiceEnd { .. } => Vec::new(),
        // What later agents tell has no words in the plain text.
        _ => Vec::new(),
    }
}

/// How a connection is.
pub(crate) fn status(connection: ConnectionDescription) -> ConnectionStatus {
    let kind = match (connection.receive.is_empty(), connection.send.is_empty()) {
        _ if connection.progress == Progress::Contact => ConnectionKind::Contact,
        (true, true) => ConnectionKind::New,
        (false, true) => ConnectionKind::Receiving,
        (true, false) => ConnectionKind::Sending,
        (false, false) => ConnectionKind::Duplex,
    };
    ConnectionStatus {
        kind,
        version: connection.version,
        ratchet: ratchet_sync(connection.sync),
        receive_from: connection.receive.into_iter().map(|queue| queue.server).collect(),
        send_to: connection.send.into_iter().map(|queue| queue.server).collect(),
    }
}

/// The name of a connection in the plain text.
pub(crate) fn connection_id(connection: agent::ConnectionId) -> TextConnectionId {
    wire_id(connection.as_bytes(), TextConnectionId::new)
}

/// What was done at servers, one line for each. There is one user.
pub(crate) fn statistics(statistics: &AgentStatistics) -> AgentEvent {
    let lines: Vec<_> = statistics.servers.iter().map(of_server).collect();
    AgentEvent::Statistics { since: statistics.since, servers: lines.join("\n").into() }
}

fn of_server(server: &ServerStatistics) -> String {
    let (sessions, queues) = (server.sessions, server.subscriptions);
    let now = [
        ("sessions", sessions.connected),
        ("connecting", sessions.connecting),
        ("failed", sessions.failed),
        ("receiving", queues.subscribed),
        ("waiting", queues.waiting),
        ("ended", queues.ended),
    ];
    let now = now.into_iter().map(|(name, number)| (name, number as u64));
    let numbers = now.chain(server.counters.all()).filter(|(_, number)| *number > 0);
    numbers.fold(server.server.to_string(), |line, (name, number)| format!("{line} {name}={number}"))
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

const fn switch_side(side: agent::SwitchSide) -> SwitchSide {
    match side {
        agent::SwitchSide::Receive => SwitchSide::Receiving,
        agent::SwitchSide::Send => SwitchSide::Sending,
    }
}

const fn switch_phase(phase: agent::SwitchPhase) -> SwitchPhase {
    match phase {
        agent::SwitchPhase::Started => SwitchPhase::Started,
        agent::SwitchPhase::Confirmed => SwitchPhase::Confirmed,
        agent::SwitchPhase::Secured => SwitchPhase::Secured,
        agent::SwitchPhase::Completed => SwitchPhase::Completed,
    }
}

const fn ratchet_sync(state: SyncState) -> RatchetSync {
    match state {
        SyncState::Ok => RatchetSync::Ok,
        SyncState::Allowed => RatchetSync::Allowed,
        SyncState::Required => RatchetSync::Required,
        SyncState::Started => RatchetSync::Started,
        SyncState::Agreed => RatchetSync::Agreed,
    }
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
