//! The server's session, driven in memory block by block.

use std::sync::Arc;
use std::time::Duration;

use smp_core::crypto::{AuthPrivateKey, Nonce};
use smp_core::server::proxy::{ProxyInput, ProxyOutput};
use smp_core::server::{CloseReason, ServerConfig, SessionInput};
use smp_core::transport::identity::{Algorithm, self_signed_client};
use smp_core::transport::{ClientOptions, ServerOptions, ServiceIdentity, ServiceKey};
use smp_core::wire::codec::decode_all;
use smp_core::wire::command::{QueueRequestData, RelayRequest, SubscriptionMode};
use smp_core::wire::error::{CommandError, ErrorType};
use smp_core::wire::{
    BrokerMessage, Command, EntityId, Host, MessageId, QueueSet, ReceivedBody, ServerAddress, ServiceRole,
    Version, VersionRange,
};
use smp_core::{SeededEntropy, UnixTime};
use smp_tests::in_memory::{InMemoryPeer, InMemoryServer, TestQueue, send};

const OK: BrokerMessage = BrokerMessage::Ok;
const AUTH: BrokerMessage = BrokerMessage::Err(ErrorType::Auth);

fn server() -> InMemoryServer {
    InMemoryServer::new(ServerConfig::default(), ServerOptions::default())
}

fn at(version: u16) -> ClientOptions {
    ClientOptions { versions: VersionRange::only(Version(version)), ..ClientOptions::default() }
}

/// The ids and bodies of the messages among these.
fn open(queue: &TestQueue, messages: &[(EntityId, BrokerMessage)]) -> Vec<(MessageId, Vec<u8>)> {
    let messages = messages.iter().filter_map(|(_, message)| match message {
        BrokerMessage::Msg { id, body } => Some((id.clone(), body)),
        _ => None,
    });
    messages
        .map(|(id, body)| {
            let nonce = Nonce::from_slice(id.as_bytes());
            let plain = queue.secret.box_key().open_padded(&nonce, body).expect("a box").into();
            let ReceivedBody::Message { body, .. } =
                decode_all(&plain, ReceivedBody::decode).expect("a body")
            else {
                panic!("a quota marker")
            };
            (id, body.to_vec())
        })
        .collect()
}

fn only(messages: Vec<(EntityId, BrokerMessage)>) -> BrokerMessage {
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.into_iter().next().expect("one").1
}

/// Sends several commands in one block.
fn ask_all(
    server: &mut InMemoryServer,
    peer: &mut InMemoryPeer,
    commands: &[(Option<&AuthPrivateKey>, &EntityId, Command)],
) -> Vec<BrokerMessage> {
    let items: Vec<_> =
        commands.iter().map(|(key, entity, command)| peer.transmission(*key, entity, command)).collect();
    for bytes in peer.blocks(&items) {
        server.input(peer.id, SessionInput::Received(&bytes));
    }
    peer.exchange(server);
    peer.take().into_iter().map(|(_, message)| message).collect()
}

#[test]
fn a_queue_lives_at_every_version() {
    for version in 6..=20 {
        let mut server = server();
        let (mut recipient, mut sender) = (server.connect(at(version)), server.connect(at(version)));
        let queue = recipient.create(&mut server, SubscriptionMode::Subscribe);
        let key = sender.new_key();
        let secure = Command::Key(key.public());
        let answer = recipient.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &secure);
        assert_eq!(only(answer), OK, "v{version}");
        assert_eq!(only(sender.ask(&mut server, None, &queue.sender_id, &send(b"unsigned"))), AUTH);
        assert_eq!(only(sender.ask(&mut server, Some(&key), &queue.sender_id, &send(b"one"))), OK);
        assert_eq!(only(sender.ask(&mut server, Some(&key), &queue.sender_id, &send(b"two"))), OK);
        recipient.exchange(&mut server);
        let mut got = open(&queue, &recipient.take());
        assert_eq!(got.len(), 1);
        for body in [b"one", b"two"] {
            let (id, received) = got.remove(0);
            assert_eq!(received, body);
            let ack = Command::Ack(id);
            let answer = recipient.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &ack);
            got = open(&queue, &answer);
        }
        assert!(got.is_empty());
        let answer =
            recipient.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &Command::Del);
        assert_eq!(only(answer), OK);
        assert_eq!(only(sender.ask(&mut server, Some(&key), &queue.sender_id, &send(b"three"))), AUTH);
    }
}

