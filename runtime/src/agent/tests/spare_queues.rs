//! What else happens to connections that receive from several queues: rotation, loss, receipts, new ratchets, deletion, restarts.

use std::future::Future;
use std::task::{Context, Waker};

use smp_core::agent::store::{QueueStage, SyncState};
use smp_core::agent::{ConnectionId, Event};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentCommandError, AgentError, MessageIntegrity};
use smp_core::wire::error::ErrorType;

use super::redundancy::{MINUTE, over_two_servers, redundant, servers_of, settle, texts};
use super::*;

const PROHIBITED: Result<(), AgentError> = Err(AgentError::Command(AgentCommandError::Prohibited));

fn switch_from(world: &World, person: &Person, at: ConnectionId, server: usize) -> Result<(), AgentError> {
    world.runtime.block_on(person.agent().switch_from(at, world.address(server)))
}

/// Lets a rotation come to its end.
fn rotated(alice: &mut Person, bob: &mut Person) {
    for person in [alice, bob] {
        let events = person.others_within(HOUR);
        let is_quiet = |event: &Event| matches!(event, Event::Switch { .. } | Event::Sent(..));
        assert!(events.iter().all(is_quiet), "{:?}", events.iter().map(tell).collect::<Vec<_>>());
    }
}

fn restart(person: &mut Person) {
    person.stop();
    person.start();
}

/// The first queue moves to another server, again and again; the one beside it stays where it is, and serves when that server
/// fails. Who knows the first alone can follow it.
#[test]
fn the_first_queue_moves_and_the_others_stay() {
    for knows_one in [false, true] {
        let mut world = World::new(4);
        let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1, 2]), world.person(2, 3));
        bob.stop();
        bob.limits.send_queues = if knows_one { 1 } else { 4 };
        bob.start();
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        settle(&mut alice, &mut bob);
        let [first, beside] = servers_of(&alice, at_alice)[..] else { panic!("two queues") };
        let third = 3 - first - beside;
        for expected in [third, first, third] {
            assert_eq!(alice.switch(at_alice), Ok(()));
            bob.send(at_bob, "hello").unwrap();
            restart(&mut alice);
            assert_eq!(alice.bodies(), ["hello"]);
            rotated(&mut alice, &mut bob);
            assert_eq!(servers_of(&alice, at_alice), [expected, beside]);
            assert_eq!(bob.store.connection(at_bob).send.len(), if knows_one { 1 } else { 2 });
        }
        assert_eq!([first, beside, third].map(|server| world.queues(server)), [0, 1, 1]);
        if knows_one {
            assert_eq!(switch_from(&world, &alice, at_alice, beside), PROHIBITED);
            assert_eq!(switch_from(&world, &alice, at_alice, 3), PROHIBITED);
            continue;
        }
        world.crash(third);
        bob.send(at_bob, "one").unwrap();
        assert_eq!(alice.bodies(), ["one"]);
        world.start(third, ServerConfig::default());
        bob.send(at_bob, "two").unwrap();
        assert_eq!(alice.bodies(), ["two"]);
        // The one beside it moves, though it is the one in use now.
        assert_eq!(switch_from(&world, &alice, at_alice, beside), Ok(()));
        rotated(&mut alice, &mut bob);
        assert_eq!(servers_of(&alice, at_alice), [third, first]);
        bob.send(at_bob, "three").unwrap();
        assert_eq!(alice.bodies(), ["three"]);
    }
}

/// It is given up before the other side has heard of it.
#[test]
fn a_rotation_is_given_up_and_all_queues_stay() {
    let mut world = World::new(4);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1, 2]), world.person(2, 3));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    settle(&mut alice, &mut bob);
    let before = servers_of(&alice, at_alice);
    bob.stop();
    assert_eq!(alice.switch(at_alice), Ok(()));
    assert_eq!(alice.abort_switch(at_alice), Ok(()));
    alice.others_within(HOUR);
    assert_eq!(servers_of(&alice, at_alice), before);
    bob.start();
    alice.others_within(HOUR);
    for server in [before[0], before[1]] {
        world.crash(server);
        bob.send(at_bob, "hello").unwrap();
        assert_eq!(alice.bodies(), ["hello"]);
        world.start(server, ServerConfig::default());
    }
}

