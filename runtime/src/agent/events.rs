//! What happened.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use smp_core::agent::Event;

use super::shared::Shared;

/// The events of an agent, in order.
///
/// Who takes them slowly holds up nothing but himself: a server keeps the next message of a queue until the one before is
/// acknowledged, and of what others can cause a number of events waits for the app
/// ([`AgentBuilder::events`](super::AgentBuilder::events)); [`Event::Missed`] tells how many more there were.
///
/// A message that was told and not acknowledged is told again, with the same number, when the agent was started again; after
/// [`Agent::acknowledge`](super::Agent::acknowledge) is done it is not.
///
/// Dropping this throws away all events. The agent works on while there is a handle, but messages that nobody acknowledges
/// keep those behind them at the servers.
pub struct Events(pub(super) Arc<Shared>);

impl Events {
    /// The next event; none when the agent has stopped. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next event if it is there already, without waiting: for a loop that comes by again anyway, such as that of a graphical
    /// interface, which draws and takes what has come since the last time. `Pending` when there is none now, and
    /// `Ready(None)` when the agent has stopped.
    ///
    /// Nobody is woken when there is one. The calls of [`Agent`](super::Agent) fit such a loop too: each begins when it is made, and its
    /// future may be polled with [`Waker::noop`], or dropped, which cancels nothing.
    pub fn try_next(&mut self) -> Poll<Option<Event>> {
        self.poll_next(&Context::from_waker(Waker::noop()))
    }

    /// [`Self::next`], as a poll.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_event(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.0.stop_listening();
    }
}
