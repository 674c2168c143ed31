//! A runtime for tests: one thread, a clock that moves only when it is told to, and a network in memory.

mod network;
mod server;
mod store;

pub(crate) use network::{CAPACITY, Fault, TestListener, TestStream};
pub(crate) use server::{LISTENS_ON, address, server_address, transport};
pub(crate) use store::{TestStore, Work};

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use smp_core::{Now, Timestamp, UnixTime};

use crate::Runtime;
use network::Incoming;

/// The runtime. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct TestRuntime(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    now: Timestamp,
    ready: VecDeque<Arc<Task>>,
    tasks: Vec<Weak<Task>>,
    sleepers: Vec<(Timestamp, Waker)>,
    listeners: BTreeMap<SocketAddr, Arc<Incoming>>,
    largest_task: usize,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    runtime: Weak<Mutex<World>>,
    future: Mutex<Option<Running>>,
}

impl TestRuntime {
    /// Runs all tasks until none can go on at this time.
    pub(crate) fn run(&self) {
        while let Some(task) = self.next_task() {
            let waker = Waker::from(Arc::clone(&task));
            let mut cx = Context::from_waker(&waker);
            let future = task.future.lock().unwrap().take();
            if let Some(mut future) = future
                && future.as_mut().poll(&mut cx).is_pending()
            {
                *task.future.lock().unwrap() = Some(future);
            }
        }
    }

    /// Runs the tasks for a time.
    pub(crate) fn advance(&self, time: Duration) {
        let end = self.world().now + time;
        self.run();
        while let Some(next) = self.next_timer().filter(|next| *next <= end) {
            self.set_time(next);
            self.run();
        }
        self.set_time(end);
        self.run();
    }

    /// Runs a future to its end, and the clock as far as that takes.
    pub(crate) fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let output = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&output);
        self.spawn(async move { *slot.lock().unwrap() = Some(future.await) });
        loop {
            self.run();
            if let Some(output) = output.lock().unwrap().take() {
                return output;
            }
            let next = self.next_timer().expect("the future waits for nothing");
            self.set_time(next);
        }
    }

    /// How many tasks have not ended.
    pub(crate) fn tasks(&self) -> usize {
        let tasks: Vec<_> = self.world().tasks.iter().filter_map(Weak::upgrade).collect();
        tasks.iter().filter(|task| task.future.lock().unwrap().is_some()).count()
    }

    /// Bytes of the largest future that was spawned.
    pub(crate) fn largest_task(&self) -> usize {
        self.world().largest_task
    }

    /// Makes the next accept on `address` fail.
    pub(crate) fn fail_accept(&self, address: SocketAddr, error: io::ErrorKind) {
        let incoming = Arc::clone(self.world().listeners.get(&address).expect("nobody listens"));
        incoming.push(Err(error.into()));
    }

    /// Connects from an address of choice.
    pub(crate) fn connect_from(&self, from: IpAddr, to: SocketAddr) -> io::Result<TestStream> {
        let incoming = self.world().listeners.get(&to).filter(|incoming| incoming.is_open()).cloned();
        let incoming = incoming.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = TestStream::pair();
        incoming.push(Ok((theirs, SocketAddr::new(from, 1024))));
        Ok(ours)
    }

    fn next_task(&self) -> Option<Arc<Task>> {
        self.world().ready.pop_front()
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.world().sleepers.iter().map(|(at, _)| *at).min()
    }

    fn set_time(&self, now: Timestamp) {
        let due: Vec<_> = {
            let mut world = self.world();
            world.now = world.now.max(now);
            world.sleepers.extract_if(.., |(at, _)| *at <= now).collect()
        };
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl Runtime for TestRuntime {
    type Stream = TestStream;
    type Listener = TestListener;

    fn now(&self) -> Now {
        let mono = self.world().now;
        let millis = i64::try_from(mono.as_micros() / 1000).unwrap();
        Now { mono, unix: UnixTime::from_millis(1_700_000_000_000 + millis) }
    }

    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        let runtime = self.clone();
        poll_fn(move |cx| {
            let mut world = runtime.world();
            if world.now >= at {
                return Poll::Ready(());
            }
            if !world.sleepers.iter().any(|(other, waker)| *other == at && waker.will_wake(cx.waker())) {
                world.sleepers.push((at, cx.waker().clone()));
            }
            Poll::Pending
        })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let size = size_of_val(&task);
        let task =
            Arc::new(Task { runtime: Arc::downgrade(&self.0), future: Mutex::new(Some(Box::pin(task))) });
        let mut world = self.world();
        world.largest_task = world.largest_task.max(size);
        world.tasks.retain(|task| task.strong_count() > 0);
        world.tasks.push(Arc::downgrade(&task));
        world.ready.push_back(task);
    }

    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<TestStream>> + Send + 'static {
        let address = host.parse().map(|host| SocketAddr::new(host, port));
        let runtime = self.clone();
        std::future::ready(match address {
            Ok(address) => runtime.connect_from(IpAddr::from([127, 0, 0, 1]), address),
            Err(_) => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn listen(&self, address: SocketAddr) -> impl Future<Output = io::Result<TestListener>> + Send {
        let incoming = Arc::new(Incoming::default());
        let mut world = self.world();
        let taken = world.listeners.get(&address).is_some_and(|incoming| incoming.is_open());
        std::future::ready(if taken {
            Err(io::ErrorKind::AddrInUse.into())
        } else {
            world.listeners.insert(address, Arc::clone(&incoming));
            Ok(TestListener::new(incoming, address))
        })
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if let Some(world) = self.runtime.upgrade() {
            let mut world = world.lock().unwrap();
            if !world.ready.iter().any(|task| Arc::ptr_eq(task, &self)) {
                world.ready.push_back(self);
            }
        }
    }
}
