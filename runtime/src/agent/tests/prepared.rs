//! Addresses that are known before they are made, and their owners.

use bytes::Bytes;
use smp_core::agent::store::ReceiveQueue;
use smp_core::agent::{
    Call, ConnectionId, Event, LinkContent, LinkIdentity, PreparedLink, Reply, UserId, UserServer,
};
use smp_core::client::Request;
use smp_core::crypto::link::{OpenedLink, contact_link, name_owner};
use smp_core::crypto::{Ed25519PrivateKey, Nonce};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError, LinkDataError, PeerError};
use smp_core::wire::command::LinkData;
use smp_core::wire::error::ErrorType;
use smp_core::wire::link::{ContactDetails, LinkOwner, ShortLink, UserLinkData};
use smp_core::wire::{Ed25519PublicKey, EntityId, Password};

use super::super::Linked;
use super::world::USER;
use super::*;
use crate::client::Connector;

const LARGE: AgentError = AgentError::Command(AgentCommandError::Large);
const PROHIBITED: AgentError = AgentError::Command(AgentCommandError::Prohibited);
const DUPLICATE: AgentError = AgentError::Connection(ConnectionError::Duplicate);
const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);
const NOBODY: ConnectionId = ConnectionId::new([9; 12]);

fn key(seed: u8) -> Ed25519PrivateKey {
    Ed25519PrivateKey::from_bytes(&[seed; 32])
}

fn details(owners: Vec<LinkOwner>) -> ContactDetails {
    ContactDetails { direct: true, owners, relays: Vec::new() }
}

fn prepare(person: &Person, identity: LinkIdentity) -> PreparedLink {
    person.runtime().block_on(person.agent().prepare_link(USER, identity)).expect("a server")
}

fn create(person: &Person, prepared: &PreparedLink, data: &'static str) -> Result<Linked, AgentError> {
    let made = person.agent().create_for_link(prepared.clone(), details(Vec::new()), data.into());
    person.runtime().block_on(made)
}

fn open(person: &Person, link: &ShortLink) -> Result<OpenedLink, AgentError> {
    person.runtime().block_on(person.agent().open_link(NOBODY, USER, link.clone()))
}

fn set(
    person: &Person,
    at: ConnectionId,
    owners: &[LinkOwner],
    data: &'static str,
    signer: Option<&Ed25519PrivateKey>,
) -> Result<ShortLink, AgentError> {
    let (details, data) = (details(owners.to_vec()), Bytes::from_static(data.as_bytes()));
    match signer {
        Some(signer) => {
            let set = person.agent().set_link_signed(at, details, data, signer.clone());
            person.runtime().block_on(set)
        }
        None => person.runtime().block_on(person.agent().set_link(at, Some(details), data)),
    }
}

fn is_refused<T>(result: &Result<T, AgentError>) -> bool {
    matches!(result, Err(AgentError::Smp { error: ErrorType::Auth, .. }))
}

