//! Connections that receive from queues on several servers.

use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::store::{QueueStage, SendQueue};
use smp_core::agent::{ConnectionId, Event};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::MessageIntegrity;

use super::*;
use crate::Runtime;

pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Somebody who receives from two queues, if there are so many servers.
pub(super) fn redundant(world: &World, name: u8, servers: &[usize]) -> Person {
    let mut person = world.person(name, servers[0]);
    person.stop();
    person.limits.receive_queues = 2;
    person.more_servers = servers[1..].iter().map(|server| world.address(*server)).collect();
    person.start();
    person
}

/// Lets pass what the two do after they met.
pub(super) fn settle(one: &mut Person, other: &mut Person) {
    for person in [one, other] {
        let told = person.others_within(MINUTE);
        assert!(told.is_empty(), "{told:?}");
    }
}

/// Alice receives from the first two servers, Bob from the third; they are connected, and Bob is ready for both of hers. With the
/// names that each gave the connection.
pub(super) fn over_two_servers() -> (World, Person, Person, ConnectionId, ConnectionId) {
    let world = World::new(3);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), world.person(2, 2));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    settle(&mut alice, &mut bob);
    (world, alice, bob, at_alice, at_bob)
}

/// The servers from which somebody receives in a connection, as numbers, the first one first.
pub(super) fn servers_of(person: &Person, connection: ConnectionId) -> Vec<usize> {
    let queues = person.store.connection(connection).receive;
    queues.iter().map(|queue| usize::from(queue.server.port().unwrap() - 5223)).collect()
}

fn stages(queues: &[SendQueue]) -> Vec<QueueStage> {
    queues.iter().map(|queue| queue.stage).collect()
}

pub(super) fn texts(range: std::ops::Range<u8>) -> Vec<Bytes> {
    range.map(|number| vec![number].into()).collect()
}

/// The queues are announced by either side, and those beside the first are made ready.
#[test]
fn each_side_receives_from_two_queues() {
    let world = World::new(4);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), redundant(&world, 2, &[2, 3]));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, true);
    settle(&mut alice, &mut bob);
    for (person, connection) in [(&alice, at_alice), (&bob, at_bob)] {
        let kept = person.store.connection(connection);
        assert_eq!((kept.receive.len(), kept.send.len()), (2, 2));
        assert!(kept.receive.iter().all(|queue| queue.e2e_secret.is_some()));
        assert_eq!(stages(&kept.send)[1], QueueStage::Active);
        assert!(kept.tasks.is_empty());
        assert_eq!(person.describe(connection).receive.len(), 2);
    }
    bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    assert_eq!((message.sender_id, message.integrity), (2, MessageIntegrity::Ok));
    let closed = alice.runtime().block_on(alice.agent().delete(at_alice, false));
    assert_eq!(closed, Ok(()));
    assert_eq!(alice.others_within(HOUR).len(), 3, "both queues and the connection");
    assert_eq!((world.queues(0), world.queues(1)), (0, 0));
}

/// A server dies while both talk, and comes back when they have gone on for long.
#[test]
fn a_connection_goes_on_while_a_server_is_gone() {
    let mut world = World::new(4);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), redundant(&world, 2, &[2, 3]));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    settle(&mut alice, &mut bob);
    let (of_alice, of_bob) = (servers_of(&alice, at_alice)[0], servers_of(&bob, at_bob)[0]);
    bob.send(at_bob, vec![0]).unwrap();
    assert_eq!(alice.bodies(), texts(0..1));
    world.crash(of_alice);
    world.crash(of_bob);
    for number in 1..6 {
        bob.send(at_bob, vec![number]).unwrap();
        alice.send(at_alice, vec![number]).unwrap();
    }
    assert_eq!(alice.bodies(), texts(1..6));
    assert_eq!(bob.bodies(), texts(1..6));
    bob.stop();
    bob.start();
    world.start(of_alice, ServerConfig::default());
    world.start(of_bob, ServerConfig::default());
    for number in 6..9 {
        bob.send(at_bob, vec![number]).unwrap();
        alice.send(at_alice, vec![number]).unwrap();
    }
    assert_eq!(alice.bodies(), texts(6..9));
    assert_eq!(bob.bodies(), texts(6..9));
    // The other ones fail: the first are used again.
    for person in [(&alice, at_alice), (&bob, at_bob)] {
        world.crash(servers_of(person.0, person.1)[1]);
    }
    bob.send(at_bob, vec![9]).unwrap();
    alice.send(at_alice, vec![9]).unwrap();
    assert_eq!(alice.bodies(), texts(9..10));
    assert_eq!(bob.bodies(), texts(9..10));
}

