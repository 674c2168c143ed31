//! The adapter keeps the promises of the `Runtime` trait, with several threads and with one.

use std::future::Future;
use std::time::Duration;

use smp_core::Timestamp;
use smp_runtime::Runtime;
use smp_runtime::testing::conformance::Platform;
use smp_runtime_tokio::TokioRuntime;

struct Tokio(tokio::runtime::Runtime);

impl Tokio {
    fn many_threads() -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self(tokio.expect("a runtime"))
    }

    fn one_thread() -> Self {
        Self(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"))
    }
}

impl Platform for Tokio {
    type Runtime = TokioRuntime;

    fn runtime(&self) -> TokioRuntime {
        TokioRuntime::new(self.0.handle().clone())
    }

    fn block_on<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        self.0.block_on(future)
    }
}

mod many_threads {
    smp_runtime::runtime_conformance!(super::Tokio::many_threads());
}

mod one_thread {
    smp_runtime::runtime_conformance!(super::Tokio::one_thread());
}

#[tokio::test(start_paused = true)]
async fn follows_the_time_of_tokio() {
    let runtime = TokioRuntime::current().unwrap();
    assert_eq!(runtime.now().mono, Timestamp::ZERO);
    runtime.sleep_until(Timestamp::from_micros(1_500_000)).await;
    assert!(runtime.now().mono >= Timestamp::from_micros(1_500_000));
    assert!(runtime.now().mono < Timestamp::from_micros(1_600_000));
    let far = runtime.sleep_until(Timestamp::from_micros(u64::MAX));
    assert!(tokio::time::timeout(Duration::from_secs(86_400), far).await.is_err());
}

#[test]
fn serves_threads_that_tokio_does_not_know() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = TokioRuntime::new(tokio.handle().clone());
    let (sender, receiver) = std::sync::mpsc::channel();
    let sleep = runtime.sleep_until(runtime.now().mono + Duration::from_millis(1));
    runtime.spawn(async move {
        sleep.await;
        sender.send("done").unwrap();
    });
    assert_eq!(receiver.recv(), Ok("done"));
}

#[test]
fn has_no_current_runtime_outside_of_one() {
    assert!(TokioRuntime::current().is_err());
}
