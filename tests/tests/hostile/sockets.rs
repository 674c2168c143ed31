//! Floods behind real sockets: whoever else is connected does not notice.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use smp_core::server::Limits;
use smp_tests::peer::{Address, Form, GUARD, Peer, Queue, wait_until};
use smp_tests::server::{Settings, Store, TestServer};

use super::alone;

const NEWEST: Form = Form::new(18);

fn connect(address: &Address) -> TcpStream {
    let socket = TcpStream::connect(address.socket).expect("a server listens");
    socket.set_read_timeout(Some(GUARD)).expect("an open socket");
    socket
}

/// Waits for the end of a connection on which nothing was said.
#[track_caller]
fn assert_refused(mut socket: TcpStream) {
    match socket.read(&mut [0; 1]) {
        Ok(0) => {}
        Err(error) if ![ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
        other => panic!("the connection was not refused: {other:?}"),
    }
}

#[track_caller]
fn assert_serves(server: &TestServer) {
    let mut peer = Peer::connect(server.address(), NEWEST);
    let queue = Queue::new(&mut peer);
    assert_eq!(queue.send(&mut peer, None, "hello"), "OK");
    assert_eq!(queue.receive_last(&mut peer).text(), "hello");
}

/// Peers on this machine are not counted by address, as many as there are; the limit of all holds for them too.
#[test]
fn connections_of_this_machine_fill_only_the_whole() {
    let _turn = alone();
    let limits = Limits {
        connections: 200,
        connections_per_address: 1,
        new_connections_per_address: 1,
        ..Limits::default()
    };
    let server = TestServer::start(Store::Memory, &Settings { limits, ..Settings::default() });
    let silent: Vec<_> = (0..199).map(|_| connect(server.address())).collect();
    wait_until("all are in", || server.connections() == 199);
    assert_serves(&server);
    wait_until("the guest is gone", || server.connections() == 199);
    let last = connect(server.address());
    wait_until("it is full", || server.connections() == 200);
    assert_refused(connect(server.address()));
    drop(silent);
    wait_until("there is room", || server.connections() == 1);
    assert_serves(&server);
    drop(last);
    server.wait_for_no_connections();
    server.stop();
}

#[test]
fn slow_handshakes_do_not_keep_others_out() {
    let _turn = alone();
    let limits = Limits { handshakes: 100, ..Limits::default() };
    let server = TestServer::start(Store::Memory, &Settings { limits, ..Settings::default() });
    let slow: Vec<_> = (0..99).map(|_| connect(server.address())).collect();
    for (n, mut socket) in slow.iter().enumerate() {
        socket.write_all(&[22, 3, 1, 0, 200, 1, 0][..n % 8]).expect("an open socket");
    }
    wait_until("all are in", || server.connections() == 99);
    assert_serves(&server);
    wait_until("the guest is gone", || server.connections() == 99);
    let last = connect(server.address());
    wait_until("that many are shaking hands", || server.connections() == 100);
    assert_refused(connect(server.address()));
    drop((slow, last));
    server.wait_for_no_connections();
    assert_serves(&server);
    server.stop();
}
