//! Contact addresses.

use std::future::Future;
use std::task::{Context, Waker};

use bytes::Bytes;
use smp_core::SeededEntropy;
use smp_core::agent::{AgentLimits, ConnectionId, ContactRequest, Event, InvitationId};
use smp_core::client::Request;
use smp_core::crypto::{Nonce, X25519PrivateKey};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{
    AgentCommandError, AgentEnvelope, AgentError, ConnectionError, EnvelopeBody, PeerError, version,
};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::link::{ConnectionMode, ConnectionRequest, E2eParameters};
use smp_core::wire::queue_uri::QueueUri;
use smp_core::wire::{ClientMessage, ClientMessageEnvelope, Version, VersionRange, X448PublicKey};

use super::*;
use crate::client::Connector;
use crate::tests::Work;

const DUPLICATE: AgentError = AgentError::Connection(ConnectionError::Duplicate);
const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);
const NOT_AVAILABLE: AgentError = AgentError::Connection(ConnectionError::NotAvailable);
const PROHIBITED: AgentError = AgentError::Command(AgentCommandError::Prohibited);

fn address_of(world: &World, person: &Person) -> (ConnectionId, ConnectionRequest) {
    let (connection, request) =
        world.runtime.block_on(person.agent().create_address(world::USER)).expect("an address");
    assert_eq!(request.mode(), ConnectionMode::Contact);
    (connection, request)
}

/// The request that comes next.
fn request_to(person: &mut Person) -> ContactRequest {
    loop {
        match person.event() {
            Event::Sent(..) => {}
            Event::Request(request) => return *request,
            event => panic!("no request: {}", tell(&event)),
        }
    }
}

fn accept(
    world: &World,
    person: &Person,
    connection: ConnectionId,
    invitation: InvitationId,
) -> Result<bool, AgentError> {
    let accepted = person.agent().accept(connection, world::USER, invitation, "owner".into(), true);
    world.runtime.block_on(accepted).map(|joined| joined.can_send)
}

fn waiting(world: &World, person: &Person, address: ConnectionId) -> Vec<ContactRequest> {
    world.runtime.block_on(person.agent().requests(address)).expect("an address")
}

fn named(name: u8) -> ConnectionId {
    ConnectionId::new([name; 12])
}

/// From what was accepted to messages both ways.
fn finish(owner: &mut Person, at_owner: ConnectionId, asker: &mut Person, at_asker: ConnectionId) {
    let (confirmation, info) = asker.confirmation();
    assert_eq!(info, "owner");
    asker.allow(at_asker, confirmation, "asker");
    assert_eq!(owner.info(), "asker");
    owner.connected();
    asker.connected();
    greet(owner, at_owner, asker, at_asker);
}

fn greet(owner: &mut Person, at_owner: ConnectionId, asker: &mut Person, at_asker: ConnectionId) {
    owner.send(at_owner, "hello").unwrap();
    let message = asker.message();
    assert_eq!((message.sender_id, &*message.body), (2, &b"hello"[..]));
    asker.acknowledge(&message);
    asker.send(at_asker, "hello too").unwrap();
    let message = owner.message();
    assert_eq!((message.sender_id, &*message.body), (2, &b"hello too"[..]));
    owner.acknowledge(&message);
}

#[test]
fn an_address_is_for_many() {
    let world = World::new(2);
    let mut alice = world.person(1, 0);
    let (address, request) = address_of(&world, &alice);
    for (name, pq) in [(2, true), (3, false), (4, true)] {
        let mut bob = world.person(name, 1);
        let (at_bob, joined) = bob.join(request.clone(), "asker", pq);
        assert_eq!(joined, Ok(false));
        let asked = request_to(&mut alice);
        assert!(asked.connection == address && asked.servers == [world.address(1)] && asked.pq);
        assert_eq!(asked.info, "asker");
        assert!(waiting(&world, &alice, address) == std::slice::from_ref(&asked));
        assert_eq!(accept(&world, &alice, named(name), asked.invitation), Ok(true));
        assert!(waiting(&world, &alice, address).is_empty());
        finish(&mut alice, named(name), &mut bob, at_bob);
        // Whoever accepts wants it; both have to.
        alice.send(named(name), "and again").unwrap();
        assert_eq!(bob.message().pq, pq);
    }
}

