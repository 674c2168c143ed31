//! Agents with databases of their own talk over servers, through real sockets, on several threads.

mod contacts;
mod delivery;
mod durable;
mod ending;
mod establish;
mod isolation;
mod many;
mod matrix;
mod names;
mod prepared;
mod pull;
mod redundancy;
mod resync;
mod rotation;
mod routing;
mod services;
mod short_links;
mod statistics;
mod test_server;
mod world;
