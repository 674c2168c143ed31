//! client
#![allow(dead_code, unreachable_pub)]
mod flight;
mod keep_alive;
mod limits;
mod outbox;
mod written;
pub use limits::ClientLimits;

/// Names a command of the caller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub u64);
