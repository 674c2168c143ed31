//! The server: a session for each connection, one broker of queues and subscriptions, and the vocabulary of operations
//! that a store carries out for it.

pub mod store;
