//! Serving, from the settings to the end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smp_core::server::CloseReason;
use smp_core::server::store::QueueOp;
use smp_core::transport::tls::Alpn;
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_runtime::Runtime;
use smp_runtime::client::Connector;
use smp_runtime::server::{Disconnect, Endpoint, HttpResolver, Server, ServerEvent, ServerHandle};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::{Backend, Embedded, EmbeddedOptions, Memory};
use tokio::sync::{Notify, oneshot};

use crate::address::say_address;
use crate::control::{About, Control};
use crate::failure::{Failure, because};
use crate::folders::DATA_SETTING;
use crate::identity::Loaded;
use crate::listen::{Serves, Socket};
use crate::maintenance;
use crate::settings::{self, Durability, Settings, Store};
use crate::signals::Signals;
use crate::statistics::Keeper;
use crate::terminal::say;
use crate::web::Web;

/// What to serve, and from where.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) identity: Loaded,
    pub(crate) sockets: Vec<Socket>,
    /// The web site, if there is one.
    pub(crate) web: Option<Web>,
    /// The folder of the embedded store.
    pub(crate) store: PathBuf,
    /// What is counted.
    pub(crate) statistics: Keeper,
    /// Open the store, do what is due, and end.
    pub(crate) maintenance: bool,
}

/// Serves until a signal.
pub(crate) fn serve(plan: Plan) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|e| Failure::new(format!("the system does not give what serving needs: {e}")))?;
    to_the_end(runtime, async {
        let signals = Signals::new().map_err(|e| Failure::new(format!("signals cannot be received: {e}")))?;
        match plan.settings.store {
            Store::Memory => with_store(plan, Memory::new(), signals).await,
            Store::Embedded(options) => {
                let store = open(&plan.store, options)?;
                with_store(plan, store, signals).await
            }
        }
    })
}

/// Runs what there is to do, and waits for nothing else: the system may take minutes to give up on the name of a relay, and
/// signals are not heeded any more.
fn to_the_end<T>(runtime: tokio::runtime::Runtime, work: impl Future<Output = T>) -> T {
    let ended = runtime.block_on(work);
    runtime.shutdown_background();
    ended
}

fn open(folder: &Path, chosen: settings::Embedded) -> Result<Embedded, Failure> {
    if let Some(data) = folder.parent() {
        let made = std::fs::create_dir_all(data);
        made.map_err(|e| because(data, "cannot be made", &format!("{e}. {DATA_SETTING}")))?;
    }
    if folder.symlink_metadata().is_err() {
        log::warn!("{}: there is no store yet, so this one is new and empty", folder.display());
    }
    let durability = match chosen.durability {
        Durability::Always => smp_storage::Durability::Always,
        Durability::Interval(interval) => smp_storage::Durability::Interval(interval),
        Durability::OnExit => smp_storage::Durability::OnExit,
    };
    let options = EmbeddedOptions {
        durability,
        cache_bytes: chosen.cache as u64,
        journal_bytes: chosen.journal as u64,
        queue_bytes: chosen.write_queue,
        ..EmbeddedOptions::default()
    };
    Embedded::open(folder, options).map_err(|e| Failure::new(format!("{e}. {DATA_SETTING}")))
}

async fn with_store<B: Backend + 'static>(plan: Plan, store: B, signals: Signals) -> Result<(), Failure> {
    if plan.maintenance {
        announce(&plan, &[], None)?;
        return maintenance::run(&plan.settings, &store).await;
    }
    let control = Control::open(&plan.settings).await?;
    let trouble = Arc::new(Notify::new());
    let server = server(&plan, store, Arc::clone(&trouble))?;
    let handle = server.serve_on(&endpoints(&plan)?).await.map_err(|e| {
        let addresses: Vec<String> = plan.sockets.iter().map(|socket| socket.address.to_string()).collect();
        Failure::new(format!(
            "cannot listen on {}: {e}. Look at [TRANSPORT] port and bind",
            addresses.join(", ")
        ))
    })?;
    announce(&plan, handle.addresses(), control.as_ref())?;
    log::info!("serving");
    until_stopped(&plan, handle, control, signals, &trouble).await
}

