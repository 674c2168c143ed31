//! Calls that are kept and carried out later, over real sockets.

use smp_core::agent::{Call, Event, Reply};

use super::*;

/// An invitation is asked for while no server is there; the agent ends, and makes it after a start from its file.
#[test]
fn commands_outlive_the_agent() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let folder = tempfile::tempdir().expect("a folder");
    let conversation = async move {
        let (server, address) = serve(&runtime).await;
        let nobody = ServerAddress::new(address.hosts().to_vec(), Some(1), *address.key_hash());
        let start = |server: ServerAddress| agent(&runtime, server, kept_in(&folder.path().join("alice")));
        let (alice, events) = start(nobody.expect("an address"));
        assert_eq!(alice.test_server(UserServer::new(address.clone())).await, Ok(()));
        alice.run_durably("first", Call::Invite { user: USER, pq: true }).await.expect("it is kept");
        alice.stop().await;
        drop(events);
        let (alice, mut alice_events) = start(address.clone());
        let (at_alice, result) = finished(&mut alice_events, "first").await;
        let Ok(Reply::Invitation(_, request)) = result else { panic!("no invitation: {result:?}") };
        let (bob, mut bob_events) = agent(&runtime, address, MemoryAgentStore::new());
        let connection = new_connection_id().expect("randomness");
        let join = Call::Join { connection, user: USER, request, info: "bob".into(), pq: true };
        bob.run_durably("second", join).await.expect("it is kept");
        let (at_bob, result) = finished(&mut bob_events, "second").await;
        assert!(at_bob == connection && result == Ok(Reply::Joined { connection, can_send: true }));
        let confirmation = loop {
            match alice_events.next().await {
                Some(Event::Confirmation { confirmation, .. }) => break confirmation,
                Some(Event::Up(..)) => {}
                event => panic!("not a confirmation: {event:?}"),
            }
        };
        let allow = Call::Allow { connection: at_alice, confirmation, info: "alice".into() };
        alice.run_durably("third", allow).await.expect("it is kept");
        assert_eq!(finished(&mut alice_events, "third").await.1, Ok(Reply::Done));
        for agent in [alice, bob] {
            agent.stop().await;
        }
        server.stop(PATIENCE).await.expect("a store in memory");
    };
    tokio.block_on(async { tokio::time::timeout(PATIENCE, conversation).await.expect("it hangs") });
}

async fn finished(events: &mut Events, expected: &str) -> (ConnectionId, Result<Reply, AgentError>) {
    loop {
        match events.next().await {
            Some(Event::Finished { correlation, connection, result }) => {
                assert_eq!(&*correlation, expected);
                return (connection, *result);
            }
            Some(Event::Up(..) | Event::Down(..)) => {}
            event => panic!("not the end of a command: {event:?}"),
        }
    }
}
