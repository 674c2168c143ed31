//! What whatever watches the server is told over HTTP.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use smp_runtime::http::{Response, Status};

/// The metrics as they were last, and when the server was last found to serve.
#[derive(Default)]
pub(super) struct Page {
    metrics: Mutex<Option<Bytes>>,
    ready: Mutex<Option<Instant>>,
}

impl Page {
    pub(super) fn set_metrics(&self, metrics: String) {
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) = Some(metrics.into());
    }

    /// The store answered, or could not.
    pub(super) fn set_ready(&self, is_ready: bool) {
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = is_ready.then(Instant::now);
    }

    /// `/metrics`; `/healthz`, which says that the program runs; `/readyz`, which says that it serves and that its store answers.
    pub(super) fn answer(&self, path: &str) -> Response {
        match path {
            "/metrics" => match &*self.metrics.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(metrics) => Response::new(Status::OK, METRICS, metrics.clone()),
                None => text(Status::UNAVAILABLE, "nothing was counted yet\n"),
            },
            "/healthz" => text(Status::OK, "ok\n"),
            "/readyz" if self.is_ready() => text(Status::OK, "ok\n"),
            "/readyz" => text(Status::UNAVAILABLE, "the store does not answer\n"),
            _ => Response::status(Status::NOT_FOUND),
        }
    }

    fn is_ready(&self) -> bool {
        let ready = *self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.is_some_and(|at| at.elapsed() < READY)
    }
}

fn text(status: Status, text: &'static str) -> Response {
    Response::new(status, "text/plain; charset=utf-8", text)
}

/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A store that did not answer for this long does not serve. It is asked every few seconds.
const READY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_only_when_the_store_answered() {
        let page = Page::default();
        let code = |path| page.answer(path).code();
        assert_eq!(["/healthz", "/readyz", "/metrics", "/"].map(code), [200, 503, 503, 404]);
        page.set_ready(true);
        page.set_metrics("a 1\n".to_owned());
        assert_eq!(["/healthz", "/readyz", "/metrics"].map(code), [200, 200, 200]);
        assert_eq!(&page.answer("/metrics").body()[..], b"a 1\n");
        page.set_ready(false);
        assert_eq!(["/healthz", "/readyz", "/metrics"].map(code), [200, 503, 200]);
    }
}
