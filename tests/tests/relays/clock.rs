//! The sockets and tasks of tokio, with time that moves only when the test moves it.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use smp_core::{Now, Timestamp};
use smp_runtime::Runtime;
use smp_runtime_tokio::{TokioListener, TokioRuntime, TokioStream};

/// A runtime of tokio on a clock of its own.
#[derive(Clone)]
pub(crate) struct Steered {
    tokio: TokioRuntime,
    clock: Arc<Mutex<Clock>>,
}

#[derive(Default)]
struct Clock {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    last: u64,
}

impl Steered {
    pub(crate) fn new(tokio: TokioRuntime) -> Self {
        Self { tokio, clock: Arc::default() }
    }

    /// Lets time pass, and wakes who waited for that.
    pub(crate) fn advance(&self, time: Duration) {
        let due = {
            let mut clock = lock(&self.clock);
            clock.now = clock.now + time;
            let later = (clock.now, u64::MAX);
            let later = clock.sleepers.split_off(&later);
            std::mem::replace(&mut clock.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }
}

impl Runtime for Steered {
    type Stream = TokioStream;
    type Listener = TokioListener;

    fn now(&self) -> Now {
        Now { mono: lock(&self.clock).now, unix: self.tokio.now().unix }
    }

    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send + 'static {
        Sleep { clock: Arc::clone(&self.clock), at, id: None }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tokio.spawn(task);
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        self.tokio.resolve(host, port)
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<TokioStream>> + Send + 'static {
        // Tokio looks for its sockets in the context of the task that polls, which is one of its own.
        self.tokio.connect(address)
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TokioListener> {
        self.tokio.listen(address).await
    }
}

struct Sleep {
    clock: Arc<Mutex<Clock>>,
    at: Timestamp,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut clock = lock(&this.clock);
        if this.at <= clock.now {
            return Poll::Ready(());
        }
        let id = *this.id.get_or_insert_with(|| {
            clock.last += 1;
            clock.last
        });
        clock.sleepers.insert((this.at, id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            lock(&self.clock).sleepers.remove(&(self.at, id));
        }
    }
}

/// Nothing is left half done under this lock.
fn lock(clock: &Mutex<Clock>) -> MutexGuard<'_, Clock> {
    clock.lock().unwrap_or_else(PoisonError::into_inner)
}