/// The links are those of the address that is made later, over restarts, from the bytes that the app kept.
#[test]
fn the_links_of_an_address_are_known_before_it_is_made() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    world.crash(0);
    let entity_id = Some(EntityId::new(&[7; 32]).unwrap());
    let identity =
        LinkIdentity { root: Some(key(5)), entity_id: entity_id.clone(), client_data: Some("app".into()) };
    let prepared = prepare(&alice, identity);
    assert_eq!(prepared.user(), USER);
    assert!(prepared.request().client_data() == Some("app"));
    assert_eq!(alice.agent_store_connections(), 0, "nothing is kept");
    let kept = prepared.encode();
    alice.stop();
    alice.start();
    let read = PreparedLink::decode(&kept).expect("what was kept");
    assert!(read == prepared && read.encode() == kept);
    assert!(matches!(create(&alice, &read, "shown"), Err(AgentError::Broker { .. })), "its server is away");
    assert_eq!(alice.agent_store_connections(), 0);

    world.start(0, ServerConfig::default());
    world.pass(HOUR);
    let link = read.link();
    assert!(is_refused(&open(&bob, &link)), "it leads nowhere yet");
    let made = create(&alice, &read, "shown").expect("its server is there");
    assert_eq!(made.connection, prepared.connection());
    assert!(made.request == *prepared.request() && made.link.as_ref() == Some(&link));
    let status = world.runtime.block_on(alice.agent().status(made.connection)).expect("it is there");
    assert!(status.invitation.as_deref() == Some(prepared.request()), "with the data of the app");
    let opened = open(&bob, &link).expect("it leads somewhere");
    assert!(opened.user.data == "shown" && opened.fixed.request == *prepared.request());
    assert!(opened.fixed.entity_id == entity_id && opened.fixed.root_key.0 == key(5).public());

    alice.stop();
    alice.start();
    let again = create(&alice, &read, "not shown").expect("it is told again");
    assert!(again.connection == made.connection && again.request == made.request && again.link == made.link);
    assert_eq!(world.queues(0), 1);
    assert_eq!(open(&bob, &link).expect("it leads somewhere").user.data, "shown");

    let at_bob = ConnectionId::new([3; 12]);
    assert_eq!(bob.join_as(at_bob, opened.fixed.request, "bob", true), Ok(false));
    let Event::Request(asked) = alice.event() else { panic!("nobody asks") };
    let at_alice = ConnectionId::new([4; 12]);
    let accepted = alice.agent().accept(at_alice, USER, asked.invitation, "alice".into(), true);
    world.runtime.block_on(accepted).expect("he is there");
    let (confirmation, _) = bob.confirmation();
    bob.allow(at_bob, confirmation, "bob");
    bob.connected();
    assert_eq!(alice.info(), "bob");
    alice.connected();
}

/// A prepared link of which nobody can know whether its queue was made: the server takes it once.
#[test]
fn an_address_whose_answer_was_lost_cannot_be_made() {
    let mut world = World::new(1);
    let mut alice = world.person(1, 0);
    let prepared = prepare(&alice, LinkIdentity::default());
    alice.store.fail(1, u32::MAX);
    let making = alice.agent().create_for_link(prepared.clone(), details(Vec::new()), "data".into());
    world.runtime.run();
    assert_eq!(world.queues(0), 1);
    alice.stop();
    drop(making);
    alice.store.fail(0, 0);
    alice.start();
    assert!(is_refused(&create(&alice, &prepared, "data")));
    assert!(is_refused(&create(&alice, &prepared, "data")), "and told again");
    assert_eq!(alice.agent_store_connections(), 0);
    world.crash(0);
    assert!(matches!(create(&alice, &prepared, "data"), Err(AgentError::Broker { .. })));
}

/// Who asks for it twice at once is told so.
#[test]
fn an_address_is_made_once() {
    let world = World::new(1);
    let alice = world.person(1, 0);
    let prepared = prepare(&alice, LinkIdentity::default());
    let make = || alice.agent().create_for_link(prepared.clone(), details(Vec::new()), "data".into());
    let [first, second] = [(); 2].map(|()| make());
    assert_eq!(world.runtime.block_on(second).err(), Some(DUPLICATE));
    assert!(world.runtime.block_on(first).is_ok());
    assert!(world.runtime.block_on(make()).is_ok());
    assert_eq!(world.queues(0), 1);
}

