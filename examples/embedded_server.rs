//! `cargo run --release --example embedded_server`, or with `-- --runtime tokio|async-std|smol` behind it.
//!
//! A server inside a program that does something else besides: it counts. Its hooks hear what happens in the server, its
//! statistics are read while it runs, and it is stopped in order while clients are connected, which are told. Here
//! the clients are in the same program, and when they have talked for a moment it stops by itself; Ctrl-C stops it before. Prints
//! what the hooks counted, and ends with an error if that is not what happened, or if the server was not stopped in order.
#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use smp_core::client::{ClientEvent, CloseReason as Closed, QueueKeys};
use smp_core::server::statistics::Counter;
use smp_core::server::{CloseReason, ServerConfig, SessionEvent};
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::ServerAddress;
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_examples::{Outcome, entropy, local_address, new_identity};
use smp_runtime::Runtime;
use smp_runtime::client::{Connector, Disconnect};
use smp_runtime::server::{Disconnect as Ended, Server, ServerEvent};
use smp_runtime_async_std::AsyncStdRuntime;
use smp_runtime_smol::SmolRuntime;
use smp_runtime_tokio::TokioRuntime;
use smp_storage::Memory;
use tokio::runtime::{Builder, Runtime as Tokio};

const CLIENTS: u64 = 3;
const MESSAGES: u64 = 20;
const GRACE: Duration = Duration::from_secs(5);

fn main() -> Outcome<()> {
    match &*std::env::args().skip(1).collect::<Vec<_>>().join(" ") {
        "" | "--runtime tokio" => Tokio::new()?.block_on(async { run(TokioRuntime::current()?).await }),
        "--runtime async-std" => async_std::task::block_on(run(AsyncStdRuntime::new())),
        "--runtime smol" => smol::block_on(run(SmolRuntime::global())),
        _ => Err("embedded_server takes --runtime tokio|async-std|smol, or nothing".into()),
    }
}

/// What the program wants to know. It is told on the tasks of connections, so it only counts.
#[derive(Default)]
struct Hooks {
    shaken: AtomicU64,
    stopped: AtomicU64,
    others: AtomicU64,
}

impl Hooks {
    fn hear(&self, event: &ServerEvent) {
        let counter = match event {
            // The latter are the server's own statistics, on their way.
            ServerEvent::Accepted(_) | ServerEvent::Session(_, SessionEvent::Counted(..)) => return,
            ServerEvent::Session(_, SessionEvent::Ready(_)) => &self.shaken,
            ServerEvent::Closed(_, Ended::Session(CloseReason::Stopped)) => &self.stopped,
            _ => &self.others,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// All of it, the same on every runtime.
async fn run(runtime: impl Runtime) -> Outcome<()> {
    let (identity, hooks) = (new_identity()?, Arc::new(Hooks::default()));
    let transport = ServerTransportConfig::new(identity.clone(), ServerOptions::default())?;
    let hearing = Arc::clone(&hooks);
    let server = Server::new(runtime.clone(), Memory::new(), transport, ServerConfig::default())
        .on_event(move |event| hearing.hear(&event))
        .serve(&[(Ipv4Addr::LOCALHOST, 0).into()])
        .await?;
    let address = local_address(&identity, server.addresses()[0].port())?;
    let (tell, told) = channel();
    for _ in 0..CLIENTS {
        let (visit, tell) = (visit(Connector::new(runtime.clone()), address.clone()), tell.clone());
        runtime.spawn(async move { _ = tell.send(visit.await) });
    }

    // What the program is for. The server runs beside it, on its runtime.
    let (interrupted, mut counted) = (interrupted()?, 0_u64);
    let received = || server.statistics().counts.of(Counter::MessagesReceived);
    while received() < CLIENTS * MESSAGES {
        counted += 1;
        pause(&runtime).await;
        if interrupted.try_recv().is_ok() {
            server.stop(GRACE).await?;
            println!("The server was stopped before its clients were done.");
            return Ok(());
        }
        if let Ok(ended) = told.try_recv() {
            return Err(format!("a client was done before the server: {:?}", ended?).into());
        }
    }
    println!("The program counted to {counted}; {} messages were received meanwhile.", received());
    println!("Now {} clients are subscribed to {} queues.", server.connections(), server.subscriptions());
    let stopped = server.stop(GRACE).await?;
    let made = stopped.statistics.counts.of(Counter::QueuesCreated);
    let heard = [&hooks.shaken, &hooks.stopped, &hooks.others];
    let [shaken, in_order, others] = heard.map(|count| count.load(Ordering::Relaxed));
    println!("Hooks: {shaken} handshakes, {in_order} connections ended in order, {others} other events.");
    println!("Statistics to the end: {made} queues were made.");
    if stopped.cut > 0 || [shaken, in_order, others, made] != [CLIENTS, CLIENTS, 0, CLIENTS] {
        return Err("the server was not stopped in order, or the hooks missed something".into());
    }
    let mut left = CLIENTS;
    while left > 0 {
        match told.try_recv() {
            Ok(Ok(Disconnect::Closed(Closed::ServerClosed))) => left -= 1,
            Ok(_) => return Err("a client was not told of the end".into()),
            Err(_) => pause(&runtime).await,
        }
    }
    println!("All clients were told of the end.");
    Ok(())
}

async fn pause(runtime: &impl Runtime) {
    runtime.sleep_until(runtime.now().mono + Duration::from_millis(5)).await;
}

/// A client that sends to itself and stays connected. How its connection ended.
async fn visit(connector: Connector<impl Runtime>, server: ServerAddress) -> Outcome<Disconnect> {
    let (client, mut events) = connector.connect(&server).await?;
    let keys = QueueKeys::generate(&mut entropy()?);
    let queue = keys.new_queue(SubscriptionMode::Subscribe);
    let queue = client.create_queue(queue, keys.auth.clone()).await?;
    for number in 0..MESSAGES {
        let body = number.to_string().into();
        client.send(queue.sender_id.clone(), None, MessageFlags { notification: false }, body).await?;
        let ClientEvent::Message(_, message) = events.next().await? else {
            return Err("not a message".into());
        };
        client.acknowledge(queue.recipient_id.clone(), keys.auth.clone(), message.id).await?;
    }
    Ok(client.closed().await)
}

/// Tells of Ctrl-C. Runtimes differ in that, so a thread waits for it.
fn interrupted() -> Outcome<Receiver<()>> {
    let (tell, told) = channel();
    let signals = Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        // Without signals nobody is told, and the program may have ended by itself.
        _ = signals.block_on(tokio::signal::ctrl_c()).map(|()| tell.send(()));
    });
    Ok(told)
}
