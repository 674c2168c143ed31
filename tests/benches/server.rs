//! `cargo bench -p smp-tests`: blocks and messages through the machines, each beside the sum of its primitives.
fn main() {}