/// As a command that is kept it is made when its server is there, over restarts.
#[test]
fn a_prepared_address_is_made_later() {
    let mut world = World::new(1);
    let mut alice = world.person(1, 0);
    let prepared = prepare(&alice, LinkIdentity::default());
    world.crash(0);
    let content = |data: &'static str, owners| LinkContent {
        contact: Some(Box::new(details(owners))),
        data: data.into(),
    };
    let call = || {
        let (prepared, content) = (Box::new(prepared.clone()), Box::new(content("data", Vec::new())));
        Call::CreateForLink { prepared, content }
    };
    run(&alice, call()).unwrap();
    assert_eq!(run(&alice, call()), Err(DUPLICATE), "it is kept already");
    alice.stop();
    alice.start();
    world.start(0, ServerConfig::default());
    let linked = |alice: &mut Person| match alice.step() {
        Event::Finished { connection, result, .. } => (connection, *result),
        event => panic!("{}", tell(&event)),
    };
    let (connection, result) = linked(&mut alice);
    let expected = Reply::Linked(connection, Box::new(prepared.request().clone()), Box::new(prepared.link()));
    assert!(connection == prepared.connection() && result == Ok(expected));
    let owner = name_owner(b"owner", Ed25519PublicKey(key(6).public()), prepared.root()).unwrap();
    let signed = Box::new(content("signed", vec![owner]));
    run(&alice, Call::SetLinkSigned(connection, signed, Box::new(key(6)))).unwrap();
    assert_eq!(linked(&mut alice).1, Ok(Reply::Link(Box::new(prepared.link()))));
    assert_eq!(open(&alice, &prepared.link()).expect("it leads there").user.data, "signed");
    let prohibited = Call::PrepareLink { user: USER, identity: Box::default() };
    assert_eq!(run(&alice, prohibited), Err(PROHIBITED), "nothing would be told");
}

fn run(person: &Person, call: Call) -> Result<(), AgentError> {
    person.runtime().block_on(person.agent().run_durably("1", call))
}

/// What cannot be prepared or made is refused, and nothing is kept.
#[test]
fn what_cannot_be_prepared_or_made() {
    let world = World::new(2);
    let mut alice = world.person(1, 0);
    let prepare_for = |alice: &Person, user, client_data: Option<String>| {
        let identity = LinkIdentity { client_data, ..LinkIdentity::default() };
        world.runtime.block_on(alice.agent().prepare_link(user, identity)).err()
    };
    assert_eq!(prepare_for(&alice, UserId(99), None), Some(AgentError::NoUser));
    for length in [3_000, 70_000] {
        assert_eq!(prepare_for(&alice, USER, Some("x".repeat(length))), Some(LARGE));
    }
    let prepared = prepare(&alice, LinkIdentity::default());
    let content = Box::new(LinkContent { contact: None, data: "data".into() });
    let call = Call::CreateForLink { prepared: Box::new(prepared.clone()), content };
    assert_eq!(run(&alice, call), Ok(()), "it is kept, and then refused");
    let Event::Finished { result, .. } = alice.event() else { panic!("it is not done") };
    assert_eq!(*result, Err(PROHIBITED), "an invitation");
    assert_eq!(alice.agent_store_connections(), 0);
    let too_long = Bytes::from(vec![0; 14_000]);
    let made = alice.agent().create_for_link(prepared.clone(), details(Vec::new()), too_long);
    assert_eq!(world.runtime.block_on(made).err(), Some(LARGE));
    let stranger = name_owner(b"owner", Ed25519PublicKey(key(6).public()), &key(7)).unwrap();
    let made = alice.agent().create_for_link(prepared.clone(), details(vec![stranger]), "data".into());
    assert_eq!(world.runtime.block_on(made).err(), Some(PROHIBITED));
    assert_eq!((alice.agent_store_connections(), world.queues(0)), (0, 0));
    // A user who was deleted, and a server that is no longer his.
    let other =
        world.runtime.block_on(alice.agent().create_user(vec![UserServer::new(world.address(1))])).unwrap();
    let of_other =
        world.runtime.block_on(alice.agent().prepare_link(other, LinkIdentity::default())).unwrap();
    assert!(of_other.request().queues()[0].address.server == world.address(1));
    world
        .runtime
        .block_on(alice.agent().set_servers(other, vec![UserServer::new(world.address(0))]))
        .unwrap();
    create(&alice, &of_other, "data").expect("the server of the link");
    assert_eq!(world.queues(1), 1);
    let of_other =
        world.runtime.block_on(alice.agent().prepare_link(other, LinkIdentity::default())).unwrap();
    world.runtime.block_on(alice.agent().delete_user(other, false)).unwrap();
    assert_eq!(create(&alice, &of_other, "data").err(), Some(AgentError::NoUser));
    create(&alice, &prepared, "data").expect("it was not made before");
    // The name of another connection, which nobody has by chance.
    let mut bytes = prepare(&alice, LinkIdentity::default()).encode().to_vec();
    bytes[1..13].copy_from_slice(prepared.connection().as_bytes());
    let other = PreparedLink::decode(&bytes).expect("names are not part of a link");
    assert_eq!(create(&alice, &other, "data").err(), Some(DUPLICATE));
    assert_eq!(world.queues(0), 1);
    world.runtime.block_on(alice.agent().delete(prepared.connection(), false)).unwrap();
    world.pass(HOUR);
    assert_eq!(world.queues(0), 0);
}

