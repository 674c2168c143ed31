//! The adapter keeps the promises of the `Runtime` trait, with an executor of its own and with that of the process.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use smol::Executor;
use smp_runtime::Runtime;
use smp_runtime::testing::conformance::Platform;
use smp_runtime_smol::SmolRuntime;

/// An executor that runs while somebody waits.
struct Own(Arc<Executor<'static>>);

impl Platform for Own {
    type Runtime = SmolRuntime;

    fn runtime(&self) -> SmolRuntime {
        SmolRuntime::new(&self.0)
    }

    fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        smol::block_on(self.0.run(future))
    }
}

struct Global;

impl Platform for Global {
    type Runtime = SmolRuntime;

    fn runtime(&self) -> SmolRuntime {
        SmolRuntime::global()
    }

    fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        smol::block_on(future)
    }
}

mod own {
    smp_runtime::runtime_conformance!(super::Own(std::sync::Arc::default()));
}

mod global {
    smp_runtime::runtime_conformance!(super::Global);
}

/// Also those that hold the runtime, and what they would begin.
#[test]
fn tasks_end_with_their_executor() {
    let executor = Arc::<Executor<'_>>::default();
    let runtime = SmolRuntime::new(&executor);
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let (holds, inner) = (runtime.clone(), sender.clone());
    runtime.spawn(async move {
        holds.sleep_until(holds.now().mono + Duration::from_secs(100_000)).await;
        drop(sender);
    });
    assert!(executor.try_tick());
    drop(executor);
    runtime.spawn(async move { _ = inner.send(()) });
    assert_eq!(receiver.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
}
