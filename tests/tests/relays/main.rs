//! Bad relays beside a good one, over real sockets: what the proxy answers for them and what it holds.
//!
//! Clients send to all relays at once, many times. Time is the test's own, so nothing depends on how fast the machine is,
//! and an answer that comes while it stands has waited for no time-out of another relay.
//!
//! | relay | answer to its client | when |
//! |---|---|---|
//! | answers one command in three | that of the relay; `PROXY BROKER TIMEOUT` | at once; after `relay_answer` |
//! | never answers | `PROXY BROKER TIMEOUT`; `PROXY NO_SESSION` when it is given up | after `relay_answer` |
//! | closes at the first command | `PROXY BROKER NETWORK`; `PROXY NO_SESSION` to who came later | at once |
//! | closes in the handshake | `PROXY BROKER NETWORK` to PRXY | at once |
//! | stalls in the handshake | `PROXY BROKER NETWORK` to PRXY | after `relay_connecting`, then remembered |
//! | good | that of the relay, and the message arrives | at once |
#![allow(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]

mod bad;
mod clock;
mod round;

use std::alloc::System;
use std::net::Ipv4Addr;
use std::time::Duration;

use bad::{BadRelay, Conduct};
use clock::Steered;
use round::{Client, Expected};
use smp_core::server::statistics::{Counter, ProxyCounter};
use smp_core::server::{Limits, ServerConfig};
use smp_core::transport::identity::Algorithm;
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_runtime::client::Connector;
use smp_runtime::server::{Server, ServerHandle};
use smp_runtime_tokio::TokioRuntime;
use smp_storage::Memory;
use smp_tests::peer::{Address, Form, Peer, Queue, wait_until};
use smp_tests::server::{Settings, Store, TestServer, identity};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rounds until all that is made once is made. An even number: a silent relay is given up in every second round.
const WARM_UP: usize = 16;
/// Rounds in all.
const ROUNDS: usize = 3 * WARM_UP;
/// Clients, of all the forms in which blocks differ.
const FORMS: [Form; 4] = [Form::new(18), Form::new(8), Form::new(18).without_key(), Form::new(20)];
/// Bytes by which what is held may differ: buffers of a block or two, which a connection may just have or not.
const APART_MAX: isize = 48 * 1024;
/// How long the proxy waits for a relay, by the clock of the test.
const PATIENCE: Duration = Duration::from_secs(1);

/// A proxy whose time is the test's, and all its relays.
struct World {
    clock: Steered,
    proxy: ServerHandle<Steered, Memory>,
    address: Address,
    good: TestServer,
    bad: [BadRelay; 5],
    /// The last to be dropped.
    _tokio: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let tokio = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let clock = Steered::new(TokioRuntime::new(tokio.handle().clone()));
        let identity = identity(Algorithm::Ed25519);
        let fingerprint = *identity.fingerprint();
        let mut config = ServerConfig::default();
        config.limits = Limits {
            relay_answer: PATIENCE,
            relay_connecting: PATIENCE,
            relay_failure_ttl: PATIENCE,
            ..Limits::default()
        };
        let transport = ServerTransportConfig::new(identity, ServerOptions::default()).expect("TLS");
        let any = [(Ipv4Addr::LOCALHOST, 0).into()];
        let proxy = Server::new(clock.clone(), Memory::new(), transport, config)
            // To private addresses too.
            .outgoing(Connector::new(clock.clone()))
            .serve(&any);
        let proxy = tokio.block_on(proxy).expect("a free port");
        // What the relay remembers of the commands that it has carried out grows to its bound before it is measured.
        let limits = Limits { forwarded_keys: 16, ..Limits::default() };
        Self {
            address: Address { socket: proxy.addresses()[0], fingerprint },
            clock,
            proxy,
            good: TestServer::start(Store::Memory, &Settings { limits, ..Settings::default() }),
            bad: Conduct::ALL.map(BadRelay::start),
            _tokio: tokio,
        }
    }

    /// Bad relays answer nothing, not at all or not in time; the others are not concerned.
    fn round(&self, number: usize, clients: &mut [Client]) {
        clients.iter_mut().for_each(|client| client.find_relays(self));
        clients.iter_mut().for_each(|client| client.send(number));
        clients.iter_mut().for_each(Client::receive_at_once);
        self.clock.advance(PATIENCE);
        clients.iter_mut().for_each(Client::receive_the_rest);
    }
}