/// The password is that of the user's servers when the address is made, and not part of what is kept.
#[test]
fn a_server_asks_for_its_password() {
    let password = |word: &[u8]| Some(Password::new(word).unwrap());
    let mut config = ServerConfig::default();
    config.password = password(b"secret");
    let world = World::with(1, &config);
    let alice = world.person(1, 0);
    let prepared = prepare(&alice, LinkIdentity::default());
    assert!(is_refused(&create(&alice, &prepared, "data")));
    let known = UserServer { password: password(b"secret"), ..UserServer::new(world.address(0)) };
    world.runtime.block_on(alice.agent().set_servers(USER, vec![known])).unwrap();
    create(&alice, &prepared, "data").expect("it was refused before");
}

/// Bytes that were changed or cut are no prepared link, and never a panic.
#[test]
fn prepared_links_that_were_changed_are_refused() {
    let world = World::new(1);
    let alice = world.person(1, 0);
    let bytes = prepare(&alice, LinkIdentity::default()).encode();
    for place in 0..bytes.len() {
        assert!(PreparedLink::decode(&bytes[..place]).is_err(), "{place} bytes");
        let mut changed = bytes.to_vec();
        changed[place] ^= 1;
        let is_name = (1..21).contains(&place);
        // The versions of PKCS #8, and the lowest bits of an X25519 key, which do not count.
        let is_spare = [49, 61, 97].contains(&place);
        assert_eq!(PreparedLink::decode(&changed).is_ok(), is_name || is_spare, "byte {place}");
    }
    assert!(PreparedLink::decode(&[&bytes[..], &[0]].concat()).is_err());
}

/// Who has the root key names owners, who name others and sign; readers verify all of it.
#[test]
fn owners_sign_what_a_link_shows() {
    let world = World::new(2);
    let (alice, bob) = (world.person(1, 0), world.person(2, 1));
    let (plain, _) = world.runtime.block_on(alice.agent().create_address(USER)).unwrap();
    let root_of =
        |of| world.runtime.block_on(alice.agent().link_root(of)).map(|root| root.map(|root| root.public()));
    assert_eq!(root_of(plain), Ok(None));
    assert_eq!(root_of(NOBODY), Err(NOT_FOUND));
    let prepared = prepare(&alice, LinkIdentity { root: Some(key(1)), ..LinkIdentity::default() });
    create(&alice, &prepared, "by the root").unwrap();
    let (at, link) = (prepared.connection(), prepared.link());
    assert_eq!(root_of(at), Ok(Some(key(1).public())));

    let name = |id: &str, who: u8, by: u8| {
        name_owner(id.as_bytes(), Ed25519PublicKey(key(who).public()), &key(by)).unwrap()
    };
    let (first, second) = (name("first", 2, 1), name("second", 3, 2));
    let both = [first.clone(), second.clone()];
    for (data, signer) in [("root", None), ("root again", Some(1)), ("first", Some(2)), ("second", Some(3))] {
        let signer = signer.map(key);
        assert!(set(&alice, at, &both, data, signer.as_ref()) == Ok(link.clone()), "{data}");
        let opened = open(&bob, &link).expect("all of it is signed");
        assert_eq!(opened.user.data, data);
        assert!(opened.user.contact.is_some_and(|contact| contact.owners == both));
    }
    let refused = [
        (vec![second.clone(), first.clone()], None),
        (vec![second.clone()], None),
        (vec![first.clone(), first.clone()], None),
        (vec![name("root", 1, 1)], None),
        (vec![name("other", 4, 5)], None),
        (vec![first.clone()], Some(3)),
        (Vec::new(), Some(2)),
    ];
    for (owners, signer) in refused {
        let signer = signer.map(key);
        assert_eq!(set(&alice, at, &owners, "refused", signer.as_ref()).err(), Some(PROHIBITED));
    }
    assert_eq!(open(&bob, &link).expect("as before").user.data, "second");
    // An address without a link gets one with a root key of its own, which an owner of another cannot sign.
    assert_eq!(set(&alice, plain, &[first], "data", Some(&key(2))).err(), Some(PROHIBITED));
    assert_eq!(root_of(plain), Ok(None), "nothing is kept of it");
}

