//! `cargo run --release --example quickstart`
//!
//! Starts a server with the embedded store on a free loopback port, in a temporary folder. A recipient creates a queue, a
//! sender secures it and sends; the server is stopped with messages in the queue and started again; the recipient gets
//! all of them, in order. Prints what happens. Exits with an error if anything is lost.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use smp_core::client::{ClientEvent, QueueKeys, ReceivedMessage};
use smp_core::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey};
use smp_core::server::ServerConfig;
use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_core::wire::{EntityId, Host, ReceivedBody, ServerAddress};
use smp_core::{SeededEntropy, UnixTime};
use smp_runtime::client::{Client, Connector, Events};
use smp_runtime::server::{Server, ServerHandle};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::{Embedded, EmbeddedOptions};

type Outcome<T> = Result<T, Box<dyn Error>>;
type Running = ServerHandle<TokioRuntime, Embedded>;

const BEFORE: [&str; 3] = ["hello", "are you there?", "I will wait for you"];
const AFTER: [&str; 2] = ["welcome back", "nothing was lost"];

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut entropy = SeededEntropy::new(seed);
    let folder = tempfile::tempdir()?;
    let identity = new_identity(&mut entropy)?;
    let mut server = start(&identity, folder.path()).await?;
    let address = address_of(&server, &identity)?;
    println!(
        "server     listens on port {}, with its store in a temporary folder",
        server.addresses()[0].port()
    );

    // The recipient makes a queue and tells the sender its id, on a way of their own.
    let (recipient, _) = connect(&address).await?;
    let keys = QueueKeys::generate(&mut entropy);
    let queue =
        recipient.create_queue(keys.new_queue(SubscriptionMode::OnlyCreate), keys.auth.clone()).await?;
    let secret = keys.secret(&queue)?;
    println!("recipient  connected with version {} and created a queue", recipient.version());

    // The sender locks the queue with a key of its own: from now on nobody else can send.
    let (sender, _) = connect(&address).await?;
    let sender_key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy));
    sender.secure_by_sender(queue.sender_id.clone(), sender_key.clone()).await?;
    println!("sender     secured the queue");
    for text in BEFORE {
        send(&sender, &queue.sender_id, &sender_key, text).await?;
    }

    recipient.close().await;
    sender.close().await;
    server.stop(Duration::from_secs(5)).await?;
    println!("server     stopped, with {} messages in the queue", BEFORE.len());
    server = start(&identity, folder.path()).await?;
    let address = address_of(&server, &identity)?;
    println!("server     started again on the same store");

    let (sender, _) = connect(&address).await?;
    for text in AFTER {
        send(&sender, &queue.sender_id, &sender_key, text).await?;
    }
    let (recipient, mut events) = connect(&address).await?;
    let mut next = recipient.subscribe(queue.recipient_id.clone(), keys.auth.clone()).await?;
    for expected in BEFORE.into_iter().chain(AFTER) {
        let message = match next.take() {
            Some(message) => message,
            None => next_message(&mut events).await?,
        };
        let text = read(&message, &secret)?;
        println!("recipient  got \"{text}\"");
        if text != expected {
            return Err(format!("\"{expected}\" should have come").into());
        }
        // A message stays on the server until its recipient has acknowledged it.
        next = recipient.acknowledge(queue.recipient_id.clone(), keys.auth.clone(), message.id).await?;
    }
    if next.is_some() {
        return Err("a message came twice".into());
    }
    recipient.delete(queue.recipient_id.clone(), keys.auth.clone()).await?;
    server.stop(Duration::from_secs(5)).await?;
    println!("All {} messages arrived, in order and once. Nothing was lost.", BEFORE.len() + AFTER.len());
    Ok(())
}

async fn start(identity: &ServerIdentity, folder: &Path) -> Outcome<Running> {
    let store = Embedded::open(folder.join("store"), EmbeddedOptions::default())?;
    let transport = ServerTransportConfig::new(identity.clone(), ServerOptions::default())?;
    let server = Server::new(TokioRuntime::current()?, store, transport, ServerConfig::default());
    Ok(server.serve(&[SocketAddr::from(([127, 0, 0, 1], 0))]).await?)
}

/// An address names the place and pins the identity: whoever has it connects to this server or to none.
fn address_of(server: &Running, identity: &ServerIdentity) -> Outcome<ServerAddress> {
    let host: Host = "127.0.0.1".parse()?;
    Ok(ServerAddress::new(vec![host], Some(server.addresses()[0].port()), *identity.fingerprint())?)
}

async fn connect(address: &ServerAddress) -> Outcome<(Client, Events)> {
    Ok(Connector::new(TokioRuntime::current()?).connect(address).await?)
}

async fn send(client: &Client, queue: &EntityId, key: &AuthPrivateKey, text: &str) -> Outcome<()> {
    let flags = MessageFlags { notification: true };
    client.send(queue.clone(), Some(key.clone()), flags, Bytes::copy_from_slice(text.as_bytes())).await?;
    println!("sender     sent \"{text}\": the server has it on disk");
    Ok(())
}

async fn next_message(events: &mut Events) -> Outcome<ReceivedMessage> {
    loop {
        if let ClientEvent::Message(_, message) = events.next().await? {
            return Ok(message);
        }
    }
}

fn read(message: &ReceivedMessage, secret: &DhSecret) -> Outcome<String> {
    match message.open(secret)? {
        ReceivedBody::Message { body, .. } => Ok(String::from_utf8(body.to_vec())?),
        ReceivedBody::QuotaExceeded { .. } => Err("the queue was full".into()),
    }
}

fn new_identity(entropy: &mut SeededEntropy) -> Outcome<ServerIdentity> {
    let now = UnixTime::from_secs(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?);
    let authority = Authority::generate(Algorithm::Ed25519, entropy, now)?;
    let issued =
        authority.issue(Subject { host: "localhost", algorithm: Algorithm::Ed25519 }, entropy, now)?;
    Ok(ServerIdentity::new(vec![issued.certificate, authority.certificate().clone()], issued.key, now)?)
}