/// What is left at a server that is away comes before what came through the other queue, if it is not away for too long.
#[test]
fn messages_wait_for_those_before_them() {
    for (away, in_order) in [(3, true), (20, false)] {
        let (mut world, mut alice, mut bob, at_alice, at_bob) = over_two_servers();
        for number in 0..3 {
            bob.send(at_bob, vec![number]).unwrap();
        }
        let first = alice.message();
        let left = servers_of(&alice, at_alice)[0];
        world.crash(left);
        alice.acknowledge(&first);
        bob.send(at_bob, vec![3]).unwrap();
        bob.send(at_bob, vec![4]).unwrap();
        let mut told = Vec::new();
        let mut take = |alice: &mut Person, time| {
            let end = alice.runtime().now().mono + time;
            while let Some(event) = alice.event_within(end.since(alice.runtime().now().mono)) {
                if let Event::Message(message) = event {
                    alice.acknowledge(&message);
                    told.push((message.body[0], message.integrity == MessageIntegrity::Ok));
                }
            }
        };
        take(&mut alice, MINUTE * away);
        world.start(left, ServerConfig::default());
        take(&mut alice, HOUR);
        let expected = match in_order {
            true => [(1, true), (2, true), (3, true), (4, true)],
            false => [(3, false), (4, true), (1, false), (2, false)],
        };
        assert_eq!(told, expected);
        assert!(bob.others_within(HOUR).iter().all(|event| matches!(event, Event::Sent(..))));
    }
}

/// The agent that keeps messages back, and the one that goes over to another queue, are started again meanwhile.
#[test]
fn order_is_kept_over_restarts() {
    let (mut world, mut alice, mut bob, at_alice, at_bob) = over_two_servers();
    for number in 0..3 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    let first = alice.message();
    let left = servers_of(&alice, at_alice)[0];
    world.crash(left);
    alice.acknowledge(&first);
    bob.send(at_bob, vec![3]).unwrap();
    bob.stop();
    bob.start();
    assert!(alice.others_within(MINUTE * 3).is_empty());
    alice.stop();
    alice.start();
    assert!(alice.others_within(MINUTE * 3).is_empty());
    world.start(left, ServerConfig::default());
    assert_eq!(alice.bodies(), texts(1..4));
}

/// A message went to the first server, which died before it said so; it comes through the other one, and later once more.
#[test]
fn what_comes_through_both_queues_is_told_once() {
    let (mut world, mut alice, mut bob, at_alice, at_bob) = over_two_servers();
    let first = servers_of(&alice, at_alice)[0];
    alice.stop();
    world.crash(first);
    bob.send(at_bob, vec![0]).unwrap();
    let copy = bob.store.copy();
    world.start(first, ServerConfig::default());
    assert_eq!(sent(&mut bob), 1);
    world.crash(first);
    // Bob did not hear that the server has it.
    bob.stop();
    bob.store.restore(copy);
    bob.start();
    bob.send(at_bob, vec![1]).unwrap();
    assert_eq!(sent(&mut bob), 2);
    alice.start();
    assert_eq!(alice.bodies(), texts(0..2));
    world.start(first, ServerConfig::default());
    bob.send(at_bob, vec![2]).unwrap();
    assert_eq!(alice.bodies(), texts(2..3));
}

