//! Short links, read directly and through a proxy.

use smp_core::wire::agent::AgentError;
use smp_core::wire::error::ErrorType;
use smp_core::wire::link::{ContactDetails, ShortLink};
use smp_runtime::agent::new_connection_id;

use crate::world::{Kind, Person, USER, connect_at, server, talk_with_pq};

fn kinds() -> [Kind; 2] {
    [Kind::current(), Kind::current().proxied()]
}

fn details() -> ContactDetails {
    ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() }
}

fn is_auth<T>(result: &Result<T, AgentError>) -> bool {
    matches!(result, Err(AgentError::Smp { error: ErrorType::Auth, .. }))
}

/// Whoever opens the link first can use the invitation, though everything restarts in between; the queue is secured by then.
#[test]
fn an_invitation_is_opened_and_used() {
    for kind in kinds() {
        let (mut first, second) = (server(), server());
        let (mut alice, mut bob) = (Person::of(&kind, &[&first]), Person::of(&kind, &[&second]));
        let eve = Person::of(&kind, &[&second]);
        let made =
            alice.wait(alice.agent().invite_with_link(USER, "a profile".into(), true)).expect("a link");
        let link: ShortLink = made.link.expect("it knows links").to_string().parse().expect("a link");
        first.pause();
        first.resume();
        let [at_bob, at_eve] = [(); 2].map(|()| new_connection_id().expect("randomness"));
        let open = |person: &Person, id| person.wait(person.agent().open_link(id, USER, link.clone()));
        open(&bob, at_bob).expect("it leads somewhere");
        assert!(is_auth(&open(&eve, at_eve)), "somebody was first");
        first.pause();
        first.resume();
        alice.restart();
        bob.restart();
        let opened = open(&bob, at_bob).expect("with the key that was kept");
        assert_eq!(opened.user.data, "a profile");
        let joined = bob.agent().join(at_bob, USER, opened.fixed.request, "joiner".into(), true);
        assert!(bob.wait(joined).expect("it is his").can_send);
        let confirmation = alice.confirmation();
        alice.allow(made.connection, confirmation);
        bob.info();
        bob.connected();
        alice.connected();
        assert_eq!(talk_with_pq((&mut alice, made.connection), (&mut bob, at_bob)), [true; 2]);
    }
}

/// The owner changes what the link shows, over restarts of the server; and others connect by it.
#[test]
fn an_address_is_read_by_its_link() {
    for kind in kinds() {
        let (mut first, second) = (server(), server());
        let (mut alice, mut bob) = (Person::of(&kind, &[&first]), Person::of(&kind, &[&second]));
        let made = alice.agent().create_address_with_link(USER, details(), "first".into());
        let made = alice.wait(made).expect("a link");
        let (address, link) = (made.connection, made.link.expect("it knows links"));
        let nobody = new_connection_id().expect("randomness");
        let open = |bob: &Person| bob.wait(bob.agent().open_link(nobody, USER, link.clone()));
        assert_eq!(open(&bob).expect("it leads somewhere").user.data, "first");
        let changed = alice.wait(alice.agent().set_link(address, Some(details()), "second".into()));
        assert!(changed == Ok(link.clone()));
        first.pause();
        first.resume();
        alice.restart();
        bob.restart();
        let opened = open(&bob).expect("it leads somewhere");
        assert!(opened.user.data == "second" && opened.fixed.request == made.request);
        let at = (address, &opened.fixed.request);
        let (at_alice, at_bob) = connect_at(at, (&mut alice, true), (&mut bob, true));
        assert_eq!(talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob)), [true; 2]);
        alice.wait(alice.agent().delete_link(address)).expect("it is there");
        assert!(is_auth(&open(&bob)));
    }
}

#[test]
fn an_address_gets_a_link_later() {
    for kind in kinds() {
        let (first, second) = (server(), server());
        let (mut alice, mut bob) = (Person::of(&kind, &[&first]), Person::of(&kind, &[&second]));
        let (address, request) = alice.address();
        alice.restart();
        let link =
            alice.wait(alice.agent().set_link(address, Some(details()), "late".into())).expect("a link");
        let again = alice.wait(alice.agent().set_link(address, Some(details()), "later".into()));
        assert!(again == Ok(link.clone()));
        let nobody = new_connection_id().expect("randomness");
        let opened = bob.wait(bob.agent().open_link(nobody, USER, link)).expect("it leads somewhere");
        assert!(opened.user.data == "later" && opened.fixed.request == request);
        let at = (address, &opened.fixed.request);
        connect_at(at, (&mut alice, true), (&mut bob, true));
    }
}
