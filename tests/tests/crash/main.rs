//! The real program under load, killed, stopped, and on disks that fail: nothing that was answered OK is lost.
//!
//! | | |
//! |---|---|
//! | `cargo test -p smp-tests --test crash -- --nocapture` | at least 50 kills in one run, and the rest |
//! | `SMP_CRASH_ROUNDS=2000 cargo test …` | as many kills |
//! | `SMP_CRASH_SEED=7 cargo test …` | with the choices drawn from that seed |
// Limits are set on the running program, which only Linux allows.
#![cfg(target_os = "linux")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "rounds and seeds for whoever asks with --nocapture"
)]
#![allow(clippy::unwrap_used)]

mod check;
mod dice;
mod disk;
mod full_disk;
mod kill;
mod ledger;
mod load;
mod program;
mod read_only;
mod stop;
mod world;
