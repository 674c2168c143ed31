//! The async shells that drive the machines of `smp-core`, written once over a small [`Runtime`] trait.
//!
//! This crate knows no runtime, no TLS and no protocol. It moves bytes between sockets and machines, hands batches to the
//! store, sets timers and bounds what connections may hold. An adapter such as `smp-runtime-tokio` brings the runtime.

pub mod client;
mod link;
mod panic;
mod runtime;
mod seed;
pub mod server;
#[cfg(test)]
mod testing;
mod timer;

pub use runtime::{ByteStream, Listener, Runtime};
