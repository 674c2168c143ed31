//! Two agents talk over two servers, through real sockets, on several threads, their stores on threads of their own: in memory, and in SQLite.

mod contacts;
mod delivery;
mod establish;
mod redundancy;
mod rotation;
mod routing;
mod short_links;
mod world;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use smp_core::agent::{ConnectionId, Event, UserId, UserServer};
use smp_core::server::ServerConfig;
use smp_core::transport::identity::Algorithm;
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::agent::{AgentError, MessageIntegrity};
use smp_core::wire::command::MessageFlags;
use smp_core::wire::{Host, ServerAddress};
use smp_runtime::agent::{Agent, Events, new_connection_id};
use smp_runtime::client::Connector;
use smp_runtime::server::{Server, ServerHandle};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::Memory;
use smp_storage::agent::{AgentStore, MemoryAgentStore, SqliteAgentStore, SqliteOptions};
use smp_tests::server::identity;

/// Messages that each side sends without waiting for the other.
const MESSAGES: u8 = 100;
const USER: UserId = UserId(1);
const FLAGS: MessageFlags = MessageFlags { notification: true };
/// So that a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn two_agents_talk_over_real_sockets() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let conversation = async move {
        let (first, first_address) = serve(&runtime).await;
        let (second, second_address) = serve(&runtime).await;
        let (alice, alice_events) = agent(&runtime, first_address, MemoryAgentStore::new());
        let (bob, bob_events) = agent(&runtime, second_address, MemoryAgentStore::new());
        talk(&alice, alice_events, &bob, bob_events).await;
        alice.stop().await;
        bob.stop().await;
        assert_eq!(alice.invite(USER, false).await.err(), Some(AgentError::Inactive));
        first.stop(PATIENCE).await.expect("a store in memory");
        second.stop(PATIENCE).await.expect("a store in memory");
    };
    tokio.block_on(async { tokio::time::timeout(PATIENCE, conversation).await.expect("it hangs") });
}

/// A message that is sent while the other side is not there comes when it is started again from its file.
#[test]
fn a_conversation_goes_on_from_files() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let folder = tempfile::tempdir().expect("a folder");
    let conversation = async move {
        let (server, address) = serve(&runtime).await;
        let start = |name: &str| agent(&runtime, address.clone(), kept_in(&folder.path().join(name)));
        let ((alice, alice_events), (bob, bob_events)) = (start("alice"), start("bob"));
        let [at_alice, at_bob] = talk(&alice, alice_events, &bob, bob_events).await;
        bob.stop().await;
        // It may have gone out before the end, or does so after the start.
        alice.send(at_alice, "absent".into(), FLAGS).await.expect("they are connected");
        alice.stop().await;
        let ((alice, _alice_events), (bob, mut bob_events)) = (start("alice"), start("bob"));
        loop {
            match bob_events.next().await {
                Some(Event::Message(message)) => {
                    assert!(message.connection == at_bob && message.integrity == MessageIntegrity::Ok);
                    assert_eq!(message.body, "absent");
                    break bob.acknowledge(at_bob, message.id).await.expect("it was told");
                }
                Some(Event::Up(..)) => {}
                event => panic!("another event: {event:?}"),
            }
        }
        alice.stop().await;
        bob.stop().await;
        server.stop(PATIENCE).await.expect("a store in memory");
    };
    tokio.block_on(async { tokio::time::timeout(PATIENCE, conversation).await.expect("it hangs") });
}

fn kept_in(file: &Path) -> SqliteAgentStore {
    SqliteAgentStore::open(file, &SqliteOptions::default()).expect("a database")
}

/// From an invitation to the last of many messages; the connection at either side.
async fn talk(
    alice: &Agent,
    mut alice_events: Events,
    bob: &Agent,
    mut bob_events: Events,
) -> [ConnectionId; 2] {
    let (at_alice, request) = alice.invite(USER, true).await.expect("an invitation");
    let at_bob = new_connection_id().expect("randomness");
    let joined = bob.join(at_bob, USER, request, "bob".into(), true).await.expect("it is free");
    assert!(joined.can_send && joined.connection == at_bob);

    let Some(Event::Confirmation { confirmation, info, .. }) = alice_events.next().await else {
        panic!("not a confirmation")
    };
    assert_eq!(info, "bob");
    alice.allow(at_alice, confirmation, "alice".into()).await.expect("there is a confirmation");
    match bob_events.next().await {
        Some(Event::Info(connection, info)) => assert!(connection == at_bob && info == "alice"),
        event => panic!("not what alice says of herself: {event:?}"),
    }
    assert!(matches!(bob_events.next().await, Some(Event::Connected(_))));
    assert!(matches!(alice_events.next().await, Some(Event::Connected(_))));

    let (alice_sends, bob_sends) = (alice.clone(), bob.clone());
    let sending = [
        tokio::spawn(async move { send_all(&alice_sends, at_alice).await }),
        tokio::spawn(async move { send_all(&bob_sends, at_bob).await }),
    ];
    let (alice_hears, bob_hears) = (alice.clone(), bob.clone());
    let hearing = [
        tokio::spawn(async move { hear_all(&alice_hears, alice_events).await }),
        tokio::spawn(async move { hear_all(&bob_hears, bob_events).await }),
    ];
    for task in sending.into_iter().chain(hearing) {
        task.await.expect("no panic");
    }
    [at_alice, at_bob]
}

async fn send_all(agent: &Agent, connection: ConnectionId) {
    for number in 0..MESSAGES {
        agent.send(connection, Bytes::from(vec![number]), FLAGS).await.expect("they are connected");
    }
}

/// All messages of the other side, and that all own ones were sent.
async fn hear_all(agent: &Agent, mut events: Events) {
    let (mut heard, mut sent, mut pq) = (0, 0, 0);
    while heard < MESSAGES || sent < MESSAGES {
        match events.next().await {
            Some(Event::Message(message)) => {
                assert_eq!((&*message.body, message.integrity), (&[heard][..], MessageIntegrity::Ok));
                assert_eq!(message.sender_id, i64::from(heard) + 2);
                agent.acknowledge(message.connection, message.id).await.expect("it was told");
                heard += 1;
                pq += u8::from(message.pq);
            }
            Some(Event::Sent(..)) => sent += 1,
            event => panic!("another event: {event:?}"),
        }
    }
    assert!(pq > 0, "post-quantum encryption was never reached");
}

async fn serve(runtime: &TokioRuntime) -> (ServerHandle<TokioRuntime, Memory>, ServerAddress) {
    let identity = identity(Algorithm::Ed25519);
    let fingerprint = *identity.fingerprint();
    let transport = ServerTransportConfig::new(identity, ServerOptions::default()).expect("TLS");
    let server = Server::new(runtime.clone(), Memory::new(), transport, ServerConfig::default());
    // The other servers are on this machine too.
    let server = server.outgoing(Connector::new(runtime.clone()));
    let server = server.serve(&[(Ipv4Addr::LOCALHOST, 0).into()]).await.expect("a free port");
    let host = "127.0.0.1".parse::<Host>().expect("an address");
    let port = server.addresses()[0].port();
    (server, ServerAddress::new(vec![host], Some(port), fingerprint).expect("one host"))
}

fn agent(runtime: &TokioRuntime, server: ServerAddress, store: impl AgentStore + 'static) -> (Agent, Events) {
    Agent::builder(runtime.clone(), store)
        .user(USER, vec![UserServer::new(server)])
        .start()
        .expect("randomness and a thread")
}
