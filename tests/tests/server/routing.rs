//! Private routing over real sockets: a client, a proxy and a relay.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use smp_core::transport::identity::Algorithm;
use smp_core::wire::{CorrelationId, EntityId, QueueMode, Version, VersionRange};
use smp_tests::peer::{
    Address, Auth, Creation, Form, Kind, Peer, Queue, Relay, Request, bytes, key, wait_until,
};
use smp_tests::server::{Settings, Store, TestServer};

use super::{NEWEST, scenarios};

scenarios![
    messages_pass_through_a_proxy,
    the_largest_message_passes_and_one_byte_more_does_not,
    every_kind_of_key_authorises_through_a_proxy,
    a_server_is_its_own_relay,
    only_commands_of_senders_are_forwarded,
    what_is_not_one_command_is_refused_at_its_layer,
    the_password_is_asked_for_the_session,
    a_proxy_that_is_off_refuses_sessions,
    sessions_end_with_their_relay,
    relays_that_cannot_be_used_have_their_errors,
    a_command_is_not_carried_out_twice,
    other_commands_of_a_block_do_not_wait_for_a_relay,
];

/// A proxy and a relay.
fn servers(store: Store) -> [TestServer; 2] {
    [(); 2].map(|()| TestServer::start(store, &Settings::default()))
}

fn at(version: u16) -> Version {
    Version(version)
}

/// Forms of a proxy's clients: private routing is there from version 8.
const FORMS: &[Form] = &[
    Form::new(8),
    Form::new(10).without_key(),
    Form::new(11),
    Form::new(17),
    Form::new(18),
    Form::new(18).without_key(),
    Form::new(20),
];

fn messages_pass_through_a_proxy(store: Store) {
    let [proxy, destination] = servers(store);
    let mut alice = Peer::connect(destination.address(), NEWEST);
    for form in FORMS {
        let mut bob = Peer::connect(proxy.address(), *form);
        let relay = Relay::new(&mut bob, destination.address());
        assert_eq!(relay.versions, VersionRange::new(at(8), at(20)).expect("a range"));
        for version in [8, 9, 11, 15, 16, 18, 20].map(Version) {
            let queue = Queue::new(&mut alice);
            let (sender, other) = (key(Kind::Ed25519), key(Kind::Ed25519));
            let mut ask = |key, command: &[u8]| relay.ask(&mut bob, version, key, &queue.sender, command);
            assert_eq!(ask(None, b"SEND F hello"), "OK", "{form:?}, {version}");
            assert_eq!(queue.receive_last(&mut alice).text(), "hello");
            assert_eq!(ask(Some(&sender), &Queue::with_key("SKEY", &sender)), "OK");
            assert_eq!(ask(None, b"SEND F hello"), "ERR AUTH");
            assert_eq!(ask(Some(&other), b"SEND F hello"), "ERR AUTH");
            assert_eq!(ask(Some(&sender), b"SEND T hello"), "OK");
            assert!(queue.receive_last(&mut alice).notification);
        }
        bob.assert_silent();
    }
    // Alice's connection and one of the proxy for all clients: the destination saw none of them.
    assert_eq!(destination.connections(), 2);
    drop(alice);
    proxy.stop();
    destination.stop();
}

fn the_largest_message_passes_and_one_byte_more_does_not(store: Store) {
    let [proxy, destination] = servers(store);
    let mut alice = Peer::connect(destination.address(), NEWEST);
    for form in [Form::new(8), Form::new(11), Form::new(18)] {
        let mut bob = Peer::connect(proxy.address(), form);
        let relay = Relay::new(&mut bob, destination.address());
        for (version, max) in [(8, 16064), (10, 16064), (11, 16048), (18, 16048), (20, 16048)] {
            let queue = Queue::new(&mut alice);
            let sender = key(Kind::Ed25519);
            assert_eq!(queue.secure(&mut alice, &sender), "OK");
            let mut send = |length: usize| {
                let command = [&b"SEND T "[..], &vec![b'x'; length]].concat();
                relay.ask(&mut bob, at(version), Some(&sender), &queue.sender, &command)
            };
            assert_eq!(send(max), "OK", "{form:?}, {version}");
            assert_eq!(send(max + 1), "ERR LARGE_MSG", "{form:?}, {version}");
            assert_eq!(queue.receive_last(&mut alice).text().len(), max);
        }
    }
    alice.assert_silent();
    drop(alice);
    proxy.stop();
    destination.stop();
}

