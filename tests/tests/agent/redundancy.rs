//! A server stops for good, and what is said goes through another one.

use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::AgentLimits;
use smp_core::agent::store::QueueStage;
use smp_runtime::agent::new_connection_id;

use crate::world::{Person, USER, at, connect, impatient, server};

#[test]
fn a_connection_outlives_a_server() {
    let mut servers = [server(), server()];
    let third = server();
    let moment = Duration::from_millis(50);
    let limits = AgentLimits {
        receive_queues: 2,
        fail_over: moment * 4,
        retry_max: moment,
        failure_memory: moment,
        ..impatient()
    };
    let known = servers.iter().map(|server| at(server.address())).collect();
    let mut alice = Person::with(known, limits.clone());
    let mut bob = Person::with(vec![at(third.address())], limits);

    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    let queues = || bob.describe(at_bob).send;
    assert_eq!(queues().len(), 2);
    while queues()[1].stage != QueueStage::Active {
        std::thread::sleep(moment);
    }
    let first = queues()[0].server.port();
    let gone = servers.iter_mut().find(|server| Some(server.address().socket.port()) == first);
    gone.expect("one of them").pause();

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
    let moment = Duration::from_millis(50);
    let limits =
        AgentLimits { fail_over: moment * 4, retry_max: moment, failure_memory: moment, ..impatient() };
    let known = servers.iter().map(|server| at(server.address())).collect();
    let mut alice = Person::with(known, limits.clone());
    let mut bob = Person::with(vec![at(third.address())], limits);

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

    let queues = || bob.describe(at_bob).send;
    assert_eq!(queues().len(), 2);
    while queues()[1].stage != QueueStage::Active {
        std::thread::sleep(moment);
    }
    let first = queues()[0].server.port();
    let gone = servers.iter_mut().find(|server| Some(server.address().socket.port()) == first);
    gone.expect("one of them").pause();
    bob.send(at_bob, "hello");
    alice.hears("hello");
}
