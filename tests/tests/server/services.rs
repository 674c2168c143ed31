//! Services: clients with a certificate, which subscribe to all that is theirs at once.

use smp_core::crypto::padding::unpad;
use smp_core::server::store::set_of;
use smp_core::transport::tls::Alpn;
use smp_core::wire::command::NotifierKeys;
use smp_core::wire::{BrokerMessage, EntityId, QueueSet, ServiceRole, Version};
use smp_tests::peer::{
    Auth, Creation, Ended, Form, Greeting, Kind, Peer, Queue, Received, Request, Service, bytes, dh_key, key,
};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, NEWEST, run, scenarios};

scenarios![
    a_service_receives_what_waits_in_all_of_its_queues,
    another_connection_of_a_service_takes_all_over,
    a_queue_goes_from_a_client_to_a_service_and_back,
    a_service_that_is_notified,
    a_notifier_belongs_to_who_subscribed_last,
    what_services_sign_is_checked,
    roles,
];

const PROHIBITED: &str = "ERR CMD PROHIBITED";
const SERVICE: &str = "ERR SERVICE";

/// The forms of clients that may be services, and the newest, in which they compare what they have.
fn forms() -> Vec<Form> {
    let known = ALL.iter().copied().filter(|form| form.version >= Version::SERVICES);
    known.chain([Form::new(19)]).collect()
}

/// SUBS or NSUBS as the service: what it should have does not matter to the server.
#[track_caller]
fn subscribe_all(peer: &mut Peer, word: &str) -> QueueSet {
    let id = peer.service.as_ref().expect("a service").id.clone();
    let mut command = word.as_bytes().to_vec();
    if peer.version >= Version::SERVICE_SUBS {
        command.push(b' ');
        QueueSet::UNKNOWN.encode(peer.version, &mut command);
    }
    let answer = peer.ask(Auth::Service, &id, command);
    let BrokerMessage::Soks(queues) = answer.decode() else { panic!("{answer:?} is no SOKS") };
    queues
}

/// What the server should say of these ids at this version.
fn set(version: Version, ids: &[&EntityId]) -> QueueSet {
    let set = ids.iter().fold(QueueSet::EMPTY, |set, id| set.plus(set_of(id)));
    if version >= Version::SERVICE_SUBS { set } else { QueueSet { hash: QueueSet::EMPTY.hash, ..set } }
}

/// The answer to a SUB or NSUB of a service.
#[track_caller]
fn assert_subscribed(answer: &Received, peer: &Peer) {
    let id = peer.service.as_ref().map(|service| service.id.clone());
    assert!(matches!(answer.decode(), BrokerMessage::Sok(service) if service == id), "{answer:?}");
}

fn a_service_receives_what_waits_in_all_of_its_queues(store: Store) {
    run(store, &Settings::default(), &forms(), |server, form| {
        let service = Service::new(ServiceRole::Messaging);
        let mut first = Peer::connect_service(server.address(), form, &service);
        let id = first.service.as_ref().expect("a service").id.clone();
        let queues = [Queue::new(&mut first), Queue::new(&mut first), Queue::new(&mut first)];
        for queue in &queues {
            assert_eq!(queue.created.service_id, Some(id.clone()));
        }
        let only_create = Creation { subscribe: false, ..Creation::default() };
        assert_eq!(Queue::try_create(&mut first, &only_create).err().expect("a refusal"), PROHIBITED);
        drop(first);
        let mut bob = Peer::connect(server.address(), form);
        for queue in &queues[..2] {
            assert_eq!(queue.send(&mut bob, None, "waiting"), "OK");
        }
        let mut second = Peer::connect_service(server.address(), form, &service);
        assert_eq!(second.service.as_ref().expect("a service").id, id);
        let all: Vec<_> = queues.iter().map(|queue| &queue.recipient).collect();
        assert_eq!(subscribe_all(&mut second, "SUBS"), set(form.version, &all));
        let mut received = Vec::new();
        loop {
            let event = second.event();
            if event == "ALLS" {
                break;
            }
            let queue = queues.iter().find(|queue| queue.recipient == event.entity_id).expect("a queue");
            received.push(queue.recipient.clone());
            let message = queue.open(&event);
            assert_eq!(queue.acknowledge(&mut second, &message.id), "OK");
        }
        received.sort();
        let mut expected = vec![queues[0].recipient.clone(), queues[1].recipient.clone()];
        expected.sort();
        assert_eq!(received, expected);
        assert_eq!(subscribe_all(&mut second, "SUBS"), set(form.version, &all));
        assert_eq!(queues[2].send(&mut bob, None, "new"), "OK");
        assert_eq!(queues[2].receive_last(&mut second).text(), "new");
        second.assert_silent();
    });
}

