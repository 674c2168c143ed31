//! Each limit, at a value of its own: what happens when it is reached.
//!
//! Limits that the machines keep have a test of their name here; those that the proxy or the shell keep have one in the
//! tests of that.
//! The list names every field, so a limit that is added does not compile until it has a place.

use std::sync::Arc;
use std::time::Duration;

use smp_core::crypto::{ForwardLayer, X25519PrivateKey};
use smp_core::server::proxy::{ProxyInput, ProxyOutput};
use smp_core::server::store::{OpResult, QueueOp};
use smp_core::server::{
    Broker, BrokerInput, BrokerOutput, CloseReason, IdleClients, Limits, ServerConfig, Session, SessionInput,
};
use smp_core::transport::identity::{Algorithm, self_signed_client};
use smp_core::transport::{ClientOptions, ServiceIdentity, TransportFault};
use smp_core::wire::command::{
    ForwardRequest, MessageFlags, NotifierKeys, QueueRequestData, RelayRequest, SubscriptionMode,
};
use smp_core::wire::error::{ErrorType, HandshakeError, TransportError};
use smp_core::wire::{
    BrokerMessage, Command, CorrelationId, EntityId, FwdTransmission, Host, ServerAddress, ServiceRole,
    Version, encode_single,
};
use smp_core::{Now, SeededEntropy, Timestamp};
use smp_tests::in_memory::{InMemoryPeer, InMemoryServer, TestQueue, send};

use super::{BLOCK, alone, push, server};