/// A server lost a queue for good. A rotation puts another one in its place, whichever it was.
#[test]
fn a_lost_queue_is_replaced() {
    for lost in 0..2 {
        let mut world = World::new(4);
        let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1, 2]), world.person(2, 3));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        settle(&mut alice, &mut bob);
        let before = servers_of(&alice, at_alice);
        let third = 3 - before[0] - before[1];
        world.forget(before[lost]);
        let refused = alice.others_within(MINUTE * 5);
        let [Event::Error(Some(at), AgentError::Smp { server, error: ErrorType::Auth })] = &refused[..]
        else {
            panic!("the queue is lost: {refused:?}")
        };
        assert!(*at == at_alice && **server == world.address(before[lost]));
        bob.send(at_bob, "one").unwrap();
        assert_eq!(alice.bodies(), ["one"]);
        restart(&mut bob);
        assert_eq!(switch_from(&world, &alice, at_alice, before[lost]), Ok(()));
        rotated(&mut alice, &mut bob);
        let mut expected = before.clone();
        expected[lost] = third;
        assert_eq!(servers_of(&alice, at_alice), expected);
        let send = bob.store.connection(at_bob).send;
        assert!(send.len() == 2 && send.iter().all(|queue| queue.stage != QueueStage::Disabled));
        for server in [third, before[1 - lost]] {
            world.crash(server);
            bob.send(at_bob, "two").unwrap();
            assert_eq!(alice.bodies(), ["two"]);
            world.start(server, ServerConfig::default());
        }
    }
}

/// The first server of each side is gone: what is told beside messages goes the other way too.
#[test]
fn receipts_go_through_the_other_queue() {
    let mut world = World::new(4);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), redundant(&world, 2, &[2, 3]));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    settle(&mut alice, &mut bob);
    world.crash(servers_of(&alice, at_alice)[0]);
    world.crash(servers_of(&bob, at_bob)[0]);
    let sent = bob.send(at_bob, "hello").unwrap();
    let message = alice.message();
    alice.acknowledge_with_receipt(&message);
    let received = bob.others_within(HOUR).into_iter().find_map(|event| match event {
        Event::Received(_, receipts) => Some(receipts),
        _ => None,
    });
    let receipts = received.expect("a receipt");
    assert!(receipts.len() == 1 && receipts[0].message == sent && receipts[0].is_intact);
}

fn agreed(alice: &mut Person, bob: &mut Person) {
    for person in [alice, bob] {
        assert_eq!(person.sync(), (SyncState::Agreed, None));
        assert_eq!(person.sync(), (SyncState::Ok, None));
    }
}

/// With a new ratchet all queues go on; and a new one is agreed on through whichever queue can be used.
#[test]
fn a_new_ratchet_is_for_all_queues() {
    let mut world = World::new(4);
    let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), redundant(&world, 2, &[2, 3]));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    settle(&mut alice, &mut bob);
    let firsts = [servers_of(&alice, at_alice)[0], servers_of(&bob, at_bob)[0]];
    for is_down in [false, true] {
        assert_eq!(bob.synchronize(at_bob, true), Ok(()));
        agreed(&mut alice, &mut bob);
        if !is_down {
            firsts.iter().for_each(|server| world.crash(*server));
        }
        for number in 0..3 {
            bob.send(at_bob, vec![number]).unwrap();
            alice.send(at_alice, vec![number]).unwrap();
        }
        assert_eq!(alice.bodies(), texts(0..3));
        assert_eq!(bob.bodies(), texts(0..3));
    }
    firsts.iter().for_each(|server| world.start(*server, ServerConfig::default()));
    restart(&mut alice);
    bob.send(at_bob, vec![3]).unwrap();
    assert_eq!(alice.bodies(), texts(3..4));
}

