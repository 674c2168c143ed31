//! The adapter keeps the promises of the `Runtime` trait.

use std::future::Future;

use async_std::task;
use smp_runtime::testing::conformance::Platform;
use smp_runtime_async_std::AsyncStdRuntime;

struct Process;

impl Platform for Process {
    type Runtime = AsyncStdRuntime;

    fn runtime(&self) -> AsyncStdRuntime {
        AsyncStdRuntime::new()
    }

    fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        task::block_on(future)
    }
}

smp_runtime::runtime_conformance!(Process);