/// How many messages are sent in the next hour.
fn sent(person: &mut Person) -> usize {
    let events = person.others_within(HOUR);
    assert!(events.iter().all(|event| matches!(event, Event::Sent(..))), "{events:?}");
    events.len()
}

/// An agent that knows one queue only uses the first, whatever is announced.
#[test]
fn who_knows_one_queue_is_not_confused() {
    let world = World::new(3);
    for invites in [true, false] {
        let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), world.person(2, 2));
        bob.stop();
        bob.limits.send_queues = 1;
        bob.start();
        let (at_alice, at_bob) = match invites {
            true => meet(&mut alice, &mut bob, false),
            false => {
                let (at_bob, at_alice) = meet(&mut bob, &mut alice, false);
                (at_alice, at_bob)
            }
        };
        settle(&mut alice, &mut bob);
        assert_eq!(bob.store.connection(at_bob).send.len(), 1);
        for number in 0..5 {
            bob.send(at_bob, vec![number]).unwrap();
            alice.send(at_alice, vec![number]).unwrap();
        }
        assert_eq!(alice.bodies(), texts(0..5));
        assert_eq!(bob.bodies(), texts(0..5));
    }
}

/// A server that cannot be reached does not keep anybody from making an invitation, or from using one.
#[test]
fn it_does_with_fewer_queues() {
    for down in [0, 1] {
        let mut world = World::new(3);
        let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), redundant(&world, 2, &[2, 1]));
        alice.more_servers.clear();
        let (_, request) = alice.invite(false);
        assert_eq!(request.queues().len(), 2);
        world.crash(down);
        let made = alice.runtime().block_on(alice.agent().invite(world::USER, false));
        if let Ok((_, request)) = made {
            assert_eq!(request.queues().len(), 1);
        }
        world.start(down, ServerConfig::default());
        alice.others_within(HOUR);
        bob.others_within(HOUR);
        let (_, at_bob) = meet(&mut alice, &mut bob, false);
        settle(&mut alice, &mut bob);
        bob.send(at_bob, "hello").unwrap();
        assert_eq!(alice.bodies(), ["hello"]);
    }
}

/// A queue in which nobody introduced himself is not used, however long the first one fails; then it is.
#[test]
fn a_queue_is_used_after_the_introduction() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), world.person(2, 2));
    let (at_alice, request) = alice.invite(false);
    let [first, beside] = servers_of(&alice, at_alice)[..] else { panic!("two queues") };
    world.crash(beside);
    let (at_bob, joined) = bob.join(request, "bob", false);
    assert_eq!(joined, Ok(true));
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    world.crash(first);
    for number in 0..3 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    assert!(bob.others_within(MINUTE * 5).is_empty());
    assert_eq!(bob.store.connection(at_bob).send[0].number.0, 1);
    world.start(beside, ServerConfig::default());
    assert_eq!(alice.bodies(), texts(0..3));
    assert_eq!(bob.store.connection(at_bob).send[0].number.0, 2);
}

/// The queue in use is deleted at its server: the other one is used at once.
#[test]
fn a_queue_that_is_gone_is_left_at_once() {
    let (mut world, mut alice, mut bob, at_alice, at_bob) = over_two_servers();
    world.forget(servers_of(&alice, at_alice)[0]);
    bob.send(at_bob, "hello").unwrap();
    let told = alice.others_within(MINUTE * 5);
    assert_eq!(told.len(), 2, "the message, and that a queue was refused");
    told.iter().for_each(|event| match event {
        Event::Message(message) => alice.acknowledge(message),
        event => assert!(matches!(event, Event::Error(..)), "{}", tell(event)),
    });
    let sent = bob.others_within(HOUR);
    assert!(matches!(sent[..], [Event::Sent(..)]), "{sent:?}");
    let stages = stages(&bob.store.connection(at_bob).send);
    assert_eq!(stages, [QueueStage::Active, QueueStage::Disabled], "another one may take its place");
    bob.send(at_bob, "hello again").unwrap();
    assert_eq!(alice.bodies(), ["hello again"]);
}

