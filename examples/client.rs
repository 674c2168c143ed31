//! `cargo run --release --example client`, or with `-- --runtime tokio|async-std|smol` behind it.
//!
//! The client library alone, without an agent: one connection for a recipient and one for a sender, over a server in the same
//! program. A queue is made, secured by its sender, filled, read message by message, and deleted. Prints what happens, and ends with
//! an error if anything is lost, or if somebody without the key can send.
//!
//! This is for programs that keep queues and keys themselves. What is said in a queue is not encrypted between the two
//! people here; agents do that, and more (`quickstart.rs`).
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::time::Duration;

use smp_core::client::{ClientEvent, QueueKeys, ReceivedMessage, Request, RequestError};
use smp_core::crypto::{AuthPrivateKey, DhSecret, Ed25519PrivateKey};
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_core::wire::error::ErrorType;
use smp_core::wire::message::ReceivedBody;
use smp_examples::{Outcome, entropy, server_in_memory};
use smp_runtime::Runtime;
use smp_runtime::client::{Client, Connector, Events};
use smp_runtime_async_std::AsyncStdRuntime;
use smp_runtime_smol::SmolRuntime;
use smp_runtime_tokio::TokioRuntime;
use tokio::runtime::Runtime as Tokio;

const TEXTS: [&str; 4] = ["one", "two", "three", "and the last one"];
const FLAGS: MessageFlags = MessageFlags { notification: false };

fn main() -> Outcome<()> {
    match &*std::env::args().skip(1).collect::<Vec<_>>().join(" ") {
        "" | "--runtime tokio" => Tokio::new()?.block_on(async { run(TokioRuntime::current()?).await }),
        "--runtime async-std" => async_std::task::block_on(run(AsyncStdRuntime::new())),
        "--runtime smol" => smol::block_on(run(SmolRuntime::global())),
        _ => Err("client takes --runtime tokio, --runtime async-std, --runtime smol, or nothing".into()),
    }
}

/// All of it, the same on every runtime.
async fn run(runtime: impl Runtime) -> Outcome<()> {
    let (server, address) = server_in_memory(&runtime).await?;
    // A connector has the settings, a client is a connection. Its end is told by its events, which nobody need take.
    let connector = Connector::new(runtime);
    let (recipient, mut events) = connector.connect(&address).await?;
    let (sender, _) = connector.connect(&address).await?;
    println!("both      are connected, with version {}", recipient.version());

    let keys = QueueKeys::generate(&mut entropy()?);
    let queue = keys.new_queue(SubscriptionMode::Subscribe);
    let queue = recipient.create_queue(queue, keys.auth.clone()).await?;
    let secret = keys.secret(&queue)?;
    println!("recipient made a queue, and gives the id for senders to one person");

    let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy()?));
    sender.secure_by_sender(queue.sender_id.clone(), key.clone()).await?;
    println!("sender    secured the queue with a key, so that nobody else can send");
    let refused = sender.send(queue.sender_id.clone(), None, FLAGS, "a stranger".into()).await;
    if refused != Err(RequestError::Server(ErrorType::Auth)) {
        return Err(format!("without the key it came to {refused:?}").into());
    }

    // All are on their way before the first answer is waited for, and keep their order.
    let send = |text: &&'static str| {
        let (queue, key) = (queue.sender_id.clone(), Some(key.clone()));
        sender.request(Request::send(queue, key, FLAGS, (*text).into()))
    };
    let sent: Vec<_> = TEXTS.iter().map(send).collect();
    for answer in sent {
        answer.await?;
    }
    println!("sender    sent {} messages, which the server has now", TEXTS.len());

    let mut waiting = Some(first(&mut events).await?);
    for text in TEXTS {
        let message = waiting.ok_or_else(|| format!("{text:?} did not come"))?;
        read(&message, &secret, text)?;
        // The server hands out the next message when this one is acknowledged, here in its answer.
        waiting = recipient.acknowledge(queue.recipient_id.clone(), keys.auth.clone(), message.id).await?;
    }
    if waiting.is_some() {
        return Err("more messages than were sent".into());
    }
    finish(&recipient, &sender, Request::delete(queue.recipient_id, keys.auth)).await?;
    server.stop(Duration::from_secs(5)).await?;
    println!("All messages arrived, in order and once. Nothing was lost.");
    Ok(())
}

/// The message that the server tells of by itself.
async fn first(events: &mut Events) -> Outcome<ReceivedMessage> {
    match events.next().await? {
        ClientEvent::Message(_, message) => Ok(message),
        _ => Err("not a message".into()),
    }
}

/// Opens a message, which is to be this.
fn read(message: &ReceivedMessage, secret: &DhSecret, expected: &str) -> Outcome<()> {
    match message.open(secret)? {
        ReceivedBody::Message { body, .. } if body == expected => println!("recipient got {body:?}"),
        _ => return Err(format!("{expected:?} should have come").into()),
    }
    Ok(())
}

/// Deletes the queue and ends both connections, which end by themselves too when their last handle is dropped.
async fn finish(recipient: &Client, sender: &Client, delete: Request) -> Outcome<()> {
    recipient.request(delete).await?;
    println!("recipient deleted the queue: {}", recipient.close().await);
    println!("sender    is done too: {}", sender.close().await);
    Ok(())
}