fn every_kind_of_key_authorises_through_a_proxy(store: Store) {
    let [proxy, destination] = servers(store);
    let mut alice = Peer::connect(destination.address(), NEWEST);
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    let relay = Relay::new(&mut bob, destination.address());
    for kind in [Kind::Ed25519, Kind::Ed448, Kind::X25519] {
        for version in [8, 15, 18].map(Version) {
            let (queue, sender) = (Queue::new(&mut alice), key(kind));
            assert_eq!(queue.secure(&mut alice, &sender), "OK");
            let largest = [&b"SEND T "[..], &[b'x'; 16048]].concat();
            for command in [b"SEND T hello".as_slice(), &largest] {
                let answer = relay.ask(&mut bob, version, Some(&sender), &queue.sender, command);
                assert_eq!(answer, "OK", "{kind:?}, {version}");
                let _ = queue.receive_last(&mut alice);
            }
            let wrong = relay.ask(&mut bob, version, Some(&key(kind)), &queue.sender, b"SEND T hello");
            assert_eq!(wrong, "ERR AUTH");
        }
    }
    drop((alice, bob));
    proxy.stop();
    destination.stop();
}

fn a_server_is_its_own_relay(store: Store) {
    for algorithm in [Algorithm::Ed25519, Algorithm::Ed448] {
        let server = TestServer::start(store, &Settings { algorithm, ..Settings::default() });
        let mut alice = Peer::connect(server.address(), NEWEST);
        let queue = Queue::new(&mut alice);
        let relay = Relay::new(&mut alice, server.address());
        let mut bob = Peer::connect(server.address(), NEWEST);
        let shared = Relay::new(&mut bob, server.address());
        assert!(shared.session == relay.session && shared.session != bob.session_id);
        assert_eq!(relay.ask(&mut bob, at(17), None, &queue.sender, b"SEND F hello"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        drop((alice, bob));
        server.stop();
    }
}

fn only_commands_of_senders_are_forwarded(store: Store) {
    let [proxy, destination] = servers(store);
    let mut alice = Peer::connect(destination.address(), NEWEST);
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    let relay = Relay::new(&mut bob, destination.address());
    let queue =
        Queue::create(&mut alice, &Creation { mode: Some(QueueMode::Contact), ..Creation::default() });
    let none = EntityId::empty();
    let prohibited = "ERR CMD PROHIBITED";
    for command in ["SUB", "GET", "OFF", "DEL", "QUE", "LDEL", "NDEL"] {
        let answer = relay.ask(&mut bob, at(17), Some(&queue.key), &queue.recipient, command.as_bytes());
        assert_eq!(answer, prohibited, "{command}");
    }
    assert_eq!(relay.ask(&mut bob, at(17), None, &none, b"PING"), prohibited);
    assert_eq!(relay.ask(&mut bob, at(17), None, &none, b"RFWD encrypted"), prohibited);
    for (command, expected) in [("SEND hello", "ERR CMD SYNTAX"), ("HELLO", "ERR CMD UNKNOWN")] {
        assert_eq!(relay.ask(&mut bob, at(17), None, &queue.sender, command.as_bytes()), expected);
    }
    assert_eq!(relay.ask(&mut bob, at(17), None, &none, b"SEND F hello"), "ERR CMD NO_ENTITY");
    // What the destination answers to its own clients.
    assert_eq!(relay.ask(&mut bob, at(20), None, &none, b"RSLV example.simplex"), "ERR NAME NO_RESOLVER");
    assert_eq!(relay.ask(&mut bob, at(17), None, &EntityId::from(bytes()), b"LGET"), "ERR AUTH");
    // The queue is still there.
    assert_eq!(queue.send(&mut alice, None, "hello"), "OK");
    drop((alice, bob));
    proxy.stop();
    destination.stop();
}

fn what_is_not_one_command_is_refused_at_its_layer(store: Store) {
    let [proxy, destination] = servers(store);
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    let relay = Relay::new(&mut bob, destination.address());
    let correlation = || CorrelationId::from(bytes::<24>());
    let queue = EntityId::from(bytes());
    let item = |id| relay.item(at(17), None, id, &queue, b"SEND F hello");
    let ask = |peer: &mut Peer, request: &Request<'_>| {
        peer.send(core::slice::from_ref(request));
        peer.answer(request)
    };

    let id = correlation();
    let two = relay.seal_items(at(17), &id, &[item(&id), item(&id)]);
    assert_eq!(ask(&mut bob, &two.request), "ERR PROXY PROTOCOL BLOCK");
    let id = correlation();
    let none = relay.seal_items(at(17), &id, &[]);
    assert_eq!(ask(&mut bob, &none.request), "ERR PROXY PROTOCOL BLOCK");
    let id = correlation();
    let malformed = relay.seal_items(at(17), &id, &[b"\xff".to_vec()]);
    let answer = ask(&mut bob, &malformed.request);
    assert_eq!(malformed.open(&answer), "ERR BLOCK");

    let mut changed = relay.seal(at(17), None, &queue, b"SEND F hello");
    *changed.request.command.last_mut().expect("bytes") ^= 1;
    assert_eq!(ask(&mut bob, &changed.request), "ERR PROXY PROTOCOL CRYPTO");
    let other_nonce = relay.seal(at(17), None, &queue, b"SEND F hello").request.correlated(&[1; 24]);
    assert_eq!(ask(&mut bob, &other_nonce), "ERR PROXY PROTOCOL CRYPTO");
    let unknown = relay.seal(at(21), None, &queue, b"SEND F hello");
    let refused = "ERR PROXY PROTOCOL PROXY BROKER TRANSPORT VERSION";
    assert_eq!(ask(&mut bob, &unknown.request), refused);

    // To a relay that got no key from its client there is no layer.
    let mut keyless = Peer::connect(destination.address(), NEWEST.without_key());
    let answer = keyless.ask(Auth::None, &EntityId::empty(), "RFWD encrypted");
    assert_eq!(answer, "ERR PROXY BROKER TRANSPORT NO_AUTH");
    let mut direct = Peer::connect(destination.address(), NEWEST.as_proxy());
    assert_eq!(direct.ask(Auth::None, &EntityId::empty(), "RFWD encrypted"), "ERR CRYPTO");
    drop((bob, keyless, direct));
    proxy.stop();
    destination.stop();
}

fn the_password_is_asked_for_the_session(store: Store) {
    let proxy = TestServer::start(store, &Settings { password: Some("secret"), ..Settings::default() });
    let destination = TestServer::start(store, &Settings::default());
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    for password in [None, Some("secre"), Some("secret2")] {
        let refused = Relay::try_new(&mut bob, destination.address(), password).err().expect("a refusal");
        assert_eq!(refused, "ERR PROXY BASIC_AUTH", "{password:?}");
    }
    let relay = Relay::try_new(&mut bob, destination.address(), Some("secret"));
    assert!(relay.is_ok());
    drop(bob);
    proxy.stop();
    destination.stop();
}

fn a_proxy_that_is_off_refuses_sessions(store: Store) {
    let proxy = TestServer::start(store, &Settings { proxy: false, ..Settings::default() });
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    let refused = Relay::try_new(&mut bob, proxy.address(), None).err().expect("a refusal");
    assert_eq!(refused, "ERR PROXY BASIC_AUTH");
    drop(bob);
    proxy.stop();
}

fn sessions_end_with_their_relay(store: Store) {
    let [proxy, mut destination] = servers(store);
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    let relay = Relay::new(&mut bob, destination.address());
    let forwarded = |relay: &Relay| relay.seal(at(17), None, &EntityId::from(bytes()), b"SEND F hello");
    let mut unknown = forwarded(&relay).request;
    unknown.entity_id = EntityId::from(bytes());
    bob.send(core::slice::from_ref(&unknown));
    assert_eq!(bob.answer(&unknown), "ERR PROXY NO_SESSION");

    destination.restart(&Settings::default());
    wait_until("the proxy has noticed", || {
        let request = forwarded(&relay).request;
        bob.send(core::slice::from_ref(&request));
        bob.answer(&request) == "ERR PROXY NO_SESSION"
    });
    // On another port now.
    let again = Relay::new(&mut bob, destination.address());
    assert!(again.session != relay.session);
    let queue = EntityId::from(bytes());
    assert_eq!(again.ask(&mut bob, at(17), None, &queue, b"SEND F hello"), "ERR AUTH");
    drop(bob);
    proxy.stop();
    destination.stop();
}

/// A server that accepts one connection, says something, and waits for its end.
fn impostor(says: &'static [u8]) -> Address {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let socket = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(says).expect("an open connection");
        let mut rest = [0; 1024];
        while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    });
    Address { socket, fingerprint: [1; 32] }
}

