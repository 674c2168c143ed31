//! Peers that break off, stall, or do not speak the protocol. All are let go of, and nobody else notices.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use smp_core::transport::tls::{Alpn, ClientTls, TlsFault, TlsStream};
use smp_core::wire::EntityId;
use smp_tests::peer::{
    Address, Auth, Ended, GUARD, Greeting, Link, Peer, Queue, Request, bytes, now, wait_until,
};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, NEWEST, SOME, run};

const BLOCK: usize = 16384;
/// Type, description: an alert of TLS (RFC 8446 section 6).
const FATAL: u8 = 2;
const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
const PROTOCOL_VERSION: u8 = 70;

/// A socket without TLS.
fn connect(address: &Address) -> TcpStream {
    let socket = TcpStream::connect(address.socket).expect("a server listens");
    socket.set_read_timeout(Some(GUARD)).expect("an open socket");
    socket
}

/// Waits for the end of the connection and returns what came before.
#[track_caller]
fn read_to_end(mut socket: &TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    match socket.read_to_end(&mut received) {
        Ok(_) => {}
        Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
            panic!("the connection was left open")
        }
        // A reset is an end as well.
        Err(_) => {}
    }
    received
}

/// What a server says to these first bytes of a connection, which it must then end.
#[track_caller]
fn answer_to(address: &Address, first: &[u8]) -> Vec<u8> {
    let mut socket = connect(address);
    // The server may end the connection while this is being written.
    let _ = socket.write_all(first);
    read_to_end(&socket)
}

/// The server serves on and holds none of the connections that are over.
#[track_caller]
fn assert_unharmed(server: TestServer) {
    let mut peer = Peer::connect(server.address(), NEWEST);
    let queue = Queue::new(&mut peer);
    assert_eq!(queue.send(&mut peer, None, "hello"), "OK");
    assert_eq!(queue.receive_last(&mut peer).text(), "hello");
    drop(peer);
    server.wait_for_no_connections();
    server.stop();
}

/// A connection with the server's hello, where the server's patience may end before it comes on a busy machine.
fn greet_in_time(address: &Address) -> Greeting {
    let mut greeting = None;
    wait_until("a hello within the deadline", || {
        greeting = Greeting::new(address, Alpn::smp(), None).ok();
        greeting.is_some()
    });
    greeting.expect("the hello of the server")
}

/// The first bytes of a client.
fn client_hello(address: &Address) -> Vec<u8> {
    let config = ClientTls::new(address.fingerprint, Alpn::smp(), None).expect("a configuration of TLS");
    let mut tls = TlsStream::client(&config, bytes(), now()).expect("a client");
    tls.poll_transmit().expect("a first flight")
}

/// A client that speaks TLS 1.2 only (RFC 5246 section 7.4.1.2), with a suite, a group and a signature that would do.
fn client_hello_of_tls_1_2() -> Vec<u8> {
    let extensions = [
        &[0x00, 0x0a, 0, 4, 0, 2, 0x00, 0x1d][..],
        &[0x00, 0x0b, 0, 2, 1, 0],
        &[0x00, 0x0d, 0, 4, 0, 2, 0x08, 0x07],
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend_from_slice(&bytes::<32>());
    body.extend_from_slice(&[0, 0, 2, 0xcc, 0xa9, 1, 0, 0]);
    body.push(u8::try_from(extensions.len()).expect("short"));
    body.extend_from_slice(&extensions);
    let length = u8::try_from(body.len()).expect("short");
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn garbage_instead_of_tls_ends_the_connection() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let good = client_hello(server.address());
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    for garbage in [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        vec![0; BLOCK],
        vec![255; BLOCK],
        bytes::<BLOCK>().to_vec(),
        vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10],
        // Another type of record, an unknown handshake message, an empty client hello.
        changed(0, 23),
        changed(5, 77),
        vec![22, 3, 1, 0, 4, 1, 0, 0, 0],
        [&good[..], b"and garbage behind it, which is no record of TLS"].concat(),
    ] {
        answer_to(server.address(), &garbage);
    }
    assert_unharmed(server);
}

#[test]
fn an_oversized_record_is_refused_by_an_alert() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let record = [&[22, 3, 1, 0xff, 0xff][..], &[1; 20_000]].concat();
    let answer = answer_to(server.address(), &record);
    assert!(answer.starts_with(&[21, 3, 3, 0, 2, FATAL]), "{answer:?}");
    // And after the handshake.
    let mut peer = Peer::connect(server.address(), NEWEST);
    let length = u16::try_from(BLOCK + 256 + 1).expect("a length");
    let record = [&[23, 3, 3][..], &length.to_be_bytes(), &vec![7; usize::from(length)]].concat();
    let _ = peer.link.send_below_tls(&record);
    let ended = peer.link.closed();
    let alerts = [RECORD_OVERFLOW, BAD_RECORD_MAC].map(|alert| Ended::Tls(TlsFault::Alert(alert)));
    assert!(alerts.contains(&ended) || ended == Ended::Reset, "{ended:?}");
    drop(peer);
    assert_unharmed(server);
}

