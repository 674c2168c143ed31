//! Scripted failures, for tests and simulations of what runs on a store.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use smp_core::server::store::{BatchReply, QueueKey, QueueOp, StoreFailure};

use crate::{Backend, LookUpReply};

/// What happens to a call.
#[derive(Default)]
pub enum Fault {
    /// Nothing special.
    #[default]
    None,
    /// It fails and has no effect.
    FailBefore,
    /// It has its effect, and the reply is lost: the caller is told that it failed.
    LoseReply,
    /// It has its effect now, and the reply waits for this future: a slow store.
    Delay(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The process that holds the store dies: of a batch only the first operations take effect, this call
    /// fails and so does every later one, until [`Faulty::restart`]. A look-up, a sync or a close has no effect.
    Crash {
        /// How many operations take effect: 0 for a crash before the batch, `usize::MAX` for one before its
        /// reply.
        after_ops: usize,
    },
}

/// A call that a script decides about.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Calls are numbered from 0 in the order in which they were made.
    pub number: u64,
    /// What is called.
    pub kind: CallKind<'a>,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub enum CallKind<'a> {
    /// [`Backend::run`].
    Run(&'a [QueueOp]),
    /// [`Backend::look_up`].
    LookUp(&'a [QueueKey]),
    /// [`Backend::sync`].
    Sync,
    /// [`Backend::close`].
    Close,
}

/// A store whose calls fail as a script says.
///
/// The script is asked once for each call, at the call and in the order of calls, and draws no randomness of
/// its own: the same script and the same calls give the same failures.
///
/// ```
/// use smp_core::server::store::QueueOp;
/// use smp_storage::{Backend, Fault, Faulty, Memory};
///
/// # pollster::block_on(async {
/// let store = Faulty::new(Memory::new(), |call| if call.number == 1 { Fault::FailBefore } else { Fault::None });
/// assert!(store.run(vec![QueueOp::Count]).await.is_ok());
/// assert!(store.run(vec![QueueOp::Count]).await.is_err());
/// assert!(store.run(vec![QueueOp::Count]).await.is_ok());
/// # });
/// ```
pub struct Faulty<B> {
    inner: B,
    state: Mutex<State>,
}

type Script = Box<dyn FnMut(Call<'_>) -> Fault + Send>;

struct State {
    script: Script,
    calls: u64,
    crashed: bool,
}

impl<B: Backend> Faulty<B> {
    /// Wraps a store.
    pub fn new(inner: B, script: impl FnMut(Call<'_>) -> Fault + Send + 'static) -> Self {
        Self { inner, state: Mutex::new(State { script: Box::new(script), calls: 0, crashed: false }) }
    }

    /// The store inside, on which nothing fails.
    pub const fn inner(&self) -> &B {
        &self.inner
    }

    /// The store inside.
    pub fn into_inner(self) -> B {
        self.inner
    }

    /// True from a [`Fault::Crash`] on.
    pub fn has_crashed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).crashed
    }

    /// Ends a crash: the store inside answers again, with what had taken effect.
    pub fn restart(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).crashed = false;
    }

    /// The fault of a call. The lock is held only here, never while the store inside works.
    fn decide(&self, kind: CallKind<'_>) -> Fault {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.crashed {
            return Fault::FailBefore;
        }
        let number = state.calls;
        state.calls += 1;
        let fault = (state.script)(Call { number, kind });
        state.crashed = matches!(fault, Fault::Crash { .. });
        fault
    }
}

impl<B: Backend + 'static> Backend for Faulty<B> {
    fn run(&self, mut ops: Vec<QueueOp>) -> impl Future<Output = BatchReply> + Send + use<B> {
        let fault = self.decide(CallKind::Run(&ops));
        if let Fault::Crash { after_ops } = fault {
            ops.truncate(after_ops);
        }
        let reply = (!matches!(fault, Fault::FailBefore)).then(|| self.inner.run(ops));
        answer(fault, reply)
    }

    fn look_up(&self, keys: Vec<QueueKey>) -> impl Future<Output = LookUpReply> + Send + use<B> {
        let fault = self.decide(CallKind::LookUp(&keys));
        let works = !matches!(fault, Fault::FailBefore | Fault::Crash { .. });
        let reply = works.then(|| self.inner.look_up(keys));
        answer(fault, reply)
    }

    fn ready(&self) -> impl Future<Output = ()> + Send + use<B> {
        self.inner.ready()
    }

    fn sync(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<B> {
        let fault = self.decide(CallKind::Sync);
        let works = !matches!(fault, Fault::FailBefore | Fault::Crash { .. });
        let reply = works.then(|| self.inner.sync());
        answer(fault, reply)
    }

    fn close(&self) -> impl Future<Output = Result<(), StoreFailure>> + Send + use<B> {
        let fault = self.decide(CallKind::Close);
        let works = !matches!(fault, Fault::FailBefore | Fault::Crash { .. });
        let reply = works.then(|| self.inner.close());
        answer(fault, reply)
    }
}

impl<B: Backend> From<B> for Faulty<B> {
    /// A store that never fails.
    fn from(inner: B) -> Self {
        Self::new(inner, |_| Fault::None)
    }
}

/// Lets the call finish, so that its effect is there, and gives the reply that the fault leaves.
async fn answer<T>(
    fault: Fault,
    reply: Option<impl Future<Output = Result<T, StoreFailure>>>,
) -> Result<T, StoreFailure> {
    let Some(reply) = reply else { return Err(StoreFailure) };
    let reply = reply.await;
    match fault {
        Fault::None => reply,
        Fault::Delay(until) => {
            until.await;
            reply
        }
        Fault::FailBefore | Fault::LoseReply | Fault::Crash { .. } => Err(StoreFailure),
    }
}
