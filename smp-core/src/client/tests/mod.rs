//! A client and a scripted server in memory: both sides of the transport, one virtual clock, no threads.

mod batches;
mod closing;
mod commands;
mod events;
mod lateness;
mod leaks;
mod peer;
mod relay;
mod server_test;

use core::time::Duration;

use super::*;
use crate::UnixTime;
use crate::crypto::{AuthPrivateKey, Ed448PrivateKey, Ed25519PrivateKey, X25519PrivateKey};
use crate::wire::{BrokerMessage, EntityId, ServerTransmission, Version};
use peer::{Incoming, Peer};

/// The versions at which something on the wire changed, and the ends.
const VERSIONS: [u16; 7] = [6, 8, 9, 15, 16, 18, 20];

/// When each test begins.
const START: Now = Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_800_000_000) };

struct Pair {
    client: Client,
    peer: Peer,
    now: Now,
    /// Whether the socket takes bytes.
    writable: bool,
    /// The bytes of the client that the socket has not taken.
    unwritten: Vec<Vec<u8>>,
    answers: Vec<(u64, Result<Answer, RequestError>)>,
    events: Vec<ClientEvent>,
    closed: Option<CloseReason>,
    connected: usize,
    next_id: u64,
}

impl Pair {
    /// A client that is about to connect.
    fn new(version: u16, limits: ClientLimits) -> Self {
        Self::of(Peer::new(Version(version), START), limits)
    }

    fn of((peer, transport): (Peer, Transport), limits: ClientLimits) -> Self {
        Self {
            client: Client::new(limits, transport, [1; 32], START),
            peer,
            now: START,
            writable: true,
            unwritten: Vec::new(),
            answers: Vec::new(),
            events: Vec::new(),
            closed: None,
            connected: 0,
            next_id: 0,
        }
    }

    /// A client that is connected.
    fn connected(version: u16) -> Self {
        Self::with_limits(version, ClientLimits::default())
    }

    fn with_limits(version: u16, limits: ClientLimits) -> Self {
        let mut pair = Self::new(version, limits);
        pair.run();
        assert_eq!((pair.connected, pair.peer.is_broken), (1, false));
        pair
    }

    /// Gives the client a request and returns its id.
    fn request(&mut self, request: Request) -> u64 {
        self.next_id += 1;
        self.client.handle(self.now, ClientInput::Command(CommandId(self.next_id), request));
        self.next_id
    }

    fn cancel(&mut self, id: u64) {
        self.client.handle(self.now, ClientInput::Cancel(CommandId(id)));
    }

    /// Gives the client a request and returns it as it reached the server.
    fn sent(&mut self, request: Request) -> (u64, Incoming) {
        let id = self.request(request);
        self.run();
        (id, self.peer.next())
    }

    /// The server's answer to a command, as the client gives it out.
    fn answered(
        &mut self,
        id: u64,
        command: &Incoming,
        message: BrokerMessage,
    ) -> Result<Answer, RequestError> {
        self.peer.answer(command, message);
        self.run();
        self.take_answer(id)
    }

    fn take_answer(&mut self, id: u64) -> Result<Answer, RequestError> {
        assert_eq!(self.answers.len(), 1, "one answer");
        let (answered, result) = self.answers.remove(0);
        assert_eq!(answered, id);
        result
    }

    fn take_event(&mut self) -> ClientEvent {
        assert_eq!(self.events.len(), 1, "one event");
        self.events.remove(0)
    }

    /// Moves bytes until both sides are quiet.
    fn run(&mut self) {
        loop {
            self.drain();
            if self.writable && !self.unwritten.is_empty() {
                for bytes in core::mem::take(&mut self.unwritten) {
                    self.peer.receive(self.now, &bytes);
                    self.client.handle(self.now, ClientInput::Sent(bytes.len()));
                }
                continue;
            }
            let Some(bytes) = self.peer.poll_transmit() else { break };
            self.client.handle(self.now, ClientInput::Received(&bytes));
        }
    }

    /// Takes the outputs of the client.
    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                ClientOutput::Send(bytes) => self.unwritten.push(bytes),
                ClientOutput::Connected(_) => self.connected += 1,
                ClientOutput::Answer(CommandId(id), result) => self.answers.push((id, result)),
                ClientOutput::Event(event) => self.events.push(event),
                ClientOutput::Close(reason) => {
                    assert!(self.closed.is_none(), "closed twice");
                    self.closed = Some(reason);
                }
            }
        }
    }

    /// Lets time pass up to `seconds` from now, with a timeout whenever the client asked for one.
    fn pass(&mut self, seconds: u64) {
        let end = self.now.mono + Duration::from_secs(seconds);
        let mut last = None;
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) {
            assert_ne!(last, Some(at), "a timer that fired must move");
            last = Some(at);
            self.now.mono = self.now.mono.max(at);
            self.client.handle(self.now, ClientInput::Timeout);
            self.run();
        }
        self.now.mono = end;
    }
}

/// One key of each kind.
fn keys() -> [AuthPrivateKey; 3] {
    let mut entropy = SeededEntropy::new([9; 32]);
    [
        AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy)),
        AuthPrivateKey::Ed448(Ed448PrivateKey::generate(&mut entropy)),
        AuthPrivateKey::X25519(X25519PrivateKey::generate(&mut entropy)),
    ]
}

fn key() -> AuthPrivateKey {
    let [key, ..] = keys();
    key
}

fn queue(name: u8) -> EntityId {
    EntityId::from([name; 24])
}

/// SUB of the queue with this name.
fn sub(name: u8) -> Request {
    Request::subscribe(queue(name), key())
}

fn message(name: u8) -> BrokerMessage {
    BrokerMessage::Msg { id: [name; 24].into(), body: vec![name; 16122].into() }
}

fn received(name: u8) -> ReceivedMessage {
    ReceivedMessage { id: [name; 24].into(), encrypted: vec![name; 16122].into() }
}

fn unasked(entity: EntityId, message: &BrokerMessage) -> ServerTransmission {
    let mut bytes = Vec::new();
    message.encode(Version::MAX, &mut bytes);
    ServerTransmission { correlation_id: CorrelationId::empty(), entity_id: entity, message: bytes.into() }
}