/// A recipient who is away is no failure of a queue: what is for him waits there.
#[test]
fn a_full_queue_is_not_left() {
    let mut config = ServerConfig::default();
    config.message_quota = 2;
    let world = World::with(3, &config);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), world.person(2, 2));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    settle(&mut alice, &mut bob);
    let first = bob.store.connection(at_bob).send[0].number;
    for number in 0..6 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    let message = alice.message();
    assert!(alice.others_within(HOUR).is_empty());
    assert_eq!(bob.store.connection(at_bob).send[0].number, first);
    alice.acknowledge(&message);
    assert_eq!(alice.bodies(), texts(1..6));
    assert!(alice.store.connection(at_alice).receive[1].last_told.is_none(), "nothing came there");
}

/// The app takes its time with a message: what is behind it in its queue comes before what came through the other one.
#[test]
fn order_is_kept_however_slow_the_app_is() {
    let (mut world, mut alice, mut bob, at_alice, at_bob) = over_two_servers();
    let [first, beside] = servers_of(&alice, at_alice)[..] else { panic!("two queues") };
    for number in 0..2 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    let told = alice.message();
    world.crash(first);
    bob.send(at_bob, vec![2]).unwrap();
    bob.others_within(MINUTE * 3);
    world.start(first, ServerConfig::default());
    assert!(alice.others_within(HOUR).is_empty());
    world.crash(beside);
    world.start(beside, ServerConfig::default());
    assert!(alice.others_within(HOUR).is_empty());
    alice.acknowledge(&told);
    assert_eq!(alice.bodies(), texts(1..3));
}

/// The ratchet is renewed at any time after both met, while the server of the other queue works, and while it does not: whoever
/// introduced himself in it with the old ratchet does so again.
#[test]
fn who_introduced_himself_with_an_old_ratchet_does_so_again() {
    for (is_down, who) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        for turns in (0..60).step_by(3) {
            let mut world = World::new(3);
            let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), world.person(2, 2));
            let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
            let servers = servers_of(&alice, at_alice);
            world.turn(turns);
            if is_down {
                world.crash(servers[1]);
            }
            match who {
                0 => drop(alice.agent().synchronize_ratchet(at_alice, true)),
                _ => drop(bob.agent().synchronize_ratchet(at_bob, true)),
            }
            for person in [&mut alice, &mut bob] {
                person.others_within(MINUTE);
            }
            if is_down {
                world.start(servers[1], ServerConfig::default());
            }
            for person in [&mut alice, &mut bob] {
                person.others_within(MINUTE * 5);
            }
            world.crash(servers[0]);
            bob.send(at_bob, "hello").unwrap();
            assert_eq!(alice.bodies(), ["hello"], "{who} after {turns} turns, down: {is_down}");
        }
    }
}

/// The introduction is with its server when its recipient gets another ratchet, which cannot read it.
#[test]
fn an_introduction_that_comes_too_late_comes_again() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), world.person(2, 2));
    let (at_alice, request) = alice.invite(false);
    let (at_bob, _) = bob.join(request, "bob", false);
    let (confirmation, _) = alice.confirmation();
    let servers = servers_of(&alice, at_alice);
    world.crash(servers[1]);
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    alice.stop();
    world.start(servers[1], ServerConfig::default());
    assert!(bob.others_within(MINUTE * 5).is_empty());
    assert_eq!(stages(&bob.store.connection(at_bob).send)[1], QueueStage::Active);
    world.crash(servers[1]);
    assert_eq!(bob.synchronize(at_bob, true), Ok(()));
    alice.start();
    for person in [&mut alice, &mut bob] {
        person.others_within(MINUTE);
    }
    assert!(alice.store.connection(at_alice).receive[1].e2e_secret.is_none());
    world.start(servers[1], ServerConfig::default());
    for person in [&mut alice, &mut bob] {
        person.others_within(MINUTE * 5);
    }
    world.crash(servers[0]);
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
}
