//! Somebody else, who could be anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use smp_core::agent::{Event, UserServer};
use smp_core::wire::{ConnectionRequest, ServerAddress};
use smp_examples::Outcome;
use smp_runtime::Runtime;
use smp_runtime::agent::{Agent, Events};
use smp_storage::agent::MemoryAgentStore;

use crate::{FLAGS, USER};

/// How long Bob thinks, in frames of the window.
const THINKING: u64 = 10;

/// Makes a link for Alice, and answers her with her own words, each time `THINKING` frames after they came.
pub(crate) async fn answer(
    on: impl Runtime,
    server: ServerAddress,
    frames: Arc<AtomicU64>,
    tell: Sender<Outcome<ConnectionRequest>>,
) {
    let answering = async {
        let (agent, mut events) = agent(&on, &server)?;
        let (_, link) = agent.invite(USER, true).await?;
        tell.send(Ok(link))?;
        while let Some(event) = events.next().await {
            match event {
                Event::Confirmation { connection, confirmation, .. } => {
                    agent.allow(connection, confirmation, "Bob".into()).await?;
                }
                Event::Message(message) => {
                    let until = frames.load(Ordering::Relaxed) + THINKING;
                    while frames.load(Ordering::Relaxed) < until {
                        on.sleep_until(on.now().mono + Duration::from_millis(5)).await;
                    }
                    agent.send(message.connection, message.body, FLAGS).await?;
                    agent.acknowledge(message.connection, message.id).await?;
                }
                _ => {}
            }
        }
        Ok(())
    };
    if let Err(error) = answering.await {
        // The window may be closed.
        _ = tell.send(Err(error));
    }
}

/// An agent that keeps everything in memory.
pub(crate) fn agent(on: &impl Runtime, server: &ServerAddress) -> Outcome<(Agent, Events)> {
    let builder = Agent::builder(on.clone(), MemoryAgentStore::new());
    Ok(builder.user(USER, vec![UserServer::new(server.clone())]).start()?)
}
