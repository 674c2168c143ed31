//! Between a client and its server: whoever has another identity, or repeats what the server once said.
//!
//! Here the client is that of the transport machine, because it is the client that must refuse.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use smp_core::crypto::padding::pad;
use smp_core::transport::identity::{Algorithm, ServerIdentity};
use smp_core::transport::tls::{Alpn, ServerTls, TlsFault};
use smp_core::transport::{ClientOptions, ClientTransportConfig, Transport, TransportEvent, TransportFault};
use smp_core::wire::error::{HandshakeError, TransportError};
use smp_core::wire::{ServerHello, SessionId};
use smp_core::{Now, Timestamp};
use smp_tests::peer::{Ended, GUARD, Greeting, Link, bytes, now};
use smp_tests::server::{Settings, Store, TestServer, identity};

const BLOCK: usize = 16384;
/// The alert by which a client says that the server is not the one it looks for (RFC 8446 section 6).
const UNKNOWN_CA: u8 = 48;

/// Connects to `address` as a client of the server with this fingerprint, up to the end of the handshake.
fn connect(address: SocketAddr, fingerprint: [u8; 32]) -> Result<(), TransportFault> {
    let now = || Now { mono: Timestamp::ZERO, unix: now() };
    let config = ClientTransportConfig::new(fingerprint, ClientOptions::default()).expect("a configuration");
    let mut transport = Transport::client(config, bytes(), now());
    let mut socket = TcpStream::connect(address).expect("somebody listens");
    socket.set_read_timeout(Some(GUARD)).expect("an open socket");
    let mut buffer = [0; 4096];
    loop {
        while let Some(bytes) = transport.poll_transmit() {
            socket.write_all(&bytes).expect("an open connection");
        }
        match transport.poll_event() {
            Some(TransportEvent::Ready(_)) => return Ok(()),
            Some(_) => panic!("an event before the end of the handshake"),
            None => {}
        }
        let count = socket.read(&mut buffer).expect("something from the other side");
        assert!(count > 0, "the other side ended the connection");
        if let Err(fault) = transport.receive(now(), &buffer[..count]) {
            while let Some(alert) = transport.poll_transmit() {
                socket.write_all(&alert).expect("an open connection");
            }
            return Err(fault);
        }
    }
}

/// Somebody who listens, does TLS as `identity`, says `hello` and waits for the end. Returns what the client got, and how
/// the connection ended.
fn intrude(
    identity: &ServerIdentity,
    expected: [u8; 32],
    hello: impl FnOnce(&Link) -> Vec<u8> + Send,
) -> (Result<(), TransportFault>, Option<Ended>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a port");
    let tls = ServerTls::new(identity, Alpn::server(), false).expect("a configuration of TLS");
    thread::scope(|scope| {
        let intruder = scope.spawn(move || {
            let (socket, _) = listener.accept().expect("a client");
            let mut link = match Link::accept(socket, &tls) {
                Ok(link) => link,
                Err(ended) => return Some(ended),
            };
            let block = hello(&link);
            link.send(&block).err().or_else(|| link.receive(BLOCK).err())
        });
        let result = connect(address, expected);
        (result, intruder.join().expect("the thread of the intruder"))
    })
}

fn block_of(hello: &ServerHello) -> Vec<u8> {
    let mut content = Vec::new();
    hello.encode(&mut content);
    pad(&content, BLOCK).expect("a hello that fits")
}

fn recorded_hello(server: &TestServer) -> ServerHello {
    Greeting::new(server.address(), Alpn::smp(), None).expect("the hello of the server").hello
}

#[test]
fn the_client_accepts_the_server_it_looks_for() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Ed448] {
        let settings = Settings { algorithm, ..Settings::default() };
        let server = TestServer::start(Store::Memory, &settings);
        assert_eq!(connect(server.address().socket, server.address().fingerprint), Ok(()));
        // The way in which the others below are set up is not what they are refused for.
        let recorded = recorded_hello(&server);
        let (result, ended) = intrude(server.identity(), server.address().fingerprint, |link| {
            let session_id = SessionId::new(&link.session_id()).expect("32 bytes");
            block_of(&ServerHello { session_id, ..recorded })
        });
        assert_eq!((result, ended), (Ok(()), None));
        server.stop();
    }
}

#[test]
fn a_man_in_the_middle_with_a_certificate_of_his_own_is_refused() {
    for (real, his) in [(Algorithm::Ed25519, Algorithm::Ed25519), (Algorithm::Ed448, Algorithm::Ed25519)] {
        let settings = Settings { algorithm: real, ..Settings::default() };
        let server = TestServer::start(Store::Memory, &settings);
        let recorded = recorded_hello(&server);
        let (result, ended) = intrude(&identity(his), server.address().fingerprint, |_| block_of(&recorded));
        let fault = result.expect_err("refused");
        assert!(fault.is_identity(), "{fault}");
        assert_eq!(fault, TransportFault::Tls(TlsFault::Identity));
        // He is told before he has said anything.
        assert_eq!(ended, Some(Ended::Tls(TlsFault::Alert(UNKNOWN_CA))));
        server.stop();
    }
}

#[test]
fn a_server_under_another_address_is_refused() {
    let (server, other) = (
        TestServer::start(Store::Memory, &Settings::default()),
        TestServer::start(Store::Memory, &Settings::default()),
    );
    let fault = connect(server.address().socket, other.address().fingerprint).expect_err("refused");
    assert!(fault.is_identity(), "{fault}");
    server.wait_for_no_connections();
    server.stop();
    other.stop();
}

#[test]
fn a_replayed_hello_is_refused() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    // Even by who has the server's own certificate and key.
    let recorded = recorded_hello(&server);
    let (result, ended) = intrude(server.identity(), server.address().fingerprint, |_| block_of(&recorded));
    assert_eq!(result, Err(TransportFault::Smp(TransportError::Session)));
    assert!(ended.is_some());
    server.stop();
}

#[test]
fn a_session_key_of_somebody_else_is_refused() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let other = TestServer::start(Store::Memory, &Settings::default());
    // The other's chain and signature are in order, but not those of TLS.
    let foreign = recorded_hello(&other);
    let (result, _) = intrude(server.identity(), server.address().fingerprint, |link| {
        let session_id = SessionId::new(&link.session_id()).expect("32 bytes");
        block_of(&ServerHello { session_id, ..foreign })
    });
    let fault = result.expect_err("refused");
    let bad_auth = TransportFault::Smp(TransportError::Handshake(HandshakeError::BadAuth));
    assert!(fault == bad_auth || fault.is_identity(), "{fault}");
    // The server's chain with the other's signature.
    let (mut mixed, foreign) = (recorded_hello(&server), recorded_hello(&other));
    if let (Some(mine), Some(foreign)) = (&mut mixed.auth, foreign.auth) {
        mine.signed_key = foreign.signed_key;
    }
    let (result, _) = intrude(server.identity(), server.address().fingerprint, |link| {
        let session_id = SessionId::new(&link.session_id()).expect("32 bytes");
        block_of(&ServerHello { session_id, ..mixed })
    });
    assert_eq!(result, Err(bad_auth));
    server.stop();
    other.stop();
}
