//! Short links, from one client to another.

use smp_core::client::{Answer, Request};
use smp_core::crypto::link::{link_id, open};
use smp_core::crypto::{OwnedLink, X448PrivateKey, X25519PrivateKey, chosen_sender_id};
use smp_core::wire::command::NewQueue;
use smp_core::wire::link::{ContactDetails, ContactKind, LinkKind, RatchetKeys, UserLinkData};
use smp_core::wire::{
    ConnectionMode, ConnectionRequest, QueueAddress, QueueMode, QueueUri, ShortLink, Version, VersionRange,
};

use super::*;

const CORRELATION: [u8; 24] = [5; 24];

fn versions(min: u16, max: u16) -> VersionRange {
    VersionRange::new(Version(min), Version(max)).unwrap()
}

fn request(mode: ConnectionMode, entropy: &mut SeededEntropy) -> ConnectionRequest {
    let (queue_mode, ratchet) = match mode {
        ConnectionMode::Contact => (QueueMode::Contact, None),
        ConnectionMode::Invitation => {
            let [first, second] = [(); 2].map(|()| X448PrivateKey::generate(entropy).public());
            (QueueMode::Messaging, Some(RatchetKeys { versions: versions(2, 3), first, second, kem: None }))
        }
    };
    let address = QueueAddress {
        server: server_address(),
        sender_id: chosen_sender_id(&CORRELATION.into()),
        dh_key: X25519PrivateKey::generate(entropy).public(),
        mode: Some(queue_mode),
    };
    let queue = QueueUri { versions: versions(1, 4), address };
    ConnectionRequest::new(versions(2, 7), vec![queue], ratchet).unwrap()
}

/// A queue with a link, and the text of the link.
async fn create(client: &Client, mode: ConnectionMode) -> (Queue, String) {
    let mut entropy = SeededEntropy::new([9; 32]);
    let root = Ed25519PrivateKey::generate(&mut entropy);
    let request = request(mode, &mut entropy);
    let sender_id = request.queues()[0].address.sender_id.clone();
    let owned = OwnedLink::new(request.versions, request, None, &root, &mut entropy).unwrap();
    let contact = ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() };
    let contact = (mode == ConnectionMode::Contact).then_some(contact);
    let user = UserLinkData { versions: versions(2, 7), contact, data: "a profile".into() };
    let data = owned.seal(&user, &root, &mut entropy).unwrap();

    let keys = QueueKeys::generate(&mut entropy);
    let queue_data = Some(owned.queue_data(sender_id, data));
    let new = NewQueue { queue_data, ..keys.new_queue(SubscriptionMode::Subscribe) };
    let command = Request::create(new, keys.auth.clone()).with_correlation_id(CORRELATION);
    let Ok(Answer::Created(ids)) = client.request(command).await else { panic!("no queue") };
    let kind = match mode {
        ConnectionMode::Invitation => LinkKind::Invitation(ids.link_id.clone().unwrap()),
        ConnectionMode::Contact => LinkKind::Contact(ContactKind::Contact),
    };
    let link = owned.short_link(kind, server_address()).unwrap();
    (Queue { keys: Arc::new(keys), ids: *ids }, link.to_string())
}

#[test]
fn who_has_the_link_reads_the_data_and_sends_to_the_queue() {
    for mode in [ConnectionMode::Invitation, ConnectionMode::Contact] {
        let world = World::new();
        let (alice, mut events) = world.connect(1);
        let (bob, _bobs_events) = world.connect(2);
        world.run(async move {
            let (queue, text) = create(&alice, mode).await;

            let link: ShortLink = text.parse().unwrap();
            let key = auth_key(3);
            let (sender_id, data) = match link.mode() {
                ConnectionMode::Invitation => {
                    bob.secure_and_read_link(link_id(&link), key.clone()).await.unwrap()
                }
                ConnectionMode::Contact => bob.read_link(link_id(&link)).await.unwrap(),
            };
            let opened = open(&link, &sender_id, &data).unwrap();
            assert_eq!(opened.user.data, "a profile");
            let address = &opened.fixed.request.queues()[0].address;
            assert_eq!(address.server, server_address());
            let key = address.sender_can_secure().then_some(key);
            bob.send(address.sender_id.clone(), key, NO_FLAGS, "hello".into()).await.unwrap();

            let message = talking::next_message(&mut events, &queue).await;
            assert_eq!(talking::body_of(&queue, &message), b"hello");
        });
    }
}