#[test]
fn older_tls_is_refused_by_an_alert() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let answer = answer_to(server.address(), &client_hello_of_tls_1_2());
    assert_eq!(answer, [21, 3, 3, 0, 2, FATAL, PROTOCOL_VERSION]);
    assert_unharmed(server);
}

#[test]
fn records_that_do_not_open_end_the_connection() {
    run(Store::Memory, &Settings::default(), SOME, |server, form| {
        for record in [
            [&[23, 3, 3, 0, 64][..], &bytes::<64>()].concat(),
            [&[23, 3, 3, 0, 0][..]].concat(),
            [&[22, 3, 3, 0, 4][..], &[1, 0, 0, 0]].concat(),
            b"not a record at all, but enough bytes for one".to_vec(),
        ] {
            let mut peer = Peer::connect(server.address(), form);
            let queue = Queue::new(&mut peer);
            peer.link.send_below_tls(&record).expect("an open connection");
            let _ = peer.link.closed();
            let mut peer = Peer::connect(server.address(), form);
            queue.subscribe(&mut peer);
        }
    });
}

#[test]
fn a_stalled_handshake_ends_at_its_deadline() {
    let timeout = Duration::from_secs(1);
    let settings = Settings { handshake_timeout: timeout, ..Settings::default() };
    let server = TestServer::start(Store::Memory, &settings);
    let address = server.address();
    let hello = client_hello(address);

    let silent = connect(address);
    let mut in_tls = connect(address);
    in_tls.write_all(&hello[..50]).expect("an open socket");
    let mut after_flight = connect(address);
    after_flight.write_all(&hello).expect("an open socket");
    let mut before_hello = greet_in_time(address);
    assert_eq!(before_hello.link.closed(), Ended::Eof);
    let mut in_hello = greet_in_time(address);
    let _ = in_hello.link.send(&[0; 1000]);
    assert_eq!(in_hello.link.closed(), Ended::Eof);
    for socket in [&silent, &in_tls, &after_flight] {
        read_to_end(socket);
    }
    server.wait_for_no_connections();
    server.stop();
}

#[test]
fn who_is_connected_is_not_closed_at_the_deadline() {
    let timeout = Duration::from_secs(1);
    let settings = Settings { handshake_timeout: timeout, ..Settings::default() };
    let server = TestServer::start(Store::Memory, &settings);
    let mut peer = None;
    wait_until("a handshake within the deadline", || {
        peer = greet_in_time(server.address()).finish(NEWEST).ok();
        // The server may have given up before it read the hello; else it answers.
        peer.as_mut().is_some_and(|peer| {
            peer.send(&[Request::new(Auth::None, &EntityId::empty(), "PING")]);
            peer.try_receive().is_ok()
        })
    });
    let mut peer = peer.expect("a connection");
    let stalled = connect(server.address());
    read_to_end(&stalled);
    // A later connection has reached its deadline, so this one has passed its own.
    peer.assert_silent();
    server.stop();
}

#[test]
fn connections_that_are_half_open_are_closed() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let address = server.address();
    let hello = client_hello(address);
    for sent in [&b""[..], &hello[..1], &hello[..50], &hello] {
        let mut socket = connect(address);
        socket.write_all(sent).expect("an open socket");
        socket.shutdown(Shutdown::Write).expect("an open socket");
        read_to_end(&socket);
    }
    for sent in [0, 1, BLOCK - 1] {
        let mut greeting = Greeting::new(address, Alpn::smp(), None).expect("the hello of the server");
        greeting.link.send(&vec![0; sent]).expect("an open connection");
        greeting.link.half_close();
        assert_eq!(greeting.link.closed(), Ended::Eof);
    }
    assert_unharmed(server);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_block_did_nothing() {
    run(Store::Memory, &Settings::default(), ALL, |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        for sent in [1, 100, BLOCK - 1] {
            let mut peer = Peer::connect(server.address(), form);
            queue.subscribe(&mut peer);
            peer.link.send(&vec![7; sent]).expect("an open connection");
            peer.link.half_close();
            assert_eq!(peer.link.closed(), Ended::Eof);
            // A goodbye in the language of TLS has the same effect.
            let mut peer = Peer::connect(server.address(), form);
            peer.link.send(&vec![7; sent]).expect("an open connection");
            peer.link.say_goodbye().expect("an open connection");
            assert_eq!(peer.link.closed(), Ended::Eof);
        }
        queue.subscribe(&mut alice);
        assert_eq!(queue.send(&mut alice, None, "hello"), "OK");
    });
}

#[test]
fn many_connections_come_and_go() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let config = ClientTls::new(server.address().fingerprint, Alpn::smp(), None);
    let config = config.expect("a configuration of TLS");
    for n in 0..60 {
        match n % 4 {
            0 => drop(connect(server.address())),
            1 => drop(Link::connect(server.address().socket, &config).map_err(|_| "refused")),
            2 => drop(Greeting::new(server.address(), Alpn::smp(), None).map_err(|_| "refused")),
            _ => drop(Peer::connect(server.address(), NEWEST)),
        }
    }
    assert_unharmed(server);
}
