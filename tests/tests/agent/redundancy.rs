//! A server stops for good, and what is said goes through another one.

use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::store::QueueStage;
use smp_core::agent::{AgentLimits, ConnectionId};
use smp_runtime::agent::new_connection_id;
use smp_tests::server::TestServer;

use crate::world::{Person, USER, at, connect, impatient, server};

#[test]
fn a_connection_outlives_a_server() {
    let mut servers = [server(), server()];
    let third = server();
    let limits = AgentLimits { receive_queues: 2, ..quick() };
    let known = servers.iter().map(|server| at(server.address())).collect();
    let mut alice = Person::with(known, limits.clone());
    let mut bob = Person::with(vec![at(third.address())], limits);

    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    pause_first(&mut servers, &bob, at_bob);

    for number in 0..20 {
        bob.send(at_bob, Bytes::from(vec![b'a' + number]));
    }
    for number in 0..20 {
        let letter = [b'a' + number];
        alice.hears(std::str::from_utf8(&letter).expect("a letter"));
    }
    alice.send(at_alice, "all of them");
    bob.hears("all of them");
}

/// The maker says for one invitation that it has two queues, and its short link tells of both.
#[test]
fn a_short_link_outlives_its_server() {
    let mut servers = [server(), server()];
    let third = server();
    let known = servers.iter().map(|server| at(server.address())).collect();
    let mut alice = Person::with(known, quick());
    let mut bob = Person::with(vec![at(third.address())], quick());

    let made = alice.agent().with_queues(2).invite_with_link(USER, "a profile".into(), true);
    let made = alice.wait(made).expect("a link");
    let at_bob = new_connection_id().expect("randomness");
    let link = made.link.expect("it knows links");
    let opened = bob.wait(bob.agent().open_link(at_bob, USER, link)).expect("it leads somewhere");
    let joined = bob.agent().join(at_bob, USER, opened.fixed.request, "joiner".into(), true);
    bob.wait(joined).expect("it is his");
    let confirmation = alice.confirmation();
    alice.allow(made.connection, confirmation);
    bob.info();
    bob.connected();
    alice.connected();

    pause_first(&mut servers, &bob, at_bob);
    bob.send(at_bob, "hello");
    alice.hears("hello");
}

/// Who notices at once that a server is gone.
fn quick() -> AgentLimits {
    AgentLimits { fail_over: MOMENT * 4, retry_max: MOMENT, failure_memory: MOMENT, ..impatient() }
}

/// When somebody is ready for both queues of the other side, the server of the first stops.
fn pause_first(servers: &mut [TestServer], person: &Person, connection: ConnectionId) {
    let queues = || person.describe(connection).send;
    assert_eq!(queues().len(), 2);
    while queues()[1].stage != QueueStage::Active {
        std::thread::sleep(MOMENT);
    }
    let first = queues()[0].server.port();
    let gone = servers.iter_mut().find(|server| Some(server.address().socket.port()) == first);
    gone.expect("one of them").pause();
}

const MOMENT: Duration = Duration::from_millis(50);
