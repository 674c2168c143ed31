//! Queues that take the place of others.

use std::time::Duration;

use smp_core::agent::store::{OutgoingContent, ReceiveSwitch, SendSwitch, SyncState};
use smp_core::agent::{ConnectionId, Event, SwitchPhase, SwitchSide};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{
    AMessage, AddedQueue, AgentCommandError, AgentError, AgentMessage, KeyedQueue, MessageHash,
    MessageIntegrity, NonEmpty, PeerError, ReadyQueue, SenderQueue,
};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::{
    AuthPublicKey, DhPublicKey, EntityId, QueueAddress, QueueInfo, QueueUri, ServerAddress, Version,
    VersionRange,
};

use super::*;
use crate::Runtime;

const PROHIBITED: Result<(), AgentError> = Err(AgentError::Command(AgentCommandError::Prohibited));

/// Two people on a server each; Alice may use a third one too.
fn people(world: &World) -> (Person, Person) {
    let (mut alice, bob) = (world.person(1, 0), world.person(2, 1));
    alice.stop();
    alice.more_servers = vec![world.address(2)];
    alice.start();
    (alice, bob)
}

/// Lets them meet through Alice's first server.
fn meet_at(world: &World, alice: &mut Person, bob: &mut Person) -> (ConnectionId, ConnectionId) {
    loop {
        let ids = meet(alice, bob, false);
        if alice.describe(ids.0).receive[0].server == world.address(0) {
            return ids;
        }
    }
}

/// How far the switches went in the next hour.
fn phases(person: &mut Person) -> Vec<(SwitchSide, SwitchPhase)> {
    let events = person.others_within(HOUR).into_iter();
    events
        .filter_map(|event| match event {
            Event::Switch { side, phase, .. } => Some((side, phase)),
            Event::Sent(..) => None,
            event => panic!("not about queues: {}", tell(&event)),
        })
        .collect()
}

fn is_at(person: &Person, connection: ConnectionId, server: &ServerAddress) -> bool {
    let receive = person.describe(connection).receive;
    receive.len() == 1 && receive[0].server == *server && receive[0].switch.is_none()
}

#[test]
fn a_queue_takes_the_place_of_another() {
    use SwitchPhase::{Completed, Confirmed, Secured, Started};
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    assert_eq!(alice.abort_switch(at_alice), PROHIBITED);
    assert_eq!(alice.switch(at_alice), Ok(()));
    let receives = [Confirmed, Secured, Completed].map(|phase| (SwitchSide::Receive, phase));
    assert_eq!(phases(&mut alice), receives);
    let sends = [Started, Confirmed, Secured, Completed].map(|phase| (SwitchSide::Send, phase));
    assert_eq!(phases(&mut bob), sends);
    assert!(is_at(&alice, at_alice, &world.address(2)));
    let description = bob.describe(at_bob);
    assert!(description.send.len() == 1 && description.send[0].switch.is_none());
    assert_eq!(alice.abort_switch(at_alice), PROHIBITED);
    assert_eq!(description.ratchet_hash, alice.describe(at_alice).ratchet_hash);
    // Nobody needs the old server any more.
    world.crash(0);
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
    alice.send(at_alice, "hello too").unwrap();
    assert_eq!(bob.bodies(), ["hello too"]);
    world.start(0, ServerConfig::default());
    // And back again; both sides at once.
    assert_eq!(alice.switch(at_alice), Ok(()));
    assert_eq!(bob.switch(at_bob), Ok(()));
    assert_eq!(phases(&mut alice).len(), 7);
    assert_eq!(phases(&mut bob).len(), 7);
    assert!(!is_at(&alice, at_alice, &world.address(2)));
    let numbers: Vec<_> =
        alice.store.connection(at_alice).receive.iter().map(|queue| queue.number.0).collect();
    assert_eq!(numbers, [3], "no number is used again");
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
}

