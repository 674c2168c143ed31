//! Many messages at once through one proxy.

use std::collections::BTreeMap;
use std::thread;

use smp_core::wire::Version;
use smp_tests::peer::{Form, Peer, Queue, Relay};
use smp_tests::server::{Settings, Store, TestServer};

use super::{NEWEST, scenarios};

scenarios![everything_sent_through_a_proxy_arrives_in_order];

/// Senders, each with a connection and a queue of its own, and the messages of each.
const CROWDS: [(usize, usize); 3] = [(1, 1000), (5, 100), (10, 50)];

fn everything_sent_through_a_proxy_arrives_in_order(store: Store) {
    let settings = Settings { quota: 1000, ..Settings::default() };
    let [proxy, destination] = [(); 2].map(|()| TestServer::start(store, &settings));
    for (senders, messages) in CROWDS {
        thread::scope(|scope| {
            for sender in 0..senders {
                let form = if sender % 2 == 0 { NEWEST } else { Form::new(8) };
                scope.spawn({
                    let (proxy, destination) = (&proxy, &destination);
                    move || send_and_receive(proxy, destination, form, messages)
                });
            }
        });
        // All of them shared one connection.
        destination.wait_for_connections(1);
    }
    proxy.stop();
    destination.stop();
}

/// Sends without waiting for answers, then receives.
fn send_and_receive(proxy: &TestServer, destination: &TestServer, form: Form, messages: usize) {
    let mut alice = Peer::connect(destination.address(), form);
    let queue = Queue::new(&mut alice);
    let mut bob = Peer::connect(proxy.address(), form);
    let relay = Relay::new(&mut bob, destination.address());
    let version = Version(form.version.0.min(17));
    let send = |n: usize| relay.seal(version, None, &queue.sender, format!("SEND F {n}").as_bytes());
    let sent: Vec<_> = (0..messages).map(send).collect();
    for forwarded in &sent {
        bob.send(core::slice::from_ref(&forwarded.request));
    }
    // Answers need not come in the order of the commands.
    let mut unanswered: BTreeMap<_, _> =
        sent.iter().map(|forwarded| (forwarded.request.correlation_id.clone(), forwarded)).collect();
    while !unanswered.is_empty() {
        let answer = bob.receive();
        let forwarded = unanswered.remove(&answer.correlation_id).expect("an answer to one of them");
        assert_eq!(forwarded.open(&answer), "OK");
    }
    let mut message = queue.message(&mut alice);
    for n in 0..messages - 1 {
        assert_eq!(message.text(), n.to_string());
        message = queue.acknowledge_for_next(&mut alice, &message.id);
    }
    assert_eq!(message.text(), (messages - 1).to_string());
    assert_eq!(queue.acknowledge(&mut alice, &message.id), "OK");
    bob.assert_silent();
    alice.assert_silent();
}
