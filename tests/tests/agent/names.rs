//! Names are resolved by servers that ask a web server.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use smp_core::agent::{ServerRoles, UserServer};
use smp_core::wire::NameRecord;
use smp_core::wire::agent::AgentError;
use smp_core::wire::error::{ErrorType, NameError};
use smp_tests::server::{Settings, Store, TestServer};

use crate::world::{Kind, PATIENCE, Person, USER, at, impatient, server};

/// A server with a resolver, which knows all names but one. The resolver ends with the process.
fn resolving() -> TestServer {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.expect("a connection"));
        }
    });
    let resolver = Some((format!("http://{address}"), PATIENCE));
    TestServer::start(Store::Memory, &Settings { resolver, ..Settings::default() })
}

fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
    let asked = lines.next().expect("a request").expect("a request");
    // A socket that is closed with bytes that were not read would reset the connection.
    while lines.next().is_some_and(|line| !line.expect("a header").is_empty()) {}
    let name = asked.split(['/', ' ']).nth(3).expect("a name");
    let (status, body) = match name {
        "missing.simplex" => ("404 Not Found", String::new()),
        name => (
            "200 OK",
            format!(
                r#"{{"name":"{name}","nickname":"","website":"","location":"","simplexContact":["a"],"simplexChannel":[],"owner":"0x0","resolver":"0x1"}}"#
            ),
        ),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all([head, body].concat().as_bytes()).expect("somebody who listens");
}

fn ask(person: &Person, name: &str) -> Result<NameRecord, AgentError> {
    person.wait(person.agent().resolve_name(USER, name.parse().expect("a name")))
}

fn with(server: &TestServer, roles: ServerRoles) -> UserServer {
    UserServer { roles, ..at(server.address()) }
}

/// From the server itself, and through a proxy, which hides who asks.
#[test]
fn names_are_resolved_directly_and_through_a_proxy() {
    let (resolver, other) = (resolving(), server());
    for is_proxied in [false, true] {
        let kind = if is_proxied { Kind::current().proxied() } else { Kind::current() };
        let names = ServerRoles { proxy: false, ..ServerRoles::ALL };
        let servers =
            vec![with(&resolver, names), with(&other, ServerRoles { names: false, ..ServerRoles::ALL })];
        let alice = Person::made(servers, impatient(), kind);
        let record = ask(&alice, "alice.simplex").expect("it is known");
        assert_eq!((record.name.as_str(), record.simplex_contact), ("alice.simplex", vec!["a".to_owned()]));
        match ask(&alice, "missing.simplex") {
            Err(AgentError::Smp { error, .. }) => assert_eq!(error, ErrorType::Name(NameError::NotFound)),
            other => panic!("another answer: {:?}", other.err()),
        }
        let expected = if is_proxied { 1 } else { 0 };
        assert_eq!(other.connections(), expected, "proxied: {is_proxied}");
        drop(alice);
        resolver.wait_for_connections(expected);
        other.wait_for_no_connections();
    }
}

#[test]
fn a_server_without_a_resolver_is_followed_by_another() {
    let (first, second) = (server(), resolving());
    let mut alice = Person::new(&[&first, &second]);
    (0..5).for_each(|_| assert!(ask(&alice, "alice.simplex").is_ok()));
    second.stop();
    assert!(matches!(ask(&alice, "alice.simplex"), Err(AgentError::Smp { .. } | AgentError::Broker { .. })));
    alice.servers.iter_mut().for_each(|server| server.roles.names = false);
    alice.restart();
    assert_eq!(ask(&alice, "alice.simplex"), Err(AgentError::NoNameServers));
}