/// Messages of both directions, before, at and after an interruption, whoever is interrupted, wherever it is.
#[test]
fn an_interrupted_switch_goes_on_and_loses_nothing() {
    for who in 0..5_usize {
        for turns in (0..).step_by(7) {
            let mut world = World::new(3);
            let (mut alice, mut bob) = people(&world);
            let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
            for number in 0..3_u8 {
                bob.send(at_bob, vec![number]).unwrap();
                alice.send(at_alice, vec![number]).unwrap();
            }
            drop(alice.agent().switch(at_alice));
            let is_busy = world.turn(turns);
            let flags = MessageFlags { notification: true };
            drop(bob.agent().send(at_bob, vec![3].into(), flags));
            match who {
                0 => {
                    bob.send(at_bob, vec![4]).unwrap();
                    alice.stop();
                    alice.start();
                }
                1 => {
                    bob.send(at_bob, vec![4]).unwrap();
                    bob.stop();
                    bob.start();
                }
                number => {
                    world.crash(number - 2);
                    bob.send(at_bob, vec![4]).unwrap();
                    world.start(number - 2, ServerConfig::default());
                }
            }
            bob.send(at_bob, vec![5]).unwrap();
            let context = format!("{who} after {turns} turns");
            let expected: Vec<_> = (0..6_u8).map(|number| vec![number]).collect();
            assert_eq!(alice.bodies(), expected, "{context}");
            assert_eq!(bob.bodies(), [vec![0], vec![1], vec![2]], "{context}");
            if !is_at(&alice, at_alice, &world.address(2)) {
                // It had not begun.
                assert!(is_at(&alice, at_alice, &world.address(0)), "{context}");
                assert_eq!(alice.switch(at_alice), Ok(()), "{context}");
                bob.send(at_bob, vec![6]).unwrap();
                assert_eq!(alice.bodies(), [vec![6]], "{context}");
                assert!(is_at(&alice, at_alice, &world.address(2)), "{context}");
            }
            assert!(bob.describe(at_bob).send.len() == 1, "{context}");
            if !is_busy {
                assert!(turns > 20, "there was hardly anything to interrupt");
                break;
            }
        }
    }
}

/// What is left in the old queue comes before what comes through the new one, however slow the app is.
#[test]
fn messages_of_both_queues_come_in_order() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    world.crash(2);
    bob.start();
    alice.others_within(HOUR);
    // Bob cannot be told that the new queue is ready, so he goes on with the old one.
    world.crash(1);
    world.start(2, ServerConfig::default());
    alice.others_within(HOUR);
    for number in 0..3_u8 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    let first = alice.message();
    world.start(1, ServerConfig::default());
    let phases = phases(&mut bob);
    assert_eq!(phases.last(), Some(&(SwitchSide::Send, SwitchPhase::Completed)));
    for number in 3..6_u8 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    let events = alice.others_within(HOUR);
    assert!(events.is_empty(), "the first one is not acknowledged: {events:?}");
    let mut message = first;
    for number in 0..6_u8 {
        assert_eq!((&*message.body, message.integrity), (&[number][..], MessageIntegrity::Ok));
        alice.acknowledge(&message);
        if number < 5 {
            message = loop {
                match alice.step() {
                    Event::Message(message) => break *message,
                    Event::Switch { .. } => {}
                    event => panic!("not a message: {}", tell(&event)),
                }
            };
        }
    }
    alice.others_within(HOUR);
    assert!(is_at(&alice, at_alice, &world.address(2)));
}

/// The new server is away for longer than a queue is waited for when there is another one: it is not left for the queue that it takes
/// the place of.
#[test]
fn a_new_queue_is_not_left_for_the_old_one() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    world.crash(2);
    bob.start();
    alice.others_within(HOUR);
    world.crash(1);
    world.start(2, ServerConfig::default());
    alice.others_within(HOUR);
    world.crash(2);
    world.start(1, ServerConfig::default());
    assert_eq!(phases(&mut bob).last(), Some(&(SwitchSide::Send, SwitchPhase::Secured)));
    bob.send(at_bob, "hello").unwrap();
    assert!(bob.others_within(HOUR).is_empty());
    world.start(2, ServerConfig::default());
    assert_eq!(phases(&mut bob), [(SwitchSide::Send, SwitchPhase::Completed)]);
    assert_eq!(alice.bodies(), ["hello"]);
    assert!(is_at(&alice, at_alice, &world.address(2)));
}

