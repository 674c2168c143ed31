//! Who got a message tells its sender.

use smp_core::agent::store::{OutgoingContent, ReceiptState};
use smp_core::agent::{ConnectionId, Event, LocalMessageId};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{
    AMessage, AgentCommandError, AgentError, AgentMessage, MessageHash, NonEmpty, Receipt, sizes, version,
};

use super::*;

/// The messages that the other side says to have in the next hour, each with whether it is the right one.
fn received(person: &mut Person, connection: ConnectionId) -> Vec<(LocalMessageId, bool)> {
    let mut all = Vec::new();
    for event in person.others_within(HOUR) {
        match event {
            Event::Received(at, receipts) => {
                assert!(at == connection);
                all.extend(receipts.iter().map(|receipt| (receipt.message, receipt.is_intact)));
            }
            Event::Sent(..) => {}
            event => panic!("not a receipt: {}", tell(&event)),
        }
    }
    all
}

#[test]
fn each_receipt_is_told_once() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, true);
    let numbers: Vec<_> = (0..3_u8).map(|number| bob.send(at_bob, vec![number]).unwrap()).collect();
    for _ in 0..3 {
        let message = alice.message();
        alice.acknowledge_with_receipt(&message);
        // Once more is no fault, and no second receipt.
        alice.acknowledge_with_receipt(&message);
    }
    assert_eq!(received(&mut bob, at_bob), numbers.iter().map(|number| (*number, true)).collect::<Vec<_>>());
    // Receipts have a number of the sender's like all messages, and nobody gives a receipt for them.
    alice.send(at_alice, "hello").unwrap();
    let message = bob.message();
    assert_eq!((message.sender_id, &*message.body), (5, &b"hello"[..]));
    bob.acknowledge(&message);
    assert!(received(&mut alice, at_alice).is_empty(), "not asked for");
}

/// Each side may end between any two steps, and so may the servers.
#[test]
fn receipts_come_over_restarts() {
    for restart in 0..5 {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (_, at_bob) = meet(&mut alice, &mut bob, false);
        let number = bob.send(at_bob, "hello").unwrap();
        let message = alice.message();
        match restart {
            0 => bob.stop(),
            1 => world.crash(1),
            _ => {}
        }
        alice.acknowledge_with_receipt(&message);
        match restart {
            0 => bob.start(),
            1 => {
                world.pass(HOUR);
                world.start(1, ServerConfig::default());
            }
            2 => {
                alice.stop();
                alice.start();
            }
            3 => {
                world.crash(0);
                world.start(0, ServerConfig::default());
            }
            _ => {}
        }
        assert_eq!(received(&mut bob, at_bob), [(number, true)], "restart {restart}");
        bob.stop();
        bob.start();
        assert!(received(&mut bob, at_bob).is_empty(), "restart {restart}");
    }
}

/// The store of a recipient was set back: under the number of a message there is another one now.
#[test]
fn a_receipt_for_another_message_is_told_as_such() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    let number = bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    // As if another message had gone out.
    bob.store.change_sent(at_bob, number, |message| message.hash = [7; 32].into());
    alice.acknowledge_with_receipt(&message);
    assert_eq!(received(&mut bob, at_bob), [(number, false)]);
}

/// What nobody sent, or what the agent does not keep any more, is no fault.
#[test]
fn receipts_for_unknown_messages_are_ignored() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    let number = bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    bob.store.change_sent(at_bob, number, |message| message.sender_id = 99);
    alice.acknowledge_with_receipt(&message);
    assert!(received(&mut bob, at_bob).is_empty());
    bob.send(at_bob, "hello again").unwrap();
    assert_eq!(alice.message().body, "hello again");
}

/// Whoever says so more than once is not believed more.
#[test]
fn a_receipt_that_is_sent_again_is_not_told_again() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    let number = bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
    let mut receipt = Receipt { message_id: 0, hash: MessageHash::NONE, info: "".into() };
    bob.store.change_sent(at_bob, number, |sent| {
        (receipt.message_id, receipt.hash) = (sent.sender_id, sent.hash.clone());
    });
    world.crash(1);
    let wrong = Receipt { hash: [7; 32].into(), ..receipt.clone() };
    for receipt in [&wrong, &wrong, &receipt, &receipt, &wrong] {
        let number = alice.send(at_alice, "in disguise").unwrap();
        alice.store.change_sent(at_alice, number, |sent| {
            let OutgoingContent::Ratchet { plaintext, .. } = &mut sent.content else { panic!("it was sent") };
            let message = AMessage::Receipts(NonEmpty::one(receipt.clone()));
            let (id, previous_hash) = (sent.sender_id, MessageHash::NONE);
            let mut bytes = Vec::new();
            AgentMessage::Message { id, previous_hash, message }.encode(&mut bytes);
            *plaintext = bytes.into();
        });
    }
    alice.stop();
    world.start(1, ServerConfig::default());
    alice.start();
    assert_eq!(received(&mut bob, at_bob), [(number, false), (number, true)]);
}

#[test]
fn the_information_of_a_receipt_has_a_bound() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, true);
    let number = bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    let max = sizes::receipt_info_len_max(version::SUPPORTED.max(), true);
    let give = |len| {
        let done = alice.agent().acknowledge_with_receipt(at_alice, message.id, vec![b'i'; len].into());
        world.runtime.block_on(done)
    };
    assert_eq!(give(max + 1), Err(AgentError::Command(AgentCommandError::Large)));
    assert_eq!(give(max), Ok(()));
    assert_eq!(received(&mut bob, at_bob), [(number, true)]);
}

/// The receipt is heard, and what the server said of the message was not: it was sent first, for the app, and is not sent again.
#[test]
fn a_receipt_tells_that_a_message_was_sent() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    world.crash(0);
    let number = bob.send(at_bob, "hello").unwrap();
    let copy = bob.store.copy();
    world.start(0, ServerConfig::default());
    assert!(matches!(bob.event(), Event::Sent(..)));
    bob.stop();
    bob.store.restore(copy);
    let message = alice.message();
    alice.acknowledge_with_receipt(&message);
    alice.others_within(HOUR);
    world.crash(0);
    bob.start();
    assert!(matches!(bob.event(), Event::Sent(_, sent, _) if sent == number));
    assert!(matches!(bob.event(), Event::Received(..)));
    world.start(0, ServerConfig::default());
    bob.send(at_bob, "and more").unwrap();
    assert!(matches!(bob.event(), Event::Sent(_, sent, _) if sent > number));
    assert!(bob.others_within(HOUR).is_empty(), "nothing is told of the first again");
    assert_eq!(alice.bodies(), ["and more"]);
    let mut receipt = None;
    bob.store.change_sent(at_bob, number, |sent| receipt = Some(sent.receipt));
    assert_eq!(receipt, Some(ReceiptState::Received));
    assert!(alice.others_within(HOUR).is_empty() && at_alice == message.connection);
}
