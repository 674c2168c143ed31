//! Notifiers: told that a message came, and nothing of it.

use smp_core::client::Notification;
use smp_core::crypto::{AuthPrivateKey, DhSecret, X25519PrivateKey};
use smp_core::wire::broker::CreatedNotifier;
use smp_core::wire::command::NotifierKeys;
use smp_core::wire::{BrokerMessage, EntityId, MessageId, Version};
use smp_tests::peer::{Auth, Creation, Kind, Peer, Queue, Received, dh_key, key};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, NEWEST, SOME, run, scenarios, two};

scenarios![
    a_notifier_hears_of_messages_and_only_of_those_that_ask_for_it,
    another_connection_takes_the_notifier_over,
    a_notifier_is_replaced_and_removed,
    notifications_wait_for_their_notifier,
    many_notifications_share_blocks,
    who_has_no_right_is_not_notified,
    a_queue_created_with_a_notifier,
];

const AUTH: &str = "ERR AUTH";

/// A notifier of a queue, as its recipient set it up.
struct Notifier {
    key: AuthPrivateKey,
    id: EntityId,
    secret: DhSecret,
}

/// New keys of a notifier, and the half that the server gets.
fn keys() -> (AuthPrivateKey, X25519PrivateKey, NotifierKeys) {
    let (key, dh_key) = (key(Kind::Ed25519), dh_key());
    let keys = NotifierKeys { auth_key: key.public(), dh_key: dh_key.public() };
    (key, dh_key, keys)
}

impl Notifier {
    #[track_caller]
    fn set(queue: &Queue, peer: &mut Peer) -> Self {
        let (key, dh_key, keys) = keys();
        let answer = queue.set_notifier(peer, keys);
        let BrokerMessage::Nid(created) = answer.decode() else { panic!("{answer:?} is no notifier") };
        Self::new(key, &dh_key, created)
    }

    fn new(key: AuthPrivateKey, dh_key: &X25519PrivateKey, created: CreatedNotifier) -> Self {
        let secret = dh_key.diffie_hellman(&created.dh_key).expect("a good key of the server");
        Self { key, id: created.notifier_id, secret }
    }

    #[track_caller]
    fn ask(&self, peer: &mut Peer) -> Received {
        peer.ask(Auth::Key(&self.key), &self.id, "NSUB")
    }

    #[track_caller]
    fn subscribe(&self, peer: &mut Peer) {
        let expected = peer.subscribed();
        assert_eq!(self.ask(peer), expected);
    }

    /// The message that the next event is about.
    #[track_caller]
    fn message(&self, peer: &mut Peer) -> MessageId {
        let event = peer.event();
        assert_eq!(event.entity_id, self.id);
        let BrokerMessage::NMsg { nonce, metadata } = event.decode() else { panic!("{event:?} is none") };
        assert_eq!(metadata.len(), 144);
        let notification = Notification { nonce, encrypted: metadata };
        notification.open(&self.secret).expect("a notification for this recipient").message_id
    }
}

fn a_notifier_hears_of_messages_and_only_of_those_that_ask_for_it(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let mut notified = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        let notifier = Notifier::set(&queue, &mut alice);
        notifier.subscribe(&mut notified);
        assert_eq!(bob.ask(Auth::None, &queue.sender, "SEND F quiet"), "OK");
        let quiet = queue.message(&mut alice);
        assert!(!quiet.notification);
        assert_eq!(queue.acknowledge(&mut alice, &quiet.id), "OK");
        assert_eq!(queue.send(&mut bob, None, "loud"), "OK");
        let loud = queue.receive_last(&mut alice);
        assert!(loud.notification);
        assert_eq!(notifier.message(&mut notified), loud.id);
        notified.assert_silent();
        let info = queue.ask(&mut alice, "QUE");
        assert!(info.text().contains("\"qiNtf\":true"), "{info:?}");
    });
}

fn another_connection_takes_the_notifier_over(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let (mut alice, mut former) = two(server, form);
        let mut later = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        let notifier = Notifier::set(&queue, &mut alice);
        notifier.subscribe(&mut former);
        notifier.subscribe(&mut former);
        notifier.subscribe(&mut later);
        let end = former.event();
        assert!(end == "END" && end.entity_id == notifier.id);
        assert_eq!(queue.send(&mut alice, None, "hello"), "OK");
        let message = queue.receive_last(&mut alice);
        assert_eq!(notifier.message(&mut later), message.id);
        former.assert_silent();
    });
}

fn a_notifier_is_replaced_and_removed(store: Store) {
    run(store, &Settings::default(), SOME, |server, form| {
        let (mut alice, mut former) = two(server, form);
        let queue = Queue::new(&mut alice);
        let deleted = if form.version >= Version::DELETED_EVENT { "DELD" } else { "END" };
        let expect_gone = |notifier: &Notifier, peer: &mut Peer| {
            let event = peer.event();
            assert!(event == deleted && event.entity_id == notifier.id, "{event:?}");
            assert_eq!(notifier.ask(peer), AUTH);
        };
        let first = Notifier::set(&queue, &mut alice);
        first.subscribe(&mut former);
        let second = Notifier::set(&queue, &mut alice);
        expect_gone(&first, &mut former);
        second.subscribe(&mut former);
        assert_eq!(queue.ask(&mut alice, "NDEL"), "OK");
        expect_gone(&second, &mut former);
        assert_eq!(queue.ask(&mut alice, "NDEL"), "OK");
        let third = Notifier::set(&queue, &mut alice);
        third.subscribe(&mut former);
        assert_eq!(queue.ask(&mut alice, "DEL"), "OK");
        expect_gone(&third, &mut former);
        former.assert_silent();
        alice.assert_silent();
    });
}

