//! Peers that take nothing of what they cause.

use smp_core::server::{CloseReason, Limits, SessionInput};
use smp_core::transport::ClientOptions;
use smp_core::wire::command::SubscriptionMode;
use smp_core::wire::{BrokerMessage, Command, EntityId, MessageId, Version};
use smp_tests::in_memory::{InMemoryPeer, InMemoryServer, TestQueue, send};
use stats_alloc::Region;

use super::{ALLOCATOR, BLOCK, alone, assert_serves, held, leave, push, server};

/// Bytes that a connection holds whose peer reads nothing and sends whatever it can: `output_bytes`, the answers to what
/// was read last, and `deliveries_in_flight` messages.
pub(crate) const READER_MAX: usize = 256 * 1024 + 4 * BLOCK + 8 * 17 * 1024;
/// Bytes that an ended subscription holds that its peer has not been told of.
pub(crate) const ENDED_MAX: usize = 160;
/// Bytes that subscribing to the same queues again and again holds beyond what one reader may.
pub(crate) const AGAIN_MAX: usize = 64 * 1024;

/// Queues with a message of full length each.
fn full_queues(server: &mut InMemoryServer, count: usize) -> Vec<TestQueue> {
    let mut peer = server.connect(ClientOptions::default());
    let body = vec![7; Version::MAX.message_length_max()];
    let queues = (0..count).map(|_| {
        let queue = peer.create(server, SubscriptionMode::OnlyCreate);
        let answers = peer.ask(server, None, &queue.sender_id, &send(&body));
        assert!(matches!(answers[..], [(_, BrokerMessage::Ok)]));
        queue
    });
    let queues = queues.collect();
    leave(server, peer);
    queues
}

/// The bytes of blocks that subscribe to all of these.
fn subscriptions(peer: &mut InMemoryPeer, queues: &[TestQueue]) -> Vec<Vec<u8>> {
    let items: Vec<_> = queues
        .iter()
        .map(|queue| peer.transmission(Some(&queue.recipient_key), &queue.recipient_id, &Command::Sub))
        .collect();
    peer.blocks(&items)
}

/// Sends a block if the server reads it; one that is not sent must not be made, because its key would be missed.
fn push_one(server: &mut InMemoryServer, peer: &mut InMemoryPeer, items: &[Vec<u8>]) -> bool {
    server.wants_input(peer.id) && push(server, peer.id, &peer.blocks(items))
}

#[test]
fn a_flood_of_pings_is_not_read_for_ever() {
    let _turn = alone();
    let mut server = server(Limits::default());
    // The first message makes what counts queues, once.
    assert_serves(&mut server);
    let mut peer = server.connect(ClientOptions::default());
    let region = Region::new(ALLOCATOR);
    let ping = peer.transmission(None, &EntityId::empty(), &Command::Ping);
    let items = vec![ping; 255];
    let read = (0..1000).take_while(|_| push_one(&mut server, &mut peer, &items)).count();
    let bytes = held(&region);
    println!("a flood of pings holds {bytes} bytes after {read} blocks");
    assert!(read < 20 && bytes <= READER_MAX, "{read} blocks, {bytes} bytes");
    assert_serves(&mut server);
    // As soon as the peer reads, it is read.
    peer.exchange(&mut server);
    assert_eq!(peer.take().len(), read * 255);
    assert!(server.wants_input(peer.id));

    while push_one(&mut server, &mut peer, &items) {}
    server.pass(Limits::default().stalled_output);
    assert_eq!(server.closed(peer.id), Some(CloseReason::Stalled));
    server.take_output(peer.id);
    assert!(held(&region) < 3 * BLOCK, "{} bytes are left", held(&region));
}

#[test]
fn messages_that_are_not_read_wait_for_the_next_subscriber() {
    const QUEUES: usize = 40;
    let _turn = alone();
    let mut server = server(Limits::default());
    let queues = full_queues(&mut server, QUEUES);
    let mut peer = server.connect(ClientOptions::default());
    let region = Region::new(ALLOCATOR);
    for blocks in queues.chunks(10).map(|queues| subscriptions(&mut peer, queues)).collect::<Vec<_>>() {
        push(&mut server, peer.id, &blocks);
    }
    let bytes = held(&region);
    println!("a subscriber that does not read holds {bytes} bytes");
    assert!(bytes <= READER_MAX, "{bytes}");
    server.pass(Limits::default().stalled_output);
    assert_eq!(server.closed(peer.id), Some(CloseReason::Stalled));
    assert_eq!(server.broker.subscriptions(), 0);
    server.take_output(peer.id);

    let mut next = server.connect(ClientOptions::default());
    let mut received = 0;
    for queues in queues.chunks(10) {
        let blocks = subscriptions(&mut next, queues);
        assert!(push(&mut server, next.id, &blocks));
        next.exchange(&mut server);
        received += next.take().iter().filter(|(_, m)| matches!(m, BrokerMessage::Msg { .. })).count();
    }
    assert_eq!(received, QUEUES, "nothing is lost");
}

