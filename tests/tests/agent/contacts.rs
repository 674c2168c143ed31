//! Contact addresses over real sockets.

use smp_core::agent::{ContactRequest, Event};
use smp_core::wire::ConnectionRequest;

use super::*;

/// An address is copied as text, two people ask while its owner is away, one is accepted after a start from the file.
#[test]
fn people_ask_at_an_address_while_its_owner_is_away() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let folder = tempfile::tempdir().expect("a folder");
    let conversation = async move {
        let (first, first_address) = serve(&runtime).await;
        let (second, second_address) = serve(&runtime).await;
        let start = || agent(&runtime, first_address.clone(), kept_in(&folder.path().join("alice")));
        let (alice, events) = start();
        let (address, request) = alice.create_address(USER).await.expect("an address");
        let request: ConnectionRequest = request.to_string().parse().expect("a link");
        alice.stop().await;
        drop(events);

        let (bob, mut bob_events) = agent(&runtime, second_address.clone(), MemoryAgentStore::new());
        let (eve, eve_events) = agent(&runtime, second_address, MemoryAgentStore::new());
        let at_bob = new_connection_id().expect("randomness");
        let joined = bob.join(at_bob, USER, request.clone(), "bob".into(), true).await.expect("it is there");
        assert!(!joined.can_send && joined.connection == at_bob);
        let at_eve = new_connection_id().expect("randomness");
        eve.join(at_eve, USER, request, "eve".into(), true).await.expect("it is there");

        let (alice, mut alice_events) = start();
        let (from_bob, from_eve) = (request_to(&mut alice_events).await, request_to(&mut alice_events).await);
        assert!(from_bob.info == "bob" && from_eve.info == "eve" && from_bob.connection == address);
        assert!(alice.requests(address).await.expect("an address") == [from_bob.clone(), from_eve.clone()]);
        alice.reject(address, from_eve.invitation).await.expect("it waits");
        let at_alice = new_connection_id().expect("randomness");
        let joined = alice.accept(at_alice, USER, from_bob.invitation, "alice".into(), true).await;
        assert!(joined.expect("it waits").can_send);
        assert!(alice.requests(address).await.expect("an address").is_empty());

        let Some(Event::Confirmation { confirmation, info, .. }) = bob_events.next().await else {
            panic!("not a confirmation")
        };
        assert_eq!(info, "alice");
        bob.allow(at_bob, confirmation, "bob again".into()).await.expect("there is a confirmation");
        alice.send(at_alice, "hello".into(), FLAGS).await.expect("he can read it");
        loop {
            match bob_events.next().await {
                Some(Event::Message(message)) => break assert_eq!(message.body, "hello"),
                Some(Event::Connected(_)) => {}
                event => panic!("another event: {event:?}"),
            }
        }
        for agent in [alice, bob, eve] {
            agent.stop().await;
        }
        drop(eve_events);
        first.stop(PATIENCE).await.expect("a store in memory");
        second.stop(PATIENCE).await.expect("a store in memory");
    };
    tokio.block_on(async { tokio::time::timeout(PATIENCE, conversation).await.expect("it hangs") });
}

async fn request_to(events: &mut Events) -> ContactRequest {
    loop {
        match events.next().await {
            Some(Event::Request(request)) => return *request,
            Some(Event::Up(..)) => {}
            event => panic!("not a request: {event:?}"),
        }
    }
}
