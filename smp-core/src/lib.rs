//! The SimpleX Messaging Protocol (SMP) as pure state machines.
//!
//! This crate never opens a socket or a file, never reads a clock, never draws ambient randomness, starts no
//! thread and awaits nothing. Time ([`Now`]), randomness (a seed, [`Entropy`]) and bytes are inputs; bytes, store
//! batches and events are outputs. A small shell moves them: see the `smp-runtime` crate for one that is ready.

#![forbid(unsafe_code)]
// Whatever bytes say, they reach no panic. `expect` is for what cannot fail, and says why.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable
    )
)]

pub mod crypto;
pub mod entropy;
pub mod time;
pub mod wire;

#[cfg(feature = "agent")]
pub mod agent;
pub mod client;
#[cfg(feature = "server")]
pub mod server;
pub mod transport;

pub use entropy::{Entropy, SeededEntropy};
pub use time::{Now, Timestamp, UnixTime};
