//! The client's side: one session with a server, on the thread of whoever calls.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use smp_core::client::{
    Answer, Client, ClientEvent, ClientInput, ClientLimits, ClientOutput, CommandId, Request, RequestError,
};
use smp_core::transport::{ClientOptions, ClientTransportConfig, Transport};
use smp_examples::{Clock, Outcome, entropy};

/// A connection to a server: the machine, and what it cannot have, a socket and a clock.
pub(crate) struct Connection {
    machine: Client,
    socket: TcpStream,
    clock: Clock,
    answer: Option<Result<Answer, RequestError>>,
    events: VecDeque<ClientEvent>,
}

impl Connection {
    /// Connects to the server with this identity, or to none: TLS and the handshake of SMP are the machine's.
    pub(crate) fn open(server: SocketAddr, fingerprint: [u8; 32]) -> Outcome<Self> {
        let (mut entropy, clock, limits) = (entropy()?, Clock::start(), ClientLimits::default());
        let config = ClientTransportConfig::new(fingerprint, ClientOptions::default())?;
        let transport = Transport::client(config, entropy.fork_seed(), clock.now());
        let machine = Client::new(limits, transport, entropy.fork_seed(), clock.now());
        let socket = TcpStream::connect(server)?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(limits.stalled_output))?;
        let mut connection = Self { machine, socket, clock, answer: None, events: VecDeque::new() };
        connection.carry_out()?;
        while connection.machine.session().is_none() {
            connection.wait()?;
        }
        Ok(connection)
    }

    /// Sends a command and waits for its answer. What the server tells meanwhile is kept.
    pub(crate) fn ask(&mut self, request: Request) -> Outcome<Answer> {
        // The number names the command until it is answered, and there is one at a time here.
        self.machine.handle(self.clock.now(), ClientInput::Command(CommandId(1), request));
        self.carry_out()?;
        loop {
            if let Some(answer) = self.answer.take() {
                return Ok(answer?);
            }
            self.wait()?;
        }
    }

    /// Waits for the next thing that the server tells without being asked.
    pub(crate) fn event(&mut self) -> Outcome<ClientEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.wait()?;
        }
    }

    /// Waits for bytes, or until the machine wants to be told the time.
    fn wait(&mut self) -> Outcome<()> {
        let due = self.machine.poll_timeout().map(|due| due.since(self.clock.now().mono));
        // To the system no time at all would be any time.
        self.socket.set_read_timeout(due.map(|due| due.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 16 * 1024];
        let input = match self.socket.read(&mut buffer) {
            Ok(0) => ClientInput::Eof,
            Ok(count) => ClientInput::Received(&buffer[..count]),
            Err(error) => match error.kind() {
                // Systems have different words for it.
                ErrorKind::WouldBlock | ErrorKind::TimedOut => ClientInput::Timeout,
                ErrorKind::Interrupted => return Ok(()),
                _ => return Err(error.into()),
            },
        };
        self.machine.handle(self.clock.now(), input);
        self.carry_out()
    }

    /// Does what the machine wants, in order, until it wants nothing.
    fn carry_out(&mut self) -> Outcome<()> {
        while let Some(output) = self.machine.poll_output() {
            match output {
                ClientOutput::Send(bytes) => {
                    self.socket.write_all(&bytes)?;
                    self.machine.handle(self.clock.now(), ClientInput::Sent(bytes.len()));
                }
                ClientOutput::Answer(_, answer) => self.answer = Some(answer),
                ClientOutput::Event(event) => self.events.push_back(event),
                ClientOutput::Connected(_) => {}
                ClientOutput::Close(reason) => return Err(reason.into()),
            }
        }
        Ok(())
    }
}
