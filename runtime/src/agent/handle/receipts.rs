//! Receipts.

use std::future::Future;

use bytes::Bytes;
use smp_core::agent::{Call, ConnectionId, LocalMessageId};
use smp_core::wire::agent::AgentError;

use super::{Agent, done};

impl Agent {
    /// As [`Self::acknowledge`], and the other side is told that the app has the message, if its agent understands that:
    /// [`Event::Received`](smp_core::agent::Event::Received). `info` is for its app.
    ///
    /// # Errors
    /// As [`Self::acknowledge`]; `CMD LARGE` when `info` is too long.
    pub fn acknowledge_with_receipt(
        &self,
        connection: ConnectionId,
        message: LocalMessageId,
        info: Bytes,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::AcknowledgeWithReceipt { connection, message, info }))
    }
}
