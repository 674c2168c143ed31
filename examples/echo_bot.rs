//! `cargo run --release --example echo_bot -- <file> <server>`
//!
//! A bot that answers whoever connects, with the same words. Prints a link, as text and as a QR code for the app on a phone;
//! when somebody has used it, the next one. Ctrl-C ends it, and those who are connected are answered when it is started
//! again.
#![allow(clippy::print_stdout, reason = "it is for a terminal")]

use std::error::Error;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use smp_core::agent::{Event, UserId, UserServer};
use smp_core::wire::ServerUri;
use smp_core::wire::command::MessageFlags;
use smp_runtime::agent::Agent;
use smp_runtime_tokio::TokioRuntime;
use smp_storage::agent::{SqliteAgentStore, SqliteOptions};

const USER: UserId = UserId(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(server)) = (arguments.next(), arguments.next()) else {
        return Err(
            "say where the bot keeps everything, and on which server: echo_bot <file> <server>".into()
        );
    };
    let ServerUri { server: address, password, .. } = server.parse()?;
    let store = SqliteAgentStore::open(&file, &SqliteOptions::default())?;
    let (agent, mut events) = Agent::builder(TokioRuntime::current()?, store)
        .user(USER, vec![UserServer { password, ..UserServer::new(address) }])
        .start()?;
    show_link(&agent).await?;
    loop {
        tokio::select! {
            event = events.next() => answer(&agent, event.ok_or("the agent has stopped")?).await?,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    agent.stop().await;
    Ok(())
}

/// A link is for one person.
async fn show_link(agent: &Agent) -> Result<(), Box<dyn Error>> {
    let (_, link) = agent.invite(USER, false).await?;
    let link = link.to_string();
    let code = QrCode::new(&link)?.render::<Dense1x2>().build();
    println!("{code}\n{link}");
    Ok(())
}

async fn answer(agent: &Agent, event: Event) -> Result<(), Box<dyn Error>> {
    match event {
        Event::Confirmation { connection, confirmation, .. } => {
            agent.allow(connection, confirmation, "an echo".into()).await?;
            show_link(agent).await?;
        }
        Event::Connected(_) => println!("* somebody has connected"),
        Event::Message(message) => {
            // First the answer, then the acknowledgement: after a crash in between it is answered twice, and never not at all.
            let echo = agent.send(message.connection, message.body, MessageFlags { notification: true });
            echo.await.err().iter().for_each(|error| println!("* not answered: {error}"));
            agent.acknowledge(message.connection, message.id).await?;
        }
        Event::NotSent(_, _, error) | Event::Error(_, error) => println!("* {error}"),
        _ => {}
    }
    Ok(())
}
