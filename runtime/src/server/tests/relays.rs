//! The proxy's shell on a virtual clock: relays that are good, slow, silent or gone, and where it connects to.

use std::collections::BTreeMap;

use smp_core::SeededEntropy;
use smp_core::client::{QueueKeys, Request, RequestError};
use smp_core::crypto::AuthPrivateKey;
use smp_core::server::statistics::{Counter, ProxyCounter};
use smp_core::wire::ServerAddress;
use smp_core::wire::broker::CreatedQueue;
use smp_core::wire::command::{MessageFlags, SubscriptionMode};
use smp_core::wire::error::{BrokerErrorType, ErrorType, NetworkError, ProxyError};

use super::*;
use crate::client::{Client, Connector, Events, RelayClient};
use crate::testing::StreamLimits;
use crate::tests::{address, transport_of};
use crate::{Socks, SocksMode};

/// A machine with a proxy and relays on it, and networks between them that a test may cut.
struct Relays {
    limits: Limits,
    runtime: TestRuntime,
    servers: Vec<ServerHandle<TestRuntime, TestStore>>,
    stores: Vec<TestStore>,
}

const PROXY: u8 = 1;
const NO_FLAGS: MessageFlags = MessageFlags { notification: false };
const SECOND: Duration = Duration::from_secs(1);

/// Where the server of a number listens.
fn socket(server: u8) -> SocketAddr {
    SocketAddr::new(host(server).parse().unwrap(), 5223)
}

/// Addresses of the public internet, as they are for a proxy.
fn host(server: u8) -> String {
    format!("1.1.1.{server}")
}

fn server(number: u8) -> ServerAddress {
    address(&[&host(number)], [number; 32])
}

impl Relays {
    /// A proxy, and relays of these numbers.
    fn new(limits: Limits, relays: &[u8]) -> Self {
        Self::with(limits, relays, |connector| connector)
    }

    fn with(
        limits: Limits,
        relays: &[u8],
        outgoing: impl FnOnce(Connector<TestRuntime>) -> Connector<TestRuntime>,
    ) -> Self {
        let runtime = TestRuntime::default();
        let mut world = Self { limits, runtime, servers: Vec::new(), stores: Vec::new() };
        let connector = outgoing(Connector::new(world.runtime.clone()).public_only(true));
        world.start(PROXY, TestStore::default(), Some(connector));
        relays.iter().for_each(|relay| world.start(*relay, TestStore::default(), None));
        world
    }

    /// Starts the server of a number, which is then the last one.
    fn start(&mut self, number: u8, store: TestStore, outgoing: Option<Connector<TestRuntime>>) {
        let mut config = ServerConfig::default();
        config.limits = self.limits;
        let transport = transport_of([number; 32]);
        let server = Server::new(self.runtime.clone(), store.clone(), transport, config).seed([number; 32]);
        let server = match outgoing {
            Some(connector) => server.outgoing(connector),
            None => server,
        };
        let served = self.runtime.block_on(async move { server.serve(&[socket(number)]).await.unwrap() });
        self.servers.push(served);
        self.stores.push(store);
    }

    fn connect(&self, to: u8, seed: u8) -> (Client, Events) {
        let connector = Connector::new(self.runtime.clone()).seed([seed; 32]);
        self.runtime.block_on(async move { connector.connect(&server(to)).await.unwrap() })
    }

    fn relay(&self, client: &Client, relay: ServerAddress) -> Result<RelayClient, RequestError> {
        let client = client.clone();
        self.runtime.block_on(async move { client.relay(relay, None).await })
    }

    fn queue(&self, at: u8) -> (Client, CreatedQueue) {
        let (client, _) = self.connect(at, 100 + at);
        let keys = QueueKeys::generate(&mut SeededEntropy::new([at; 32]));
        let new = keys.new_queue(SubscriptionMode::OnlyCreate);
        let (creator, key): (Client, AuthPrivateKey) = (client.clone(), keys.auth.clone());
        let queue = self.runtime.block_on(async move { creator.create_queue(new, key).await.unwrap() });
        (client, queue)
    }

    /// Sends through a relay, and waits as long as it takes.
    fn send(&self, relay: &RelayClient, queue: &CreatedQueue) -> Result<(), RequestError> {
        let (relay, queue) = (relay.clone(), queue.sender_id.clone());
        self.runtime.block_on(async move { relay.send(queue, None, NO_FLAGS, "hello".into()).await })
    }

    /// What a server counted.
    fn counted<const N: usize>(&self, server: usize, counters: [Counter; N]) -> [u64; N] {
        let statistics = self.servers[server].statistics();
        counters.map(|counter| statistics.counts.of(counter))
    }
}

