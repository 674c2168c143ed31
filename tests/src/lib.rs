//! Helpers shared by the cross-crate tests.

pub mod in_memory;
pub mod simulation;
pub mod vectors;
