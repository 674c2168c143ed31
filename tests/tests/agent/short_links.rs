//! Short links over real sockets.

use smp_core::agent::Event;
use smp_core::wire::link::{ContactDetails, ShortLink};

use super::*;

/// The link of an invitation is opened, its owner is started again from the file, and two people meet by it; then one of them shows an
/// address by another.
#[test]
fn people_meet_by_short_links() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let folder = tempfile::tempdir().expect("a folder");
    let conversation = async move {
        let (server, address) = serve(&runtime).await;
        let start = |name: &str| agent(&runtime, address.clone(), kept_in(&folder.path().join(name)));
        let ((alice, events), (bob, bob_events)) = (start("alice"), start("bob"));
        let made = alice.invite_with_link(USER, "alice's profile".into(), true).await.expect("a link");
        let link: ShortLink = made.link.expect("it knows links").to_string().parse().expect("a link");
        alice.stop().await;
        drop(events);
        let at_bob = new_connection_id().expect("randomness");
        bob.open_link(at_bob, USER, link.clone()).await.expect("it leads somewhere");
        bob.stop().await;
        drop(bob_events);

        let ((alice, mut alice_events), (bob, mut bob_events)) = (start("alice"), start("bob"));
        let opened = bob.open_link(at_bob, USER, link).await.expect("with the key that was kept");
        assert_eq!(opened.user.data, "alice's profile");
        let joined = bob.join(at_bob, USER, opened.fixed.request, "bob".into(), true).await;
        assert!(joined.expect("it is his").can_send);
        let confirmation = loop {
            match alice_events.next().await {
                Some(Event::Confirmation { confirmation, .. }) => break confirmation,
                Some(Event::Up(..)) => {}
                event => panic!("not a confirmation: {event:?}"),
            }
        };
        alice.allow(made.connection, confirmation, "alice".into()).await.expect("there is a confirmation");
        assert!(matches!(bob_events.next().await, Some(Event::Info(..))));
        assert!(matches!(bob_events.next().await, Some(Event::Connected(_))));

        let details = ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() };
        let made =
            alice.create_address_with_link(USER, details.clone(), "first".into()).await.expect("a link");
        let link = made.link.expect("it knows links");
        let changed = alice.set_link(made.connection, Some(details), "second".into()).await;
        assert!(changed == Ok(link.clone()));
        let nobody = new_connection_id().expect("randomness");
        let opened = bob.open_link(nobody, USER, link.clone()).await.expect("it leads somewhere");
        assert!(opened.user.data == "second" && opened.fixed.request == made.request);
        alice.delete_link(made.connection).await.expect("it is there");
        assert!(bob.open_link(nobody, USER, link).await.is_err());
        alice.stop().await;
        bob.stop().await;
        server.stop(PATIENCE).await.expect("a store in memory");
    };
    tokio.block_on(async { tokio::time::timeout(PATIENCE, conversation).await.expect("it hangs") });
}
