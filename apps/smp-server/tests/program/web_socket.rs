//! SMP over WebSockets, with the WebSocket of another implementation at the client's end.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use smp_core::UnixTime;
use smp_core::client::{Client, ClientLimits, QueueKeys};
use smp_core::transport::tls::{Alpn, ClientTls, TlsStream};
use smp_core::transport::{ClientOptions, ClientTransportConfig, PlainPeer, Transport};
use smp_core::wire::ServerUri;
use smp_core::wire::message::ReceivedBody;
use tungstenite::{Message, WebSocket};

use crate::client::{Carrier, Connection, entropy, now};
use crate::harness::{Place, Serving, Signal};
use crate::queues::{create, send, take};

/// TLS of an SMP client, as a stream.
struct Tls {
    socket: TcpStream,
    stream: TlsStream,
    received: Vec<u8>,
    started: Instant,
}

impl Tls {
    fn connect(port: u16, key_hash: [u8; 32], alpn: Alpn) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let config = ClientTls::new(key_hash, alpn, None).unwrap();
        let started = Instant::now();
        let stream = TlsStream::client(&config, entropy().fork_seed(), now(started).unix).unwrap();
        let mut tls = Self { socket, stream, received: Vec::new(), started };
        while tls.stream.is_handshaking() {
            tls.flush().unwrap();
            tls.fill().unwrap();
        }
        tls.flush().unwrap();
        tls
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16_384];
        let count = self.socket.read(&mut buffer)?;
        self.stream.receive(self.unix(), &buffer[..count]).unwrap();
        self.received.extend(self.stream.take_plaintext());
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn unix(&self) -> UnixTime {
        now(self.started).unix
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.received.is_empty() {
            self.fill()?;
        }
        let count = self.received.as_slice().read(buffer)?;
        self.received.drain(..count);
        Ok(count)
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.send(self.unix(), bytes).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(bytes) = self.stream.poll_transmit() {
            self.socket.write_all(&bytes)?;
        }
        Ok(())
    }
}

impl Carrier for WebSocket<Tls> {
    fn send(&mut self, bytes: &[u8]) {
        assert_eq!(bytes.len(), 16_384);
        Self::send(self, Message::binary(bytes.to_vec())).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let Message::Binary(block) = self.read().unwrap() else { panic!("a message of another kind") };
        assert_eq!(block.len(), 16_384);
        block.into()
    }
}

fn port(serving: &Serving) -> u16 {
    let sockets = "for SMP over WebSockets";
    let line = serving.lines.iter().find(|line| line.ends_with(sockets)).unwrap();
    line.split(' ').nth(2).unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

fn address(serving: &Serving) -> ServerUri {
    serving.line("Server address: ").parse().unwrap()
}

/// A client that says what TLS would have told it.
fn connect(serving: &Serving, alpn: Alpn) -> Connection {
    let address = address(serving);
    let key_hash = *address.server.key_hash();
    let tls = Tls::connect(port(serving), key_hash, alpn.clone());
    let peer = PlainPeer {
        session_id: *tls.stream.session_id().unwrap(),
        certificates: tls.stream.peer_certificates(),
        has_alpn: alpn != Alpn::none(),
        has_shown_certificate: false,
    };
    let started = tls.started;
    let (socket, _) = tungstenite::client("ws://localhost/", tls).unwrap();
    let config = ClientTransportConfig::new(key_hash, ClientOptions::default()).unwrap();
    let transport = Transport::plain_client(config, peer, entropy().fork_seed(), now(started));
    let client = Client::new(ClientLimits::default(), transport, entropy().fork_seed(), now(started));
    Connection::of(Box::new(socket), client, started, address)
}

#[test]
fn messages_pass_between_web_sockets_and_the_usual_port() {
    let place = Place::initialised();
    place.replace("websockets = off", "websockets = 0");
    let serving = place.serve(&["start"]);
    let mut usual = Connection::to(&serving);
    let password = usual.address.password.clone();
    for alpn in [Alpn::web(), Alpn::smp(), Alpn::none()] {
        let mut socket = connect(&serving, alpn.clone());
        assert_eq!(socket.version == usual.version, alpn != Alpn::none());
        let keys = QueueKeys::generate(&mut entropy());
        let queue = create(&mut socket, &keys, password.clone()).unwrap();
        send(&mut usual, &queue, "from the usual port").unwrap();
        send(&mut socket, &queue, "from a WebSocket").unwrap();
        for expected in ["from the usual port", "from a WebSocket"] {
            let Some(ReceivedBody::Message { body, .. }) = take(&mut socket, &queue, &keys) else {
                panic!("a message")
            };
            assert_eq!(body, expected);
        }
        assert!(take(&mut socket, &queue, &keys).is_none());
    }
    assert!(serving.signal(Signal::TERM).success());
}

#[test]
fn other_requests_are_refused() {
    let place = Place::initialised();
    place.replace("websockets = off", "websockets = 0");
    let serving = place.serve(&["start"]);
    let key_hash = *address(&serving).server.key_hash();
    for (request, status) in
        [("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "426"), ("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "404")]
    {
        let mut tls = Tls::connect(port(&serving), key_hash, Alpn::web());
        tls.write_all(request.as_bytes()).unwrap();
        tls.flush().unwrap();
        let mut answer = vec![0; 12];
        tls.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), format!("HTTP/1.1 {status}"));
    }
    assert!(serving.signal(Signal::TERM).success());
}
