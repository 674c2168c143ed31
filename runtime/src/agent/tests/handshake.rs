//! Connections to queues that their senders cannot secure.

use smp_core::agent::Event;
use smp_core::server::ServerConfig;
use smp_core::wire::agent::AgentError;
use smp_core::wire::link::ConnectionRequest;
use smp_core::wire::queue_uri::QueueUri;
use smp_core::wire::{QueueMode, Version, VersionRange};

use super::*;

/// What an invitation says of its queue: the highest client version, which the queue for replies takes over, and whether its
/// sender secures it.
pub(super) fn changed(request: &ConnectionRequest, max: u16, mode: Option<QueueMode>) -> ConnectionRequest {
    let mut queue = request.queues()[0].clone();
    queue.address.mode = mode;
    let queue = QueueUri { versions: VersionRange::new(Version(1), Version(max)).unwrap(), ..queue };
    ConnectionRequest::new(request.versions, vec![queue], request.ratchet.clone()).unwrap()
}

/// With the version of the queues, whether the first one can be secured, and the sender's number of the first message of each
/// side: who has to say HELLO has used one more.
#[test]
fn queues_that_their_senders_cannot_secure() {
    let cases = [
        ("both can", 4, Some(QueueMode::Messaging), 2, 2),
        ("that of the invitation cannot", 4, None, 2, 2),
        ("that for replies cannot", 2, Some(QueueMode::Messaging), 3, 3),
        ("neither can", 2, None, 3, 3),
    ];
    for (name, max, mode, first_of_bob, first_of_alice) in cases {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, request) = alice.invite(false);
        let (at_bob, joined) = bob.join(changed(&request, max, mode), "bob", false);
        assert_eq!(joined, Ok(mode.is_some()), "{name}");
        let (confirmation, info) = alice.confirmation();
        assert_eq!(info, "bob", "{name}");
        alice.allow(at_alice, confirmation, "alice");
        assert_eq!(bob.info(), "alice", "{name}");
        bob.connected();
        alice.connected();
        for turn in 0..3 {
            bob.send(at_bob, "of bob").unwrap();
            let message = alice.message();
            assert_eq!((message.sender_id, &*message.body), (first_of_bob + turn, &b"of bob"[..]), "{name}");
            alice.acknowledge(&message);
            alice.send(at_alice, "of alice").unwrap();
            let message = bob.message();
            assert_eq!(message.sender_id, first_of_alice + turn, "{name}");
            bob.acknowledge(&message);
        }
    }
}

/// The server of the invitation has the confirmation and does not say so; before it is sent again its recipient has secured the
/// queue with the key in it.
#[test]
fn a_confirmation_whose_key_is_known_already_is_sent_again_signed() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, request) = alice.invite(false);
    world.stores[0].hold(true);
    let (at_bob, joined) = bob.join(changed(&request, 4, None), "bob", false);
    assert!(matches!(joined, Err(AgentError::Broker { .. })), "{joined:?}");
    world.stores[0].hold(false);
    let (confirmation, _) = alice.confirmation();
    world.crash(1);
    alice.allow(at_alice, confirmation, "alice");
    assert!(alice.others_within(HOUR).is_empty());
    assert_eq!(bob.rejoin(at_bob), Ok(false));
    world.start(1, ServerConfig::default());
    bob.info();
    bob.connected();
    alice.connected();
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.message().body, "hello");
}

/// The other side answers before the server says that it has the confirmation; messages do not wait for a call.
#[test]
fn who_is_answered_has_joined() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, request) = alice.invite(false);
    world.stores[0].hold(true);
    // Nobody secures the queue of the invitation, so that nothing else is asked of its server.
    let (at_bob, joined) = bob.join(changed(&request, 4, None), "bob", false);
    assert!(joined.is_err());
    world.stores[0].hold(false);
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    assert_eq!(bob.rejoin(at_bob), Ok(false));
    world.crash(0);
    bob.send(at_bob, "hello").unwrap();
    world.start(0, ServerConfig::default());
    assert_eq!(alice.message().body, "hello");
}

/// Who is not let in has no right to send: several may ask, and one is chosen.
#[test]
fn of_several_who_use_an_open_invitation_one_is_let_in() {
    let world = World::new(1);
    let (mut alice, mut bob, mut eve) = (world.person(1, 0), world.person(2, 0), world.person(3, 0));
    let (at_alice, request) = alice.invite(true);
    let request = changed(&request, 4, None);
    let (_, joined) = eve.join(request.clone(), "eve", true);
    assert_eq!(joined, Ok(false));
    let (at_bob, joined) = bob.join(request, "bob", true);
    assert_eq!(joined, Ok(false));
    assert_eq!(alice.confirmation().1, "eve");
    let (confirmation, info) = alice.confirmation();
    assert_eq!(info, "bob");
    alice.allow(at_alice, confirmation, "alice");
    assert_eq!(bob.info(), "alice");
    bob.connected();
    alice.connected();
    bob.send(at_bob, "hello").unwrap();
    assert_eq!(alice.message().body, "hello");
    // The other one hears nothing, as long as she asks.
    assert!(!matches!(eve.event_within(HOUR), Some(Event::Info(..) | Event::Connected(_))));
}