#[test]
fn commands_of_a_block_take_effect_in_order() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queue = peer.create(&mut server, SubscriptionMode::OnlyCreate);
    let (first, second) = (peer.new_key(), peer.new_key());
    let owner = Some(&queue.recipient_key);
    let answers = ask_all(
        &mut server,
        &mut peer,
        &[
            (None, &queue.sender_id, send(b"before it is secured")),
            (owner, &queue.recipient_id, Command::Key(first.public())),
            (None, &queue.sender_id, send(b"too late")),
            (Some(&first), &queue.sender_id, send(b"secured")),
            (owner, &queue.recipient_id, Command::Key(second.public())),
            (owner, &queue.recipient_id, Command::Off),
            (Some(&first), &queue.sender_id, send(b"suspended")),
        ],
    );
    // The refusals come first: they are known before the block is carried out.
    let errors = answers.iter().filter(|answer| **answer == AUTH).count();
    assert_eq!((errors, answers.len()), (3, 7));
    let answer = peer.ask(&mut server, owner, &queue.recipient_id, &Command::Sub);
    assert_eq!(answer[0].1, BrokerMessage::Sok(None));
    assert_eq!(open(&queue, &answer)[0].1, b"before it is secured");
}

#[test]
fn a_record_that_cannot_be_read_fails_its_command_only() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queues: Vec<_> = (0..3).map(|_| peer.create(&mut server, SubscriptionMode::OnlyCreate)).collect();
    server.damaged = Some(queues[1].recipient_id.clone());
    let commands: Vec<_> =
        queues.iter().map(|queue| (Some(&queue.recipient_key), &queue.recipient_id, Command::Sub)).collect();
    let answers = ask_all(&mut server, &mut peer, &commands);
    let subscribed = BrokerMessage::Sok(None);
    assert!(matches!(answers[0], BrokerMessage::Err(ErrorType::Store(_))), "errors come first");
    assert_eq!(answers[1..], [subscribed.clone(), subscribed]);
}

#[test]
fn a_key_and_a_send_in_blocks_one_after_the_other() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queue = peer.create(&mut server, SubscriptionMode::OnlyCreate);
    let key = peer.new_key();
    let mut blocks = peer.block(Some(&key), &queue.sender_id, &Command::SKey(key.public()));
    blocks.extend(peer.block(Some(&key), &queue.sender_id, &send(b"at once")));
    for bytes in blocks {
        server.input(peer.id, SessionInput::Received(&bytes));
    }
    peer.exchange(&mut server);
    assert_eq!(peer.take().into_iter().map(|(_, answer)| answer).collect::<Vec<_>>(), [OK, OK]);
}

#[test]
fn good_and_bad_commands_of_a_block_are_all_answered() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queue = peer.create(&mut server, SubscriptionMode::OnlyCreate);
    let unknown = EntityId::from([9; 24]);
    let key = queue.recipient_key.clone();
    let answers = ask_all(
        &mut server,
        &mut peer,
        &[
            (None, &EntityId::empty(), Command::Ping),
            (Some(&key), &unknown, Command::Sub),
            (None, &queue.recipient_id, Command::Sub),
            (Some(&key), &queue.recipient_id, Command::Sub),
            (Some(&key), &EntityId::empty(), Command::Ping),
        ],
    );
    let command = |error| BrokerMessage::Err(ErrorType::Command(error));
    assert_eq!(
        answers,
        [
            command(CommandError::NoAuth),
            command(CommandError::HasAuth),
            AUTH,
            BrokerMessage::Pong,
            BrokerMessage::Sok(None)
        ]
    );
}

#[test]
fn a_block_of_255_bad_commands_is_answered_whole() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let id = EntityId::from([9; 24]);
    let items: Vec<_> = (0..255).map(|_| peer.transmission(None, &id, &send(b""))).collect();
    for bytes in peer.blocks(&items) {
        server.input(peer.id, SessionInput::Received(&bytes));
    }
    peer.exchange(&mut server);
    let answers = peer.take();
    assert_eq!(answers.len(), 255);
    assert!(answers.iter().all(|(entity, answer)| *entity == id && *answer == AUTH));
}

#[test]
fn subscriptions_to_full_queues_are_answered_before_their_messages() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queues: Vec<_> = (0..20).map(|_| peer.create(&mut server, SubscriptionMode::OnlyCreate)).collect();
    for queue in &queues {
        assert_eq!(only(peer.ask(&mut server, None, &queue.sender_id, &send(b"waiting"))), OK);
    }
    let subs: Vec<_> =
        queues.iter().map(|queue| (Some(&queue.recipient_key), &queue.recipient_id, Command::Sub)).collect();
    let answers = ask_all(&mut server, &mut peer, &subs);
    assert!(answers[..20].iter().all(|answer| *answer == BrokerMessage::Sok(None)));
    let is_message = |answer: &BrokerMessage| matches!(answer, BrokerMessage::Msg { .. });
    assert_eq!(answers[20..].iter().filter(|answer| is_message(answer)).count(), 20);
}

