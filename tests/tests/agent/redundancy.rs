//! A server stops for good, and what is said goes through another one.

use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::AgentLimits;
use smp_core::agent::store::QueueStage;

use crate::world::{Person, at, connect, impatient, server};

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
