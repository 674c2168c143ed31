//! Addresses whose links are known before they are made, directly and through a proxy; owners of links.

use smp_core::agent::{LinkIdentity, PreparedLink};
use smp_core::crypto::Ed25519PrivateKey;
use smp_core::crypto::link::name_owner;
use smp_core::wire::agent::AgentError;
use smp_core::wire::link::{ContactDetails, LinkOwner};
use smp_core::wire::{Ed25519PublicKey, EntityId};
use smp_runtime::agent::new_connection_id;

use crate::world::{Kind, Person, USER, connect_at, server, talk_with_pq};

fn details(owners: Vec<LinkOwner>) -> ContactDetails {
    ContactDetails { direct: true, owners, relays: Vec::new() }
}

/// Everything restarts between the link and its address; then others connect by it.
#[test]
fn the_links_of_an_address_are_known_before_it_is_made() {
    for kind in [Kind::current(), Kind::current().proxied()] {
        let (mut first, second) = (server(), server());
        let (mut alice, mut bob) = (Person::of(&kind, &[&first]), Person::of(&kind, &[&second]));
        first.pause();
        let root = Ed25519PrivateKey::from_bytes(&[1; 32]);
        let entity_id = Some(EntityId::new(&[2; 32]).expect("32 bytes"));
        let identity = LinkIdentity { root: Some(root), entity_id: entity_id.clone(), client_data: None };
        let prepared = alice.wait(alice.agent().prepare_link(USER, identity)).expect("no network is needed");
        let kept = prepared.encode();
        let create = |alice: &Person, prepared: &PreparedLink| {
            let owners = details(Vec::new());
            alice.wait(alice.agent().create_for_link(prepared.clone(), owners, "data".into()))
        };
        assert!(matches!(create(&alice, &prepared), Err(AgentError::Broker { .. })));
        alice.restart();
        first.resume();
        let read = PreparedLink::decode(&kept).expect("what was kept");
        let made = create(&alice, &read).expect("its server is there");
        assert!(made.connection == prepared.connection() && made.request == *prepared.request());
        alice.restart();
        let again = create(&alice, &read).expect("it is there");
        assert!(again.connection == made.connection && again.link == made.link);

        let nobody = new_connection_id().expect("randomness");
        let opened = bob.wait(bob.agent().open_link(nobody, USER, prepared.link())).expect("it leads there");
        assert!(opened.user.data == "data" && opened.fixed.request == *prepared.request());
        assert!(opened.fixed.entity_id == entity_id);
        let at = (made.connection, prepared.request());
        let (at_alice, at_bob) = connect_at(at, (&mut alice, true), (&mut bob, true));
        assert_eq!(talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob)), [true; 2]);
    }
}

/// An owner whom the root key named signs what the link shows.
#[test]
fn an_owner_signs_what_a_link_shows() {
    let first = server();
    let kind = Kind::current();
    let (mut alice, bob) = (Person::of(&kind, &[&first]), Person::of(&kind, &[&first]));
    let made = alice.agent().create_address_with_link(USER, details(Vec::new()), "by the root".into());
    let made = alice.wait(made).expect("a link");
    let (address, link) = (made.connection, made.link.expect("it knows links"));
    alice.restart();
    let root = alice.wait(alice.agent().link_root(address)).expect("it is there").expect("it has a link");
    let owner = Ed25519PrivateKey::from_bytes(&[3; 32]);
    let named = name_owner(b"an id", Ed25519PublicKey(owner.public()), &root).expect("a short id");
    let set = alice.agent().set_link_signed(
        address,
        details(vec![named.clone()]),
        "by an owner".into(),
        owner.clone(),
    );
    assert!(alice.wait(set) == Ok(link.clone()));
    let nobody = new_connection_id().expect("randomness");
    let opened = bob.wait(bob.agent().open_link(nobody, USER, link.clone())).expect("it is signed");
    assert_eq!(opened.user.data, "by an owner");
    assert!(opened.user.contact.is_some_and(|contact| contact.owners == [named]));
    let unnamed = alice.agent().set_link_signed(address, details(Vec::new()), "unnamed".into(), owner);
    assert!(alice.wait(unnamed).is_err());
    let opened = bob.wait(bob.agent().open_link(nobody, USER, link)).expect("as before");
    assert_eq!(opened.user.data, "by an owner");
}
