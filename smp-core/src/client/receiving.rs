//! From blocks to answers and events.

use bytes::Bytes;

use super::answer::Expected;
use super::flight::{Flying, Found};
use super::relay::Sealed;
use super::{
    Answer, Client, ClientEvent, ClientOutput, CloseReason, Notification, Phase, ReceivedMessage, Request,
    RequestError,
};
use crate::UnixTime;
use crate::transport::TransportEvent;
use crate::wire::command::Command;
use crate::wire::error::CommandError;
use crate::wire::{
    BrokerMessage, CorrelationId, EntityId, ServerTransmission, TransmissionError, Version, decode_batch,
};

/// What is remembered of a request in flight.
pub(super) struct Kind {
    /// Which answers it has.
    expected: Expected,
    /// Success makes the connection one that waits for events.
    subscribes: bool,
    /// It is SUB, whose success matters even when nobody waits for it.
    is_sub: bool,
    /// What the answer is opened with.
    sealed: Sealed,
}

impl Kind {
    pub(super) fn of(request: &Request, sealed: Sealed) -> Self {
        Self {
            expected: request.expected,
            subscribes: request.subscribes(),
            is_sub: matches!(request.command, Command::Sub),
            sealed,
        }
    }
}

type Received = Result<BrokerMessage, CommandError>;

impl Client {
    /// Takes bytes from the socket. What came before the connection broke counts.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        let result = self.transport.receive(self.now, bytes);
        self.advance();
        if let Err(fault) = result {
            self.close(CloseReason::Transport(fault));
        }
    }

    /// Takes what the transport has: events, and bytes for the socket.
    pub(super) fn advance(&mut self) {
        while !self.is_closed()
            && let Some(event) = self.transport.poll_event()
        {
            self.keep_alive.heard(self.now.mono);
            match event {
                TransportEvent::Ready(parameters) => {
                    self.outputs.push_back(ClientOutput::Connected(parameters.version));
                    self.phase = Phase::Ready(parameters);
                }
                TransportEvent::Block(content) => self.block(&content),
                TransportEvent::BadBlock => self.event(ClientEvent::MalformedBlock),
                // Only servers are told of services.
                TransportEvent::Service(_) => {}
                TransportEvent::Closed => self.close(CloseReason::ServerClosed),
            }
        }
        if !self.is_closed() {
            self.give_out(Vec::new());
        }
    }

    /// Takes a block apart. What is malformed in it does not affect the rest.
    fn block(&mut self, content: &Bytes) {
        let Phase::Ready(session) = &self.phase else { return };
        let Ok(items) = decode_batch(content) else { return self.event(ClientEvent::MalformedBlock) };
        let version = session.version;
        let transmissions: Vec<_> =
            items.iter().map(|item| ServerTransmission::decode(version, &session.session_id, item)).collect();
        for transmission in transmissions {
            match transmission {
                Ok(transmission) => self.transmission(version, transmission),
                Err(TransmissionError::Malformed) => self.event(ClientEvent::MalformedTransmission),
                Err(TransmissionError::Authorization(id) | TransmissionError::Session(id)) => {
                    self.malformed(&id);
                }
            }
        }
    }

    fn transmission(&mut self, version: Version, transmission: ServerTransmission) {
        let ServerTransmission { correlation_id, entity_id, message } = transmission;
        let message = BrokerMessage::decode(version, &message)
            .and_then(|message| message.check_entity(&entity_id).map(|()| message));
        if correlation_id.is_empty() {
            return self.unasked(entity_id, message);
        }
        match (self.flight.answered(&correlation_id), message) {
            (Found::Waiting(command), message) => {
                let result = read(&command, &correlation_id, &entity_id, self.now.unix, message);
                if command.kind.subscribes && result.is_ok() {
                    self.keep_alive.subscribed();
                }
                self.answer(command.id, result);
            }
            (Found::Late(command), Ok(message)) => self.late(command, entity_id, message),
            (Found::Late(_), Err(_)) => self.counters.late_answers += 1,
            // An answer that was forgotten: its message is not.
            (Found::Unknown, Ok(message @ BrokerMessage::Msg { .. })) => self.unasked(entity_id, Ok(message)),
            (Found::Unknown, _) => self.counters.unknown_answers += 1,
        }
    }

    /// An answer that nobody waits for. What the server did must not be lost with it: it holds a message for
    /// delivered and will not send it again on this connection, and a subscription for made.
    fn late(&mut self, command: Flying<Kind>, entity: EntityId, message: BrokerMessage) {
        let Some(id) = command.id.filter(|_| command.entity == entity) else {
            self.counters.late_answers += 1;
            return;
        };
        if command.kind.subscribes && !matches!(message, BrokerMessage::Err(_)) {
            self.keep_alive.subscribed();
        }
        match message {
            BrokerMessage::Msg { id: message_id, body } => {
                let message = ReceivedMessage { id: message_id, encrypted: body };
                self.event(ClientEvent::LateMessage(id, entity, message));
            }
            BrokerMessage::Ok | BrokerMessage::Sok(_) if command.kind.is_sub => {
                self.event(ClientEvent::LateSubscribed(id, entity));
            }
            _ => self.counters.late_answers += 1,
        }
    }

    /// Something that the server tells without being asked.
    fn unasked(&mut self, entity: EntityId, message: Received) {
        self.event(match message {
            Err(_) => ClientEvent::MalformedTransmission,
            Ok(BrokerMessage::Msg { id, body }) => {
                ClientEvent::Message(entity, ReceivedMessage { id, encrypted: body })
            }
            Ok(BrokerMessage::End) => ClientEvent::End(entity),
            Ok(BrokerMessage::Ends(queues)) => ClientEvent::ServiceEnd(entity, queues),
            Ok(BrokerMessage::Deld) => ClientEvent::Deleted(entity),
            Ok(BrokerMessage::NMsg { nonce, metadata }) => {
                ClientEvent::Notification(entity, Notification { nonce, encrypted: metadata })
            }
            Ok(BrokerMessage::Alls) => ClientEvent::AllDelivered,
            Ok(BrokerMessage::Err(error)) => ClientEvent::Error(entity, error),
            Ok(other) => ClientEvent::Other(entity, other),
        });
    }

    /// A transmission of which only the correlation id is good.
    fn malformed(&mut self, correlation: &CorrelationId) {
        match self.flight.answered(correlation) {
            Found::Waiting(command) => self.answer(command.id, Err(RequestError::Malformed)),
            Found::Late(_) => self.counters.late_answers += 1,
            Found::Unknown => self.event(ClientEvent::MalformedTransmission),
        }
    }

    fn event(&mut self, event: ClientEvent) {
        self.outputs.push_back(ClientOutput::Event(event));
    }
}

/// What a message is to the command that it answers.
fn read(
    command: &Flying<Kind>,
    correlation: &CorrelationId,
    entity: &EntityId,
    now: UnixTime,
    message: Received,
) -> Result<Answer, RequestError> {
    match message {
        // A server that could not read the command does not know what it was about.
        Ok(BrokerMessage::Err(error)) if entity.is_empty() => Err(RequestError::Server(error)),
        _ if command.entity != *entity => Err(RequestError::Unexpected),
        Ok(message) => command.kind.sealed.read(correlation, command.kind.expected, now, message),
        Err(_) => Err(RequestError::Malformed),
    }
}