/// A message is on its way through the old queue, and its receipt is there before the server says anything: what waits behind it goes
/// through the new one when that server has been given up.
#[test]
fn a_receipt_for_what_is_on_its_way_does_not_hold_up_the_new_queue() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    world.crash(2);
    bob.start();
    assert_eq!(phases_with_errors(&mut alice), [(SwitchSide::Receive, SwitchPhase::Confirmed)]);
    world.crash(0);
    let number = bob.send(at_bob, "hello").unwrap();
    let copy = bob.store.copy();
    world.start(0, ServerConfig::default());
    bob.others_within(HOUR);
    // Bob has not heard that the server has it. The receipt and QUSE wait for him.
    bob.stop();
    bob.store.restore(copy);
    let message = alice.message();
    alice.acknowledge_with_receipt(&message);
    world.start(2, ServerConfig::default());
    assert_eq!(phases_with_errors(&mut alice), [(SwitchSide::Receive, SwitchPhase::Secured)]);
    // Who connects to the old server now is not answered.
    world.crash(0);
    let runtime = world.runtime.clone();
    let silent = async move { runtime.listen(([127, 0, 0, 1], 5223).into()).await.unwrap() };
    let silent = world.runtime.block_on(silent);
    bob.start();
    bob.send(at_bob, "and more").unwrap();
    let events = bob.others_within(HOUR);
    let is_received = |event: &Event| match event {
        Event::Received(_, receipts) => receipts.iter().any(|receipt| receipt.message == number),
        _ => false,
    };
    assert!(events.iter().any(is_received), "{events:?}");
    assert!(bob.describe(at_bob).send.len() == 1, "{events:?}");
    drop(silent);
    world.start(0, ServerConfig::default());
    // She is told of the server too.
    let events = alice.others_within(HOUR);
    let bodies = events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(&message.body[..]),
        _ => None,
    });
    assert_eq!(bodies.collect::<Vec<_>>(), [b"and more"]);
    assert!(is_at(&alice, at_alice, &world.address(2)));
}

/// What was said of a queue that was given up since comes late, after what was said of the next one: that one takes the place.
#[test]
fn a_queue_that_was_given_up_does_not_push_out_the_next_one() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    let old = {
        let queue = &alice.store.connection(at_alice).receive[0];
        SenderQueue { server: queue.server.clone(), sender_id: queue.sender_id.clone() }
    };
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    world.crash(2);
    bob.start();
    assert_eq!(phases_with_errors(&mut alice), [(SwitchSide::Receive, SwitchPhase::Confirmed)]);
    let address = QueueAddress {
        server: world.address(2),
        sender_id: EntityId::from([9; 24]),
        dh_key: DhPublicKey([9; 32]),
        mode: None,
    };
    let queue = QueueUri { versions: VersionRange::new(Version(1), Version(4)).unwrap(), address };
    let given_up = AMessage::QueueAdd(NonEmpty::one(AddedQueue { queue, replaced: Some(old) }));
    world.crash(1);
    say(&mut alice, at_alice, Some(1), &given_up);
    world.start(1, ServerConfig::default());
    alice.start();
    bob.others_within(HOUR);
    assert_eq!(bob.describe(at_bob).send.len(), 3, "the old one, the new one, and what came late");
    world.start(2, ServerConfig::default());
    let last = phases_with_errors(&mut alice).last().copied();
    assert_eq!(last, Some((SwitchSide::Receive, SwitchPhase::Completed)));
    assert!(is_at(&alice, at_alice, &world.address(2)));
    bob.others_within(HOUR);
    assert_eq!(bob.describe(at_bob).send.len(), 1);
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
}

/// Whoever does not want it any more keeps the old queue, and may begin again.
#[test]
fn a_switch_is_given_up_and_begun_again() {
    let world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    assert_eq!(alice.switch(at_alice), PROHIBITED);
    let receive = alice.describe(at_alice).receive;
    assert!(receive[1].switch == Some(ReceiveSwitch::Adding) && receive[1].can_abort);
    assert_eq!(alice.abort_switch(at_alice), Ok(()));
    assert_eq!(alice.abort_switch(at_alice), PROHIBITED);
    alice.others_within(HOUR);
    assert!(is_at(&alice, at_alice, &world.address(0)));
    assert_eq!(alice.store.connection(at_alice).receive.len(), 1, "it was deleted at its server");
    bob.start();
    let events = alice.others_within(HOUR);
    assert!(matches!(events[..], [Event::Error(_, AgentError::Peer(PeerError::Queue))]), "{events:?}");
    assert!(bob.describe(at_bob).send[1].switch == Some(SendSwitch::Keying));
    assert_eq!(alice.switch(at_alice), Ok(()));
    assert_eq!(phases(&mut alice).len(), 3);
    assert!(is_at(&alice, at_alice, &world.address(2)));
    let number = alice.store.connection(at_alice).receive[0].number.0;
    assert_eq!(number, 3, "that of the queue that was given up is not used again");
    assert_eq!(bob.describe(at_bob).send.len(), 1);
    bob.bodies();
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
}

/// What was left to do at servers is done although the connection is gone too.
#[test]
fn a_queue_that_was_given_up_is_deleted_after_its_connection() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, _) = meet_at(&world, &mut alice, &mut bob);
    // Those of other connections.
    let (connections, queues) = (alice.agent_store_connections() - 1, world.queues(2));
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    world.crash(2);
    assert_eq!(alice.abort_switch(at_alice), Ok(()));
    assert_eq!(world.runtime.block_on(alice.agent().delete(at_alice, false)), Ok(()));
    alice.others_within(Duration::from_secs(60));
    assert_eq!(world.queues(2), queues + 1, "the server is away");
    world.start(2, ServerConfig::default());
    alice.others_within(HOUR);
    assert_eq!((alice.agent_store_connections(), world.queues(2)), (connections, queues));
}

