//! Two people meet and talk.

use std::task::Poll;
use std::time::Duration;

use smp_core::agent::Event;
use smp_core::wire::agent::{
    AgentCommandError, AgentError, ConnectionError, MessageIntegrity, sizes, version,
};
use smp_core::wire::command::MessageFlags;

use super::*;

/// Of two agents that are on one server, or on two.
#[test]
fn a_hundred_messages_go_each_way_in_order() {
    for servers in [1, 2] {
        let world = World::new(servers);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, servers - 1));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        for number in 0..100_u8 {
            bob.send(at_bob, vec![number]).unwrap();
            alice.send(at_alice, vec![number, number]).unwrap();
        }
        for number in 0..100_u8 {
            for (person, body) in [(&mut alice, vec![number]), (&mut bob, vec![number; 2])] {
                let message = person.message();
                assert_eq!((message.sender_id, message.body.to_vec()), (i64::from(number) + 2, body));
                assert_eq!(message.integrity, MessageIntegrity::Ok);
                assert!(message.flags.notification);
                person.acknowledge(&message);
            }
        }
        assert!(alice.event_within(HOUR).is_none_or(|event| matches!(event, Event::Sent(..))));
    }
}

/// Also when both send at once, and take turns.
#[test]
fn both_want_post_quantum_encryption_and_have_it_after_the_first_replies() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    for (offered, wanted) in [(true, true), (false, true), (true, false), (false, false)] {
        let expected = offered && wanted;
        let (at_alice, request) = alice.invite(offered);
        let (at_bob, joined) = bob.join(request, "bob", wanted);
        assert_eq!(joined, Ok(true));
        let (confirmation, _) = alice.confirmation();
        alice.allow(at_alice, confirmation, "alice");
        bob.info();
        bob.connected();
        alice.connected();
        let mut pq = (false, false);
        for turn in 0..4_u8 {
            bob.send(at_bob, vec![turn]).unwrap();
            let message = alice.message();
            pq.0 = message.pq;
            alice.acknowledge(&message);
            alice.send(at_alice, vec![turn]).unwrap();
            let message = bob.message();
            pq.1 = message.pq;
            bob.acknowledge(&message);
        }
        assert_eq!(pq, (expected, expected), "offered {offered}, wanted {wanted}");
    }
}

#[test]
fn the_largest_body_arrives_and_a_larger_one_is_refused() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    for pq in [false, true] {
        let (_, at_bob) = meet(&mut alice, &mut bob, pq);
        let max = sizes::body_len_max(version::SUPPORTED.max(), pq);
        bob.send(at_bob, vec![7; max]).unwrap();
        assert_eq!(alice.message().body.len(), max);
        let large = bob.send(at_bob, vec![7; max + 1]);
        assert_eq!(large, Err(AgentError::Command(AgentCommandError::Large)));
    }
}

#[test]
fn who_does_not_know_a_connection_is_told() {
    let world = World::new(1);
    let (alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let unknown = smp_core::agent::ConnectionId::new([9; 12]);
    assert_eq!(alice.send(unknown, "hello"), Err(AgentError::Connection(ConnectionError::NotFound)));
    assert_eq!(alice.rejoin(unknown), Err(AgentError::Connection(ConnectionError::NotFound)));
    // An invitation that nobody used leads nowhere yet.
    let (at_alice, request) = alice.invite(false);
    assert_eq!(alice.send(at_alice, "hello"), Err(AgentError::Command(AgentCommandError::Prohibited)));
    let (at_bob, _) = bob.join(request.clone(), "bob", false);
    let again = bob.join_as(at_bob, request, "bob", false);
    assert_eq!(again, Err(AgentError::Connection(ConnectionError::Duplicate)));
}

/// Messages of who joined may follow his confirmation at once.
#[test]
fn messages_come_before_their_sender_is_let_in() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, request) = alice.invite(true);
    let (at_bob, joined) = bob.join(request, "bob", true);
    assert_eq!(joined, Ok(true));
    bob.send(at_bob, "early").unwrap();
    let (confirmation, _) = alice.confirmation();
    let early = alice.message();
    assert_eq!((early.sender_id, &*early.body), (2, &b"early"[..]));
    alice.acknowledge(&early);
    alice.allow(at_alice, confirmation, "alice");
    alice.send(at_alice, "at once").unwrap();
    assert_eq!(bob.info(), "alice");
    bob.connected();
    assert_eq!(bob.message().body, "at once");
    alice.connected();
}

/// Two people use one invitation: the first has it.
#[test]
fn an_invitation_is_for_one() {
    let world = World::new(1);
    let (mut alice, mut bob, mut eve) = (world.person(1, 0), world.person(2, 0), world.person(3, 0));
    let (at_alice, request) = alice.invite(false);
    let (at_bob, joined) = bob.join(request.clone(), "bob", false);
    assert_eq!(joined, Ok(true));
    let (_, refused) = eve.join(request, "eve", false);
    assert_eq!(refused, Err(AgentError::Connection(ConnectionError::NotAvailable)));
    let (confirmation, info) = alice.confirmation();
    assert_eq!(info, "bob");
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.message().body, "hello");
}

/// It gets what has come, once, and hears of the end.
#[test]
fn a_loop_takes_what_has_happened_without_waiting() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    assert!(alice.others_within(HOUR).is_empty());
    assert!(alice.events().try_next().is_pending());
    // Nothing moves while it looks.
    drop(bob.agent().send(at_bob, "hello".into(), MessageFlags { notification: true }));
    for _ in 0..100 {
        assert!(alice.events().try_next().is_pending());
    }
    world.pass(Duration::from_secs(1));
    let Poll::Ready(Some(Event::Message(message))) = alice.events().try_next() else { panic!("no message") };
    assert_eq!(message.body, "hello");
    assert!(alice.events().try_next().is_pending());
    alice.acknowledge(&message);

    bob.send(at_bob, "hello again").unwrap();
    assert_eq!(alice.message().body, "hello again");
    let agent = alice.agent().clone();
    alice.runtime().block_on(async move { agent.stop().await });
    for _ in 0..2 {
        assert!(matches!(alice.events().try_next(), Poll::Ready(None)));
    }
}