fn another_connection_of_a_service_takes_all_over(store: Store) {
    run(store, &Settings::default(), &forms(), |server, form| {
        let service = Service::new(ServiceRole::Messaging);
        let mut former = Peer::connect_service(server.address(), form, &service);
        let queue = Queue::new(&mut former);
        let mut later = Peer::connect_service(server.address(), form, &service);
        let own = set(form.version, &[&queue.recipient]);
        assert_eq!(subscribe_all(&mut later, "SUBS"), own);
        assert_eq!(later.event(), "ALLS");
        let ends = former.event();
        assert!(matches!(ends.decode(), BrokerMessage::Ends(queues) if queues == own), "{ends:?}");
        assert_eq!(ends.entity_id, former.service.as_ref().expect("a service").id);
        let mut bob = Peer::connect(server.address(), form);
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut later).text(), "hello");
        former.assert_silent();
        later.assert_silent();
    });
}

fn a_queue_goes_from_a_client_to_a_service_and_back(store: Store) {
    run(store, &Settings::default(), &forms(), |server, form| {
        let (mut alice, mut bob) = super::two(server, form);
        let queue = Queue::new(&mut alice);
        let service = Service::new(ServiceRole::Messaging);
        let mut bot = Peer::connect_service(server.address(), form, &service);
        let answer = queue.ask(&mut bot, "SUB");
        assert_subscribed(&answer, &bot);
        assert_eq!(alice.event(), "END");
        assert_eq!(subscribe_all(&mut bot, "SUBS"), set(form.version, &[&queue.recipient]));
        assert_eq!(bot.event(), "ALLS");
        assert_eq!(queue.send(&mut bob, None, "to the service"), "OK");
        assert_eq!(queue.receive_last(&mut bot).text(), "to the service");
        queue.subscribe(&mut alice);
        let end = bot.event();
        assert!(end == "END" && end.entity_id == queue.recipient);
        assert_eq!(queue.send(&mut bob, None, "to the client"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "to the client");
        assert_eq!(subscribe_all(&mut bot, "SUBS"), set(form.version, &[]));
        let answer = queue.ask(&mut bot, "SUB");
        assert_subscribed(&answer, &bot);
        assert_eq!(queue.ask(&mut bob, "DEL"), "OK");
        let end = bot.event();
        assert!(end == "DELD" && end.entity_id == queue.recipient);
        assert_eq!(subscribe_all(&mut bot, "SUBS"), set(form.version, &[]));
        bot.assert_silent();
    });
}

/// Gives a queue a notifier: its id and key.
#[track_caller]
fn notifier(queue: &Queue, peer: &mut Peer) -> (EntityId, smp_core::crypto::AuthPrivateKey) {
    let key = key(Kind::Ed25519);
    let answer = queue.set_notifier(peer, NotifierKeys { auth_key: key.public(), dh_key: dh_key().public() });
    let BrokerMessage::Nid(created) = answer.decode() else { panic!("{answer:?} is no notifier") };
    (created.notifier_id, key)
}

fn a_service_that_is_notified(store: Store) {
    run(store, &Settings::default(), &forms(), |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queues = [Queue::new(&mut alice), Queue::new(&mut alice)];
        let notifiers = queues.each_ref().map(|queue| notifier(queue, &mut alice));
        let service = Service::new(ServiceRole::Notifier);
        let mut former = Peer::connect_service(server.address(), form, &service);
        for (id, key) in &notifiers {
            let answer = former.ask(Auth::Key(key), id, "NSUB");
            assert_subscribed(&answer, &former);
        }
        let all = set(form.version, &[&notifiers[0].0, &notifiers[1].0]);
        let mut later = Peer::connect_service(server.address(), form, &service);
        assert_eq!(subscribe_all(&mut later, "NSUBS"), all);
        assert!(matches!(former.event().decode(), BrokerMessage::Ends(queues) if queues == all));
        assert_eq!(queues[0].send(&mut alice, None, "hello"), "OK");
        // Whoever is notified is not told that all was sent.
        let event = later.event();
        assert!(event.tag() == "NMSG" && event.entity_id == notifiers[0].0, "{event:?}");
        // A client that is no service takes a notifier out of it.
        let mut phone = Peer::connect(server.address(), form);
        let expected = phone.subscribed();
        assert_eq!(phone.ask(Auth::Key(&notifiers[1].1), &notifiers[1].0, "NSUB"), expected);
        let end = later.event();
        assert!(end == "END" && end.entity_id == notifiers[1].0);
        assert_eq!(queues[1].send(&mut alice, None, "hello"), "OK");
        assert_eq!(phone.event().tag(), "NMSG");
        assert_eq!(queues[0].ask(&mut alice, "NDEL"), "OK");
        assert_eq!(later.event(), "DELD");
        former.assert_silent();
    });
}

