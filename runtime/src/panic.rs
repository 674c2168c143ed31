//! Panics of tasks. What a runtime does with them differs: some end the thread, some the process.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// A task panicked.
pub(crate) struct Panicked;

/// Runs a future that nothing survives of when it panics.
pub(crate) async fn catch<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| catch_poll(|| future.as_mut().poll(cx))).await
}

/// Polls something that nothing survives of when it panics.
pub(crate) fn catch_poll<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<Result<T, Panicked>> {
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    }
}