/// Keys for a new ratchet come through one queue while messages of the old one are in the other: these are read before.
#[test]
fn keys_for_a_new_ratchet_wait_for_the_messages_before_them() {
    let (mut world, mut alice, mut bob, at_alice, at_bob) = over_two_servers();
    let first = servers_of(&alice, at_alice)[0];
    alice.stop();
    for number in 0..3 {
        bob.send(at_bob, vec![number]).unwrap();
    }
    bob.others_within(MINUTE);
    world.crash(first);
    assert_eq!(bob.synchronize(at_bob, true), Ok(()));
    bob.others_within(MINUTE * 3);
    alice.start();
    assert!(alice.others_within(MINUTE * 2).is_empty());
    world.start(first, ServerConfig::default());
    for number in 0..3_u8 {
        let message = alice.message();
        assert_eq!((&*message.body, message.integrity), (&[number][..], MessageIntegrity::Ok));
        alice.acknowledge(&message);
    }
    agreed(&mut alice, &mut bob);
    bob.send(at_bob, "after").unwrap();
    assert_eq!(alice.bodies(), ["after"]);
    alice.send(at_alice, "after").unwrap();
    assert_eq!(bob.bodies(), ["after"]);
}

/// All queues are deleted at their servers, when these can be reached.
#[test]
fn all_queues_of_a_deleted_connection_are_deleted() {
    let (mut world, mut alice, mut bob, at_alice, at_bob) = over_two_servers();
    let [first, beside] = servers_of(&alice, at_alice)[..] else { panic!("two queues") };
    world.crash(beside);
    alice.runtime().block_on(alice.agent().delete(at_alice, false)).unwrap();
    let events = alice.others_within(MINUTE);
    assert!(matches!(events[..], [Event::QueueDeleted { error: None, .. }]), "{events:?}");
    restart(&mut alice);
    world.start(beside, ServerConfig::default());
    let events = alice.others_within(HOUR);
    assert!(matches!(events[..], [Event::QueueDeleted { error: None, .. }, Event::Deleted(_)]), "{events:?}");
    assert_eq!((world.queues(first), world.queues(beside)), (0, 0));
    // Whoever goes on to send learns it of both.
    bob.send(at_bob, "hello").unwrap();
    let events = bob.others_within(HOUR);
    assert!(matches!(events[..], [Event::NotSent(..)]), "{events:?}");
}

/// Either agent or any server is interrupted, at any time after the first server failed and while the other queue is taken.
#[test]
fn a_fail_over_goes_on_after_interruptions() {
    for who in 0..4_usize {
        for seconds in [0, 59, 60, 62, 90] {
            for turns in [0, 2, 5, 9, 14, 30] {
                let (mut world, mut alice, mut bob, at_alice, at_bob) = over_two_servers();
                let [first, beside] = servers_of(&alice, at_alice)[..] else { panic!("two queues") };
                (0..3).for_each(|number| _ = bob.send(at_bob, vec![number]).unwrap());
                world.turn(turns);
                world.crash(first);
                (3..5).for_each(|number| _ = bob.send(at_bob, vec![number]).unwrap());
                world.pass(std::time::Duration::from_secs(seconds));
                world.turn(turns);
                match who {
                    0 => restart(&mut alice),
                    1 => restart(&mut bob),
                    2 => {
                        world.crash(beside);
                        world.start(beside, ServerConfig::default());
                    }
                    _ => {}
                }
                bob.send(at_bob, vec![5]).unwrap();
                bob.others_within(MINUTE * 2);
                world.start(first, ServerConfig::default());
                bob.send(at_bob, vec![6]).unwrap();
                assert_eq!(alice.bodies(), texts(0..7), "{who} after {seconds} s and {turns} turns");
            }
        }
    }
}

/// The same while the other queue is made ready.
#[test]
fn an_introduction_goes_on_after_interruptions() {
    for who in 0..4_usize {
        for turns in 0.. {
            let mut world = World::new(3);
            let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), world.person(2, 2));
            let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
            let is_busy = world.turn(turns);
            let [first, beside] = servers_of(&alice, at_alice)[..] else { panic!("two queues") };
            match who {
                0 => restart(&mut alice),
                1 => restart(&mut bob),
                server => {
                    let server = [first, beside][server - 2];
                    world.crash(server);
                    world.start(server, ServerConfig::default());
                }
            }
            settle(&mut alice, &mut bob);
            world.crash(first);
            bob.send(at_bob, "hello").unwrap();
            assert_eq!(alice.bodies(), ["hello"], "{who} after {turns} turns");
            if !is_busy {
                break;
            }
        }
    }
}

