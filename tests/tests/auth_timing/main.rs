//! A stranger cannot tell by the time of an ERR AUTH which queues there are.
//!
//! Each command is asked for several reasons to refuse it: there is no such queue, link or notifier, its key is another or
//! of another kind, it is suspended; of NEW, the password is wrong here or there. Commands of senders are asked through a
//! proxy too. What the session does from the block to its answer, with the look-up in the store in memory between, must
//! not depend on the reason:
//!
//! * the same effects in the same order, in blocks of the same size, and the same allocations beside those of the record
//!   that was found, among them one for each verification;
//! * the same calls of cryptographic primitives;
//! * around these, at most [`APART_MAX`] instructions more or less: what it takes to copy and to drop a record;
//! * in the primitives, at most [`PRIMITIVES_APART_PERCENT_MAX`] % more or less: that much depends on the scalars, which
//!   nobody chooses.
//!
//! Instructions are counted, not time, so the result does not depend on how busy the machine is. Where they cannot be counted
//! it is said, and the first of these is what is checked. `SMP_AUTH_TIMING=all` counts the instructions of all commands and
//! kinds of keys, where otherwise most are only asked which primitives they call.
#![allow(clippy::print_stdout, reason = "the table is for people")]

mod cases;
mod forwarded;
mod groups;
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "no_stepping.rs")]
mod stepping;

use std::alloc::System;

use cases::{Effect, Question, Server};
use groups::{Group, Way, groups};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Instructions, of about 30,000 without a verification.
const APART_MAX: u64 = 4000;
const PRIMITIVES_APART_PERCENT_MAX: u64 = 5;

const PRIMITIVES: [&str; 4] = ["Ed25519", "Ed448", "X25519", "authenticator"];

/// What is counted of a piece of work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Calls of primitives.
    Calls,
    /// Those, and the instructions around them.
    Around,
    /// All instructions.
    Everything,
}

/// What a piece of work costs, as far as it was counted.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// Calls of each of the [`PRIMITIVES`].
    calls: [u32; PRIMITIVES.len()],
    instructions: u64,
}

fn main() {
    if stepping::is_child() {
        return stepping::serve(work);
    }
    let (server, groups) = (Server::new(), groups());
    groups.iter().for_each(|group| compare_effects(&server, group));
    println!("{} commands: the same effects and allocations for each reason", groups.len());
    let depths: Vec<_> = groups.iter().flat_map(|group| vec![group.depth; group.len()]).collect();
    match stepping::costs(&depths) {
        Err(reason) => println!("SKIPPED: instructions and calls of primitives are not counted, {reason}"),
        Ok(costs) => {
            assert_eq!(costs.len(), depths.len(), "everything was counted");
            let mut costs = costs.into_iter();
            for group in &groups {
                let costs: Vec<_> = costs.by_ref().take(group.len()).collect();
                compare_costs(&server, group, &costs);
            }
        }
    }
}

/// In the child: what is to be stepped through.
fn work(measure: &mut dyn FnMut(&mut dyn FnMut())) {
    let server = Server::new();
    for group in groups() {
        for at in 0..group.len() {
            // Once unmeasured, for what is done only once in a process.
            server.ask(&group, at).answer();
            let mut question = server.ask(&group, at);
            measure(&mut || drop(question.answer()));
        }
    }
}

fn compare_effects(server: &Server, group: &Group) {
    let mut first = None;
    for at in 0..group.len() {
        let mut question = server.ask(group, at);
        let found = effects_and_allocations(&mut question);
        let first = first.get_or_insert_with(|| found.clone());
        assert_eq!(found, *first, "{} {:?}, {}", group.command, group.kind, question.reason);
    }
}

/// Effects, then number and bytes of the allocations beside those of the record.
fn effects_and_allocations(question: &mut Question<'_>) -> (Vec<Effect>, usize, usize) {
    let region = Region::new(ALLOCATOR);
    let (effects, answer) = question.answer();
    let all = region.change();
    let region = Region::new(ALLOCATOR);
    let record = question.find();
    let of_record = region.change();
    drop(record);
    question.check(answer);
    let count = (all.allocations + all.reallocations) - (of_record.allocations + of_record.reallocations);
    (effects, count, all.bytes_allocated - of_record.bytes_allocated)
}

fn compare_costs(server: &Server, group: &Group, costs: &[Cost]) {
    let through = if group.way == Way::Proxy { " through a proxy" } else { "" };
    let name = format!("v{} {} by {:?}{through}", group.version.0, group.command, group.kind);
    let instructions = costs.iter().map(|cost| cost.instructions);
    let (min, max) = (instructions.clone().min().unwrap_or(0), instructions.max().unwrap_or(0));
    match group.depth {
        Depth::Calls => println!("{name}: {}", calls(&costs[0])),
        Depth::Around => println!("{name}: {}, around these {min} to {max} instructions", calls(&costs[0])),
        Depth::Everything => println!("{name}: {min} to {max} instructions in all"),
    }
    for (at, cost) in costs.iter().enumerate().filter(|_| group.depth == Depth::Around) {
        println!("    {:20} {:6}", server.ask(group, at).reason, cost.instructions);
    }
    assert!(costs.iter().all(|cost| cost.calls == costs[0].calls), "{name}: not the same primitives");
    let apart_max = match group.depth {
        Depth::Calls | Depth::Around => APART_MAX,
        Depth::Everything => min * PRIMITIVES_APART_PERCENT_MAX / 100,
    };
    assert!(max - min <= apart_max, "{name}: {} instructions apart", max - min);
}

fn calls(cost: &Cost) -> String {
    let called = PRIMITIVES.iter().zip(cost.calls).filter(|(_, count)| *count > 0);
    let called: Vec<_> = called.map(|(name, count)| format!("{count} {name}")).collect();
    if called.is_empty() { "no primitive".to_owned() } else { called.join(", ") }
}
