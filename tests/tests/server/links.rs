//! Short links: data that a queue's link leads to.

use smp_core::wire::command::LinkData;
use smp_core::wire::{BrokerMessage, EntityId, QueueMode, Version};
use smp_tests::peer::{Auth, Creation, Form, Kind, Peer, Queue, Received, Request, bytes, key};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, NEWEST, run, scenarios, two};

scenarios![
    an_invitation_is_read_once_and_then_gone,
    an_invitation_that_is_removed_leads_nowhere,
    a_contact_address_is_read_by_anybody,
    links_are_set_and_removed_later,
    ids_that_a_client_chooses,
    who_has_no_right_learns_nothing,
    blocks_full_of_data,
];

const AUTH: &str = "ERR AUTH";

/// The forms of client that can say so in NEW.
pub(super) fn with_links() -> Vec<Form> {
    ALL.iter().copied().filter(|form| form.version >= Version::SHORT_LINKS).collect()
}

fn data(fixed: &str, user: &str) -> LinkData {
    LinkData { fixed: fixed.to_owned().into(), user: user.to_owned().into() }
}

fn invitation() -> Creation {
    Creation { link: Some(data("fixed", "user")), ..Creation::default() }
}

fn address() -> Creation {
    Creation { mode: Some(QueueMode::Contact), ..invitation() }
}

/// The link id that the server told of a new queue.
fn link_id(queue: &Queue) -> EntityId {
    queue.created.link_id.clone().expect("a link id")
}

fn lget(peer: &mut Peer, link: &EntityId) -> Received {
    peer.ask(Auth::None, link, "LGET")
}

fn lkey(peer: &mut Peer, link: &EntityId, key: &smp_core::crypto::AuthPrivateKey) -> Received {
    peer.ask(Auth::Key(key), link, Queue::with_key("LKEY", key))
}

#[track_caller]
fn assert_leads_to(answer: &Received, queue: &Queue, expected: &LinkData) {
    let BrokerMessage::Lnk { sender_id, data } = answer.decode() else { panic!("{answer:?} is no link") };
    assert_eq!(sender_id, queue.sender);
    assert!(data == *expected);
}

fn an_invitation_is_read_once_and_then_gone(store: Store) {
    run(store, &Settings::default(), &with_links(), |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &invitation());
        let link = link_id(&queue);
        assert_eq!(queue.set_link(&mut alice, &link, &data("fixed", "other")), "OK");
        // It is for one person, who shows a key; anybody else learns nothing.
        assert_eq!(lget(&mut bob, &link), AUTH);
        let (ours, another) = (key(Kind::Ed25519), key(Kind::Ed25519));
        assert_leads_to(&lkey(&mut bob, &link, &ours), &queue, &data("fixed", "other"));
        assert_eq!(lkey(&mut bob, &link, &another), AUTH);
        assert_eq!(queue.set_link(&mut alice, &link, &data("fixed", "too late")), AUTH);
        // Whose answer was lost may ask again, until they use the queue.
        assert_leads_to(&lkey(&mut bob, &link, &ours), &queue, &data("fixed", "other"));
        assert_eq!(queue.send(&mut bob, Some(&another), "hello"), AUTH);
        assert_leads_to(&lkey(&mut bob, &link, &ours), &queue, &data("fixed", "other"));
        assert_eq!(queue.send(&mut bob, Some(&ours), "hello"), "OK");
        assert_eq!(lkey(&mut bob, &link, &ours), AUTH);
        assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        assert_eq!(queue.ask(&mut alice, "LDEL"), "OK");
        alice.assert_silent();
    });
}

fn an_invitation_that_is_removed_leads_nowhere(store: Store) {
    run(store, &Settings::default(), &with_links(), |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let [unread, read] = [(); 2].map(|()| Queue::create(&mut alice, &invitation()));
        let ours = key(Kind::Ed25519);
        assert_leads_to(&lkey(&mut bob, &link_id(&read), &ours), &read, &data("fixed", "user"));
        for queue in [&unread, &read] {
            let link = link_id(queue);
            assert_eq!(queue.ask(&mut alice, "LDEL"), "OK");
            assert_eq!(lkey(&mut bob, &link, &ours), AUTH);
            assert_eq!(lget(&mut bob, &link), AUTH);
        }
        // What became of their queues does not depend on the links.
        assert_eq!(unread.send(&mut bob, None, "hello"), "OK");
        assert_eq!(read.send(&mut bob, None, "hello"), AUTH);
        assert_eq!(read.send(&mut bob, Some(&ours), "hello"), "OK");
        // Until it is secured it can be given another.
        let link = EntityId::from(bytes::<24>());
        assert_eq!(read.set_link(&mut alice, &link, &data("fixed", "user")), AUTH);
        assert_eq!(unread.set_link(&mut alice, &link, &data("other", "user")), "OK");
        assert_leads_to(&lkey(&mut bob, &link, &ours), &unread, &data("other", "user"));
    });
}