fn server<B: Backend + 'static>(
    plan: &Plan,
    store: B,
    trouble: Arc<Notify>,
) -> Result<Server<TokioRuntime, B>, Failure> {
    let settings = &plan.settings;
    let transport = transport(plan, |_| ())?;
    let runtime = tokio_runtime()?;
    let log_tls_errors = settings.log_tls_errors;
    let outgoing = &settings.outgoing;
    let connector = Connector::new(runtime.clone())
        .hosts(outgoing.hosts, outgoing.required)
        .socks(outgoing.socks.clone())
        .public_only(!outgoing.private);
    // Names of relays are chosen by strangers, and the resolver's does not wait for them.
    let resolver = resolver(settings, &tokio_runtime()?)?;
    let mut server = Server::new(runtime, store, transport, settings.server.clone()).outgoing(connector);
    if let Some(kept) = plan.statistics.kept() {
        server = server.statistics(kept);
    }
    if let Some(resolver) = resolver {
        server = server.resolver(move |name| resolver.resolve(name));
    }
    Ok(server.on_event(move |event| {
        if event == ServerEvent::StoreFailed {
            trouble.notify_one();
        }
        log_event(&event, log_tls_errors);
    }))
}

fn tokio_runtime() -> Result<TokioRuntime, Failure> {
    TokioRuntime::current().map_err(|e| Failure::new(format!("serving needs tokio: {e}")))
}

/// Who resolves names, if they are resolved. Whether it is there is found out meanwhile: all else is served without it.
fn resolver(
    settings: &Settings,
    runtime: &TokioRuntime,
) -> Result<Option<HttpResolver<TokioRuntime>>, Failure> {
    let Some(names) = &settings.names else { return Ok(None) };
    let resolver = HttpResolver::new(runtime.clone(), names.resolver.clone(), names.options.clone())
        .map_err(|e| Failure::new(format!("[NAMES] resolver_endpoint: {e}")))?;
    let asked = resolver.clone();
    runtime.spawn(async move {
        match asked.check().await {
            Ok(()) => log::info!("the resolver of names is there"),
            Err(e) => log::warn!(
                "[NAMES] resolver_endpoint: /health: {e}. Names cannot be resolved until it is there"
            ),
        }
    });
    Ok(Some(resolver))
}

fn transport(plan: &Plan, change: impl FnOnce(&mut ServerOptions)) -> Result<ServerTransportConfig, Failure> {
    let mut options = ServerOptions {
        versions: plan.settings.versions,
        accepts_services: plan.settings.accepts_services,
        ..ServerOptions::default()
    };
    change(&mut options);
    ServerTransportConfig::new(plan.identity.identity.clone(), options)
        .map_err(|e| Failure::new(format!("the identity cannot be used for TLS: {e}")))
}

/// What the runtime listens on, from what the settings ask for.
fn endpoints(plan: &Plan) -> Result<Vec<Endpoint>, Failure> {
    let web_socket = transport(plan, |options| {
        (options.web_socket, options.alpn) = (true, Alpn::web_socket());
    })?;
    plan.sockets.iter().map(|socket| endpoint(plan, socket, &web_socket)).collect()
}

fn endpoint(plan: &Plan, socket: &Socket, web_socket: &ServerTransportConfig) -> Result<Endpoint, Failure> {
    let address = socket.address;
    let web = || {
        plan.web.as_ref().ok_or_else(|| {
            Failure::new(format!("{address} is for the web site, which there is not. This is a defect"))
        })
    };
    let handler = || web().map(|web| Arc::clone(&web.handler));
    let tls = || {
        web()?.tls.clone().ok_or_else(|| {
            Failure::new(format!("{address} is for HTTPS, which has no certificate. This is a defect"))
        })
    };
    let endpoint = match socket.serves {
        Serves::Smp => Endpoint::smp(address),
        Serves::WebSocket => Endpoint::smp_over(address, web_socket.clone()),
        Serves::Shared => Endpoint::shared(address, tls()?, handler()?),
        Serves::Http => Endpoint::web(address, handler()?),
        Serves::Https => Endpoint::web_tls(address, tls()?, handler()?),
        Serves::Metrics => return Ok(Endpoint::web(address, plan.statistics.handler())),
    };
    let behind_proxy = plan.settings.proxy_protocol.covers(address.port());
    Ok(if behind_proxy { endpoint.behind_proxy() } else { endpoint })
}

