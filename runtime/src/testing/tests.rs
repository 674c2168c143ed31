use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{ByteStream, Listener};

fn counter() -> (Arc<AtomicUsize>, impl Fn() -> usize) {
    let count = Arc::new(AtomicUsize::new(0));
    let read = Arc::clone(&count);
    (count, move || read.load(Ordering::Relaxed))
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn the_caller_chooses_the_order_of_tasks() {
    for (picks, order) in [([0, 0, 0], [0, 1, 2]), ([2, 0, 0], [2, 0, 1]), ([1, 1, 9], [1, 2, 0])] {
        let runtime = TestRuntime::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for task in 0..3 {
            let seen = Arc::clone(&seen);
            runtime.spawn(async move { lock(&seen).push(task) });
        }
        for (at, pick) in picks.into_iter().enumerate() {
            assert_eq!(runtime.ready(), 3 - at);
            assert!(runtime.step(|_| pick));
        }
        assert!(!runtime.step(|_| 0));
        assert_eq!(*lock(&seen), order);
        assert_eq!(runtime.tasks(), 0);
    }
}

#[test]
fn timers_fire_when_the_clock_says_so_and_are_gone_when_dropped() {
    let runtime = TestRuntime::default();
    let (fired, fired_times) = counter();
    let at = |seconds| Timestamp::ZERO + Duration::from_secs(seconds);
    let sleeper = runtime.clone();
    runtime.spawn(async move {
        sleeper.sleep_until(at(5)).await;
        fired.fetch_add(1, Ordering::Relaxed);
    });
    runtime.run();
    assert_eq!(runtime.next_timer(), Some(at(5)));
    let unix = UnixTime::from_secs(7);
    for (seconds, fires) in [(4, 0), (5, 1), (3, 1)] {
        runtime.set_now(Now { mono: at(seconds), unix });
        runtime.run();
        assert_eq!(fired_times(), fires, "at {seconds}");
    }
    assert_eq!(runtime.now(), Now { mono: at(5), unix });

    let mut sleep = Box::pin(runtime.sleep_until(at(9)));
    assert!(sleep.as_mut().poll(&mut context()).is_pending());
    assert_eq!(runtime.next_timer(), Some(at(9)));
    drop(sleep);
    assert_eq!(runtime.next_timer(), None);
}

#[test]
fn a_crash_drops_tasks_timers_listeners_and_what_they_spawn() {
    struct Spawns(TestRuntime, Arc<AtomicUsize>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let dropped = self.1.fetch_add(1, Ordering::Relaxed) + 1;
            let next = (dropped < 3).then(|| Self(self.0.clone(), Arc::clone(&self.1)));
            self.0.spawn(async move { drop(next) });
        }
    }
    let runtime = TestRuntime::default();
    let address = SocketAddr::from(([127, 0, 0, 1], 5223));
    let (dropped, times_dropped) = counter();
    let (machine, held) = (runtime.clone(), Spawns(runtime.clone(), dropped));
    runtime.spawn(async move {
        let _held = held;
        let mut listener = machine.listen(address).await.unwrap();
        std::future::poll_fn(|cx| listener.poll_accept(cx).map(drop)).await;
        machine.sleep_until(machine.now().mono + Duration::from_secs(1)).await;
    });
    runtime.run();
    let stream = runtime.connect_from([192, 0, 2, 1].into(), address).unwrap();
    runtime.run();
    assert!(runtime.next_timer().is_some());
    runtime.crash();
    assert_eq!((runtime.tasks(), runtime.ready(), runtime.next_timer()), (0, 0, None));
    assert_eq!(times_dropped(), 3);
    assert!(stream.is_at_end());
    assert!(runtime.connect_from([192, 0, 2, 1].into(), address).is_err());
}

#[test]
fn a_watched_stream_has_room_again_when_it_is_told_so() {
    let (world, mut task) = TestStream::pair();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    world.limit(StreamLimits { written: 4, unread: 3, read: 2 });
    world.watch(move |seen| {
        lock(&log).push(match seen {
            Seen::Written(bytes) => bytes.to_vec(),
            Seen::Ended => b"ended".to_vec(),
            Seen::Dropped => b"dropped".to_vec(),
        });
    });
    assert!(matches!(task.poll_write(&mut context(), b"abcdef"), Poll::Ready(Ok(4))));
    assert!(task.poll_write(&mut context(), b"ef").is_pending());
    world.taken(1);
    assert!(matches!(task.poll_write(&mut context(), b"ef"), Poll::Ready(Ok(1))));

    assert_eq!(world.give(b"1234"), 3);
    let mut buffer = [0; 8];
    for expected in [2, 1] {
        assert!(
            matches!(task.poll_read(&mut context(), &mut buffer), Poll::Ready(Ok(count)) if count == expected)
        );
    }
    assert!(task.poll_read(&mut context(), &mut buffer).is_pending());
    world.end();
    assert!(matches!(task.poll_read(&mut context(), &mut buffer), Poll::Ready(Ok(0))));
    assert!(task.poll_shutdown(&mut context()).is_ready());
    drop(task);
    assert_eq!(*lock(&seen), [&b"abcd"[..], b"e", b"ended", b"dropped"]);
}

mod conformance {
    crate::runtime_conformance!(crate::testing::TestRuntime::default());
}
