//! Messages that come again.

use std::time::Duration;

use smp_core::agent::Event;
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentError, PeerError};

use super::*;

/// A message that an app does not acknowledge holds up those behind it, but not for ever.
#[test]
fn a_message_that_is_never_acknowledged_is_dropped_after_many_times_and_a_day() {
    for hours in [1, 4] {
        let mut world = World::new(1);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
        let (_, at_bob) = meet(&mut alice, &mut bob, false);
        bob.send(at_bob, "poison").unwrap();
        bob.send(at_bob, "next").unwrap();
        assert_eq!(alice.message().body, "poison");
        let mut told = Vec::new();
        for _ in 0..8 {
            world.crash(0);
            world.pass(HOUR * hours);
            world.start(0, ServerConfig::default());
            // The app was started again too, and does not do better.
            alice.stop();
            alice.start();
            told.extend(alice.others_within(Duration::from_secs(600)));
        }
        let (last, before) = told.split_last().unwrap();
        let is_poison = |event: &Event| matches!(event, Event::Message(message) if message.body == "poison");
        if hours == 1 {
            assert!(told.len() == 8 && told.iter().all(is_poison), "not a day has passed");
            continue;
        }
        let (error, before) = before.split_last().unwrap();
        assert!(before.len() == 7 && before.iter().all(is_poison), "{told:?}");
        assert!(matches!(error, Event::Error(_, AgentError::Peer(PeerError::Duplicate))), "{error:?}");
        assert!(matches!(last, Event::Message(message) if message.body == "next"), "{last:?}");
    }
}

/// Who sends did not hear that the server had the messages, and sends them again.
#[test]
fn messages_that_are_sent_twice_are_told_once() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    world.crash(0);
    for number in 0..3_u8 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    let copy = bob.store.copy();
    world.start(0, ServerConfig::default());
    assert_eq!(alice.bodies(), [vec![0], vec![1], vec![2]]);
    // The chain of these messages may have ended since.
    alice.send(at_alice, "hello").unwrap();
    bob.bodies();
    bob.stop();
    bob.store.restore(copy);
    bob.start();
    let events = alice.others_within(HOUR);
    assert!(events.iter().all(|event| matches!(event, Event::Sent(..))), "{events:?}");
}

/// Of a message that cannot be read the app is told once, however often it comes.
#[test]
fn a_message_that_cannot_be_read_is_told_once() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    let old = alice.store.copy();
    for _ in 0..2 {
        alice.send(at_alice, "hello").unwrap();
        bob.bodies();
        bob.send(at_bob, "hello").unwrap();
        alice.bodies();
    }
    alice.stop();
    alice.store.restore(old);
    alice.start();
    world.crash(0);
    bob.send(at_bob, "unreadable").unwrap();
    let copy = bob.store.copy();
    world.start(0, ServerConfig::default());
    assert_eq!(alice.others_within(HOUR).len(), 1);
    bob.stop();
    bob.store.restore(copy);
    bob.start();
    assert!(alice.others_within(HOUR).is_empty());
}