fn a_notifier_belongs_to_who_subscribed_last(store: Store) {
    run(store, &Settings::default(), &forms(), |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut alice);
        let (id, key) = notifier(&queue, &mut alice);
        let services = [(); 2].map(|()| Service::new(ServiceRole::Notifier));
        let [mut first, mut second] =
            services.map(|service| Peer::connect_service(server.address(), form, &service));
        let mut phone = Peer::connect(server.address(), form);
        let (all, none) = (set(form.version, &[&id]), set(form.version, &[]));
        let subscribe = |peer: &mut Peer| {
            let answer = peer.ask(Auth::Key(&key), &id, "NSUB");
            assert_subscribed(&answer, peer);
        };
        let assert_ended = |peer: &mut Peer| {
            let end = peer.event();
            assert!(end == "END" && end.entity_id == id, "{end:?}");
        };
        subscribe(&mut first);
        subscribe(&mut first);
        assert_eq!(subscribe_all(&mut first, "NSUBS"), all);
        subscribe(&mut second);
        assert_ended(&mut first);
        assert_eq!(subscribe_all(&mut first, "NSUBS"), none);
        assert_eq!(subscribe_all(&mut second, "NSUBS"), all);
        subscribe(&mut phone);
        assert_ended(&mut second);
        assert_eq!(subscribe_all(&mut second, "NSUBS"), none);
        subscribe(&mut first);
        assert_ended(&mut phone);
        assert_eq!(subscribe_all(&mut first, "NSUBS"), all);
        assert_eq!(queue.send(&mut alice, None, "hello"), "OK");
        let event = first.event();
        assert!(event.tag() == "NMSG" && event.entity_id == id, "{event:?}");
        for peer in [&mut first, &mut second, &mut phone] {
            peer.assert_silent();
        }
    });
}

fn what_services_sign_is_checked(store: Store) {
    run(store, &Settings::default(), &forms(), |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let known = Queue::new(&mut alice);
        let service = Service::new(ServiceRole::Messaging);
        let mut bot = Peer::connect_service(server.address(), form, &service);
        let session = bot.service.take().expect("a service");
        // Without the signature, of a known queue and of an unknown one alike.
        for id in [&known.recipient, &EntityId::from(bytes::<24>())] {
            assert_eq!(bot.ask(Auth::Key(&known.key), id, "SUB"), SERVICE);
        }
        assert_eq!(Queue::try_create(&mut bot, &Creation::default()).err().expect("a refusal"), SERVICE);
        bot.service = Some(session);
        // With a wrong one.
        for id in [&known.recipient, &EntityId::from(bytes::<24>())] {
            let request = Request::new(Auth::Key(&known.key), id, "SUB");
            let mut transmission = bot.transmission(&request);
            // Authorisation, then `1`, the length and the signature of the service.
            transmission[1 + 64 + 1 + 1] ^= 1;
            bot.send_batch(&[transmission]);
            assert_eq!(bot.answer(&request), SERVICE);
        }
        // On a command that services do not sign.
        for id in [&known.recipient, &EntityId::from(bytes::<24>())] {
            for command in ["GET", "QUE", "OFF", "DEL"] {
                let request = Request::new(Auth::Key(&known.key), id, command);
                let signed = bot.transmission_of_service(&request);
                bot.send_batch(&[signed]);
                assert_eq!(bot.answer(&request), SERVICE, "{command}");
            }
        }
        // SUBS by another key, of another service.
        let id = bot.service.as_ref().expect("a service").id.clone();
        let mut command = b"SUBS".to_vec();
        if form.version >= Version::SERVICE_SUBS {
            command.push(b' ');
            QueueSet::EMPTY.encode(form.version, &mut command);
        }
        assert_eq!(bot.ask(Auth::Key(&known.key), &id, &command[..]), SERVICE);
        assert_eq!(bot.ask(Auth::Service, &EntityId::from(bytes::<24>()), &command[..]), SERVICE);
        assert_eq!(alice.ask(Auth::Key(&known.key), &id, &command[..]), SERVICE);
        // A good signature of the service does not make up for the key of the queue.
        assert_eq!(bot.ask(Auth::Key(&key(Kind::Ed25519)), &known.recipient, "SUB"), "ERR AUTH");
        let answer = known.ask(&mut bot, "SUB");
        assert_subscribed(&answer, &bot);
        assert_eq!(known.ask(&mut bot, "DEL"), "OK");
    });
}

