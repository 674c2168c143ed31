//! Hostile peers: what they can make a server hold and do, with ceilings.
//!
//! The machines run in memory on a virtual clock, so that bytes can be counted by the allocator and work by the session;
//! what the shell adds is tried behind real sockets in `sockets`, and in the shell's own tests, where peers can have any
//! address. Nothing here depends on how fast the machine is.
//!
//! | attack | what happens | ceiling |
//! |---|---|---|
//! | thousands of handshakes that stop somewhere | closed at the deadline, others get in | [`handshakes::HANDSHAKE_MAX`] each |
//! | blocks of which a part is sent | closed after `stalled_input` | [`handshakes::PART_MAX`] each |
//! | blocks of commands with bad authorisations | all answered, a few verifications at a time | [`commands::IN_TURN_MAX`] |
//! | PING for ever, answers not read | not read any more, then closed | [`readers::READER_MAX`] |
//! | messages not read | stay in the store for the next subscriber | [`readers::READER_MAX`] |
//! | ends of subscriptions not read | told a few at a time | [`readers::ENDED_MAX`] each |
//! | the same queues subscribed to again and again | each waits once | [`readers::AGAIN_MAX`] |
//! | queues, subscriptions and connections come and go | everything returns to its size | [`churn::LEFT_MAX`] |
//! | tiny, empty, oversized records, updates of keys, old handshakes, early data | read or refused | [`records::RECORDS_MAX`] |
#![allow(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]

mod churn;
mod commands;
mod handshakes;
mod limits;
mod readers;
mod records;
mod sockets;
mod tls;

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smp_core::server::{ConnectionId, Limits, ServerConfig, SessionInput};
use smp_core::transport::{ClientOptions, ServerOptions};
use smp_core::wire::BrokerMessage;
use smp_core::wire::command::SubscriptionMode;
use smp_tests::in_memory::{InMemoryPeer, InMemoryServer, send};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BLOCK: usize = 16384;

/// Bytes that were allocated since the region began and are held.
fn held(region: &Region<'_, System>) -> usize {
    let stats = region.change();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The allocator counts for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server with these limits, and nothing else that ends connections or messages.
fn server(limits: Limits) -> InMemoryServer {
    let mut config = ServerConfig::default();
    config.message_ttl = None;
    config.idle_clients = None;
    config.limits = limits;
    let mut server = InMemoryServer::new(config, ServerOptions::default());
    // What is made once, lazily, belongs to no connection.
    let peer = server.connect(ClientOptions::default());
    leave(&mut server, peer);
    server
}

/// The peer ends its connection.
fn leave(server: &mut InMemoryServer, peer: InMemoryPeer) {
    server.input(peer.id, SessionInput::Eof);
    server.forget(peer.id);
}

/// Gives the server bytes as long as it reads, and says whether it took all.
fn push(server: &mut InMemoryServer, id: ConnectionId, blocks: &[Vec<u8>]) -> bool {
    blocks.iter().all(|bytes| {
        let wants = server.wants_input(id);
        if wants {
            server.input(id, SessionInput::Received(bytes));
        }
        wants
    })
}

/// An honest client gets in, and its message through.
#[track_caller]
fn assert_serves(server: &mut InMemoryServer) {
    let mut peer = server.connect(ClientOptions::default());
    let queue = peer.create(server, SubscriptionMode::Subscribe);
    let answers = peer.ask(server, None, &queue.sender_id, &send(b"hello"));
    assert!(answers.iter().any(|(_, message)| matches!(message, BrokerMessage::Msg { .. })), "{answers:?}");
    assert!(answers.iter().any(|(_, message)| *message == BrokerMessage::Ok), "{answers:?}");
    leave(server, peer);
}
