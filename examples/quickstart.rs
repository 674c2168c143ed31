//! `cargo run --release --example quickstart`, or with `-- --runtime tokio|async-std|smol` behind it.
//!
//! Starts a server with the embedded store on a free loopback port, in a temporary folder, and the agents of two people. Alice
//! makes an invitation, Bob uses it, and they talk. The server is stopped while messages are on their way and started
//! again; all of them arrive, in order. Prints what happens. Exits with an error if anything is lost.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use smp_core::agent::{ConnectionId, Event, UserId, UserServer};
use smp_core::server::ServerConfig;
use smp_core::transport::identity::ServerIdentity;
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::ServerAddress;
use smp_core::wire::command::MessageFlags;
use smp_examples::{Outcome, local_address, new_identity};
use smp_runtime::Runtime;
use smp_runtime::agent::{Agent, Events, new_connection_id};
use smp_runtime::server::{Server, ServerHandle};
use smp_runtime_async_std::AsyncStdRuntime;
use smp_runtime_smol::SmolRuntime;
use smp_runtime_tokio::TokioRuntime;
use smp_storage::agent::{SqliteAgentStore, SqliteOptions};
use smp_storage::{Embedded, EmbeddedOptions};
use tokio::runtime::Runtime as Tokio;

type Running<R> = Outcome<ServerHandle<R, Embedded>>;
const USER: UserId = UserId(1);
const BEFORE: [&str; 3] = ["hello", "are you there?", "can anybody read this?"];
const ABSENT: [&str; 2] = ["the server is gone", "I will wait"];
const AFTER: [&str; 2] = ["welcome back", "nothing was lost"];

/// Somebody with an agent.
struct Person {
    name: &'static str,
    agent: Agent,
    events: Events,
}

fn main() -> Outcome<()> {
    match &*std::env::args().skip(1).collect::<Vec<_>>().join(" ") {
        "" | "--runtime tokio" => Tokio::new()?.block_on(async { run(TokioRuntime::current()?).await }),
        "--runtime async-std" => async_std::task::block_on(run(AsyncStdRuntime::new())),
        "--runtime smol" => smol::block_on(run(SmolRuntime::global())),
        _ => Err("quickstart takes --runtime tokio, --runtime async-std, --runtime smol, or nothing".into()),
    }
}

/// All of it, the same on every runtime.
async fn run(runtime: impl Runtime) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let identity = new_identity()?;
    let server = start(&runtime, &identity, folder.path(), 0).await?;
    let port = server.addresses()[0].port();
    println!("server  listens on port {port}, with its store in a temporary folder");
    let address = local_address(&identity, port)?;
    let mut alice = person(&runtime, "alice", folder.path(), &address)?;
    let mut bob = person(&runtime, "bob", folder.path(), &address)?;

    // The link goes to Bob on any way that the two trust. It is for one person.
    let (at_alice, link) = alice.agent.invite(USER, true).await?;
    println!("alice   made an invitation:\n\n{link}\n");
    let at_bob = new_connection_id()?;
    bob.agent.join(at_bob, USER, link.to_string().parse()?, "Bob".into(), true).await?;
    let Event::Confirmation { confirmation, info, .. } = alice.event().await? else {
        return Err("nobody has used the invitation".into());
    };
    println!("alice   is asked whether she wants to talk to {}", String::from_utf8_lossy(&info));
    alice.agent.allow(at_alice, confirmation, "Alice".into()).await?;
    for person in [&mut alice, &mut bob] {
        while !matches!(person.event().await?, Event::Connected(_)) {}
        println!("{:7} is connected", person.name);
    }

    for text in BEFORE {
        alice.send(at_alice, text).await?;
        bob.send(at_bob, text).await?;
    }
    bob.hear(&BEFORE).await?;
    server.stop(Duration::from_secs(5)).await?;
    println!("server  stopped, before alice has read anything; it will be started again");
    for text in ABSENT {
        alice.send(at_alice, text).await?;
    }
    let server = start(&runtime, &identity, folder.path(), port).await?;
    for text in AFTER {
        alice.send(at_alice, text).await?;
        bob.send(at_bob, text).await?;
    }
    bob.hear(&[ABSENT, AFTER].concat()).await?;
    alice.hear(&[&BEFORE[..], &AFTER].concat()).await?;
    alice.agent.stop().await;
    bob.agent.stop().await;
    server.stop(Duration::from_secs(5)).await?;
    println!("All messages arrived, in order and once. Nothing was lost.");
    Ok(())
}

impl Person {
    async fn send(&self, connection: ConnectionId, text: &'static str) -> Outcome<()> {
        self.agent.send(connection, text.into(), MessageFlags { notification: true }).await?;
        println!("{:7} sent \"{text}\"", self.name);
        Ok(())
    }

    /// The messages that come next, which are to be these.
    async fn hear(&mut self, texts: &[&str]) -> Outcome<()> {
        for expected in texts {
            let Event::Message(message) = self.event().await? else { return Err("not a message".into()) };
            let text = String::from_utf8_lossy(&message.body);
            println!("{:7} got \"{text}\"", self.name);
            if text != *expected {
                return Err(format!("\"{expected}\" should have come").into());
            }
            // A message comes again until it is acknowledged.
            self.agent.acknowledge(message.connection, message.id).await?;
        }
        Ok(())
    }

    /// The next event that is not about servers, nor tells that something was sent.
    async fn event(&mut self) -> Outcome<Event> {
        loop {
            match self.events.next().await.ok_or("the agent has stopped")? {
                Event::Up(..) | Event::Down(..) | Event::Sent(..) => {}
                event => return Ok(event),
            }
        }
    }
}

/// An agent that keeps everything in a file.
fn person(on: &impl Runtime, name: &'static str, folder: &Path, server: &ServerAddress) -> Outcome<Person> {
    let store = SqliteAgentStore::open(folder.join(name), &SqliteOptions::default())?;
    let servers = vec![UserServer::new(server.clone())];
    let (agent, events) = Agent::builder(on.clone(), store).user(USER, servers).start()?;
    Ok(Person { name, agent, events })
}

async fn start<R: Runtime>(on: &R, identity: &ServerIdentity, folder: &Path, port: u16) -> Running<R> {
    let store = Embedded::open(folder.join("server"), EmbeddedOptions::default())?;
    let transport = ServerTransportConfig::new(identity.clone(), ServerOptions::default())?;
    let server = Server::new(on.clone(), store, transport, ServerConfig::default());
    Ok(server.serve(&[SocketAddr::from(([127, 0, 0, 1], port))]).await?)
}
