//! `cargo bench -p smp-tests --bench runtimes`: the same load on each runtime, in turn, in one run. `-- --rounds 9` for more rounds.
//!
//! Two loads, over real sockets on the loopback interface, with stores in memory and as many threads as there are processors:
//!
//! * *clients*: pairs of connections; one sends through a queue, the other receives and acknowledges;
//! * *agents*: pairs of people who answer each other.
//!
//! Server and clients are in one process, so the processor time of a message is that of both. Machines differ and are shared: what
//! counts are the ratios, each the median over rounds in which the runtimes come one after another in changing order.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints figures")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use rustix::time::{ClockId, clock_gettime};
use smp_core::agent::{ConnectionId, Event, UserId, UserServer};
use smp_core::client::{ClientEvent, QueueKeys};
use smp_core::crypto::{AuthPrivateKey, Ed25519PrivateKey};
use smp_core::server::ServerConfig;
use smp_core::transport::identity::Algorithm;
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::ServerAddress;
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_runtime::Runtime;
use smp_runtime::agent::{Agent, Events, new_connection_id};
use smp_runtime::client::Connector;
use smp_runtime::server::{Server, ServerHandle};
use smp_storage::Memory;
use smp_storage::agent::MemoryAgentStore;
use smp_tests::peer::entropy;
use smp_tests::runtimes::{AnyRuntime, Engine, Kind};
use smp_tests::server::identity;

const FLAGS: MessageFlags = MessageFlags { notification: false };
const USER: UserId = UserId(1);
/// Conversations at once, and the messages of each.
const CLIENTS: (u32, u32) = (16, 400);
const AGENTS: (u32, u32) = (8, 100);

#[derive(Clone, Copy)]
enum Load {
    Clients,
    Agents,
}

/// What a message took.
#[derive(Clone, Copy, Default)]
struct Cost {
    processor: f64,
    time: f64,
}

fn main() {
    let words: Vec<_> = std::env::args().collect();
    let named = words.windows(2).find(|pair| pair[0] == "--rounds").map(|pair| pair[1].parse());
    let rounds = named.transpose().expect("--rounds takes a number").unwrap_or(5);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{rounds} rounds, {threads} threads; µs of processor time and messages a second: medians\n");
    for (load, name) in [(Load::Clients, "clients"), (Load::Agents, "agents")] {
        compare(load, name, rounds, threads);
    }
}

/// Prints a row for each runtime: what a message took, and how that compares with the best one.
fn compare(load: Load, name: &str, rounds: usize, threads: usize) {
    let mut costs = Kind::ALL.map(|_| Vec::new());
    // The first round warms up and is not counted.
    for round in 0..=rounds {
        for place in 0..Kind::ALL.len() {
            let at = (place + round) % Kind::ALL.len();
            let cost = live(load, Kind::ALL[at], threads);
            if round > 0 {
                costs[at].push(cost);
            }
        }
    }
    let median = |of: fn(&Cost) -> f64| costs.each_ref().map(|costs| middle(costs.iter().map(of).collect()));
    let (processor, time) = (median(|cost| cost.processor), median(|cost| cost.time));
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    println!("{name:10}  processor time   to the least   messages a second   the most to it");
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        println!(
            "{kind:10}  {:11.0} µs  {:13.2}  {:18.0}  {:15.2}",
            processor[at],
            processor[at] / least(&processor),
            1e6 / time[at],
            time[at] / least(&time),
        );
    }
    println!();
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn live(load: Load, kind: Kind, threads: usize) -> Cost {
    let engine = Engine::with_threads(kind, threads);
    match engine.runtime() {
        AnyRuntime::Tokio(runtime) => engine.block_on(cost(load, runtime)),
        AnyRuntime::AsyncStd(runtime) => engine.block_on(cost(load, runtime)),
        AnyRuntime::Smol(runtime) => engine.block_on(cost(load, runtime)),
    }
}

async fn cost<R: Runtime>(load: Load, runtime: R) -> Cost {
    let identity = identity(Algorithm::Ed25519);
    let transport = ServerTransportConfig::new(identity.clone(), ServerOptions::default()).expect("TLS");
    let server = Server::new(runtime.clone(), Memory::new(), transport, ServerConfig::default());
    let server: ServerHandle<_, _> =
        server.serve(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]).await.expect("a free port");
    let (host, port) = ("127.0.0.1".parse().expect("a host"), server.addresses()[0].port());
    let address = ServerAddress::new(vec![host], Some(port), *identity.fingerprint()).expect("one host");
    let cost = match load {
        Load::Clients => {
            let mut pairs = Vec::new();
            for _ in 0..CLIENTS.0 {
                pairs.push(ClientPair::connect(&runtime, &address).await.talk());
            }
            run(&runtime, pairs, CLIENTS).await
        }
        Load::Agents => {
            let mut pairs = Vec::new();
            for _ in 0..AGENTS.0 {
                pairs.push(AgentPair::connect(&runtime, &address).await.talk());
            }
            run(&runtime, pairs, AGENTS).await
        }
    };
    server.stop(Duration::from_secs(10)).await.expect("a store in memory");
    cost
}