/// The new server is away for a while, which holds up no message; then the old one ends for ever, as soon as the other side may
/// use the new one: nobody waits for it.
#[test]
fn servers_that_are_away_hold_up_no_messages() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    world.crash(2);
    bob.start();
    assert_eq!(phases_with_errors(&mut alice), [(SwitchSide::Receive, SwitchPhase::Confirmed)]);
    assert_eq!(alice.describe(at_alice).receive.len(), 2);
    for number in 0..3_u8 {
        bob.send(at_bob, vec![number]).unwrap();
        assert_eq!(alice.bodies(), [vec![number]]);
        alice.send(at_alice, vec![number]).unwrap();
        assert_eq!(bob.bodies(), [vec![number]]);
    }
    // The other side is not told yet that the new queue is ready.
    world.crash(1);
    world.start(2, ServerConfig::default());
    assert_eq!(phases_with_errors(&mut alice), [(SwitchSide::Receive, SwitchPhase::Secured)]);
    assert_eq!(alice.abort_switch(at_alice), PROHIBITED);
    world.crash(0);
    bob.send(at_bob, "after").unwrap();
    world.start(1, ServerConfig::default());
    let mut events = alice.others_within(HOUR * 3);
    events.retain(|event| !matches!(event, Event::Sent(..) | Event::Error(..)));
    let [Event::Message(message), Event::Switch { phase: SwitchPhase::Completed, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((&*message.body, message.integrity), (&b"after"[..], MessageIntegrity::Ok));
    alice.acknowledge(message);
    assert!(is_at(&alice, at_alice, &world.address(2)));
    bob.send(at_bob, "more").unwrap();
    assert_eq!(alice.bodies(), ["more"]);
}

fn phases_with_errors(person: &mut Person) -> Vec<(SwitchSide, SwitchPhase)> {
    let events = person.others_within(HOUR * 3).into_iter();
    events
        .filter_map(|event| match event {
            Event::Switch { side, phase, .. } => Some((side, phase)),
            _ => None,
        })
        .collect()
}

#[test]
fn no_queue_is_made_on_a_server_that_is_away() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    world.crash(2);
    assert!(matches!(alice.switch(at_alice), Err(AgentError::Broker { .. })));
    assert!(is_at(&alice, at_alice, &world.address(0)));
    world.start(2, ServerConfig::default());
    // Until then the failure is remembered.
    world.pass(Duration::from_secs(3));
    assert_eq!(alice.switch(at_alice), Ok(()));
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
    assert!(is_at(&alice, at_alice, &world.address(2)));
}

/// Stops somebody who is about to say this, under another number than its own if one is given. His server is away.
fn say(person: &mut Person, connection: ConnectionId, number: Option<i64>, message: &AMessage) {
    let sent = person.send(connection, "in disguise").unwrap();
    person.stop();
    person.store.change_sent(connection, sent, |sent| {
        let OutgoingContent::Ratchet { plaintext, .. } = &mut sent.content else { panic!("it was sent") };
        let id = number.unwrap_or(sent.sender_id);
        let message =
            AgentMessage::Message { id, previous_hash: MessageHash::NONE, message: message.clone() };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        *plaintext = bytes.into();
    });
}

/// What a hostile agent says of queues is told as its fault, changes nothing and holds up nothing.
#[test]
fn nonsense_about_queues_is_refused() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    let server = world.address(2);
    let address = QueueAddress {
        server: server.clone(),
        sender_id: EntityId::from([7; 24]),
        dh_key: DhPublicKey([9; 32]),
        mode: None,
    };
    let versions = VersionRange::new(Version(1), Version(4)).unwrap();
    let unknown = SenderQueue { server, sender_id: EntityId::from([7; 24]) };
    let known = {
        let queue = &bob.store.connection(at_bob).receive[0];
        SenderQueue { server: queue.server.clone(), sender_id: queue.sender_id.clone() }
    };
    let mut to_known = address.clone();
    (to_known.server, to_known.sender_id) = (known.server.clone(), known.sender_id.clone());
    let add = |address: &QueueAddress, replaced| {
        let queue = QueueUri { versions, address: address.clone() };
        AMessage::QueueAdd(NonEmpty::one(AddedQueue { queue, replaced }))
    };
    let key = |version, address: &QueueAddress| {
        let queue = QueueInfo { version: Version(version), address: address.clone() };
        AMessage::QueueKey(NonEmpty::one(KeyedQueue { queue, sender_key: AuthPublicKey::Ed25519([1; 32]) }))
    };
    let ready = |queue: &SenderQueue| {
        AMessage::QueueUse(NonEmpty::one(ReadyQueue { queue: queue.clone(), primary: true }))
    };
    let all = [
        add(&address, None),
        add(&address, Some(unknown.clone())),
        add(&to_known, Some(known.clone())),
        key(4, &address),
        key(4, &to_known),
        key(9, &address),
        ready(&unknown),
        ready(&known),
    ];
    for message in all {
        world.crash(0);
        say(&mut bob, at_bob, None, &message);
        world.start(0, ServerConfig::default());
        bob.start();
        let events = alice.others_within(HOUR);
        let is_fault =
            matches!(events[..], [Event::Error(_, AgentError::Peer(PeerError::Queue | PeerError::Version))]);
        assert!(is_fault, "{message:?}: {:?}", events.iter().map(tell).collect::<Vec<_>>());
        assert!(is_at(&alice, at_alice, &world.address(0)) && alice.describe(at_alice).send.len() == 1);
    }
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
}

