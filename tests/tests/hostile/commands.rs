//! Blocks of commands that cost the server more than the peer.

use smp_core::crypto::AuthPrivateKey;
use smp_core::server::{ConnectionId, Limits, Session, SessionInput};
use smp_core::transport::ClientOptions;
use smp_core::wire::command::{QueueRequestData, SubscriptionMode};
use smp_core::wire::error::ErrorType;
use smp_core::wire::{BrokerMessage, Command, EntityId};
use smp_tests::in_memory::{InMemoryPeer, InMemoryServer, TestQueue};

use super::{alone, server};

/// Verifications of one connection before others get their turn: the limit, and one command more.
pub(crate) const IN_TURN_MAX: u64 = 64 + 16;

/// As many transmissions as a block may have.
const BATCH: usize = 255;

/// A queue with as many keys as it may have.
fn queue_of_many_keys(server: &mut InMemoryServer, peer: &mut InMemoryPeer) -> TestQueue {
    let queue = peer.create_as(server, SubscriptionMode::OnlyCreate, QueueRequestData::Contact(None));
    let mut keys: Vec<_> = (1..16).map(|_| peer.new_key().public()).collect();
    keys.push(queue.recipient_key.public());
    let command = Command::RKey(keys);
    let answers = peer.ask(server, Some(&queue.recipient_key), &queue.recipient_id, &command);
    assert!(matches!(answers[..], [(_, BrokerMessage::Ok)]), "{answers:?}");
    queue
}

fn verifications(server: &InMemoryServer, id: ConnectionId) -> u64 {
    server.session(id).map_or(0, Session::verifications)
}

fn has_work(server: &InMemoryServer, id: ConnectionId) -> bool {
    server.session(id).is_some_and(Session::has_work)
}

/// Sends commands and counts, step by step, how many verifications the server does in one go.
fn verified_in_turns(server: &mut InMemoryServer, peer: &mut InMemoryPeer, items: &[Vec<u8>]) -> Vec<u64> {
    let mut turns = Vec::new();
    for bytes in peer.blocks(items) {
        let mut before = verifications(server, peer.id);
        server.input_once(peer.id, SessionInput::Received(&bytes));
        loop {
            let after = verifications(server, peer.id);
            turns.push(after - before);
            before = after;
            if !has_work(server, peer.id) {
                break;
            }
            assert!(!server.wants_input(peer.id), "no more is read while there is work");
            server.work_once(peer.id);
        }
    }
    turns
}

#[test]
fn a_block_of_bad_commands_on_a_queue_of_many_keys_leaves_others_their_turn() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut owner = server.connect(ClientOptions::default());
    let queue = queue_of_many_keys(&mut server, &mut owner);
    let mut peer = server.connect(ClientOptions::default());
    let mut honest = server.connect(ClientOptions::default());
    let wrong = peer.new_key();
    let items: Vec<_> =
        (0..100).map(|_| peer.transmission(Some(&wrong), &queue.recipient_id, &Command::Sub)).collect();
    let turns = verified_in_turns(&mut server, &mut peer, &items);
    // Once each: nothing before them could have made them right.
    assert_eq!(turns.iter().sum::<u64>(), 100 * 16);
    assert!(turns.iter().all(|turn| *turn <= IN_TURN_MAX), "{turns:?}");
    assert!(turns.len() >= 100 * 16 / 80);
    peer.exchange(&mut server);
    let answers = peer.take();
    assert_eq!(answers.len(), 100);
    assert!(answers.iter().all(|(_, answer)| *answer == BrokerMessage::Err(ErrorType::Auth)));

    // In between another connection is served.
    let blocks = peer.blocks(&items);
    server.input_once(peer.id, SessionInput::Received(&blocks[0]));
    assert!(has_work(&server, peer.id));
    let answers = honest.ask(&mut server, None, &EntityId::empty(), &Command::Ping);
    assert!(matches!(answers[..], [(_, BrokerMessage::Pong)]));
    assert!(has_work(&server, peer.id));
}

/// A command is refused late, so a wrong one behind a right one is verified twice, and no more often.
#[test]
fn bad_commands_behind_good_ones_cost_two_verifications() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut peer = server.connect(ClientOptions::default());
    let queue = peer.create(&mut server, SubscriptionMode::OnlyCreate);
    let wrong = peer.new_key();
    let before = verifications(&server, peer.id);
    let command = |peer: &mut InMemoryPeer, key: &AuthPrivateKey| {
        peer.transmission(Some(key), &queue.recipient_id, &Command::Que)
    };
    let mut items = Vec::new();
    for _ in 0..40 {
        items.push(command(&mut peer, &queue.recipient_key));
        items.push(command(&mut peer, &wrong));
    }
    let blocks = peer.blocks(&items);
    for bytes in &blocks {
        server.input(peer.id, SessionInput::Received(bytes));
    }
    peer.exchange(&mut server);
    assert_eq!(peer.take().len(), 80);
    let after = verifications(&server, peer.id);
    assert!(after - before <= 40 + 2 * 40, "{}", after - before);
}

#[test]
fn blocks_of_255_bad_commands_are_answered() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut peer = server.connect(ClientOptions::default());
    for item in [
        // No transmission, no command, a command without what it needs.
        vec![255; 3],
        vec![0; 40],
        peer.transmission(None, &EntityId::empty(), &Command::Sub),
        peer.transmission(None, &[7; 24].into(), &Command::Ping),
    ] {
        let items = vec![item; BATCH];
        for bytes in peer.blocks(&items) {
            server.input(peer.id, SessionInput::Received(&bytes));
        }
        peer.exchange(&mut server);
        let answers = peer.take();
        assert_eq!(answers.len(), BATCH);
        assert!(answers.iter().all(|(_, answer)| matches!(answer, BrokerMessage::Err(_))), "{answers:?}");
    }
    assert_eq!(verifications(&server, peer.id), 0);
    assert_eq!(server.session(peer.id).map(Session::queued_bytes), Some(0));
}