/// Data that a server may have, and nobody with the right to has signed: the reader is told what is wrong with it.
#[test]
fn readers_refuse_what_no_owner_signed() {
    let world = World::new(1);
    let (mut alice, bob) = (world.person(1, 0), world.person(2, 0));
    let prepared = prepare(&alice, LinkIdentity { root: Some(key(1)), ..LinkIdentity::default() });
    create(&alice, &prepared, "data").unwrap();
    let link = prepared.link();
    let versions = open(&bob, &link).unwrap().user.versions;
    let (link_id, secret) = contact_link(&link.key);
    let forge = |owners: Vec<LinkOwner>, contact: bool, signer: u8, cut: usize| {
        let contact = contact.then(|| details(owners));
        let (mut user, mut signed) = (Vec::new(), vec![64]);
        UserLinkData { versions, contact, data: "forged".into() }.encode(&mut user);
        user.truncate(user.len() - cut);
        signed.extend(key(signer).sign(&user));
        signed.extend(user);
        let sealed = secret.box_key().seal_padded(&Nonce::from_bytes([0; 24]), &signed, 13_784).unwrap();
        Bytes::from([&[0; 24][..], &sealed].concat())
    };
    let ReceiveQueue { recipient_id, key: queue_key, link: kept, .. } =
        alice.store.connection(prepared.connection()).receive.remove(0);
    let fixed = kept.expect("a link").fixed;
    alice.stop();
    let (connector, server) = (Connector::new(world.runtime.clone()).seed([6; 32]), world.address(0));
    let connected = async move { connector.connect(&server).await };
    let (client, _events) = world.runtime.block_on(connected).unwrap();
    let name = |id: &str, who: u8, by: u8| {
        name_owner(id.as_bytes(), Ed25519PublicKey(key(who).public()), &key(by)).unwrap()
    };
    let (first, stranger) = (name("first", 2, 1), name("stranger", 7, 7));
    for (user, expected) in [
        (forge(vec![first.clone()], true, 2, 0), None),
        (forge(vec![first.clone()], true, 3, 0), Some(LinkDataError::Signature)),
        (forge(Vec::new(), true, 2, 0), Some(LinkDataError::Signature)),
        (forge(vec![stranger], true, 1, 0), Some(LinkDataError::Owners)),
        (forge(vec![name("a", 3, 2), first.clone()], true, 1, 0), Some(LinkDataError::Owners)),
        (forge(vec![first.clone(), name("b", 2, 1)], true, 1, 0), Some(LinkDataError::Owners)),
        (forge(vec![first.clone(), name("first", 3, 1)], true, 1, 0), Some(LinkDataError::Owners)),
        (forge(vec![name("root", 1, 1)], true, 1, 0), Some(LinkDataError::Owners)),
        (forge(Vec::new(), false, 1, 0), Some(LinkDataError::Mode)),
        (forge(Vec::new(), true, 1, 3), Some(LinkDataError::Unreadable)),
        (Bytes::from(vec![5; 13_824]), Some(LinkDataError::Unreadable)),
    ] {
        let data = LinkData { fixed: fixed.clone(), user };
        let request = Request::set_link(recipient_id.clone(), queue_key.clone(), link_id.clone(), data);
        world.runtime.block_on(client.request(request)).unwrap();
        let told = open(&bob, &link).map(|opened| opened.user.data);
        let expected =
            expected.map_or(Ok("forged".into()), |error| Err(AgentError::Peer(PeerError::Link(error))));
        assert_eq!(told, expected);
    }
}
