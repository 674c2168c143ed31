//! Helpers shared by the cross-crate tests.

pub mod peer;
pub mod vectors;
