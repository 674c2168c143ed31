//! The shell of the agent, against the shell of the server, on a runtime in memory.

mod chaos;
mod contacts;
mod conversation;
mod delete;
mod duplicates;
mod durable;
mod faults;
mod handshake;
mod hostile;
mod hostile_spares;
mod names;
mod prepared;
mod pull;
mod ratchet;
mod receipts;
mod redundancy;
mod restarts;
mod resync;
mod rotation;
mod routing;
mod server_test;
mod services;
mod sessions;
mod several_queues;
mod short_links;
mod spare_queues;
mod state;
mod statistics;
mod users;
mod versions;
mod waiting;
mod world;

use world::{HOUR, Person, World, meet, tell};