/// All conversations at once, each in a task of its own.
async fn run<R: Runtime>(
    runtime: &R,
    talks: Vec<impl Future<Output = ()> + Send + 'static>,
    (pairs, messages): (u32, u32),
) -> Cost {
    let (start, spent) = (Instant::now(), processor_time());
    let ends = talks.into_iter().map(|talk| {
        let (ended, end) = oneshot::channel();
        runtime.spawn(async move {
            talk.await;
            _ = ended.send(());
        });
        end
    });
    for end in ends.collect::<Vec<_>>() {
        end.await.expect("a conversation that ends well");
    }
    let of_one = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(pairs * messages);
    Cost { processor: of_one(processor_time() - spent), time: of_one(start.elapsed()) }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("it only grows from 0")
}

/// Two connections and a queue.
struct ClientPair {
    sender: smp_runtime::client::Client,
    recipient: smp_runtime::client::Client,
    events: smp_runtime::client::Events,
    _sender_events: smp_runtime::client::Events,
    keys: QueueKeys,
    sender_key: AuthPrivateKey,
    queue: smp_core::wire::broker::CreatedQueue,
}

impl ClientPair {
    async fn connect<R: Runtime>(runtime: &R, server: &ServerAddress) -> Self {
        let connector = Connector::new(runtime.clone());
        let (recipient, events) = connector.connect(server).await.expect("a session");
        let (sender, _sender_events) = connector.connect(server).await.expect("a session");
        let keys = QueueKeys::generate(&mut entropy());
        let new = keys.new_queue(SubscriptionMode::Subscribe);
        let queue = recipient.create_queue(new, keys.auth.clone()).await.expect("a queue");
        let sender_key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy()));
        let secured = recipient.secure(queue.recipient_id.clone(), keys.auth.clone(), sender_key.public());
        secured.await.expect("a queue without a key of its sender");
        Self { sender, recipient, events, _sender_events, keys, sender_key, queue }
    }

    /// SEND, its OK, MSG, its ACK, and the OK of that, over and over.
    async fn talk(mut self) {
        let (id, to) = (self.queue.recipient_id.clone(), self.queue.sender_id.clone());
        for _ in 0..CLIENTS.1 {
            let key = Some(self.sender_key.clone());
            self.sender.send(to.clone(), key, FLAGS, vec![7; 1000].into()).await.expect("OK");
            let Ok(ClientEvent::Message(_, message)) = self.events.next().await else { panic!("no message") };
            let next = self.recipient.acknowledge(id.clone(), self.keys.auth.clone(), message.id).await;
            assert_eq!(next, Ok(None));
        }
    }
}

/// Two people who are connected.
struct AgentPair([(Agent, Events, ConnectionId); 2]);

impl AgentPair {
    async fn connect<R: Runtime>(runtime: &R, server: &ServerAddress) -> Self {
        let person = || {
            let servers = vec![UserServer::new(server.clone())];
            let builder = Agent::builder(runtime.clone(), MemoryAgentStore::new()).user(USER, servers);
            builder.start().expect("an agent")
        };
        let ((alice, mut of_alice), (bob, mut of_bob)) = (person(), person());
        let (at_alice, link) = alice.invite(USER, false).await.expect("an invitation");
        let at_bob = new_connection_id().expect("randomness");
        bob.join(at_bob, USER, link.to_string().parse().expect("a link"), "Bob".into(), false)
            .await
            .expect("a good link");
        let confirmation = loop {
            if let Some(Event::Confirmation { confirmation, .. }) = of_alice.next().await {
                break confirmation;
            }
        };
        alice.allow(at_alice, confirmation, "Alice".into()).await.expect("who asked");
        for events in [&mut of_alice, &mut of_bob] {
            while !matches!(events.next().await.expect("an agent"), Event::Connected(_)) {}
        }
        Self([(alice, of_alice, at_alice), (bob, of_bob, at_bob)])
    }

    /// In turn.
    async fn talk(mut self) {
        for at in 0..AGENTS.1 as usize {
            let [(from, _, connection), (to, events, _)] = &mut self.0;
            from.send(*connection, vec![at as u8; 1000].into(), FLAGS).await.expect("a connection");
            let message = loop {
                if let Event::Message(message) = events.next().await.expect("an agent") {
                    break message;
                }
            };
            to.acknowledge(message.connection, message.id).await.expect("a message");
            self.0.swap(0, 1);
        }
        for (agent, ..) in self.0 {
            agent.stop().await;
        }
    }
}
