//! Links that clients make of data, and open again with nothing but the text of the link.

use smp_core::SeededEntropy;
use smp_core::crypto::link::{link_id, open};
use smp_core::crypto::{Ed25519PrivateKey, OwnedLink, X448PrivateKey, X25519PrivateKey, chosen_sender_id};
use smp_core::wire::Version;
use smp_core::wire::link::{ContactDetails, ContactKind, LinkKind, RatchetKeys, UserLinkData};
use smp_core::wire::{
    BrokerMessage, ConnectionMode, ConnectionRequest, DhPublicKey, EntityId, QueueAddress, QueueMode,
    QueueUri, ServerAddress, ShortLink, VersionRange,
};
use smp_tests::peer::{Auth, Creation, Kind, Peer, Queue, Received, bytes, key};
use smp_tests::server::{Settings, Store, TestServer};

use super::links::with_links;
use super::{run, scenarios, two};

scenarios![a_link_made_from_data_is_opened_by_who_only_has_the_link];

fn a_link_made_from_data_is_opened_by_who_only_has_the_link(store: Store) {
    run(store, &Settings::default(), &with_links(), |server, form| {
        for mode in [ConnectionMode::Invitation, ConnectionMode::Contact] {
            let (mut alice, mut bob) = two(server, form);
            let made = MadeLink::new(server, &mut alice, mode);
            let text = made.link.to_https();

            // From here on bob has nothing but the text.
            let link: ShortLink = text.parse().expect("a link");
            let answer = read(&mut bob, &link);
            let BrokerMessage::Lnk { sender_id, data } = answer.decode() else {
                panic!("{answer:?} is no link")
            };
            let opened = open(&link, &sender_id, &data).expect("what alice made");
            assert!(opened.user == made.user);
            let address = &opened.fixed.request.queues()[0].address;
            assert_eq!(address.sender_id, made.queue.sender);
            assert_eq!(address.dh_key, made.dh_key);

            // Alice changes what the link says; who has it sees that, and that she did it.
            if mode == ConnectionMode::Contact {
                let user = UserLinkData { data: "another profile".into(), ..made.user.clone() };
                let changed =
                    made.owned.seal(&user, &made.root, &mut SeededEntropy::new(bytes())).expect("fits");
                assert_eq!(made.queue.set_link(&mut alice, &link_id(&link), &changed), "OK");
                let answer = read(&mut bob, &link);
                let BrokerMessage::Lnk { data, .. } = answer.decode() else {
                    panic!("{answer:?} is no link")
                };
                assert!(open(&link, &sender_id, &data).expect("what alice made").user == user);
            }
        }
    });
}

/// Asks for the data of a link.
fn read(peer: &mut Peer, link: &ShortLink) -> Received {
    match link.mode() {
        ConnectionMode::Contact => peer.ask(Auth::None, &link_id(link), "LGET"),
        ConnectionMode::Invitation => {
            let ours = key(Kind::Ed25519);
            peer.ask(Auth::Key(&ours), &link_id(link), Queue::with_key("LKEY", &ours))
        }
    }
}

/// A link that was made on the server, and what only its maker knows.
struct MadeLink {
    queue: Queue,
    owned: OwnedLink,
    root: Ed25519PrivateKey,
    user: UserLinkData,
    dh_key: DhPublicKey,
    link: ShortLink,
}

impl MadeLink {
    /// Makes the data before the queue, whose sender id follows from the correlation id of NEW.
    fn new(server: &TestServer, alice: &mut Peer, mode: ConnectionMode) -> Self {
        let mut entropy = SeededEntropy::new(bytes());
        let correlation = bytes::<24>();
        let place = ServerAddress::new(
            vec!["localhost".parse().expect("a host")],
            Some(server.address().socket.port()),
            server.address().fingerprint,
        );
        let place = place.expect("an address");
        let root = Ed25519PrivateKey::generate(&mut entropy);
        let (request, dh_key) =
            request(place.clone(), chosen_sender_id(&correlation.into()), mode, &mut entropy);
        let owned = OwnedLink::new(request.versions, request, None, &root, &mut entropy).expect("fits");
        let contact = ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() };
        let contact = (mode == ConnectionMode::Contact).then_some(contact);
        let user = UserLinkData { versions: versions(2, 7), contact, data: "a profile".into() };
        let data = owned.seal(&user, &root, &mut entropy).expect("fits");

        let queue_mode = match mode {
            ConnectionMode::Invitation => QueueMode::Messaging,
            ConnectionMode::Contact => QueueMode::Contact,
        };
        let link_id = owned.link_id().unwrap_or_default();
        let creation = Creation {
            mode: Some(queue_mode),
            link: Some(data),
            link_id,
            correlation_id: Some(correlation.into()),
            ..Creation::default()
        };
        let queue = Queue::create(alice, &creation);
        let kind = match mode {
            ConnectionMode::Invitation => {
                LinkKind::Invitation(queue.created.link_id.clone().expect("a link id"))
            }
            ConnectionMode::Contact => LinkKind::Contact(ContactKind::Contact),
        };
        let link = owned.short_link(kind, place).expect("a link of this mode");
        Self { queue, owned, root, user, dh_key, link }
    }
}

/// A full link to one queue, and its key for the encryption of messages.
fn request(
    server: ServerAddress,
    sender_id: EntityId,
    mode: ConnectionMode,
    entropy: &mut SeededEntropy,
) -> (ConnectionRequest, DhPublicKey) {
    let dh_key = X25519PrivateKey::generate(entropy).public();
    let (queue_mode, ratchet) = match mode {
        ConnectionMode::Contact => (QueueMode::Contact, None),
        ConnectionMode::Invitation => {
            let [first, second] = [(); 2].map(|()| X448PrivateKey::generate(entropy).public());
            let keys = RatchetKeys { versions: versions(2, 3), first, second, kem: None };
            (QueueMode::Messaging, Some(keys))
        }
    };
    let address = QueueAddress { server, sender_id, dh_key, mode: Some(queue_mode) };
    let queue = QueueUri { versions: versions(1, 4), address };
    (ConnectionRequest::new(versions(2, 7), vec![queue], ratchet).expect("one queue"), dh_key)
}

fn versions(min: u16, max: u16) -> VersionRange {
    VersionRange::new(Version(min), Version(max)).expect("a range")
}