/// A message for a queue.
fn send(queue: &CreatedQueue) -> Request {
    Request::send(queue.sender_id.clone(), None, NO_FLAGS, "hello".into())
}

fn proxy_error(error: ProxyError) -> RequestError {
    RequestError::Server(ErrorType::Proxy(Box::new(error)))
}

fn broker_error(error: BrokerErrorType) -> RequestError {
    proxy_error(ProxyError::Broker(error))
}

fn network() -> RequestError {
    broker_error(BrokerErrorType::Network(NetworkError::Failed))
}

#[test]
fn clients_send_through_a_relay_that_they_share() {
    let world = Relays::new(Limits::default(), &[2]);
    let (_recipient, queue) = world.queue(2);
    for seed in [10, 11, 12] {
        let (client, _events) = world.connect(PROXY, seed);
        let relay = world.relay(&client, server(2)).unwrap();
        assert_eq!(relay.version(), Version::MAX);
        assert_eq!(world.send(&relay, &queue), Ok(()));
        let unknown = CreatedQueue { sender_id: [9; 24].into(), ..queue.clone() };
        assert_eq!(world.send(&relay, &unknown), Err(RequestError::Relay(ErrorType::Auth)));
    }
    assert_eq!((world.servers[0].relays(), world.servers[1].connections()), (1, 2));
    let proxy = [ProxyCounter::Requests, ProxyCounter::Successes, ProxyCounter::Failed];
    assert_eq!(world.counted(0, proxy.map(Counter::Forwards)), [6, 6, 0]);
    assert_eq!(world.counted(0, proxy.map(Counter::OwnForwards)), [0, 0, 0]);
    assert_eq!(world.counted(0, proxy.map(Counter::Relays)), [3, 3, 0]);
    let received = [Counter::ForwardsReceived, Counter::MessagesSent, Counter::MessagesRefused];
    assert_eq!((world.counted(0, received), world.counted(1, received)), ([0, 0, 0], [6, 3, 3]));
}

#[test]
fn a_relay_that_is_not_the_one_asked_for_is_refused() {
    let world = Relays::new(Limits::default(), &[2]);
    let (client, _events) = world.connect(PROXY, 10);
    let other = address(&[&host(2)], [3; 32]);
    assert_eq!(world.relay(&client, other).err(), Some(network()));
}

#[test]
fn nothing_but_the_public_internet_is_connected_to() {
    let world = Relays::new(Limits::default(), &[]);
    let (client, _events) = world.connect(PROXY, 10);
    let dialed = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&dialed);
    world.runtime.on_connect(move |to| {
        seen.lock().unwrap().push(to.ip());
        Err(io::ErrorKind::ConnectionRefused.into())
    });
    world.runtime.set_name("inside.example", "10.0.0.1".parse().unwrap());
    world.runtime.set_name("metadata.example", "169.254.169.254".parse().unwrap());
    world.runtime.set_name("outside.example", "1.2.3.4".parse().unwrap());
    for hosts in [
        &["127.0.0.1"][..],
        &["10.1.2.3"],
        &["[::1]"],
        &["[::ffff:127.0.0.1]"],
        &["[fe80::1]"],
        &["inside.example"],
        &["metadata.example"],
        &["192.168.0.1", "inside.example"],
    ] {
        let refused = world.relay(&client, address(hosts, [2; 32])).err();
        assert_eq!(refused, Some(broker_error(BrokerErrorType::Host)), "{hosts:?}");
    }
    assert_eq!(*dialed.lock().unwrap(), [] as [IpAddr; 0]);
    assert_eq!(world.relay(&client, address(&["outside.example"], [2; 32])).err(), Some(network()));
    assert_eq!(*dialed.lock().unwrap(), ["1.2.3.4".parse::<IpAddr>().unwrap()]);
}

