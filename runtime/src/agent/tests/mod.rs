//! The shell of the agent, against the shell of the server, on a runtime in memory.

mod chaos;
mod contacts;
mod conversation;
mod faults;
mod handshake;
mod restarts;
mod world;

use world::{HOUR, Person, World, meet, tell};
