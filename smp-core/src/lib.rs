//! The SimpleX Messaging Protocol (SMP) as pure state machines.
//!
//! This crate never opens a socket or a file, never reads a clock, never draws ambient randomness, starts no
//! thread and awaits nothing. Time ([`Now`]), randomness (a seed, [`Entropy`]) and bytes are inputs; bytes, store
//! batches and events are outputs. A small shell moves them: see the `smp-runtime` crate for one that is ready.

#![forbid(unsafe_code)]

pub mod crypto;
pub mod entropy;
pub mod time;
pub mod wire;

pub mod client;
#[cfg(feature = "server")]
pub mod server;
pub mod transport;

pub use entropy::{Entropy, SeededEntropy};
pub use time::{Now, Timestamp, UnixTime};
