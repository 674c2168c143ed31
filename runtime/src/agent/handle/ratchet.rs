//! The ratchet of a connection.

use std::future::Future;

use bytes::Bytes;
use smp_core::agent::{Call, ConnectionId, LocalMessageId, Reply};
use smp_core::crypto::ratchet::PqEncryption;
use smp_core::wire::agent::AgentError;
use smp_core::wire::command::MessageFlags;

use super::{Agent, done, other_reply};

impl Agent {
    /// As [`Self::send`], and post-quantum encryption is switched on or off from here on. Both sides have to want it; it
    /// begins after both have sent, as [`MessageEvent::pq`](smp_core::agent::MessageEvent::pq) tells.
    ///
    /// # Errors
    /// As [`Self::send`]. Messages are shorter once it was on.
    pub fn send_with_pq(
        &self,
        connection: ConnectionId,
        body: Bytes,
        flags: MessageFlags,
        pq: PqEncryption,
    ) -> impl Future<Output = Result<LocalMessageId, AgentError>> + Send + use<> {
        let called = self.call(Call::SendWithPq { connection, body, flags, pq });
        async move {
            match called.await? {
                Reply::Accepted(id) => Ok(id),
                _ => Err(other_reply()),
            }
        }
    }

    /// The SHA-256 of what both ratchets of a connection began with, to be compared by the two people on some other way: it is the
    /// same on both sides, unless somebody is between them. None before there is a ratchet. `getConnectionRatchetAdHash`.
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection.
    pub fn ratchet_hash(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<Option<[u8; 32]>, AgentError>> + Send + use<> {
        let described = self.describe(connection);
        async move { Ok(described.await?.ratchet_hash) }
    }

    /// Agrees on a new ratchet with the other side: when messages cannot be read any more, because one of the two was set back to
    /// an earlier state. [`Event::RatchetSync`](smp_core::agent::Event::RatchetSync) tells that it may help, and how it goes.
    ///
    /// # Errors
    /// `CMD PROHIBITED` when nothing was wrong, unless `force`; when both are not connected; when the other side's agent is too
    /// old for it.
    pub fn synchronize_ratchet(
        &self,
        connection: ConnectionId,
        force: bool,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::Synchronize { connection, force }))
    }
}
