//! Helpers shared by the cross-crate tests.

pub mod in_memory;
pub mod passage;
pub mod peer;
pub mod runtimes;
pub mod server;
pub mod simulation;
pub mod vectors;
