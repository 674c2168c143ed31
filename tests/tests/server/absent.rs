//! Relays that cannot be reached, or not yet, and clients that do not wait for them.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use smp_core::wire::{EntityId, Host, ServerAddress, Version};
use smp_tests::passage::pass;
use smp_tests::peer::{Address, Auth, Peer, Queue, Relay, bytes, wait_until};
use smp_tests::server::{Settings, Store, TestServer};

use super::{NEWEST, scenarios};

scenarios![relays_without_a_host_that_can_be_used, who_leaves_does_not_take_the_relay_from_others];

const HOST: &str = "ERR PROXY BROKER HOST";

fn relays_without_a_host_that_can_be_used(store: Store) {
    let proxy = TestServer::start(store, &Settings::default());
    let mut bob = Peer::connect(proxy.address(), NEWEST);
    let onion = |letter: &str| format!("{}.onion", letter.repeat(56)).parse::<Host>().expect("a host");
    for hosts in [vec![onion("a")], vec![onion("a"), onion("b")]] {
        let relay = ServerAddress::new(hosts, Some(5223), bytes()).expect("an address");
        let request = Relay::request(bob.version, relay, None);
        // There is no SOCKS proxy; the second time it is remembered.
        for _ in 0..2 {
            bob.send(core::slice::from_ref(&request));
            assert_eq!(bob.answer(&request), HOST);
        }
    }
    // Without any, and with one that is none.
    let none = EntityId::empty();
    assert_eq!(bob.ask(Auth::None, &none, b"PRXY \x00\x045223\x20".as_slice()), "ERR CMD SYNTAX");
    let mut command = b"PRXY \x01\x03a b\x045223\x20".to_vec();
    command.extend([[7; 32].as_slice(), b"0"].concat());
    assert_eq!(bob.ask(Auth::None, &none, command), "ERR CMD SYNTAX");
    bob.assert_silent();
    drop(bob);
    proxy.stop();
}

/// A way to a server that lets nobody through until it is opened. There is one passage.
fn gate(server: &Address) -> (Address, Sender<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let here = Address { socket: listener.local_addr().expect("an address"), ..*server };
    let (open, opened) = channel();
    let there = server.socket;
    thread::spawn(move || let_through(&listener, &opened, there));
    (here, open)
}

fn let_through(listener: &TcpListener, opened: &Receiver<()>, there: std::net::SocketAddr) {
    let (client, _) = listener.accept().expect("a client");
    opened.recv().expect("somebody who opens");
    let server = TcpStream::connect(there).expect("a server listens");
    pass(&client, &server);
}

fn who_leaves_does_not_take_the_relay_from_others(store: Store) {
    let [proxy, destination] = [(); 2].map(|()| TestServer::start(store, &Settings::default()));
    let (relay, open) = gate(destination.address());
    let mut alice = Peer::connect(destination.address(), NEWEST);
    let queue = Queue::new(&mut alice);

    let request = || Relay::request(NEWEST.version, relay.to_server_address(), None);
    let [mut leaves, mut waits] = [(); 2].map(|()| Peer::connect(proxy.address(), NEWEST));
    leaves.send(&[request(), request()]);
    leaves.assert_silent();
    drop(leaves);
    wait_until("the client is gone", || proxy.connections() == 1);
    let session = request();
    waits.send(core::slice::from_ref(&session));
    waits.assert_silent();
    open.send(()).expect("the gate is there");
    let session = Relay::from_answer(&relay, waits.answer(&session)).expect("a session");
    assert_eq!(session.ask(&mut waits, Version(17), None, &queue.sender, b"SEND F hello"), "OK");
    assert_eq!(queue.receive_last(&mut alice).text(), "hello");

    // Who leaves while a command is on its way loses the answer and nothing else.
    let mut leaves = Peer::connect(proxy.address(), NEWEST);
    let shared = Relay::new(&mut leaves, &relay);
    assert!(shared.session == session.session);
    leaves.send(&[shared.seal(Version(17), None, &queue.sender, b"SEND F farewell").request]);
    drop(leaves);
    assert_eq!(queue.receive_last(&mut alice).text(), "farewell");
    assert_eq!(session.ask(&mut waits, Version(17), None, &queue.sender, b"SEND F hello"), "OK");
    assert_eq!(queue.receive_last(&mut alice).text(), "hello");
    alice.assert_silent();
    waits.assert_silent();
    drop((alice, waits));
    proxy.stop();
    destination.stop();
}
