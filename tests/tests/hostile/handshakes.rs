//! Handshakes and blocks that are begun and not finished.

use std::time::Duration;

use smp_core::SeededEntropy;
use smp_core::server::{CloseReason, ConnectionId, Limits, SessionInput};
use smp_core::transport::{ClientOptions, ClientTransportConfig, Transport};
use smp_tests::in_memory::InMemoryServer;
use stats_alloc::Region;

use super::{ALLOCATOR, BLOCK, alone, assert_serves, held, server};

/// Bytes that a connection holds before the end of its handshake, wherever that stops.
pub(crate) const HANDSHAKE_MAX: usize = 32 * 1024;
/// Bytes that a connection after its handshake holds with a part of a block and a part of a record.
pub(crate) const PART_MAX: usize = 32 * 1024;

const MANY: usize = 2000;

/// The first bytes of a client.
fn client_hello(server: &InMemoryServer) -> Vec<u8> {
    let config = ClientTransportConfig::new(server.key_hash(), ClientOptions::default()).expect("TLS");
    let mut client = Transport::client(config, SeededEntropy::new([9; 32]).fork_seed(), server.now);
    client.poll_transmit().expect("a first flight")
}

#[track_caller]
fn slow_handshakes(name: &str, bytes: impl Fn(&InMemoryServer) -> Vec<u8>) {
    let _turn = alone();
    let mut server = server(Limits::default());
    let bytes = bytes(&server);
    let ids: Vec<ConnectionId> = (0..MANY).map(|_| server.accept()).collect();
    ids.iter().for_each(|id| server.forget(*id));
    let region = Region::new(ALLOCATOR);
    let more: Vec<ConnectionId> = (0..MANY)
        .map(|_| {
            let id = server.accept();
            server.input(id, SessionInput::Received(&bytes));
            server.take_output(id);
            id
        })
        .collect();
    let each = held(&region) / MANY;
    println!("{name}: {each} bytes each");
    assert!(each <= HANDSHAKE_MAX, "{name}: {each}");
    assert_serves(&mut server);
    // Bytes that drip in do not move the deadline.
    let deadline = Limits::default().handshake_timeout;
    assert!(deadline <= Duration::from_secs(10));
    server.pass(deadline - Duration::from_millis(1));
    assert!(more.iter().all(|id| server.closed(*id).is_none()));
    server.pass(Duration::from_millis(1));
    for id in ids.into_iter().chain(more) {
        assert_eq!(server.closed(id), Some(CloseReason::Handshake));
        server.take_output(id);
        server.forget(id);
    }
    assert!(held(&region) < MANY, "{} bytes are left", held(&region));
    assert_serves(&mut server);
}

#[test]
fn handshakes_that_never_begin() {
    slow_handshakes("silent", |_| Vec::new());
}

#[test]
fn handshakes_that_stop_in_the_first_message() {
    slow_handshakes("half a hello", |server| {
        let hello = client_hello(server);
        hello[..hello.len() / 2].to_vec()
    });
}

#[test]
fn handshakes_that_stop_after_the_first_flight() {
    slow_handshakes("a hello", client_hello);
}

#[test]
fn handshakes_that_stop_in_the_largest_record() {
    // The first record of a hello as long as a record may be, but for its last byte.
    slow_handshakes("a large record", |_| {
        let mut bytes = vec![22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
        bytes.resize(5 + BLOCK - 1, 7);
        bytes
    });
}

#[test]
fn parts_of_blocks_are_not_held_for_ever() {
    const CONNECTIONS: usize = 200;
    let _turn = alone();
    let mut server = server(Limits::default());
    let region = Region::new(ALLOCATOR);
    let mut ids = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut peer = server.connect(ClientOptions::default());
        let block: Vec<u8> = peer.blocks(&[vec![7; 100]]).concat();
        let (most, last) = block.split_at(block.len() - 1);
        // A block but for its last byte: TLS has a part of a record.
        server.input(peer.id, SessionInput::Received(most));
        assert_eq!(last.len(), 1);
        ids.push(peer.id);
    }
    let each = held(&region) / CONNECTIONS;
    println!("a part of a block: {each} bytes each");
    assert!(each <= PART_MAX, "{each}");
    let patience = Limits::default().stalled_input;
    server.pass(patience - Duration::from_millis(1));
    assert!(ids.iter().all(|id| server.closed(*id).is_none()));
    server.pass(Duration::from_millis(1));
    assert!(ids.iter().all(|id| server.closed(*id) == Some(CloseReason::Unfinished)));
    assert_serves(&mut server);
}

/// Time counts from the beginning of a block, and not while the server has something of the peer to do.
#[test]
fn who_finishes_a_block_in_time_is_served() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut peer = server.connect(ClientOptions::default());
    let patience = Limits::default().stalled_input;
    for _ in 0..5 {
        let item =
            peer.transmission(None, &smp_core::wire::EntityId::empty(), &smp_core::wire::Command::Ping);
        let block: Vec<u8> = peer.blocks(&[item]).concat();
        let (first, rest) = block.split_at(BLOCK / 2);
        server.pass(patience);
        server.input(peer.id, SessionInput::Received(first));
        server.pass(patience - Duration::from_millis(1));
        server.input(peer.id, SessionInput::Received(rest));
        peer.exchange(&mut server);
        assert_eq!(peer.take().len(), 1);
    }
    server.pass(10 * patience);
    assert_eq!(server.closed(peer.id), None);
}
