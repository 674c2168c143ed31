//! A server and its clients over real sockets.

#![expect(clippy::unwrap_used, reason = "in a test an error is a failure")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use smp_core::SeededEntropy;
use smp_core::client::{ClientEvent, QueueKeys, RequestError};
use smp_core::server::ServerConfig;
use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::broker::CreatedQueue;
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_core::wire::error::ErrorType;
use smp_core::wire::message::ReceivedBody;
use smp_core::wire::{Host, ServerAddress};
use smp_runtime::Runtime;
use smp_runtime::client::{Client, Connector};
use smp_runtime::server::{Server, ServerEvent, ServerHandle};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::{Backend, Embedded, EmbeddedOptions, Memory};

const FLAGS: MessageFlags = MessageFlags { notification: false };
/// More than any of this takes on a slow machine.
const GRACE: Duration = Duration::from_secs(60);

fn identity(runtime: &TokioRuntime) -> ServerIdentity {
    let now = runtime.now().unix;
    let mut entropy = SeededEntropy::new([1; 32]);
    let authority = Authority::generate(Algorithm::Ed448, &mut entropy, now).unwrap();
    let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
    let issued = authority.issue(subject, &mut entropy, now).unwrap();
    ServerIdentity::new(vec![issued.certificate, authority.certificate().clone()], issued.key, now).unwrap()
}

/// A server on two ports, the address of each, and the number of connections that it closed.
async fn serve<B: Backend + 'static>(
    backend: B,
) -> (ServerHandle<TokioRuntime, B>, Vec<ServerAddress>, Arc<AtomicUsize>) {
    let runtime = TokioRuntime::current().unwrap();
    let identity = identity(&runtime);
    let key_hash = *identity.fingerprint();
    let transport = ServerTransportConfig::new(identity, ServerOptions::default()).unwrap();
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    let local = "127.0.0.1:0".parse().unwrap();
    let server = Server::new(runtime, backend, transport, ServerConfig::default())
        .on_event(move |event| {
            if let ServerEvent::Closed(..) = event {
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
        .serve(&[local, local])
        .await
        .unwrap();
    let host: Host = "127.0.0.1".parse().unwrap();
    let address = |port| ServerAddress::new(vec![host.clone()], Some(port), key_hash).unwrap();
    let addresses = server.addresses().iter().map(|local| address(local.port())).collect();
    (server, addresses, closed)
}

fn connector() -> Connector<TokioRuntime> {
    Connector::new(TokioRuntime::current().unwrap())
}

async fn create(client: &Client, seed: [u8; 32]) -> (QueueKeys, CreatedQueue) {
    let keys = QueueKeys::generate(&mut SeededEntropy::new(seed));
    let new = keys.new_queue(SubscriptionMode::Subscribe);
    let queue = client.create_queue(new, keys.auth.clone()).await.unwrap();
    (keys, queue)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pairs_talk_at_once() {
    let (server, addresses, closed) = serve(Memory::new()).await;
    let pairs: Vec<_> = (0..8)
        .map(|pair| {
            let (here, there) = (addresses[0].clone(), addresses[1].clone());
            tokio::spawn(async move {
                let (alice, mut events) = connector().connect(&here).await.unwrap();
                let (bob, _events) = connector().connect(&there).await.unwrap();
                let (keys, queue) = create(&alice, [pair; 32]).await;
                let secret = keys.secret(&queue).unwrap();
                for number in 0..50_u8 {
                    bob.send(queue.sender_id.clone(), None, FLAGS, vec![number; 1000].into()).await.unwrap();
                }
                let ClientEvent::Message(_, mut message) = events.next().await.unwrap() else { panic!() };
                for number in 0..50_u8 {
                    let ReceivedBody::Message { body, .. } = message.open(&secret).unwrap() else { panic!() };
                    assert_eq!(body, vec![number; 1000]);
                    let next =
                        alice.acknowledge(queue.recipient_id.clone(), keys.auth.clone(), message.id).await;
                    match next.unwrap() {
                        Some(next) => message = next,
                        None => return assert_eq!(number, 49),
                    }
                }
                panic!("more messages than were sent");
            })
        })
        .collect();
    for pair in pairs {
        pair.await.unwrap();
    }
    let stopped = server.stop(GRACE).await.unwrap();
    assert_eq!(stopped.cut, 0);
    assert_eq!(closed.load(Ordering::Relaxed), 16);
    for address in &addresses {
        assert!(connector().connect(address).await.is_err());
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();

    let (server, addresses, _) = serve(open()).await;
    let (client, events) = connector().connect(&addresses[0]).await.unwrap();
    drop(events);
    let (keys, queue) = create(&client, [1; 32]).await;
    client.send(queue.sender_id.clone(), None, FLAGS, "kept".into()).await.unwrap();
    // Clients are still connected: their side ends when the server ends its own.
    assert_eq!(server.stop(GRACE).await.unwrap().cut, 0);

    let (server, addresses, _) = serve(open()).await;
    let (client, _events) = connector().connect(&addresses[0]).await.unwrap();
    let message = client.receive(queue.recipient_id.clone(), keys.auth.clone()).await.unwrap().unwrap();
    let body = message.open(&keys.secret(&queue).unwrap()).unwrap();
    assert!(matches!(body, ReceivedBody::Message { body, .. } if body == "kept"));
    let other = QueueKeys::generate(&mut SeededEntropy::new([2; 32]));
    let refused = client.receive(queue.recipient_id.clone(), other.auth).await;
    assert_eq!(refused, Err(RequestError::Server(ErrorType::Auth)));
    server.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_server_is_tested_over_a_socket() {
    let (_server, addresses, _) = serve(Memory::new()).await;
    assert_eq!(connector().test(&addresses[1], None).await, Ok(()));
}