/// Events carry no addresses or ids but the number of a connection, which is of no use outside.
fn log_event(event: &ServerEvent, log_tls_errors: bool) {
    match event {
        ServerEvent::Closed(_, Disconnect::Session(CloseReason::Handshake)) if log_tls_errors => {
            log::warn!("a connection ended before it spoke SMP");
        }
        ServerEvent::Closed(_, Disconnect::Session(CloseReason::Transport)) if log_tls_errors => {
            log::warn!("a connection was ended because it broke TLS");
        }
        ServerEvent::Closed(_, Disconnect::Panicked) => {
            log::error!("a connection ended by a defect of the server")
        }
        ServerEvent::Closed(_, Disconnect::NoProxyHeader) if log_tls_errors => {
            log::warn!("a connection did not begin with the header of a proxy ([TRANSPORT] proxy_protocol)");
        }
        ServerEvent::Closed(_, Disconnect::Refused(reason)) => {
            log::debug!("a connection was refused: {reason:?}");
        }
        ServerEvent::Refused(reason) => log::debug!("a connection was refused: {reason:?}"),
        ServerEvent::StoreFailed => log::error!("the store failed; the clients that asked were told so"),
        _ => {}
    }
}

async fn until_stopped<B: Backend + 'static>(
    plan: &Plan,
    handle: ServerHandle<TokioRuntime, B>,
    control: Option<Control>,
    mut signals: Signals,
    trouble: &Notify,
) -> Result<(), Failure> {
    let grace = plan.settings.stop_timeout;
    let (stop, stopping) = oneshot::channel();
    let (lost, since) = {
        let mut control = pin!(serve_control(plan, control, &handle, stopping));
        let lost = tokio::select! {
            () = signals.next() => false,
            () = handle.failed() => return Err(Failure::new("the server ended by a defect, see the log")),
            () = store_is_lost(handle.backend(), trouble) => true,
            () = &mut control => return Err(Failure::new("the control port ended by a defect, see the log")),
            never = plan.statistics.run(&handle) => match never {},
        };
        log::info!("stopping; a second signal ends at once");
        let since = Instant::now();
        drop(stop);
        tokio::select! {
            () = signals.next() => end_at_once(),
            _ = tokio::time::timeout(ANSWERS_TIME.min(grace), control) => (lost, since),
        }
    };
    let stopped = tokio::select! {
        () = signals.next() => end_at_once(),
        // Also when the store is lost, so that whoever waits for an answer is told that.
        stopped = handle.stop(grace.saturating_sub(since.elapsed())) => stopped,
    };
    let store = plan.store.display();
    match stopped {
        _ if lost => Err(Failure::new(format!(
            "the store in {store} failed and has to be opened again; {WHY}. {DATA_SETTING}"
        ))),
        Err(_) => Err(Failure::new(format!(
            "the server stopped, but the store in {store} could not write everything; {WHY}. {DATA_SETTING}"
        ))),
        Ok(stopped) => {
            plan.statistics.finish(&stopped.statistics);
            log::info!("stopped, everything is written; {} connections had to be cut", stopped.cut);
            Ok(())
        }
    }
}

/// Waiting for tasks and the store is what the second signal is against.
fn end_at_once() -> ! {
    log::warn!("ended at once");
    std::process::exit(ENDED_AT_ONCE)
}

/// Lets operators in, if there is a port for them, until `stopping` completes.
async fn serve_control<B: Backend + 'static>(
    plan: &Plan,
    control: Option<Control>,
    handle: &ServerHandle<TokioRuntime, B>,
    stopping: oneshot::Receiver<()>,
) {
    let stopping = async { drop(stopping.await) };
    let Some(control) = control else { return stopping.await };
    let about = About { versions: plan.settings.versions, store: store_of(plan), started: Instant::now() };
    control.run(handle, about, stopping).await;
}

