//! Messages that are taken only when the app asks, queues that take no more, and notices of servers.

use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use smp_core::agent::{ConnectionId, Event, LinkIdentity, LocalMessageId, QueueOptions};
use smp_core::server::{Moderation, ServerConfig};
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError};
use smp_core::wire::error::{BlockingInfo, BlockingReason, ErrorType, Notice};
use smp_core::wire::{EntityId, ServerAddress};

use super::world::{AgentTestStore, USER};
use super::*;
use crate::Runtime;
use crate::agent::AgentBuilder;
use crate::testing::TestRuntime;

const LEFT: QueueOptions = QueueOptions { queues: None, only_create: true, check_notices: false };
const CHECKED: QueueOptions = QueueOptions { queues: None, only_create: false, check_notices: true };
const PROHIBITED: AgentError = AgentError::Command(AgentCommandError::Prohibited);
const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);

fn on_demand(
    builder: AgentBuilder<TestRuntime, AgentTestStore>,
) -> AgentBuilder<TestRuntime, AgentTestStore> {
    builder.on_demand()
}

fn fetch(person: &Person, connection: ConnectionId) -> Result<Option<LocalMessageId>, AgentError> {
    person.runtime().block_on(person.agent().fetch(connection))
}

fn subscribe(person: &Person, connection: ConnectionId) {
    person.runtime().block_on(person.agent().subscribe(connection)).unwrap();
}

/// Fetches a message and acknowledges it.
#[track_caller]
fn take(person: &mut Person, connection: ConnectionId) -> bytes::Bytes {
    let fetched = fetch(person, connection).unwrap();
    let message = person.message();
    assert_eq!(fetched, Some(message.id));
    person.acknowledge(&message);
    message.body
}

/// Nothing comes by itself.
#[track_caller]
fn nothing_comes(person: &mut Person) {
    let events = person.others_within(HOUR);
    let others: Vec<_> = events.iter().filter(|event| !matches!(event, Event::Sent(..))).map(tell).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// Lets two people meet whose queues are not subscribed.
fn meet_quietly(alice: &mut Person, bob: &mut Person) -> (ConnectionId, ConnectionId) {
    let inviting = alice.agent().making(LEFT).invite(USER, true);
    let (at_alice, request) = alice.runtime().block_on(inviting).unwrap();
    let at_bob = ConnectionId::new([1; 12]);
    let joining = bob.agent().making(LEFT).join(at_bob, USER, request, "bob".into(), true);
    bob.runtime().block_on(joining).unwrap();
    nothing_comes(alice);
    assert_eq!(fetch(alice, at_alice), Ok(None), "a confirmation is no message");
    let (confirmation, info) = alice.confirmation();
    assert_eq!(info, "bob");
    alice.allow(at_alice, confirmation, "alice");
    alice.connected();
    nothing_comes(bob);
    assert_eq!(fetch(bob, at_bob), Ok(None));
    assert_eq!(bob.info(), "alice");
    bob.connected();
    (at_alice, at_bob)
}

#[test]
fn messages_come_one_by_one_when_the_app_asks() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet_quietly(&mut alice, &mut bob);
    for body in ["one", "two", "three"] {
        bob.send(at_bob, body).unwrap();
    }
    nothing_comes(&mut alice);
    assert_eq!(take(&mut alice, at_alice), "one");
    // Once more, before it is acknowledged.
    let fetched = fetch(&alice, at_alice).unwrap();
    let message = alice.message();
    assert_eq!((&message.body[..], fetched), (&b"two"[..], Some(message.id)));
    assert_eq!(fetch(&alice, at_alice), Ok(Some(message.id)));
    nothing_comes(&mut alice);
    alice.acknowledge_with_receipt(&message);
    assert_eq!(take(&mut alice, at_alice), "three");
    assert_eq!(fetch(&alice, at_alice), Ok(None));
    // The receipt is no message.
    assert_eq!(fetch(&bob, at_bob), Ok(None));
    assert!(matches!(bob.step(), Event::Received(..)));
    assert_eq!(fetch(&alice, ConnectionId::new([9; 12])), Err(NOT_FOUND));
}