fn a_contact_address_is_read_by_anybody(store: Store) {
    run(store, &Settings::default(), &with_links(), |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let creation = address();
        let queue = Queue::create(&mut alice, &creation);
        assert_eq!(link_id(&queue), creation.link_id);
        let link = &creation.link_id;
        assert_leads_to(&lget(&mut bob, link), &queue, &data("fixed", "user"));
        assert_eq!(lkey(&mut bob, link, &key(Kind::Ed25519)), AUTH);
        assert_eq!(queue.send(&mut bob, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut alice).text(), "hello");
        // What is sent leaves it as it is; only the user's part changes.
        assert_leads_to(&lget(&mut bob, link), &queue, &data("fixed", "user"));
        assert_eq!(queue.set_link(&mut alice, link, &data("fixed", "changed")), "OK");
        assert_eq!(queue.set_link(&mut alice, link, &data("changed", "user")), AUTH);
        assert_eq!(queue.set_link(&mut alice, &EntityId::from(bytes::<24>()), &data("fixed", "user")), AUTH);
        assert_leads_to(&lget(&mut bob, link), &queue, &data("fixed", "changed"));
        assert_eq!(queue.ask(&mut alice, "LDEL"), "OK");
        assert_eq!(queue.ask(&mut alice, "LDEL"), "OK");
        assert_eq!(lget(&mut bob, link), AUTH);
        assert_eq!(queue.ask(&mut alice, "OFF"), "OK");
    });
}

fn links_are_set_and_removed_later(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let (mut alice, mut bob) = two(server, form);
        for mode in [Some(QueueMode::Messaging), Some(QueueMode::Contact), None] {
            let queue = Queue::create(&mut alice, &Creation { mode, ..Creation::default() });
            let known = Queue::known_mode(form.version, mode);
            let link = EntityId::from(bytes::<24>());
            assert_eq!(lget(&mut bob, &link), AUTH);
            assert_eq!(queue.set_link(&mut alice, &EntityId::empty(), &data("", "")), AUTH);
            assert_eq!(queue.set_link(&mut alice, &link, &data("fixed", "")), "OK");
            match known {
                Some(QueueMode::Messaging) => {
                    let ours = key(Kind::Ed448);
                    assert_leads_to(&lkey(&mut bob, &link, &ours), &queue, &data("fixed", ""));
                }
                // Without a mode it is taken for an address until somebody secures it.
                Some(QueueMode::Contact) | None => {
                    assert_leads_to(&lget(&mut bob, &link), &queue, &data("fixed", ""));
                    assert_eq!(queue.secure(&mut alice, &key(Kind::Ed25519)), "OK");
                    match lget(&mut bob, &link) {
                        answer if known.is_none() => assert_eq!(answer, AUTH),
                        answer => assert_leads_to(&answer, &queue, &data("fixed", "")),
                    }
                }
            }
            // A link that was removed can be set anew, for this queue or another.
            let other = Queue::create(
                &mut alice,
                &Creation { mode: Some(QueueMode::Contact), ..Creation::default() },
            );
            assert_eq!(other.set_link(&mut alice, &link, &data("other", "")), AUTH);
            assert_eq!(queue.ask(&mut alice, "LDEL"), "OK");
            assert_eq!(other.set_link(&mut alice, &link, &data("other", "")), "OK");
            assert_eq!(other.ask(&mut alice, "DEL"), "OK");
            assert_eq!(lget(&mut bob, &link), AUTH);
        }
        alice.assert_silent();
    });
}