fn relays_that_cannot_be_used_have_their_errors(store: Store) {
    let proxy = TestServer::start(store, &Settings::default());
    let old = VersionRange::new(at(6), at(7)).expect("a range");
    let old = TestServer::start(store, &Settings { versions: old, ..Settings::default() });
    let other = Address { fingerprint: [9; 32], ..*proxy.address() };
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let nobody = Address { socket: closed.local_addr().expect("an address"), fingerprint: [1; 32] };
    drop(closed);
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    for (relay, expected) in [
        (other, "ERR PROXY BROKER NETWORK"),
        (nobody, "ERR PROXY BROKER NETWORK"),
        (impostor(b"HTTP/1.1 200 OK\r\n\r\n"), "ERR PROXY BROKER NETWORK"),
        (*old.address(), "ERR PROXY BROKER TRANSPORT VERSION"),
    ] {
        // The second time it is remembered.
        for _ in 0..2 {
            let refused = Relay::try_new(&mut bob, &relay, None).err().expect("a refusal");
            assert_eq!(refused, expected);
        }
    }
    bob.assert_silent();
    drop(bob);
    old.wait_for_no_connections();
    proxy.stop();
    old.stop();
}

fn a_command_is_not_carried_out_twice(store: Store) {
    let [proxy, destination] = servers(store);
    let mut alice = Peer::connect(destination.address(), NEWEST);
    let queue = Queue::new(&mut alice);
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    let relay = Relay::new(&mut bob, destination.address());
    let forwarded = relay.seal(at(17), None, &queue.sender, b"SEND F hello");
    bob.send(core::slice::from_ref(&forwarded.request));
    let answer = bob.answer(&forwarded.request);
    assert_eq!(forwarded.open(&answer), "OK");
    bob.send(core::slice::from_ref(&forwarded.request));
    assert_eq!(bob.answer(&forwarded.request), "ERR PROXY PROTOCOL CRYPTO");
    let _ = queue.receive_last(&mut alice);
    alice.assert_silent();
    drop((alice, bob));
    proxy.stop();
    destination.stop();
}

fn other_commands_of_a_block_do_not_wait_for_a_relay(store: Store) {
    let proxy = TestServer::start(store, &Settings::default());
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    let silent = impostor(b"");
    let session = Relay::request(NEWEST.version, silent.to_server_address(), None);
    let requests = [session, Request::new(Auth::None, &EntityId::empty(), "PING")];
    bob.send(&requests);
    assert_eq!(bob.answer(&requests[1]), "PONG");
    let queue = Queue::new(&mut bob);
    assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
    drop(bob);
    proxy.wait_for_no_connections();
    proxy.stop();
}