#[test]
fn onion_names_are_given_to_the_socks_proxy_and_to_nobody_else() {
    let onion = format!("{}.onion", "a".repeat(56));
    let world = Relays::new(Limits::default(), &[]);
    let (client, _events) = world.connect(PROXY, 10);
    let refused = world.relay(&client, address(&[&onion], [2; 32])).err();
    assert_eq!(refused, Some(broker_error(BrokerErrorType::Host)));

    // The SOCKS proxy is on this machine, which is no relay's address.
    let socks = Socks::new("127.0.0.1", 9050, SocksMode::Onion);
    let world = Relays::with(Limits::default(), &[2], |connector| connector.socks(Some(socks)));
    let at = "127.0.0.1:9050".parse::<SocketAddr>().unwrap();
    let (runtime, asked) = (world.runtime.clone(), Arc::new(Mutex::new(Vec::new())));
    let mut listener = world.runtime.block_on({
        let runtime = runtime.clone();
        async move { runtime.listen(at).await.unwrap() }
    });
    let told = Arc::clone(&asked);
    world.runtime.spawn(async move {
        let (client, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let mut client = client;
        *told.lock().unwrap() = serve_socks(&mut client).await;
        let relay = runtime.connect(socket(2)).await.unwrap();
        pump(client, relay).await;
    });
    let (client, _events) = world.connect(PROXY, 10);
    let relay = world.relay(&client, address(&[&onion], [2; 32])).unwrap();
    let (_recipient, queue) = world.queue(2);
    assert_eq!(world.send(&relay, &queue), Ok(()));
    let asked = asked.lock().unwrap();
    assert_eq!(asked[..4], [5, 1, 0, 3]);
    assert_eq!(asked[5..asked.len() - 2], *onion.as_bytes());
}

/// Plays a SOCKS proxy that grants everything; gives the request.
async fn serve_socks(client: &mut TestStream) -> Vec<u8> {
    use crate::ByteStream;
    let mut buffer = [0; 512];
    let read = std::future::poll_fn(|cx| client.poll_read(cx, &mut buffer)).await.unwrap();
    assert_eq!(buffer[..read], [5, 1, 0]);
    std::future::poll_fn(|cx| client.poll_write(cx, &[5, 0])).await.unwrap();
    let read = std::future::poll_fn(|cx| client.poll_read(cx, &mut buffer)).await.unwrap();
    let request = buffer[..read].to_vec();
    std::future::poll_fn(|cx| client.poll_write(cx, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])).await.unwrap();
    request
}