fn ids_that_a_client_chooses(store: Store) {
    run(store, &Settings::default(), &with_links(), |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let creation = address();
        let queue = Queue::create(&mut alice, &creation);
        // A link id is taken once, whoever asks, and there is no second try.
        let taken = Queue::try_create(&mut bob, &creation).err().expect("a refusal");
        assert_eq!(taken, AUTH);
        let link = creation.link_id.clone();
        assert_leads_to(&lget(&mut bob, &link), &queue, &data("fixed", "user"));
        // The sender id follows from the correlation id: with another one it is refused, and so is the same one again.
        for creation in [invitation(), address()] {
            let (auth, command) = Queue::new_command(form.version, &creation, &[7; 24].into());
            let new = |id: &[u8]| {
                Request::new(Auth::Key(&auth), &EntityId::empty(), command.clone()).correlated(id)
            };
            for id in [&[8; 24][..], b"abcd", &[7; 23]] {
                let request = new(id);
                bob.send(core::slice::from_ref(&request));
                assert_eq!(bob.answer(&request), "ERR CMD PROHIBITED");
            }
        }
        let id = bytes::<24>();
        let (auth, command) = Queue::new_command(form.version, &invitation(), &id.into());
        let request = Request::new(Auth::Key(&auth), &EntityId::empty(), command).correlated(&id);
        bob.send(core::slice::from_ref(&request));
        assert_eq!(bob.answer(&request).tag(), "IDS");
        bob.send(core::slice::from_ref(&request));
        assert_eq!(bob.answer(&request), AUTH);
        bob.assert_silent();
    });
}

fn who_has_no_right_learns_nothing(store: Store) {
    run(store, &Settings::default(), &with_links(), |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let (address, invitation) = (address(), invitation());
        let queues = [Queue::create(&mut alice, &address), Queue::create(&mut alice, &invitation)];
        let stranger = key(Kind::Ed25519);
        for queue in &queues {
            let link = link_id(queue);
            for command in ["LDEL", "NDEL"] {
                assert_eq!(bob.ask(Auth::Key(&stranger), &queue.recipient, command), AUTH);
                assert_eq!(bob.ask(Auth::Key(&queue.key), &queue.sender, command), AUTH);
                assert_eq!(bob.ask(Auth::None, &queue.recipient, command), "ERR CMD NO_AUTH");
            }
            assert_eq!(bob.ask(Auth::Key(&stranger), &link, "LGET"), "ERR CMD HAS_AUTH");
            assert_eq!(bob.ask(Auth::None, &EntityId::empty(), "LGET"), "ERR CMD NO_ENTITY");
            assert_eq!(lget(&mut bob, &queue.recipient), AUTH);
            // A wrong signature on a right key.
            let command = Queue::with_key("LKEY", &stranger);
            assert_eq!(bob.ask(Auth::Key(&queue.key), &link, command), AUTH);
        }
        // Suspended or not: links do not depend on it.
        assert_eq!(queues[0].ask(&mut alice, "OFF"), "OK");
        assert_eq!(lget(&mut bob, &link_id(&queues[0])).tag(), "LNK");
    });
}

fn blocks_full_of_data(store: Store) {
    run(store, &Settings::default(), &with_links(), |server, form| {
        let (mut alice, mut bob) = two(server, form);
        let queue = Queue::create(&mut alice, &address());
        let link = link_id(&queue);
        // As much as the apps store: with the rest of LSET and LNK it fits into a block.
        let large = data("fixed", &"u".repeat(13_784 + 2_008));
        assert_eq!(queue.set_link(&mut alice, &link, &large), "OK");
        assert_leads_to(&lget(&mut bob, &link), &queue, &large);
        let empty = data("fixed", "");
        assert_eq!(queue.set_link(&mut alice, &link, &empty), "OK");
        assert_leads_to(&lget(&mut bob, &link), &queue, &empty);
    });
}

#[test]
fn links_are_kept_over_a_restart() {
    let settings = Settings::default();
    let mut server = TestServer::start(Store::Embedded, &settings);
    let mut alice = Peer::connect(server.address(), NEWEST);
    let queues = [address(), invitation()].map(|creation| Queue::create(&mut alice, &creation));
    let removed = Queue::create(&mut alice, &address());
    assert_eq!(removed.ask(&mut alice, "LDEL"), "OK");
    for _ in 0..2 {
        server.restart(&settings);
        let mut bob = Peer::connect(server.address(), NEWEST);
        assert_leads_to(&lget(&mut bob, &link_id(&queues[0])), &queues[0], &data("fixed", "user"));
        assert_eq!(lget(&mut bob, &link_id(&removed)), AUTH);
    }
    let mut bob = Peer::connect(server.address(), NEWEST);
    let ours = key(Kind::X25519);
    assert_leads_to(&lkey(&mut bob, &link_id(&queues[1]), &ours), &queues[1], &data("fixed", "user"));
    server.restart(&settings);
    let mut bob = Peer::connect(server.address(), NEWEST);
    assert_eq!(lkey(&mut bob, &link_id(&queues[1]), &key(Kind::X25519)), AUTH);
    assert_leads_to(&lkey(&mut bob, &link_id(&queues[1]), &ours), &queues[1], &data("fixed", "user"));
    server.stop();
}
