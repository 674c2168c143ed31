//! Connections begin: by invitation, with each side there or not, after errors, and with restarts of everything at every step.

use smp_core::wire::agent::{AgentError, ConnectionError};
use smp_core::wire::error::ErrorType;
use smp_core::wire::{Version, VersionRange};
use smp_runtime::agent::new_connection_id;
use smp_tests::server::{Settings, Store, TestServer};

use crate::world::{Kind, Person, USER, at, connect, impatient, range, server, talk, user_server};

/// The first message of either side has number 2: the confirmation was 1.
#[test]
fn two_agents_connect_over_two_servers() {
    let (first, second) = (server(), server());
    let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    alice.send(at_alice, "one");
    let message = bob.message();
    assert_eq!(message.sender_id, 2);
    bob.acknowledge(&message);
    bob.send(at_bob, "two");
    assert_eq!(alice.message().sender_id, 2);
}

/// A queue that its sender cannot secure: KEY, and HELLO each way, which take a number of their own.
#[test]
fn old_servers_connect_slowly() {
    let old = Settings {
        versions: VersionRange::new(Version(6), Version(8)).expect("a range"),
        ..Settings::default()
    };
    for settings in [[&old, &Settings::default()], [&Settings::default(), &old], [&old, &old]] {
        let [first, second] = settings.map(|settings| TestServer::start(Store::Embedded, settings));
        let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
        let (at_alice, at_bob) = connect(&mut alice, &mut bob);
        talk(&mut alice, at_alice, &mut bob, at_bob);
    }
}

#[test]
fn one_agent_has_two_connections() {
    let server = server();
    let mut alice = Person::new(&[&server]);
    let (mut bob, mut carol) = (Person::new(&[&server]), Person::new(&[&server]));
    let (to_bob, at_bob) = connect(&mut alice, &mut bob);
    let (to_carol, at_carol) = connect(&mut alice, &mut carol);
    talk(&mut alice, to_bob, &mut bob, at_bob);
    talk(&mut alice, to_carol, &mut carol, at_carol);
    talk(&mut alice, to_bob, &mut bob, at_bob);
}

/// A server at the place of another one, but with another identity, is another server.
#[test]
fn an_address_with_another_identity_is_another_server() {
    let server = server();
    let mut wrong = *server.address();
    wrong.fingerprint = [7; 32];
    let mallory = Person::with(vec![at(&wrong)], impatient());
    let refused = mallory.wait(mallory.agent().invite(USER, true));
    assert!(matches!(refused, Err(AgentError::Broker { .. })), "{:?}", refused.err());
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    talk(&mut alice, at_alice, &mut bob, at_bob);
}

/// Neither need be there when the other acts.
#[test]
fn both_sides_come_and_go() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, request) = alice.invite();
    alice.sleep();
    let at_bob = bob.join(&request);
    bob.sleep();
    alice.wake();
    let confirmation = alice.confirmation();
    alice.allow(at_alice, confirmation);
    alice.connected();
    alice.send(at_alice, "hello");
    alice.sent();
    alice.sleep();
    bob.wake();
    bob.info();
    bob.connected();
    bob.hears("hello");
    bob.send(at_bob, "hello too");
    bob.sent();
    bob.sleep();
    alice.wake();
    alice.hears("hello too");
}

/// Everybody, and every server, is started again after each step.
#[test]
fn everything_restarts_at_every_step() {
    let (mut first, mut second) = (server(), server());
    let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
    let mut restart = |alice: &mut Person, bob: &mut Person| {
        for server in [&mut first, &mut second] {
            server.pause();
            server.resume();
        }
        alice.restart();
        bob.restart();
    };
    let (at_alice, request) = alice.invite();
    restart(&mut alice, &mut bob);
    let at_bob = bob.join(&request);
    let confirmation = alice.confirmation();
    restart(&mut alice, &mut bob);
    alice.allow(at_alice, confirmation);
    restart(&mut alice, &mut bob);
    for message in 0..3 {
        let (from_alice, from_bob) = (format!("alice {message}"), format!("bob {message}"));
        if message == 0 {
            wait_until_connected(&mut alice);
            wait_until_connected(&mut bob);
        }
        alice.send(at_alice, from_alice.clone());
        bob.send(at_bob, from_bob.clone());
        restart(&mut alice, &mut bob);
        alice.hears(&from_bob);
        bob.hears(&from_alice);
        restart(&mut alice, &mut bob);
    }
}

