//! What is sent to a server of somebody else goes through one's own.

use smp_core::agent::{ProxyFallback, ProxyMode};

use super::*;

#[test]
fn messages_go_through_a_proxy() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let conversation = async move {
        let (first, first_address) = serve(&runtime).await;
        let (second, second_address) = serve(&runtime).await;
        let (alice, mut alice_events) = agent(&runtime, first_address, MemoryAgentStore::new());
        let server = UserServer::new(second_address.clone());
        let (bob, mut bob_events) = Agent::builder(runtime.clone(), MemoryAgentStore::new())
            .user(USER, vec![server])
            .private_routing(ProxyMode::Always, ProxyFallback::Prohibit)
            .start()
            .expect("randomness and a thread");

        let (at_alice, request) = alice.invite(USER, true).await.expect("an invitation");
        let at_bob = new_connection_id().expect("randomness");
        bob.join(at_bob, USER, request, "bob".into(), true).await.expect("it is free");
        let Some(Event::Confirmation { confirmation, .. }) = alice_events.next().await else {
            panic!("not a confirmation")
        };
        alice.allow(at_alice, confirmation, "alice".into()).await.expect("there is a confirmation");
        assert!(matches!(bob_events.next().await, Some(Event::Info(..))));
        assert!(matches!(bob_events.next().await, Some(Event::Connected(_))));
        for number in 0..MESSAGES {
            bob.send(at_bob, Bytes::from(vec![number]), FLAGS).await.expect("they are connected");
        }
        let mut heard = 0;
        while heard < MESSAGES {
            match alice_events.next().await {
                Some(Event::Message(message)) => {
                    assert_eq!(&*message.body, &[heard]);
                    alice.acknowledge(at_alice, message.id).await.expect("it was told");
                    heard += 1;
                }
                Some(Event::Connected(_)) => {}
                event => panic!("another event: {event:?}"),
            }
        }
        for _ in 0..MESSAGES {
            match bob_events.next().await {
                Some(Event::Sent(_, _, proxy)) => assert!(proxy.as_ref() == Some(&second_address)),
                event => panic!("another event: {event:?}"),
            }
        }
        assert_eq!(first.connections(), 2, "of alice, and of the proxy");
        alice.stop().await;
        bob.stop().await;
        first.stop(PATIENCE).await.expect("a store in memory");
        second.stop(PATIENCE).await.expect("a store in memory");
    };
    tokio.block_on(async { tokio::time::timeout(PATIENCE, conversation).await.expect("it hangs") });
}
