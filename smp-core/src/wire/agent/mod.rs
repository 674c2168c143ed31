//! What agents say to each other: the layer above queues, which makes of two of them a connection.
//!
//! | file | what |
//! |---|---|
//! | `version` | what each version of the agent protocol brought |
//! | `envelope` | the body of a [`ClientMessage`](super::ClientMessage): mostly what the ratchet encrypted |
//! | `message` | what is inside the ratchet's encryption |
//! | `queues` | what messages say of queues when one takes the place of another |
//! | `sizes` | what messages are padded to, so that servers see one size |
//! | `error` | what an agent tells its user when something failed |
//! | `non_empty` | lists of at least one item |
//!
//! All of it is for clients: a server sees encrypted bodies of one size. How agents speak with their users as text is
//! in [`agent_text`](super::agent_text).

mod envelope;
mod error;
mod message;
mod non_empty;
mod queues;
pub mod sizes;
pub mod version;

pub use envelope::{AgentEnvelope, EnvelopeBody};
pub(super) use error::words;
pub use error::{
    AgentCommandError, AgentError, ConnectionError, LinkDataError, MessageIntegrity, PeerError, RatchetError,
};
pub use message::{AMessage, AgentMessage, MessageHash, Receipt};
pub use non_empty::NonEmpty;
pub use queues::{AddedQueue, KeyedQueue, ReadyQueue, SenderQueue};

#[cfg(test)]
mod tests;