#[test]
fn a_peer_that_does_not_read_gets_few_messages_and_then_is_closed() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queues: Vec<_> = (0..50).map(|_| peer.create(&mut server, SubscriptionMode::OnlyCreate)).collect();
    for queue in &queues {
        peer.ask(&mut server, None, &queue.sender_id, &send(b"waiting"));
    }
    for queue in &queues {
        for bytes in peer.block(Some(&queue.recipient_key), &queue.recipient_id, &Command::Sub) {
            server.input(peer.id, SessionInput::Received(&bytes));
        }
    }
    let blocks = server.take_output(peer.id);
    // 50 answers, of which those with a message are in the same block.
    assert_eq!(blocks.len(), 50);
    assert!(!server.wants_input(peer.id));
    for bytes in &blocks {
        peer.take_bytes(server.now, bytes);
    }
    let messages =
        peer.take().into_iter().filter(|(_, message)| matches!(message, BrokerMessage::Msg { .. })).count();
    assert_eq!(messages, ServerConfig::default().limits.deliveries_in_flight);
    server.pass(Duration::from_secs(41));
    assert_eq!(server.closed(peer.id), Some(CloseReason::Stalled));
    assert_eq!(server.broker.subscriptions(), 0);
}

#[test]
fn a_block_that_asks_for_more_messages_than_may_be_in_flight_is_answered_whole() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queues: Vec<_> = (0..20).map(|_| peer.create(&mut server, SubscriptionMode::OnlyCreate)).collect();
    for queue in &queues {
        assert_eq!(only(peer.ask(&mut server, None, &queue.sender_id, &send(b"waiting"))), OK);
    }
    let command = |at: usize| if at < 4 { Command::Sub } else { Command::Get };
    let commands: Vec<_> = queues
        .iter()
        .enumerate()
        .map(|(at, queue)| (Some(&queue.recipient_key), &queue.recipient_id, command(at)))
        .collect();
    let answers = ask_all(&mut server, &mut peer, &commands);
    let messages = answers.iter().filter(|answer| matches!(answer, BrokerMessage::Msg { .. })).count();
    assert_eq!((messages, answers.len()), (20, 24));
}

#[test]
fn a_peer_hears_of_its_subscription_before_it_hears_of_its_end() {
    let mut config = ServerConfig::default();
    config.limits.deliveries_in_flight = 1;
    let mut server = InMemoryServer::new(config, ServerOptions::default());
    let (mut slow, mut other) =
        (server.connect(ClientOptions::default()), server.connect(ClientOptions::default()));
    let queues: Vec<_> = (0..3).map(|_| slow.create(&mut server, SubscriptionMode::OnlyCreate)).collect();
    for queue in &queues[1..] {
        assert_eq!(only(slow.ask(&mut server, None, &queue.sender_id, &send(b"waiting"))), OK);
    }
    // The message of the first block is not read, so the GET of the second waits, and the SUB with it.
    let ask = |slow: &mut InMemoryPeer, at: usize, command| {
        slow.transmission(Some(&queues[at].recipient_key), &queues[at].recipient_id, &command)
    };
    for commands in [&[(1, Command::Get)][..], &[(0, Command::Sub), (2, Command::Get)]] {
        let items: Vec<_> =
            commands.iter().map(|(at, command)| ask(&mut slow, *at, command.clone())).collect();
        for bytes in slow.blocks(&items) {
            server.input(slow.id, SessionInput::Received(&bytes));
        }
    }
    let (key, id) = (&queues[0].recipient_key, &queues[0].recipient_id);
    assert_eq!(only(other.ask(&mut server, Some(key), id, &Command::Sub)), BrokerMessage::Sok(None));
    server.pass(Duration::from_secs(1));
    slow.exchange(&mut server);
    let about: Vec<_> = slow.take().into_iter().filter(|(entity, _)| entity == id).collect();
    assert_eq!(about, [(id.clone(), BrokerMessage::Sok(None)), (id.clone(), BrokerMessage::End)]);
}

#[test]
fn what_a_peer_said_before_it_ended_still_counts() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queue = peer.create(&mut server, SubscriptionMode::OnlyCreate);
    let mut bytes = peer.block(Some(&queue.recipient_key), &queue.recipient_id, &Command::Off).concat();
    bytes.extend(peer.end());
    server.input(peer.id, SessionInput::Received(&bytes));
    assert_eq!(server.closed(peer.id), Some(CloseReason::PeerClosed));
    let mut sender = server.connect(ClientOptions::default());
    assert_eq!(only(sender.ask(&mut server, None, &queue.sender_id, &send(b"suspended"))), AUTH);
}