#[test]
fn ends_of_subscriptions_are_told_a_few_at_a_time() {
    const QUEUES: usize = 3000;
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut former = server.connect(ClientOptions::default());
    let queues: Vec<_> =
        (0..QUEUES).map(|_| former.create(&mut server, SubscriptionMode::Subscribe)).collect();
    let mut peer = server.connect(ClientOptions::default());
    let region = Region::new(ALLOCATOR);
    for queues in queues.chunks(50) {
        let blocks = subscriptions(&mut peer, queues);
        assert!(push(&mut server, peer.id, &blocks));
        peer.exchange(&mut server);
    }
    peer.take();
    server.pass(std::time::Duration::from_secs(1));
    let bytes = held(&region) / QUEUES;
    println!("an ended subscription holds {bytes} bytes");
    assert!(bytes <= ENDED_MAX, "{bytes}");
    let waits = server.session(former.id).map_or(0, smp_core::server::Session::queued_bytes);
    assert!(
        waits <= (Limits::default().deliveries_in_flight + 1) * 17 * 1024,
        "{waits} bytes wait for the socket"
    );
    // Whoever reads hears of all of them.
    former.exchange(&mut server);
    let told = former.take();
    let ends = told.iter().filter(|(_, message)| matches!(message, BrokerMessage::End)).count();
    assert_eq!((ends, told.len()), (QUEUES, QUEUES));
    assert_eq!(server.broker.subscriptions(), QUEUES);
}

/// Each SUB of a queue with a message made it wait for a slot once more, so a peer that read just enough to be read made
/// the broker hold more and more.
#[test]
fn subscribing_again_and_again_waits_once() {
    const QUEUES: usize = 60;
    let _turn = alone();
    let mut server = server(Limits::default());
    let queues = full_queues(&mut server, QUEUES);
    let mut peer = server.connect(ClientOptions::default());
    let region = Region::new(ALLOCATOR);
    let mut unread = std::collections::VecDeque::new();
    for _ in 0..120 {
        unread.extend(server.take_output(peer.id));
        while !server.wants_input(peer.id) {
            let bytes: Vec<u8> = unread.pop_front().expect("output that is waited for");
            peer.take_bytes(server.now, &bytes);
            server.input(peer.id, SessionInput::Sent(bytes.len()));
            unread.extend(server.take_output(peer.id));
        }
        peer.take();
        let blocks = subscriptions(&mut peer, &queues);
        assert!(push(&mut server, peer.id, &blocks));
    }
    let bytes = held(&region);
    println!("a subscriber again and again holds {bytes} bytes");
    assert!(bytes <= READER_MAX + AGAIN_MAX, "{bytes}");
    assert_eq!(server.broker.subscriptions(), QUEUES);
}

/// A message that was not taken by a socket is the subscriber's all the same; after the end of its connection it is the
/// next one's, in order.
#[test]
fn the_order_of_a_queue_survives_a_reader_that_stops() {
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut sender = server.connect(ClientOptions::default());
    let queue = sender.create(&mut server, SubscriptionMode::OnlyCreate);
    for body in 0..5 {
        sender.ask(&mut server, None, &queue.sender_id, &send(&[body]));
    }
    let mut ids: Vec<MessageId> = Vec::new();
    for _ in 0..5 {
        let mut stuck = server.connect(ClientOptions::default());
        let blocks = subscriptions(&mut stuck, std::slice::from_ref(&queue));
        push(&mut server, stuck.id, &blocks);
        server.pass(Limits::default().stalled_output);
        assert_eq!(server.closed(stuck.id), Some(CloseReason::Stalled));

        let mut next = server.connect(ClientOptions::default());
        let answers = next.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &Command::Sub);
        let id = answers.iter().find_map(|(_, message)| match message {
            BrokerMessage::Msg { id, .. } => Some(id.clone()),
            _ => None,
        });
        let id = id.expect("a message");
        assert!(!ids.contains(&id));
        ids.push(id.clone());
        next.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &Command::Ack(id));
        leave(&mut server, next);
    }
}
