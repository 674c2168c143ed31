//! What comes and goes leaves nothing behind.

use smp_core::SeededEntropy;
use smp_core::crypto::{AuthPrivateKey, X25519PrivateKey};
use smp_core::server::{Limits, SessionInput};
use smp_core::transport::ClientOptions;
use smp_core::wire::command::{NewQueue, QueueRequestData, SubscriptionMode};
use smp_core::wire::{BrokerMessage, Command, EntityId};
use smp_tests::in_memory::{InMemoryPeer, InMemoryServer};
use stats_alloc::Region;

use super::{ALLOCATOR, alone, assert_serves, held, leave, server};

/// Bytes that may be left after a hundred thousand of something: a few buffers.
pub(crate) const LEFT_MAX: usize = 64 * 1024;

/// Sends transmissions in as few blocks as hold them and takes the answers.
fn ask_all(
    server: &mut InMemoryServer,
    peer: &mut InMemoryPeer,
    items: &[Vec<u8>],
) -> Vec<(EntityId, BrokerMessage)> {
    let mut answers = Vec::new();
    for bytes in peer.blocks(items) {
        assert!(server.wants_input(peer.id));
        server.input(peer.id, SessionInput::Received(&bytes));
        peer.exchange(server);
        answers.extend(peer.take());
    }
    assert_eq!(answers.len(), items.len());
    answers
}

/// Creates queues and deletes them again. The command that creates one is the same each time, so it is signed once.
fn create_and_delete(server: &mut InMemoryServer, peer: &mut InMemoryPeer, count: usize) {
    let mut entropy = SeededEntropy::new([3; 32]);
    let key = AuthPrivateKey::X25519(X25519PrivateKey::generate(&mut entropy));
    let new = NewQueue {
        recipient_key: key.public(),
        dh_key: X25519PrivateKey::generate(&mut entropy).public(),
        password: None,
        subscribe: SubscriptionMode::Subscribe,
        queue_data: Some(QueueRequestData::Messaging(None)),
        notifier: None,
    };
    let new = peer.transmission(Some(&key), &EntityId::empty(), &Command::New(Box::new(new)));
    let mut deletions = Vec::new();
    for answer in ask_all(server, peer, &vec![new; count]) {
        let (_, BrokerMessage::Ids(ids)) = answer else { panic!("not created: {answer:?}") };
        deletions.push(peer.transmission(Some(&key), &ids.recipient_id, &Command::Del));
    }
    assert_eq!(server.broker.subscriptions(), count);
    let answers = ask_all(server, peer, &deletions);
    assert!(answers.iter().all(|(_, answer)| *answer == BrokerMessage::Ok));
}

#[test]
fn queues_by_the_hundred_thousand() {
    const ROUNDS: usize = 10;
    const QUEUES: usize = 10_000;
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut peer = server.connect(ClientOptions::default());
    create_and_delete(&mut server, &mut peer, 10);
    let region = Region::new(ALLOCATOR);
    for _ in 0..ROUNDS {
        create_and_delete(&mut server, &mut peer, QUEUES);
        assert_eq!(server.broker.subscriptions(), 0);
    }
    println!("{} queues leave {} bytes", ROUNDS * QUEUES, held(&region));
    assert!(held(&region) <= LEFT_MAX, "{}", held(&region));
    assert_serves(&mut server);
}

#[test]
fn subscriptions_by_the_ten_thousand() {
    const QUEUES: usize = 100;
    let _turn = alone();
    let mut server = server(Limits::default());
    let mut owner = server.connect(ClientOptions::default());
    let queues: Vec<_> =
        (0..QUEUES).map(|_| owner.create(&mut server, SubscriptionMode::OnlyCreate)).collect();
    let mut peers = [server.connect(ClientOptions::default()), server.connect(ClientOptions::default())];
    let turn = |server: &mut InMemoryServer, peers: &mut [InMemoryPeer; 2], n: usize| {
        let peer = &mut peers[n % 2];
        let items: Vec<_> = queues
            .iter()
            .map(|queue| peer.transmission(Some(&queue.recipient_key), &queue.recipient_id, &Command::Sub))
            .collect();
        let answers = ask_all(server, peer, &items);
        assert!(answers.iter().all(|(_, answer)| *answer == BrokerMessage::Sok(None)));
        server.pass(std::time::Duration::from_secs(1));
        peers.iter_mut().for_each(|peer| {
            peer.exchange(server);
            peer.take();
        });
    };
    (0..2).for_each(|n| turn(&mut server, &mut peers, n));
    let region = Region::new(ALLOCATOR);
    (2..100).for_each(|n| turn(&mut server, &mut peers, n));
    println!("10000 subscriptions leave {} bytes", held(&region));
    assert!(held(&region) <= LEFT_MAX, "{}", held(&region));
    assert_eq!(server.broker.subscriptions(), QUEUES);
    peers.into_iter().for_each(|peer| leave(&mut server, peer));
    assert_eq!(server.broker.subscriptions(), 0);
    assert_serves(&mut server);
}

#[test]
fn connections_by_the_hundred() {
    const CONNECTIONS: usize = 300;
    let _turn = alone();
    let mut server = server(Limits::default());
    let come_and_go = |server: &mut InMemoryServer| {
        let mut peer = server.connect(ClientOptions::default());
        let queue = peer.create(server, SubscriptionMode::Subscribe);
        let get = peer.create(server, SubscriptionMode::OnlyCreate);
        peer.ask(server, Some(&get.recipient_key), &get.recipient_id, &Command::Get);
        for queue in [queue, get] {
            let answers = peer.ask(server, Some(&queue.recipient_key), &queue.recipient_id, &Command::Del);
            assert!(matches!(answers[..], [(_, BrokerMessage::Ok)]), "{answers:?}");
        }
        leave(server, peer);
    };
    (0..10).for_each(|_| come_and_go(&mut server));
    let region = Region::new(ALLOCATOR);
    (0..CONNECTIONS).for_each(|_| come_and_go(&mut server));
    println!("{CONNECTIONS} connections leave {} bytes", held(&region));
    assert!(held(&region) <= LEFT_MAX / 4, "{}", held(&region));
}
