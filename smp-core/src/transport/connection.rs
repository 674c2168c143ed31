//! One connection, from its first byte to its end.

use core::mem;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::block::{BLOCK_LEN, BlockCodec, BlockReader};
use super::config::{ClientSide, ServerSide};
use super::handshake::{
    Agreed, AwaitClientHello, AwaitDecision, AwaitServerHello, AwaitServiceResponse, ClientNext, ServerNext,
};
use super::pipe::{Pipe, PlainPeer};
#[cfg(feature = "tls")]
use super::tls::TlsStream;
use super::{
    ClientTransportConfig, HANDSHAKE_TIMEOUT, Parameters, ServerTransportConfig, ServiceRequest,
    TransportFault,
};
use crate::SeededEntropy;
use crate::time::{Now, Timestamp};
use crate::wire::EntityId;
use crate::wire::error::TransportError;

/// What a connection tells its user.
pub enum TransportEvent {
    /// The handshake is over; blocks may be sent.
    Ready(Box<Parameters>),
    /// The content of a block.
    Block(Bytes),
    /// A block that could not be read. The connection goes on.
    BadBlock,
    /// A client says that it is this service: [`Transport::accept_service`] or [`Transport::refuse_service`] is due.
    Service(ServiceRequest),
    /// The peer has closed the connection; nothing follows.
    Closed,
}

/// A connection as a machine.
///
/// After each call that changes it, its events and its output are to be taken until there are none. A fault is returned
/// by the call that found it, and by every call after; what is in the output then is for the peer to know why. An idle
/// connection holds no block.
pub struct Transport {
    pipe: Pipe,
    reader: BlockReader,
    state: State,
    entropy: SeededEntropy,
    events: VecDeque<TransportEvent>,
    /// The end of the handshake at the latest.
    deadline: Option<Timestamp>,
    now: Now,
}

enum State {
    Server(Arc<ServerSide>, ServerState),
    Client(Arc<ClientSide>, ClientState),
    Ready(BlockCodec),
    Closed,
    Failed(TransportFault),
}

enum ServerState {
    /// Until the pipe stands.
    Pipe,
    Hello(AwaitClientHello),
    Decision(Box<AwaitDecision>),
}

enum ClientState {
    /// Until the pipe stands.
    Pipe,
    Hello(AwaitServerHello),
    Response(Box<AwaitServiceResponse>),
}