/// A restart may have come between the store and the app, which then is not told: what counts is that it can send.
fn wait_until_connected(person: &mut Person) {
    person.wait_for_up();
}

/// The call fails while the server is away, and succeeds when it is there again.
#[test]
fn an_invitation_is_made_when_its_server_is_there() {
    let mut server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    server.pause();
    let refused = alice.wait(alice.agent().invite(USER, true));
    assert!(matches!(refused, Err(AgentError::Broker { .. })), "{:?}", refused.err());
    server.resume();
    alice.try_again();
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    talk(&mut alice, at_alice, &mut bob, at_bob);
}

/// Whoever uses an invitation goes on where he failed: at the server of the invitation, then at his own.
#[test]
fn a_join_goes_on_where_it_failed() {
    for kind in [Kind::current(), Kind::current().over_smp_8()] {
        join_where_it_failed(&kind);
    }
}

fn join_where_it_failed(kind: &Kind) {
    let (mut first, mut second) = (server(), server());
    let (mut alice, mut bob) = (Person::of(kind, &[&first]), Person::of(kind, &[&second]));
    let (at_alice, request) = alice.invite();
    let at_bob = new_connection_id().expect("randomness");
    first.pause();
    second.pause();
    assert!(matches!(bob.try_join(at_bob, &request), Err(AgentError::Broker { .. })));
    first.resume();
    bob.try_again();
    assert!(matches!(bob.wait(bob.agent().rejoin(at_bob)), Err(AgentError::Broker { .. })));
    bob.restart();
    assert!(matches!(bob.wait(bob.agent().rejoin(at_bob)), Err(AgentError::Broker { .. })));
    second.resume();
    bob.try_again();
    bob.wait(bob.agent().rejoin(at_bob)).expect("both servers are there");
    let confirmation = alice.confirmation();
    alice.allow(at_alice, confirmation);
    bob.info();
    bob.connected();
    alice.connected();
    talk(&mut alice, at_alice, &mut bob, at_bob);
}

/// What was allowed is carried out when the servers are there again, also by an agent that was started again.
#[test]
fn who_was_allowed_connects_after_restarts() {
    let (mut first, mut second) = (server(), server());
    let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
    let (at_alice, request) = alice.invite();
    let at_bob = bob.join(&request);
    let confirmation = alice.confirmation();
    second.pause();
    first.pause();
    alice.allow(at_alice, confirmation);
    alice.restart();
    first.resume();
    second.resume();
    bob.info();
    bob.connected();
    alice.connected();
    talk(&mut alice, at_alice, &mut bob, at_bob);
}

#[test]
fn an_invitation_is_for_one() {
    let server = server();
    let (mut alice, bob, carol) = (Person::new(&[&server]), Person::new(&[&server]), Person::new(&[&server]));
    let (_, request) = alice.invite();
    bob.join(&request);
    alice.confirmation();
    let refused = carol.try_join(new_connection_id().expect("randomness"), &request);
    assert_eq!(refused, Err(AgentError::Connection(ConnectionError::NotAvailable)));
}

/// A server may ask for a password of whoever makes queues: who makes an invitation and who uses it alike.
#[test]
fn servers_may_ask_for_a_password() {
    let settings = Settings { password: Some("letmein"), ..Settings::default() };
    let closed = TestServer::start(Store::Embedded, &settings);
    let open = server();
    for smp in [range(6, 6), range(6, 7), VersionRange::SUPPORTED] {
        let kind = Kind { smp, ..Kind::current() };
        let person =
            |password| Person::made(vec![user_server(closed.address(), password)], impatient(), kind.clone());
        for password in [None, Some("wrong")] {
            let stranger = person(password);
            let refused = stranger.wait(stranger.agent().invite(USER, true)).map(|_| ());
            assert!(is_auth(&refused), "{refused:?}");
            let (_, request) = Person::of(&kind, &[&open]).invite();
            let refused = stranger.try_join(new_connection_id().expect("randomness"), &request);
            assert!(is_auth(&refused), "{refused:?}");
        }
        let (mut alice, mut bob) = (person(Some("letmein")), person(Some("letmein")));
        let (at_alice, at_bob) = connect(&mut alice, &mut bob);
        talk(&mut alice, at_alice, &mut bob, at_bob);
        // A password is no fault where none is asked for.
        let servers = vec![user_server(open.address(), Some("anything"))];
        Person::made(servers, impatient(), kind).invite();
    }
}

fn is_auth(result: &Result<(), AgentError>) -> bool {
    matches!(result, Err(AgentError::Smp { error: ErrorType::Auth, .. }))
}
