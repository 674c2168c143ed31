//! What the server counts: after each step exactly that, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use smp_core::server::statistics::{Counter, Counts, ProxyCounter, ServiceCounter};
use smp_core::wire::command::NotifierKeys;
use smp_core::wire::{BrokerMessage, ServiceRole};
use smp_tests::peer::{Auth, Creation, Form, Kind, Peer, Queue, Relay, Request, Service, dh_key, key};
use smp_tests::server::{Settings, Store, TestServer};

use super::{NEWEST, run, scenarios};

scenarios![
    queues_and_messages,
    subscriptions,
    messages_that_are_got,
    notifications,
    what_expires,
    services,
    commands_through_a_proxy,
    names_without_a_resolver,
];

/// A message, which `Queue::send` sends so that it is notified.
const SENT: &[(Counter, u64)] = &[(Counter::MessagesSent, 1), (Counter::NotifiedSent, 1)];
const RECEIVED: &[(Counter, u64)] = &[(Counter::MessagesReceived, 1), (Counter::NotifiedReceived, 1)];

/// What a server counts between two looks.
struct Counted<'a> {
    server: &'a TestServer,
    last: Counts,
}

impl<'a> Counted<'a> {
    fn by(server: &'a TestServer) -> Self {
        Self { server, last: server.statistics().counts }
    }

    /// Exactly this was counted since the last look.
    #[track_caller]
    fn expect(&mut self, expected: &[(Counter, u64)]) {
        let now = self.server.statistics().counts;
        let more = |counter| now.of(counter) - self.last.of(counter);
        let changed = Counter::all().map(|(counter, _)| (counter, more(counter)));
        let changed: BTreeMap<_, _> = changed.filter(|(_, more)| *more > 0).collect();
        assert_eq!(changed, expected.iter().copied().collect());
        self.last = now;
    }
}

fn queues_and_messages(store: Store) {
    run(store, &Settings { quota: 1, ..Settings::default() }, &[NEWEST], |server, form| {
        let mut counted = Counted::by(server);
        let (mut alice, mut bob) =
            (Peer::connect(server.address(), form), Peer::connect(server.address(), form));
        let queue = Queue::new(&mut alice);
        counted.expect(&[(Counter::QueuesCreated, 1)]);
        let sender = key(Kind::Ed25519);
        assert_eq!(queue.secure_by_sender(&mut bob, &sender), "OK");
        counted.expect(&[(Counter::QueuesSecured, 1)]);
        assert_eq!(queue.send(&mut bob, Some(&sender), "one"), "OK");
        counted.expect(SENT);
        assert_eq!(queue.send(&mut bob, Some(&sender), "two"), "ERR QUOTA");
        assert_eq!(queue.send(&mut bob, Some(&key(Kind::Ed25519)), "three"), "ERR AUTH");
        assert_eq!(queue.send(&mut bob, Some(&sender), vec![0; 16_049]), "ERR LARGE_MSG");
        counted.expect(&[
            (Counter::MessagesOverQuota, 1),
            (Counter::MessagesRefused, 1),
            (Counter::MessagesTooLarge, 1),
        ]);
        let message = queue.message(&mut alice);
        let marker = queue.acknowledge_for_next(&mut alice, &message.id);
        counted.expect(RECEIVED);
        assert_eq!(queue.acknowledge(&mut alice, &marker.id), "OK");
        counted.expect(&[]);
        assert_eq!(queue.ask(&mut alice, "OFF"), "OK");
        assert_eq!(queue.send(&mut bob, Some(&sender), "four"), "ERR AUTH");
        counted.expect(&[(Counter::MessagesRefused, 1)]);
        assert_eq!(queue.ask(&mut alice, "DEL"), "OK");
        counted.expect(&[(Counter::QueuesDeleted, 1), (Counter::QueuesDeletedSecured, 1)]);
        assert_eq!(Queue::new(&mut alice).ask(&mut alice, "DEL"), "OK");
        let deleted = [(Counter::QueuesDeleted, 1), (Counter::QueuesDeletedNew, 1)];
        counted.expect(&[(Counter::QueuesCreated, 1), deleted[0], deleted[1]]);
        let statistics = server.statistics();
        assert_eq!((statistics.active.day.count(), statistics.active_notified.day.count()), (1, 1));
        assert_eq!(statistics.acknowledged.count(), 1);
    });
}