/// Requests come in any number, are listed by age also after a restart, and are told once.
#[test]
fn requests_wait_until_they_are_dealt_with() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    let (address, request) = address_of(&world, &alice);
    let mut askers: Vec<_> = [("bob", 2), ("carol", 3), ("eve", 4)]
        .map(|(info, name)| {
            let mut asker = world.person(name, 0);
            let (at_asker, joined) = asker.join(request.clone(), info, true);
            assert_eq!(joined, Ok(false));
            world.pass(HOUR);
            (asker, at_asker)
        })
        .into();
    alice.stop();
    alice.start();
    let infos = |requests: &[ContactRequest]| requests.iter().map(|of| of.info.clone()).collect::<Vec<_>>();
    let asked = waiting(&world, &alice, address);
    assert_eq!(infos(&asked), ["bob", "carol", "eve"]);
    assert!(alice.others_within(HOUR).is_empty(), "requests are not told again");
    world.runtime.block_on(alice.agent().tell_again(address)).unwrap();
    let again: Vec<_> = (0..3).map(|_| request_to(&mut alice)).collect();
    assert!(again == asked, "but when the app wants that");
    let reject =
        |at, which: &ContactRequest| world.runtime.block_on(alice.agent().reject(at, which.invitation));
    assert_eq!(reject(address, &asked[2]), Ok(()));
    assert_eq!(reject(address, &asked[2]), Err(NOT_FOUND));
    assert_eq!(accept(&world, &alice, named(9), asked[2].invitation), Err(NOT_FOUND));
    assert_eq!(reject(named(9), &asked[0]), Err(NOT_FOUND));
    assert_eq!(infos(&waiting(&world, &alice, address)), ["bob", "carol"]);
    // A name that is used for something else accepts nobody.
    assert_eq!(accept(&world, &alice, address, asked[0].invitation), Err(DUPLICATE));
    assert_eq!(accept(&world, &alice, named(2), asked[0].invitation), Ok(true));
    let (bob, at_bob) = &mut askers[0];
    finish(&mut alice, named(2), bob, *at_bob);
    assert_eq!(infos(&waiting(&world, &alice, address)), ["carol"]);
    let (eve, at_eve) = &mut askers[2];
    assert!(eve.others_within(HOUR).is_empty(), "who is rejected hears nothing");
    assert_eq!(eve.send(*at_eve, "hello"), Err(PROHIBITED));
}

/// An address is no connection, and a connection no address.
#[test]
fn what_an_address_cannot_do() {
    let world = World::new(1);
    let (alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (address, request) = address_of(&world, &alice);
    assert_eq!(alice.send(address, "hello"), Err(AgentError::Connection(ConnectionError::Simplex)));
    assert_eq!(alice.rejoin(address), Err(PROHIBITED));
    assert_eq!(alice.join_as(address, request.clone(), "alice", true), Err(DUPLICATE));
    let (invitation, _) = alice.invite(false);
    let requests = world.runtime.block_on(alice.agent().requests(invitation));
    assert_eq!(requests.err(), Some(PROHIBITED));
    let old = VersionRange::new(Version(8), Version(9)).unwrap();
    let mut other = request.clone();
    other.versions = old;
    assert_eq!(bob.join(other, "bob", true).1, Err(AgentError::Peer(PeerError::Version)));
    let queue = QueueUri { versions: old, ..request.queues()[0].clone() };
    let other = ConnectionRequest::new(request.versions, vec![queue], None).unwrap();
    assert_eq!(bob.join(other, "bob", true).1, Err(AgentError::Peer(PeerError::Version)));
    // Nothing was kept of what cannot be done.
    assert_eq!(bob.rejoin(named(1)), Err(NOT_FOUND));
}

/// What is said of oneself shares the envelope with the invitation.
#[test]
fn information_that_does_not_fit_is_refused_at_once() {
    let world = World::new(1);
    let (mut alice, bob) = (world.person(1, 0), world.person(2, 0));
    let (_, request) = address_of(&world, &alice);
    let ask = |name, len: usize, pq| {
        let info = Bytes::from(vec![b'i'; len]);
        let joined = bob.agent().join(named(name), world::USER, request.clone(), info, pq);
        world.runtime.block_on(joined).map(|joined| joined.can_send)
    };
    assert_eq!(ask(1, 15_800, false), Err(AgentError::Command(AgentCommandError::Large)));
    assert_eq!(ask(1, 15_000, true), Err(AgentError::Command(AgentCommandError::Large)));
    assert_eq!(bob.rejoin(named(1)), Err(NOT_FOUND), "nothing was kept");
    assert_eq!(ask(1, 15_000, false), Ok(false));
    assert_eq!(ask(2, 12_000, true), Ok(false));
    assert_eq!(request_to(&mut alice).info.len(), 15_000);
    assert_eq!(request_to(&mut alice).info.len(), 12_000);
}

/// Agents of the versions before the post-quantum ratchet and before fast handshakes.
#[test]
fn owners_of_older_versions_are_asked_in_their_words() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, mut request) = address_of(&world, &alice);
    request.versions = VersionRange::new(Version(2), Version(4)).unwrap();
    let (at_bob, joined) = bob.join(request, "asker", true);
    assert_eq!(joined, Ok(false));
    let asked = request_to(&mut alice);
    assert_eq!(accept(&world, &alice, named(2), asked.invitation), Ok(true));
    finish(&mut alice, named(2), &mut bob, at_bob);
}

