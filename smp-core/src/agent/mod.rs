//! The agent: connections between people, over any number of servers.

mod id;
pub mod store;

pub use id::{ConfirmationId, ConnectionId, InvitationId, LocalMessageId, UserId};