fn subscriptions(store: Store) {
    run(store, &Settings::default(), &[NEWEST], |server, form| {
        let (mut alice, mut bob) =
            (Peer::connect(server.address(), form), Peer::connect(server.address(), form));
        let creation = Creation { subscribe: false, ..Creation::default() };
        let queues = [Queue::create(&mut alice, &creation), Queue::create(&mut alice, &creation)];
        assert_eq!(queues[0].send(&mut bob, None, "hello"), "OK");
        let mut counted = Counted::by(server);
        let both = |word: &str| {
            queues.each_ref().map(|queue| Request::new(Auth::Key(&queue.key), &queue.recipient, word))
        };
        alice.ask_all(&both("SUB"));
        counted.expect(&[(Counter::SubscribeBatches, 1), (Counter::Subscriptions, 1)]);
        queues[1].subscribe(&mut alice);
        counted.expect(&[(Counter::SubscriptionsRepeated, 1)]);
        assert_eq!(alice.ask(Auth::Key(&key(Kind::Ed25519)), &queues[0].recipient, "SUB"), "ERR AUTH");
        counted.expect(&[(Counter::SubscriptionsRefused, 1)]);
        let mut other = Peer::connect(server.address(), form);
        queues[1].subscribe(&mut other);
        assert!(alice.ask_all(&both("DEL")).iter().all(|answer| *answer == "OK"));
        assert_eq!(other.event(), "DELD");
        // That of another connection's subscription was told to the first one before, or is not any more.
        let statistics = server.statistics().counts;
        let ends = statistics.of(Counter::SubscriptionsEnded);
        assert!((1..=2).contains(&ends) && statistics.of(Counter::EndBatches) == ends);
        assert_eq!((statistics.of(Counter::DeleteBatches), statistics.of(Counter::QueuesDeleted)), (1, 2));
    });
}

fn messages_that_are_got(store: Store) {
    run(store, &Settings::default(), &[NEWEST], |server, form| {
        let (mut alice, mut bob) =
            (Peer::connect(server.address(), form), Peer::connect(server.address(), form));
        let queue = Queue::create(&mut alice, &Creation { subscribe: false, ..Creation::default() });
        let mut counted = Counted::by(server);
        assert_eq!(queue.ask(&mut alice, "GET"), "OK");
        counted.expect(&[(Counter::GetsEmpty, 1)]);
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        let message = queue.open(&queue.ask(&mut alice, "GET"));
        assert_eq!(queue.open(&queue.ask(&mut alice, "GET")), message);
        counted.expect(&[SENT[0], SENT[1], (Counter::Gets, 1), (Counter::GetsRepeated, 1)]);
        assert_eq!(alice.ask(Auth::Key(&key(Kind::Ed25519)), &queue.recipient, "GET"), "ERR AUTH");
        assert_eq!(queue.ask(&mut alice, "SUB"), "ERR CMD PROHIBITED");
        counted.expect(&[(Counter::GetsRefused, 1), (Counter::SubscriptionsProhibited, 1)]);
        assert_eq!(queue.acknowledge(&mut alice, &message.id), "OK");
        counted.expect(&[RECEIVED[0], RECEIVED[1], (Counter::MessagesReceivedByGet, 1)]);
        queue.subscribe(&mut bob);
        assert_eq!(queue.ask(&mut bob, "GET"), "ERR CMD PROHIBITED");
        counted.expect(&[(Counter::GetsProhibited, 1)]);
    });
}

fn notifications(store: Store) {
    let settings = Settings {
        limits: smp_core::server::Limits { notifications: 1, ..Default::default() },
        ..Settings::default()
    };
    run(store, &settings, &[NEWEST], |server, form| {
        let (mut alice, mut notifier) =
            (Peer::connect(server.address(), form), Peer::connect(server.address(), form));
        let queue = Queue::new(&mut alice);
        let mut counted = Counted::by(server);
        let (auth, dh) = (key(Kind::Ed25519), dh_key());
        let keys = NotifierKeys { auth_key: auth.public(), dh_key: dh.public() };
        let answer = queue.set_notifier(&mut alice, keys);
        let BrokerMessage::Nid(created) = answer.decode() else { panic!("{answer:?}") };
        counted.expect(&[(Counter::NotifiersCreated, 1)]);
        let send = |alice: &mut Peer| {
            let answer = alice.ask(Auth::None, &queue.sender, "SEND T hello");
            assert_eq!(answer, "OK");
        };
        send(&mut alice);
        send(&mut alice);
        counted.expect(&[
            (Counter::MessagesSent, 2),
            (Counter::NotifiedSent, 2),
            (Counter::NotificationsWithoutSubscriber, 2),
            (Counter::NotificationsLost, 1),
        ]);
        assert_eq!(server.statistics().active_notified.day.count(), 1);
        assert_eq!(notifier.ask(Auth::Key(&key(Kind::Ed25519)), &created.notifier_id, "NSUB"), "ERR AUTH");
        let subscribed = notifier.subscribed();
        assert_eq!(notifier.ask(Auth::Key(&auth), &created.notifier_id, "NSUB"), subscribed);
        assert!(matches!(notifier.event().decode(), BrokerMessage::NMsg { .. }));
        assert_eq!(notifier.ask(Auth::Key(&auth), &created.notifier_id, "NSUB"), subscribed);
        counted.expect(&[
            (Counter::NotifierSubscriptionsRefused, 1),
            (Counter::NotifierSubscriptions, 1),
            (Counter::NotifierSubscriptionsRepeated, 1),
            (Counter::Notifications, 1),
            (Counter::NotificationBatches, 1),
        ]);
        let message = queue.message(&mut alice);
        queue.acknowledge_for_next(&mut alice, &message.id);
        counted.expect(RECEIVED);
        assert_eq!(queue.ask(&mut alice, "NDEL"), "OK");
        assert_eq!(notifier.event(), "DELD");
        assert_eq!(queue.ask(&mut alice, "NDEL"), "OK");
        counted.expect(&[
            (Counter::NotifiersDeleted, 1),
            (Counter::SubscriptionsEnded, 1),
            (Counter::EndBatches, 1),
        ]);
    });
}