fn roles(store: Store) {
    run(store, &Settings::default(), &forms(), |server, form| {
        let mut alice = Peer::connect(server.address(), form);
        let known = Queue::new(&mut alice);
        let unknown = EntityId::from(bytes::<24>());
        let (notifier, notifier_key) = notifier(&known, &mut alice);
        for role in [ServiceRole::Messaging, ServiceRole::Notifier, ServiceRole::Proxy] {
            let service = Service::new(role);
            let mut peer = Peer::connect_service(server.address(), form, &service);
            assert_eq!(peer.ask(Auth::None, &EntityId::empty(), "PING"), "PONG");
            for id in [&known.recipient, &unknown] {
                let is_messaging = role == ServiceRole::Messaging;
                assert_eq!(peer.ask(Auth::Key(&known.key), id, "QUE") == PROHIBITED, !is_messaging);
            }
            for id in [&notifier, &unknown] {
                let is_notifier = role == ServiceRole::Notifier;
                assert_eq!(peer.ask(Auth::Key(&notifier_key), id, "NSUB") == PROHIBITED, !is_notifier);
            }
            if role != ServiceRole::Messaging {
                assert_eq!(peer.ask(Auth::None, &known.sender, "SEND T hello"), PROHIBITED);
                assert_eq!(peer.ask(Auth::None, &EntityId::empty(), "RSLV example.simplex"), PROHIBITED);
            }
            // The certificate stays in its role.
            let other = if role == ServiceRole::Proxy { ServiceRole::Messaging } else { ServiceRole::Proxy };
            let other = service.in_role(other);
            let greeting = Greeting::new(server.address(), Alpn::smp(), Some(&other));
            let mut greeting = greeting.expect("the hello of the server");
            let mut hello = greeting.answer(form, Some(dh_key().public()));
            hello.service = Some(other.hello());
            greeting.send(&hello).expect("an open connection");
            let answer = greeting.link.receive(16384).expect("the answer to a service");
            assert_eq!(unpad(&answer), Ok(&b"EHANDSHAKE BAD_SERVICE"[..]));
            assert_eq!(greeting.link.closed(), Ended::Eof);
        }
    });
}

#[test]
fn services_are_kept_over_any_number_of_restarts() {
    let settings = Settings::default();
    let mut server = TestServer::start(Store::Embedded, &settings);
    let (bot, push) = (Service::new(ServiceRole::Messaging), Service::new(ServiceRole::Notifier));
    let mut peer = Peer::connect_service(server.address(), NEWEST, &bot);
    let id = peer.service.as_ref().expect("a service").id.clone();
    let queue = Queue::new(&mut peer);
    let (notifier_id, notifier_key) = notifier(&queue, &mut peer);
    let mut notified = Peer::connect_service(server.address(), NEWEST, &push);
    let answer = notified.ask(Auth::Key(&notifier_key), &notifier_id, "NSUB");
    assert_subscribed(&answer, &notified);
    for _ in 0..3 {
        server.restart(&settings);
        let newest = Form::new(20);
        let mut peer = Peer::connect_service(server.address(), newest, &bot);
        assert_eq!(peer.service.as_ref().expect("a service").id, id);
        assert_eq!(subscribe_all(&mut peer, "SUBS"), set(newest.version, &[&queue.recipient]));
        let mut notified = Peer::connect_service(server.address(), newest, &push);
        assert_eq!(subscribe_all(&mut notified, "NSUBS"), set(newest.version, &[&notifier_id]));
    }
    server.stop();
}
