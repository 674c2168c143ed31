//! A client that blocks, over the client machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use smp_core::client::{
    Answer, Client, ClientEvent, ClientInput, ClientLimits, ClientOutput, CommandId, Request, RequestError,
};
use smp_core::transport::{ClientOptions, ClientTransportConfig, Transport};
use smp_core::wire::{ServerUri, Version, VersionRange};
use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};

use crate::harness::Serving;

/// A connection to a server.
pub(crate) struct Connection {
    carrier: Box<dyn Carrier>,
    client: Client,
    started: Instant,
    pub(crate) version: Version,
    pub(crate) address: ServerUri,
    last: u64,
}

impl Connection {
    /// Connects, and checks that the server is the one of the address that it printed.
    pub(crate) fn to(serving: &Serving) -> Self {
        Self::speaking(serving, VersionRange::SUPPORTED)
    }

    /// Connects as a client of these versions.
    pub(crate) fn speaking(serving: &Serving, versions: VersionRange) -> Self {
        let address: ServerUri = serving.line("Server address: ").parse().unwrap();
        let stream = TcpStream::connect(("127.0.0.1", address.server.port().unwrap())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let options = ClientOptions { versions, ..ClientOptions::default() };
        let config = ClientTransportConfig::new(*address.server.key_hash(), options).unwrap();
        let started = Instant::now();
        let mut entropy = entropy();
        let transport = Transport::client(config, entropy.fork_seed(), now(started));
        let client = Client::new(ClientLimits::default(), transport, entropy.fork_seed(), now(started));
        Self::of(Box::new(stream), client, started, address)
    }

    /// A client whose handshake is under way.
    pub(crate) fn of(
        carrier: Box<dyn Carrier>,
        client: Client,
        started: Instant,
        address: ServerUri,
    ) -> Self {
        let mut connection = Self { carrier, client, started, version: Version::MIN, address, last: 0 };
        connection.version = connection.until(|output| match output {
            ClientOutput::Connected(version) => Some(version),
            _ => None,
        });
        connection
    }

    /// The result of a request.
    pub(crate) fn request(&mut self, request: Request) -> Result<Answer, RequestError> {
        self.last += 1;
        let id = CommandId(self.last);
        self.client.handle(now(self.started), ClientInput::Command(id, request));
        self.until(|output| match output {
            ClientOutput::Answer(answered, answer) if answered == id => Some(answer),
            _ => None,
        })
    }

    /// The next event.
    pub(crate) fn event(&mut self) -> ClientEvent {
        self.until(|output| match output {
            ClientOutput::Event(event) => Some(event),
            _ => None,
        })
    }

    /// Drives the client until an output is what the caller waits for.
    fn until<T>(&mut self, wanted: impl Fn(ClientOutput) -> Option<T>) -> T {
        loop {
            while let Some(output) = self.client.poll_output() {
                match output {
                    ClientOutput::Send(bytes) => {
                        self.carrier.send(&bytes);
                        self.client.handle(now(self.started), ClientInput::Sent(bytes.len()));
                    }
                    ClientOutput::Close(reason) => panic!("the connection ended: {reason:?}"),
                    output => {
                        if let Some(found) = wanted(output) {
                            return found;
                        }
                    }
                }
            }
            let received = self.carrier.receive();
            let input = if received.is_empty() { ClientInput::Eof } else { ClientInput::Received(&received) };
            self.client.handle(now(self.started), input);
        }
    }
}

/// What brings bytes to a server and back.
pub(crate) trait Carrier {
    fn send(&mut self, bytes: &[u8]);
    /// Nothing at the end.
    fn receive(&mut self) -> Vec<u8>;
}

impl Carrier for TcpStream {
    fn send(&mut self, bytes: &[u8]) {
        self.write_all(bytes).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 16_384];
        let received = self.read(&mut buffer).unwrap();
        buffer.truncate(received);
        buffer
    }
}

/// Randomness of the operating system.
pub(crate) fn entropy() -> SeededEntropy {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    SeededEntropy::new(seed)
}

pub(crate) fn now(started: Instant) -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Now {
        mono: Timestamp::ZERO + started.elapsed(),
        unix: UnixTime::from_millis(i64::try_from(unix).unwrap()),
    }
}
