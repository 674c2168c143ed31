//! What people do with a connection over real sockets: receipts, another server, a new ratchet.

use smp_core::agent::store::SyncState;
use smp_core::agent::{SwitchPhase, SwitchSide};

use super::*;

/// The next event that is wanted; what is sent and subscribed meanwhile is not.
async fn next(events: &mut Events) -> Event {
    loop {
        match events.next().await.expect("it runs") {
            Event::Sent(..) | Event::Up(..) => {}
            event => break event,
        }
    }
}

#[test]
fn a_connection_is_kept_in_order_over_real_sockets() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let folder = tempfile::tempdir().expect("a folder");
    let work = async move {
        let (first, first_address) = serve(&runtime).await;
        let (second, second_address) = serve(&runtime).await;
        let servers = [first_address, second_address.clone()];
        let servers = servers.map(UserServer::new).to_vec();
        let (alice, mut alice_events) =
            Agent::builder(runtime.clone(), kept_in(&folder.path().join("alice")))
                .user(USER, servers)
                .start()
                .expect("randomness and a thread");
        let (bob, mut bob_events) = agent(&runtime, second_address, MemoryAgentStore::new());

        let (at_alice, request) = alice.invite(USER, true).await.expect("an invitation");
        let at_bob = new_connection_id().expect("randomness");
        bob.join(at_bob, USER, request, "bob".into(), true).await.expect("it is free");
        let Event::Confirmation { confirmation, .. } = next(&mut alice_events).await else {
            panic!("not a confirmation")
        };
        alice.allow(at_alice, confirmation, "alice".into()).await.expect("there is a confirmation");
        assert!(matches!(next(&mut bob_events).await, Event::Info(..)));
        assert!(matches!(next(&mut bob_events).await, Event::Connected(_)));
        assert!(matches!(next(&mut alice_events).await, Event::Connected(_)));

        let before = alice.describe(at_alice).await.expect("it is there").receive[0].server.clone();
        alice.switch(at_alice).await.expect("another server");
        for phase in
            [SwitchPhase::Started, SwitchPhase::Confirmed, SwitchPhase::Secured, SwitchPhase::Completed]
        {
            let event = next(&mut bob_events).await;
            assert!(matches!(event, Event::Switch { side: SwitchSide::Send, phase: of, .. } if of == phase));
        }
        for phase in [SwitchPhase::Confirmed, SwitchPhase::Secured, SwitchPhase::Completed] {
            let event = next(&mut alice_events).await;
            assert!(
                matches!(event, Event::Switch { side: SwitchSide::Receive, phase: of, .. } if of == phase)
            );
        }
        let after = alice.describe(at_alice).await.expect("it is there").receive[0].server.clone();
        assert!(before != after);

        alice.synchronize_ratchet(at_alice, true).await.expect("both know how");
        for events in [&mut alice_events, &mut bob_events] {
            for expected in [SyncState::Agreed, SyncState::Ok] {
                let event = next(events).await;
                assert!(matches!(event, Event::RatchetSync { state, error: None, .. } if state == expected));
            }
        }
        let number = bob.send(at_bob, "hello".into(), FLAGS).await.expect("they are connected");
        let Event::Message(message) = next(&mut alice_events).await else { panic!("not a message") };
        assert_eq!(message.body, "hello");
        alice.acknowledge_with_receipt(at_alice, message.id, "read".into()).await.expect("it was told");
        let Event::Received(_, receipts) = next(&mut bob_events).await else { panic!("not a receipt") };
        assert!(receipts[0].message == number && receipts[0].is_intact);

        alice.stop().await;
        bob.stop().await;
        first.stop(PATIENCE).await.expect("a store in memory");
        second.stop(PATIENCE).await.expect("a store in memory");
    };
    tokio.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("it hangs") });
}
