//! `cargo run --release --example echo_bot -- <file> <server>`
//!
//! A bot that answers whoever connects, with the same words. Prints its contact address, which anybody can use, as a link and
//! as a QR code for the app on a phone. Ctrl-C ends it, and everybody is answered when it is started again.
#![allow(clippy::print_stdout, reason = "it is for a terminal")]

use std::error::Error;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use smp_core::agent::{ConnectionId, Event, UserId, UserServer};
use smp_core::wire::ServerUri;
use smp_core::wire::command::MessageFlags;
use smp_runtime::agent::{Agent, new_connection_id};
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
    let link = contact_address(&agent, &file).await?;
    println!("{}\n{link}", QrCode::new(&link)?.render::<Dense1x2>().build());
    loop {
        tokio::select! {
            event = events.next() => answer(&agent, event.ok_or("the agent has stopped")?).await?,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    agent.stop().await;
    Ok(())
}

/// The address that was kept, or a new one. Who asked there and was not accepted yet is told again.
async fn contact_address(agent: &Agent, file: &str) -> Result<String, Box<dyn Error>> {
    let kept = format!("{file}.address");
    if let Ok(text) = std::fs::read_to_string(&kept) {
        let (id, link) = text.split_once(' ').ok_or_else(|| format!("{kept} has no address"))?;
        agent.tell_again(ConnectionId::from_text(id).ok_or("no name of a connection")?).await?;
        return Ok(link.to_owned());
    }
    let (id, link) = agent.create_address(USER).await?;
    std::fs::write(&kept, format!("{id} {link}"))?;
    Ok(link.to_string())
}

async fn answer(agent: &Agent, event: Event) -> Result<(), Box<dyn Error>> {
    match event {
        // It is kept until it is accepted: what fails is tried again when the bot is started again.
        Event::Request(request) => {
            let accepted =
                agent.accept(new_connection_id()?, USER, request.invitation, "an echo".into(), true);
            accepted.await.err().iter().for_each(|error| println!("* not accepted: {error}"));
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
