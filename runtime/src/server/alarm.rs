//! The task that tells a machine the time, and how it is woken before it would be.

use std::task::{Context, Waker};

use smp_core::Timestamp;

/// When the task that tells a machine the time will look at it next. It is kept under the machine's lock.
#[derive(Default)]
pub(crate) struct Alarm {
    set: Option<Timestamp>,
    task: Option<Waker>,
}

impl Alarm {
    /// The task of `cx` waits until `due`, or for good.
    pub(crate) fn set(&mut self, cx: &Context<'_>, due: Option<Timestamp>) {
        self.set = due;
        self.task = Some(cx.waker().clone());
    }

    /// The task, if the machine is now due before it would look. The caller wakes it after it has released its locks.
    #[must_use]
    pub(crate) fn wake_if_earlier(&mut self, due: Option<Timestamp>) -> Option<Waker> {
        let earlier = match (due, self.set) {
            (Some(due), Some(set)) => due < set,
            (due, None) => due.is_some(),
            (None, Some(_)) => false,
        };
        if earlier { self.task.take() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_its_task_once_and_only_when_it_would_come_too_late() {
        let at = |micros| Some(Timestamp::from_micros(micros));
        let cx = Context::from_waker(Waker::noop());
        for (set, due, wakes) in [
            (at(5), at(4), true),
            (at(5), at(5), false),
            (at(5), at(6), false),
            (at(5), None, false),
            (None, at(9), true),
            (None, None, false),
        ] {
            let mut alarm = Alarm::default();
            alarm.set(&cx, set);
            assert_eq!(alarm.wake_if_earlier(due).is_some(), wakes, "{set:?} {due:?}");
            if wakes {
                assert!(alarm.wake_if_earlier(due).is_none());
            }
        }
        assert!(Alarm::default().wake_if_earlier(at(1)).is_none(), "there is no task yet");
    }
}
