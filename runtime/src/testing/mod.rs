//! A simulated runtime: one thread, clocks that move only when they are told to, and a network in memory.
//!
//! A [`TestRuntime`] is a machine of its own, with its tasks, timers and listeners. Nothing happens in it by itself:
//!
//! | who | does |
//! |---|---|
//! | [`TestRuntime::step`] | polls one ready task, of the caller's choice: any order that threads could make |
//! | [`TestRuntime::set_now`] | moves both clocks, and wakes who waits for that |
//! | [`TestRuntime::connect_from`] | a connection; the caller holds its far side and plays the network |
//! | [`TestRuntime::on_connect`] | the same for the connections that its tasks make |
//! | [`TestRuntime::crash`] | drops all tasks, as a loss of power does |
//!
//! For tests that need no say in any of this, [`TestRuntime::run`], [`TestRuntime::advance`] and
//! [`TestRuntime::block_on`] do it.
//!
//! The same calls give the same run: tasks are numbered in the order in which they were spawned, and those that are
//! ready are offered in that order, however they were woken.

pub mod conformance;
mod network;
#[cfg(test)]
mod tests;

pub use network::{CAPACITY, Fault, Seen, StreamLimits, TestListener, TestStream};

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use smp_core::{Now, Timestamp, UnixTime};

use crate::Runtime;
use network::Incoming;

/// A simulated machine. Clones are handles of the same one.
///
/// Its tasks live until they end or it crashes, also when all handles are gone.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::time::Duration;
///
/// use smp_runtime::Runtime;
/// use smp_runtime::testing::TestRuntime;
///
/// let (runtime, rang) = (TestRuntime::default(), Arc::new(AtomicBool::new(false)));
/// let (alarm, bell) = (runtime.sleep_until(runtime.now().mono + Duration::from_secs(60)), rang.clone());
/// runtime.spawn(async move {
///     alarm.await;
///     bell.store(true, Ordering::Relaxed);
/// });
/// runtime.advance(Duration::from_secs(59));
/// assert!(!rang.load(Ordering::Relaxed));
/// runtime.advance(Duration::from_secs(1));
/// assert!(rang.load(Ordering::Relaxed));
/// ```
#[derive(Clone, Default)]
pub struct TestRuntime(Arc<Mutex<Machine>>);

struct Machine {
    now: Now,
    tasks: BTreeMap<u64, Arc<Task>>,
    ready: BTreeSet<u64>,
    last_task: u64,
    /// The task that [`TestRuntime::run`] polled last.
    last_run: u64,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    last_sleeper: u64,
    listeners: BTreeMap<SocketAddr, Arc<Incoming>>,
    /// The last one that a listener got because it wanted any.
    last_port: u16,
    dial: Option<Dial>,
    names: BTreeMap<String, IpAddr>,
    largest_task: usize,
}

type Dial = Arc<Mutex<dyn FnMut(SocketAddr) -> io::Result<TestStream> + Send>>;
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    id: u64,
    machine: Weak<Mutex<Machine>>,
    /// `None` while it is polled, and when it has ended.
    future: Mutex<Option<Running>>,
}

impl TestRuntime {
    /// Polls one task: `pick` is told how many are ready and names one of them, counted from 0. False when none is.
    pub fn step(&self, pick: impl FnOnce(usize) -> usize) -> bool {
        let task = {
            let mut machine = self.machine();
            let ready = machine.ready.len();
            if ready == 0 {
                return false;
            }
            let picked = machine.ready.iter().nth(pick(ready).min(ready - 1)).copied();
            picked.and_then(|id| machine.take_ready(id))
        };
        task.into_iter().for_each(|task| self.poll(&task));
        true
    }

