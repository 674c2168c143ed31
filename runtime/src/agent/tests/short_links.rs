//! Short links.

use bytes::Bytes;
use smp_core::agent::{ConnectionId, Event, UserId, UserServer};
use smp_core::crypto::link::OpenedLink;
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError, LinkDataError, PeerError};
use smp_core::wire::error::ErrorType;
use smp_core::wire::link::{ContactDetails, LinkKey, LinkKind, ShortLink};

use super::super::Linked;
use super::*;

const LARGE: AgentError = AgentError::Command(AgentCommandError::Large);
const PROHIBITED: AgentError = AgentError::Command(AgentCommandError::Prohibited);
const DUPLICATE: AgentError = AgentError::Connection(ConnectionError::Duplicate);
const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);

fn named(name: u8) -> ConnectionId {
    ConnectionId::new([name; 12])
}

fn details() -> ContactDetails {
    ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() }
}

fn invite(world: &World, person: &Person, data: &'static str, pq: bool) -> Linked {
    world.runtime.block_on(person.agent().invite_with_link(world::USER, data.into(), pq)).expect("a link")
}

fn address(world: &World, person: &Person, data: &'static str) -> Linked {
    let made = person.agent().create_address_with_link(world::USER, details(), data.into());
    world.runtime.block_on(made).expect("a link")
}

fn open(
    world: &World,
    person: &Person,
    connection: ConnectionId,
    link: &ShortLink,
) -> Result<OpenedLink, AgentError> {
    world.runtime.block_on(person.agent().open_link(connection, world::USER, link.clone()))
}

fn set(
    world: &World,
    person: &Person,
    at: ConnectionId,
    details: Option<ContactDetails>,
    data: Bytes,
) -> Result<ShortLink, AgentError> {
    world.runtime.block_on(person.agent().set_link(at, details, data))
}

fn is_refused<T>(result: &Result<T, AgentError>) -> bool {
    matches!(result, Err(AgentError::Smp { error: ErrorType::Auth, .. }))
}

/// An invitation is opened, opened again, also after a restart, and used; nobody else can.
#[test]
fn whoever_opens_the_link_of_an_invitation_first_can_use_it() {
    for pq in [false, true] {
        let world = World::new(2);
        let (mut alice, mut bob, eve) = (world.person(1, 0), world.person(2, 1), world.person(3, 1));
        let Linked { connection: at_alice, request, link } = invite(&world, &alice, "a profile", pq);
        let link: ShortLink = link.expect("the server knows links").to_string().parse().expect("a link");
        assert!(matches!(link.kind, LinkKind::Invitation(_)));
        let has_kem = |request: &smp_core::wire::ConnectionRequest| {
            request.ratchet.as_ref().is_some_and(|keys| keys.kem.is_some())
        };
        assert!(!has_kem(&request), "the full link stays short");
        let opened = open(&world, &bob, named(1), &link).expect("it leads somewhere");
        assert_eq!(opened.user.data, "a profile");
        assert_eq!(has_kem(&opened.fixed.request), pq);
        assert!(is_refused(&open(&world, &eve, named(1), &link)), "somebody else asked first");
        bob.stop();
        bob.start();
        let again = open(&world, &bob, named(1), &link).expect("it is asked again with the same key");
        assert!(again == opened);
        assert_eq!(
            open(&world, &bob, named(1), &ShortLink { key: LinkKey::new([1; 32]), ..link }).err(),
            Some(DUPLICATE)
        );
        let other = alice.invite(false).1;
        assert_eq!(bob.join_as(named(1), other, "bob", pq), Err(DUPLICATE), "it is for another invitation");
        assert_eq!(bob.rejoin(named(1)), Err(PROHIBITED));
        bob.stop();
        bob.start();
        assert_eq!(bob.join_as(named(1), opened.fixed.request, "bob", pq), Ok(true));
        let (confirmation, info) = alice.confirmation();
        assert_eq!(info, "bob");
        bob.stop();
        bob.start();
        alice.allow(at_alice, confirmation, "alice");
        assert_eq!(bob.info(), "alice");
        bob.connected();
        alice.connected();
        bob.send(named(1), "hello").unwrap();
        let message = alice.message();
        assert_eq!((message.sender_id, &*message.body), (2, &b"hello"[..]));
        assert_eq!(set(&world, &alice, at_alice, None, "late".into()).err(), Some(PROHIBITED));
    }
}

/// The full link works too, as long as nobody has opened the short one.
#[test]
fn the_full_link_of_an_invitation_can_be_used_instead() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let made = invite(&world, &alice, "a profile", true);
    assert_eq!(bob.join(made.request, "bob", true).1, Ok(true));
    let (confirmation, _) = alice.confirmation();
    alice.allow(made.connection, confirmation, "alice");
    bob.info();
    bob.connected();
}

/// Everybody reads the data of an address, and asks there; its owner changes it, takes it away and puts it there again, under the
/// same link, also after restarts.
#[test]
fn the_owner_of_an_address_changes_what_its_link_shows() {
    let mut world = World::new(2);
    let (mut alice, bob) = (world.person(1, 0), world.person(2, 1));
    let Linked { connection, request, link } = address(&world, &alice, "first");
    let link: ShortLink = link.expect("the server knows links").to_string().parse().expect("a link");
    for _ in 0..2 {
        let opened = open(&world, &bob, named(1), &link).expect("it leads somewhere");
        assert!(opened.user.data == "first" && opened.fixed.request == request);
    }
    assert_eq!(bob.rejoin(named(1)), Err(NOT_FOUND), "nothing is kept of it");
    assert!(set(&world, &alice, connection, Some(details()), "second".into()) == Ok(link.clone()));
    alice.stop();
    world.crash(0);
    world.start(0, ServerConfig::default());
    alice.start();
    world.pass(HOUR);
    assert_eq!(open(&world, &bob, named(1), &link).expect("it is there").user.data, "second");
    assert!(set(&world, &alice, connection, Some(details()), "third".into()) == Ok(link.clone()));
    world.runtime.block_on(alice.agent().delete_link(connection)).unwrap();
    assert!(is_refused(&open(&world, &bob, named(1), &link)));
    assert!(set(&world, &alice, connection, Some(details()), "fourth".into()) == Ok(link.clone()));
    let opened = open(&world, &bob, named(1), &link).expect("it is there again");
    assert_eq!(opened.user.data, "fourth");
    assert_eq!(bob.join_as(named(1), opened.fixed.request, "bob", true), Ok(false));
    match alice.event() {
        Event::Request(asked) => assert_eq!(asked.info, "bob"),
        event => panic!("no request: {}", tell(&event)),
    }
}