impl Transport {
    /// The server's end of a new connection. All its randomness is a function of `seed`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn server(config: ServerTransportConfig, seed: [u8; 32], now: Now) -> Self {
        let mut entropy = SeededEntropy::new(seed);
        let stream = TlsStream::server(&config.0.tls, entropy.fork_seed(), now.unix);
        Self::over(stream, State::server(config), entropy, now)
    }

    /// The client's end of a new connection. Its first bytes are ready to be sent.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn client(config: ClientTransportConfig, seed: [u8; 32], now: Now) -> Self {
        let mut entropy = SeededEntropy::new(seed);
        let stream = TlsStream::client(&config.0.tls, entropy.fork_seed(), now.unix);
        Self::over(stream, State::client(config), entropy, now)
    }

    /// The server's end of a connection without TLS, whose peer is taken to be `peer`.
    #[must_use]
    pub fn plain_server(config: ServerTransportConfig, peer: PlainPeer, seed: [u8; 32], now: Now) -> Self {
        Self::new(Pipe::plain(peer), State::server(config), SeededEntropy::new(seed), now)
    }

    /// The client's end of a connection without TLS, whose peer is taken to be `peer`.
    #[must_use]
    pub fn plain_client(config: ClientTransportConfig, peer: PlainPeer, seed: [u8; 32], now: Now) -> Self {
        Self::new(Pipe::plain(peer), State::client(config), SeededEntropy::new(seed), now)
    }

    /// Takes bytes from the socket.
    ///
    /// # Errors
    /// When the connection has failed, now or before. What the peer sent before the failure is in the events.
    pub fn receive(&mut self, now: Now, bytes: &[u8]) -> Result<(), TransportFault> {
        self.now = now;
        self.check()?;
        let received = self.pipe.receive(now.unix, bytes);
        let result = self.advance().and(received);
        self.settle(result)?;
        if self.pipe.is_closed_by_peer() && !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.deadline = None;
            self.events.push_back(TransportEvent::Closed);
        }
        Ok(())
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        let next = self.events.pop_front();
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        next
    }

    /// Sends a block with this content, of at most [`Self::content_max`] bytes.
    ///
    /// A longer one, or one before [`TransportEvent::Ready`], is a mistake of the caller that ends the connection with
    /// [`TransportFault::Misuse`] rather than with a gap in what the peer gets.
    pub fn send_block(&mut self, content: &[u8]) {
        let block = match &mut self.state {
            State::Ready(codec) => codec.write(content).map_err(|_| TransportFault::Misuse),
            State::Closed | State::Failed(_) => return,
            State::Server(..) | State::Client(..) => Err(TransportFault::Misuse),
        };
        let sent = block.and_then(|block| self.pipe.send(self.now.unix, block));
        if let Err(fault) = sent {
            self.fail(fault);
            // Returned by the call that this brings about.
            self.deadline = Some(self.now.mono);
        }
    }

    /// The next bytes for the socket; one block at a time once the handshake is over.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.pipe.poll_transmit()
    }

    /// When [`Self::handle_timeout`] is due.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Takes the time.
    ///
    /// # Errors
    /// When the handshake has not been completed in time, or the connection has failed before.
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), TransportFault> {
        self.now = now;
        if self.deadline.is_some_and(|deadline| deadline <= now.mono) {
            self.deadline = None;
            if !matches!(self.state, State::Failed(_)) {
                self.fail(TransportFault::Timeout);
            }
        }
        if let State::Failed(fault) = &self.state { Err(fault.clone()) } else { Ok(()) }
    }

    /// Sets the end of the handshake, which for a server is [`HANDSHAKE_TIMEOUT`] after its beginning. Has no effect when
    /// the handshake is over.
    pub const fn finish_handshake_by(&mut self, deadline: Timestamp) {
        if let State::Server(..) | State::Client(..) = self.state {
            self.deadline = Some(deadline);
        }
    }

    /// Whether a part of a record or block is held, the rest of which the peer has not sent.
    #[must_use]
    pub fn holds_part(&self) -> bool {
        self.pipe.holds_part() || self.reader.holds_part()
    }

    /// The most content of a block.
    #[must_use]
    pub const fn content_max(&self) -> usize {
        match &self.state {
            State::Ready(codec) => codec.content_max(),
            _ => BlockCodec::Plain.content_max(),
        }
    }

    /// Lets the service of [`TransportEvent::Service`] in, under the id by which the server knows it. Does nothing if
    /// no service waits.
    pub fn accept_service(&mut self, id: EntityId) {
        self.decide(|waiting| {
            let (content, agreed) = waiting.accept(id);
            (content, Ok(agreed))
        });
    }

    /// Turns the service of [`TransportEvent::Service`] away: the client is told and the connection has failed. Does
    /// nothing if no service waits.
    pub fn refuse_service(&mut self, error: TransportError) {
        self.decide(|_| {
            let (content, fault) = AwaitDecision::refuse(error);
            (content, Err(fault))
        });
    }

    /// Says goodbye to the peer; nothing is sent or received after it.
    pub fn close(&mut self) {
        if !matches!(self.state, State::Failed(_) | State::Closed) {
            self.pipe.close_notify(self.now.unix);
            self.state = State::Closed;
        }
        self.deadline = None;
    }

    #[cfg(feature = "tls")]
    fn over(
        stream: Result<TlsStream, super::tls::TlsFault>,
        state: State,
        entropy: SeededEntropy,
        now: Now,
    ) -> Self {
        match stream {
            Ok(stream) => Self::new(Pipe::tls(stream), state, entropy, now),
            Err(fault) => {
                let mut failed = Self::new(Pipe::plain(PlainPeer::default()), State::Closed, entropy, now);
                failed.fail(fault.into());
                failed.deadline = Some(now.mono);
                failed
            }
        }
    }

    fn new(pipe: Pipe, state: State, entropy: SeededEntropy, now: Now) -> Self {
        let timeout = match &state {
            State::Server(..) => Some(HANDSHAKE_TIMEOUT),
            State::Client(config, _) => Some(config.options.handshake_timeout),
            State::Ready(_) | State::Closed | State::Failed(_) => None,
        };
        let in_web_socket = matches!(&state, State::Server(config, _) if config.options.web_socket);
        let mut transport = Self {
            pipe: if in_web_socket { pipe.in_web_socket() } else { pipe },
            reader: BlockReader::default(),
            state,
            entropy,
            events: VecDeque::new(),
            deadline: timeout.map(|timeout| now.mono + timeout),
            now,
        };
        // A plain pipe stands from the beginning.
        if let Err(fault) = transport.advance() {
            transport.fail(fault);
            transport.deadline = Some(now.mono);
        }
        transport
    }

    fn check(&self) -> Result<(), TransportFault> {
        match &self.state {
            State::Failed(fault) => Err(fault.clone()),
            State::Closed => Err(TransportFault::Closed),
            State::Server(..) | State::Client(..) | State::Ready(_) => Ok(()),
        }
    }

    fn settle(&mut self, result: Result<(), TransportFault>) -> Result<(), TransportFault> {
        if let Err(fault) = &result {
            self.fail(fault.clone());
        }
        result
    }

    fn fail(&mut self, fault: TransportFault) {
        self.pipe.close_notify(self.now.unix);
        self.reader = BlockReader::default();
        self.deadline = None;
        self.state = State::Failed(fault);
    }

    /// Begins the handshake when the pipe stands, and takes the blocks that are there.
    fn advance(&mut self) -> Result<(), TransportFault> {
        self.begin()?;
        self.reader.push(self.pipe.take_plaintext());
        while let Some(block) = self.reader.next_block() {
            self.take_block(block)?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), TransportFault> {
        let (State::Server(_, ServerState::Pipe) | State::Client(_, ClientState::Pipe)) = &self.state else {
            return Ok(());
        };
        let Some(peer) = self.pipe.peer() else { return Ok(()) };
        self.state = match mem::replace(&mut self.state, State::Closed) {
            State::Server(config, _) => {
                let (waiting, content) = AwaitClientHello::begin(&config, peer, &mut self.entropy)?;
                self.send_plain(&content)?;
                State::Server(config, ServerState::Hello(waiting))
            }
            State::Client(config, _) => {
                State::Client(config, ClientState::Hello(AwaitServerHello::new(peer)))
            }
            other => other,
        };
        Ok(())
    }

    fn take_block(&mut self, block: Vec<u8>) -> Result<(), TransportFault> {
        debug_assert_eq!(block.len(), BLOCK_LEN, "the reader cuts blocks");
        self.state = match mem::replace(&mut self.state, State::Closed) {
            State::Ready(mut codec) => {
                let event = codec.read(block).map_or(TransportEvent::BadBlock, TransportEvent::Block);
                self.events.push_back(event);
                State::Ready(codec)
            }
            State::Server(config, ServerState::Hello(waiting)) => {
                let next = waiting.hello(&config, &plain_content(block)?, self.now.unix)?;
                self.after_client_hello(config, next)?
            }
            State::Client(config, ClientState::Hello(waiting)) => {
                let next = waiting.hello(&config, &plain_content(block)?, &mut self.entropy)?;
                self.after_server_hello(config, next)?
            }
            State::Client(_, ClientState::Response(waiting)) => {
                self.ready(waiting.response(&plain_content(block)?)?)
            }
            State::Server(..) | State::Client(..) => return Err(TransportFault::Unexpected),
            over @ (State::Closed | State::Failed(_)) => over,
        };
        Ok(())
    }

    fn after_client_hello(
        &mut self,
        config: Arc<ServerSide>,
        next: ServerNext,
    ) -> Result<State, TransportFault> {
        match next {
            ServerNext::Ready(agreed) => Ok(self.ready(agreed)),
            ServerNext::Service(waiting) => {
                self.events.push_back(TransportEvent::Service(waiting.request().clone()));
                Ok(State::Server(config, ServerState::Decision(waiting)))
            }
            ServerNext::Refused(content, fault) => {
                self.send_plain(&content)?;
                Err(fault)
            }
        }
    }

    fn after_server_hello(
        &mut self,
        config: Arc<ClientSide>,
        next: ClientNext,
    ) -> Result<State, TransportFault> {
        match next {
            ClientNext::Ready(content, agreed) => {
                self.send_plain(&content)?;
                Ok(self.ready(agreed))
            }
            ClientNext::Service(content, waiting) => {
                self.send_plain(&content)?;
                Ok(State::Client(config, ClientState::Response(waiting)))
            }
        }
    }

    fn ready(&mut self, agreed: Agreed) -> State {
        self.deadline = None;
        self.events.push_back(TransportEvent::Ready(agreed.parameters));
        State::Ready(agreed.codec)
    }

    fn decide(&mut self, decide: impl FnOnce(AwaitDecision) -> (Vec<u8>, Result<Agreed, TransportFault>)) {
        self.state = match mem::replace(&mut self.state, State::Closed) {
            State::Server(_, ServerState::Decision(waiting)) => {
                let (content, agreed) = decide(*waiting);
                match self.send_plain(&content).and(agreed) {
                    Ok(agreed) => self.ready(agreed),
                    Err(fault) => {
                        self.pipe.close_notify(self.now.unix);
                        self.deadline = Some(self.now.mono);
                        State::Failed(fault)
                    }
                }
            }
            other => other,
        };
    }

    /// A block of the handshake, which is never encrypted.
    fn send_plain(&mut self, content: &[u8]) -> Result<(), TransportFault> {
        let block = BlockCodec::Plain.write(content).map_err(|_| TransportFault::Misuse)?;
        self.pipe.send(self.now.unix, block)
    }
}

impl State {
    fn server(config: ServerTransportConfig) -> Self {
        Self::Server(config.0, ServerState::Pipe)
    }

    fn client(config: ClientTransportConfig) -> Self {
        Self::Client(config.0, ClientState::Pipe)
    }
}

/// The content of a block of the handshake.
fn plain_content(block: Vec<u8>) -> Result<Bytes, TransportFault> {
    BlockCodec::Plain.read(block).map_err(|_| TransportFault::PARSE)
}

#[cfg(feature = "tls")]
#[cfg(test)]
mod tests;