/// Completes when the store fails for good: one that cannot even count has to be opened again.
async fn store_is_lost(store: &impl Backend, trouble: &Notify) {
    loop {
        trouble.notified().await;
        if store.run(vec![QueueOp::Count]).await.is_err() {
            return;
        }
    }
}

/// The lines that people look for when a server starts.
fn announce(plan: &Plan, addresses: &[SocketAddr], control: Option<&Control>) -> Result<(), Failure> {
    let listening = || addresses.iter().zip(plan.sockets.iter().map(|socket| socket.serves));
    let smp = listening().filter(|(_, serves)| serves.is_smp());
    let ports: Vec<u16> = smp.map(|(address, _)| address.port()).collect();
    say_address(&plan.identity, &plan.settings, &ports)?;
    for (address, serves) in listening() {
        say(&match serves {
            Serves::Smp => format!("Listening on {address}"),
            Serves::Shared => format!("Listening on {address} and serving the web site there: https"),
            Serves::WebSocket => format!("Listening on {address} for SMP over WebSockets"),
            Serves::Http => format!("Serving the web site on {address}: http"),
            Serves::Https => format!("Serving the web site on {address}: https"),
            Serves::Metrics => format!("Metrics: http://{address}/metrics"),
        });
    }
    if let Some(control) = control {
        say(&format!("Control port: {}", control.address()));
    }
    say(&format!("Store: {}", store_of(plan)));
    Ok(())
}

fn store_of(plan: &Plan) -> String {
    match plan.settings.store {
        Store::Memory => "in memory".to_owned(),
        Store::Embedded(embedded) => {
            let durability = match embedded.durability {
                Durability::Always => "always".to_owned(),
                Durability::Interval(interval) => format!("every {} ms", interval.as_millis()),
                Durability::OnExit => "on exit".to_owned(),
            };
            format!("{}, durable {durability}", plan.store.display())
        }
    }
}

/// How long operators may wait for answers that are under way when the server stops: longer than a wrong password takes.
const ANSWERS_TIME: Duration = Duration::from_secs(2);
/// The exit code after a second signal.
const ENDED_AT_ONCE: i32 = 3;
/// What to do about a store that failed.
const WHY: &str = "the log says why, mostly a full or broken disk, or files that the server may not write any more. \
                   With `durability = always` nothing that was answered with OK is lost. Make room, give the folder \
                   back, or move it to another disk, and start the server again";

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::cli::Algorithm;
    use crate::folders::Folders;
    use crate::identity;

    #[test]
    fn a_look_up_that_does_not_end_keeps_nothing_from_ending() {
        let (goes_on, waits) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            let result = to_the_end(runtime, async {
                let (begun, begins) = oneshot::channel();
                drop(tokio::task::spawn_blocking(move || (begun.send(()), waits.recv())));
                begins.await
            });
            ended.send(result).unwrap();
        });
        // The time is only there so that a hung test ends.
        assert_eq!(end.recv_timeout(Duration::from_secs(60)), Ok(Ok(())));
        drop(goes_on);
    }

    #[test]
    fn a_socket_for_a_site_that_is_not_there_is_no_silent_gap() {
        let place = tempfile::tempdir().unwrap();
        let folders = Folders::in_one(place.path());
        identity::create(&folders, Algorithm::Ed25519, "localhost").unwrap();
        let settings = settings::of_text("");
        let mut plan = Plan {
            identity: identity::load(&folders).unwrap(),
            statistics: Keeper::new(&settings, &folders),
            store: folders.store(),
            settings,
            sockets: Vec::new(),
            web: None,
            maintenance: false,
        };
        let addresses = [9, 10].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        for (serves, is_there) in [(Serves::Smp, true), (Serves::Http, false), (Serves::Shared, false)] {
            plan.sockets = vec![
                Socket { address: addresses[0], serves },
                Socket { address: addresses[1], serves: Serves::Metrics },
            ];
            let endpoints = endpoints(&plan);
            assert_eq!(endpoints.as_ref().ok().map(Vec::len), is_there.then_some(2), "{serves:?}");
            let failure = endpoints.err().map_or(String::new(), |failure| failure.to_string());
            assert_eq!(failure.starts_with("127.0.0.1:9 is for"), !is_there, "{failure}");
        }
    }
}