#[test]
fn a_message_that_is_too_long_is_told_so_by_a_suspended_queue_too() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let key = peer.new_key();
    let wrong = peer.new_key();
    for sender_key in [None, Some(&key)] {
        let queue = peer.create(&mut server, SubscriptionMode::OnlyCreate);
        if let Some(key) = sender_key {
            let secure = Command::Key(key.public());
            let answer = peer.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &secure);
            assert_eq!(only(answer), OK);
        }
        let off = peer.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &Command::Off);
        assert_eq!(only(off), OK);
        let too_long = send(&[0; 16_049]);
        let answer = peer.ask(&mut server, sender_key, &queue.sender_id, &too_long);
        assert_eq!(only(answer), BrokerMessage::Err(ErrorType::LargeMessage));
        assert_eq!(only(peer.ask(&mut server, sender_key, &queue.sender_id, &send(b"short"))), AUTH);
        // Only who may send to the queue learns it.
        assert_eq!(only(peer.ask(&mut server, Some(&wrong), &queue.sender_id, &too_long)), AUTH);
    }
}

#[test]
fn a_queue_has_a_limited_number_of_recipient_keys() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queue = peer.create_as(&mut server, SubscriptionMode::OnlyCreate, QueueRequestData::Contact(None));
    let limit = ServerConfig::default().limits.recipient_keys;
    for (count, expected) in [(limit + 1, BrokerMessage::Err(ErrorType::Internal)), (limit, OK)] {
        let keys = vec![queue.recipient_key.public(); count];
        let answer =
            peer.ask(&mut server, Some(&queue.recipient_key), &queue.recipient_id, &Command::RKey(keys));
        assert_eq!(only(answer), expected);
    }
}

#[test]
fn a_message_delivered_again_comes_before_the_answer_to_its_acknowledgement() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let (queue, other) = (
        peer.create(&mut server, SubscriptionMode::Subscribe),
        peer.create(&mut server, SubscriptionMode::OnlyCreate),
    );
    let sent = peer.ask(&mut server, None, &queue.sender_id, &send(b"once"));
    let (id, _) = open(&queue, &sent).remove(0);
    let key = Some(&queue.recipient_key);
    let answers = ask_all(
        &mut server,
        &mut peer,
        &[
            (Some(&other.recipient_key), &other.recipient_id, Command::Sub),
            (key, &queue.recipient_id, Command::Sub),
            (key, &queue.recipient_id, Command::Ack(id)),
        ],
    );
    let subscribed = BrokerMessage::Sok(None);
    assert_eq!((&answers[0], &answers[1], &answers[3]), (&subscribed, &subscribed, &OK));
    assert!(matches!(answers[2], BrokerMessage::Msg { .. }) && answers.len() == 4, "{answers:?}");
}

#[test]
fn idle_peers_are_closed_unless_they_are_subscribed() {
    let mut server = server();
    let (idle, mut subscribed) =
        (server.connect(ClientOptions::default()), server.connect(ClientOptions::default()));
    let mut active = server.connect(ClientOptions::default());
    subscribed.create(&mut server, SubscriptionMode::Subscribe);
    server.pass(Duration::from_secs(5 * 3600));
    assert_eq!(only(active.ask(&mut server, None, &EntityId::empty(), &Command::Ping)), BrokerMessage::Pong);
    server.pass(Duration::from_secs(5 * 3600));
    assert_eq!(server.closed(idle.id), Some(CloseReason::Idle));
    assert_eq!(server.closed(subscribed.id), None);
    assert_eq!(server.closed(active.id), None);
}

#[test]
fn nothing_follows_the_end_of_a_session_whose_timer_is_due() {
    let mut server = server();
    let peer = server.connect(ClientOptions::default());
    server.now.mono = server.now.mono + Duration::from_secs(7 * 3600);
    server.input(peer.id, SessionInput::Eof);
    assert_eq!(server.closed(peer.id), Some(CloseReason::PeerClosed));
}

#[test]
fn a_stalled_handshake_is_closed() {
    let mut server = server();
    let silent = server.accept();
    server.pass(Duration::from_secs(11));
    assert_eq!(server.closed(silent), Some(CloseReason::Handshake));
}

#[test]
fn garbage_before_the_handshake_is_closed() {
    let mut server = server();
    let id = server.accept();
    server.input(id, SessionInput::Received(&[0x42; 100]));
    assert_eq!(server.closed(id), Some(CloseReason::Handshake));
}

