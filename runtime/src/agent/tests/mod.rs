//! The shell of the agent, against the shell of the server, on a runtime in memory.

mod conversation;
mod world;

use world::{Person, World};
