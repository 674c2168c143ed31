//! What the tests of both shells share: a store that does what it is told, a server and how it is reached.

mod server;
mod store;

pub(crate) use server::{LISTENS_ON, address, server_address, transport, transport_of};
pub(crate) use store::{TestStore, Work};
