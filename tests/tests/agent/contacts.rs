//! Contact addresses.

use smp_core::agent::Event;
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::AgentError;
use smp_runtime::agent::new_connection_id;

use crate::world::{Person, USER, connect_at, server, talk};

/// An address is copied as text, two people ask while its owner is away, one is accepted after a restart, and one rejected, of whom
/// nothing is left.
#[test]
fn people_ask_at_an_address_while_its_owner_is_away() {
    let (first, second) = (server(), server());
    let mut alice = Person::new(&[&first]);
    let (mut bob, eve) = (Person::new(&[&second]), Person::new(&[&second]));
    let (address, request) = alice.address();
    let request: ConnectionRequest = request.to_string().parse().expect("a link");
    alice.sleep();
    let (at_bob, _) = (bob.join(&request), eve.join(&request));
    alice.wake();
    let (from_bob, from_eve) = (alice.request(), alice.request());
    let waiting = |alice: &Person| alice.wait(alice.agent().requests(address)).expect("an address");
    assert!(waiting(&alice) == [from_bob.clone(), from_eve.clone()]);
    alice.restart();
    assert!(waiting(&alice) == [from_bob.clone(), from_eve.clone()]);
    alice.wait(alice.agent().reject(address, from_eve.invitation)).expect("it waits");
    let at_alice = new_connection_id().expect("randomness");
    let accept = |alice: &Person, invitation| {
        alice.wait(alice.agent().accept(at_alice, USER, invitation, "alice".into(), true))
    };
    assert!(accept(&alice, from_eve.invitation).is_err(), "it is forgotten");
    assert!(accept(&alice, from_bob.invitation).expect("it waits").can_send);
    assert!(waiting(&alice).is_empty());
    // Who accepts can send before whoever asked has let him in.
    alice.send(at_alice, "hello");
    let confirmation = bob.confirmation_of("alice");
    bob.allow(at_bob, confirmation);
    let mut heard = false;
    let mut connected = false;
    while !(heard && connected) {
        match bob.next() {
            Event::Message(message) => heard = message.body == "hello",
            Event::Connected(_) => connected = true,
            event => panic!("another event: {event:?}"),
        }
    }
}

/// Whoever asks, and whoever accepts, goes on where he failed, also after restarts of everything.
#[test]
fn requests_and_answers_go_on_where_they_failed() {
    for restarts in [false, true] {
        let (mut first, mut second) = (server(), server());
        let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
        let (address, request) = alice.address();
        let at_bob = new_connection_id().expect("randomness");
        let again = |person: &mut Person| if restarts { person.restart() } else { person.try_again() };
        second.pause();
        assert!(matches!(bob.try_join(at_bob, &request), Err(AgentError::Broker { .. })));
        second.resume();
        first.pause();
        again(&mut bob);
        assert!(matches!(bob.wait(bob.agent().rejoin(at_bob)), Err(AgentError::Broker { .. })));
        first.resume();
        again(&mut bob);
        bob.wait(bob.agent().rejoin(at_bob)).expect("both servers are there");
        let asked = alice.request();
        assert!(asked.connection == address && asked.info == "joiner");
        let at_alice = new_connection_id().expect("randomness");
        let accept = |alice: &Person| {
            alice.wait(alice.agent().accept(at_alice, USER, asked.invitation, "maker".into(), true))
        };
        for server in [&mut first, &mut second] {
            server.pause();
            again(&mut alice);
            assert!(matches!(accept(&alice), Err(AgentError::Broker { .. })));
            server.resume();
        }
        again(&mut alice);
        accept(&alice).expect("both servers are there");
        let confirmation = bob.confirmation_of("maker");
        again(&mut bob);
        if restarts {
            assert!(bob.confirmation_of("maker") == confirmation, "it is told again");
        }
        bob.allow(at_bob, confirmation);
        alice.info();
        alice.connected();
        bob.connected();
        talk(&mut alice, at_alice, &mut bob, at_bob);
    }
}

/// Whoever asks need not be there when he is accepted, nor the owner when the answer is allowed.
#[test]
fn an_address_is_used_by_people_who_come_and_go() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (address, request) = alice.address();
    let at_bob = bob.join(&request);
    bob.sleep();
    let asked = alice.request();
    let at_alice = new_connection_id().expect("randomness");
    let accepted = alice.agent().accept(at_alice, USER, asked.invitation, "maker".into(), true);
    alice.wait(accepted).expect("it waits");
    alice.sleep();
    bob.wake();
    let confirmation = bob.confirmation_of("maker");
    bob.allow(at_bob, confirmation);
    bob.connected();
    bob.sleep();
    alice.wake();
    alice.info();
    alice.connected();
    bob.wake();
    talk(&mut alice, at_alice, &mut bob, at_bob);
    // The address is there for the next one.
    let mut carol = Person::new(&[&server]);
    connect_at((address, &request), (&mut alice, true), (&mut carol, true));
}
