//! What is sent to a server of somebody else goes through one's own.

use smp_core::agent::Event;
use smp_runtime::agent::new_connection_id;
use smp_tests::server::{Settings, Store, TestServer};

use crate::world::{Kind, Person, connect, impatient, server, talk, user_server};

#[test]
fn messages_go_through_a_proxy() {
    let (first, second) = (server(), server());
    let mut alice = Person::new(&[&first]);
    let mut bob = Person::of(&Kind::current().proxied(), &[&second]);
    let (_, at_bob) = connect(&mut alice, &mut bob);
    (0..100).for_each(|number| bob.send(at_bob, number.to_string()));
    (0..100).for_each(|number| alice.hears(&number.to_string()));
    let proxy = bob.servers[0].address.clone();
    for _ in 0..100 {
        match bob.next() {
            Event::Sent(_, _, through) => assert!(through.as_ref() == Some(&proxy)),
            event => panic!("another event: {event:?}"),
        }
    }
    assert_eq!(first.connections(), 2, "of alice, and of the proxy");
}

/// Whoever wants nothing to go directly is told when it cannot go otherwise; what waits goes when the proxy is there again.
#[test]
fn nothing_goes_past_a_proxy_that_refuses() {
    let (first, mut second) = (server(), server());
    let mut alice = Person::new(&[&first]);
    let mut bob = Person::of(&Kind::current().proxied(), &[&second]);
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    let (_, request) = alice.invite();
    second.pause();
    second.resume_with(&Settings { proxy: false, ..Settings::default() });
    bob.try_again();
    let id = new_connection_id().expect("randomness");
    assert!(bob.try_join(id, &request).is_err());
    bob.send(at_bob, "kept");
    second.pause();
    second.resume_with(&Settings::default());
    bob.restart();
    alice.hears("kept");
    talk(&mut alice, at_alice, &mut bob, at_bob);
}

/// A proxy may ask for a password of whoever forwards through it.
#[test]
fn proxies_may_ask_for_a_password() {
    let settings = Settings { password: Some("letmein"), ..Settings::default() };
    let (open, closed) = (server(), TestServer::start(Store::Embedded, &settings));
    let mut alice = Person::new(&[&open]);
    let person = |password| {
        let servers = vec![user_server(closed.address(), password)];
        Person::made(servers, impatient(), Kind::current().proxied())
    };
    for password in [None, Some("wrong")] {
        let (_, request) = alice.invite();
        let stranger = person(password);
        let id = new_connection_id().expect("randomness");
        let error = stranger.try_join(id, &request).expect_err("it is not let in");
        assert!(error.to_string().contains("AUTH"), "{error}");
    }
    let mut bob = person(Some("letmein"));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    talk(&mut alice, at_alice, &mut bob, at_bob);
    assert_eq!(open.connections(), 2, "of alice, and of the proxy");
}
