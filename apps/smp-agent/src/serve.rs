//! Serving, from the settings to the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smp_core::agent::Event;
use smp_core::wire::agent::AgentError;
use smp_program::failure::Failure;
use smp_program::logging;
use smp_program::signals::Signals;
use smp_program::terminal::say;
use smp_runtime::agent::{Agent, Events};
use smp_runtime_tokio::TokioRuntime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::Cli;
use crate::desk::Desk;
use crate::dispatch::USER;
use crate::session::talk;
use crate::{database, servers};

/// Serves until a signal.
pub(crate) fn run(cli: &Cli) -> Result<(), Failure> {
    logging::start(env!("CARGO_CRATE_NAME"), cli.log_level);
    let needs = |e| Failure::new(format!("the system does not give what serving needs: {e}"));
    let runtime = tokio::runtime::Runtime::new().map_err(needs)?;
    let ended = runtime.block_on(serve(cli));
    // The system may take minutes to give up on the name of a server.
    runtime.shutdown_background();
    ended
}

async fn serve(cli: &Cli) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(|e| Failure::new(format!("signals cannot be received: {e}")))?;
    let (address, servers) = (cli.address()?, servers::servers(cli)?);
    let (store, file) = database::open(cli)?;
    let listener = listen(address).await?;
    let runtime = TokioRuntime::current().map_err(|e| Failure::new(format!("serving needs tokio: {e}")))?;
    let (agent, events) = Agent::builder(runtime, store)
        .user(USER, servers)
        .start()
        .map_err(|e| Failure::new(format!("the system does not give what an agent needs: {e}")))?;
    say(&format!("SMP agent v{}", env!("CARGO_PKG_VERSION")));
    say(&format!("Database: {}", file.display()));
    let address = listener.local_addr().unwrap_or(address);
    say(&format!("Listening on {address}"));
    log::info!("serving");
    let desk = Desk::new(agent);
    let (stop, stops) = watch::channel(false);
    let mut clients = JoinSet::new();
    let ended = tokio::select! {
        () = signals.next() => Ok(()),
        failure = pass_events(events, &desk) => Err(failure),
        never = accept(&listener, &desk, &stops, &mut clients) => match never {},
    };
    log::info!("stopping; a second signal ends at once");
    drop(listener);
    stop.send_replace(true);
    let finish = async {
        // Whoever takes nothing is not waited for.
        let answered = async { while clients.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(ANSWERS_TIME, answered).await;
        clients.shutdown().await;
        desk.agent.stop().await;
    };
    tokio::select! {
        () = signals.next() => end_at_once(),
        () = finish => log::info!("stopped, everything is written"),
    }
    ended
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|e| {
        let way_out = "Another program may listen there, such as an agent or the control port of a server. --host and \
                       --port name another address";
        Failure::new(format!("cannot listen on {address}: {e}. {way_out}"))
    })
}

/// Lets clients in.
async fn accept(
    listener: &TcpListener,
    desk: &Arc<Desk>,
    stops: &watch::Receiver<bool>,
    clients: &mut JoinSet<()>,
) -> std::convert::Infallible {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => begin(stream, desk, stops, clients),
                Err(error) => {
                    log::warn!("clients cannot be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = clients.join_next() => if ended.is_err() {
                log::error!("the connection of a client ended by a defect of the agent");
            },
        }
    }
}

fn begin(stream: TcpStream, desk: &Arc<Desk>, stops: &watch::Receiver<bool>, clients: &mut JoinSet<()>) {
    clients.spawn(talk(stream, Arc::clone(desk), stops.clone()));
}

/// Tells clients what happens, until something happens after which the agent is of no use.
async fn pass_events(mut events: Events, desk: &Arc<Desk>) -> Failure {
    while let Some(event) = events.next().await {
        let lost = match &event {
            Event::Error(None, AgentError::Critical { text, .. }) => Some(Failure::new(format!(
                "{text}; the log says why, mostly a full or broken disk, or files that the agent may not write any more"
            ))),
            _ => None,
        };
        for connection in desk.tell(event) {
            // What is told again needs no answer.
            drop(desk.agent.tell_again(connection));
        }
        if let Some(failure) = lost {
            return failure;
        }
    }
    Failure::new("the agent ended by a defect, see the log")
}

/// Waiting for clients and the store is what the second signal is against.
fn end_at_once() -> ! {
    log::warn!("ended at once");
    std::process::exit(ENDED_AT_ONCE)
}

/// How long clients may take to be answered when the agent stops.
const ANSWERS_TIME: Duration = Duration::from_secs(3);
/// The pause after a client could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// The exit code after a second signal.
const ENDED_AT_ONCE: i32 = 3;
