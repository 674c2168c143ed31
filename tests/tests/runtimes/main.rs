//! A server on one runtime, agents on two others: all combinations, over real sockets with TLS, with databases on disk.
//!
//! `cargo test -p smp-tests --test runtimes` prints the matrix. In each of its places two people connect, talk both ways, go on
//! when either of them and the server were stopped and started again, agree on a new ratchet, move a queue to another server, and
//! part. `SMP_TEST_RUNTIME=smol cargo test -p smp-tests --test agent` runs all other scenarios on one runtime; so do `--test
//! server` and `--test relays`.
#![allow(clippy::print_stdout, reason = "the matrix is what it is for")]

#[path = "../agent/world.rs"]
#[allow(dead_code, reason = "other scenarios need more of it")]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use smp_core::agent::store::SyncState;
use smp_core::agent::{ConnectionId, Event, SwitchPhase, SwitchSide};
use smp_tests::runtimes::{Kind, choose};
use smp_tests::server::TestServer;

use world::{Person, connect, server, talk};

/// Messages each way at a time.
const MANY: u32 = 20;

fn main() -> ExitCode {
    println!("                      agents on");
    print!("server on ");
    let pairs = || Kind::ALL.into_iter().flat_map(|one| Kind::ALL.into_iter().map(move |other| (one, other)));
    pairs().for_each(|(one, other)| print!("  {:^19}", format!("{one}, {other}")));
    println!();
    let mut failed = 0;
    for on in Kind::ALL {
        print!("{on:10}");
        for (one, other) in pairs() {
            let passed = catch_unwind(AssertUnwindSafe(|| conversation(on, one, other)));
            failed += usize::from(passed.is_err());
            print!(
                "  {:^19}",
                passed.map_or_else(|_| "FAILED".to_owned(), |count| format!("{count} messages"))
            );
        }
        println!();
    }
    println!("{failed} of {} combinations failed", Kind::ALL.len().pow(3));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many messages came, all in order and once.
fn conversation(on: Kind, one: Kind, other: Kind) -> u32 {
    choose(on);
    let (mut first, second) = (server(), server());
    choose(one);
    let mut alice = Person::new(&[&first]);
    choose(other);
    let mut bob = Person::new(&[&second]);
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    let mut count = both_talk(&mut alice, at_alice, &mut bob, at_bob);

    alice.restart();
    bob.sleep();
    alice.send(at_alice, "while he sleeps");
    bob.wake();
    bob.hears("while he sleeps");
    choose(on);
    restart(&mut first, &alice);
    count += 1 + both_talk(&mut alice, at_alice, &mut bob, at_bob);

    renew(&mut alice, at_alice, &mut bob);
    count += both_talk(&mut alice, at_alice, &mut bob, at_bob);

    alice.servers = bob.servers.clone();
    alice.restart();
    alice.wait(alice.agent().switch(at_alice)).expect("another server");
    let completed = |event: &Event, end| matches!(event, Event::Switch { side, phase: SwitchPhase::Completed, .. } if *side == end);
    while !completed(&alice.next_unsent(), SwitchSide::Receive) {}
    while !completed(&bob.next_unsent(), SwitchSide::Send) {}
    first.stop();
    count += both_talk(&mut alice, at_alice, &mut bob, at_bob);

    alice.wait(alice.agent().delete(at_alice, false)).expect("it is there");
    while !matches!(alice.next_unsent(), Event::Deleted(..)) {}
    for mut person in [alice, bob] {
        person.sleep();
    }
    second.stop();
    count
}

fn both_talk(alice: &mut Person, at_alice: ConnectionId, bob: &mut Person, at_bob: ConnectionId) -> u32 {
    for number in 0..MANY {
        alice.send(at_alice, number.to_string());
        bob.send(at_bob, number.to_string());
    }
    for number in 0..MANY {
        bob.hears(&number.to_string());
        alice.hears(&number.to_string());
    }
    talk(alice, at_alice, bob, at_bob);
    2 * MANY + 2
}

fn restart(server: &mut TestServer, alice: &Person) {
    server.pause();
    server.resume();
    alice.try_again();
}

/// Alice wants a new ratchet.
fn renew(alice: &mut Person, at_alice: ConnectionId, bob: &mut Person) {
    alice.wait(alice.agent().synchronize_ratchet(at_alice, true)).expect("connected");
    for person in [alice, bob] {
        loop {
            if let Event::RatchetSync { state: SyncState::Ok, .. } = person.next_unsent() {
                break;
            }
        }
    }
}