fn held(region: &Region<'_, System>) -> isize {
    let stats = region.change();
    isize::try_from(stats.bytes_allocated).unwrap_or(isize::MAX)
        - isize::try_from(stats.bytes_deallocated).unwrap_or(isize::MAX)
}

#[test]
fn bad_relays_cost_nothing_that_lasts_and_hold_up_nobody() {
    let world = World::new();
    let mut alice = Peer::connect(world.good.address(), Form::new(18));
    let mut clients: Vec<_> = FORMS.map(|form| Client::new(&world, form, Queue::new(&mut alice))).into();
    let region = Region::new(ALLOCATOR);
    // The least of some rounds, because a task may end a little later than what it was for.
    let mut before = isize::MAX;
    for number in 0..ROUNDS {
        world.round(number, &mut clients);
        clients.iter().for_each(|client| client.check_messages(&mut alice, number));
        if (WARM_UP / 2..WARM_UP).contains(&number) && number % 2 == 1 {
            before = before.min(held(&region));
        }
    }
    // What was sent to a relay a moment after its round began is over too.
    world.clock.advance(PATIENCE);
    let left = || (world.proxy.forwards(), world.proxy.relays());
    wait_until("nothing is left but the two that answer", || left().0 == 0 && left().1 <= 2);
    println!("held after {WARM_UP} rounds: {before} bytes, after {ROUNDS}: {}", held(&region));
    wait_until("what was held is given back", || held(&region) <= before + APART_MAX);
    alice.assert_silent();
    check_answers(&world, &clients);
    println!("seen by the bad relays: {:?}", world.bad.each_ref().map(BadRelay::seen));
}

/// Each error was seen, and the operator's numbers are those of the clients.
fn check_answers(world: &World, clients: &[Client]) {
    let sum =
        |kind: Expected, text: &str| -> u64 { clients.iter().map(|client| client.count(kind, text)).sum() };
    let rounds = (ROUNDS * FORMS.len()) as u64;
    assert_eq!(sum(Expected::Good, "OK"), 2 * rounds);
    assert_eq!(sum(Expected::Answered, "OK"), rounds);
    assert_eq!(sum(Expected::Unanswered, "ERR PROXY BROKER TIMEOUT"), 2 * rounds);
    let (timeouts, given_up) =
        (sum(Expected::Silent, "ERR PROXY BROKER TIMEOUT"), sum(Expected::Silent, "ERR PROXY NO_SESSION"));
    assert!(
        timeouts >= rounds / 2 && given_up > 0 && timeouts + given_up == rounds,
        "{timeouts}, {given_up}"
    );
    let (cut, late) =
        (sum(Expected::Cut, "ERR PROXY BROKER NETWORK"), sum(Expected::Cut, "ERR PROXY NO_SESSION"));
    assert!(cut >= ROUNDS as u64 && cut + late == rounds, "{cut}, {late}");
    for kind in [Expected::HangsUp, Expected::Stalls] {
        assert_eq!(sum(kind, "ERR PROXY BROKER NETWORK"), rounds);
    }
    let counts = world.proxy.statistics().counts;
    let of = |family: fn(ProxyCounter) -> Counter| {
        let counters = [ProxyCounter::Successes, ProxyCounter::Unreachable, ProxyCounter::Failed];
        counters.map(|counter| counts.of(family(counter)))
    };
    assert_eq!(of(Counter::Forwards), [3 * rounds, 4 * rounds, 0]);
    assert_eq!(of(Counter::Relays), [4 * rounds, 2 * rounds, 0]);
}