/// Whoever joins does not hear that his confirmation arrived, and that queue fails: the recipient has it, so that it goes nowhere else.
#[test]
fn a_confirmation_that_arrived_goes_to_no_other_queue() {
    let mut unheard = 0;
    for turns in 0.. {
        let mut world = World::new(3);
        let (mut alice, mut bob) = (redundant(&world, 1, &[0, 1]), world.person(2, 2));
        let (at_alice, request) = alice.invite(false);
        let at_bob = ConnectionId::new([1; 12]);
        let mut joining = Box::pin(bob.agent().join(at_bob, world::USER, request, "bob".into(), false));
        let is_busy = world.turn(turns);
        let has_joined = joining.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        bob.stop();
        // What was on its way to her server is there.
        if let Some(Event::Confirmation { confirmation, .. }) = alice.others_within(MINUTE).pop() {
            unheard += usize::from(!has_joined);
            alice.allow(at_alice, confirmation, "alice");
            world.crash(servers_of(&alice, at_alice)[0]);
            bob.start();
            bob.others_within(MINUTE * 5);
            bob.send(at_bob, "hello").unwrap();
            assert_eq!(alice.bodies(), ["hello"], "after {turns} turns");
        }
        if !is_busy {
            assert!(unheard > 0, "the answer was always heard");
            return;
        }
    }
}

/// Bob, who receives from two servers, has joined, and sent a message before he was allowed.
fn joined_early() -> (World, Person, Person, ConnectionId, ConnectionId) {
    let world = World::new(3);
    let (alice, mut bob) = (world.person(1, 2), redundant(&world, 2, &[0, 1]));
    let (at_alice, request) = alice.invite(false);
    let (at_bob, joined) = bob.join(request, "bob", false);
    assert_eq!(joined, Ok(true));
    bob.send(at_bob, "early").unwrap();
    (world, alice, bob, at_alice, at_bob)
}

/// Whoever is asked hears of the other side before its own confirmation arrived: messages do not overtake that through another queue.
#[test]
fn no_message_overtakes_a_confirmation_through_another_queue() {
    let (mut world, mut alice, mut bob, at_alice, at_bob) = joined_early();
    let (confirmation, _) = alice.confirmation();
    let [first, beside] = servers_of(&bob, at_bob)[..] else { panic!("two queues") };
    world.crash(first);
    alice.allow(at_alice, confirmation, "alice");
    assert_eq!(alice.bodies(), ["early"]);
    alice.send(at_alice, "hello").unwrap();
    assert!(alice.store.connection(at_alice).send.len() == 2 && beside != first);
    alice.others_within(MINUTE * 10);
    assert!(bob.bodies().is_empty(), "it came before who sends it");
    world.start(first, ServerConfig::default());
    assert_eq!(bob.info(), "alice");
    bob.connected();
    assert_eq!(bob.bodies(), ["hello"]);
}

/// The same when the confirmation is at a server that has not delivered it.
#[test]
fn no_message_overtakes_a_confirmation_that_waits_at_its_server() {
    let (mut world, mut alice, mut bob, at_alice, at_bob) = joined_early();
    bob.others_within(MINUTE);
    let first = servers_of(&bob, at_bob)[0];
    bob.stop();
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    assert_eq!(alice.bodies(), ["early"]);
    world.crash(first);
    alice.send(at_alice, "hello").unwrap();
    alice.others_within(MINUTE * 5);
    bob.start();
    assert!(bob.bodies().is_empty(), "it came before who sends it");
    world.start(first, ServerConfig::default());
    assert_eq!(bob.info(), "alice");
    bob.connected();
    assert_eq!(bob.bodies(), ["hello"]);
}