/// Moves bytes between two connections until one ends.
async fn pump(mut one: TestStream, mut other: TestStream) {
    use crate::ByteStream;
    use std::task::{Context, Poll};
    let mut waiting: BTreeMap<bool, Vec<u8>> = BTreeMap::new();
    let mut step = |cx: &mut Context<'_>, from: &mut TestStream, to: &mut TestStream, way: bool| {
        let waiting = waiting.entry(way).or_default();
        let mut buffer = [0; 4096];
        while waiting.is_empty()
            && let Poll::Ready(read) = from.poll_read(cx, &mut buffer)
        {
            let read = read.ok().filter(|read| *read > 0)?;
            waiting.extend(&buffer[..read]);
            while !waiting.is_empty()
                && let Poll::Ready(written) = to.poll_write(cx, waiting)
            {
                waiting.drain(..written.ok()?);
            }
        }
        while !waiting.is_empty()
            && let Poll::Ready(written) = to.poll_write(cx, waiting)
        {
            waiting.drain(..written.ok()?);
        }
        Some(())
    };
    std::future::poll_fn(|cx| {
        let there = step(cx, &mut one, &mut other, true);
        let back = step(cx, &mut other, &mut one, false);
        if there.and(back).is_none() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn a_silent_relay_is_told_apart_and_given_up_and_others_go_on() {
    let world = Relays::new(Limits::default(), &[2, 3]);
    let ((_, silent), (_, good)) = (world.queue(2), world.queue(3));
    let (client, _events) = world.connect(PROXY, 10);
    let (to_silent, to_good) =
        (world.relay(&client, server(2)).unwrap(), world.relay(&client, server(3)).unwrap());
    world.stores[1].hold(true);
    let mut pending = Vec::new();
    for _ in 0..4 {
        pending.push(to_silent.request(send(&silent)));
        let before = world.runtime.now().mono;
        assert_eq!(world.send(&to_good, &good), Ok(()));
        assert_eq!(world.runtime.now().mono, before, "it waited for the other relay");
        world.runtime.advance(10 * SECOND);
    }
    let outcomes: Vec<_> = world.runtime.block_on(async move {
        let mut outcomes = Vec::new();
        for answer in pending {
            outcomes.push(answer.await.err());
        }
        outcomes
    });
    let timeout = Some(broker_error(BrokerErrorType::Timeout));
    assert_eq!(outcomes[..3], [timeout.clone(), timeout.clone(), timeout]);
    assert!(outcomes[3].is_some());
    world.runtime.advance(20 * SECOND);
    assert_eq!(world.servers[0].relays(), 1);
    assert_eq!(world.send(&to_silent, &silent), Err(proxy_error(ProxyError::NoSession)));
    // It comes back.
    world.stores[1].hold(false);
    let again = world.relay(&client, server(2)).unwrap();
    assert_eq!(world.send(&again, &silent), Ok(()));
    assert_eq!(world.send(&to_good, &good), Ok(()));
}

#[test]
fn a_relay_that_goes_away_is_connected_to_again() {
    let mut world = Relays::new(Limits::default(), &[2]);
    let (_, queue) = world.queue(2);
    let (client, _events) = world.connect(PROXY, 10);
    let relay = world.relay(&client, server(2)).unwrap();
    world.stores[1].hold(true);
    let pending = relay.request(send(&queue));
    world.runtime.run();
    drop(world.servers.pop());
    world.runtime.run();
    assert_eq!(world.runtime.block_on(pending).err(), Some(network()));
    assert_eq!(world.servers[0].relays(), 0);
    assert_eq!(world.send(&relay, &queue), Err(proxy_error(ProxyError::NoSession)));
    assert_eq!(world.relay(&client, server(2)).err(), Some(network()));
    let store = world.stores.pop().unwrap();
    store.hold(false);
    world.start(2, store, None);
    assert_eq!(world.relay(&client, server(2)).err(), Some(network()), "that is known for a time");
    world.runtime.advance(Limits::default().relay_failure_ttl);
    let relay = world.relay(&client, server(2)).unwrap();
    assert_eq!(world.send(&relay, &queue), Ok(()));
}

#[test]
fn garbage_ends_the_connection_to_a_relay_alone() {
    let world = Relays::new(Limits::default(), &[3]);
    let (_, queue) = world.queue(3);
    let (client, _events) = world.connect(PROXY, 10);
    let good = world.relay(&client, server(3)).unwrap();
    let tasks = world.runtime.tasks();
    let bad = socket(2);
    let garbage = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&garbage);
    world.runtime.on_connect(move |to| {
        assert_eq!(to, bad);
        let (ours, theirs) = TestStream::pair();
        theirs.limit(StreamLimits { written: CAPACITY, unread: CAPACITY, read: 7 });
        theirs.give(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        kept.lock().unwrap().push(theirs);
        Ok(ours)
    });
    for _ in 0..3 {
        assert_eq!(world.relay(&client, server(2)).err(), Some(network()));
        assert_eq!(world.send(&good, &queue), Ok(()));
        world.runtime.advance(31 * SECOND);
    }
    assert_eq!(garbage.lock().unwrap().len(), 3);
    assert_eq!((world.servers[0].relays(), world.runtime.tasks()), (1, tasks));
}

#[test]
fn a_relay_that_never_answers_the_handshake_is_given_up_in_time() {
    let world = Relays::new(Limits { relay_connecting: 3 * SECOND, ..Limits::default() }, &[]);
    let (client, _events) = world.connect(PROXY, 10);
    let tasks = world.runtime.tasks();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    world.runtime.on_connect(move |_| {
        let (ours, theirs) = TestStream::pair();
        keep.lock().unwrap().push(theirs);
        Ok(ours)
    });
    let before = world.runtime.now().mono;
    assert_eq!(world.relay(&client, server(2)).err(), Some(network()));
    assert_eq!(world.runtime.now().mono.since(before), 3 * SECOND);
    world.runtime.run();
    assert_eq!((world.servers[0].relays(), world.runtime.tasks()), (0, tasks));
    let kept = kept.lock().unwrap();
    assert!(!kept[0].take().is_empty(), "the hello of TLS");
    assert!(kept[0].is_at_end());
}

#[test]
fn the_end_of_the_server_ends_its_relays() {
    let mut world = Relays::new(Limits::default(), &[2]);
    let (client, _events) = world.connect(PROXY, 10);
    let _relay = world.relay(&client, server(2)).unwrap();
    assert_eq!(world.servers[1].connections(), 1);
    drop(world.servers.remove(0));
    world.runtime.advance(10 * SECOND);
    assert_eq!(world.servers[0].connections(), 0);
}

#[test]
fn one_client_has_so_many_commands_with_relays_and_the_others_wait() {
    let world = Relays::new(Limits { client_forwards: 2, ..Limits::default() }, &[2]);
    let (_, queue) = world.queue(2);
    let (client, _events) = world.connect(PROXY, 10);
    let relay = world.relay(&client, server(2)).unwrap();
    world.stores[1].hold(true);
    let pending: Vec<_> = (0..5).map(|_| relay.request(send(&queue))).collect();
    world.runtime.run();
    assert_eq!(world.servers[0].forwards(), 2);
    // Its other commands do not wait.
    let other = client.clone();
    world.runtime.block_on(async move { other.ping().await.unwrap() });
    world.stores[1].hold(false);
    let outcomes = world.runtime.block_on(async move {
        let mut outcomes = Vec::new();
        for answer in pending {
            outcomes.push(answer.await.is_ok());
        }
        outcomes
    });
    assert_eq!((outcomes, world.servers[0].forwards()), (vec![true; 5], 0));
}
