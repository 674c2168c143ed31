//! `cargo run --release --example blocking`
//!
//! No async runtime, no executor and no `async`: the machines of `smp-core` on plain threads with the sockets of the standard
//! library. `client.rs` is a whole client in a hundred lines, `server.rs` a whole server, in memory; `queue.rs` is what the two say.
//!
//! Alice and Bob, each on a thread, have a queue each and talk through the server. Alice loses her connection before she
//! acknowledged a message, comes again, and gets it again. Prints what happens, ends by itself, and with an error if anything is lost.
//!
//! Between server and recipient all is encrypted, but the server sees what is sent: that only the other person reads it, over many servers and
//! restarts, is what an agent is for (`smp_core::agent`).
#![allow(clippy::print_stdout, reason = "it shows what it does")]

mod client;
mod queue;
mod server;
mod sockets;

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use client::Connection;
use queue::{Outbox, Queue};
use smp_core::wire::EntityId;
use smp_examples::{Outcome, new_identity};

const ANSWERS: [&str; 3] = ["hello, Bob", "I had no connection for a moment", "good night"];

fn main() -> Outcome<()> {
    let identity = new_identity()?;
    let server = (server::start(identity.clone())?, *identity.fingerprint());
    println!("server  listens on port {}", server.0.port());
    // The way outside of SMP that the two trust.
    let (give, take) = channel();
    let (tell, ended) = channel();
    let alice_ended = tell.clone();
    thread::spawn(move || alice_ended.send(alice(server, &give)));
    thread::spawn(move || tell.send(bob(server, &take)));
    // An error of one ends the other too.
    ended.recv()??;
    ended.recv()??;
    println!("All messages arrived, in order. Nothing was lost.");
    Ok(())
}

type Server = (SocketAddr, [u8; 32]);

/// Makes a queue, gives it to Bob, and answers through the one that he tells her.
fn alice((server, fingerprint): Server, give: &Sender<EntityId>) -> Outcome<()> {
    let mut connection = Connection::open(server, fingerprint)?;
    let (mut queue, sender_id) = Queue::create(&mut connection)?;
    give.send(sender_id)?;
    let (message, place) = queue.next(&mut connection)?;
    queue.acknowledge(&mut connection, message)?;
    println!("alice   got the place of Bob's queue");

    let (_, body) = queue.next(&mut connection)?;
    println!("alice   got {body:?}, and loses her connection before she has said so");
    drop(connection);
    let mut connection = Connection::open(server, fingerprint)?;
    queue.subscribe(&mut connection)?;
    let (message, body) = queue.next(&mut connection)?;
    println!("alice   got {body:?} again");
    check(&body, "hello, Alice")?;
    queue.acknowledge(&mut connection, message)?;

    let outbox = Outbox::secure(&mut connection, EntityId::new(&place)?)?;
    for text in ANSWERS {
        println!("alice   sends {text:?}");
        outbox.send(&mut connection, text.into())?;
    }
    queue.delete(&mut connection)
}

/// Secures Alice's queue, so that nobody else can send there, tells her his own one, and waits for her answers.
fn bob((server, fingerprint): Server, take: &Receiver<EntityId>) -> Outcome<()> {
    let mut connection = Connection::open(server, fingerprint)?;
    let (mut queue, sender_id) = Queue::create(&mut connection)?;
    let outbox = Outbox::secure(&mut connection, take.recv()?)?;
    println!("bob     sends the place of his queue, and \"hello, Alice\"");
    outbox.send(&mut connection, Bytes::copy_from_slice(sender_id.as_bytes()))?;
    outbox.send(&mut connection, "hello, Alice".into())?;
    for text in ANSWERS {
        let (message, body) = queue.next(&mut connection)?;
        println!("bob     got {body:?}");
        check(&body, text)?;
        queue.acknowledge(&mut connection, message)?;
    }
    queue.delete(&mut connection)
}

fn check(body: &Bytes, expected: &str) -> Outcome<()> {
    if body == expected { Ok(()) } else { Err(format!("{expected:?} should have come").into()) }
}