#[test]
fn what_was_not_subscribed_may_be_later() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet_quietly(&mut alice, &mut bob);
    for body in ["one", "two"] {
        bob.send(at_bob, body).unwrap();
    }
    // What was fetched and not acknowledged comes with the subscription too, and is not told again.
    let fetched = fetch(&alice, at_alice).unwrap();
    let message = alice.message();
    assert_eq!((&message.body[..], fetched), (&b"one"[..], Some(message.id)));
    subscribe(&alice, at_alice);
    assert!(matches!(alice.event_within(HOUR), Some(Event::Up(_, up)) if up == [at_alice]));
    assert!(alice.event_within(HOUR).is_none());
    assert_eq!(fetch(&alice, at_alice), Err(PROHIBITED), "it is subscribed");
    alice.acknowledge(&message);
    assert_eq!(alice.bodies(), ["two"]);
    bob.send(at_bob, "three").unwrap();
    assert_eq!(alice.bodies(), ["three"]);
    // Bob's still is not; after a restart it is as all others are.
    alice.send(at_alice, "four").unwrap();
    nothing_comes(&mut bob);
    bob.stop();
    bob.start();
    assert_eq!(bob.message().body, "four");
    assert_eq!(fetch(&bob, at_bob), Err(PROHIBITED));
}

/// An agent that is woken for a while when there is something: it receives nothing that it was not asked for.
#[test]
fn an_agent_on_demand_lives_from_one_question_to_the_next() {
    let world = World::new(2);
    let mut alice = world.person_with(1, &[0], on_demand);
    let mut bob = world.person(2, 1);
    let (at_alice, request) = alice.invite(true);
    let (at_bob, joined) = bob.join(request, "bob", true);
    assert_eq!(joined, Ok(true));
    bob.send(at_bob, "early").unwrap();
    nothing_comes(&mut alice);
    let again = |alice: &mut Person| {
        alice.stop();
        alice.start();
        nothing_comes(alice);
    };
    again(&mut alice);
    // The confirmation, then what came behind it.
    let fetched = fetch(&alice, at_alice).unwrap();
    let (confirmation, _) = alice.confirmation();
    let message = alice.message();
    assert_eq!((&message.body[..], fetched), (&b"early"[..], Some(message.id)));
    alice.stop();
    alice.start();
    // Whoever waits is told again at a start, a message when it is asked for.
    assert_eq!(alice.confirmation().0, confirmation);
    nothing_comes(&mut alice);
    assert_eq!(take(&mut alice, at_alice), "early");
    alice.allow(at_alice, confirmation, "alice");
    alice.connected();
    assert_eq!(bob.info(), "alice");
    bob.connected();
    for number in 0..5 {
        bob.send(at_bob, vec![number]).unwrap();
        again(&mut alice);
        alice.send(at_alice, vec![number]).unwrap();
        assert_eq!(take(&mut alice, at_alice), vec![number]);
        assert_eq!(fetch(&alice, at_alice), Ok(None));
    }
    assert_eq!(bob.bodies().len(), 5);
    subscribe(&alice, at_alice);
    bob.send(at_bob, "now").unwrap();
    assert_eq!(alice.bodies(), ["now"]);
}

/// The new queue is asked as the old one was.
#[test]
fn an_agent_on_demand_changes_its_server() {
    let world = World::new(3);
    let mut alice = world.person_with(1, &[0, 2], on_demand);
    let mut bob = world.person(2, 1);
    let (at_alice, at_bob) = meet_quietly(&mut alice, &mut bob);
    subscribe(&bob, at_bob);
    let old = alice.describe(at_alice).receive[0].server.clone();
    alice.switch(at_alice).unwrap();
    let mut heard = Vec::new();
    for number in 0..6 {
        bob.send(at_bob, vec![number]).unwrap();
        world.pass(HOUR);
        while fetch(&alice, at_alice).unwrap().is_some() {
            let message = loop {
                if let Event::Message(message) = alice.step() {
                    break message;
                }
            };
            heard.extend(message.body.clone());
            alice.acknowledge(&message);
        }
    }
    assert_eq!(heard, [0, 1, 2, 3, 4, 5]);
    let queues = alice.describe(at_alice).receive;
    assert!(queues.len() == 1 && queues[0].server != old, "{}", queues.len());
    let events = alice.others_within(HOUR);
    assert!(!events.iter().any(|event| matches!(event, Event::Error(..))));
}

#[test]
fn what_was_acknowledged_in_another_session_does_not_come_again() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet_quietly(&mut alice, &mut bob);
    for body in ["one", "two"] {
        bob.send(at_bob, body).unwrap();
    }
    nothing_comes(&mut bob);
    assert!(fetch(&alice, at_alice).unwrap().is_some());
    let message = alice.message();
    world.crash(0);
    world.pass(Duration::from_secs(60));
    assert!(matches!(fetch(&alice, at_alice), Err(AgentError::Broker { .. })));
    world.start(0, ServerConfig::default());
    world.pass(Duration::from_secs(60));
    alice.acknowledge(&message);
    assert_eq!(take(&mut alice, at_alice), "two");
    assert_eq!(fetch(&alice, at_alice), Ok(None));
    nothing_comes(&mut alice);
    // A session that nobody needs ends, and what was left is asked in another one.
    world.pass(HOUR);
    assert_eq!(world.connections(0), 0);
    bob.send(at_bob, "three").unwrap();
    nothing_comes(&mut bob);
    assert_eq!(take(&mut alice, at_alice), "three");
}