/// Either side renews the ratchet at any time of a switch. Both come to their end.
#[test]
fn a_switch_ends_though_the_ratchet_is_renewed_meanwhile() {
    for who in 0..2 {
        for turns in (0..).step_by(7) {
            let world = World::new(3);
            let (mut alice, mut bob) = people(&world);
            let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
            drop(alice.agent().switch(at_alice));
            let is_busy = world.turn(turns);
            match who {
                0 => drop(alice.agent().synchronize_ratchet(at_alice, true)),
                _ => drop(bob.agent().synchronize_ratchet(at_bob, true)),
            }
            let context = format!("{who} after {turns} turns");
            for _ in 0..2 {
                for person in [&mut alice, &mut bob] {
                    let events = person.others_within(HOUR);
                    assert!(!events.iter().any(|event| matches!(event, Event::Error(..))), "{context}");
                }
            }
            if !is_at(&alice, at_alice, &world.address(2)) {
                // The queue was not made before the ratchets parted.
                assert!(is_at(&alice, at_alice, &world.address(0)), "{context}");
                assert_eq!(alice.switch(at_alice), Ok(()), "{context}");
                alice.others_within(HOUR);
                assert!(is_at(&alice, at_alice, &world.address(2)), "{context}");
            }
            assert!(bob.describe(at_bob).send.len() == 1, "{context}");
            bob.others_within(HOUR);
            bob.send(at_bob, "hello").unwrap();
            assert_eq!(alice.bodies(), ["hello"], "{context}");
            alice.send(at_alice, "hello too").unwrap();
            assert_eq!(bob.bodies(), ["hello too"], "{context}");
            if !is_busy {
                assert!(turns > 20, "there was hardly anything to cross");
                break;
            }
        }
    }
}

/// Bob's agent is set back before he is told of the new queue, so that he cannot read that he is.
#[test]
fn what_could_not_be_read_is_said_again() {
    let world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    let copy = bob.store.copy();
    for number in 0..2_u8 {
        alice.send(at_alice, vec![number]).unwrap();
        assert_eq!(bob.bodies(), [vec![number]]);
        bob.send(at_bob, vec![number]).unwrap();
        assert_eq!(alice.bodies(), [vec![number]]);
    }
    bob.stop();
    bob.store.restore(copy);
    bob.start();
    assert_eq!(alice.switch(at_alice), Ok(()));
    assert!(matches!(bob.step(), Event::RatchetSync { state: SyncState::Required, .. }));
    assert_eq!(bob.synchronize(at_bob, false), Ok(()));
    alice.others_within(HOUR);
    bob.others_within(HOUR);
    assert!(is_at(&alice, at_alice, &world.address(2)));
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.bodies(), ["hello"]);
}

/// While the ratchets are made anew a switch can be given up, because the other side does not use the new queue yet.
#[test]
fn a_switch_is_given_up_while_the_ratchet_is_renewed() {
    let world = World::new(3);
    let (mut alice, mut bob) = people(&world);
    let (at_alice, at_bob) = meet_at(&world, &mut alice, &mut bob);
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    assert_eq!(alice.synchronize(at_alice, true), Ok(()));
    assert_eq!(alice.abort_switch(at_alice), Ok(()));
    bob.start();
    alice.others_within(HOUR);
    bob.others_within(HOUR);
    assert!(is_at(&alice, at_alice, &world.address(0)));
    bob.send(at_bob, "hello").unwrap();
    assert!(alice.bodies().contains(&"hello".into()));
}
