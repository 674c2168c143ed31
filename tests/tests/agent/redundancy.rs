//! A server stops for good, and what is said goes through another one.

use smp_core::agent::AgentLimits;
use smp_core::agent::store::QueueStage;

use super::*;

#[test]
fn a_connection_outlives_a_server() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let folder = tempfile::tempdir().expect("a folder");
    let conversation = async move {
        let (one, one_address) = serve(&runtime).await;
        let (other, other_address) = serve(&runtime).await;
        let (third, third_address) = serve(&runtime).await;
        let moment = Duration::from_millis(50);
        let limits = AgentLimits {
            receive_queues: 2,
            fail_over: moment * 4,
            reconnect_min: moment,
            retry_min: moment,
            retry_max: moment,
            failure_memory: moment,
            ..AgentLimits::default()
        };
        let servers = [one_address.clone(), other_address].map(UserServer::new).to_vec();
        let (alice, mut alice_events) =
            Agent::builder(runtime.clone(), kept_in(&folder.path().join("alice")))
                .user(USER, servers)
                .limits(limits.clone())
                .start()
                .expect("randomness and a thread");
        let (bob, mut bob_events) = Agent::builder(runtime.clone(), kept_in(&folder.path().join("bob")))
            .user(USER, vec![UserServer::new(third_address)])
            .limits(limits)
            .start()
            .expect("randomness and a thread");

        let (at_alice, request) = alice.invite(USER, true).await.expect("an invitation");
        assert_eq!(request.queues().len(), 2);
        let at_bob = new_connection_id().expect("randomness");
        bob.join(at_bob, USER, request, "bob".into(), true).await.expect("it is free");
        let confirmation = loop {
            if let Event::Confirmation { confirmation, .. } = alice_events.next().await.expect("it runs") {
                break confirmation;
            }
        };
        alice.allow(at_alice, confirmation, "alice".into()).await.expect("there is a confirmation");
        while !matches!(bob_events.next().await.expect("it runs"), Event::Connected(_)) {}
        let first = loop {
            let queues = bob.describe(at_bob).await.expect("it is there").send;
            if queues[1].stage == QueueStage::Active {
                break queues[0].server.clone();
            }
            tokio::time::sleep(moment).await;
        };
        let (gone, left) = if first == one_address { (one, other) } else { (other, one) };
        gone.stop(PATIENCE).await.expect("a store in memory");
        for number in 0..MESSAGES {
            bob.send(at_bob, Bytes::from(vec![number]), FLAGS).await.expect("they are connected");
        }
        let mut heard = 0;
        while heard < MESSAGES {
            let event = alice_events.next().await.expect("it runs");
            let Event::Message(message) = event else { continue };
            assert_eq!((&*message.body, message.integrity), (&[heard][..], MessageIntegrity::Ok));
            alice.acknowledge(at_alice, message.id).await.expect("it was told");
            heard += 1;
        }
        alice.stop().await;
        bob.stop().await;
        left.stop(PATIENCE).await.expect("a store in memory");
        third.stop(PATIENCE).await.expect("a store in memory");
    };
    tokio.block_on(async { tokio::time::timeout(PATIENCE, conversation).await.expect("it hangs") });
}