#[test]
fn questions_at_once_have_one_answer_and_all_end() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet_quietly(&mut alice, &mut bob);
    bob.send(at_bob, "one").unwrap();
    nothing_comes(&mut bob);
    let both = [alice.agent().fetch(at_alice), alice.agent().fetch(at_alice)];
    let both = both.map(|one| world.runtime.block_on(one).unwrap());
    let message = alice.message();
    assert_eq!(both, [Some(message.id); 2]);
    alice.acknowledge(&message);
    world.runtime.run();
    // The connection is subscribed, or deleted, before the server has answered.
    for ends in [PROHIBITED, NOT_FOUND] {
        world.stores[0].hold(true);
        let mut asked = Box::pin(alice.agent().fetch(at_alice));
        world.runtime.run();
        assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        match ends {
            PROHIBITED => subscribe(&alice, at_alice),
            _ => world.runtime.block_on(alice.agent().delete(at_alice, false)).unwrap(),
        }
        assert_eq!(world.runtime.block_on(asked), Err(ends.clone()));
        world.stores[0].hold(false);
        if ends == PROHIBITED {
            bob.send(at_bob, "two").unwrap();
            assert_eq!(alice.bodies(), ["two"]);
            // Now it is asked again as one that is not subscribed.
            let (mut carol, mut dave) = (world.person(3, 0), world.person(4, 1));
            let (at_carol, _) = meet_quietly(&mut carol, &mut dave);
            world.stores[0].hold(true);
            let asked = carol.agent().fetch(at_carol);
            world.runtime.block_on(carol.agent().delete(at_carol, false)).unwrap();
            assert_eq!(world.runtime.block_on(asked), Err(NOT_FOUND));
            world.stores[0].hold(false);
            return;
        }
    }
}

#[test]
fn a_queue_that_is_suspended_takes_no_more() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    for body in ["one", "two"] {
        bob.send(at_bob, body).unwrap();
    }
    let message = alice.message();
    let suspend = |connection| alice.agent().suspend_queues(connection);
    assert_eq!(world.runtime.block_on(suspend(ConnectionId::new([9; 12]))), Err(NOT_FOUND));
    world.runtime.block_on(suspend(at_alice)).unwrap();
    world.runtime.block_on(suspend(at_alice)).unwrap();
    alice.acknowledge(&message);
    assert_eq!(alice.bodies(), ["two"], "what is there still comes");
    bob.send(at_bob, "three").unwrap();
    let events = bob.others_within(HOUR);
    assert!(events.iter().any(|event| matches!(event, Event::NotSent(..))));
    assert!(alice.bodies().is_empty());
}

fn blocked(ttl: Option<Option<i64>>) -> BlockingInfo {
    BlockingInfo { reason: BlockingReason::Content, notice: ttl.map(|ttl| Notice { ttl }) }
}

fn queue_of(person: &Person, connection: ConnectionId) -> EntityId {
    person.store.connection(connection).receive[0].recipient_id.clone()
}

/// Whether an address is made when notices are heeded.
fn address(person: &Person) -> Result<ConnectionId, Refusal> {
    let making = person.agent().making(CHECKED).create_address(USER);
    heeded(person, person.runtime().block_on(making)).map(|(connection, _)| connection)
}

/// Whether one is prepared.
fn prepare(person: &Person, options: QueueOptions) -> Result<(), Refusal> {
    let preparing = person.agent().making(options).prepare_link(USER, LinkIdentity::default());
    heeded(person, person.runtime().block_on(preparing)).map(|_| ())
}

/// Whether all preset servers are concerned, and for how many seconds from now.
type Refusal = (bool, Option<i64>);