#[test]
fn an_address_gets_a_link_later() {
    let world = World::new(2);
    let (mut alice, bob) = (world.person(1, 0), world.person(2, 1));
    let (at, request) = world.runtime.block_on(alice.agent().create_address(world::USER)).unwrap();
    assert_eq!(world.runtime.block_on(alice.agent().delete_link(at)), Err(PROHIBITED));
    let link = set(&world, &alice, at, Some(details()), "now".into()).expect("a link");
    alice.stop();
    alice.start();
    let opened = open(&world, &bob, named(1), &link).expect("it leads somewhere");
    assert!(opened.user.data == "now" && opened.fixed.request == request);
    assert!(set(&world, &alice, at, Some(details()), "later".into()) == Ok(link));
}

/// What cannot be done is refused before anything is kept.
#[test]
fn what_is_no_link() {
    let world = World::new(1);
    let (alice, bob) = (world.person(1, 0), world.person(2, 0));
    let (user, too_long) = (world::USER, Bytes::from(vec![0; 14_000]));
    let made = world.runtime.block_on(alice.agent().invite_with_link(user, too_long.clone(), false));
    assert_eq!(made.err(), Some(LARGE));
    let (at, _) = alice.invite(false);
    assert_eq!(set(&world, &alice, at, None, "data".into()).err(), Some(PROHIBITED), "it has no link");
    let made = invite(&world, &alice, "data", false);
    assert_eq!(set(&world, &alice, made.connection, Some(details()), "data".into()).err(), Some(PROHIBITED));
    assert_eq!(set(&world, &alice, made.connection, None, too_long).err(), Some(LARGE));
    let link = made.link.expect("a link");
    assert!(set(&world, &alice, made.connection, None, "changed".into()) == Ok(link.clone()));
    // The key is wrong: who opens it is told, and the right link works nevertheless.
    let wrong = ShortLink { key: LinkKey::new([1; 32]), ..link.clone() };
    let bad = Some(AgentError::Peer(PeerError::Link(LinkDataError::Unreadable)));
    assert_eq!(open(&world, &bob, named(1), &wrong).err(), bad);
    assert_eq!(open(&world, &bob, named(1), &wrong).err(), bad, "and told again");
    let nowhere = ShortLink { kind: LinkKind::Invitation([5; 24].into()), ..link };
    assert!(is_refused(&open(&world, &bob, named(2), &nowhere)));
}

/// A server that cannot be reached: the call is repeated, with the key that was kept, also after a restart.
#[test]
fn a_link_that_could_not_be_opened_is_opened_later() {
    let mut world = World::new(2);
    let (alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let link = invite(&world, &alice, "data", false).link.expect("a link");
    world.crash(0);
    assert!(matches!(open(&world, &bob, named(1), &link), Err(AgentError::Broker { .. })));
    bob.stop();
    bob.start();
    world.start(0, ServerConfig::default());
    assert!(bob.others_within(HOUR).is_empty(), "nothing is tried without a call");
    let opened = open(&world, &bob, named(1), &link).expect("it leads somewhere");
    assert_eq!(bob.join_as(named(1), opened.fixed.request, "bob", false), Ok(true));
}

/// Users are those that the agent keeps, not those of its settings: also for the servers of a link that is not whole.
#[test]
fn links_are_of_users() {
    let world = World::new(2);
    let (alice, bob) = (world.person(1, 0), world.person(2, 0));
    let (nobody, no_user) = (UserId(99), Some(AgentError::NoUser));
    let made = alice.agent().invite_with_link(nobody, "data".into(), false);
    assert_eq!(world.runtime.block_on(made).err(), no_user);
    let link = address(&world, &alice, "data").link.expect("a link");
    let shortened = ShortLink { server: link.server.shortened(&[world.address(0)]), ..link };
    let opened = bob.agent().open_link(named(1), nobody, shortened.clone());
    assert_eq!(world.runtime.block_on(opened).err(), no_user);
    assert_eq!(open(&world, &bob, named(1), &shortened).expect("a server of the user's").user.data, "data");
    // Another server with that host has no such link.
    let servers = vec![UserServer::new(world.address(1))];
    let elsewhere = world.runtime.block_on(bob.agent().create_user(servers)).unwrap();
    let opened = world.runtime.block_on(bob.agent().open_link(named(1), elsewhere, shortened.clone()));
    assert!(is_refused(&opened));
    let servers = vec![UserServer::new(world.address(0))];
    let there = world.runtime.block_on(bob.agent().create_user(servers)).unwrap();
    let opened = world.runtime.block_on(bob.agent().open_link(named(1), there, shortened));
    assert_eq!(opened.expect("a server of this user's").user.data, "data");
    let made = bob.agent().invite_with_link(there, "data".into(), true);
    assert!(world.runtime.block_on(made).expect("a link").link.is_some());
}