/// Either server, before anything is done and between; then the call is repeated.
#[test]
fn a_request_that_failed_is_repeated() {
    for down in 0..2 {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (address, request) = address_of(&world, &alice);
        world.crash(down);
        let (at_bob, joined) = bob.join(request, "asker", true);
        assert!(matches!(joined, Err(AgentError::Broker { .. })), "server {down}: {joined:?}");
        assert!(matches!(bob.rejoin(at_bob), Err(AgentError::Broker { .. })));
        // Nothing is tried without a call, neither now nor after a restart.
        world.start(down, ServerConfig::default());
        bob.stop();
        bob.start();
        assert!(alice.others_within(HOUR).is_empty());
        assert_eq!(bob.rejoin(at_bob), Ok(false));
        assert_eq!(bob.rejoin(at_bob), Ok(false), "once more is no fault");
        let asked = request_to(&mut alice);
        assert_eq!(waiting(&world, &alice, address).len(), 1);
        // The same of whoever accepts: from the first attempt on the new connection has the invitation.
        world.crash(1);
        let accepted = accept(&world, &alice, named(2), asked.invitation);
        assert!(matches!(accepted, Err(AgentError::Broker { .. })), "server {down}: {accepted:?}");
        world.start(1, ServerConfig::default());
        alice.stop();
        alice.start();
        assert!(waiting(&world, &alice, address).is_empty());
        assert_eq!(accept(&world, &alice, named(2), asked.invitation), Ok(true));
        assert_eq!(accept(&world, &alice, named(2), asked.invitation), Ok(true), "once more is no fault");
        finish(&mut alice, named(2), &mut bob, at_bob);
    }
}

#[test]
fn an_address_that_is_gone_is_not_available() {
    let mut world = World::new(2);
    let (alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (_, request) = address_of(&world, &alice);
    world.forget(0);
    let (at_bob, joined) = bob.join(request, "asker", true);
    assert_eq!(joined, Err(NOT_AVAILABLE));
    assert_eq!(bob.rejoin(at_bob), Err(NOT_AVAILABLE));
}

/// Either side is interrupted after so many turns of all tasks; calls are repeated as an app would. There is one request, and one
/// connection in the end.
#[test]
fn a_request_that_is_interrupted_anywhere_goes_on() {
    for turns in 0.. {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (address, request) = address_of(&world, &alice);
        let at_bob = named(1);
        let mut asking =
            Box::pin(bob.agent().join(at_bob, world::USER, request.clone(), "asker".into(), true));
        let was_busy = world.turn(turns);
        let asked = asking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        bob.stop();
        bob.start();
        match bob.rejoin(at_bob) {
            Err(error) if asked.is_pending() && error == NOT_FOUND => {
                assert_eq!(bob.join_as(at_bob, request, "asker", true), Ok(false), "after {turns} turns");
            }
            joined => assert_eq!(joined, Ok(false), "after {turns} turns"),
        }
        world.turn(turns);
        alice.stop();
        alice.start();
        alice.others_within(HOUR);
        let [asked] = waiting(&world, &alice, address).try_into().expect("one request");
        drop(alice.agent().accept(named(2), world::USER, asked.invitation, "owner".into(), true));
        world.turn(turns);
        alice.stop();
        alice.start();
        assert_eq!(accept(&world, &alice, named(2), asked.invitation), Ok(true), "after {turns} turns");
        assert!(waiting(&world, &alice, address).is_empty());
        finish(&mut alice, named(2), &mut bob, at_bob);
        if !was_busy {
            assert!(turns > 20, "there was hardly anything to interrupt");
            return;
        }
    }
}

/// The owner answers before the one who asked hears that his request arrived.
#[test]
fn an_answer_that_comes_first_counts() {
    for turns in 0.. {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (_, request) = address_of(&world, &alice);
        let at_bob = named(1);
        let mut asking = Box::pin(bob.agent().join(at_bob, world::USER, request, "asker".into(), true));
        let was_busy = world.turn(turns);
        // The server of the address ends with whatever it has not said.
        world.crash(0);
        world.start(0, ServerConfig::default());
        world.pass(HOUR);
        let asked = alice.others_within(HOUR);
        let failed = match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(joined) => joined.is_err(),
            std::task::Poll::Pending => panic!("after {turns} turns no reply"),
        };
        if let [Event::Request(asked)] = asked.as_slice() {
            assert_eq!(accept(&world, &alice, named(2), asked.invitation), Ok(true));
            let (confirmation, _) = bob.confirmation();
            // What he does next does not wait for the request to be repeated.
            bob.allow(at_bob, confirmation, "asker");
            assert_eq!(alice.info(), "asker");
            alice.connected();
            bob.connected();
            greet(&mut alice, named(2), &mut bob, at_bob);
            assert!(bob.rejoin(at_bob).is_ok(), "after {turns} turns");
        } else {
            assert!(asked.is_empty() && failed, "after {turns} turns");
            assert_eq!(bob.rejoin(at_bob), Ok(false), "after {turns} turns");
            request_to(&mut alice);
        }
        if !was_busy {
            assert!(turns > 10, "there was hardly anything to interrupt");
            return;
        }
    }
}

