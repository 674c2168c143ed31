//! Which connections share a session with a server, and which share a circuit of a SOCKS proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use smp_core::agent::SessionMode;
use smp_runtime::{Socks, SocksMode};
use smp_tests::passage::pass;
use smp_tests::server::TestServer;

use crate::world::{Kind, Person, connect, server, talk};

/// A SOCKS proxy that knows who connected to which port.
struct Proxy {
    port: u16,
    /// User names, by port.
    users: Arc<Mutex<BTreeMap<u16, Vec<Vec<u8>>>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let users = Arc::new(Mutex::new(BTreeMap::new()));
        let told = Arc::clone(&users);
        thread::spawn(move || {
            for client in listener.incoming() {
                let told = Arc::clone(&told);
                let client = client.expect("a client");
                thread::spawn(move || serve(client, &told));
            }
        });
        Self { port, users }
    }

    fn socks(&self) -> Socks {
        Socks::new("127.0.0.1", self.port, SocksMode::Always)
    }

    /// The users who connected to a server until now, one for each session.
    fn take(&self, server: &TestServer) -> Vec<Vec<u8>> {
        let mut users = self.users.lock().expect("nobody panics");
        users.remove(&server.address().socket.port()).unwrap_or_default()
    }
}

/// RFC 1928 with a user name and a password (RFC 1929): whoever comes is let through.
fn serve(mut client: TcpStream, told: &Mutex<BTreeMap<u16, Vec<Vec<u8>>>>) {
    assert_eq!(read(&mut client, 3), [5, 1, 2]);
    client.write_all(&[5, 2]).expect("it listens");
    assert_eq!(read(&mut client, 1), [1]);
    let [user, _password] = [(); 2].map(|()| {
        let length = read(&mut client, 1)[0];
        read(&mut client, length.into())
    });
    client.write_all(&[1, 0]).expect("it listens");
    let request = read(&mut client, 10);
    assert_eq!(request[..8], [5, 1, 0, 1, 127, 0, 0, 1]);
    let port = u16::from_be_bytes([request[8], request[9]]);
    told.lock().expect("nobody panics").entry(port).or_default().push(user);
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a server");
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).expect("it listens");
    pass(&client, &server);
}

fn read(from: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).expect("it speaks SOCKS");
    bytes
}

/// How many sessions and how many users at two servers, all together.
fn shared(proxy: &Proxy, servers: &[TestServer; 2]) -> ([usize; 2], BTreeSet<Vec<u8>>) {
    let users = servers.each_ref().map(|server| proxy.take(server));
    (users.each_ref().map(Vec::len), users.into_iter().flatten().collect())
}

/// Alice has two connections with Bob: her queues are on the first server, she sends to the second one.
fn play(mode: SessionMode) -> [([usize; 2], BTreeSet<Vec<u8>>); 2] {
    let (proxy, servers) = (Proxy::start(), [server(), server()]);
    let kind = Kind { sessions: mode, socks: Some(proxy.socks()), ..Kind::current() };
    let mut alice = Person::of(&kind, &[&servers[0]]);
    let mut bob = Person::new(&[&servers[1]]);
    let connections = [(); 2].map(|()| connect(&mut alice, &mut bob));
    for (at_alice, at_bob) in connections {
        talk(&mut alice, at_alice, &mut bob, at_bob);
    }
    let before = shared(&proxy, &servers);
    alice.restart();
    for (at_alice, at_bob) in connections {
        talk(&mut alice, at_alice, &mut bob, at_bob);
    }
    [before, shared(&proxy, &servers)]
}

#[test]
fn one_circuit_for_a_user() {
    let [(sessions, users), (again, later)] = play(SessionMode::User);
    assert_eq!((sessions, again, users.len()), ([1, 1], [1, 1], 1));
    assert_eq!(users, later, "the same for ever");
}

#[test]
fn one_circuit_for_a_user_until_a_restart() {
    let [(sessions, users), (again, later)] = play(SessionMode::Session);
    assert_eq!((sessions, again, users.len(), later.len()), ([1, 1], [1, 1], 1, 1));
    assert!(users.is_disjoint(&later));
}

#[test]
fn one_circuit_for_a_server() {
    let [(sessions, users), (again, later)] = play(SessionMode::Server);
    assert_eq!((sessions, again, users.len(), later.len()), ([1, 1], [1, 1], 2, 2));
    assert!(users.is_disjoint(&later));
}

#[test]
fn one_session_for_a_connection() {
    let [(sessions, users), (again, later)] = play(SessionMode::Entity);
    assert_eq!((sessions, again, users.len(), later.len()), ([2, 2], [2, 2], 4, 4));
    assert!(users.is_disjoint(&later));
}
