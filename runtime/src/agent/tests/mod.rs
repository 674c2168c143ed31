//! The shell of the agent, against the shell of the server, on a runtime in memory.

mod chaos;
mod contacts;
mod conversation;
mod delete;
mod faults;
mod handshake;
mod receipts;
mod restarts;
mod short_links;
mod waiting;
mod world;

use world::{HOUR, Person, World, meet, tell};
