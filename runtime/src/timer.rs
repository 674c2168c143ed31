//! One deadline of a task.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use smp_core::Timestamp;

use crate::Runtime;

/// Waits for a deadline that moves often.
///
/// Machines move their deadlines with almost every input, mostly to a later time, and setting a timer of the
/// runtime each time would cost more than the input. So a timer that is set stays set when the deadline moves
/// back: when it fires too early it is set again.
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

/// The output of a future, if it has one in time.
pub(crate) async fn within<R: Runtime, F: Future>(
    runtime: &R,
    time: Duration,
    future: F,
) -> Option<F::Output> {
    let deadline = runtime.now().mono + time;
    let mut timer = Timer::new(runtime.clone());
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.poll(cx, Some(deadline)).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::testing::TestRuntime;

    /// Fires at a deadline that another task moves.
    #[test]
    fn fires_at_the_deadline_that_holds_when_it_comes() {
        for (deadlines, fires_at) in [(vec![5], 5), (vec![5, 9], 9), (vec![9, 5], 5), (vec![7, 9, 3, 8], 8)] {
            let runtime = TestRuntime::default();
            let deadline = Arc::new(AtomicU64::new(0));
            let (now, moved) = (runtime.clone(), Arc::clone(&deadline));
            let mut timer = Timer::new(runtime.clone());
            let (fired, fired_at) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let (count, at) = (Arc::clone(&fired), Arc::clone(&fired_at));
            let mut polled = poll_fn(move |cx| {
                let deadline = Timestamp::from_micros(moved.load(Ordering::Relaxed));
                std::task::ready!(timer.poll(cx, Some(deadline)));
                count.fetch_add(1, Ordering::Relaxed);
                at.store(now.now().mono.as_micros(), Ordering::Relaxed);
                Poll::Ready(())
            });
            // A task that is polled each time the deadline moves, as a task is whose machine took an input.
            let mut steps = deadlines.into_iter();
            runtime.spawn(poll_fn(move |cx| {
                if let Some(step) = steps.next() {
                    deadline.store(step * 1_000_000, Ordering::Relaxed);
                    cx.waker().wake_by_ref();
                }
                Pin::new(&mut polled).poll(cx)
            }));
            runtime.advance(Duration::from_secs(20));
            assert_eq!(fired.load(Ordering::Relaxed), 1);
            assert_eq!(fired_at.load(Ordering::Relaxed), fires_at * 1_000_000);
        }
    }
}
