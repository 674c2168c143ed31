//! What the server holds, by a counting allocator. It counts for the whole process, so one test runs at a time.
//!
//! The numbers do not depend on the machine: the same bytes are handled on every run.
#![allow(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]

use std::alloc::System;
use std::sync::Mutex;

use smp_core::server::ServerConfig;
use smp_core::transport::{ClientOptions, ServerOptions};
use smp_core::wire::{BrokerMessage, Command, command::SubscriptionMode};
use smp_tests::in_memory::InMemoryServer;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of an idle connection after its handshake, TLS included.
const IDLE_CONNECTION_MAX: usize = 16 * 1024;
/// Bytes of a subscription beyond what the store holds of its queue.
const SUBSCRIPTION_MAX: usize = 256;

fn held(region: &Region<'_, System>) -> isize {
    let stats = region.change();
    isize::try_from(stats.bytes_allocated).unwrap_or(isize::MAX)
        - isize::try_from(stats.bytes_deallocated).unwrap_or(isize::MAX)
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn server() -> InMemoryServer {
    let mut server = InMemoryServer::new(ServerConfig::default(), ServerOptions::default());
    // What is made once, lazily, belongs to no connection.
    drop(server.connect(ClientOptions::default()));
    server
}

#[test]
fn an_idle_connection_is_small() {
    let _turn = ONE_AT_A_TIME.lock();
    let bytes = per_connection(&mut server());
    println!("an idle connection holds {bytes} bytes");
    assert!((1000..=IDLE_CONNECTION_MAX).contains(&bytes), "{bytes}");
}

#[test]
fn a_subscription_is_small() {
    let _turn = ONE_AT_A_TIME.lock();
    let bytes = per_subscription(&mut server());
    println!("a subscription holds {bytes} bytes beyond the record in the store");
    assert!((30..=SUBSCRIPTION_MAX).contains(&bytes), "{bytes}");
}

fn per_connection(server: &mut InMemoryServer) -> usize {
    const CONNECTIONS: usize = 20;
    let region = Region::new(ALLOCATOR);
    for _ in 0..CONNECTIONS {
        // The peer is dropped: only the server's side is left.
        drop(server.connect(ClientOptions::default()));
    }
    usize::try_from(held(&region)).expect("connections take memory") / CONNECTIONS
}

fn per_subscription(server: &mut InMemoryServer) -> usize {
    const QUEUES: usize = 5000;
    let mut peer = server.connect(ClientOptions::default());
    let queues: Vec<_> = (0..QUEUES).map(|_| peer.create(server, SubscriptionMode::OnlyCreate)).collect();
    let subscribe = |server: &mut InMemoryServer, peer: &mut smp_tests::in_memory::InMemoryPeer, n: usize| {
        let queue = &queues[n];
        let answers = peer.ask(server, Some(&queue.recipient_key), &queue.recipient_id, &Command::Sub);
        assert!(matches!(answers[..], [(_, BrokerMessage::Sok(None))]));
    };
    // The first leaves the buffers at the size that the others need.
    subscribe(server, &mut peer, 0);
    let region = Region::new(ALLOCATOR);
    (1..QUEUES).for_each(|n| subscribe(server, &mut peer, n));
    usize::try_from(held(&region)).expect("subscriptions take memory") / (QUEUES - 1)
}
