//! `cargo run --release --example chat -- <file> <server> [link]`
//!
//! Two people talk in their terminals. The first one leaves out the link, gets one and gives it to the other:
//!
//! ```text
//! chat alice.db smp://<fingerprint>@smp.example.com
//! chat bob.db smp://<fingerprint>@smp.example.com 'simplex:/invitation#...'
//! ```
//!
//! Each line is a message. Ctrl-C ends it, and the same command goes on: what was sent meanwhile is there then.
#![allow(clippy::print_stdout, reason = "it is for a terminal")]

use std::error::Error;

use smp_core::agent::{ConnectionId, Event, UserId, UserServer};
use smp_core::wire::ServerUri;
use smp_core::wire::command::MessageFlags;
use smp_runtime::agent::{Agent, new_connection_id};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::agent::{SqliteAgentStore, SqliteOptions};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

const USER: UserId = UserId(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(server)) = (arguments.next(), arguments.next()) else {
        return Err(
            "say where to keep the conversation, and on which server: chat <file> <server> [link]".into()
        );
    };
    let ServerUri { server: address, password, .. } = server.parse()?;
    let store = SqliteAgentStore::open(&file, &SqliteOptions::default())?;
    let (agent, mut events) = Agent::builder(TokioRuntime::current()?, store)
        .user(USER, vec![UserServer { password, ..UserServer::new(address) }])
        .start()?;
    let connection = connection(&agent, &file, arguments.next()).await?;

    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => told(&agent, event).await?,
                None => return Err("the agent has stopped".into()),
            },
            line = lines.next_line() => match line? {
                Some(line) if line.is_empty() => {}
                Some(line) => {
                    let sent = agent.send(connection, line.into(), MessageFlags { notification: true }).await;
                    sent.err().iter().for_each(|error| println!("* not sent: {error}"));
                }
                None => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    agent.stop().await;
    Ok(())
}

/// The connection that was kept, or a new one: with a link that of whoever made it, without one that of whoever uses ours.
async fn connection(agent: &Agent, file: &str, link: Option<String>) -> Result<ConnectionId, Box<dyn Error>> {
    let kept = format!("{file}.connection");
    if let Ok(id) = std::fs::read_to_string(&kept) {
        return Ok(ConnectionId::from_text(&id).ok_or_else(|| format!("{kept} has no name of a connection"))?);
    }
    let connection = match link {
        Some(link) => {
            let connection = new_connection_id()?;
            agent.join(connection, USER, link.parse()?, "a friend".into(), true).await?;
            connection
        }
        None => {
            let (connection, link) = agent.invite(USER, true).await?;
            println!("* give this link to one person:\n{link}");
            connection
        }
    };
    std::fs::write(&kept, connection.to_string())?;
    Ok(connection)
}

async fn told(agent: &Agent, event: Event) -> Result<(), Box<dyn Error>> {
    match event {
        // The link was for one person, so whoever has it is the one.
        Event::Confirmation { connection, confirmation, .. } => {
            agent.allow(connection, confirmation, "a friend".into()).await?;
        }
        Event::Connected(_) => println!("* connected"),
        Event::Message(message) => {
            // Characters that would steer the terminal are not for others to choose.
            let text = String::from_utf8_lossy(&message.body).replace(|c: char| c.is_control(), " ");
            println!("> {text}");
            agent.acknowledge(message.connection, message.id).await?;
        }
        Event::NotSent(_, _, error) | Event::Error(_, error) => println!("* {error}"),
        Event::Down(..) => println!("* no server"),
        Event::Up(..) => println!("* the server is there"),
        _ => {}
    }
    Ok(())
}