macro_rules! every_limit {
    (machines: $($machine:ident)+; proxy: $($proxy:ident)+; shell: $($shell:ident)+;) => {
        mod of_the_machines {
            $(#[test] fn $machine() { let _turn = super::alone(); super::$machine(); })+
        }

        #[test]
        fn there_are_no_others() {
            let Limits { $($machine: _,)+ $($proxy: _,)+ $($shell: _,)+ } = Limits::default();
        }
    };
}

every_limit! {
    machines:
        handshake_timeout commands_in_flight input_bytes stalled_input verifications_in_turn output_bytes
        stalled_output deliveries_in_flight subscriptions get_queues recipient_keys notifications services expiry_queues
        client_forwards forwarded_keys;
    proxy:
        relay_forwards relays relay_failures relay_failure_ttl relay_connecting relay_answer relay_idle;
    shell:
        connections connections_per_address new_connections_per_address new_connections_interval handshakes
        accepts_in_turn accept_pause_min accept_pause_max rounds_in_turn queued_output queued_bytes closing_timeout
        closing_input http_connections http_head_bytes http_requests http_timeout;
}

const SECOND: Duration = Duration::from_secs(1);
const INSTANT: Duration = Duration::from_millis(1);
const INTERNAL: BrokerMessage = BrokerMessage::Err(ErrorType::Internal);

fn connect(limits: Limits) -> (InMemoryServer, InMemoryPeer) {
    let mut server = server(limits);
    let peer = server.connect(ClientOptions::default());
    (server, peer)
}

/// Gives the server a block that it wants.
#[track_caller]
fn give(server: &mut InMemoryServer, peer: &mut InMemoryPeer, items: &[Vec<u8>]) {
    assert!(server.wants_input(peer.id));
    let blocks = peer.blocks(items);
    assert!(push(server, peer.id, &blocks));
}

#[track_caller]
fn answer(
    server: &mut InMemoryServer,
    peer: &mut InMemoryPeer,
    queue: &TestQueue,
    command: &Command,
) -> BrokerMessage {
    let answers = peer.ask(server, Some(&queue.recipient_key), &queue.recipient_id, command);
    answers.into_iter().next().expect("an answer").1
}

fn bad(peer: &mut InMemoryPeer) -> Vec<u8> {
    let key = peer.new_key();
    peer.transmission(Some(&key), &[7; 24].into(), &Command::Sub)
}

fn handshake_timeout() {
    let mut server = server(Limits { handshake_timeout: 3 * SECOND, ..Limits::default() });
    let id = server.accept();
    server.pass(3 * SECOND - INSTANT);
    assert_eq!(server.closed(id), None);
    server.pass(INSTANT);
    assert_eq!(server.closed(id), Some(CloseReason::Handshake));
}

fn commands_in_flight() {
    let (mut server, mut peer) = connect(Limits { commands_in_flight: 4, ..Limits::default() });
    let item = bad(&mut peer);
    server.set_slow(true);
    give(&mut server, &mut peer, &vec![item.clone(); 3]);
    give(&mut server, &mut peer, &[item]);
    assert!(!server.wants_input(peer.id));
    server.set_slow(false);
    assert!(server.wants_input(peer.id));
    peer.exchange(&mut server);
    assert_eq!(peer.take().len(), 4);
}

fn input_bytes() {
    let (mut server, mut peer) = connect(Limits { input_bytes: BLOCK, ..Limits::default() });
    server.set_slow(true);
    let item = peer.transmission(None, &[7; 24].into(), &send(&[7; 15_000]));
    for _ in 0..2 {
        give(&mut server, &mut peer, std::slice::from_ref(&item));
    }
    assert!(!server.wants_input(peer.id));
    server.set_slow(false);
    assert!(server.wants_input(peer.id));
}

fn stalled_input() {
    let (mut server, mut peer) = connect(Limits { stalled_input: 3 * SECOND, ..Limits::default() });
    let item = bad(&mut peer);
    let bytes = peer.blocks(&[item]).concat();
    server.input(peer.id, SessionInput::Received(&bytes[..1]));
    server.pass(3 * SECOND - INSTANT);
    assert_eq!(server.closed(peer.id), None);
    server.pass(INSTANT);
    assert_eq!(server.closed(peer.id), Some(CloseReason::Unfinished));
}

fn verifications_in_turn() {
    let (mut server, mut peer) = connect(Limits { verifications_in_turn: 3, ..Limits::default() });
    let item = bad(&mut peer);
    let count = |server: &InMemoryServer| server.session(peer.id).map_or(0, Session::verifications);
    let mut before = count(&server);
    let bytes = peer.blocks(&vec![item; 10]).concat();
    server.input_once(peer.id, SessionInput::Received(&bytes));
    for expected in [3, 3, 3, 1] {
        let count = server.session(peer.id).map_or(0, Session::verifications);
        assert_eq!(count - before, expected);
        before = count;
        server.work_once(peer.id);
    }
    assert!(!server.session(peer.id).is_some_and(Session::has_work));
    peer.exchange(&mut server);
    assert_eq!(peer.take().len(), 10);
}

fn output_bytes() {
    let (mut server, mut peer) = connect(Limits { output_bytes: 2 * BLOCK, ..Limits::default() });
    let ping = peer.transmission(None, &EntityId::empty(), &Command::Ping);
    for _ in 0..2 {
        give(&mut server, &mut peer, std::slice::from_ref(&ping));
    }
    assert!(!server.wants_input(peer.id));
    peer.exchange(&mut server);
    assert!(server.wants_input(peer.id));
}

fn stalled_output() {
    let (mut server, mut peer) = connect(Limits { stalled_output: 3 * SECOND, ..Limits::default() });
    let ping = peer.transmission(None, &EntityId::empty(), &Command::Ping);
    give(&mut server, &mut peer, &[ping]);
    server.pass(2 * SECOND);
    // Whoever takes anything has as long again.
    server.input(peer.id, SessionInput::Sent(1));
    server.pass(3 * SECOND - INSTANT);
    assert_eq!(server.closed(peer.id), None);
    server.pass(INSTANT);
    assert_eq!(server.closed(peer.id), Some(CloseReason::Stalled));
}

fn client_forwards() {
    let (mut server, mut peer) = connect(Limits { client_forwards: 2, ..Limits::default() });
    let items: Vec<_> = (1..=5)
        .map(|host| {
            let relay = ServerAddress::new(vec![Host::Ipv4([1, 1, 1, host].into())], None, [1; 32]);
            let request = RelayRequest { relay: relay.expect("one host"), password: None };
            peer.transmission(None, &EntityId::empty(), &Command::Prxy(request))
        })
        .collect();
    give(&mut server, &mut peer, &items);
    for left in (0..5).rev() {
        assert_eq!(server.to_relays.len(), 2.min(left + 1));
        let ProxyOutput::Connect(id, _) = server.to_relays.remove(0) else { panic!("not Connect") };
        server.proxy_input(ProxyInput::ConnectFailed(id, ErrorType::Internal));
    }
    peer.exchange(&mut server);
    assert_eq!(peer.take().len(), 5);
}

fn forwarded_keys() {
    let (mut server, mut proxy) = connect(Limits { forwarded_keys: 2, ..Limits::default() });
    let keys = proxy.parameters.as_ref().and_then(|it| it.session_key.clone().zip(it.peer_key));
    let (ours, theirs) = keys.expect("keys of both");
    let outer = ours.diffie_hellman(&theirs).expect("a good key").box_key();
    let mut ask = |client: u8| {
        let key = X25519PrivateKey::from_bytes(&[client; 32]);
        let id = CorrelationId::from([client; 24]);
        let inner = key.diffie_hellman(&theirs).expect("a good key");
        let item = [&[0, 24][..], id.as_bytes(), &[24], &[9; 24], b"SEND F hello"].concat();
        let batch = encode_single(&item).expect("a short one");
        let encrypted = ForwardLayer::of_client(&inner, &id).seal_command(&batch).expect("it fits").into();
        let request = ForwardRequest { version: Version(17), key: key.public(), encrypted };
        let mut content = Vec::new();
        FwdTransmission { correlation_id: id, request }.encode(&mut content);
        let outer_id = [client; 8];
        let layer = ForwardLayer::of_proxy(&outer, &CorrelationId::new(&outer_id).expect("a short id"));
        let command = Command::Rfwd(layer.seal_command(&content).expect("a box").into());
        let item = proxy.transmission_with(&outer_id, None, &EntityId::empty(), &command);
        give(&mut server, &mut proxy, &[item]);
        proxy.exchange(&mut server);
        let answers = proxy.take();
        answers.into_iter().next().expect("an answer").1
    };
    let is_refused = |answer: &BrokerMessage| *answer == BrokerMessage::Err(ErrorType::Crypto);
    for (client, again) in [(1, false), (1, true), (2, false), (1, true), (3, false), (2, true), (1, false)] {
        assert_eq!(is_refused(&ask(client)), again, "{client}");
    }
}

fn deliveries_in_flight() {
    let (mut server, mut peer) = connect(Limits { deliveries_in_flight: 1, ..Limits::default() });
    let mut sender = server.connect(ClientOptions::default());
    let queues = [0; 3].map(|_| peer.create(&mut server, SubscriptionMode::Subscribe));
    for queue in &queues {
        sender.ask(&mut server, None, &queue.sender_id, &send(b"hello"));
    }
    for _ in 0..3 {
        let output = server.take_output(peer.id);
        assert_eq!(output.len(), 1);
        output.iter().for_each(|bytes| peer.take_bytes(server.now, bytes));
        assert_eq!(peer.take().len(), 1);
        server.input(peer.id, SessionInput::Sent(output[0].len()));
    }
    assert!(server.take_output(peer.id).is_empty());
}

fn subscriptions() {
    let (mut server, mut peer) = connect(Limits { subscriptions: 2, ..Limits::default() });
    let queues: Vec<_> = (0..3).map(|_| peer.create(&mut server, SubscriptionMode::OnlyCreate)).collect();
    let mut subscribe = |n: usize| answer(&mut server, &mut peer, &queues[n], &Command::Sub);
    let answers = [0, 1, 2, 0].map(&mut subscribe);
    let sok = BrokerMessage::Sok(None);
    assert_eq!(answers, [sok.clone(), sok.clone(), INTERNAL, sok]);
}

fn get_queues() {
    let (mut server, mut peer) = connect(Limits { get_queues: 1, ..Limits::default() });
    let queues: Vec<_> = (0..2).map(|_| peer.create(&mut server, SubscriptionMode::OnlyCreate)).collect();
    let answers = [0, 1, 0].map(|n: usize| answer(&mut server, &mut peer, &queues[n], &Command::Get));
    assert_eq!(answers, [BrokerMessage::Ok, INTERNAL, BrokerMessage::Ok]);
}

fn recipient_keys() {
    let (mut server, mut peer) = connect(Limits { recipient_keys: 2, ..Limits::default() });
    let queue = peer.create_as(&mut server, SubscriptionMode::OnlyCreate, QueueRequestData::Contact(None));
    for (count, expected) in [(3, INTERNAL), (2, BrokerMessage::Ok)] {
        let keys = vec![queue.recipient_key.public(); count];
        assert_eq!(answer(&mut server, &mut peer, &queue, &Command::RKey(keys)), expected);
    }
}

fn notifications() {
    let (mut server, mut peer) = connect(Limits { notifications: 2, ..Limits::default() });
    let queue = peer.create(&mut server, SubscriptionMode::OnlyCreate);
    // Whose key it is does not matter here.
    let dh_key = X25519PrivateKey::from_bytes(&[5; 32]).public();
    let keys = NotifierKeys { auth_key: queue.recipient_key.public(), dh_key };
    let BrokerMessage::Nid(notifier) = answer(&mut server, &mut peer, &queue, &Command::NKey(keys)) else {
        panic!("no notifier")
    };
    let notified =
        Command::Send { flags: MessageFlags { notification: true }, body: b"hello".as_slice().into() };
    for _ in 0..3 {
        let answers = peer.ask(&mut server, None, &queue.sender_id, &notified);
        assert_eq!(answers[0].1, BrokerMessage::Ok);
    }
    let key = Some(&queue.recipient_key);
    let answers = peer.ask(&mut server, key, &notifier.notifier_id, &Command::NSub);
    let told = answers.iter().filter(|(_, message)| matches!(message, BrokerMessage::NMsg { .. })).count();
    assert_eq!(told, 2);
}

fn services() {
    let mut server = server(Limits { services: 1, ..Limits::default() });
    let mut entropy = SeededEntropy::new([6; 32]);
    let mut service = || {
        let issued = self_signed_client("service", Algorithm::Ed25519, &mut entropy, server.now.unix);
        let issued = issued.expect("a certificate");
        let (chain, key) = (vec![issued.certificate].into(), Arc::new(issued.key));
        let service = Some(ServiceIdentity { role: ServiceRole::Notifier, chain, key });
        ClientOptions { service, ..ClientOptions::default() }
    };
    let (known, other) = (service(), service());
    let refused = TransportFault::ServiceRefused(TransportError::Handshake(HandshakeError::BadService));
    for (options, fault) in [(known.clone(), None), (other, Some(refused)), (known, None)] {
        assert_eq!(server.handshake_fault(options), fault);
    }
}

fn expiry_queues() {
    let mut config = ServerConfig::default();
    config.limits.expiry_queues = 2;
    config.notification_ttl = None;
    let now = Now::default();
    let mut broker = Broker::new(Arc::new(config), now);
    let mut input = BrokerInput::Timeout;
    let mut expected = None;
    for visit in 1..4 {
        broker.handle(now, input);
        let Some(BrokerOutput::Store(batch)) = broker.poll_output() else { panic!("nothing for the store") };
        let [QueueOp::Expire { limit: 2, after, .. }] = &batch.ops[..] else { panic!("not an expiry") };
        assert_eq!(*after, expected);
        assert!(broker.poll_output().is_none());
        expected = Some([visit; 24].into());
        let next = expected.clone();
        input = BrokerInput::StoreDone(batch.id, Ok(vec![OpResult::Expired { deleted: 2, next }]));
    }
}

/// Values that would make a server do nothing, or one thing for ever, are refused by name.
#[test]
fn senseless_values_are_refused_by_name() {
    assert_eq!(ServerConfig::default().validate(), Ok(()));
    assert_eq!(Limits::default().validate(), Ok(()));
    let named = |change: &dyn Fn(&mut ServerConfig)| {
        let mut config = ServerConfig::default();
        change(&mut config);
        let wrong = config.validate().expect_err("a senseless value");
        assert!(wrong.to_string().starts_with(&format!("`{}` has to be from ", wrong.setting)), "{wrong}");
        wrong.setting
    };
    let idle = |ttl, check_interval| Some(IdleClients { ttl, check_interval });
    assert_eq!(named(&|c| c.limits.connections = 0), "connections");
    assert_eq!(named(&|c| c.limits.connections_per_address = 0), "connections_per_address");
    assert_eq!(named(&|c| c.limits.new_connections_per_address = 0), "new_connections_per_address");
    assert_eq!(named(&|c| c.limits.new_connections_interval = Duration::ZERO), "new_connections_interval");
    assert_eq!(named(&|c| c.limits.handshakes = 0), "handshakes");
    assert_eq!(named(&|c| c.limits.handshake_timeout = Duration::ZERO), "handshake_timeout");
    assert_eq!(named(&|c| c.limits.handshake_timeout = Duration::MAX), "handshake_timeout");
    assert_eq!(named(&|c| c.limits.accepts_in_turn = 0), "accepts_in_turn");
    assert_eq!(named(&|c| c.limits.accept_pause_min = Duration::ZERO), "accept_pause_min");
    assert_eq!(named(&|c| c.limits.accept_pause_max = INSTANT), "accept_pause_max");
    assert_eq!(named(&|c| c.limits.commands_in_flight = 0), "commands_in_flight");
    assert_eq!(named(&|c| c.limits.input_bytes = BLOCK - 1), "input_bytes");
    assert_eq!(named(&|c| c.limits.stalled_input = Duration::ZERO), "stalled_input");
    assert_eq!(named(&|c| c.limits.verifications_in_turn = 0), "verifications_in_turn");
    assert_eq!(named(&|c| c.limits.rounds_in_turn = 0), "rounds_in_turn");
    assert_eq!(named(&|c| c.limits.output_bytes = 0), "output_bytes");
    assert_eq!(named(&|c| c.limits.queued_output = 0), "queued_output");
    assert_eq!(named(&|c| c.limits.stalled_output = Duration::ZERO), "stalled_output");
    assert_eq!(named(&|c| c.limits.deliveries_in_flight = 0), "deliveries_in_flight");
    assert_eq!(named(&|c| c.limits.queued_bytes = 0), "queued_bytes");
    assert_eq!(named(&|c| c.limits.closing_timeout = Duration::ZERO), "closing_timeout");
    assert_eq!(named(&|c| c.limits.closing_input = usize::MAX), "closing_input");
    assert_eq!(named(&|c| c.limits.subscriptions = 0), "subscriptions");
    assert_eq!(named(&|c| c.limits.get_queues = 0), "get_queues");
    assert_eq!(named(&|c| c.limits.recipient_keys = 0), "recipient_keys");
    assert_eq!(named(&|c| c.limits.expiry_queues = 0), "expiry_queues");
    assert_eq!(named(&|c| c.id_bytes = 33), "id_bytes");
    assert_eq!(named(&|c| c.message_quota = 0), "message_quota");
    assert_eq!(named(&|c| c.message_ttl = Some(Duration::ZERO)), "message_ttl");
    assert_eq!(named(&|c| c.expiry_interval = Duration::ZERO), "expiry_interval");
    assert_eq!(named(&|c| c.end_interval = Duration::MAX), "end_interval");
    assert_eq!(named(&|c| c.idle_clients = idle(Duration::ZERO, SECOND)), "idle_clients.ttl");
    assert_eq!(named(&|c| c.idle_clients = idle(SECOND, Duration::ZERO)), "idle_clients.check_interval");
}

/// A machine that is given them all the same does not hang: its timers move.
#[test]
fn timers_move_whatever_the_settings() {
    let _turn = alone();
    let mut config = ServerConfig::default();
    config.idle_clients = Some(IdleClients { ttl: Duration::MAX, check_interval: Duration::ZERO });
    config.expiry_interval = Duration::ZERO;
    let mut server = InMemoryServer::new(config, smp_core::transport::ServerOptions::default());
    let peer = server.connect(ClientOptions::default());
    server.pass(SECOND);
    assert_eq!(server.closed(peer.id), None);
    assert!(server.now.mono >= Timestamp::ZERO + SECOND);
}
