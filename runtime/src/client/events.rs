//! What a server tells without being asked.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use smp_core::client::ClientEvent;

use super::Disconnect;
use super::shared::Shared;

/// The events of a connection, in order.
///
/// Take them all the time. While [`EventLimits`](super::EventLimits) of them wait, the connection is not
/// read, so that the server waits instead of this process holding more. Nothing is lost by that, but answers
/// wait too. So the task that takes events should not wait for answers while thousands of queues have
/// messages: it can send its commands with [`Client::request`](super::Client::request), which does not wait,
/// or from other tasks. Else commands may time out that the server has answered.
///
/// Dropping this throws away all events.
pub struct Events(pub(super) Arc<Shared>);

impl Events {
    /// The next event; after the last one, how the connection ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection ended, now and ever after.
    pub async fn next(&mut self) -> Result<ClientEvent, Disconnect> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Self::next`], as a poll.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Result<ClientEvent, Disconnect>> {
        self.0.poll_event(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.stop_listening();
    }
}