fn heeded<T>(person: &Person, made: Result<T, AgentError>) -> Result<T, Refusal> {
    let now = person.runtime().now().unix.as_millis();
    match made {
        Ok(made) => Ok(made),
        Err(AgentError::Notice { is_preset, expires_at, .. }) => {
            Err((is_preset, expires_at.map(|at| (at.as_millis() - now) / 1000)))
        }
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn is_told_blocked(person: &mut Person, at: ConnectionId) {
    match person.step() {
        Event::Error(Some(connection), AgentError::Smp { error: ErrorType::Blocked(_), .. }) => {
            assert_eq!(connection, at);
        }
        event => panic!("{}", tell(&event)),
    }
}

#[test]
fn a_server_that_blocked_a_queue_is_not_asked_for_an_address() {
    let mut world = World::new(1);
    let mut alice = world.person(1, 0);
    let at = address(&alice).unwrap();
    let queue = queue_of(&alice, at);
    world.moderate(0, Moderation::Block(queue.clone(), blocked(Some(Some(7200)))));
    is_told_blocked(&mut alice, at);
    assert_eq!(address(&alice), Err((false, Some(7200))));
    assert_eq!(prepare(&alice, CHECKED), Err((false, Some(7200))));
    // Only addresses, and only if the app asks for it.
    world.runtime.block_on(alice.agent().create_address(USER)).unwrap();
    world.runtime.block_on(alice.agent().making(CHECKED).invite(USER, false)).unwrap();
    assert_eq!(prepare(&alice, QueueOptions::default()), Ok(()));
    world.pass(HOUR);
    assert_eq!(address(&alice), Err((false, Some(3600))));
    // It is kept, and when the server says the same again it begins not anew.
    alice.stop();
    alice.start();
    is_told_blocked(&mut alice, at);
    assert_eq!(address(&alice), Err((false, Some(3600))));
    world.pass(HOUR);
    assert_eq!(prepare(&alice, CHECKED), Ok(()));
    let second = address(&alice).unwrap();
    // They add up; without an end there is none.
    world.moderate(0, Moderation::Block(queue_of(&alice, second), blocked(Some(Some(10)))));
    is_told_blocked(&mut alice, second);
    assert_eq!(address(&alice), Err((false, Some(7210))));
    // Whoever is not subscribed is told when he wants to be.
    world.moderate(0, Moderation::Block(queue.clone(), blocked(Some(None))));
    start_again(&mut alice, 2);
    assert_eq!(address(&alice), Err((false, None)));
    // The server lifts one by saying so without notice, the other by subscribing the queue.
    world.moderate(0, Moderation::Block(queue, blocked(None)));
    start_again(&mut alice, 2);
    assert_eq!(address(&alice), Err((false, Some(10))));
    world.moderate(0, Moderation::Unblock(queue_of(&alice, second)));
    for _ in 0..2 {
        start_again(&mut alice, 1);
        address(&alice).unwrap();
    }
}

/// After the start so many queues are refused because they are blocked.
#[track_caller]
fn start_again(person: &mut Person, refused: usize) {
    person.stop();
    person.start();
    for _ in 0..refused {
        let event = person.step();
        let is_it =
            matches!(event, Event::Error(Some(_), AgentError::Smp { error: ErrorType::Blocked(_), .. }));
        assert!(is_it, "{}", tell(&event));
    }
}

/// The addresses of the first two servers of a world.
fn presets(builder: AgentBuilder<TestRuntime, AgentTestStore>) -> AgentBuilder<TestRuntime, AgentTestStore> {
    let server = |number: u8| {
        let address = crate::tests::address(&["127.0.0.1"], [number + 1; 32]);
        let port = Some(5223 + u16::from(number));
        ServerAddress::new(address.hosts().to_vec(), port, *address.key_hash()).unwrap()
    };
    builder.preset_servers([server(0), server(1)].to_vec()).on_demand()
}

/// Also when its queues are not subscribed.
#[test]
fn one_preset_server_speaks_for_all() {
    let mut world = World::new(3);
    let mut alice = world.person_with(1, &[0], presets);
    let at = address(&alice).unwrap();
    world.moderate(0, Moderation::Block(queue_of(&alice, at), blocked(Some(Some(60)))));
    nothing_comes(&mut alice);
    let fetched = fetch(&alice, at);
    assert!(matches!(fetched, Err(AgentError::Smp { error: ErrorType::Blocked(_), .. })));
    assert_eq!(address(&alice), Err((true, Some(60))));
    let move_to = |alice: &Person, server: usize| {
        let servers = vec![smp_core::agent::UserServer::new(world.address(server))];
        world.runtime.block_on(alice.agent().set_servers(USER, servers)).unwrap();
    };
    move_to(&alice, 1);
    assert_eq!(address(&alice), Err((true, Some(60))));
    move_to(&alice, 2);
    address(&alice).unwrap();
    move_to(&alice, 1);
    world.moderate(0, Moderation::Unblock(queue_of(&alice, at)));
    assert_eq!(fetch(&alice, at), Ok(None));
    address(&alice).unwrap();
}