#[test]
fn requests_beyond_the_bound_are_dropped_and_told() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    alice.limits = AgentLimits { requests: 2, ..AgentLimits::default() };
    alice.stop();
    alice.start();
    let (address, request) = address_of(&world, &alice);
    let ask = |name| world.person(name, 0).join(request.clone(), "asker", false).1.unwrap();
    ask(2);
    ask(3);
    let first = request_to(&mut alice);
    request_to(&mut alice);
    ask(4);
    assert!(matches!(alice.event(), Event::Error(Some(at), AgentError::Internal(_)) if at == address));
    assert_eq!(waiting(&world, &alice, address).len(), 2);
    world.runtime.block_on(alice.agent().reject(address, first.invitation)).unwrap();
    ask(5);
    request_to(&mut alice);
}

/// Somebody without an agent, who sends whatever he wants to an address.
struct Stranger<'a> {
    world: &'a World,
    request: ConnectionRequest,
    entropy: SeededEntropy,
}

impl Stranger<'_> {
    /// Sends these bytes as they are.
    fn send(&self, body: Vec<u8>) {
        let queue = &self.request.queues()[0].address;
        let connector = Connector::new(self.world.runtime.clone()).seed([99; 32]);
        let send =
            Request::send(queue.sender_id.clone(), None, MessageFlags { notification: false }, body.into());
        let server = queue.server.clone();
        let sent = async move {
            let (client, _events) = connector.connect(&server).await.expect("a server");
            client.request(send).await
        };
        self.world.runtime.block_on(sent).expect("anybody may send");
    }

    /// Sends an envelope of the agent as it should be encrypted, or without the key that is needed to decrypt it.
    fn seal(&mut self, envelope: Vec<u8>, with_key: bool) {
        let key = X25519PrivateKey::generate(&mut self.entropy);
        let secret = key.diffie_hellman(&self.request.queues()[0].address.dh_key).unwrap();
        let mut content = Vec::new();
        ClientMessage { sender_key: None, body: envelope.into() }.encode(&mut content);
        let nonce = Nonce::generate(&mut self.entropy);
        let encrypted = secret.box_key().seal_padded(&nonce, &content, 15_904).unwrap().into();
        let dh_key = with_key.then(|| key.public());
        let envelope =
            ClientMessageEnvelope { version: Version(4), dh_key, nonce: *nonce.as_bytes(), encrypted };
        let mut out = Vec::new();
        envelope.encode(&mut out);
        self.send(out);
    }
}

fn envelope(body: EnvelopeBody) -> Vec<u8> {
    let mut out = Vec::new();
    AgentEnvelope { version: version::SUPPORTED.max(), body }.encode(&mut out);
    out
}

