//! Commands of what this server does not offer: parsed, and refused in the protocol's own words.

use smp_core::wire::address::ServerAddress;
use smp_core::wire::command::RelayRequest;
use smp_core::wire::{Command, EntityId, QueueSet, Version};
use smp_tests::peer::{Auth, Creation, Kind, Peer, Queue, Request, bytes, dh_key, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, run, scenarios};

scenarios![
    proxying_is_refused,
    names_are_not_resolved,
    service_subscriptions_are_refused_to_others,
    service_signatures_are_refused_outside_services,
];

const HAS_AUTH: &str = "ERR CMD HAS_AUTH";

fn encoded(version: Version, command: &Command) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(version, &mut bytes);
    bytes
}

fn proxying_is_refused(store: Store) {
    run(store, &Settings { proxy: false, ..Settings::default() }, ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let none = EntityId::empty();
        let relay: ServerAddress = relay();
        let prxy = encoded(form.version, &Command::Prxy(RelayRequest { relay, password: None }));
        assert_eq!(peer.ask(Auth::None, &none, &prxy[..]), "ERR PROXY BASIC_AUTH");
        assert_eq!(peer.ask(Auth::None, &EntityId::from([1; 24]), &prxy[..]), HAS_AUTH);
        assert_eq!(peer.ask(Auth::None, &none, "PRXY"), "ERR CMD SYNTAX");

        let mut pfwd = b"PFWD \x00\x12".to_vec();
        dh_key().public().encode(&mut pfwd);
        pfwd.extend_from_slice(b"encrypted");
        let session = EntityId::new(&bytes::<32>()).expect("an id");
        assert_eq!(peer.ask(Auth::None, &session, &pfwd[..]), "ERR PROXY NO_SESSION");
        assert_eq!(peer.ask(Auth::None, &none, &pfwd[..]), "ERR CMD NO_ENTITY");
        assert_eq!(peer.ask(Auth::None, &none, "RFWD encrypted").tag(), "ERR");
        assert_eq!(peer.ask(Auth::None, &session, "RFWD encrypted"), HAS_AUTH);
        peer.assert_silent();
    });
}

fn relay() -> ServerAddress {
    let uri = "smp://LcJUMfVhwD8yxjAiSaDzzGF3-kLG4Uh0Fl_ZIjrRwjI=@localhost:5001";
    let uri: smp_core::wire::ServerUri = uri.parse().expect("an address");
    uri.server
}

fn names_are_not_resolved(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let none = EntityId::empty();
        assert_eq!(peer.ask(Auth::None, &none, "RSLV example.simplex"), "ERR NAME NO_RESOLVER");
        assert_eq!(peer.ask(Auth::None, &none, "RSLV "), "ERR CMD SYNTAX");
        assert_eq!(peer.ask(Auth::None, &EntityId::from([1; 24]), "RSLV example.simplex"), HAS_AUTH);
    });
}

fn service_subscriptions_are_refused_to_others(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let (owner, id) = (key(Kind::Ed25519), EntityId::from([6; 24]));
        for word in ["SUBS", "NSUBS"] {
            let mut all = word.as_bytes().to_vec();
            if form.version >= Version::SERVICE_SUBS {
                // How many queues, and their hash, must be told since.
                assert_eq!(peer.ask(Auth::Key(&owner), &id, word), "ERR CMD SYNTAX", "{word}");
                all.push(b' ');
                QueueSet::EMPTY.encode(form.version, &mut all);
            }
            assert_eq!(peer.ask(Auth::Key(&owner), &id, &all[..]), "ERR SERVICE", "{word}");
            assert_eq!(peer.ask(Auth::Key(&owner), &id, format!("{word} 1")), "ERR CMD SYNTAX");
            assert_eq!(peer.ask(Auth::None, &id, &all[..]), "ERR CMD NO_AUTH");
            assert_eq!(peer.ask(Auth::Key(&owner), &EntityId::empty(), &all[..]), "ERR CMD NO_AUTH");
        }
    });
}

fn service_signatures_are_refused_outside_services(store: Store) {
    let forms: Vec<_> = ALL.iter().copied().filter(|form| form.version >= Version::SERVICES).collect();
    run(store, &Settings::default(), &forms, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut peer);
        let mut refuses = |request: Request<'_>| {
            let signed = peer.transmission_of_service(&request);
            peer.send_batch(&[signed]);
            assert_eq!(peer.answer(&request), "ERR SERVICE");
        };
        // A known queue and an unknown one are refused alike.
        for id in [&queue.recipient, &queue.sender, &EntityId::from([8; 24])] {
            for command in ["SUB", "NSUB", "GET", "QUE", "OFF", "DEL", "SEND T hello"] {
                refuses(Request::new(Auth::Key(&queue.key), id, command));
            }
        }
        let id = bytes::<24>();
        let (owner, new) = Queue::new_command(form.version, &Creation::default(), &id.into());
        refuses(Request::new(Auth::Key(&owner), &EntityId::empty(), new).correlated(&id));
        assert_eq!(queue.send(&mut peer, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut peer).text(), "hello");
        peer.assert_silent();
    });
}