    /// How many tasks are ready to be polled.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.machine().ready.len()
    }

    /// Runs all tasks in turn until none can go on at this time.
    pub fn run(&self) {
        loop {
            let task = {
                let mut machine = self.machine();
                let next = machine.ready.range(machine.last_run + 1..).next();
                let Some(id) = next.or_else(|| machine.ready.first()).copied() else { return };
                machine.last_run = id;
                machine.take_ready(id)
            };
            task.into_iter().for_each(|task| self.poll(&task));
        }
    }

    /// Runs the tasks for a time.
    pub fn advance(&self, time: Duration) {
        let end = self.machine().now.mono + time;
        self.run();
        while let Some(next) = self.next_timer().filter(|next| *next <= end) {
            self.pass_to(next);
            self.run();
        }
        self.pass_to(end);
        self.run();
    }

    /// Runs a future to its end, and the clock as far as that takes.
    ///
    /// # Panics
    /// When the future waits for something that nothing here will do.
    pub fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let output = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&output);
        self.spawn(async move {
            let value = future.await;
            *lock(&slot) = Some(value);
        });
        loop {
            self.run();
            if let Some(output) = lock(&output).take() {
                return output;
            }
            let next = self.next_timer().expect("the future waits for nothing that will come");
            self.pass_to(next);
        }
    }

    /// When the first timer fires.
    #[must_use]
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.machine().sleepers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Sets both clocks, and wakes the tasks whose timers fire. The monotonic one does not go back.
    pub fn set_now(&self, now: Now) {
        let due = {
            let mut machine = self.machine();
            let mono = machine.now.mono.max(now.mono);
            machine.now = Now { mono, unix: now.unix };
            let later = machine.sleepers.split_off(&(mono, u64::MAX));
            std::mem::replace(&mut machine.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.machine().tasks.len()
    }

    /// Drops all tasks where they are, timers and listeners. What tasks spawn when they are dropped never runs. The
    /// machine can be used again.
    pub fn crash(&self) {
        loop {
            let (tasks, listeners) = {
                let mut machine = self.machine();
                machine.ready.clear();
                (std::mem::take(&mut machine.tasks), std::mem::take(&mut machine.listeners))
            };
            if tasks.is_empty() {
                return;
            }
            drop(listeners);
            for task in tasks.into_values() {
                let future = lock(&task.future).take();
                drop(future);
            }
        }
    }

    /// Bytes of the largest future that was spawned.
    #[must_use]
    pub fn largest_task(&self) -> usize {
        self.machine().largest_task
    }

    /// Makes the next accept on `address` fail.
    ///
    /// # Panics
    /// When nobody listens there.
    pub fn fail_accept(&self, address: SocketAddr, error: io::ErrorKind) {
        let incoming = Arc::clone(self.machine().listeners.get(&address).expect("somebody listens"));
        incoming.push(Err(error.into()));
    }

    /// Connects from an address of choice to a listener of this machine; gives the far side of the connection.
    ///
    /// # Errors
    /// `ConnectionRefused` when nobody listens there.
    pub fn connect_from(&self, from: IpAddr, to: SocketAddr) -> io::Result<TestStream> {
        let incoming = self.machine().listeners.get(&to).filter(|incoming| incoming.is_open()).cloned();
        let incoming = incoming.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = TestStream::pair();
        incoming.push(Ok((theirs, SocketAddr::new(from, 1024))));
        Ok(ours)
    }

    /// Lets the name service know a name, or know it otherwise than before.
    pub fn set_name(&self, name: &str, address: IpAddr) {
        self.machine().names.insert(name.to_owned(), address);
    }

    /// What connects this machine to others. Without it, it reaches nobody but itself.
    ///
    /// `dial` gives the near side of a connection, and must not use this machine.
    pub fn on_connect(&self, dial: impl FnMut(SocketAddr) -> io::Result<TestStream> + Send + 'static) {
        self.machine().dial = Some(Arc::new(Mutex::new(dial)));
    }

    fn dial(&self, to: SocketAddr) -> io::Result<TestStream> {
        let dial = self.machine().dial.clone();
        match dial {
            Some(dial) => (*lock(&dial))(to),
            None => self.connect_from(IpAddr::from([127, 0, 0, 1]), to),
        }
    }

    fn poll(&self, task: &Arc<Task>) {
        let waker = Waker::from(Arc::clone(task));
        let future = lock(&task.future).take();
        let Some(mut future) = future else { return };
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            *lock(&task.future) = Some(future);
        } else {
            drop(future);
            self.machine().tasks.remove(&task.id);
        }
    }

    /// Lets time pass on both clocks alike.
    fn pass_to(&self, mono: Timestamp) {
        let now = self.machine().now;
        self.set_now(now.advanced_to(mono));
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.0)
    }
}

impl Runtime for TestRuntime {
    type Stream = TestStream;
    type Listener = TestListener;

    fn now(&self) -> Now {
        self.machine().now
    }

    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        Sleep { runtime: self.clone(), at, id: None }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let size = size_of_val(&task);
        let mut machine = self.machine();
        machine.largest_task = machine.largest_task.max(size);
        machine.last_task += 1;
        let id = machine.last_task;
        let task = Task { id, machine: Arc::downgrade(&self.0), future: Mutex::new(Some(Box::pin(task))) };
        machine.tasks.insert(id, Arc::new(task));
        machine.ready.insert(id);
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        let known = host.parse().ok().or_else(|| self.machine().names.get(host).copied());
        std::future::ready(match known {
            Some(address) => Ok(vec![SocketAddr::new(address, port)]),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<TestStream>> + Send + 'static {
        std::future::ready(self.dial(address))
    }

    fn listen(&self, mut address: SocketAddr) -> impl Future<Output = io::Result<TestListener>> + Send {
        let incoming = Arc::new(Incoming::default());
        let mut machine = self.machine();
        if address.port() == 0 {
            machine.last_port += 1;
            address.set_port(machine.last_port);
        }
        let taken = machine.listeners.get(&address).is_some_and(|incoming| incoming.is_open());
        std::future::ready(if taken {
            Err(io::ErrorKind::AddrInUse.into())
        } else {
            machine.listeners.insert(address, Arc::clone(&incoming));
            Ok(TestListener::new(incoming, address))
        })
    }
}

impl Machine {
    fn take_ready(&mut self, id: u64) -> Option<Arc<Task>> {
        self.ready.remove(&id);
        self.tasks.get(&id).cloned()
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            now: Now { mono: Timestamp::ZERO, unix: UnixTime::from_secs(1_700_000_000) },
            tasks: BTreeMap::new(),
            ready: BTreeSet::new(),
            last_task: 0,
            last_run: 0,
            sleepers: BTreeMap::new(),
            last_sleeper: 0,
            listeners: BTreeMap::new(),
            // Those that the systems choose from (RFC 6335 section 6).
            last_port: 49_151,
            dial: None,
            names: BTreeMap::new(),
            largest_task: 0,
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if let Some(machine) = self.machine.upgrade() {
            let mut machine = lock(&machine);
            if machine.tasks.contains_key(&self.id) {
                machine.ready.insert(self.id);
            }
        }
    }
}

/// A timer. It is set when it is first polled.
struct Sleep {
    runtime: TestRuntime,
    at: Timestamp,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let runtime = self.runtime.clone();
        let mut machine = runtime.machine();
        if machine.now.mono >= self.at {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            machine.last_sleeper += 1;
            machine.last_sleeper
        });
        machine.sleepers.insert((self.at, id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let waker = self.id.and_then(|id| self.runtime.machine().sleepers.remove(&(self.at, id)));
        // Outside the lock, because it may be the last thing that holds its task.
        drop(waker);
    }
}

/// Nothing that runs under a lock here can panic half-way, so a poisoned one is as good as new.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