#[test]
fn a_stopping_session_answers_what_it_has() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    for bytes in peer.block(None, &EntityId::empty(), &Command::Ping) {
        server.input(peer.id, SessionInput::Received(&bytes));
    }
    server.input(peer.id, SessionInput::Stop);
    peer.exchange(&mut server);
    assert_eq!(only(peer.take()), BrokerMessage::Pong);
    assert_eq!(server.closed(peer.id), Some(CloseReason::Stopped));
}

#[test]
fn a_message_that_does_not_fit_beside_its_correlation_id_is_answered_with_an_error() {
    let mut server = server();
    let mut peer = server.connect(ClientOptions::default());
    let queue = peer.create(&mut server, SubscriptionMode::OnlyCreate);
    peer.ask(&mut server, None, &queue.sender_id, &send(b"waiting"));
    let long =
        peer.transmission_with(&[7; 255], Some(&queue.recipient_key), &queue.recipient_id, &Command::Get);
    for bytes in peer.blocks(&[long]) {
        server.input(peer.id, SessionInput::Received(&bytes));
    }
    peer.exchange(&mut server);
    assert_eq!(only(peer.take()), BrokerMessage::Err(ErrorType::LargeMessage));
}

#[test]
fn whoever_has_gone_does_not_wait_for_a_relay() {
    let prxy = || {
        let relay =
            ServerAddress::new(vec![Host::Ipv4([1, 1, 1, 1].into())], None, [1; 32]).expect("one host");
        Command::Prxy(RelayRequest { relay, password: None })
    };
    let mut server = server();
    let [mut gone, mut waits] = [(); 2].map(|()| server.connect(ClientOptions::default()));
    for peer in [&mut gone, &mut waits] {
        assert!(peer.ask(&mut server, None, &EntityId::empty(), &prxy()).is_empty());
    }
    let goodbye = gone.end();
    server.input(gone.id, SessionInput::Received(&goodbye));
    assert_eq!(server.closed(gone.id), Some(CloseReason::PeerClosed));
    // A server that stops waits, for as long as its shell lets it.
    server.input(waits.id, SessionInput::Stop);
    assert_eq!(server.closed(waits.id), None);
    let [ProxyOutput::Connect(relay, _)] = server.to_relays[..] else { panic!("one relay for both") };
    server.proxy_input(ProxyInput::ConnectFailed(relay, ErrorType::Internal));
    assert_eq!(server.closed(waits.id), Some(CloseReason::Stopped));
    waits.exchange(&mut server);
    assert_eq!(only(waits.take()), BrokerMessage::Err(ErrorType::Internal));
}

#[test]
fn a_service_hears_of_its_subscription_before_it_hears_that_all_was_sent() {
    let mut server = server();
    let mut alice = server.connect(at(20));
    let queue = alice.create(&mut server, SubscriptionMode::OnlyCreate);
    let options = ClientOptions { service: Some(service()), ..at(20) };
    let mut bot = server.connect(options);
    let own = bot.parameters.as_ref().and_then(|parameters| parameters.service.as_ref()).unwrap();
    let ServiceKey::Private(key) = &own.key else { panic!("the key of a server") };
    let (id, key) = (own.id.clone(), AuthPrivateKey::Ed25519(key.clone()));
    // The block is not answered before its second command is looked up.
    let items = [
        bot.transmission(Some(&key), &id, &Command::Subs(QueueSet::UNKNOWN)),
        bot.transmission(Some(&queue.recipient_key), &queue.recipient_id, &Command::Que),
    ];
    server.set_slow(true);
    for bytes in bot.blocks(&items) {
        server.input(bot.id, SessionInput::Received(&bytes));
    }
    bot.exchange(&mut server);
    server.set_slow(false);
    bot.exchange(&mut server);
    let said: Vec<_> = bot.take().into_iter().map(|(_, message)| message).collect();
    let expected = matches!(&said[..], [BrokerMessage::Soks(_), BrokerMessage::Alls, BrokerMessage::Info(_)]);
    assert!(expected, "{said:?}");
}

fn service() -> ServiceIdentity {
    let (mut entropy, now) = (SeededEntropy::new([3; 32]), UnixTime::from_secs(1_800_000_000));
    let issued = self_signed_client("service", Algorithm::Ed25519, &mut entropy, now).expect("a certificate");
    ServiceIdentity {
        role: ServiceRole::Messaging,
        chain: Arc::new([issued.certificate]),
        key: Arc::new(issued.key),
    }
}