fn notifications_wait_for_their_notifier(store: Store) {
    let limits = smp_core::server::Limits { notifications: 3, ..Settings::default().limits };
    let settings = Settings { limits, ..Settings::default() };
    run(store, &settings, SOME, |server, form| {
        let (mut alice, mut notified) = two(server, form);
        let queue = Queue::new(&mut alice);
        let notifier = Notifier::set(&queue, &mut alice);
        let mut messages = Vec::new();
        for number in 0..5 {
            assert_eq!(queue.send(&mut alice, None, number.to_string()), "OK");
            messages.push(queue.receive_last(&mut alice).id);
        }
        notifier.subscribe(&mut notified);
        // As many as may wait: the newest.
        let heard: Vec<_> = (0..3).map(|_| notifier.message(&mut notified)).collect();
        assert_eq!(heard, messages[2..]);
        notified.assert_silent();
        // What was told is not told again.
        let mut later = Peer::connect(server.address(), form);
        notifier.subscribe(&mut later);
        later.assert_silent();
    });
}

fn many_notifications_share_blocks(store: Store) {
    let interval = std::time::Duration::from_millis(300);
    let settings = Settings { notification_interval: interval, ..Settings::default() };
    run(store, &settings, &[NEWEST], |server, form| {
        let (mut alice, mut notified) = two(server, form);
        let queues: Vec<_> = (0..70).map(|_| Queue::new(&mut alice)).collect();
        let notifiers: Vec<_> = queues.iter().map(|queue| Notifier::set(queue, &mut alice)).collect();
        notifiers.iter().for_each(|notifier| notifier.subscribe(&mut notified));
        for queue in &queues {
            assert_eq!(queue.send(&mut alice, None, "hello"), "OK");
        }
        let (mut blocks, mut events) = (0, 0);
        while events < queues.len() {
            let block = notified.receive_block();
            assert!(block.iter().all(|event| event.is_event() && event.tag() == "NMSG"));
            blocks += 1;
            events += block.len();
        }
        // However the clock divides them, they do not come one by one.
        assert!(events == 70 && blocks < 35, "{blocks} blocks");
    });
}

fn who_has_no_right_is_not_notified(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::new(&mut alice);
        let notifier = Notifier::set(&queue, &mut alice);
        let stranger = key(Kind::Ed25519);
        let (_, _, keys) = keys();
        for (id, auth) in [
            (&notifier.id, &stranger),
            (&notifier.id, &queue.key),
            (&queue.recipient, &notifier.key),
            (&queue.sender, &notifier.key),
        ] {
            assert_eq!(bob.ask(Auth::Key(auth), id, "NSUB"), AUTH);
        }
        assert_eq!(bob.ask(Auth::None, &notifier.id, "NSUB"), "ERR CMD NO_AUTH");
        assert_eq!(bob.ask(Auth::Key(&stranger), &EntityId::empty(), "NSUB"), "ERR CMD NO_AUTH");
        let mut command = Vec::new();
        smp_core::wire::Command::NKey(keys).encode(form.version, &mut command);
        assert_eq!(bob.ask(Auth::Key(&stranger), &queue.recipient, command), AUTH);
        assert_eq!(bob.ask(Auth::Key(&stranger), &queue.recipient, "NDEL"), AUTH);
        notifier.subscribe(&mut bob);
    });
}

fn a_queue_created_with_a_notifier(store: Store) {
    let forms: Vec<_> = ALL.iter().copied().filter(|form| form.version >= Version::NEW_NOTIFIER).collect();
    run(store, &Settings::default(), &forms, |server, form| {
        let (mut alice, mut notified) = two(server, form);
        let (key, dh_key, keys) = keys();
        let queue = Queue::create(&mut alice, &Creation { notifier: Some(keys), ..Creation::default() });
        let created = queue.created.notifier.clone().expect("a notifier");
        let notifier = Notifier::new(key, &dh_key, created);
        notifier.subscribe(&mut notified);
        assert_eq!(queue.send(&mut alice, None, "hello"), "OK");
        let message = queue.receive_last(&mut alice);
        assert_eq!(notifier.message(&mut notified), message.id);
    });
}

#[test]
fn notifiers_and_notifications_are_kept_over_a_restart() {
    let settings = Settings::default();
    let mut server = TestServer::start(Store::Embedded, &settings);
    let mut alice = Peer::connect(server.address(), NEWEST);
    let queue = Queue::new(&mut alice);
    let notifier = Notifier::set(&queue, &mut alice);
    assert_eq!(queue.send(&mut alice, None, "before"), "OK");
    let before = queue.message(&mut alice).id;
    server.restart(&settings);
    server.restart(&settings);
    let mut notified = Peer::connect(server.address(), NEWEST);
    notifier.subscribe(&mut notified);
    assert_eq!(notifier.message(&mut notified), before);
    server.restart(&settings);
    let (mut alice, mut notified) = two(&server, NEWEST);
    notifier.subscribe(&mut notified);
    notified.assert_silent();
    assert_eq!(queue.send(&mut alice, None, "after"), "OK");
    notifier.message(&mut notified);
    server.stop();
}