fn what_expires(store: Store) {
    let settings = Settings {
        message_ttl: Some(Duration::from_millis(1)),
        expire_on_send: true,
        expire_on_start: false,
        ..Settings::default()
    };
    run(store, &settings, &[NEWEST], |server, form| {
        let (mut alice, mut bob) =
            (Peer::connect(server.address(), form), Peer::connect(server.address(), form));
        let queue = Queue::create(&mut alice, &Creation { subscribe: false, ..Creation::default() });
        // Messages have whole seconds: the first is old when the clock has moved on.
        let expired = || server.statistics().counts.of(Counter::MessagesExpired);
        smp_tests::peer::wait_until("a message has expired", || {
            assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
            expired() > 0
        });
        let counts = server.statistics().counts;
        let kept = counts.of(Counter::MessagesSent) - counts.of(Counter::MessagesExpired);
        let mut left = 0;
        while let BrokerMessage::Msg { .. } = queue.ask(&mut alice, "GET").decode() {
            let message = queue.open(&queue.ask(&mut alice, "GET"));
            assert_eq!(queue.acknowledge(&mut alice, &message.id), "OK");
            left += 1;
        }
        assert_eq!(left, kept);
    });
}

fn services(store: Store) {
    run(store, &Settings::default(), &[Form::new(19)], |server, form| {
        use Counter::MessagingServices as Of;
        let service = Service::new(ServiceRole::Messaging);
        let mut first = Peer::connect_service(server.address(), form, &service);
        let mut counted = Counted::by(server);
        let queue = Queue::new(&mut first);
        counted.expect(&[
            (Counter::QueuesCreated, 1),
            (Of(ServiceCounter::Queues), 1),
            (Of(ServiceCounter::Subscriptions), 1),
        ]);
        drop(first);
        let mut bob = Peer::connect(server.address(), form);
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        counted.expect(SENT);
        let mut second = Peer::connect_service(server.address(), form, &service);
        let id = second.service.as_ref().expect("a service").id.clone();
        let mut command = b"SUBS ".to_vec();
        smp_core::wire::QueueSet::EMPTY.encode(form.version, &mut command);
        assert!(matches!(second.ask(Auth::Service, &id, command.clone()).decode(), BrokerMessage::Soks(_)));
        let message = queue.message(&mut second);
        assert_eq!(second.event(), "ALLS");
        counted.expect(&[
            (Of(ServiceCounter::Subscriptions), 1),
            (Of(ServiceCounter::More), 1),
            (Of(ServiceCounter::MoreTotal), 1),
            (Counter::ServiceMessages, 1),
        ]);
        second.ask(Auth::Service, &id, command);
        counted.expect(&[(Of(ServiceCounter::SubscriptionsRepeated), 1)]);
        assert_eq!(queue.acknowledge(&mut second, &message.id), "OK");
        counted.expect(RECEIVED);
        queue.subscribe(&mut bob);
        counted.expect(&[(Of(ServiceCounter::AssociationsRemoved), 1)]);
    });
}

fn commands_through_a_proxy(store: Store) {
    let proxy = TestServer::start(store, &Settings::default());
    run(store, &Settings::default(), &[NEWEST], |server, form| {
        let (mut alice, mut bob) =
            (Peer::connect(server.address(), form), Peer::connect(proxy.address(), form));
        let queue = Queue::new(&mut alice);
        let (mut of_proxy, mut of_relay) = (Counted::by(&proxy), Counted::by(server));
        let relay = Relay::new(&mut bob, server.address());
        of_proxy.expect(&[
            (Counter::Relays(ProxyCounter::Requests), 1),
            (Counter::Relays(ProxyCounter::Successes), 1),
        ]);
        for (to, answer) in [(&queue.sender, "OK"), (&queue.recipient, "ERR AUTH")] {
            assert_eq!(relay.ask(&mut bob, form.version, None, to, b"SEND F hello"), answer);
        }
        of_proxy.expect(&[
            (Counter::Forwards(ProxyCounter::Requests), 2),
            (Counter::Forwards(ProxyCounter::Successes), 2),
        ]);
        of_relay.expect(&[
            (Counter::ForwardsReceived, 2),
            (Counter::MessagesSent, 1),
            (Counter::MessagesRefused, 1),
        ]);
    });
    proxy.stop();
}

fn names_without_a_resolver(store: Store) {
    run(store, &Settings::default(), &[Form::new(20)], |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let mut counted = Counted::by(server);
        let mut command = Vec::new();
        let name = "alice.simplex".parse().expect("a name");
        smp_core::wire::Command::Rslv(name).encode(form.version, &mut command);
        assert_eq!(alice.ask(Auth::None, &Default::default(), command), "ERR NAME NO_RESOLVER");
        counted.expect(&[(Counter::Names, 1), (Counter::NamesDisabled, 1)]);
    });
}