/// Its sender did not hear that the server has it, and sends it again: to the app that is nothing new, also when it has dealt with it.
#[test]
fn a_request_that_was_dealt_with_is_not_told_again() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    let (address, request) = address_of(&world, &alice);
    let (_, invitation) = world.person(2, 0).invite(true);
    let mut eve = Stranger { world: &world, request, entropy: SeededEntropy::new([8; 32]) };
    let body = EnvelopeBody::Invitation { request: Box::new(invitation), info: "eve".into() };
    eve.seal(envelope(body.clone()), true);
    let asked = request_to(&mut alice);
    world.runtime.block_on(alice.agent().reject(address, asked.invitation)).unwrap();
    eve.seal(envelope(body), true);
    assert!(alice.others_within(HOUR).is_empty());
    assert!(waiting(&world, &alice, address).is_empty());
}

/// Each is told as an error, and what comes behind it is not held up.
#[test]
fn anything_but_a_request_is_refused() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    let (address, request) = address_of(&world, &alice);
    let (_, invitation) = alice.invite(true);
    let mut eve = Stranger { world: &world, request: request.clone(), entropy: SeededEntropy::new([8; 32]) };
    let asks = |request: &ConnectionRequest, info: &'static str| EnvelopeBody::Invitation {
        request: Box::new(request.clone()),
        info: info.into(),
    };
    eve.send(vec![0; 100]);
    eve.send(vec![7; 16_000]);
    let good = envelope(asks(&invitation, "eve"));
    eve.seal(good.clone(), false);
    eve.seal(good[..good.len() / 2].to_vec(), true);
    eve.seal(Vec::new(), true);
    // An address in place of an invitation.
    eve.seal(envelope(asks(&request, "eve")), true);
    eve.seal(envelope(EnvelopeBody::Message(vec![3; 300].into())), true);
    let confirmation = EnvelopeBody::Confirmation { keys: None, ciphertext: vec![3; 300].into() };
    eve.seal(envelope(confirmation), true);
    let key = X448PublicKey([3; 56]);
    let keys = Some(Box::new(E2eParameters { version: Version(3), first: key, second: key, kem: None }));
    let confirmation = EnvelopeBody::Confirmation { keys, ciphertext: vec![3; 300].into() };
    eve.seal(envelope(confirmation), true);
    let events = alice.others_within(HOUR);
    let is_error =
        |event: &Event| matches!(event, Event::Error(Some(at), AgentError::Peer(_)) if *at == address);
    assert_eq!(events.iter().filter(|event| is_error(event)).count(), 9, "{events:?}");
    assert_eq!(events.len(), 9, "{events:?}");
    // The same request twice is one, whatever is said with it.
    eve.seal(good, true);
    eve.seal(envelope(asks(&invitation, "eve again")), true);
    let asked = request_to(&mut alice);
    assert_eq!(asked.info, "eve");
    assert!(alice.others_within(HOUR).is_empty());
    // That invitation is our own: to accept it connects us to ourselves, and is no reason to fall over.
    assert!(accept(&world, &alice, named(9), asked.invitation).is_ok());
    let mut bob = world.person(2, 0);
    bob.join(request, "asker", true).1.unwrap();
    let events = alice.others_within(HOUR);
    assert!(events.iter().any(|event| matches!(event, Event::Request(asked) if asked.info == "asker")));
}

/// A request is for an address: at the queue of an invitation it is out of place.
#[test]
fn an_invitation_is_not_asked() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    let (at_alice, request) = alice.invite(true);
    let mut eve = Stranger { world: &world, request: request.clone(), entropy: SeededEntropy::new([8; 32]) };
    eve.seal(envelope(EnvelopeBody::Invitation { request: Box::new(request), info: "eve".into() }), true);
    let expected = AgentError::Peer(PeerError::Prohibited);
    assert!(matches!(alice.event(), Event::Error(Some(at), error) if at == at_alice && error == expected));
}

/// The server did not keep the acknowledgement and delivers the request again, when it was dealt with already.
#[test]
fn a_request_that_is_delivered_again_is_known() {
    let world = World::new(2);
    let (mut alice, bob) = (world.person(1, 0), world.person(2, 1));
    let (address, request) = address_of(&world, &alice);
    let before = world.stores[0].batches();
    let asking = bob.agent().join(named(1), world::USER, request, "asker".into(), false);
    while world.stores[0].batches() == before {
        assert!(world.turn(1), "nothing is sent");
    }
    world.stores[0].plan([Work::Fail]);
    world.runtime.block_on(asking).unwrap();
    let asked = request_to(&mut alice);
    world.runtime.block_on(alice.agent().reject(address, asked.invitation)).unwrap();
    let events = alice.others_within(HOUR);
    assert!(events.is_empty(), "{events:?}");
    assert!(waiting(&world, &alice, address).is_empty());
}
