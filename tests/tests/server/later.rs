//! Commands of what this server does not offer: parsed, and refused in the protocol's own words.

use smp_core::wire::address::ServerAddress;
use smp_core::wire::command::{
    ContactLink, LinkData, MessagingLink, NewQueue, NotifierKeys, QueueRequestData, RelayRequest,
    SubscriptionMode,
};
use smp_core::wire::{Command, EntityId, Version};
use smp_tests::peer::{Auth, Kind, Peer, Queue, Request, bytes, dh_key, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, run, scenarios};

scenarios![
    proxying_is_refused,
    names_are_not_resolved,
    links_and_notifiers_are_refused_to_their_owner,
    service_subscriptions_are_refused,
    service_signatures_are_refused_outside_services,
];

const HAS_AUTH: &str = "ERR CMD HAS_AUTH";
const PROHIBITED: &str = "ERR CMD PROHIBITED";

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

fn links_and_notifiers_are_refused_to_their_owner(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut peer);
        let data = LinkData { fixed: b"fixed".as_slice().into(), user: b"user".as_slice().into() };
        let lset = Command::LSet { link_id: EntityId::from([2; 24]), data };
        let keys = NotifierKeys { auth_key: key(Kind::Ed25519).public(), dh_key: dh_key().public() };
        for command in [lset, Command::LDel, Command::NKey(keys), Command::NDel] {
            assert_eq!(queue.ask(&mut peer, encoded(form.version, &command)), PROHIBITED, "{command:?}");
        }
        // The queue is as it was.
        assert_eq!(queue.send(&mut peer, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut peer).text(), "hello");

        let stranger = key(Kind::Ed25519);
        let unknown = EntityId::from(bytes::<24>());
        let lkey = Queue::with_key("LKEY", &stranger);
        assert_eq!(peer.ask(Auth::None, &unknown, "LGET"), "ERR AUTH");
        assert_eq!(peer.ask(Auth::Key(&stranger), &unknown, lkey), "ERR AUTH");
        assert_eq!(peer.ask(Auth::Key(&stranger), &unknown, "NSUB"), "ERR AUTH");
        for (link, notifier, since) in [
            (messaging_link(), None, Version::SHORT_LINKS),
            (contact_link(), None, Version::SHORT_LINKS),
            (QueueRequestData::Messaging(None), Some(keys), Version::NEW_NOTIFIER),
        ] {
            if form.version >= since {
                let owner = key(Kind::Ed25519);
                let new = NewQueue {
                    recipient_key: owner.public(),
                    dh_key: dh_key().public(),
                    password: None,
                    subscribe: SubscriptionMode::Subscribe,
                    queue_data: Some(link),
                    notifier,
                };
                let command = encoded(form.version, &Command::New(Box::new(new)));
                assert_eq!(peer.ask(Auth::Key(&owner), &EntityId::empty(), command), PROHIBITED);
            }
        }
        peer.assert_silent();
    });
}

fn messaging_link() -> QueueRequestData {
    let data = LinkData { fixed: b"fixed".as_slice().into(), user: b"user".as_slice().into() };
    QueueRequestData::Messaging(Some(MessagingLink { sender_id: EntityId::from([4; 24]), data }))
}

fn contact_link() -> QueueRequestData {
    let data = LinkData { fixed: b"fixed".as_slice().into(), user: b"user".as_slice().into() };
    let link = ContactLink { link_id: EntityId::from([5; 24]), sender_id: EntityId::from([4; 24]), data };
    QueueRequestData::Contact(Some(link))
}

fn service_subscriptions_are_refused(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let (owner, id) = (key(Kind::Ed25519), EntityId::from([6; 24]));
        for word in ["SUBS", "NSUBS"] {
            assert_eq!(peer.ask(Auth::Key(&owner), &id, word), PROHIBITED, "{word}");
            assert_eq!(peer.ask(Auth::Key(&owner), &id, format!("{word} 1")), "ERR CMD SYNTAX");
            assert_eq!(peer.ask(Auth::None, &id, word), "ERR CMD NO_AUTH");
            assert_eq!(peer.ask(Auth::Key(&owner), &EntityId::empty(), word), "ERR CMD NO_AUTH");
        }
    });
}

fn service_signatures_are_refused_outside_services(store: Store) {
    let forms: Vec<_> = ALL.iter().copied().filter(|form| form.version >= Version::SERVICES).collect();
    run(store, &Settings::default(), &forms, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let queue = Queue::new(&mut peer);
        // A known queue and an unknown one are refused alike.
        for (id, owner) in [(queue.recipient.clone(), &queue.key), (EntityId::from([8; 24]), &queue.key)] {
            let request = Request::new(Auth::Key(owner), &id, "SUB");
            let plain = peer.transmission(&request);
            let (auth, rest) = plain.split_at(1 + 64);
            let signed = [auth, b"1\x40", &bytes::<64>(), &rest[1..]].concat();
            peer.send_batch(&[signed]);
            assert_eq!(peer.answer(&request), "ERR SERVICE");
        }
        peer.assert_silent();
    });
}
