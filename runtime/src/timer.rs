//! One deadline of a task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use smp_core::Timestamp;

use crate::Runtime;

/// Waits for a deadline that moves often.
///
/// Machines move their deadlines with almost every input, mostly to a later time, and setting a timer of the runtime each
/// time would cost more than the input. So a timer that is set stays set when the deadline moves back: when it fires too
/// early it is set again.
pub(crate) struct Timer<R> {
    runtime: R,
    set: Option<(Timestamp, Sleep)>,
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<R: Runtime> Timer<R> {
    pub(crate) fn new(runtime: R) -> Self {
        Self { runtime, set: None }
    }

    /// Ready when `deadline` has come; never without a deadline.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Timestamp>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        while self.runtime.now().mono < deadline {
            match &mut self.set {
                Some((at, sleep)) if *at <= deadline => {
                    std::task::ready!(sleep.as_mut().poll(cx));
                    self.set = None;
                }
                _ => self.set = Some((deadline, Box::pin(self.runtime.sleep_until(deadline)))),
            }
        }
        Poll::Ready(())
    }
}
